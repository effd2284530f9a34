//! The unsolicited neighbour advertisement: RFC 4861 4.4 and 7.2.6, in its frame (RFC 2464 section 7), vrrp-behaviour.md 2.

use core::net::Ipv6Addr;

use super::EmitError;
use super::checksum::{self, Pseudo};
use super::ether::{self, EtherRepr, MacAddress};

/// Length of the whole frame: Ethernet, IPv6, ICMPv6, one option.
pub const FRAME_LEN: usize = ether::HEADER_LEN + IPV6_HEADER_LEN + ICMPV6_LEN;

const IPV6_HEADER_LEN: usize = 40;
/// Neighbour advertisement of 24 bytes and the target link-layer address option of 8.
const ICMPV6_LEN: usize = 32;
const NEXT_HEADER_ICMPV6: u8 = 58;
const TYPE_NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const OPTION_TARGET_LINK_LAYER_ADDRESS: u8 = 2;
/// Receivers drop neighbour discovery that has passed a router (RFC 4861 7.1.2).
const HOP_LIMIT: u8 = 255;
const FLAG_ROUTER: u8 = 0x80;
const FLAG_OVERRIDE: u8 = 0x20;

/// All nodes of the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// The Ethernet group of [`ALL_NODES`].
pub const ALL_NODES_MAC: MacAddress = MacAddress([0x33, 0x33, 0, 0, 0, 1]);

mod ipv6_field {
    use core::ops::Range;

    pub(super) const VERSION_FLOW: Range<usize> = 0..4;
    pub(super) const PAYLOAD_LEN: Range<usize> = 4..6;
    pub(super) const NEXT_HEADER: usize = 6;
    pub(super) const HOP_LIMIT: usize = 7;
    pub(super) const SRC: Range<usize> = 8..24;
    pub(super) const DST: Range<usize> = 24..40;
}

mod field {
    use core::ops::Range;

    pub(super) const TYPE: usize = 0;
    pub(super) const CODE: usize = 1;
    pub(super) const CHECKSUM: Range<usize> = 2..4;
    pub(super) const FLAGS: usize = 4;
    pub(super) const RESERVED: Range<usize> = 5..8;
    pub(super) const TARGET: Range<usize> = 8..24;
    pub(super) const OPTION_TYPE: usize = 24;
    pub(super) const OPTION_LEN: usize = 25;
    pub(super) const OPTION_MAC: Range<usize> = 26..32;
}

/// "`address` is at `mac`, forget what you knew": override set, solicited clear, sent from the address to all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsolicitedAdvertisement {
    /// Hardware address of the interface.
    pub mac: MacAddress,
    /// The address announced.
    pub address: Ipv6Addr,
    /// Router flag: whether the interface forwards (RFC 4861 7.2.6: a change of it takes us off default router lists).
    pub router: bool,
}

impl UnsolicitedAdvertisement {
    /// Number of bytes that [`UnsolicitedAdvertisement::emit`] writes, [`FRAME_LEN`].
    #[must_use]
    pub const fn buffer_len(&self) -> usize {
        FRAME_LEN
    }

    /// Writes the complete Ethernet frame to the start of `buffer` and returns its length.
    ///
    /// # Errors
    /// [`EmitError::BufferTooSmall`]; the buffer is unchanged then.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, EmitError> {
        let frame = buffer.get_mut(..FRAME_LEN).ok_or(EmitError::BufferTooSmall)?;
        let (header, packet) = frame.split_at_mut(ether::HEADER_LEN);
        let (ipv6, icmp) = packet.split_at_mut(IPV6_HEADER_LEN);
        EtherRepr {
            dst: ALL_NODES_MAC,
            src: self.mac,
            ether_type: ether::TYPE_IPV6,
        }
        .emit(header)?;

        ipv6[ipv6_field::VERSION_FLOW].copy_from_slice(&[0x60, 0, 0, 0]);
        ipv6[ipv6_field::PAYLOAD_LEN].copy_from_slice(&(ICMPV6_LEN as u16).to_be_bytes());
        ipv6[ipv6_field::NEXT_HEADER] = NEXT_HEADER_ICMPV6;
        ipv6[ipv6_field::HOP_LIMIT] = HOP_LIMIT;
        ipv6[ipv6_field::SRC].copy_from_slice(&self.address.octets());
        ipv6[ipv6_field::DST].copy_from_slice(&ALL_NODES.octets());

        icmp[field::TYPE] = TYPE_NEIGHBOUR_ADVERTISEMENT;
        icmp[field::CODE] = 0;
        icmp[field::CHECKSUM].fill(0);
        icmp[field::FLAGS] = if self.router {
            FLAG_ROUTER | FLAG_OVERRIDE
        } else {
            FLAG_OVERRIDE
        };
        icmp[field::RESERVED].fill(0);
        icmp[field::TARGET].copy_from_slice(&self.address.octets());
        icmp[field::OPTION_TYPE] = OPTION_TARGET_LINK_LAYER_ADDRESS;
        icmp[field::OPTION_LEN] = 1; // in units of eight bytes
        icmp[field::OPTION_MAC].copy_from_slice(&self.mac.0);
        let pseudo = Pseudo::V6 {
            src: self.address,
            dst: ALL_NODES,
        };
        let checksum = checksum::checksum(icmp, &pseudo, NEXT_HEADER_ICMPV6);
        icmp[field::CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
        Ok(FRAME_LEN)
    }
}

#[cfg(test)]
mod test {
    use super::*;

    /// Captured from keepalived 2.2.7 on a host that does not forward.
    #[rustfmt::skip]
    const CAPTURED: [u8; 86] = [
        0x33, 0x33, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x86, 0xdd,
        0x60, 0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff,
        0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05,
        0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
        0x88, 0x00, 0xf9, 0x22, 0x20, 0x00, 0x00, 0x00,
        0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05,
        0x02, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01,
    ];
    const REPR: UnsolicitedAdvertisement = UnsolicitedAdvertisement {
        mac: MacAddress([2, 0, 0, 0, 0, 1]),
        address: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 5),
        router: false,
    };

    #[test]
    fn captured_frame_is_written() {
        let mut buffer = [0xa5; FRAME_LEN + 4];
        assert_eq!(REPR.emit(&mut buffer), Ok(REPR.buffer_len()));
        assert_eq!(buffer[..FRAME_LEN], CAPTURED);
        assert_eq!(buffer[FRAME_LEN..], [0xa5; 4]);
    }

    #[test]
    fn router_flag_and_nothing_else() {
        let mut buffer = [0xa5; FRAME_LEN];
        let repr = UnsolicitedAdvertisement { router: true, ..REPR };
        repr.emit(&mut buffer).unwrap();
        let icmp = &buffer[54..];
        assert_eq!(icmp[4], 0xa0);
        let pseudo = Pseudo::V6 {
            src: repr.address,
            dst: ALL_NODES,
        };
        assert!(checksum::verify(icmp, &pseudo, NEXT_HEADER_ICMPV6));
        assert_eq!(buffer[..54], CAPTURED[..54]);
        assert_eq!(icmp[5..], CAPTURED[59..]);
    }

    #[test]
    fn too_small() {
        assert_eq!(REPR.emit(&mut [0; FRAME_LEN - 1]), Err(EmitError::BufferTooSmall));
    }
}
