//! The world: nodes, LANs and time. What is done to it is in `act.rs`, what nodes do in `deliver.rs`.

use std::collections::HashSet;

use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::config::{IfName, RouterConfig};
use keepvip_proto::vrrp::report::State;

use crate::network::{Network, Quality};
use crate::node::{Node, NodeId, NodeState};
use crate::random::Random;
use crate::trace::Entry;

/// The configuration of one node: its routers by slot, and its sync groups.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Routers; the position is the slot.
    pub routers: Vec<RouterConfig>,
    /// Sync groups, as lists of slots.
    pub groups: Vec<Vec<u32>>,
    /// What the node calls its interface on each LAN; `eth0`, `eth1` ... where nothing is said.
    pub interfaces: Vec<IfName>,
    /// `vrrp_startup_delay`.
    pub startup_delay: Duration,
}

/// The world. A clone goes its own way from there.
#[derive(Clone, Debug)]
pub struct World {
    pub(crate) now: Instant,
    pub(crate) nodes: Vec<Node>,
    pub(crate) setups: Vec<Setup>,
    pub(crate) network: Network,
    pub(crate) quality: Vec<Quality>,
    /// Pairs of nodes that do not hear each other on a LAN, by direction.
    pub(crate) cut: HashSet<(usize, NodeId, NodeId)>,
    /// When a paused node goes on.
    pub(crate) resume_at: Vec<Option<Instant>>,
    /// The next moment at which a node wakes for its deadline.
    pub(crate) wake: Vec<Option<Instant>>,
    pub(crate) random: Random,
    pub(crate) trace: Vec<Entry>,
    /// Keep a line for every advert too.
    pub trace_adverts: bool,
    /// Longest time that a running node needs to notice an event.
    pub wake_latency: Duration,
}

impl World {
    /// Nodes that are not started yet, on `lans` LANs.
    #[must_use]
    pub fn new(setups: Vec<Setup>, lans: usize, seed: u64) -> Self {
        let count = setups.len();
        Self {
            now: Instant::from_micros(1_000_000),
            nodes: setups
                .iter()
                .zip(0..)
                .map(|(setup, id)| Node::new(id, lans, &setup.interfaces))
                .collect(),
            setups,
            network: Network::default(),
            quality: vec![Quality::default(); lans],
            cut: HashSet::new(),
            resume_at: vec![None; count],
            wake: vec![None; count],
            random: Random::new(seed),
            trace: Vec::new(),
            trace_adverts: false,
            wake_latency: Duration::ZERO,
        }
    }

    /// The time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// A node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// Number of nodes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// True for a world without nodes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The configuration of a node.
    #[must_use]
    pub fn setup(&self, id: NodeId) -> &Setup {
        &self.setups[id]
    }

    /// Everything that happened.
    #[must_use]
    pub fn trace(&self) -> &[Entry] {
        &self.trace
    }

    /// Everything that happened since this was last asked.
    pub fn take_trace(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.trace)
    }

    /// The trace as text, one line each.
    #[must_use]
    pub fn trace_text(&self) -> String {
        self.trace.iter().map(|entry| format!("{entry}\n")).collect()
    }

    /// State of a router on a node; `None` when the node does not run.
    #[must_use]
    pub fn state(&self, node: NodeId, slot: u32) -> Option<State> {
        let node = &self.nodes[node];
        if node.state == NodeState::Dead {
            return None;
        }
        node.core.status(slot).map(|status| status.state)
    }

    /// Running (not paused, not dead) nodes where the router is master.
    #[must_use]
    pub fn masters(&self, slot: u32) -> Vec<NodeId> {
        let running = |&id: &NodeId| self.nodes[id].state == NodeState::Running;
        (0..self.nodes.len())
            .filter(running)
            .filter(|&id| self.state(id, slot) == Some(State::Master))
            .collect()
    }

    /// Runs for `span`.
    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until `done` holds, at most for `span`; returns how long it took.
    pub fn run_until(&mut self, span: Duration, mut done: impl FnMut(&Self) -> bool) -> Option<Duration> {
        let start = self.now;
        while !done(self) {
            if !self.step(start + span) {
                self.now = start + span;
                return done(self).then(|| self.now.since(start));
            }
        }
        Some(self.now.since(start))
    }

    /// The next thing that happens, if it happens until `end`.
    fn step(&mut self, end: Instant) -> bool {
        let packet = self.network.next_at();
        let resume = self.resume_at.iter().flatten().min().copied();
        let wake = self.wake.iter().flatten().min().copied();
        let Some(next) = [packet, resume, wake]
            .into_iter()
            .flatten()
            .min()
            .filter(|&at| at <= end)
        else {
            return false;
        };
        self.now = next.max(self.now);
        if resume == Some(next) {
            if let Some(id) = self.resume_at.iter().position(|&at| at == Some(next)) {
                self.resume(id);
            }
        } else if packet == Some(next) {
            self.receive();
        } else if let Some(id) = self.wake.iter().position(|&at| at == Some(next)) {
            self.wake_up(id);
        }
        true
    }
}
