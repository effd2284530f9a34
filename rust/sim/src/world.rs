//! The world: nodes, LANs and time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::config::{IfName, RouterConfig};
use keepvip_proto::vrrp::output::MembershipOp;
use keepvip_proto::vrrp::report::State;
use keepvip_proto::vrrp::track::{TrackId, TrackValue};
use keepvip_proto::wire::{AdvertView, Family};
use keepvip_proto::{Apply, Change, GroupConfig};

use crate::network::{Network, Packet, Quality};
use crate::node::{Node, NodeId, NodeState};
use crate::random::Random;
use crate::trace::{Entry, What};

/// The configuration of one node: its routers by slot, and its sync groups.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Routers; the position is the slot.
    pub routers: Vec<RouterConfig>,
    /// Sync groups, as lists of slots.
    pub groups: Vec<Vec<u32>>,
    /// What the node calls its interface on each LAN; `eth0`, `eth1` ... where nothing is said.
    pub interfaces: Vec<IfName>,
}

/// The world.
#[derive(Debug)]
pub struct World {
    now: Instant,
    nodes: Vec<Node>,
    setups: Vec<Setup>,
    network: Network,
    quality: Vec<Quality>,
    /// Pairs of nodes that do not hear each other on a LAN, by direction.
    cut: HashSet<(usize, NodeId, NodeId)>,
    resume_at: BinaryHeap<Reverse<(Instant, NodeId)>>,
    random: Random,
    trace: Vec<Entry>,
    /// Keep a line for every advert too.
    pub trace_adverts: bool,
    /// Longest time that a running node needs to notice an event.
    pub wake_latency: Duration,
    /// The next moment at which a node wakes for its deadline.
    wake: Vec<Option<Instant>>,
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
            resume_at: BinaryHeap::new(),
            random: Random::new(seed),
            trace: Vec::new(),
            trace_adverts: false,
            wake_latency: Duration::ZERO,
            wake: vec![None; count],
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

    /// Everything that happened.
    #[must_use]
    pub fn trace(&self) -> &[Entry] {
        &self.trace
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

    /// Sets how well a LAN works from now on.
    pub fn set_quality(&mut self, lan: usize, quality: Quality) {
        self.act(0, format!("LAN {lan}: {quality:?}"));
        self.quality[lan] = quality;
    }

    /// Starts a node that is dead.
    pub fn start(&mut self, id: NodeId) {
        self.act(id, "starts".into());
        self.nodes[id].boot(self.now);
        let setup = &self.setups[id];
        let changes = setup
            .routers
            .iter()
            .zip(0..)
            .map(|(config, slot)| Change::Add {
                slot,
                config: Box::new(config.clone()),
            })
            .collect();
        let apply = Apply {
            changes,
            groups: groups(setup),
            clear_residue: true,
            hold_until: None,
        };
        self.nodes[id].core.apply(self.now, apply);
        self.wake_up(id);
    }

    /// Gives a running node another configuration, with the same routers in the same slots.
    ///
    /// A node that sleeps cannot reload; one that is dead reads the new configuration when it starts.
    pub fn reload(&mut self, id: NodeId, setup: Setup) {
        if self.nodes[id].state == NodeState::Paused {
            return;
        }
        self.act(id, "reloads".into());
        let changes = setup
            .routers
            .iter()
            .zip(0..)
            .filter(|(config, slot)| self.setups[id].routers.get(*slot as usize) != Some(*config))
            .map(|(config, slot)| Change::Update {
                slot,
                config: Box::new(config.clone()),
            })
            .collect();
        let apply = Apply {
            changes,
            groups: groups(&setup),
            clear_residue: false,
            hold_until: None,
        };
        self.setups[id] = setup;
        if self.nodes[id].state == NodeState::Running {
            self.nodes[id].core.apply(self.now, apply);
            self.drain(id);
        }
    }

    /// The configuration of a node.
    #[must_use]
    pub fn setup(&self, id: NodeId) -> &Setup {
        &self.setups[id]
    }

    /// kill -9: nothing is said, the addresses stay.
    pub fn kill(&mut self, id: NodeId) {
        self.act(id, "is killed".into());
        self.nodes[id].state = NodeState::Dead;
        self.wake[id] = None;
    }

    /// SIGTERM: priority 0, addresses removed.
    pub fn stop(&mut self, id: NodeId) {
        if self.nodes[id].state != NodeState::Running {
            return;
        }
        self.act(id, "stops".into());
        self.nodes[id].core.shutdown(self.now, true);
        self.drain(id);
        self.nodes[id].state = NodeState::Dead;
        self.wake[id] = None;
    }

    /// The node is not scheduled for `span`.
    pub fn pause(&mut self, id: NodeId, span: Duration) {
        if self.nodes[id].state != NodeState::Running {
            return;
        }
        self.act(id, format!("is paused for {span:?}"));
        self.nodes[id].state = NodeState::Paused;
        self.wake[id] = None;
        self.resume_at.push(Reverse((self.now + span, id)));
    }

    /// From now on `to` does not hear `from` on the LAN, or does again.
    pub fn set_cut(&mut self, lan: usize, from: NodeId, to: NodeId, cut: bool) {
        if cut {
            self.cut.insert((lan, from, to));
        } else {
            self.cut.remove(&(lan, from, to));
        }
    }

    /// Splits a LAN in two halves that do not hear each other, or heals it.
    pub fn split(&mut self, lan: usize, left: &[NodeId], cut: bool) {
        self.act(
            0,
            format!("LAN {lan} is {} at {left:?}", if cut { "split" } else { "healed" }),
        );
        for a in 0..self.nodes.len() {
            for b in 0..self.nodes.len() {
                if left.contains(&a) != left.contains(&b) {
                    self.set_cut(lan, a, b, cut);
                }
            }
        }
    }

    /// Pulls or plugs the cable of a node.
    pub fn set_link(&mut self, id: NodeId, lan: usize, up: bool) {
        self.act(id, format!("link {lan} {}", if up { "up" } else { "down" }));
        self.nodes[id].links_up[lan] = up;
        if self.nodes[id].state == NodeState::Running {
            self.nodes[id].tell_link(lan);
            self.wake_up(id);
        }
    }

    /// A tracked thing of a node has a new value.
    pub fn set_track(&mut self, id: NodeId, track: TrackId, value: TrackValue) {
        self.act(id, format!("tracked thing {track} is {value:?}"));
        self.nodes[id].tracked.insert(track, value);
        if self.nodes[id].state == NodeState::Running {
            self.nodes[id].core.handle_track(track, value);
            self.wake_up(id);
        }
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
        let resume = self.resume_at.peek().map(|Reverse((at, _))| *at);
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
            if let Some(Reverse((_, id))) = self.resume_at.pop() {
                self.resume(id);
            }
        } else if packet == Some(next) {
            // All that arrives at this moment, then the deadlines of those that heard something: as a wake-up does.
            let mut heard = Vec::new();
            while let Some(packet) = self.network.arrived(self.now) {
                let (to, lan) = (packet.to, packet.lan);
                if !self.nodes[to].links_up[lan] {
                    continue;
                }
                self.nodes[to].receive(self.now, packet);
                if !heard.contains(&to) {
                    heard.push(to);
                }
            }
            for id in heard {
                self.wake_up(id);
            }
        } else if let Some(id) = self.wake.iter().position(|&at| at == Some(next)) {
            self.wake_up(id);
        }
        true
    }

