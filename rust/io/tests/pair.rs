//! Two engines on one cable.

mod support;

use std::time::Duration;

use keepvip_io::{Record, RecordKind};
use keepvip_proto::vrrp::report::{EventKind, Reason, State};
use support::frame::{advert, garp};
use support::tap::{Frame, Tap};
use support::{Netns, Node, pair, router, router_v6};

fn reason(record: &Record) -> Reason {
    match record.kind {
        RecordKind::Event {
            kind: EventKind::Transition { reason, .. },
            ..
        } => reason,
        other => panic!("not a transition: {other:?}"),
    }
}

fn holds(netns: &Netns, interface: &str, addr: &str) -> bool {
    netns.ask(&format!("-br addr show dev {interface}")).contains(addr)
}

#[test]
fn one_master_and_a_takeover_after_the_master_down_interval() {
    if !support::privileged() {
        return;
    }
    let (a, b) = pair();
    let mut left = Node::running(&a, [router("left", 1, 200), router("left", 2, 200)], true);
    left.wait_state(0, State::Master);
    let mut right = Node::running(&b, [router("right", 1, 100), router("right", 2, 100)], true);
    right.wait_state(0, State::Backup);
    let tap = Tap::open(&b, "right");
    let heard = |frame: &Frame| advert(frame).filter(|seen| seen.priority == 200);
    let mut last_of_old = tap.wait("an advert of the master", heard);

    // Silence without a farewell, as after a kill.
    left.engine.stop(false).unwrap();
    left.engine.join().unwrap();
    let taken = right.wait_states(&[0, 1], State::Master);
    assert!(matches!(reason(&taken), Reason::MasterDown | Reason::SyncGroup));
    // The report comes after the addresses.
    assert!(holds(&b, "right", "10.10.1.1/32") && holds(&b, "right", "10.10.2.1/32"));

    let frames = tap.collect(Duration::from_millis(20));
    last_of_old = frames.iter().filter_map(heard).next_back().unwrap_or(last_of_old);
    let first_of_new = frames
        .iter()
        .filter_map(advert)
        .find(|seen| seen.priority == 100)
        .unwrap();
    let announced = frames.iter().find(|frame| garp(frame).is_some()).unwrap();
    // Version 3, priority 100: 3 x 100 ms + 156/256 x 100 ms.
    let added_us = (first_of_new.at_us - last_of_old.at_us).cast_signed() - 360_937;
    // A busy test machine may be late, but never early.
    assert!(
        (-50..20_000).contains(&added_us),
        "takeover {added_us} µs after the master down interval"
    );
    assert!(announced.at_us >= first_of_new.at_us, "the advert comes first");
    right.stop();
    assert!(!holds(&b, "right", "10.10.1.1/32"));
}

#[test]
fn a_gentle_stop_hands_over_after_the_skew() {
    if !support::privileged() {
        return;
    }
    let (a, b) = pair();
    let mut left = Node::running(&a, [router("left", 1, 200)], false);
    left.wait_state(0, State::Master);
    let mut right = Node::running(&b, [router("right", 1, 100)], false);
    right.wait_state(0, State::Backup);
    let tap = Tap::open(&b, "right");
    // Being heard once makes it the master that the backup knows.
    tap.wait("an advert", |frame| advert(frame).filter(|seen| seen.priority == 200));
    left.stop();
    assert!(
        !holds(&a, "left", "10.10.1.1"),
        "the addresses go before the last report"
    );
    let taken = right.wait_state(0, State::Master);
    assert_eq!(reason(&taken), Reason::PriorityZero);
    let frames = tap.collect(Duration::from_millis(20));
    let zero = frames
        .iter()
        .filter_map(advert)
        .find(|seen| seen.priority == 0)
        .unwrap();
    let first = frames
        .iter()
        .filter_map(advert)
        .find(|seen| seen.priority == 100)
        .unwrap();
    let added_us = (first.at_us - zero.at_us).cast_signed() - 60_937;
    assert!(
        (-50..20_000).contains(&added_us),
        "takeover {added_us} µs after the skew"
    );
    right.stop();
}

#[test]
fn the_better_one_preempts_and_the_other_yields() {
    if !support::privileged() {
        return;
    }
    let (a, b) = pair();
    let mut right = Node::running(&b, [router("right", 1, 100)], false);
    right.wait_state(0, State::Master);
    let mut left = Node::running(&a, [router("left", 1, 200)], false);
    let taken = left.wait_state(0, State::Master);
    assert_eq!(reason(&taken), Reason::Preempt);
    let yielded = right.wait_state(0, State::Backup);
    assert_eq!(reason(&yielded), Reason::HigherPriority);
    assert!(!holds(&b, "right", "10.10.1.1"));
    left.stop();
    right.stop();
}

#[test]
fn ipv6_works_like_ipv4() {
    if !support::privileged() {
        return;
    }
    let (a, b) = pair();
    let mut left = Node::running(&a, [router_v6("left", 1, 200)], false);
    // Starts in FAULT until the link-local address of the new interface is no longer tentative.
    left.wait_state(0, State::Master);
    let mut right = Node::running(&b, [router_v6("right", 1, 100)], false);
    right.wait_state(0, State::Backup);
    assert!(holds(&a, "left", "2001:db8::1/64") && holds(&a, "left", "fe80::10:1/64"));
    let tap = Tap::open(&b, "right");
    let frame = tap.wait("an IPv6 advert", |frame| {
        (frame.bytes[12..14] == [0x86, 0xdd] && frame.bytes[20] == 112).then(|| frame.bytes.clone())
    });
    // As keepalived 2.2.7 sends it: traffic class 0xc0, hop limit 255, to ff02::12.
    assert_eq!((frame[14], frame[15] & 0xf0, frame[21]), (0x6c, 0x00, 255));
    assert_eq!(&frame[38..54], &[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12]);
    left.stop();
    let taken = right.wait_state(0, State::Master);
    assert_eq!(
        reason(&taken),
        Reason::PriorityZero,
        "it was heard, so checksum and hop limit are right"
    );
    right.stop();
}
