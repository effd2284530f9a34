//! The address list of an advertisement, borrowed from wherever it lies.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Family;

/// A borrowed list of addresses of one family: slices to send, raw bytes when received.
#[derive(Clone, Copy, Debug)]
pub enum AddressList<'a> {
    /// IPv4 addresses.
    V4(&'a [Ipv4Addr]),
    /// IPv6 addresses.
    V6(&'a [Ipv6Addr]),
    /// Addresses as they lie in a packet: a multiple of the family's address length.
    Wire(Family, &'a [u8]),
}

impl<'a> AddressList<'a> {
    /// Family of all its addresses.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::V4(_) => Family::V4,
            Self::V6(_) => Family::V6,
            Self::Wire(family, _) => *family,
        }
    }

    /// Number of addresses.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::V4(list) => list.len(),
            Self::V6(list) => list.len(),
            Self::Wire(family, bytes) => bytes.len() / family.address_len(),
        }
    }

    /// Whether there is no address.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The address at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<IpAddr> {
        match self {
            Self::V4(list) => list.get(index).copied().map(IpAddr::V4),
            Self::V6(list) => list.get(index).copied().map(IpAddr::V6),
            Self::Wire(Family::V4, bytes) => {
                let (addresses, _) = bytes.as_chunks::<4>();
                addresses.get(index).map(|octets| IpAddr::V4(Ipv4Addr::from(*octets)))
            }
            Self::Wire(Family::V6, bytes) => {
                let (addresses, _) = bytes.as_chunks::<16>();
                addresses.get(index).map(|octets| IpAddr::V6(Ipv6Addr::from(*octets)))
            }
        }
    }

    /// All addresses in the order of the list.
    #[must_use]
    pub const fn iter(&self) -> AddressIter<'a> {
        AddressIter { list: *self, next: 0 }
    }

    /// Whether `address` is in the list.
    #[must_use]
    pub fn contains(&self, address: &IpAddr) -> bool {
        self.iter().any(|other| other == *address)
    }
}

impl PartialEq for AddressList<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.family() == other.family() && self.iter().eq(other.iter())
    }
}

impl Eq for AddressList<'_> {}

impl<'a> IntoIterator for AddressList<'a> {
    type Item = IpAddr;
    type IntoIter = AddressIter<'a>;

    fn into_iter(self) -> AddressIter<'a> {
        self.iter()
    }
}

/// Iterator over an [`AddressList`].
#[derive(Clone, Debug)]
pub struct AddressIter<'a> {
    list: AddressList<'a>,
    next: usize,
}

impl Iterator for AddressIter<'_> {
    type Item = IpAddr;

    fn next(&mut self) -> Option<IpAddr> {
        let address = self.list.get(self.next)?;
        self.next += 1;
        Some(address)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.list.len().saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for AddressIter<'_> {}
