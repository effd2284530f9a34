//! One node: a core, its addresses, and whether it runs.

use std::collections::{BTreeMap, HashSet};

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keepvip_proto::Core;
use keepvip_proto::time::Instant;
use keepvip_proto::vrrp::config::IfName;
use keepvip_proto::vrrp::output::{AddressFact, IfId, LinkFact};
use keepvip_proto::vrrp::track::{TrackId, TrackValue};

use crate::network::Packet;

/// Index of a node.
pub type NodeId = usize;

/// An address that a node holds for a router: where, which, and its prefix length.
pub type Installed = (IfId, IpAddr, u8);

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

/// What the kernel answers to the removal of an address that is not there.
const EADDRNOTAVAIL: i32 = 99;

/// Packets that a paused node's socket holds; later ones are dropped, as the kernel does.
const SOCKET_LIMIT: usize = 512;

/// One node.
#[derive(Clone, Debug)]
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
    /// It is paused so thoroughly that nothing reaches its socket.
    pub(crate) is_suspended: bool,
    /// SIGTERM came while it was paused.
    pub(crate) stop_on_resume: bool,
    /// Its next advert reaches nobody.
    pub(crate) loses_next: bool,
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
            is_suspended: false,
            stop_on_resume: false,
            loses_next: false,
        }
    }

    /// A new process on the same host: it sees the links and the addresses that are there.
    pub(crate) fn boot(&mut self, now: Instant) {
        self.core = Core::new();
        self.state = NodeState::Running;
        self.inbox.clear();
        self.stop_on_resume = false;
        self.core.begin_resync(0);
        for lan in 0..self.links_up.len() {
            self.tell_link(lan);
            for addr in [address_v4(lan, self.id), address_v6(lan, self.id)] {
                self.core.handle_address(fact(lan, addr));
            }
        }
        for &(interface, addr, prefix_len) in &self.installed {
            self.core.handle_address(AddressFact {
                interface,
                addr,
                prefix_len,
                unusable: false,
            });
        }
        self.core.end_resync(now, 0);
        for (&id, &value) in &self.tracked {
            self.core.handle_track(id, value);
        }
    }

    /// It goes on: what happened meanwhile is told, what was received is heard.
    pub(crate) fn resume(&mut self, now: Instant) {
        self.state = NodeState::Running;
        self.is_suspended = false;
        for lan in 0..self.links_up.len() {
            self.tell_link(lan);
        }
        for (&id, &value) in &self.tracked {
            self.core.handle_track(id, value);
        }
        for packet in std::mem::take(&mut self.inbox) {
            self.hear(now, &packet);
        }
    }

    /// Its own addresses, on all LANs.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        (0..self.links_up.len()).flat_map(|lan| [address_v4(lan, self.id), address_v6(lan, self.id)])
    }

    /// Whether its next advert will reach nobody.
    #[must_use]
    pub const fn loses_next(&self) -> bool {
        self.loses_next
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
            mac: [2, 0, 0, 0, octet(lan & 0xff), octet(self.id)],
            mtu: 1500,
            master: 0,
            router: false,
        };
        self.core.handle_link(fact);
    }

    /// Carries out the address operations that the core wants, as the kernel does: all are answered, then all are told of.
    pub(crate) fn change_addresses(&mut self, now: Instant) {
        let mut news = Vec::new();
        while let Some(op) = self.core.poll_address_op() {
            let place = (op.interface, op.vip.addr, op.vip.prefix_len);
            let errno = if op.install {
                self.installed.insert(place);
                0
            } else if self.installed.remove(&place) {
                0
            } else {
                EADDRNOTAVAIL
            };
            self.core.handle_address_result(now, &op, errno);
            if errno == 0 {
                news.push(op);
            }
        }
        for op in news {
            let (interface, addr, prefix_len) = (op.interface, op.vip.addr, op.vip.prefix_len);
            if op.install {
                self.core.handle_address(AddressFact {
                    interface,
                    addr,
                    prefix_len,
                    unusable: false,
                });
            } else {
                self.core.handle_address_gone(interface, addr, prefix_len);
            }
        }
    }

    pub(crate) fn receive(&mut self, now: Instant, packet: Packet) {
        match self.state {
            NodeState::Running => self.hear(now, &packet),
            NodeState::Paused if self.inbox.len() < SOCKET_LIMIT && !self.is_suspended => self.inbox.push(packet),
            NodeState::Paused | NodeState::Dead => {}
        }
    }

    pub(crate) fn hear(&mut self, now: Instant, packet: &Packet) {
        // The clocks of all nodes are right.
        self.core.handle_clock(now.as_micros());
        if let Some(rx) = packet.received() {
            self.core.handle_packet(now, &rx);
        }
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

/// The LAN that an interface is on; none for an interface that the routing table chooses.
pub(crate) fn lan_of(interface: IfId) -> Option<usize> {
    (interface.index as usize).checked_sub(1)
}

/// Of the block for benchmarks (RFC 2544), which nobody's virtual addresses are in.
fn address_v4(lan: usize, node: NodeId) -> IpAddr {
    let [high, low] = u16::try_from(lan).unwrap_or(0).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(198, 18 + (high & 1), low, octet(node + 1)))
}

fn address_v6(lan: usize, node: NodeId) -> IpAddr {
    let (lan, node) = (u16::try_from(lan).unwrap_or(0), u16::from(octet(node + 1)));
    IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0x1812, 0, lan, node))
}

fn octet(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(0)
}

fn fact(lan: usize, addr: IpAddr) -> AddressFact {
    AddressFact {
        interface: interface(lan),
        addr,
        prefix_len: if addr.is_ipv4() { 24 } else { 64 },
        unusable: false,
    }
}
