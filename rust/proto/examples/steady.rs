//! Steady work for an instruction counter (`benches/instructions.py`): masters that advertise, or a backup that hears.
//!
//! `steady master|backup|filtered|idle ROUTERS INTERVALS`; `idle` sets up and does nothing, so that its instructions can
//! be subtracted.

#![expect(clippy::print_stdout, reason = "a program: it says how much it did")]

#[path = "../tests/bench/mod.rs"]
mod bench;

use std::env;
use std::net::{IpAddr, Ipv4Addr};

use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::config::{IfName, RouterConfig, Version, Vip};
use keepvip_proto::vrrp::output::{AddressFact, IfId, LinkFact};
use keepvip_proto::{AdvertRx, Apply, Change, Core, Noted, Routine};

const INTERVAL: Duration = Duration::from_millis(100);

/// A filter that has always noted one advert since the last look.
struct Filter {
    now: Instant,
}

impl Routine for Filter {
    fn noted(&mut self, _: u32) -> Noted {
        Noted {
            count: 1,
            last: self.now.before(Duration::from_micros(10)),
        }
    }

    fn stop(&mut self, slot: u32) -> Noted {
        self.noted(slot)
    }
}

fn interface(router: u32) -> IfId {
    IfId {
        netns: 0,
        index: 2 + router / 255,
    }
}

fn name(router: u32) -> Option<IfName> {
    IfName::new(&format!("eth{}", router / 255))
}

fn config(router: u32, priority: u8) -> RouterConfig {
    let [_, high, middle, low] = router.to_be_bytes();
    RouterConfig {
        interface: name(router),
        version: Version::V3,
        vrid: u8::try_from(router % 255 + 1).unwrap_or(1),
        priority,
        advert_interval: INTERVAL,
        password: None,
        vips: vec![Vip {
            addr: IpAddr::V4(Ipv4Addr::new(10, high + 1, middle, low)),
            ..bench::vip("10.0.0.1")
        }],
        ..bench::config()
    }
}

fn core_with(routers: u32, priority: u8) -> Core {
    let mut core = Core::new();
    core.begin_resync(0);
    for first in (0..routers).step_by(255) {
        let id = interface(first);
        core.handle_link(LinkFact {
            id,
            name: name(first).unwrap_or_else(|| unreachable!("a short name")),
            ..bench::link(true)
        });
        core.handle_address(AddressFact {
            interface: id,
            ..bench::address(IpAddr::V4(Ipv4Addr::new(192, 168, 0, 1)), 24)
        });
    }
    core.end_resync(Instant::ZERO, 0);
    let changes = (0..routers)
        .map(|slot| Change::Add {
            slot,
            config: Box::new(config(slot, priority)),
        })
        .collect();
    core.apply(
        Instant::from_micros(1),
        Apply {
            changes,
            ..Apply::default()
        },
    );
    core
}

/// Drains what a driver drains; returns the adverts.
fn drain(core: &mut Core, now: Instant) -> u64 {
    let mut adverts = 0;
    while core.poll_advert().is_some() {
        adverts += 1;
    }
    while let Some(op) = core.poll_address_op() {
        core.handle_address_result(now, &op, 0);
    }
    let mut buffer = [0; 128];
    while core.poll_announce(now, &mut buffer).is_some() {}
    while core.poll_membership().is_some() || core.poll_event().is_some() {}
    while let Some(slot) = core.poll_dirty() {
        std::hint::black_box(core.status(slot));
    }
    adverts
}

fn run(core: &mut Core, filter: &mut Filter, end: Instant) -> u64 {
    let mut adverts = 0;
    while let Some(at) = core.poll_at().filter(|&at| at <= end) {
        filter.now = filter.now.max(at);
        core.handle_deadlines_with(filter.now, filter);
        adverts += drain(core, filter.now);
    }
    filter.now = end;
    adverts
}

/// What masters of these routers say, one advert each.
fn adverts_of(routers: u32) -> Vec<(IfId, Vec<u8>)> {
    let mut core = core_with(routers, 200);
    let mut filter = Filter { now: Instant::ZERO };
    core.handle_deadlines(filter.now);
    let mut said = Vec::new();
    while said.len() < routers as usize {
        let Some(at) = core.poll_at() else {
            break;
        };
        filter.now = filter.now.max(at);
        core.handle_deadlines(filter.now);
        while let Some(tx) = core.poll_advert() {
            said.push((tx.interface, tx.bytes.to_vec()));
        }
        drain(&mut core, filter.now);
    }
    said
}

fn main() {
    let asked: Vec<String> = env::args().collect();
    let number = |at: usize| asked.get(at).and_then(|text| text.parse().ok()).unwrap_or(100_u32);
    let (mode, routers, intervals) = (asked.get(1).map_or("master", String::as_str), number(2), number(3));
    let mut filter = Filter {
        now: Instant::from_micros(1),
    };
    let span = INTERVAL.times(intervals.into());
    let done = if mode == "master" || mode == "idle-master" {
        let mut core = core_with(routers, 200);
        core.handle_deadlines(filter.now);
        run(&mut core, &mut filter, Instant::ZERO + INTERVAL.times(60));
        let end = filter.now + span;
        if mode == "master" {
            run(&mut core, &mut filter, end)
        } else {
            0
        }
    } else {
        let said = adverts_of(routers);
        let mut core = core_with(routers, 100);
        core.handle_deadlines(filter.now);
        drain(&mut core, filter.now);
        let rounds = if mode.starts_with("idle") { 2 } else { intervals + 2 };
        let mut heard = 0;
        for round in 0..rounds {
            let now = filter.now;
            for (slot, (interface, bytes)) in (0..).zip(&said) {
                // With the filter the first ones are heard, and then only noted.
                if mode.ends_with("filtered") && round >= 2 {
                    break;
                }
                if let Some(rx) = AdvertRx::from_ipv4(*interface, bytes) {
                    let routine = core.handle_packet_with(now, &rx, &mut filter);
                    if mode.ends_with("filtered") && routine.is_some() {
                        core.watched(now, slot, Noted::default());
                    }
                }
            }
            heard += u64::from(routers);
            core.handle_deadlines_with(now, &mut filter);
            drain(&mut core, now);
            run(&mut core, &mut filter, now + INTERVAL);
        }
        heard
    };
    println!("{done}");
}
