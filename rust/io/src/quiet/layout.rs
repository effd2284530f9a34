//! What the filter and the engine have in common: how a router's entry and its key are laid out.

use core::net::IpAddr;

use keepvip_proto::engine::AdvertRx;
use keepvip_proto::vrrp::config::Family;

/// Longest advert that is compared, octets: 28 addresses of IPv4 with a password, 7 of IPv6. Longer ones are handed over.
pub(super) const MOST: usize = 128;

/// Octets of an entry, all parts aligned to 8.
pub(super) const ENTRY: usize = PAYLOAD + MOST;
/// Length of the advert; 0: there is none.
pub(super) const LENGTH: usize = 0;
/// When the last one came, ns of the monotonic clock.
pub(super) const LAST: usize = 8;
/// How many came.
pub(super) const COUNT: usize = 16;
/// Sixteen octets each, of which IPv4 uses four.
pub(super) const SOURCE: usize = 24;
pub(super) const DESTINATION: usize = 40;
pub(super) const PAYLOAD: usize = 56;

/// Interface, VRID, family and namespace.
pub(super) type Key = [u8; 8];

pub(super) const fn family_number(family: Family) -> u8 {
    match family {
        Family::V4 => 4,
        Family::V6 => 6,
    }
}

pub(super) fn key(rx: &AdvertRx<'_>) -> Key {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&rx.interface.index.to_ne_bytes());
    key[4] = rx.payload.get(1).copied().unwrap_or_default();
    key[5] = family_number(rx.family);
    key[6..].copy_from_slice(&rx.interface.netns.to_ne_bytes());
    key
}

/// An address as the entry holds it: in network order, zero padded.
pub(super) fn address(addr: IpAddr) -> [u8; 16] {
    let mut octets = [0; 16];
    match addr {
        IpAddr::V4(addr) => octets[..4].copy_from_slice(&addr.octets()),
        IpAddr::V6(addr) => octets = addr.octets(),
    }
    octets
}
