//! keepalived's `auth_hmac` extension: a trailer behind the VRRP message (`vrrp-behaviour.md` 6).
//!
//! ```text
//!  0                   1                   2                   3
//! +---------------+---------------+-------------------------------+
//! | scheme (1)    | key id        | zero                          |
//! +---------------+---------------+-------------------------------+
//! | UTC seconds                                                   |
//! +-------------------------------+-------------------------------+
//! | fraction of a second / 65536  | counter                       |
//! +-------------------------------+-------------------------------+
//! | HMAC-SHA-256, cut to 128 bits                                 |
//! | ...                                                           |
//! +---------------------------------------------------------------+
//! ```
//!
//! The HMAC covers a pseudo header of 20 octets (IP version, VRRP version, VRID, zero, source address in 16 octets), the
//! message with its checksum field as zero, the first 12 octets of the trailer, and 16 zero octets. The checksum of the
//! message does not cover the trailer.

use core::net::IpAddr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{AdvertView, read_array, read_u16_be};

/// Length of the trailer in bytes.
pub const TRAILER_LEN: usize = 28;
/// The only scheme: HMAC-SHA-256 cut to 128 bits.
pub const SCHEME_SHA256_128: u8 = 1;
const TAG_LEN: usize = 16;
const SIGNED_LEN: usize = TRAILER_LEN - TAG_LEN;

mod field {
    use core::ops::Range;

    pub(super) const SCHEME: usize = 0;
    pub(super) const KEY_ID: usize = 1;
    pub(super) const RESERVED: usize = 2;
    pub(super) const SEQUENCE: Range<usize> = 4..12;
    pub(super) const TAG: Range<usize> = 12..28;
}

/// A moment on the sender's clock and a counter, 64 bits that grow from advert to advert: 32 bits of UTC seconds, 16 bits
/// of 1/65536 s, 16 bits of counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The first sequence of the moment `utc_us`, in microseconds since 1970.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the field has 32 bits of seconds; both sides wrap in 2106"
    )]
    pub const fn at(utc_us: u64) -> Self {
        let seconds = (utc_us / 1_000_000) as u32;
        let fraction = (utc_us % 1_000_000) * 65_536 / 1_000_000;
        Self((seconds as u64) << 32 | fraction << 16)
    }

    /// Its whole seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether it is later than `other`, in serial arithmetic (RFC 1982).
    #[must_use]
    pub const fn is_after(self, other: Self) -> bool {
        let ahead = self.0.wrapping_sub(other.0);
        ahead != 0 && ahead < 1 << 63
    }
}

/// A received trailer. Whether it is right is found out step by step, because each step has its own counter.
#[derive(Clone, Copy, Debug)]
pub struct TrailerView<'a>(&'a [u8; TRAILER_LEN]);

impl<'a> TrailerView<'a> {
    /// `bytes` are what follows the VRRP message; `None` if that is not a trailer's length, or its scheme or its zero
    /// octets are something else.
    #[must_use]
    pub fn new_checked(bytes: &'a [u8]) -> Option<Self> {
        let bytes: &[u8; TRAILER_LEN] = bytes.try_into().ok()?;
        let known = bytes[field::SCHEME] == SCHEME_SHA256_128 && read_u16_be(bytes, field::RESERVED) == 0;
        known.then_some(Self(bytes))
    }

    /// The key that it names.
    #[must_use]
    pub const fn key_id(&self) -> u8 {
        self.0[field::KEY_ID]
    }

    /// Its sequence.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        Sequence(u64::from_be_bytes(read_array(self.0, field::SEQUENCE.start)))
    }

    /// Whether it was made with `key` for `message` from `source`; the comparison takes the same time for all contents.
    #[must_use]
    pub fn verify(&self, key: &[u8], source: IpAddr, message: &AdvertView<'_>) -> bool {
        let signed = &self.0[..SIGNED_LEN];
        let Some(mac) = mac(key, source, message, signed) else {
            return false;
        };
        mac.verify_truncated_left(&self.0[field::TAG]).is_ok()
    }
}

/// Signs `message` from `source` with `key`.
///
/// Returns `None` only for a key that HMAC cannot take, which does not exist (any length is fine).
#[must_use]
pub fn sign(
    key_id: u8,
    key: &[u8],
    sequence: Sequence,
    source: IpAddr,
    message: &AdvertView<'_>,
) -> Option<[u8; TRAILER_LEN]> {
    let mut trailer = [0; TRAILER_LEN];
    trailer[field::SCHEME] = SCHEME_SHA256_128;
    trailer[field::KEY_ID] = key_id;
    trailer[field::SEQUENCE].copy_from_slice(&sequence.0.to_be_bytes());
    let tag = mac(key, source, message, &trailer[..SIGNED_LEN])?
        .finalize()
        .into_bytes();
    trailer[field::TAG].copy_from_slice(&tag[..TAG_LEN]);
    Some(trailer)
}

