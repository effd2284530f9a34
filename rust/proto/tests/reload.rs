//! Reloads: every field of a router's configuration, in every state (`vrrp-behaviour.md` 16), and the small print.

mod bench;

use bench::{Bench, Packet, add, config, last_octet, link, update, vip};
use keepvip_proto::time::Duration;
use keepvip_proto::vrrp::config::{GarpConfig, IfName, RouterConfig, Vip};
use keepvip_proto::vrrp::report::{EventKind, Faults, Reason, State};
use keepvip_proto::vrrp::track::{Track, TrackTarget, TrackValue};
use keepvip_proto::wire::{AuthField, Ipv4View, Version};
use keepvip_proto::{Apply, Change};

const SECOND: Duration = Duration::from_secs(1);

fn restored(bench: &Bench) -> bool {
    bench.told(|kind| matches!(kind, EventKind::AddressRestored { .. }))
}

/// The VRRP message of the last advert.
fn last_message(bench: &Bench) -> Vec<u8> {
    Ipv4View::new_checked(bench.adverts.last().unwrap())
        .unwrap()
        .payload()
        .to_vec()
}

/// Each field that a reload can change, one at a time, with another value.
fn changed() -> Vec<(&'static str, RouterConfig)> {
    let base = config();
    let mut all = vec![
        (
            "version",
            RouterConfig {
                version: Version::V3,
                ..base.clone()
            },
        ),
        (
            "priority",
            RouterConfig {
                priority: 120,
                ..base.clone()
            },
        ),
        (
            "initial_master",
            RouterConfig {
                initial_master: true,
                ..base.clone()
            },
        ),
        (
            "advert_interval",
            RouterConfig {
                advert_interval: SECOND.times(2),
                ..base.clone()
            },
        ),
        (
            "nopreempt",
            RouterConfig {
                nopreempt: true,
                ..base.clone()
            },
        ),
        (
            "preempt_delay",
            RouterConfig {
                preempt_delay: SECOND.times(9),
                ..base.clone()
            },
        ),
        (
            "down_timer_adverts",
            RouterConfig {
                down_timer_adverts: 5,
                ..base.clone()
            },
        ),
        (
            "skip_check_adv_addr",
            RouterConfig {
                skip_check_adv_addr: true,
                ..base.clone()
            },
        ),
        (
            "lower_prio_no_advert",
            RouterConfig {
                lower_prio_no_advert: true,
                ..base.clone()
            },
        ),
        (
            "higher_prio_send_advert",
            RouterConfig {
                higher_prio_send_advert: true,
                ..base.clone()
            },
        ),
        (
            "owner_ignore_adverts",
            RouterConfig {
                owner_ignore_adverts: true,
                ..base.clone()
            },
        ),
        (
            "checksum_as_v2",
            RouterConfig {
                checksum_as_v2: true,
                ..base.clone()
            },
        ),
        (
            "timer_expired_backup",
            RouterConfig {
                timer_expired_backup: Some(9),
                ..base.clone()
            },
        ),
        (
            "password",
            RouterConfig {
                password: Some(*b"another!"),
                ..base.clone()
            },
        ),
        (
            "no password",
            RouterConfig {
                password: None,
                ..base.clone()
            },
        ),
        (
            "source",
            RouterConfig {
                source: Some(last_octet(77)),
                ..base.clone()
            },
        ),
        (
            "dont_track_primary",
            RouterConfig {
                dont_track_primary: true,
                ..base.clone()
            },
        ),
        (
            "vips",
            RouterConfig {
                vips: vec![vip("10.0.0.8")],
                ..base.clone()
            },
        ),
        (
            "no vips",
            RouterConfig {
                vips: vec![],
                ..base.clone()
            },
        ),
        (
            "tracks",
            RouterConfig {
                tracks: vec![weight(20)],
                ..base.clone()
            },
        ),
    ];
    let garp = GarpConfig {
        refresh: SECOND.times(7),
        ..GarpConfig::default()
    };
    all.push(("garp", RouterConfig { garp, ..base }));
    all
}

