//! Thousands of random lives of two to four nodes: kills, stops, pauses, suspensions, splits, loss, doubled and overtaking
//! packets, links that go down, tracked things that fail, reloads in the middle; by multicast and by unicast. What must
//! hold, whatever happened before:
//!
//! 1. Once the LAN is whole and nobody sleeps, there is one master within the time that the protocol allows, and only one.
//! 2. From then on nothing moves until something happens again.
//! 3. Only a master holds addresses, and a master holds all of them.
//! 4. A pause without anything else ends in at most one change of master.
//!
//! A failing seed prints its trace. `KEEPVIP_SIM_SEEDS` sets how many are tried, `KEEPVIP_SIM_SEED` picks one.

#[macro_use]
mod common;

use std::net::IpAddr;

use common::{millis, router, router_v3, secs};
use keepvip_proto::time::Duration;
use keepvip_proto::vrrp::config::{OldChecksum, Peer, RouterConfig, Unicast};
use keepvip_proto::vrrp::report::State;
use keepvip_proto::vrrp::track::{Track, TrackTarget, TrackValue};
use keepvip_proto::wire::Family;
use keepvip_sim::{NodeState, Quality, Random, Setup, World};

const fn weight(number: u32, weight: i16) -> Track {
    Track {
        target: TrackTarget::Value(number),
        weight,
        reverse: false,
    }
}

struct Life {
    world: World,
    random: Random,
    lans: usize,
    routers: u32,
    /// Longest interval, and longest time that any node may wait for a silent master.
    interval: Duration,
    settle: Duration,
}

/// The address that the simulator gives a node on a LAN.
fn host(lan: u8, node: u64) -> IpAddr {
    IpAddr::from([198, 18, lan, u8::try_from(node + 1).unwrap()])
}

fn by_unicast(mut config: RouterConfig, lan: u8, node: u64, nodes: u64) -> RouterConfig {
    let peers = (0..nodes).filter(|&other| other != node).map(|other| Peer {
        addr: host(lan, other),
        min_ttl: 0,
        max_ttl: 255,
    });
    config.source = Some(host(lan, node));
    config.unicast = Some(Unicast {
        peers: peers.collect(),
        ttl: Some(255),
        check_source: true,
        old_checksum: OldChecksum::Detect,
    });
    config
}

fn routers(random: &mut Random, lans: usize, kind: u64, (node, nodes): (u64, u64), priority: u8) -> Vec<RouterConfig> {
    let nopreempt = random.chance(200);
    let delay = random.chance(200).then(|| millis(random.below(3000)));
    (0..lans)
        .map(|lan| {
            let lan = u8::try_from(lan).unwrap();
            let mut config = match kind {
                0 => router(lan, 7, priority),
                1 => router_v3(lan, 7, priority, 100, Family::V4),
                2 => by_unicast(router(lan, 7, priority), lan, node, nodes),
                _ => router_v3(lan, 7, priority, 1000, Family::V6),
            };
            config.nopreempt = nopreempt;
            config.preempt_delay = delay.unwrap_or_default();
            config
        })
        .collect()
}

fn birth(seed: u64) -> Life {
    let mut random = Random::new(seed);
    let nodes = 2 + random.below(3);
    let lans = if random.chance(400) { 2 } else { 1 };
    let kind = random.below(4);
    let tracks = random.chance(300);
    let setups = (0..nodes)
        .map(|node| {
            // Equal priorities happen; the addresses decide.
            let priority = u8::try_from(90 + random.below(20)).unwrap();
            let mut routers = routers(&mut random, lans, kind, (node, nodes), priority);
            if tracks {
                routers[0].tracks = vec![weight(0, 0), weight(1, -30)];
            }
            if random.chance(300) {
                for router in &mut routers {
                    router.initial_master = true;
                    router.nopreempt = false;
                }
            }
            let groups = if lans == 2 { vec![vec![0, 1]] } else { vec![] };
            Setup {
                routers,
                groups,
                ..Setup::default()
            }
        })
        .collect();
    let interval = if kind == 1 { millis(100) } else { secs(1) };
    let mut world = World::new(setups, lans, random.next());
    world.wake_latency = Duration::from_micros(random.below(2000));
    for id in (0..world.len()).filter(|_| tracks) {
        world.set_track(id, 0, TrackValue::Good);
        world.set_track(id, 1, TrackValue::Good);
    }
    // A down time, a listening time after a late wake-up, tolerated masters, a group that waits for its last member.
    let settle = interval.times(14) + secs(4);
    Life {
        world,
        random,
        lans,
        routers: u32::try_from(lans).unwrap(),
        interval,
        settle,
    }
}

