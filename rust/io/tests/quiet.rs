//! Routine adverts wake nobody, and nothing else is different.

mod support;

use std::net::Ipv4Addr;
use std::time::Duration;

use keepvip_io::{FilterOptions, Modes, Options, Receive, RecordKind};
use keepvip_proto::vrrp::config::RouterConfig;
use keepvip_proto::vrrp::report::{EventKind, Reason, State};
use support::frame::{advert, forged};
use support::tap::{Frame, Tap};
use support::{Netns, Node, pair, router, router_v6};

/// 100 ms and version 3, as all of them here.
const ROUTERS: u8 = 20;

fn node(netns: &Netns, receive: Receive, routers: impl IntoIterator<Item = RouterConfig>) -> Node {
    let options = Options {
        rt_priority: None,
        lock_memory: false,
        filter: FilterOptions::default(),
        modes: Modes {
            receive,
            ..Modes::default()
        },
    };
    let mut node = Node::start_with(netns, options);
    assert_eq!(node.engine.modes().receive, receive, "{:?}", node.engine.notices());
    node.add(routers, false);
    node
}

fn routers(interface: &str, priority: u8) -> Vec<RouterConfig> {
    let v4 = (1..=ROUTERS).map(|vrid| router(interface, vrid, priority));
    v4.chain((1..=ROUTERS).map(|vrid| router_v6(interface, vrid, priority)))
        .collect()
}

/// Wake-ups of a backup of 40 routers while it hears twenty adverts of each.
fn wakeups(receive: Receive) -> u64 {
    let (a, b) = pair();
    let slots: Vec<u32> = (0..2 * u32::from(ROUTERS)).collect();
    let mut left = node(&a, receive, routers("left", 200));
    left.wait_states(&slots, State::Master);
    let mut right = node(&b, receive, routers("right", 100));
    right.wait_states(&slots, State::Backup);
    right.wait_heard(0, 5);
    let (woken, heard) = (right.engine.status().wakeups, right.blocks[0].read().stats.advert_rcvd);
    for slot in &slots {
        right.wait_heard(*slot as usize, heard + 20);
    }
    let woken = right.engine.status().wakeups - woken;
    for slot in &slots {
        let sent = left.blocks[*slot as usize].read().stats.advert_sent;
        let status = right.blocks[*slot as usize].read();
        let stats = status.stats;
        assert_eq!(status.state, State::Backup);
        assert!(stats.advert_rcvd <= sent && stats.rejects.iter().all(|&count| count == 0));
    }
    assert_eq!(
        right
            .transitions()
            .iter()
            .filter(|(_, to)| *to == State::Master)
            .count(),
        0
    );
    left.stop();
    right.stop();
    woken
}

#[test]
fn forty_routers_wake_it_a_few_times_per_interval() {
    if !support::privileged() {
        return;
    }
    let filtered = wakeups(Receive::Filter);
    // 2.2 s: four ticks per interval at most, and what a test machine adds.
    assert!(filtered <= 150, "{filtered} wake-ups for {} adverts", 40 * 20);
}

#[test]
fn what_is_not_routine_is_heard_at_once() {
    if !support::privileged() {
        return;
    }
    let (a, b) = pair();
    let mut left = node(&a, Receive::Filter, [router("left", 1, 200), router("left", 2, 200)]);
    left.wait_states(&[0, 1], State::Master);
    let mut right = node(&b, Receive::Filter, [router("right", 1, 100), router("right", 2, 100)]);
    right.wait_states(&[0, 1], State::Backup);
    right.wait_heard(0, 8);

    // Priority 0 of the master: after the skew, not after the master down interval.
    let tap = Tap::open(&b, "right");
    let source = tap
        .wait("an advert of the master", |frame: &Frame| {
            advert(frame).filter(|seen| seen.vrid == 1)
        })
        .source;
    let tap_left = Tap::open(&a, "left");
    tap_left.injector().send(&forged(source, 1, 0));
    let taken = right.wait_state(0, State::Master);
    let RecordKind::Event {
        kind: EventKind::Transition { reason, evidence, .. },
        ..
    } = taken.kind
    else {
        panic!("not a transition: {taken:?}");
    };
    assert_eq!(reason, Reason::PriorityZero);
    assert_eq!(evidence.master_priority, Some(0));
    // The old master goes on, and is heard: what was routine for a backup is not for a master.
    right.wait_state(0, State::Backup);
    assert_eq!(right.blocks[1].read().state, State::Backup);

    // Somebody else of a higher priority: a new master, without a change of state.
    tap_left.injector().send(&forged(Ipv4Addr::new(10, 10, 0, 77), 2, 250));
    let heard = right.blocks[1].read().stats.advert_rcvd;
    right.wait_heard(1, heard + 3);
    assert_eq!(right.transitions().iter().filter(|(slot, _)| *slot == 1).count(), 1);
    left.stop();
    right.stop();
}

#[test]
fn a_dead_master_is_replaced_in_time() {
    if !support::privileged() {
        return;
    }
    let (a, b) = pair();
    let mut left = node(&a, Receive::Filter, [router("left", 1, 200)]);
    left.wait_state(0, State::Master);
    let mut right = node(&b, Receive::Filter, [router("right", 1, 100)]);
    right.wait_state(0, State::Backup);
    right.wait_heard(0, 10);
    let tap = Tap::open(&b, "right");
    let of = |priority| move |frame: &Frame| advert(frame).filter(move |seen| seen.priority == priority);
    let mut last = tap.wait("an advert of the master", of(200));
    left.engine.stop(false).unwrap();
    left.engine.join().unwrap();
    right.wait_state(0, State::Master);
    let frames = tap.collect(Duration::from_millis(20));
    last = frames.iter().filter_map(of(200)).next_back().unwrap_or(last);
    let first = frames.iter().find_map(of(100)).unwrap();
    // Version 3, priority 100: 3 x 100 ms + 156/256 x 100 ms after the last advert, which only the filter saw.
    let added_us = (first.at_us - last.at_us).cast_signed() - 360_937;
    assert!(
        (-50..20_000).contains(&added_us),
        "takeover {added_us} µs after the master down interval"
    );
    right.stop();
}
