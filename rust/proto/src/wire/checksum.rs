//! The internet checksum: RFC 1071, incremental update by RFC 1624, pseudo headers of RFC 9293 3.1 and RFC 8200 8.1.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Family;

/// The addresses that a checksum covers besides the message itself.
///
/// VRRPv2 and `v3_checksum_as_v2` use [`Pseudo::None`]; VRRPv3 uses the pseudo header of its family (RFC 5798 5.2.8,
/// vrrp-behaviour.md 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pseudo {
    /// Only the message is covered.
    None,
    /// IPv4: source, destination, zero, protocol, length (RFC 9293 3.1).
    V4 {
        /// Source address of the packet.
        src: Ipv4Addr,
        /// Destination address of the packet.
        dst: Ipv4Addr,
    },
    /// IPv6: source, destination, length in 32 bits, zero, next header (RFC 8200 8.1).
    V6 {
        /// Source address of the packet.
        src: Ipv6Addr,
        /// Destination address of the packet.
        dst: Ipv6Addr,
    },
}

impl Pseudo {
    /// The pseudo header of a packet from `src` to `dst`; `None` when the two are of different families.
    #[must_use]
    pub const fn new(src: IpAddr, dst: IpAddr) -> Option<Self> {
        match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => Some(Self::V4 { src, dst }),
            (IpAddr::V6(src), IpAddr::V6(dst)) => Some(Self::V6 { src, dst }),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
        }
    }

    /// Family of the addresses, if there are any.
    #[must_use]
    pub const fn family(&self) -> Option<Family> {
        match self {
            Self::None => None,
            Self::V4 { .. } => Some(Family::V4),
            Self::V6 { .. } => Some(Family::V6),
        }
    }

    /// Unfolded sum of the pseudo header of a message of `len` bytes of IP protocol `protocol`.
    const fn sum(&self, protocol: u8, len: usize) -> u64 {
        let (src, dst) = match self {
            Self::None => return 0,
            Self::V4 { src, dst } => (sum_words_32(src.to_bits()), sum_words_32(dst.to_bits())),
            Self::V6 { src, dst } => (sum_words_128(src.to_bits()), sum_words_128(dst.to_bits())),
        };
        // A length above 65535 (IPv6 jumbo) is 32 bits wide; folding makes the two halves one sum.
        src + dst + protocol as u64 + len as u64
    }
}

const fn sum_words_32(bits: u32) -> u64 {
    (bits >> 16) as u64 + (bits & 0xffff) as u64
}

const fn sum_words_128(bits: u128) -> u64 {
    sum_words_32((bits >> 96) as u32)
        + sum_words_32((bits >> 64) as u32)
        + sum_words_32((bits >> 32) as u32)
        + sum_words_32(bits as u32)
}

/// Unfolded sum of the 16-bit big-endian words of `bytes`; an odd last byte is padded with zero (RFC 1071 section 1).
fn sum_bytes(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(2);
    let mut sum = 0u64;
    for word in &mut words {
        sum += u64::from(u16::from_be_bytes([word[0], word[1]]));
    }
    if let [last] = words.remainder() {
        sum += u64::from(*last) << 8;
    }
    sum
}

/// Adds the carries until 16 bits are left.
const fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

/// Checksum of `message` (whose checksum field is zero) with the pseudo header in front (RFC 1071).
///
/// The result goes into the field as it is. Zero means zero here: VRRP, IPv4 and ICMPv6 have no "no checksum" value.
#[must_use]
pub fn checksum(message: &[u8], pseudo: &Pseudo, protocol: u8) -> u16 {
    !fold(sum_bytes(message) + pseudo.sum(protocol, message.len()))
}

/// Whether `message`, checksum field included, verifies: the sum over everything is all ones.
#[must_use]
pub fn verify(message: &[u8], pseudo: &Pseudo, protocol: u8) -> bool {
    fold(sum_bytes(message) + pseudo.sum(protocol, message.len())) == 0xffff
}

/// New checksum after one 16-bit word of the message went from `old` to `new` (RFC 1624 section 3, equation 3).
///
/// Serves the ready-made frames: a new IP id costs two additions, not a walk over the packet.
#[must_use]
pub const fn update(checksum: u16, old: u16, new: u16) -> u16 {
    !fold(!checksum as u64 + !old as u64 + new as u64)
}