impl Life {
    fn disturb(&mut self, nodes: usize) {
        let id = usize::try_from(self.random.below(nodes as u64)).unwrap();
        let lan = usize::try_from(self.random.below(self.lans as u64)).unwrap();
        match self.random.below(12) {
            0 => self.world.kill(id),
            1 => self.world.stop(id),
            2 | 3 => {
                let span = millis(self.random.below(9000));
                self.world.pause(id, span);
            }
            9 => {
                let span = millis(self.random.below(9000));
                self.world.suspend(id, span);
            }
            10 => self.world.lose_next(id),
            11 => {
                let number = u32::try_from(self.random.below(2)).unwrap();
                self.world.set_track(id, number, TrackValue::Bad);
            }
            4 => self.world.split(lan, &[id], true),
            5 => {
                let quality = Quality {
                    loss_per_mille: self.random.below(500),
                    duplicate_per_mille: self.random.below(300),
                    delay: Duration::from_micros(50),
                    jitter: Duration::from_micros(self.random.below(20_000)),
                };
                self.world.set_quality(lan, quality);
            }
            6 => self.world.set_link(id, lan, false),
            7 => {
                let mut setup = self.world.setup(id).clone();
                let priority = u8::try_from(80 + self.random.below(40)).unwrap();
                for router in &mut setup.routers {
                    router.priority = priority;
                    let third = u8::try_from(self.random.below(3)).unwrap();
                    if router.family == Family::V4 {
                        router.vips.push(common::vip(&format!("192.0.2.{third}")));
                        router.vips.dedup();
                    }
                }
                self.world.reload(id, setup);
            }
            _ => {
                if self.world.node(id).state == NodeState::Dead {
                    self.world.start(id);
                }
            }
        }
    }

    /// Everything works again and everybody runs.
    fn heal(&mut self, nodes: usize) {
        for lan in 0..self.lans {
            self.world.set_quality(lan, Quality::default());
            for id in 0..nodes {
                self.world.split(lan, &[id], false);
            }
        }
        // Pauses end by themselves within nine seconds.
        self.world.run(secs(9));
        for id in 0..nodes {
            for lan in 0..self.lans {
                if !self.world.node(id).links_up(lan) {
                    self.world.set_link(id, lan, true);
                }
            }
            for number in 0..2 {
                self.world.set_track(id, number, TrackValue::Good);
            }
            if self.world.node(id).state == NodeState::Dead {
                self.world.start(id);
            }
        }
    }

    fn check_settled(&mut self, seed: u64, nodes: usize) {
        self.world.run(self.settle);
        let before = self.world.trace().len();
        for slot in 0..self.routers {
            let masters = self.world.masters(slot);
            assert!(
                masters.len() == 1,
                "seed {seed}: masters {masters:?} of {slot}\n{}",
                self.world.trace_text()
            );
        }
        if self.lans == 2 {
            same!(self.world, self.world.masters(0), self.world.masters(1));
        }
        for id in 0..nodes {
            for slot in 0..self.routers {
                self.check_addresses(seed, id, slot);
            }
        }
        self.world.run(self.interval.times(20));
        let moved = self.world.trace().len() - before;
        assert!(
            moved == 0,
            "seed {seed}: something moved in a quiet world\n{}",
            self.world.trace_text()
        );
    }

    fn check_addresses(&self, seed: u64, id: usize, slot: u32) {
        let config = &self.world.setup(id).routers[slot as usize];
        let master = self.world.state(id, slot) == Some(State::Master);
        for vip in &config.vips {
            let held = self
                .world
                .node(id)
                .installed
                .iter()
                .any(|(_, addr, _)| *addr == vip.addr);
            assert!(
                held == master,
                "seed {seed}: node {id} holds {}: {held}\n{}",
                vip.addr,
                self.world.trace_text()
            );
        }
    }
}

fn live(seed: u64) {
    let mut life = birth(seed);
    let nodes = life.world.len();
    for id in 0..nodes {
        if life.random.chance(900) {
            life.world.start(id);
        }
    }
    for _ in 0..3 {
        for _ in 0..=life.random.below(8) {
            let span = millis(life.random.below(4000));
            life.world.run(span);
            life.disturb(nodes);
        }
        life.heal(nodes);
        life.check_settled(seed, nodes);
    }
}

#[test]
fn every_life_settles() {
    if let Ok(seed) = std::env::var("KEEPVIP_SIM_SEED") {
        live(seed.parse().unwrap());
        return;
    }
    let count = std::env::var("KEEPVIP_SIM_SEEDS").map_or(10_000, |text| text.parse().unwrap());
    for seed in 0..count {
        live(seed);
    }
}

#[test]
fn a_pause_is_no_flap() {
    for seed in 0..500 {
        let mut life = birth(seed);
        let nodes = life.world.len();
        for id in 0..nodes {
            life.world.start(id);
        }
        life.world.run(life.settle);
        life.check_settled(seed, nodes);
        let id = usize::try_from(life.random.below(nodes as u64)).unwrap();
        let span = millis(life.random.below(12_000));
        life.world.pause(id, span);
        life.world.run(span);
        let from = life.world.trace().len();
        life.world.run(life.settle + secs(5));
        for node in 0..nodes {
            for slot in 0..life.routers {
                let changes = common::transitions(&life.world, node, slot, from).len();
                assert!(
                    changes <= 2,
                    "seed {seed}: node {node} changed {changes} times\n{}",
                    life.world.trace_text()
                );
            }
        }
        for slot in 0..life.routers {
            same!(life.world, life.world.masters(slot).len(), 1);
        }
    }
}
