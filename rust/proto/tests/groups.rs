//! Sync groups (`vrrp-behaviour.md` 10): start, faults, recovery, and what a reload does to them.

mod bench;

use bench::{Bench, ETH1, Packet, add, address, config, last_octet, link, link1, update, vip};
use keepvip_proto::Change;
use keepvip_proto::time::Duration;
use keepvip_proto::vrrp::config::{IfName, RouterConfig};
use keepvip_proto::vrrp::output::AddressFact;
use keepvip_proto::vrrp::report::{EventKind, Reason, State};
use keepvip_proto::vrrp::track::{Track, TrackTarget, TrackValue};

const SECOND: Duration = Duration::from_secs(1);

fn outside() -> RouterConfig {
    config()
}

fn inside() -> RouterConfig {
    RouterConfig {
        interface: IfName::new("eth1"),
        vrid: 51,
        vips: vec![vip("10.1.0.1")],
        ..config()
    }
}

fn owner(config: RouterConfig) -> RouterConfig {
    RouterConfig {
        priority: 255,
        initial_master: true,
        ..config
    }
}

fn tracking(config: RouterConfig) -> RouterConfig {
    RouterConfig {
        tracks: vec![Track {
            target: TrackTarget::Value(0),
            weight: 0,
            reverse: false,
        }],
        ..config
    }
}

/// Both members master, what was said until then forgotten.
fn masters() -> Bench {
    let mut bench = Bench::with_groups(vec![outside(), inside()], vec![vec![0, 1]]);
    bench.run(SECOND.times(4));
    assert_eq!(states(&bench), [State::Master, State::Master]);
    forget(&mut bench);
    bench
}

fn forget(bench: &mut Bench) {
    bench.events.clear();
    bench.ops.clear();
    bench.adverts.clear();
}

fn states(bench: &Bench) -> Vec<State> {
    bench.core.slots().map(|slot| bench.state(slot)).collect()
}

#[test]
fn members_and_then_the_group_tell_of_each_common_state() {
    let mut bench = Bench::with_groups(vec![outside(), inside()], vec![vec![0, 1]]);
    bench.run(SECOND.times(4));
    assert_eq!(bench.group_moves(0), [State::Backup, State::Master]);
    bench.core.handle_link(link1(false));
    bench.turn();
    assert_eq!(bench.group_moves(0), [State::Backup, State::Master, State::Fault]);
    assert!(matches!(
        bench.events.last().unwrap().kind,
        EventKind::GroupTransition { .. }
    ));
}

#[test]
fn a_fault_takes_all_members_and_each_says_goodbye() {
    let mut bench = masters();
    bench.core.handle_address_gone(ETH1, "10.1.0.2".parse().unwrap(), 24);
    bench.turn();
    assert_eq!(bench.moves(1), [(State::Fault, Reason::NoSourceAddress)]);
    assert_eq!(bench.moves(0), [(State::Fault, Reason::SyncGroup)]);
    // Slot 1 has nothing to send from; the other one tells its LAN that it gives up.
    assert_eq!(bench.spoken(), [(50, 0)]);
    assert_eq!(bench.ops.iter().filter(|op| !op.install).count(), 2);
}

#[test]
fn a_group_leaves_fault_when_its_last_fault_is_gone() {
    let mut bench = masters();
    bench.core.handle_link(link(false));
    bench.turn();
    bench.core.handle_link(link1(false));
    bench.turn();
    forget(&mut bench);
    bench.core.handle_link(link(true));
    bench.turn();
    assert_eq!(states(&bench), [State::Fault, State::Fault]);
    assert!(bench.told(|kind| matches!(kind, EventKind::FaultChange { slot: 0, faults } if faults.is_empty())));
    bench.core.handle_link(link1(true));
    bench.turn();
    assert_eq!(states(&bench), [State::Backup, State::Backup]);
    assert_eq!(bench.group_moves(0), [State::Backup]);
}

