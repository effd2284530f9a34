//! The LANs: who hears whom, when, and how often.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use core::net::IpAddr;

use keepvip_proto::AdvertRx;
use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::wire::Family;

use crate::node::interface;
use crate::random::Random;

/// How well a LAN carries packets.
#[derive(Clone, Copy, Debug)]
pub struct Quality {
    /// Packets lost, in a thousand, for each receiver on its own.
    pub loss_per_mille: u64,
    /// Packets that arrive twice, in a thousand.
    pub duplicate_per_mille: u64,
    /// Shortest delay.
    pub delay: Duration,
    /// Random addition to the delay; with it packets overtake each other.
    pub jitter: Duration,
}

impl Default for Quality {
    fn default() -> Self {
        Self {
            loss_per_mille: 0,
            duplicate_per_mille: 0,
            delay: Duration::from_micros(50),
            jitter: Duration::ZERO,
        }
    }
}

/// A packet under way to one receiver.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Packet {
    pub(crate) at: Instant,
    pub(crate) sequence: u64,
    pub(crate) lan: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) family: Family,
    /// As a raw socket delivers it: of IPv4 with the IP header.
    pub(crate) bytes: Vec<u8>,
}

impl Packet {
    /// What the receiver gets; `None` for what is no advert.
    pub(crate) fn received(&self) -> Option<AdvertRx<'_>> {
        let interface = interface(self.lan);
        match self.family {
            Family::V4 => AdvertRx::from_ipv4(interface, &self.bytes),
            Family::V6 => Some(AdvertRx {
                interface,
                family: self.family,
                source: self.source,
                destination: self.destination,
                ttl: 255,
                payload: &self.bytes,
                ah: None,
            }),
        }
    }
}

/// All packets under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    flying: BinaryHeap<Reverse<Packet>>,
    sequence: u64,
}

impl Network {
    pub(crate) fn send(&mut self, now: Instant, packet: Packet, quality: Quality, random: &mut Random) {
        if random.chance(quality.loss_per_mille) {
            return;
        }
        let copies = if random.chance(quality.duplicate_per_mille) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let jitter = Duration::from_micros(random.below(quality.jitter.as_micros() + 1));
            self.sequence += 1;
            let packet = Packet {
                at: now + quality.delay + jitter,
                sequence: self.sequence,
                ..packet.clone()
            };
            self.flying.push(Reverse(packet));
        }
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.flying.peek().map(|Reverse(packet)| packet.at)
    }

    pub(crate) fn arrived(&mut self, now: Instant) -> Option<Packet> {
        if self.next_at()? > now {
            return None;
        }
        self.flying.pop().map(|Reverse(packet)| packet)
    }
}
