//! Shared by the tests: routers as a configuration would make them.

#![allow(dead_code, unused_macros, reason = "each test binary uses its own part")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keepvip_proto::time::Duration;
use keepvip_proto::vrrp::config::{GarpConfig, IfName, RouterConfig, Vip};
use keepvip_proto::vrrp::report::{EventKind, Reason, State};
use keepvip_proto::wire::{Family, Version};
use keepvip_sim::{Setup, What, World};

pub(crate) fn vip(text: &str) -> Vip {
    let addr: IpAddr = text.parse().unwrap();
    Vip {
        addr,
        prefix_len: if addr.is_ipv4() { 32 } else { 128 },
        dev: None,
        scope: 0,
        broadcast: None,
        label: None,
        peer: None,
        flags: 0,
        preferred_lft_s: None,
        no_track: false,
        advertised: true,
        guarded: false,
    }
}

pub(crate) fn router(lan: u8, vrid: u8, priority: u8) -> RouterConfig {
    RouterConfig {
        netns: 0,
        interface: IfName::new(&format!("eth{lan}")),
        vmac: None,
        address_links: vec![],
        vrf: None,
        family: Family::V4,
        version: Version::V2,
        vrid,
        priority,
        initial_master: priority == 255,
        advert_interval: Duration::from_secs(1),
        nopreempt: false,
        preempt_delay: Duration::ZERO,
        down_timer_adverts: 3,
        skip_check_adv_addr: false,
        lower_prio_no_advert: false,
        higher_prio_send_advert: false,
        owner_ignore_adverts: false,
        checksum_as_v2: false,
        timer_expired_backup: None,
        password: Some(*b"passw123"),
        hmac: None,
        ah_key: None,
        source: None,
        group: IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18)),
        unicast: None,
        track_source: false,
        dont_track_primary: false,
        vips: vec![vip(&format!("10.{lan}.1.{vrid}"))],
        garp: GarpConfig::default(),
        tracks: vec![],
    }
}

pub(crate) fn router_v3(lan: u8, vrid: u8, priority: u8, interval_ms: u64, family: Family) -> RouterConfig {
    let mut config = router(lan, vrid, priority);
    config.version = Version::V3;
    config.password = None;
    config.advert_interval = Duration::from_millis(interval_ms);
    if family == Family::V6 {
        config.family = family;
        config.group = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12));
        config.vips = vec![vip(&format!("fe80::{lan}:ff:{vrid}"))];
    }
    config
}

pub(crate) fn alone(config: RouterConfig) -> Setup {
    Setup {
        routers: vec![config],
        ..Setup::default()
    }
}

pub(crate) fn world(configs: Vec<RouterConfig>) -> World {
    World::new(configs.into_iter().map(alone).collect(), 1, 1)
}

/// Transitions of a router on a node as (new state, reason), from position `from` of the trace on.
pub(crate) fn transitions(world: &World, node: usize, router: u32, from: usize) -> Vec<(State, Reason)> {
    world.trace()[from..]
        .iter()
        .filter(|entry| entry.node == Some(node))
        .filter_map(|entry| match &entry.what {
            What::Event(event) => match event.kind {
                EventKind::Transition { slot, to, reason, .. } if slot == router => Some((to, reason)),
                _ => None,
            },
            _ => None,
        })
        .collect()
}

pub(crate) const fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

pub(crate) const fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// As `assert!`, with the trace of the world when it fails.
macro_rules! holds {
    ($world:expr, $condition:expr) => {
        assert!($condition, "{}\nseen:\n{}", stringify!($condition), $world.trace_text())
    };
}

/// As `assert_eq!`, with the trace of the world when it fails.
macro_rules! same {
    ($world:expr, $left:expr, $right:expr) => {
        assert_eq!($left, $right, "\nseen:\n{}", $world.trace_text())
    };
}