fn mac(key: &[u8], source: IpAddr, message: &AdvertView<'_>, signed: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    let mut pseudo = [0; 20];
    pseudo[1] = message.version().number();
    pseudo[2] = message.vrid();
    match source {
        IpAddr::V4(source) => {
            pseudo[0] = 4;
            pseudo[4..8].copy_from_slice(&source.octets());
        }
        IpAddr::V6(source) => {
            pseudo[0] = 6;
            pseudo[4..].copy_from_slice(&source.octets());
        }
    }
    let bytes = message.as_bytes();
    mac.update(&pseudo);
    mac.update(&bytes[..6]);
    mac.update(&[0, 0]);
    mac.update(&bytes[8..]);
    mac.update(signed);
    mac.update(&[0; TAG_LEN]);
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{AddressList, AdvertRepr, AuthField, Family, Pseudo, Version};

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn message() -> Vec<u8> {
        let repr = AdvertRepr {
            version: Version::V3,
            vrid: 7,
            priority: 100,
            advert_int: 100,
            auth: AuthField::None,
            addresses: AddressList::Wire(Family::V4, &[10, 0, 0, 1]),
        };
        let mut bytes = vec![0; repr.buffer_len()];
        repr.emit(&mut bytes, &Pseudo::None).unwrap();
        bytes
    }

    fn source() -> IpAddr {
        "10.0.0.9".parse().unwrap()
    }

    /// The vector was made with Python's `hmac` over the octets that the reference lists, one after the other.
    #[test]
    fn a_known_vector() {
        let bytes = message();
        let view = AdvertView::new_checked(&bytes, Family::V4).unwrap();
        let trailer = sign(5, KEY, Sequence(0x6553_f100_8000_0001), source(), &view).unwrap();
        let hex: String = trailer.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "010500006553f10080000001c1413d2eeadce86c3447c25630294597");
    }

    #[test]
    fn what_is_signed_verifies_and_nothing_else_does() {
        let mut bytes = message();
        let view = AdvertView::new_checked(&bytes, Family::V4).unwrap();
        let mut trailer = sign(5, KEY, Sequence::at(1_700_000_000_500_000), source(), &view).unwrap();
        let parsed = TrailerView::new_checked(&trailer).unwrap();
        assert!(parsed.verify(KEY, source(), &view));
        assert_eq!((parsed.key_id(), parsed.sequence().seconds()), (5, 1_700_000_000));
        assert!(!parsed.verify(b"another key", source(), &view));
        assert!(!parsed.verify(KEY, "10.0.0.8".parse().unwrap(), &view));
        trailer[8] ^= 1;
        assert!(!TrailerView::new_checked(&trailer).unwrap().verify(KEY, source(), &view));
        trailer[8] ^= 1;
        // The checksum is not covered, everything else is.
        bytes[6] ^= 1;
        let view = AdvertView::new_checked(&bytes, Family::V4).unwrap();
        assert!(TrailerView::new_checked(&trailer).unwrap().verify(KEY, source(), &view));
        bytes[2] ^= 1;
        let view = AdvertView::new_checked(&bytes, Family::V4).unwrap();
        assert!(!TrailerView::new_checked(&trailer).unwrap().verify(KEY, source(), &view));
    }

    #[test]
    fn other_schemes_and_lengths_are_no_trailer() {
        let mut trailer = [0; TRAILER_LEN];
        assert!(TrailerView::new_checked(&trailer).is_none());
        trailer[0] = SCHEME_SHA256_128;
        assert!(TrailerView::new_checked(&trailer).is_some());
        assert!(TrailerView::new_checked(&trailer[1..]).is_none());
        trailer[3] = 1;
        assert!(TrailerView::new_checked(&trailer).is_none());
    }

    #[test]
    fn sequences_grow_round_the_end() {
        assert!(Sequence(1).is_after(Sequence(u64::MAX)));
        assert!(!Sequence(1).is_after(Sequence(1)));
        assert_eq!(Sequence::at(1_500_000), Sequence(1 << 32 | 0x8000 << 16));
    }
}
