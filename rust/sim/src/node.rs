//! One node: a core, its addresses, and whether it runs.

use std::collections::{BTreeMap, HashSet};

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keepvip_proto::time::Instant;
use keepvip_proto::vrrp::config::IfName;
use keepvip_proto::vrrp::output::{AddressFact, IfId, LinkFact};
use keepvip_proto::vrrp::track::{TrackId, TrackValue};
use keepvip_proto::{AdvertRx, Core};

use crate::network::Packet;

/// Index of a node.
pub type NodeId = usize;

/// An address that a node holds for a router.
pub type Installed = (IfId, IpAddr);

/// Whether a node runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeState {
    /// It runs.
    Running,
    /// It is not scheduled; packets wait in its socket.
    Paused,
    /// It was killed or stopped.
    Dead,
}

/// Packets that a paused node's socket holds; later ones are dropped, as the kernel does.
const SOCKET_LIMIT: usize = 512;

/// One node.
#[derive(Debug)]
pub struct Node {
    /// The real thing.
    pub core: Core,
    /// Whether it runs.
    pub state: NodeState,
    /// Addresses that the core has put on the interfaces and not taken off.
    pub installed: HashSet<Installed>,
    pub(crate) inbox: Vec<Packet>,
    pub(crate) id: NodeId,
    pub(crate) links_up: Vec<bool>,
    pub(crate) names: Vec<IfName>,
    /// What the node's trackers report; a new process learns it at once.
    pub(crate) tracked: BTreeMap<TrackId, TrackValue>,
}

impl Node {
    pub(crate) fn new(id: NodeId, lans: usize, names: &[IfName]) -> Self {
        Self {
            core: Core::new(),
            state: NodeState::Dead,
            installed: HashSet::new(),
            inbox: Vec::new(),
            id,
            links_up: vec![true; lans],
            names: (0..lans)
                .map(|lan| names.get(lan).copied().unwrap_or_else(|| default_name(lan)))
                .collect(),
            tracked: BTreeMap::new(),
        }
    }

    /// A new process on the same host: it sees the links and the addresses that are there.
    pub(crate) fn boot(&mut self, now: Instant) {
        self.core = Core::new();
        self.state = NodeState::Running;
        self.inbox.clear();
        self.core.begin_resync();
        for lan in 0..self.links_up.len() {
            self.tell_link(lan);
            for addr in [address_v4(lan, self.id), address_v6(lan, self.id)] {
                self.core.handle_address(fact(lan, addr));
            }
        }
        for (interface, addr) in &self.installed {
            let fact = AddressFact {
                interface: *interface,
                addr: *addr,
                prefix_len: host_prefix(addr),
                unusable: false,
            };
            self.core.handle_address(fact);
        }
        self.core.end_resync(now);
        for (&id, &value) in &self.tracked {
            self.core.handle_track(id, value);
        }
    }

    /// Whether its cable to a LAN is plugged in.
    #[must_use]
    pub fn links_up(&self, lan: usize) -> bool {
        self.links_up[lan]
    }

    pub(crate) fn tell_link(&mut self, lan: usize) {
        let fact = LinkFact {
            id: interface(lan),
            name: self.names[lan],
            up: self.links_up[lan],
            announces: true,
            mac: [
                2,
                0,
                0,
                0,
                u8::try_from(lan).unwrap_or(0),
                u8::try_from(self.id).unwrap_or(0),
            ],
            mtu: 1500,
            router: false,
        };
        self.core.handle_link(fact);
    }

    pub(crate) fn receive(&mut self, now: Instant, packet: Packet) {
        match self.state {
            NodeState::Running => self.hear(now, &packet),
            NodeState::Paused if self.inbox.len() < SOCKET_LIMIT => self.inbox.push(packet),
            NodeState::Paused | NodeState::Dead => {}
        }
    }

    pub(crate) fn hear(&mut self, now: Instant, packet: &Packet) {
        let rx = AdvertRx {
            interface: interface(packet.lan),
            family: packet.family,
            source: packet.source,
            destination: packet.destination,
            ttl: 255,
            payload: &packet.payload,
        };
        self.core.handle_packet(now, &rx);
    }
}

/// The interface of every node on a LAN.
pub(crate) fn interface(lan: usize) -> IfId {
    IfId {
        netns: 0,
        index: u32::try_from(lan).unwrap_or(0) + 1,
    }
}

fn default_name(lan: usize) -> IfName {
    IfName::new(&format!("eth{lan}")).unwrap_or_default()
}

fn address_v4(lan: usize, node: NodeId) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(
        10,
        u8::try_from(lan).unwrap_or(0),
        0,
        u8::try_from(node + 1).unwrap_or(0),
    ))
}

fn address_v6(lan: usize, node: NodeId) -> IpAddr {
    let (lan, node) = (u16::try_from(lan).unwrap_or(0), u16::try_from(node + 1).unwrap_or(0));
    IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, lan, node))
}

fn fact(lan: usize, addr: IpAddr) -> AddressFact {
    AddressFact {
        interface: interface(lan),
        addr,
        prefix_len: if addr.is_ipv4() { 24 } else { 64 },
        unusable: false,
    }
}

pub(crate) const fn host_prefix(addr: &IpAddr) -> u8 {
    if addr.is_ipv4() { 32 } else { 128 }
}