const fn weight(weight: i16) -> Track {
    Track {
        target: TrackTarget::Value(0),
        weight,
        reverse: false,
    }
}

#[test]
fn no_field_moves_a_backup_or_a_master_and_both_speak_as_if_started_with_it() {
    for (field, new) in changed() {
        for master in [false, true] {
            let mut bench = Bench::new(vec![config()]);
            bench.run(SECOND.times(if master { 4 } else { 1 }));
            bench.events.clear();
            bench.reload(vec![update(0, new.clone())], vec![]);
            assert_eq!(bench.moves(0), [], "{field}, master: {master}");
            bench.run(SECOND.times(16));
            let mut fresh = Bench::new(vec![new.clone()]);
            fresh.run(SECOND.times(17));
            assert_eq!(bench.state(0), State::Master, "{field}");
            assert_eq!(last_message(&bench), last_message(&fresh), "{field}, master: {master}");
            let source = |bench: &Bench| Ipv4View::new_checked(bench.adverts.last().unwrap()).unwrap().src();
            assert_eq!(source(&bench), source(&fresh), "{field}");
            assert_eq!(
                bench.core.status(0).unwrap().addresses_installed,
                fresh.core.status(0).unwrap().addresses_installed,
                "{field}"
            );
            assert!(!restored(&bench), "{field}");
        }
    }
}

#[test]
fn no_field_but_one_lets_a_router_out_of_fault() {
    for (field, new) in changed() {
        let mut bench = Bench::new(vec![config()]);
        bench.core.handle_link(link(false));
        bench.turn();
        bench.events.clear();
        bench.adverts.clear();
        bench.reload(vec![update(0, new.clone())], vec![]);
        if field == "dont_track_primary" {
            assert_eq!(bench.moves(0), [(State::Backup, Reason::FaultCleared)]);
            continue;
        }
        assert_eq!(bench.moves(0), [], "{field}");
        bench.run(SECOND.times(10));
        assert_eq!((bench.state(0), bench.adverts.len()), (State::Fault, 0), "{field}");
        bench.core.handle_link(link(true));
        bench.run(SECOND.times(20));
        assert_eq!(bench.state(0), State::Master, "{field}");
    }
}

#[test]
fn a_master_whose_down_link_is_tracked_from_now_on_has_a_fault() {
    let untracked = RouterConfig {
        dont_track_primary: true,
        ..config()
    };
    let mut bench = Bench::new(vec![untracked]);
    bench.become_master();
    bench.core.handle_link(link(false));
    bench.turn();
    assert_eq!(bench.state(0), State::Master);
    bench.reload(vec![update(0, config())], vec![]);
    assert_eq!(bench.moves(0), [(State::Fault, Reason::InterfaceDown)]);
    assert!(bench.ops.iter().all(|op| !op.install) && bench.ops.len() == 1);
}

#[test]
fn the_new_interval_counts_from_the_advert_that_the_reload_sends() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    bench.adverts.clear();
    let slow = RouterConfig {
        advert_interval: SECOND.times(5),
        ..config()
    };
    bench.reload(vec![update(0, slow)], vec![]);
    assert_eq!(bench.adverts.len(), 1);
    assert_eq!(bench.core.next_protocol_deadline(0), Some(bench.now + SECOND.times(5)));
}

fn v3(interval: Duration) -> RouterConfig {
    RouterConfig {
        version: Version::V3,
        password: None,
        advert_interval: interval,
        ..config()
    }
}

fn v3_advert(centiseconds: u16) -> Packet {
    Packet {
        version: Version::V3,
        advert_int: centiseconds,
        auth: AuthField::None,
        ..Packet::default()
    }
}