#[test]
fn faults_that_change_places_in_one_wake_up_do_not_let_the_group_out() {
    for owners in [false, true] {
        let configs = if owners {
            vec![owner(outside()), owner(inside())]
        } else {
            vec![outside(), inside()]
        };
        let mut bench = Bench::with_groups(configs, vec![vec![0, 1]]);
        bench.core.handle_link(link(false));
        bench.turn();
        forget(&mut bench);
        bench.core.handle_link(link(true));
        bench.core.handle_link(link1(false));
        bench.turn();
        assert_eq!(states(&bench), [State::Fault, State::Fault]);
        assert_eq!((bench.moves(0), bench.moves(1)), (vec![], vec![]));
        assert_eq!(bench.spoken(), []);
    }
}

#[test]
fn only_a_group_of_owners_is_master_at_once() {
    let mut bench = Bench::with_groups(vec![owner(outside()), owner(inside())], vec![vec![0, 1]]);
    bench.run(Duration::from_micros(1));
    assert_eq!(states(&bench), [State::Master, State::Master]);
    let mut bench = Bench::with_groups(vec![owner(outside()), inside()], vec![vec![0, 1]]);
    bench.run(SECOND.times(3));
    assert_eq!(states(&bench), [State::Backup, State::Backup]);
    bench.run(SECOND);
    assert_eq!(states(&bench), [State::Master, State::Master]);
}

#[test]
fn owners_go_from_fault_to_master_without_a_stop() {
    let mut bench = Bench::with_groups(vec![owner(outside()), owner(inside())], vec![vec![0, 1]]);
    bench.run(SECOND);
    bench.core.handle_link(link(false));
    bench.turn();
    forget(&mut bench);
    bench.core.handle_link(link(true));
    bench.turn();
    assert_eq!(bench.moves(0), [(State::Master, Reason::FaultCleared)]);
    assert_eq!(bench.moves(1), [(State::Master, Reason::SyncGroup)]);
    assert_eq!(bench.group_moves(0), [State::Master]);
    assert_eq!(bench.spoken(), [(50, 255), (51, 255)]);
}

#[test]
fn a_member_that_must_yield_takes_the_others_along_without_a_goodbye() {
    let mut bench = masters();
    bench.hear(&Packet::default());
    assert_eq!(bench.moves(0), [(State::Backup, Reason::HigherPriority)]);
    assert_eq!(bench.moves(1), [(State::Backup, Reason::SyncGroup)]);
    assert_eq!(bench.spoken(), []);
}

#[test]
fn a_lower_advert_makes_all_members_announce() {
    let mut bench = masters();
    bench.announced.clear();
    bench.hear(&Packet {
        priority: 50,
        ..Packet::default()
    });
    let mut announced: Vec<_> = bench.announced.iter().map(|(_, addr)| *addr).collect();
    announced.sort();
    announced.dedup();
    assert_eq!(announced, [last_octet(1), "10.1.0.1".parse().unwrap()]);
    assert_eq!(
        bench.spoken(),
        [(50, 100)],
        "the advert is that of the member that heard it"
    );
}

#[test]
fn an_accepted_advert_takes_back_the_wish_to_be_master() {
    let mut bench = Bench::with_groups(vec![outside(), inside()], vec![vec![0, 1]]);
    // Slot 1 hears a master of higher priority, slot 0 nothing: it wishes, and waits.
    for _ in 0..8 {
        bench.run(Duration::from_millis(900));
        bench.hear(&Packet {
            interface: ETH1,
            vrid: 51,
            addresses: vec!["10.1.0.1".parse().unwrap()],
            ..Packet::default()
        });
    }
    assert_eq!(states(&bench), [State::Backup, State::Backup]);
    // Now the other way round: the old wish of slot 0 counts no more once it has heard somebody.
    for _ in 0..8 {
        bench.run(Duration::from_millis(900));
        bench.hear(&Packet::default());
    }
    assert_eq!(states(&bench), [State::Backup, State::Backup]);
}

#[test]
fn nobody_is_told_of_a_group_that_waits_for_first_results() {
    let mut bench = Bench::with_groups(vec![tracking(outside()), inside()], vec![vec![0, 1]]);
    assert_eq!(states(&bench), [State::Fault, State::Fault]);
    assert_eq!(
        bench
            .events
            .iter()
            .filter(|event| event.kind != EventKind::Resynced)
            .count(),
        0
    );
    bench.core.handle_track(0, TrackValue::Good);
    bench.turn();
    assert_eq!(bench.moves(0), [(State::Backup, Reason::Startup)]);
    assert_eq!(bench.moves(1), [(State::Backup, Reason::Startup)]);
    assert_eq!(bench.group_moves(0), [State::Backup]);
}

