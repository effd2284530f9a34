//! Interfaces: many of them, gone and back, known again after rtnetlink lost messages.

mod support;

use keepvip_io::RecordKind;
use keepvip_proto::vrrp::report::{EventKind, Reason, State};
use support::{Netns, Node, cable, pair, router};

/// More than one socket may join groups on (`igmp_max_memberships`, 20).
const MANY: u8 = 45;

#[test]
fn adverts_are_heard_on_more_interfaces_than_a_socket_may_join() {
    if !support::privileged() {
        return;
    }
    let (a, b) = (Netns::new(), Netns::new());
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for i in 1..=MANY {
        let (near, far) = (format!("l{i}"), format!("r{i}"));
        cable(&a, &near, &b, &far);
        a.ip(&format!("addr add 10.9.{i}.1/24 dev {near}"));
        b.ip(&format!("addr add 10.9.{i}.2/24 dev {far}"));
        left.push(router(&near, i, 200));
        right.push(router(&far, i, 100));
    }
    let all: Vec<u32> = (0..u32::from(MANY)).collect();
    let mut left = Node::running(&a, left, false);
    left.wait_states(&all, State::Master);
    let mut right = Node::running(&b, right, false);
    right.wait_states(&all, State::Backup);
    // Long enough for a router that hears nothing to become master.
    for slot in 0..usize::from(MANY) {
        right.wait_heard(slot, 6);
    }
    assert!(!right.transitions().iter().any(|(_, state)| *state == State::Master));
    left.stop();
    right.stop();
}

#[test]
fn a_group_follows_its_interfaces_down_and_up() {
    if !support::privileged() {
        return;
    }
    let (a, b) = pair();
    cable(&a, "left2", &b, "right2");
    a.ip("addr add 10.8.0.1/24 dev left2");
    let mut node = Node::running(&a, [router("left", 1, 200), router("left2", 2, 200)], true);
    node.wait_states(&[0, 1], State::Master);
    a.ip("link set left2 down");
    let fault = node.wait_event("a fault", |kind| match kind {
        EventKind::Transition {
            slot,
            to: State::Fault,
            reason,
            ..
        } => Some((*slot, *reason)),
        _ => None,
    });
    assert_eq!(fault, (1, Reason::InterfaceDown));
    node.wait_states(&[0], State::Fault);
    assert!(
        !a.ask("-o addr show").contains("10.10."),
        "a router in FAULT holds no address"
    );
    a.ip("link set left2 up");
    node.wait_states(&[0, 1], State::Master);
    // No carrier is as good as down.
    b.ip("link set right down");
    node.wait_states(&[0, 1], State::Fault);
    b.ip("link set right up");
    node.wait_states(&[0, 1], State::Master);
    node.stop();
}

#[test]
fn an_interface_may_be_deleted_and_created_again() {
    if !support::privileged() {
        return;
    }
    let (a, b) = pair();
    let mut node = Node::running(&a, [router("left", 1, 100)], false);
    node.wait_state(0, State::Master);
    for _ in 0..3 {
        a.ip("link del left");
        node.wait_state(0, State::Fault);
        cable(&a, "left", &b, "right");
        a.ip("addr add 10.9.0.1/24 dev left");
        node.wait_state(0, State::Master);
        assert!(a.ask("-o addr show dev left").contains("10.10.1.1/32"));
    }
    // It hears on the new interface, too.
    b.ip("addr add 10.9.0.2/24 dev right");
    let mut better = Node::running(&b, [router("right", 1, 200)], false);
    better.wait_state(0, State::Master);
    node.wait_state(0, State::Backup);
    better.stop();
    node.stop();
}

#[test]
fn without_a_source_address_there_is_a_fault_and_then_none() {
    if !support::privileged() {
        return;
    }
    let (a, _b) = pair();
    a.ip("addr flush dev left");
    let mut node = Node::running(&a, [router("left", 1, 100)], false);
    let reason = node.wait_event("a fault", |kind| match kind {
        EventKind::Transition {
            to: State::Fault,
            reason,
            ..
        } => Some(*reason),
        _ => None,
    });
    assert_eq!(reason, Reason::NoSourceAddress);
    a.ip("addr add 10.9.0.7/24 dev left");
    node.wait_state(0, State::Master);
    node.stop();
}

#[test]
fn after_lost_messages_everything_is_read_anew() {
    if !support::privileged() {
        return;
    }
    let (a, _b) = pair();
    let mut node = Node::running(&a, [router("left", 1, 100)], false);
    node.wait_state(0, State::Master);
    support::stopped(node.thread_id(), || {
        // More than the socket holds; then something that only a new reading can tell.
        let line = "addr add 10.99.0.1/32 dev lo\naddr del 10.99.0.1/32 dev lo\n";
        a.batch(&line.repeat(30_000));
        a.ip("addr del 10.10.1.1/32 dev left; addr add 10.9.0.50/24 dev left; addr del 10.9.0.1/24 dev left");
    });
    node.wait_event("the new reading", |kind| (*kind == EventKind::Resynced).then_some(()));
    assert!(node.engine.status().netlink_resyncs >= 1);
    // Deleting the primary address took its secondary along: the router has no source, which is a fault.
    node.wait_state(0, State::Fault);
    a.ip("addr add 10.9.0.60/24 dev left");
    node.wait_state(0, State::Master);
    assert!(a.ask("-o addr show dev left").contains("10.10.1.1/32"));
    node.stop();
}

#[test]
fn a_refused_advert_is_told_once_per_failure() {
    if !support::privileged() {
        return;
    }
    let (a, _b) = pair();
    let mut config = router("left", 1, 100);
    // With this set a link that is down is no fault, and sending on it fails.
    config.dont_track_primary = true;
    let mut node = Node::running(&a, [config], false);
    node.wait_state(0, State::Master);
    for _ in 0..2 {
        a.ip("link set left down");
        let errno = node.wait_event("a refusal", |kind| match kind {
            EventKind::SendFailed { errno, .. } => Some(*errno),
            _ => None,
        });
        assert!(
            matches!(errno, libc::ENETUNREACH | libc::ENETDOWN | libc::ENODEV),
            "errno {errno}"
        );
        let sent = node.blocks[0].read().stats.advert_sent;
        a.ip("link set left up");
        node.wait_sent(0, sent + 5);
    }
    let refusals = node.records.iter().filter(|record| {
        matches!(
            record.kind,
            RecordKind::Event {
                kind: EventKind::SendFailed { .. },
                ..
            }
        )
    });
    assert_eq!(refusals.count(), 2);
    node.stop();
}