#[test]
fn a_backup_keeps_to_the_interval_that_it_learnt() {
    // The master still sends every second when this node gets its new file first.
    let mut bench = Bench::new(vec![v3(SECOND)]);
    bench.hear(&v3_advert(100));
    let deadline = bench.core.next_protocol_deadline(0);
    bench.reload(vec![update(0, v3(Duration::from_millis(100)))], vec![]);
    assert_eq!(bench.core.next_protocol_deadline(0), deadline);
    bench.run(Duration::from_millis(999));
    assert_eq!(bench.state(0), State::Backup);
    bench.hear(&v3_advert(10));
    let down = Duration::from_micros(300_000 + 100_000 * 156 / 256);
    assert_eq!(bench.core.next_protocol_deadline(0), Some(bench.now + down));
}

#[test]
fn a_backup_that_has_heard_nobody_takes_the_new_interval() {
    let mut bench = Bench::new(vec![v3(SECOND)]);
    let start = bench.now;
    bench.reload(vec![update(0, v3(SECOND.times(2)))], vec![]);
    let down = Duration::from_micros(6_000_000 + 2_000_000 * 156 / 256);
    assert_eq!(bench.core.next_protocol_deadline(0), Some(start + down));
}

#[test]
fn a_preempt_delay_that_is_taken_away_tolerates_nobody_any_longer() {
    let tolerant = RouterConfig {
        preempt_delay: SECOND.times(1000),
        ..config()
    };
    let lower = Packet {
        priority: 50,
        ..Packet::default()
    };
    for (delay, after) in [(0, State::Master), (3, State::Master), (500, State::Backup)] {
        let mut bench = Bench::new(vec![tolerant.clone()]);
        bench.hear(&lower);
        let changed = RouterConfig {
            preempt_delay: SECOND.times(delay),
            ..config()
        };
        bench.reload(vec![update(0, changed)], vec![]);
        for _ in 0..10 {
            bench.run(SECOND);
            bench.hear(&lower);
        }
        assert_eq!(bench.state(0), after, "{delay} s");
    }
}

#[test]
fn a_shorter_refresh_counts_from_the_reload() {
    let with = |seconds| RouterConfig {
        garp: GarpConfig {
            refresh: SECOND.times(seconds),
            delay: Duration::ZERO,
            ..GarpConfig::default()
        },
        ..config()
    };
    let mut bench = Bench::new(vec![with(600)]);
    bench.become_master();
    bench.announced.clear();
    let start = bench.now;
    bench.reload(vec![update(0, with(10))], vec![]);
    bench.run(SECOND.times(25));
    let times: Vec<_> = bench.announced.iter().map(|(at, _)| at.since(start)).collect();
    assert_eq!(times, [SECOND.times(10), SECOND.times(20)]);
    bench.reload(vec![update(0, with(0))], vec![]);
    bench.run(SECOND.times(25));
    assert_eq!(bench.announced.len(), 2);
}

#[test]
fn what_the_kernel_does_not_see_does_not_touch_an_address() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    for vips in [
        vec![Vip {
            no_track: true,
            ..vip("10.0.0.1")
        }],
        vec![Vip {
            advertised: false,
            guarded: false,
            ..vip("10.0.0.1")
        }],
    ] {
        let (announced, sent) = (bench.announced.len(), bench.adverts.len());
        bench.reload(vec![update(0, RouterConfig { vips, ..config() })], vec![]);
        assert_eq!((bench.ops.len(), bench.announced.len()), (0, announced));
        assert_eq!(bench.adverts.len(), sent + 1);
    }
    // Excluded now: held, and not in the advert.
    assert_eq!(last_message(&bench)[3], 0);
    assert!(bench.core.status(0).unwrap().addresses_installed);
}

#[test]
fn an_address_with_other_attributes_is_taken_off_and_put_on_and_nobody_else_did_it() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    let labelled = RouterConfig {
        vips: vec![Vip {
            label: IfName::new("eth0:vip"),
            ..vip("10.0.0.1")
        }],
        ..config()
    };
    bench.reload(vec![update(0, labelled)], vec![]);
    let ops: Vec<_> = bench
        .ops
        .iter()
        .map(|op| (op.install, op.vip.label.is_some()))
        .collect();
    assert_eq!(ops, [(false, false), (true, true)]);
    assert!(!restored(&bench));
    // And the next deletion is somebody else's.
    bench.core.handle_address_gone(bench::ETH0, last_octet(1), 32);
    bench.turn();
    assert!(restored(&bench));
}

