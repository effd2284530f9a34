//! Addresses: many at once, taken away by others, left behind by a killed daemon.

mod support;

use std::time::Duration;

use keepvip_io::RecordKind;
use keepvip_proto::engine::{Apply, Change};
use keepvip_proto::vrrp::config::{IfName, RouterConfig};
use keepvip_proto::vrrp::report::{EventKind, State};
use support::frame::advert;
use support::tap::Tap;
use support::{Node, pair, router, vip};

fn with_vips(count: usize) -> RouterConfig {
    RouterConfig {
        vips: (0..count)
            .map(|i| vip(&format!("10.20.{}.{}", i / 200, i % 200 + 1), 32))
            .collect(),
        ..router("left", 1, 200)
    }
}

#[test]
fn two_hundred_addresses_delay_no_advert_and_are_there_when_it_is_told() {
    if !support::privileged() {
        return;
    }
    let (a, b) = pair();
    let tap = Tap::open(&b, "right");
    // The second router is master before the first one installs anything.
    let mut other = router("left", 2, 255);
    other.initial_master = true;
    let mut node = Node::running(&a, [with_vips(200), other], false);
    node.wait_state(0, State::Master);
    assert_eq!(a.ask("-4 -o addr show dev left").matches("10.20.").count(), 200);
    let frames = tap.collect(Duration::from_millis(300));
    let mut last = None;
    let mut seen = 0;
    for advert in frames.iter().filter_map(advert).filter(|advert| advert.vrid == 2) {
        let gap_us = last.map_or(0, |last| advert.at_us - last);
        assert!(gap_us < 130_000, "{gap_us} µs without an advert");
        last = Some(advert.at_us);
        seen += 1;
    }
    assert!(seen >= 3, "only {seen} adverts");
    node.stop();
    assert_eq!(a.ask("-4 -o addr show dev left").matches("10.20.").count(), 0);
}

#[test]
fn an_address_carries_all_its_attributes() {
    if !support::privileged() {
        return;
    }
    let (a, _b) = pair();
    let mut config = router("left", 1, 200);
    let mut labelled = vip("192.0.2.7", 24);
    labelled.broadcast = Some("192.0.2.255".parse().unwrap());
    labelled.label = IfName::new("left:vip");
    labelled.scope = 253;
    let mut peer = vip("192.0.2.99", 32);
    peer.peer = Some("198.51.100.1".parse().unwrap());
    let mut silent = vip("2001:db8::7", 64);
    silent.flags = 2;
    silent.preferred_lft_s = Some(0);
    config.vips = vec![labelled, peer, silent];
    let mut node = Node::running(&a, [config], false);
    node.wait_state(0, State::Master);
    let shown = a.ask("addr show dev left");
    assert!(
        shown.contains("inet 192.0.2.7/24 brd 192.0.2.255 scope link"),
        "{shown}"
    );
    assert!(shown.contains("left:vip"), "{shown}");
    assert!(shown.contains("inet 192.0.2.99 peer 198.51.100.1/32"), "{shown}");
    assert!(
        shown.contains("inet6 2001:db8::7/64 scope global nodad deprecated"),
        "{shown}"
    );
    node.stop();
    let shown = a.ask("addr show dev left");
    assert!(!shown.contains("192.0.2.") && !shown.contains("2001:db8::7"), "{shown}");
}

#[test]
fn an_address_that_somebody_deletes_comes_back() {
    if !support::privileged() {
        return;
    }
    let (a, _b) = pair();
    let mut node = Node::running(&a, [with_vips(3)], false);
    node.wait_state(0, State::Master);
    for round in 1..=3 {
        a.ip("addr del 10.20.0.2/32 dev left");
        let count = node.wait_event("the address to be put back", |kind| match kind {
            EventKind::AddressRestored { addr, count, .. } if addr.to_string() == "10.20.0.2" => Some(*count),
            _ => None,
        });
        assert_eq!(count, round);
        assert!(a.ask("-o addr show dev left").contains("10.20.0.2/32"));
    }
    let status = node.blocks[0].read();
    assert_eq!((status.state, status.stats.address_restored), (State::Master, 3));
    node.stop();
}

#[test]
fn what_a_killed_daemon_left_is_removed_and_no_source() {
    if !support::privileged() {
        return;
    }
    let (a, b) = pair();
    a.ip("addr flush dev left; addr add 10.20.0.1/32 dev left; addr add 10.9.0.1/24 dev left");
    let tap = Tap::open(&b, "right");
    let mut node = Node::running(&a, [with_vips(1)], false);
    node.wait_state(0, State::Backup);
    assert!(
        !a.ask("-o addr show dev left").contains("10.20.0.1"),
        "removed before anything is reported"
    );
    node.wait_state(0, State::Master);
    let first = tap.wait("an advert", advert);
    assert_eq!(first.source.to_string(), "10.9.0.1");
    assert!(a.ask("-o addr show dev left").contains("10.20.0.1"));
    node.stop();
}

#[test]
fn a_refused_address_is_told_and_the_others_are_there() {
    if !support::privileged() {
        return;
    }
    let (a, _b) = pair();
    let mut config = with_vips(3);
    // The kernel refuses a multicast address (IPv4 would take it).
    config.vips[1] = vip("ff02::77", 128);
    let mut node = Node::running(&a, [config], false);
    let (addr, errno, install) = node.wait_event("a refusal", |kind| match kind {
        EventKind::AddressFailed {
            addr, errno, install, ..
        } => Some((addr.to_string(), *errno, *install)),
        _ => None,
    });
    assert_eq!((addr.as_str(), install), ("ff02::77", true));
    assert_ne!(errno, 0);
    let shown = a.ask("-o addr show dev left");
    assert!(
        shown.contains("10.20.0.1/32") && shown.contains("10.20.0.3/32"),
        "{shown}"
    );
    node.stop();
}

#[test]
fn a_reload_moves_an_address_and_disturbs_nobody() {
    if !support::privileged() {
        return;
    }
    let (a, b) = pair();
    let mut node = Node::running(&a, [with_vips(2), router("left", 2, 200)], false);
    node.wait_states(&[0, 1], State::Master);
    let tap = Tap::open(&b, "right");
    tap.wait("an advert", |frame| advert(frame).filter(|advert| advert.vrid == 2));
    let mut config = with_vips(2);
    config.vips[1] = vip("10.20.0.77", 32);
    node.apply(Apply {
        changes: vec![Change::Update {
            slot: 0,
            config: Box::new(config),
        }],
        ..Apply::default()
    });
    let mut last = tap
        .wait("an advert", |frame| advert(frame).filter(|advert| advert.vrid == 2))
        .at_us;
    for _ in 0..3 {
        let next = tap
            .wait("an advert", |frame| advert(frame).filter(|advert| advert.vrid == 2))
            .at_us;
        assert!(
            (next - last).abs_diff(100_000) < 20_000,
            "{} µs between two adverts",
            next - last
        );
        last = next;
    }
    let shown = a.ask("-o addr show dev left");
    assert!(
        shown.contains("10.20.0.1/32") && shown.contains("10.20.0.77/32") && !shown.contains("10.20.0.2/32"),
        "{shown}"
    );
    let moved = |record: &&keepvip_io::Record| {
        matches!(
            record.kind,
            RecordKind::Event {
                kind: EventKind::Transition { .. },
                ..
            }
        ) && record.epoch == 2
    };
    node.transitions();
    assert_eq!(node.records.iter().filter(moved).count(), 0);
    node.stop();
}
