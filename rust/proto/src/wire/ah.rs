//! The IP Authentication Header as keepalived uses it for VRRPv2 over IPv4 (`vrrp-behaviour.md` 5, RFC 2402, RFC 2403).
//!
//! ```text
//!  0                   1                   2                   3
//! +---------------+---------------+-------------------------------+
//! | next (112)    | length (4)    | zero                          |
//! +---------------+---------------+-------------------------------+
//! | SPI: the source address                                       |
//! +---------------------------------------------------------------+
//! | sequence number                                               |
//! +---------------------------------------------------------------+
//! | HMAC-MD5, cut to 96 bits                                      |
//! | ...                                                           |
//! +---------------------------------------------------------------+
//! ```
//!
//! The HMAC covers the whole packet: IP header, this header with the HMAC as zero, message. Of the IP header type of
//! service, fragment field and checksum count as zero, and for unicast the TTL, which may change on the way. Seen on the
//! wire from keepalived 2.2.7.

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;

use super::ipv4::{self, Ipv4View};
use super::{read_array, read_u16_be};

/// IP protocol number of the Authentication Header.
pub const PROTOCOL: u8 = 51;
/// Length of the header in bytes.
pub const HEADER_LEN: usize = 24;
const TAG_LEN: usize = 12;
/// Length in units of 4 octets, without the first two.
const LENGTH_FIELD: u8 = 4;

mod field {
    use core::ops::Range;

    pub(super) const NEXT: usize = 0;
    pub(super) const LENGTH: usize = 1;
    pub(super) const RESERVED: usize = 2;
    pub(super) const SPI: Range<usize> = 4..8;
    pub(super) const SEQUENCE: Range<usize> = 8..12;
    pub(super) const TAG: Range<usize> = 12..24;
}

/// A received packet with an Authentication Header in front of a VRRP message.
#[derive(Clone, Copy, Debug)]
pub struct AhView<'a> {
    ip_header: &'a [u8],
    header: &'a [u8],
    message: &'a [u8],
}

impl<'a> AhView<'a> {
    /// `None` when it is not one, or guards something else than VRRP.
    #[must_use]
    pub fn new_checked(packet: &Ipv4View<'a>) -> Option<Self> {
        if packet.protocol() != PROTOCOL {
            return None;
        }
        let (header, message) = packet.payload().split_at_checked(HEADER_LEN)?;
        let known = header[field::NEXT] == super::vrrp::PROTOCOL
            && header[field::LENGTH] == LENGTH_FIELD
            && read_u16_be(header, field::RESERVED) == 0;
        known.then_some(Self {
            ip_header: packet.header(),
            header,
            message,
        })
    }

    /// The VRRP message.
    #[must_use]
    pub const fn message(&self) -> &'a [u8] {
        self.message
    }

    /// Security parameters index: the source address.
    #[must_use]
    pub fn spi(&self) -> u32 {
        u32::from_be_bytes(read_array(self.header, field::SPI.start))
    }

    /// Sequence number.
    #[must_use]
    pub fn sequence(&self) -> u32 {
        u32::from_be_bytes(read_array(self.header, field::SEQUENCE.start))
    }

    /// Whether it was made with `key`; the comparison takes the same time for all contents.
    #[must_use]
    pub fn verify(&self, key: &[u8], ttl_counts: bool) -> bool {
        mac(
            key,
            self.ip_header,
            &self.header[..field::TAG.start],
            self.message,
            ttl_counts,
        )
        .is_some_and(|mac| mac.verify_truncated_left(&self.header[field::TAG]).is_ok())
    }
}

/// Writes the Authentication Header of a ready-made packet: its IP header is in place and has 20 octets, then comes room
/// for this one, then the message. `ttl_counts`: multicast. Does nothing with a packet that is too short for that.
pub fn seal(packet: &mut [u8], key: &[u8], sequence: u32, ttl_counts: bool) {
    let Some((ip_header, rest)) = packet.split_at_mut_checked(ipv4::HEADER_LEN) else {
        return;
    };
    let Some((header, message)) = rest.split_at_mut_checked(HEADER_LEN) else {
        return;
    };
    header.fill(0);
    header[field::NEXT] = super::vrrp::PROTOCOL;
    header[field::LENGTH] = LENGTH_FIELD;
    header[field::SPI].copy_from_slice(&ip_header[12..16]);
    header[field::SEQUENCE].copy_from_slice(&sequence.to_be_bytes());
    if let Some(mac) = mac(key, ip_header, &header[..field::TAG.start], message, ttl_counts) {
        header[field::TAG].copy_from_slice(&mac.finalize().into_bytes()[..TAG_LEN]);
    }
}

fn mac(key: &[u8], ip_header: &[u8], header: &[u8], message: &[u8], ttl_counts: bool) -> Option<Hmac<Md5>> {
    let mut mac = Hmac::<Md5>::new_from_slice(key).ok()?;
    let mut fixed: [u8; ipv4::HEADER_LEN] = read_array(ip_header.get(..ipv4::HEADER_LEN)?, 0);
    fixed[1] = 0;
    fixed[6..8].fill(0);
    if !ttl_counts {
        fixed[8] = 0;
    }
    fixed[10..12].fill(0);
    mac.update(&fixed);
    mac.update(&ip_header[ipv4::HEADER_LEN..]);
    mac.update(header);
    mac.update(&[0; TAG_LEN]);
    mac.update(message);
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured from keepalived 2.2.7 with the password `secret`: by multicast, and by unicast.
    const CAPTURED: [(&str, bool); 2] = [
        (
            "45c0004000010000ff33d0ac0a00000be0000012700400000a00000b00000001b9e471e8878f2b310c580322\
             2133640102016ec90a0000010000000000000000",
            true,
        ),
        (
            "45c0004000020000ff33a6b20a00000c0a00000b700400000a00000c000000088380ace8e34ace2f199eebb3\
             2133960102013cc90a0000010000000000000000",
            false,
        ),
    ];

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn captured_packets_verify() {
        for (hex, ttl_counts) in CAPTURED {
            let packet = bytes(hex);
            let ip = Ipv4View::new_checked(&packet).unwrap();
            let ah = AhView::new_checked(&ip).unwrap();
            assert!(ah.verify(b"secret", ttl_counts) && ah.verify(b"secret\0\0", ttl_counts));
            assert!(!ah.verify(b"secret", !ttl_counts) && !ah.verify(b"Secret", ttl_counts));
            assert_eq!(ah.spi().to_be_bytes(), ip.src().octets());
            assert_eq!((ah.message().len(), ah.message()[4]), (20, 2));
        }
    }

    #[test]
    fn captured_packets_are_written() {
        for (hex, ttl_counts) in CAPTURED {
            let captured = bytes(hex);
            let sequence = u32::from(captured[31]);
            let mut packet = captured.clone();
            packet[20..44].fill(0xa5);
            seal(&mut packet, b"secret", sequence, ttl_counts);
            assert_eq!(packet, captured);
        }
    }

    #[test]
    fn what_may_change_on_the_way_is_not_covered_and_all_else_is() {
        let (hex, _) = CAPTURED[1];
        let good = bytes(hex);
        for at in 0..good.len() {
            let mut packet = good.clone();
            packet[at] ^= 1;
            let verified = Ipv4View::new_checked(&packet)
                .ok()
                .and_then(|ip| AhView::new_checked(&ip).map(|ah| ah.verify(b"secret", false)));
            let mutable = [1, 6, 7, 8, 10, 11].contains(&at);
            assert_eq!(verified == Some(true), mutable, "octet {at}");
        }
        seal(&mut [0; 43], b"secret", 1, true);
    }
}