#[test]
fn an_address_that_moves_to_another_router_is_not_somebodys_deletion() {
    let other = |vips: &[&str]| RouterConfig {
        vrid: 51,
        vips: vips.iter().map(|text| vip(text)).collect(),
        ..config()
    };
    let mut bench = Bench::new(vec![config(), other(&["10.0.0.5"])]);
    bench.become_master();
    // By an update of both, then by removing the one that has it.
    bench.reload(
        vec![
            update(1, other(&["10.0.0.5", "10.0.0.1"])),
            update(
                0,
                RouterConfig {
                    vips: vec![vip("10.0.0.7")],
                    ..config()
                },
            ),
        ],
        vec![],
    );
    assert!(!restored(&bench));
    bench.reload(
        vec![
            update(1, other(&["10.0.0.5", "10.0.0.1", "10.0.0.7"])),
            Change::Remove { slot: 0 },
        ],
        vec![],
    );
    assert!(!restored(&bench));
    let of_seven: Vec<_> = bench
        .ops
        .iter()
        .filter(|op| op.vip.addr == last_octet(7))
        .map(|op| op.install)
        .collect();
    assert_eq!(of_seven, [true, false, true]);
}

#[test]
fn a_router_that_is_replaced_in_its_slot_starts_clean() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    let other = RouterConfig {
        vrid: 51,
        vips: vec![vip("10.0.0.1")],
        ..config()
    };
    bench.core.apply(
        bench.now,
        Apply {
            changes: vec![Change::Remove { slot: 0 }, add(0, other)],
            ..Apply::default()
        },
    );
    // The kernel answers only now to what the old one wanted.
    bench.turn();
    assert_eq!(bench.spoken().last(), Some(&(50, 0)));
    assert_eq!(bench.state(0), State::Backup);
    bench.announced.clear();
    bench.ops.clear();
    bench.run(SECOND.times(4));
    assert_eq!(bench.state(0), State::Master);
    assert_eq!(bench.ops.iter().map(|op| op.install).collect::<Vec<_>>(), [true]);
    assert_eq!(bench.announced.len(), 5);
    assert!(!restored(&bench));
}

#[test]
fn fewer_addresses_in_the_middle_of_a_batch_do_not_end_it() {
    let garp = GarpConfig {
        garp_interval: Duration::from_millis(100),
        delay: Duration::ZERO,
        repeat: 2,
        ..GarpConfig::default()
    };
    let with = |vips: &[&str]| RouterConfig {
        garp,
        vips: vips.iter().map(|text| vip(text)).collect(),
        ..config()
    };
    let mut bench = Bench::new(vec![with(&["10.0.0.1", "10.0.0.3", "10.0.0.4"])]);
    bench.run(Duration::from_millis(3_610 + 150));
    assert_eq!(bench.announced.len(), 2);
    bench.reload(vec![update(0, with(&["10.0.0.1"]))], vec![]);
    bench.run(SECOND);
    let later: Vec<_> = bench.announced[2..].iter().map(|(_, addr)| *addr).collect();
    assert_eq!(later, [last_octet(1)], "the second round");
}

#[test]
fn an_address_that_is_added_in_the_middle_of_a_batch_is_announced_like_the_others() {
    let garp = GarpConfig {
        garp_interval: Duration::from_millis(100),
        delay: Duration::ZERO,
        repeat: 1,
        ..GarpConfig::default()
    };
    let with = |vips: &[&str]| RouterConfig {
        garp,
        vips: vips.iter().map(|text| vip(text)).collect(),
        ..config()
    };
    let mut bench = Bench::new(vec![with(&["10.0.0.1", "10.0.0.3", "10.0.0.4"])]);
    bench.run(Duration::from_millis(3_610 + 150));
    bench.announced.clear();
    bench.reload(
        vec![update(0, with(&["10.0.0.9", "10.0.0.1", "10.0.0.3", "10.0.0.4"]))],
        vec![],
    );
    bench.run(SECOND);
    let later: Vec<_> = bench.announced.iter().map(|(_, addr)| *addr).collect();
    assert_eq!(later, [9, 1, 3, 4].map(last_octet));
}

