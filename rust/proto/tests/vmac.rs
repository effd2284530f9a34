//! Links of our own that carry addresses (`vrrp-behaviour.md` 11), and VRFs.

mod bench;

use bench::{Bench, ETH0, GROUP, OWN, PEER, Packet, config, link, update, vip};
use keepvip_proto::time::Duration;
use keepvip_proto::vrrp::config::{GarpConfig, IfName, OldChecksum, Peer, RouterConfig, Unicast, Vip, Vmac};
use keepvip_proto::vrrp::output::{IfId, LinkFact, Membership, MembershipOp};
use keepvip_proto::vrrp::report::{Faults, Reason, State};

const VMAC: IfId = IfId { netns: 0, index: 7 };
const SECOND: Duration = Duration::from_secs(1);

fn name(text: &str) -> IfName {
    IfName::new(text).unwrap()
}

fn macvlan(id: IfId, up: bool) -> LinkFact {
    LinkFact {
        id,
        name: name("vrrp.50"),
        mac: [0, 0, 0x5e, 0, 1, 50],
        ..link(up)
    }
}

fn with_vmac(adverts: bool) -> RouterConfig {
    RouterConfig {
        vmac: Some(Vmac {
            link: name("vrrp.50"),
            adverts,
            own_source: false,
        }),
        ..config()
    }
}

fn bench(adverts: bool) -> Bench {
    let mut bench = Bench::bare(false);
    bench.core.handle_link(macvlan(VMAC, true));
    bench.add(vec![with_vmac(adverts)], vec![]);
    bench
}

fn joined(interface: IfId) -> MembershipOp {
    MembershipOp::Join(Membership {
        interface,
        group: GROUP,
    })
}

#[test]
fn adverts_and_addresses_are_on_the_link_the_source_is_below() {
    let mut bench = bench(true);
    assert_eq!(bench.memberships, [joined(VMAC)]);
    bench.hear(&Packet::default());
    assert_eq!(
        bench.core.status(0).unwrap().stats.advert_rcvd,
        0,
        "what the interface below hears is not for it"
    );
    bench.hear(&Packet {
        interface: VMAC,
        ..Packet::default()
    });
    assert_eq!(bench.core.status(0).unwrap().stats.advert_rcvd, 1);
    bench.become_master();
    assert!(bench.advert_interfaces.iter().all(|&id| id == VMAC));
    assert_eq!(bench.adverts[0][12..16], [10, 0, 0, 2], "{OWN} of the interface");
    assert!(bench.core.status(0).unwrap().addresses_installed);
    bench.core.shutdown(bench.now, true);
    bench.turn();
    assert_eq!(
        bench
            .ops
            .iter()
            .map(|op| (op.install, op.interface))
            .collect::<Vec<_>>(),
        [(false, VMAC)]
    );
}

#[test]
fn with_xmit_base_only_addresses_are_on_the_link() {
    let mut bench = bench(false);
    assert_eq!(bench.memberships, [joined(ETH0)]);
    bench.hear(&Packet::default());
    assert_eq!(bench.core.status(0).unwrap().stats.advert_rcvd, 1);
    bench.run(SECOND.times(4));
    assert!(bench.advert_interfaces.iter().all(|&id| id == ETH0));
    assert_eq!(
        bench.ops.last().map(|op| (op.install, op.interface)),
        Some((true, VMAC))
    );
}

#[test]
fn a_link_that_goes_is_a_fault_until_it_is_there_again() {
    for down in [false, true] {
        let mut bench = bench(true);
        bench.become_master();
        if down {
            bench.core.handle_link(macvlan(VMAC, false));
        } else {
            bench.core.handle_link_gone(VMAC);
        }
        bench.turn();
        assert_eq!(bench.moves(0), [(State::Fault, Reason::VmacUnusable)]);
        assert_eq!(bench.core.status(0).unwrap().faults, Faults::VMAC);
        let again = if down { VMAC } else { IfId { index: 8, ..VMAC } };
        bench.memberships.clear();
        bench.core.handle_link(macvlan(again, true));
        bench.turn();
        assert_eq!(bench.state(0), State::Backup);
        assert_eq!(bench.memberships.contains(&joined(again)), !down);
        bench.become_master();
        assert!(bench.core.status(0).unwrap().addresses_installed);
    }
}

#[test]
fn the_interface_below_is_a_fault_of_its_own() {
    let mut bench = bench(true);
    bench.become_master();
    bench.core.handle_link(link(false));
    bench.turn();
    assert_eq!(bench.moves(0), [(State::Fault, Reason::InterfaceDown)]);
    bench.core.handle_link(link(true));
    bench.turn();
    assert_eq!(bench.state(0), State::Backup);
}

