//! Sentences of `vrrp-behaviour.md` 1.1 to 1.9 that are easily got wrong, one by one.

mod bench;

use bench::{Bench, ETH0, OWN, Packet, address, config, last_octet, link, vip};
use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::config::{IfName, RouterConfig, Vip};
use keepvip_proto::vrrp::output::{AddressFact, IfId, LinkFact};
use keepvip_proto::vrrp::report::{EventKind, Reason, State};
use keepvip_proto::vrrp::track::{Track, TrackTarget, TrackValue};
use keepvip_proto::{Apply, Change};

const SECOND: Duration = Duration::from_secs(1);

fn owner() -> RouterConfig {
    RouterConfig {
        priority: 255,
        initial_master: true,
        ..config()
    }
}

/// A start with a delay of ten seconds.
fn held(config: RouterConfig) -> (Bench, Instant) {
    let mut bench = Bench::bare(false);
    let end = bench.now + SECOND.times(10);
    bench.core.apply(
        bench.now,
        Apply {
            changes: vec![Change::Add {
                slot: 0,
                config: Box::new(config),
            }],
            hold_until: Some(end),
            ..Apply::default()
        },
    );
    bench.turn();
    (bench, end)
}

// 1.1: the start-up delay.

#[test]
fn a_fault_that_ends_during_the_startup_delay_does_not_shorten_it() {
    for (config, wait) in [
        (config(), Duration::from_micros(3_609_375)),
        (owner(), Duration::from_micros(1)),
    ] {
        let (mut bench, end) = held(config);
        bench.core.handle_link(link(false));
        bench.turn();
        bench.run(SECOND);
        bench.core.handle_link(link(true));
        bench.turn();
        assert_eq!(bench.state(0), State::Backup);
        assert_eq!(bench.core.next_protocol_deadline(0), Some(end + wait));
        bench.run(SECOND.times(9));
        assert_eq!((bench.adverts.len(), bench.ops.len()), (0, 0));
    }
}

#[test]
fn a_first_result_during_the_startup_delay_does_not_shorten_it() {
    let tracking = RouterConfig {
        tracks: vec![Track {
            target: TrackTarget::Value(0),
            weight: 0,
            reverse: false,
        }],
        ..config()
    };
    let (mut bench, end) = held(tracking);
    bench.core.handle_track(0, TrackValue::Good);
    bench.turn();
    assert_eq!(
        bench.core.next_protocol_deadline(0),
        Some(end + Duration::from_micros(3_609_375))
    );
}

// 1.3: priority 0, learnt interval, invalid adverts.

#[test]
fn priority_0_leaves_only_the_skew_whoever_sends_it() {
    let mut bench = Bench::new(vec![config()]);
    bench.hear(&Packet::default());
    bench.run(SECOND);
    bench.hear(&Packet {
        priority: 0,
        ..Packet::default()
    });
    let skew = Duration::from_micros(156 * 1_000_000 / 256);
    assert_eq!(bench.core.next_protocol_deadline(0), Some(bench.now + skew));
    bench.run(SECOND);
    assert_eq!(bench.moves(0).last(), Some(&(State::Master, Reason::PriorityZero)));
}

#[test]
fn an_advert_in_fault_is_ignored() {
    let mut bench = Bench::new(vec![config()]);
    bench.core.handle_link(link(false));
    bench.turn();
    bench.events.clear();
    bench.hear(&Packet::default());
    bench.hear(&Packet {
        ttl: 3,
        ..Packet::default()
    });
    let status = bench.core.status(0).unwrap();
    assert_eq!((status.master, status.stats.advert_rcvd), (None, 0));
    assert_eq!(bench.events, []);
}

// 1.4: what a master does.

#[test]
fn lower_prio_no_advert_keeps_the_rhythm_whatever_comes() {
    let mut bench = Bench::new(vec![RouterConfig {
        lower_prio_no_advert: true,
        ..config()
    }]);
    bench.become_master();
    bench.run(Duration::from_millis(300));
    let deadline = bench.core.next_protocol_deadline(0);
    let sent = bench.adverts.len();
    bench.hear(&Packet {
        priority: 0,
        ..Packet::default()
    });
    assert_eq!(
        bench.adverts.len(),
        sent + 1,
        "priority 0 is answered at once all the same"
    );
    assert_eq!(bench.core.next_protocol_deadline(0), deadline);
}