#[test]
fn a_duplicate_vrid_is_no_fault_any_longer_when_the_other_is_gone() {
    let twin = RouterConfig {
        vips: vec![vip("10.0.0.5")],
        ..config()
    };
    let mut bench = Bench::new(vec![config(), twin.clone()]);
    assert_eq!((bench.state(0), bench.state(1)), (State::Backup, State::Fault));
    // Adverts are for the one that works.
    bench.hear(&Packet::default());
    assert_eq!(bench.core.status(0).unwrap().stats.advert_rcvd, 1);
    // A change of both, in any order, changes nothing about it.
    bench.reload(
        vec![
            update(1, RouterConfig { priority: 90, ..twin }),
            update(
                0,
                RouterConfig {
                    priority: 90,
                    ..config()
                },
            ),
        ],
        vec![],
    );
    assert_eq!((bench.state(0), bench.state(1)), (State::Backup, State::Fault));
    bench.reload(vec![Change::Remove { slot: 0 }], vec![]);
    assert_eq!(bench.core.status(1).unwrap().faults, Faults::NONE);
    assert_eq!(bench.state(1), State::Backup);
}

#[test]
fn a_tracker_that_is_new_is_neutral_until_its_first_result() {
    let tracking = RouterConfig {
        tracks: vec![weight(0)],
        ..config()
    };
    for master in [false, true] {
        for (result, after) in [(TrackValue::Good, None), (TrackValue::Bad, Some(State::Fault))] {
            let mut bench = Bench::new(vec![config()]);
            bench.run(SECOND.times(if master { 4 } else { 1 }));
            bench.events.clear();
            let before = bench.state(0);
            bench.reload(vec![update(0, tracking.clone())], vec![]);
            assert_eq!(bench.moves(0), []);
            bench.core.handle_track(0, result);
            bench.turn();
            assert_eq!(bench.state(0), after.unwrap_or(before));
        }
    }
}

#[test]
fn a_router_in_fault_that_gets_a_new_tracker_leaves_with_its_own_fault() {
    let mut bench = Bench::new(vec![config()]);
    bench.core.handle_link(link(false));
    bench.turn();
    let tracking = RouterConfig {
        tracks: vec![weight(0)],
        ..config()
    };
    bench.reload(vec![update(0, tracking)], vec![]);
    bench.core.handle_link(link(true));
    bench.turn();
    assert_eq!(bench.state(0), State::Backup);
}

#[test]
fn a_router_that_waits_for_a_first_result_starts_when_the_tracker_is_taken_away() {
    let tracking = RouterConfig {
        tracks: vec![weight(0)],
        ..config()
    };
    let mut bench = Bench::new(vec![tracking]);
    assert_eq!(bench.moves(0), []);
    bench.reload(vec![update(0, config())], vec![]);
    assert_eq!(bench.moves(0), [(State::Backup, Reason::Startup)]);
}

#[test]
fn a_result_that_a_reload_forgets_is_neutral() {
    let tracking = RouterConfig {
        tracks: vec![weight(0)],
        ..config()
    };
    let mut bench = Bench::new(vec![tracking]);
    bench.core.handle_track(0, TrackValue::Bad);
    bench.turn();
    assert_eq!(bench.state(0), State::Fault);
    bench.core.handle_track(0, TrackValue::Unknown);
    bench.turn();
    assert_eq!(bench.state(0), State::Backup);
}

#[test]
fn nothing_starts_again_after_the_end() {
    let mut bench = Bench::new(vec![config()]);
    bench.core.shutdown(bench.now, true);
    bench.turn();
    bench.events.clear();
    bench.reload(vec![add(1, RouterConfig { vrid: 51, ..config() })], vec![]);
    bench.run(SECOND.times(10));
    assert_eq!((bench.events.len(), bench.adverts.len()), (0, 0));
}
