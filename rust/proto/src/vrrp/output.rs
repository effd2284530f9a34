//! What the core asks its driver to do.
//!
//! The driver drains the outputs after every input, in this order: adverts, address operations, announcements,
//! events. All items are plain data that stay valid whatever happens to the router they came from.

use core::net::IpAddr;

use super::config::{Family, IfName, NetnsId, Vip};
use super::report::Slot;
use crate::wire::hmac_trailer::TRAILER_LEN;

/// Longest advert that is ever built: IP headers, VRRP header, 255 addresses of IPv6, authentication, trailer.
pub const MAX_ADVERT_LEN: usize = 20 + 8 + 255 * 16 + 8 + TRAILER_LEN;

/// Names an interface: namespace and kernel index.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct IfId {
    /// The namespace.
    pub netns: NetnsId,
    /// The kernel's index in it, never 0.
    pub index: u32,
}

/// An advert that is due.
#[derive(Clone, Copy, Debug)]
pub struct AdvertTx<'a> {
    /// The router it speaks for.
    pub slot: Slot,
    /// Interface to leave by; index 0 leaves the choice to the routing table.
    pub interface: IfId,
    /// Family of `source` and `destination`.
    pub family: Family,
    /// Source address.
    pub source: IpAddr,
    /// Multicast group, or peer.
    pub destination: IpAddr,
    /// Hop limit (IPv6; in IPv4 it is in the header); `None` is the kernel's default.
    pub hop_limit: Option<u8>,
    /// IPv4: header and payload. IPv6: payload alone, checksum included.
    pub bytes: &'a [u8],
    /// The interface's own MAC address, where a complete frame does the same as the packet: multicast of IPv4 that fits
    /// an interface with Ethernet addresses.
    pub frame_from: Option<[u8; 6]>,
}

/// Put an address on an interface, or take it off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressOp {
    /// The router that it belongs to.
    pub slot: Slot,
    /// Where.
    pub interface: IfId,
    /// The address with all its attributes.
    pub vip: Vip,
    /// Put it there, or take it off.
    pub install: bool,
    /// Removing what no router of the configuration holds any more (left by a killed daemon, or dropped by a reload):
    /// nothing waits for the answer.
    pub orphan: bool,
}

/// A frame that tells the neighbours where an address is now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnnounceTx {
    /// The router it speaks for.
    pub slot: Slot,
    /// Interface to leave by.
    pub interface: IfId,
    /// Octets of the caller's buffer that hold the complete Ethernet frame.
    pub len: usize,
    /// ARP (IPv4) or neighbour advertisement (IPv6).
    pub family: Family,
}

/// Join or leave a multicast group, so that adverts reach this host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Membership {
    /// Where.
    pub interface: IfId,
    /// The group.
    pub group: IpAddr,
}

/// A change of the wanted memberships.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MembershipOp {
    /// First user of the group on the interface.
    Join(Membership),
    /// No user left.
    Leave(Membership),
}

/// Facts about one network interface, as rtnetlink tells them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkFact {
    /// Its identity.
    pub id: IfId,
    /// Its name now.
    pub name: IfName,
    /// Administratively up *and* running (`IFF_UP` and `IFF_RUNNING`).
    pub up: bool,
    /// Announcements make sense: not `IFF_NOARP`, not loopback.
    pub announces: bool,
    /// Ethernet address; all zero when the link has none of 6 octets.
    pub mac: [u8; 6],
    /// Largest IP packet.
    pub mtu: u32,
    /// Index of the bridge, bond or VRF that it belongs to, 0 without.
    pub master: u32,
    /// The host forwards IPv6 on it: neighbour advertisements carry the router flag.
    pub router: bool,
}

/// Facts about one address of an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressFact {
    /// Where.
    pub interface: IfId,
    /// The local address.
    pub addr: IpAddr,
    /// Its prefix length.
    pub prefix_len: u8,
    /// Not usable as a source: tentative, or duplicate address detection failed.
    pub unusable: bool,
}