#[test]
fn untracked_means_down_is_no_fault_but_absence_is() {
    let mut bench = Bench::bare(false);
    bench.core.handle_link(macvlan(VMAC, false));
    bench.add(
        vec![RouterConfig {
            dont_track_primary: true,
            ..with_vmac(true)
        }],
        vec![],
    );
    assert_eq!(bench.state(0), State::Backup);
    bench.core.handle_link_gone(VMAC);
    bench.turn();
    assert_eq!(bench.core.status(0).unwrap().faults, Faults::VMAC);
}

#[test]
fn addresses_move_to_a_link_with_another_name() {
    let mut bench = bench(true);
    bench.become_master();
    let other = LinkFact {
        name: name("wan"),
        ..macvlan(IfId { index: 8, ..VMAC }, true)
    };
    bench.core.handle_link(other);
    let mut renamed = with_vmac(true);
    renamed.vmac.as_mut().unwrap().link = name("wan");
    bench.reload(vec![update(0, renamed)], vec![]);
    assert_eq!(bench.state(0), State::Master);
    let done: Vec<_> = bench.ops.iter().map(|op| (op.install, op.interface)).collect();
    assert_eq!(done, [(false, VMAC), (true, other.id)]);
}

#[test]
fn links_that_adverts_do_not_leave_by_are_announced_now_and_then() {
    let garp = GarpConfig {
        delay: Duration::ZERO,
        repeat: 1,
        extra_interval: SECOND.times(2),
        ..GarpConfig::default()
    };
    let announced = |adverts: bool, extra_all: bool, vips: Vec<Vip>| {
        let mut bench = Bench::bare(true);
        bench.core.handle_link(macvlan(VMAC, true));
        bench.add(
            vec![RouterConfig {
                garp: GarpConfig { extra_all, ..garp },
                vips,
                ..with_vmac(adverts)
            }],
            vec![],
        );
        bench.become_master();
        bench.announced.clear();
        bench.run(SECOND.times(4));
        bench.announced.iter().map(|(_, addr)| *addr).collect::<Vec<_>>()
    };
    let two = || vec![vip("10.0.0.1"), vip("10.0.0.7")];
    let first = vip("10.0.0.1").addr;
    assert_eq!(announced(true, false, two()), Vec::<std::net::IpAddr>::new());
    assert_eq!(
        announced(false, false, two()),
        [first, first],
        "one for the link, not one for each address"
    );
    let elsewhere = || {
        vec![
            vip("10.0.0.1"),
            Vip {
                dev: Some(name("eth1")),
                ..vip("10.1.0.1")
            },
        ]
    };
    assert_eq!(announced(true, false, elsewhere()), Vec::<std::net::IpAddr>::new());
    let other = vip("10.1.0.1").addr;
    assert_eq!(announced(true, true, elsewhere()), [other, other]);
}

#[test]
fn a_unicast_router_in_a_vrf_hears_what_its_interfaces_hear() {
    const BLUE: IfId = IfId { netns: 0, index: 20 };
    let mut bench = Bench::bare(false);
    let peer = Peer {
        addr: PEER,
        min_ttl: 0,
        max_ttl: 255,
    };
    bench.add(
        vec![RouterConfig {
            interface: None,
            vrf: Some(name("blue")),
            source: Some(OWN),
            unicast: Some(Unicast {
                peers: vec![peer],
                ttl: Some(255),
                check_source: false,
                old_checksum: OldChecksum::Never,
            }),
            vips: vec![],
            ..config()
        }],
        vec![],
    );
    assert_eq!(bench.core.status(0).unwrap().faults, Faults::INTERFACE_MISSING);
    bench.core.handle_link(LinkFact {
        id: BLUE,
        name: name("blue"),
        ..link(true)
    });
    bench.turn();
    assert_eq!(bench.state(0), State::Backup);
    let packet = || Packet {
        destination: OWN,
        priority: 50,
        addresses: vec![],
        ..Packet::default()
    };
    bench.hear(&packet());
    assert_eq!(bench.core.status(0).unwrap().stats.advert_rcvd, 0, "eth0 is outside");
    bench.core.handle_link(LinkFact {
        master: BLUE.index,
        ..link(true)
    });
    bench.hear(&packet());
    assert_eq!(bench.core.status(0).unwrap().stats.advert_rcvd, 1);
    bench.become_master();
    assert!(!bench.adverts.is_empty());
    assert!(bench.advert_interfaces.iter().all(|&id| id == BLUE));
}
