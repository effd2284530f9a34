//! Routers in several network namespaces: the same names, numbers and addresses everywhere, and nothing in common.

mod bench;

use bench::{Bench, address, config, last_octet, link};
use keepvip_proto::engine::AdvertRx;
use keepvip_proto::vrrp::config::{Family, RouterConfig};
use keepvip_proto::vrrp::output::{AddressFact, IfId, LinkFact};
use keepvip_proto::vrrp::report::{EventKind, Faults, Reason, State};

/// The namespace beside the engine's own.
const RED: u16 = 1;

fn red() -> RouterConfig {
    RouterConfig { netns: RED, ..config() }
}

/// The same interface, in the other namespace.
fn red_link(up: bool) -> LinkFact {
    let own = link(up);
    LinkFact {
        id: IfId { netns: RED, ..own.id },
        ..own
    }
}

fn red_address(host: u8) -> AddressFact {
    AddressFact {
        interface: red_link(true).id,
        ..address(last_octet(host), 24)
    }
}

fn tell_red(bench: &mut Bench) {
    bench.core.begin_resync(RED);
    bench.core.handle_link(red_link(true));
    bench.core.handle_address(red_address(2));
    bench.core.end_resync(bench.now, RED);
}

/// Router 0 in the engine's own namespace, router 1 in the other one.
fn both() -> Bench {
    let mut bench = Bench::bare(false);
    tell_red(&mut bench);
    bench.add(vec![config(), red()], vec![]);
    bench
}

#[test]
fn the_same_vrid_interface_and_address_in_two_namespaces_is_no_clash() {
    let bench = both();
    assert_eq!([bench.state(0), bench.state(1)], [State::Backup; 2]);
    let interfaces: Vec<u16> = bench
        .memberships
        .iter()
        .map(|op| match op {
            keepvip_proto::vrrp::output::MembershipOp::Join(one)
            | keepvip_proto::vrrp::output::MembershipOp::Leave(one) => one.interface.netns,
        })
        .collect();
    assert_eq!(interfaces, [0, RED]);
}

#[test]
fn an_advert_is_heard_in_its_own_namespace_only() {
    let mut bench = both();
    let heard = |bench: &Bench, slot| bench.core.status(slot).unwrap().stats.advert_rcvd;
    let payload = [0x21, config().vrid, 0, 0, 0, 1, 0, 0];
    bench.core.handle_packet(
        bench.now,
        &AdvertRx {
            interface: red_link(true).id,
            family: Family::V4,
            source: last_octet(9),
            destination: config().group,
            ttl: 255,
            ah: None,
            payload: &payload,
        },
    );
    // Too short for its version, but it was looked at by nobody else.
    let rejected = |bench: &Bench, slot| bench.core.status(slot).unwrap().stats.rejects.iter().sum::<u64>();
    assert_eq!((rejected(&bench, 0), heard(&bench, 0)), (0, 0));
    assert_eq!(rejected(&bench, 1) + heard(&bench, 1), 1);
}

#[test]
fn an_address_that_is_virtual_elsewhere_is_a_source_here() {
    let mut bench = Bench::bare(false);
    let vip = config().vips[0].addr;
    bench.core.begin_resync(RED);
    bench.core.handle_link(red_link(true));
    bench.core.handle_address(AddressFact {
        addr: vip,
        ..red_address(2)
    });
    bench.core.end_resync(bench.now, RED);
    let other = RouterConfig { vips: vec![], ..red() };
    bench.add(vec![config(), other], vec![]);
    assert_eq!(bench.state(1), State::Backup, "{vip} is its only address");
}

#[test]
fn a_namespace_that_is_missing_is_a_fault_and_its_return_ends_it() {
    let mut bench = Bench::bare(false);
    bench.core.handle_netns_missing(RED);
    bench.add(vec![config(), red()], vec![]);
    assert_eq!([bench.state(0), bench.state(1)], [State::Backup, State::Fault]);
    assert_eq!(
        bench.core.status(1).unwrap().faults,
        Faults::NONE.with(Faults::NETNS_MISSING, true)
    );
    assert!(bench.told(|kind| matches!(
        kind,
        EventKind::Transition {
            slot: 1,
            reason: Reason::NetnsMissing,
            ..
        }
    )));
    tell_red(&mut bench);
    bench.turn();
    assert_eq!(bench.state(1), State::Backup);
    assert!(bench.core.status(1).unwrap().faults.is_empty());
}

#[test]
fn a_namespace_that_goes_is_told_goodbye_and_then_forgotten() {
    let mut bench = both();
    bench.become_master();
    assert_eq!(bench.state(1), State::Master);
    bench.adverts.clear();
    bench.ops.clear();
    bench.core.handle_netns_missing(RED);
    bench.turn();
    assert_eq!([bench.state(0), bench.state(1)], [State::Master, State::Fault]);
    // Priority 0 leaves and the address is taken off as long as the interface is known.
    assert!(bench.ops.iter().all(|op| !op.install && op.interface.netns == RED));
    assert_eq!(bench.ops.len(), config().vips.len());
    bench.core.forget_netns(RED);
    bench.turn();
    assert_eq!(
        bench.core.status(1).unwrap().faults,
        Faults::NONE.with(Faults::NETNS_MISSING, true)
    );
    assert_eq!(bench.core.status(0).unwrap().faults, Faults::NONE);
    // It comes back with another interface: nothing is left of the old one.
    tell_red(&mut bench);
    bench.turn();
    assert_eq!(bench.state(1), State::Backup);
}

#[test]
fn a_resync_of_one_leaves_the_other_alone() {
    let mut bench = both();
    bench.core.begin_resync(RED);
    bench.core.end_resync(bench.now, RED);
    bench.turn();
    assert_eq!([bench.state(0), bench.state(1)], [State::Backup, State::Fault]);
    assert!(bench.core.status(1).unwrap().faults.contains(Faults::INTERFACE_MISSING));
}