#[test]
fn our_own_address_with_our_own_priority_is_only_worth_a_word() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    let (deadline, sent) = (bench.core.next_protocol_deadline(0), bench.adverts.len());
    bench.hear(&Packet {
        source: OWN,
        priority: 100,
        ..Packet::default()
    });
    assert_eq!((bench.state(0), bench.adverts.len()), (State::Master, sent));
    assert_eq!(bench.core.next_protocol_deadline(0), deadline);
    assert_eq!(bench.rejected().len(), 1);
}

#[test]
fn two_owners_the_higher_answers_twice_waits_and_gives_way() {
    let mut bench = Bench::new(vec![owner()]);
    bench.run(SECOND);
    // The other one has the lower address and does not step back.
    let other = Packet {
        source: last_octet(1),
        priority: 255,
        ..Packet::default()
    };
    let mut heard = 0;
    while bench.state(0) == State::Master {
        bench.hear(&other);
        heard += 1;
        assert!(heard < 10);
        if bench.state(0) == State::Master {
            bench.run(SECOND);
        }
    }
    // Two answers; the third comes within the patience of 1.2 s after the second, the fourth does not.
    assert_eq!(heard, 4);
    assert_eq!(bench.moves(0).last(), Some(&(State::Backup, Reason::DuplicateOwner)));
    assert!(bench.told(|kind| matches!(kind, EventKind::PriorityChange { priority: 254, .. })));
    // It is an owner again once the other one says something lower.
    bench.hear(&Packet { priority: 100, ..other });
    assert_eq!(bench.core.status(0).unwrap().priority, 255);
    bench.run(SECOND.times(4));
    assert_eq!(bench.spoken().last(), Some(&(50, 255)));
}

#[test]
fn a_clash_of_owners_long_ago_is_forgotten() {
    let mut bench = Bench::new(vec![owner()]);
    bench.run(SECOND);
    let other = Packet {
        source: last_octet(1),
        priority: 255,
        ..Packet::default()
    };
    for _ in 0..2 {
        bench.hear(&other);
        bench.run(SECOND);
    }
    bench.run(SECOND.times(3600));
    let sent = bench.adverts.len();
    bench.hear(&other);
    assert_eq!((bench.state(0), bench.adverts.len()), (State::Master, sent + 1));
}

#[test]
fn an_owner_with_the_lower_address_steps_back() {
    let mut bench = Bench::new(vec![owner()]);
    bench.run(SECOND);
    bench.hear(&Packet {
        priority: 255,
        ..Packet::default()
    });
    assert_eq!(bench.moves(0).last(), Some(&(State::Backup, Reason::DuplicateOwner)));
    assert_eq!(bench.core.status(0).unwrap().priority, 255);
}

#[test]
fn an_owner_that_ignores_adverts_drops_them_in_every_state() {
    let mut bench = Bench::new(vec![RouterConfig {
        owner_ignore_adverts: true,
        initial_master: false,
        ..owner()
    }]);
    let deadline = bench.core.next_protocol_deadline(0);
    let other = Packet {
        priority: 255,
        ..Packet::default()
    };
    bench.hear(&other);
    assert_eq!(bench.core.next_protocol_deadline(0), deadline);
    bench.run(SECOND.times(4));
    bench.hear(&other);
    assert_eq!((bench.state(0), bench.rejected().len()), (State::Master, 0));
}

// 1.6: leaving.

#[test]
fn priority_0_is_the_last_word_even_when_an_advert_waits_to_leave() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    bench.adverts.clear();
    // Both in one wake-up: something that is answered at once, and the end of the source address.
    bench.receive(&Packet {
        priority: 50,
        ..Packet::default()
    });
    bench.core.shutdown(bench.now, true);
    bench.turn();
    assert_eq!(bench.spoken(), [(50, 0)]);
}

