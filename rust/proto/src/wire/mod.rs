//! The bytes: what goes over the LAN and over rtnetlink, as pure functions.
//!
//! Nothing here reads a clock, opens a socket or allocates. The contract of every codec in this module:
//!
//! * **Views** (`AdvertView`, `Ipv4View`, ...) borrow received bytes. `new_checked` looks at every length that the
//!   getters will use; once it has returned `Ok`, no getter can panic. A view shows what the bytes say, also when that
//!   is nonsense (a checksum that is wrong, a reserved bit that is set): judging is the caller's work, because each
//!   protocol wants its own counter for each complaint.
//! * **Reprs** (`AdvertRepr`, `Ipv4Repr`, `GratuitousArp`, ...) hold only meaningful values. `buffer_len` says how many
//!   bytes `emit` will write, `emit` writes all of them (nothing of the old content of the buffer shines through) and
//!   returns that number.
//! * The caller owns all buffers. Byte order is network order on the LAN and host order on netlink.
//! * Errors say whose fault it was: [`WireError`] is about received bytes, [`EmitError`] about our own caller.

mod address_list;
pub mod ah;
pub mod arp;
pub mod checksum;
pub mod ether;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod hmac_trailer;
pub mod ipv4;
pub mod ndisc;
pub mod proc_event;
pub mod rtnl;
pub mod vrrp;

pub use address_list::{AddressIter, AddressList};
pub use arp::GratuitousArp;
pub use checksum::Pseudo;
pub use ether::MacAddress;
pub use ipv4::{Ipv4Repr, Ipv4View};
pub use ndisc::UnsolicitedAdvertisement;
pub use vrrp::{AdvertRepr, AdvertView, AuthField, AuthType, Version};

use core::fmt;
use core::net::IpAddr;

/// An address family that VRRP speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Length of an address of this family in bytes.
    #[must_use]
    pub const fn address_len(self) -> usize {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }

    /// Number of bits of an address, the longest prefix.
    #[must_use]
    pub const fn max_prefix_len(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// Family of `address`.
    #[must_use]
    pub const fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// What is wrong with received bytes. Every variant is the sender's fault (or the network's), never ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WireError {
    /// Fewer bytes than the fixed part of the header.
    TooShort,
    /// A version field that this codec does not know; the value found.
    UnknownVersion(u8),
    /// A header length field that is below the minimum or beyond the end of the bytes.
    HeaderLength,
    /// The length field of the packet says more than what was received: truncated on its way, or a lie.
    Truncated,
    /// The address count promises more addresses than the message has room for.
    AddressCount,
    /// Bytes after the end of the message.
    TrailingBytes,
    /// A netlink message or attribute whose length field is impossible.
    AttributeLength,
    /// An attribute without which the message means nothing is missing.
    AttributeMissing,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => f.write_str("shorter than its header"),
            Self::UnknownVersion(version) => write!(f, "unknown version {version}"),
            Self::HeaderLength => f.write_str("impossible header length"),
            Self::Truncated => f.write_str("shorter than its length field says"),
            Self::AddressCount => f.write_str("more addresses announced than contained"),
            Self::TrailingBytes => f.write_str("bytes after the end of the message"),
            Self::AttributeLength => f.write_str("impossible attribute length"),
            Self::AttributeMissing => f.write_str("needed attribute is missing"),
        }
    }
}

impl core::error::Error for WireError {}

/// What is wrong with a request to emit: a bug or a bad value of our own caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EmitError {
    /// The buffer is smaller than `buffer_len()`.
    BufferTooSmall,
    /// More addresses than the eight-bit count can say (255).
    TooManyAddresses,
    /// The advertisement interval does not fit its field (v2: 255 s, v3: 4095 cs).
    AdvertInterval,
    /// A password for a message without authentication data: version 3, or IPv6.
    NoAuthField,
    /// Addresses of two families in one message.
    FamilyMismatch,
    /// Prefix length beyond the length of the address.
    PrefixLength,
    /// Payload too long for a sixteen-bit length field.
    TooLong,
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BufferTooSmall => "buffer too small",
            Self::TooManyAddresses => "more than 255 addresses",
            Self::AdvertInterval => "advertisement interval does not fit its field",
            Self::NoAuthField => "only VRRPv2 over IPv4 has authentication data",
            Self::FamilyMismatch => "addresses of different families",
            Self::PrefixLength => "prefix longer than the address",
            Self::TooLong => "payload too long",
        })
    }
}

impl core::error::Error for EmitError {}

/// Big-endian 16 bits at `at`. The caller has checked the length.
pub(crate) fn read_u16_be(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The `N` bytes that start at `at`. The caller has checked the length.
pub(crate) fn read_array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}
