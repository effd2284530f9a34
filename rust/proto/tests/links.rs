//! What is configured of interfaces as such (`vrrp-behaviour.md` 2, 3): belief in changes, other sources of the state,
//! shared paces.

mod bench;

use bench::{Bench, ETH0, ETH1, OWN, Packet, address, config, link, link1, vip};
use keepvip_proto::engine::{LinkConfig, Pace};
use keepvip_proto::time::Duration;
use keepvip_proto::vrrp::config::{IfName, RouterConfig};
use keepvip_proto::vrrp::output::AddressFact;
use keepvip_proto::vrrp::report::{EventKind, State};
use keepvip_proto::vrrp::track::TrackValue;
use keepvip_proto::{Apply, GroupConfig};

const SECOND: Duration = Duration::from_secs(1);

fn rule(name: &str) -> LinkConfig {
    LinkConfig {
        netns: 0,
        name: IfName::new(name).unwrap(),
        down_delay: Duration::ZERO,
        up_delay: Duration::ZERO,
        pace: None,
        polled: None,
    }
}

fn configure(bench: &mut Bench, links: Vec<LinkConfig>, tell_unknown: bool) {
    let apply = Apply {
        links,
        tell_unknown,
        groups: Vec::<GroupConfig>::new(),
        ..Apply::default()
    };
    bench.core.apply(bench.now, apply);
    bench.turn();
}

#[test]
fn a_change_must_last_to_be_believed() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    let slow = LinkConfig {
        down_delay: Duration::from_secs(2),
        up_delay: Duration::from_secs(3),
        ..rule("eth0")
    };
    configure(&mut bench, vec![slow], false);
    bench.core.handle_link(link(false));
    bench.turn();
    bench.run(Duration::from_millis(1900));
    assert_eq!(bench.state(0), State::Master);
    bench.core.handle_link(link(true));
    bench.turn();
    bench.run(Duration::from_secs(10));
    assert_eq!(bench.state(0), State::Master, "it came back in time");
    bench.core.handle_link(link(false));
    bench.turn();
    bench.run(Duration::from_millis(2010));
    assert_eq!(bench.state(0), State::Fault);
    bench.core.handle_link(link(true));
    bench.turn();
    bench.run(Duration::from_millis(2900));
    assert_eq!(bench.state(0), State::Fault);
    bench.run(Duration::from_millis(200));
    assert_eq!(bench.state(0), State::Backup);
}

#[test]
fn the_first_up_is_believed_at_once_and_a_reload_ends_doubts() {
    let slow = LinkConfig {
        down_delay: Duration::from_secs(2),
        up_delay: Duration::from_secs(3),
        ..rule("eth0")
    };
    let mut bench = Bench::bare(false);
    bench.core.handle_link_gone(ETH0);
    bench.core.handle_link(link(false));
    bench.core.handle_address(address(OWN, 24));
    bench.add(vec![config()], vec![]);
    configure(&mut bench, vec![slow], false);
    assert_eq!(bench.state(0), State::Fault);
    bench.core.handle_link(link(true));
    bench.turn();
    assert_eq!(bench.state(0), State::Backup);
    bench.core.handle_link(link(false));
    bench.turn();
    assert_eq!(bench.state(0), State::Backup);
    configure(&mut bench, vec![], false);
    assert_eq!(bench.state(0), State::Fault);
}

#[test]
fn a_polled_link_is_what_the_poll_says() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    bench.core.handle_track(7, TrackValue::Good);
    let polled = LinkConfig {
        polled: Some(7),
        ..rule("eth0")
    };
    configure(&mut bench, vec![polled], false);
    bench.core.handle_link(link(false));
    bench.turn();
    assert_eq!(bench.state(0), State::Master, "rtnetlink is not asked");
    bench.core.handle_track(7, TrackValue::Bad);
    bench.turn();
    assert_eq!(bench.state(0), State::Fault);
    bench.core.handle_link(link(true));
    bench.turn();
    assert_eq!(bench.state(0), State::Fault);
    bench.core.handle_track(7, TrackValue::Good);
    bench.turn();
    assert_eq!(bench.state(0), State::Backup);
}

#[test]
fn interfaces_of_a_group_share_one_pace() {
    let second = RouterConfig {
        interface: IfName::new("eth1"),
        vips: vec![vip("10.1.0.1")],
        ..config()
    };
    let mut bench = Bench::bare(true);
    bench.core.handle_link(link1(true));
    bench.core.handle_address(AddressFact {
        interface: ETH1,
        ..address("10.1.0.2".parse().unwrap(), 24)
    });
    bench.add(vec![config(), second], vec![]);
    let pace = Pace {
        group: 3,
        garp_interval: Duration::from_millis(100),
        gna_interval: Duration::ZERO,
    };
    let rules = ["eth0", "eth1"].map(|name| LinkConfig {
        pace: Some(pace),
        ..rule(name)
    });
    configure(&mut bench, rules.to_vec(), false);
    bench.run(Duration::from_millis(3700));
    assert!(bench.state(0) == State::Master && bench.state(1) == State::Master);
    bench.run(SECOND);
    let times: Vec<_> = bench.announced.iter().map(|(at, _)| *at).collect();
    assert_eq!(times.len(), 10, "five rounds of two");
    assert!(
        times
            .windows(2)
            .all(|pair| pair[1].since(pair[0]).as_micros() >= 100_000)
    );
}

#[test]
fn unknown_virtual_routers_are_told_once() {
    let mut bench = Bench::new(vec![config()]);
    let stranger = |vrid| Packet {
        vrid,
        ..Packet::default()
    };
    let told = |bench: &Bench| {
        let unknown = |kind: &EventKind| matches!(kind, EventKind::UnknownVrid { .. });
        bench.events.iter().filter(|event| unknown(&event.kind)).count()
    };
    bench.hear(&stranger(9));
    assert_eq!(told(&bench), 0);
    configure(&mut bench, vec![], true);
    for vrid in [9, 9, 10, 9] {
        bench.hear(&stranger(vrid));
    }
    assert_eq!(told(&bench), 2);
}