#[test]
fn a_first_result_that_is_bad_is_told_by_all_members() {
    let mut bench = Bench::with_groups(vec![tracking(outside()), inside()], vec![vec![0, 1]]);
    bench.core.handle_track(0, TrackValue::Bad);
    bench.turn();
    assert_eq!(bench.moves(0), [(State::Fault, Reason::TrackFailed)]);
    assert_eq!(bench.moves(1), [(State::Fault, Reason::SyncGroup)]);
    assert_eq!(bench.group_moves(0), [State::Fault]);
}

#[test]
fn a_router_that_waits_in_a_group_with_a_real_fault_is_told_why() {
    let mut bench = Bench::bare(false);
    // There is no eth1.
    bench.add(vec![tracking(outside()), inside()], vec![vec![0, 1]]);
    assert_eq!(bench.moves(1), [(State::Fault, Reason::InterfaceMissing)]);
    assert_eq!(bench.moves(0), [(State::Fault, Reason::SyncGroup)]);
    // The interface comes: the first result is still awaited.
    bench.core.handle_link(link1(true));
    bench.core.handle_address(AddressFact {
        interface: ETH1,
        ..address("10.1.0.2".parse().unwrap(), 24)
    });
    bench.turn();
    assert_eq!(states(&bench), [State::Fault, State::Fault]);
    bench.core.handle_track(0, TrackValue::Good);
    bench.turn();
    assert_eq!(states(&bench), [State::Backup, State::Backup]);
}

// What a reload does to groups.

fn third(interface: &str) -> RouterConfig {
    RouterConfig {
        interface: IfName::new(interface),
        vrid: 52,
        vips: vec![vip("10.0.0.52")],
        ..config()
    }
}

#[test]
fn a_new_member_joins_a_master_group_when_its_own_time_has_come() {
    let mut bench = masters();
    bench.reload(vec![add(2, third("eth0"))], vec![vec![0, 1, 2]]);
    assert_eq!(states(&bench), [State::Master, State::Master, State::Backup]);
    bench.run(SECOND.times(4));
    assert_eq!(states(&bench), [State::Master, State::Master, State::Master]);
    assert_eq!((bench.moves(0), bench.moves(1)), (vec![], vec![]));
    assert_eq!(bench.group_moves(0), [], "the group is what it was");
}

#[test]
fn a_new_member_with_a_fault_takes_the_group_down() {
    let mut bench = masters();
    bench.reload(vec![add(2, third("eth9"))], vec![vec![0, 1, 2]]);
    assert_eq!(states(&bench), [State::Fault; 3]);
    assert_eq!(bench.moves(2), [(State::Fault, Reason::InterfaceMissing)]);
    assert_eq!(bench.moves(0), [(State::Fault, Reason::SyncGroup)]);
    assert_eq!(bench.group_moves(0), [State::Fault]);
}

#[test]
fn a_new_member_that_waits_for_a_first_result_leaves_the_masters_alone() {
    for (value, after) in [
        (TrackValue::Good, [State::Master, State::Master, State::Backup]),
        (TrackValue::Bad, [State::Fault; 3]),
    ] {
        let mut bench = masters();
        bench.reload(vec![add(2, tracking(third("eth0")))], vec![vec![0, 1, 2]]);
        assert_eq!(states(&bench), [State::Master, State::Master, State::Fault]);
        assert_eq!(bench.group_moves(0), []);
        bench.core.handle_track(0, value);
        bench.turn();
        assert_eq!(states(&bench), after, "{value:?}");
    }
}

#[test]
fn a_member_that_must_yield_leaves_one_that_waits_where_it_is() {
    let mut bench = masters();
    bench.reload(vec![add(2, tracking(third("eth0")))], vec![vec![0, 1, 2]]);
    bench.hear(&Packet::default());
    assert_eq!(states(&bench), [State::Backup, State::Backup, State::Fault]);
}