#[test]
fn a_removed_address_owner_in_backup_says_nothing() {
    let mut bench = Bench::new(vec![config()]);
    bench.reload(vec![Change::Remove { slot: 0 }], vec![]);
    assert_eq!((bench.adverts.len(), bench.ops.len()), (0, 0));
}

// 4: what cannot be sent.

#[test]
fn a_farewell_that_a_dead_interface_refuses_is_not_worth_a_word() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    let failed = |bench: &Bench| {
        bench
            .events
            .iter()
            .filter(|event| matches!(event.kind, EventKind::SendFailed { .. }))
            .count()
    };
    bench.core.handle_send_result(bench.now, 0, 105);
    bench.core.handle_send_result(bench.now, 0, 105);
    bench.turn();
    assert_eq!(failed(&bench), 1);
    bench.core.handle_send_result(bench.now, 0, 0);
    bench.core.handle_link(link(false));
    bench.turn();
    bench.core.handle_send_result(bench.now, 0, 101);
    bench.turn();
    assert_eq!(failed(&bench), 1);
}

// 3: interfaces.

const ETH9: IfId = IfId { netns: 0, index: 9 };

fn eth9(id: IfId, up: bool) -> LinkFact {
    LinkFact {
        id,
        name: IfName::new("eth9").unwrap(),
        ..link(up)
    }
}

fn on_eth9(no_track: bool) -> RouterConfig {
    RouterConfig {
        vips: vec![Vip {
            dev: IfName::new("eth9"),
            no_track,
            ..vip("10.0.0.1")
        }],
        ..config()
    }
}

fn done(bench: &Bench) -> Vec<(bool, IfId)> {
    bench.ops.iter().map(|op| (op.install, op.interface)).collect()
}

#[test]
fn an_address_goes_to_the_new_interface_when_its_own_is_created_anew() {
    for no_track in [false, true] {
        let mut bench = Bench::bare(false);
        bench.core.handle_link(eth9(ETH9, true));
        bench.add(vec![on_eth9(no_track)], vec![]);
        bench.become_master();
        let mut known = ETH9;
        // Both between two wake-ups: no fault. The index may be the old one.
        for index in [10, 10, 9] {
            bench.ops.clear();
            bench.core.handle_link_gone(known);
            known = IfId { netns: 0, index };
            bench.core.handle_link(eth9(known, true));
            bench.turn();
            assert_eq!(bench.state(0), State::Master);
            assert_eq!(done(&bench), [(true, known)]);
            assert!(bench.core.status(0).unwrap().addresses_installed);
        }
    }
}

#[test]
fn an_address_without_tracking_waits_for_its_interface() {
    let mut bench = Bench::new(vec![on_eth9(true)]);
    bench.become_master();
    assert!(!bench.core.status(0).unwrap().addresses_installed);
    bench.core.handle_link(eth9(ETH9, true));
    bench.turn();
    assert_eq!(done(&bench), [(true, ETH9)]);
    assert!(
        !bench.told(|kind| matches!(kind, EventKind::AddressRestored { .. })),
        "nobody took it"
    );
    // And when that one goes for a while, it waits again.
    bench.core.handle_link_gone(ETH9);
    bench.turn();
    assert_eq!((bench.state(0), bench.ops.len()), (State::Master, 1));
    bench.core.handle_link(eth9(ETH9, true));
    bench.turn();
    assert_eq!(bench.ops.len(), 2);
}

#[test]
fn an_address_is_taken_off_the_interface_that_has_it_whatever_it_is_called_now() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    bench.core.handle_link(LinkFact {
        name: IfName::new("wan").unwrap(),
        ..link(true)
    });
    bench.turn();
    assert_eq!(bench.moves(0), [(State::Fault, Reason::InterfaceMissing)]);
    assert_eq!(done(&bench), [(false, ETH0)]);
}

#[test]
fn a_new_source_address_is_used_from_the_next_advert_on() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    bench.core.handle_address(AddressFact {
        addr: last_octet(33),
        ..address(OWN, 24)
    });
    bench.core.handle_address_gone(ETH0, OWN, 24);
    bench.run(SECOND);
    assert_eq!(bench.state(0), State::Master);
    assert_eq!(bench.adverts.last().unwrap()[12..16], [10, 0, 0, 33]);
}
