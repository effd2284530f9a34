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

#[cfg(test)]
mod test {
    use proptest::prelude::*;

    use super::*;

    /// The example of RFC 1071 section 3.
    #[test]
    fn rfc_1071_example() {
        let message = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&message, &Pseudo::None, 0), !0xddf2);
    }

    #[test]
    fn odd_length_is_padded_with_zero() {
        assert_eq!(
            checksum(&[1, 2, 3], &Pseudo::None, 0),
            checksum(&[1, 2, 3, 0], &Pseudo::None, 0)
        );
        assert_eq!(checksum(&[], &Pseudo::None, 0), 0xffff);
    }

    /// The example of RFC 1624 section 4, where RFC 1141 goes wrong.
    #[test]
    fn rfc_1624_example() {
        assert_eq!(update(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    #[test]
    fn pseudo_header_is_as_if_it_stood_in_front() {
        let message = [0x31, 0x34, 0x66, 0x03, 0x00, 0x32, 0, 0];
        let (src, dst) = (Ipv4Addr::new(10, 0, 0, 250), Ipv4Addr::new(224, 0, 0, 18));
        let mut bytes = [&src.octets()[..], &dst.octets(), &[0, 112, 0, 8]].concat();
        bytes.extend(message);
        let pseudo = Pseudo::V4 { src, dst };
        assert_eq!(checksum(&message, &pseudo, 112), checksum(&bytes, &Pseudo::None, 0));

        let (src, dst) = (Ipv6Addr::new(0xfe80, 1, 2, 3, 4, 5, 6, 0xffff), Ipv6Addr::LOCALHOST);
        let mut bytes = [&src.octets()[..], &dst.octets(), &[0, 0, 0, 8, 0, 0, 0, 58]].concat();
        bytes.extend(message);
        let pseudo = Pseudo::V6 { src, dst };
        assert_eq!(checksum(&message, &pseudo, 58), checksum(&bytes, &Pseudo::None, 0));
    }

    #[test]
    fn families_do_not_mix() {
        let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
        assert_eq!(Pseudo::new(v4, v6), None);
        assert_eq!(Pseudo::new(v6, v4), None);
        assert_eq!(Pseudo::new(v4, v4).and_then(|pseudo| pseudo.family()), Some(Family::V4));
        assert_eq!(Pseudo::new(v6, v6).and_then(|pseudo| pseudo.family()), Some(Family::V6));
        assert_eq!(Pseudo::None.family(), None);
    }

    proptest! {
        #[test]
        fn what_was_summed_verifies(mut message in prop::collection::vec(any::<u8>(), 2..200)) {
            message[..2].fill(0);
            let sum = checksum(&message, &Pseudo::None, 0);
            message[..2].copy_from_slice(&sum.to_be_bytes());
            prop_assert!(verify(&message, &Pseudo::None, 0));
        }

        #[test]
        fn update_is_recomputation(mut message in prop::collection::vec(any::<u8>(), 4..40), new in any::<u16>()) {
            message[0] |= 1; // all zeros is the one message whose sum has two forms
            let before = checksum(&message, &Pseudo::None, 0);
            let old = u16::from_be_bytes([message[2], message[3]]);
            message[2..4].copy_from_slice(&new.to_be_bytes());
            prop_assert_eq!(update(before, old, new), checksum(&message, &Pseudo::None, 0));
        }
    }
}