    fn resume(&mut self, id: NodeId) {
        if self.nodes[id].state != NodeState::Paused {
            return;
        }
        self.act(id, "resumes".into());
        let node = &mut self.nodes[id];
        node.state = NodeState::Running;
        for lan in 0..node.links_up.len() {
            node.tell_link(lan);
        }
        for packet in std::mem::take(&mut node.inbox) {
            node.hear(self.now, &packet);
        }
        self.wake_up(id);
    }

    fn wake_up(&mut self, id: NodeId) {
        if self.nodes[id].state == NodeState::Running {
            self.nodes[id].core.handle_deadlines(self.now);
            self.drain(id);
        }
    }

    /// Carries out what a core wants, as the engine thread does.
    fn drain(&mut self, id: NodeId) {
        let now = self.now;
        while let Some(op) = self.nodes[id].core.poll_membership() {
            // Every node hears every group here.
            let (MembershipOp::Join(_) | MembershipOp::Leave(_)) = op;
        }
        let mut sent = Vec::new();
        while let Some(advert) = self.nodes[id].core.poll_advert() {
            let header = if advert.family == Family::V4 { 20 } else { 0 };
            let lan = advert.interface.index as usize - 1;
            let (source, destination, family) = (advert.source, advert.destination, advert.family);
            sent.push((
                advert.slot,
                lan,
                source,
                destination,
                family,
                advert.bytes[header..].to_vec(),
            ));
        }
        for (slot, lan, source, destination, family, payload) in sent {
            if self.trace_adverts
                && let Ok(view) = AdvertView::new_checked(&payload, family)
            {
                let what = What::Advert {
                    slot,
                    priority: view.priority(),
                };
                self.trace.push(Entry {
                    at: now,
                    node: id,
                    what,
                });
            }
            if !self.nodes[id].links_up[lan] {
                continue;
            }
            for to in (0..self.nodes.len()).filter(|&to| to != id) {
                if self.cut.contains(&(lan, id, to)) {
                    continue;
                }
                let payload = payload.clone();
                let packet = Packet {
                    at: now,
                    sequence: 0,
                    lan,
                    from: id,
                    to,
                    source,
                    destination,
                    family,
                    payload,
                };
                self.network.send(now, packet, self.quality[lan], &mut self.random);
            }
        }
        while let Some(op) = self.nodes[id].core.poll_address_op() {
            let node = &mut self.nodes[id];
            let errno = if op.install {
                node.installed.insert((op.interface, op.vip.addr));
                0
            } else if node.installed.remove(&(op.interface, op.vip.addr)) {
                0
            } else {
                99
            };
            node.core.handle_address_result(now, &op, errno);
            if !op.install && errno == 0 {
                node.core
                    .handle_address_gone(op.interface, op.vip.addr, op.vip.prefix_len);
            }
        }
        let mut buffer = [0; 128];
        while self.nodes[id].core.poll_announce(now, &mut buffer).is_some() {}
        while let Some(event) = self.nodes[id].core.poll_event() {
            self.trace.push(Entry {
                at: now,
                node: id,
                what: What::Event(event),
            });
        }
        while self.nodes[id].core.poll_dirty().is_some() {}
        let latency = Duration::from_micros(self.random.below(self.wake_latency.as_micros() + 1));
        self.wake[id] = self.nodes[id].core.poll_at().map(|at| at.max(now) + latency);
    }

    fn act(&mut self, node: NodeId, action: String) {
        self.trace.push(Entry {
            at: self.now,
            node,
            what: What::Action(action),
        });
    }
}

fn groups(setup: &Setup) -> Vec<GroupConfig> {
    setup
        .groups
        .iter()
        .map(|members| GroupConfig {
            members: members.clone(),
        })
        .collect()
}