#[test]
fn a_new_member_of_a_group_in_fault_starts_there() {
    let mut bench = masters();
    bench.core.handle_link(link1(false));
    bench.turn();
    forget(&mut bench);
    bench.reload(vec![add(2, third("eth0"))], vec![vec![0, 1, 2]]);
    assert_eq!(bench.moves(2), [(State::Fault, Reason::SyncGroup)]);
    let Some(EventKind::Transition { evidence, .. }) = bench.events.first().map(|event| event.kind) else {
        panic!("{:?}", bench.events);
    };
    assert_eq!(evidence.member, Some(1), "the one with the fault");
}

#[test]
fn without_its_faulty_member_a_group_recovers() {
    // Removed for good, or only from the group.
    for changes in [vec![Change::Remove { slot: 1 }], vec![]] {
        let mut bench = masters();
        bench.core.handle_link(link1(false));
        bench.turn();
        let kept = changes.is_empty();
        bench.reload(changes, vec![vec![0]]);
        assert_eq!(bench.state(0), State::Backup);
        if kept {
            assert_eq!(bench.state(1), State::Fault);
        }
    }
}

#[test]
fn a_group_that_is_dissolved_leaves_everybody_to_himself() {
    let mut bench = masters();
    bench.core.handle_link(link1(false));
    bench.turn();
    bench.reload(vec![], vec![]);
    assert_eq!(states(&bench), [State::Backup, State::Fault]);
    bench.run(SECOND.times(4));
    assert_eq!(states(&bench), [State::Master, State::Fault]);
}

#[test]
fn a_master_that_joins_a_router_in_fault_goes_there() {
    let mut bench = Bench::bare(true);
    bench.add(vec![outside(), inside()], vec![]);
    bench.core.handle_link(link1(false));
    bench.run(SECOND.times(4));
    assert_eq!(states(&bench), [State::Master, State::Fault]);
    forget(&mut bench);
    bench.reload(vec![], vec![vec![0, 1]]);
    assert_eq!(bench.moves(0), [(State::Fault, Reason::SyncGroup)]);
    assert_eq!(bench.group_moves(0), [State::Fault]);
}

#[test]
fn a_member_that_is_removed_leaves_the_others_masters() {
    let mut bench = masters();
    bench.reload(vec![Change::Remove { slot: 1 }], vec![vec![0]]);
    assert_eq!(bench.state(0), State::Master);
    assert_eq!(bench.moves(0), []);
    assert_eq!(bench.spoken(), [(51, 0)]);
}

#[test]
fn a_reload_that_makes_one_member_faulty_takes_all() {
    let mut bench = masters();
    let broken = RouterConfig {
        vips: vec![keepvip_proto::vrrp::config::Vip {
            dev: IfName::new("eth9"),
            ..vip("10.1.0.1")
        }],
        ..inside()
    };
    bench.reload(vec![update(1, broken)], vec![vec![0, 1]]);
    assert_eq!(states(&bench), [State::Fault, State::Fault]);
    assert_eq!(bench.ops.iter().filter(|op| op.install).count(), 0);
    bench.reload(vec![update(1, inside())], vec![vec![0, 1]]);
    assert_eq!(states(&bench), [State::Backup, State::Backup]);
}

#[test]
fn a_tracked_interface_of_one_member_is_everybodys_fault() {
    let tracked = RouterConfig {
        tracks: vec![Track {
            target: TrackTarget::Interface(IfName::new("eth1").unwrap()),
            weight: 0,
            reverse: false,
        }],
        ..third("eth0")
    };
    let mut bench = Bench::bare(true);
    bench.add(vec![outside(), tracked], vec![vec![0, 1]]);
    bench.run(SECOND.times(4));
    assert_eq!(states(&bench), [State::Master, State::Master]);
    bench.core.handle_link(link1(false));
    bench.turn();
    assert_eq!(states(&bench), [State::Fault, State::Fault]);
    bench.core.handle_link(link1(true));
    bench.turn();
    assert_eq!(states(&bench), [State::Backup, State::Backup]);
}
