//! What nodes do when they are awake: what an engine thread does, on simulated LANs.

use core::net::IpAddr;

use keepvip_proto::time::Duration;
use keepvip_proto::vrrp::output::MembershipOp;
use keepvip_proto::wire::AdvertView;

use crate::network::Packet;
use crate::node::{NodeId, NodeState, lan_of};
use crate::trace::{Entry, What};
use crate::world::World;

impl World {
    /// All that arrives at this moment, then the deadlines of those that heard something: as a wake-up does.
    pub(crate) fn receive(&mut self) {
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
    }

    pub(crate) fn wake_up(&mut self, id: NodeId) {
        if self.nodes[id].state == NodeState::Running {
            self.nodes[id].core.handle_deadlines(self.now);
            self.drain(id);
        }
    }

    /// Carries out what a core wants.
    pub(crate) fn drain(&mut self, id: NodeId) {
        let now = self.now;
        while let Some(op) = self.nodes[id].core.poll_membership() {
            // Every node hears every group here.
            let (MembershipOp::Join(_) | MembershipOp::Leave(_)) = op;
        }
        self.nodes[id].core.handle_clock(now.as_micros());
        self.send_adverts(id);
        self.nodes[id].change_addresses(now);
        let mut buffer = [0; 128];
        while self.nodes[id].core.poll_announce(now, &mut buffer).is_some() {}
        while let Some(event) = self.nodes[id].core.poll_event() {
            self.trace.push(Entry {
                at: now,
                node: Some(id),
                what: What::Event(event),
            });
        }
        while self.nodes[id].core.poll_dirty().is_some() {}
        let latency = Duration::from_micros(self.random.below(self.wake_latency.as_micros() + 1));
        self.wake[id] = self.nodes[id].core.poll_at().map(|at| at.max(now) + latency);
    }

    fn send_adverts(&mut self, id: NodeId) {
        let mut sent = Vec::new();
        while let Some(advert) = self.nodes[id].core.poll_advert() {
            let packet = Packet {
                at: self.now,
                sequence: 0,
                lan: 0,
                from: id,
                to: id,
                source: advert.source,
                destination: advert.destination,
                family: advert.family,
                bytes: advert.bytes.to_vec(),
            };
            sent.push((advert.slot, lan_of(advert.interface), packet));
        }
        for (slot, lan, packet) in sent {
            if self.trace_adverts
                && let Some(rx) = packet.received()
                && let Ok((view, _)) = AdvertView::split(rx.payload, rx.family)
            {
                self.trace.push(Entry {
                    at: self.now,
                    node: Some(id),
                    what: What::Advert {
                        slot,
                        priority: view.priority(),
                    },
                });
            }
            if !std::mem::take(&mut self.nodes[id].loses_next) {
                self.send(lan, &packet);
            }
        }
    }

    /// Sends a packet to everybody who should get it, each by the first LAN that carries it where the sender left that to
    /// the routing table.
    fn send(&mut self, lan: Option<usize>, packet: &Packet) {
        for to in (0..self.nodes.len()).filter(|&to| to != packet.from) {
            if !packet.destination.is_multicast() && !self.has_address(to, packet.destination) {
                continue;
            }
            let mut lans = match lan {
                Some(lan) => lan..lan + 1,
                None => 0..self.quality.len(),
            };
            let carries = |&lan: &usize| {
                let up = self.nodes[packet.from].links_up[lan] && self.nodes[to].links_up[lan];
                up && !self.cut.contains(&(lan, packet.from, to))
            };
            if let Some(lan) = lans.find(carries) {
                let packet = Packet {
                    lan,
                    to,
                    ..packet.clone()
                };
                self.network.send(self.now, packet, self.quality[lan], &mut self.random);
            }
        }
    }

    fn has_address(&self, id: NodeId, addr: IpAddr) -> bool {
        let configured = |config: &keepvip_proto::vrrp::config::RouterConfig| config.source == Some(addr);
        self.nodes[id].addresses().any(|own| own == addr) || self.setups[id].routers.iter().any(configured)
    }
}
