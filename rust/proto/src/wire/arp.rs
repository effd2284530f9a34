//! Gratuitous ARP: RFC 826 for the format, RFC 5227 section 3 for the announcement, vrrp-behaviour.md 2 for the form.

use core::net::Ipv4Addr;

use super::ether::{self, EtherRepr, MacAddress};
use super::{EmitError, WireError, read_array, read_u16_be};

/// Length of an ARP packet for IPv4 over Ethernet in bytes.
pub const PACKET_LEN: usize = 28;
/// Length of the frame of a gratuitous ARP, without padding.
pub const FRAME_LEN: usize = ether::HEADER_LEN + PACKET_LEN;
/// Operation: request.
pub const OPERATION_REQUEST: u16 = 1;
/// Operation: reply.
pub const OPERATION_REPLY: u16 = 2;

const HARDWARE_ETHERNET: u16 = 1;
const PROTOCOL_IPV4: u16 = 0x0800;

mod field {
    use core::ops::Range;

    pub(super) const HARDWARE_TYPE: Range<usize> = 0..2;
    pub(super) const PROTOCOL_TYPE: Range<usize> = 2..4;
    pub(super) const HARDWARE_LEN: usize = 4;
    pub(super) const PROTOCOL_LEN: usize = 5;
    pub(super) const OPERATION: Range<usize> = 6..8;
    pub(super) const SENDER_MAC: Range<usize> = 8..14;
    pub(super) const SENDER_IP: Range<usize> = 14..18;
    pub(super) const TARGET_MAC: Range<usize> = 18..24;
    pub(super) const TARGET_IP: Range<usize> = 24..28;
}

/// A received ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, Debug)]
pub struct ArpView<'a> {
    packet: &'a [u8],
}

impl<'a> ArpView<'a> {
    /// Checks the payload of a frame of type [`ether::TYPE_ARP`]; padding after the packet is ignored.
    ///
    /// # Errors
    /// [`WireError::TooShort`]; [`WireError::HeaderLength`] if hardware and protocol are not Ethernet and IPv4.
    pub fn new_checked(payload: &'a [u8]) -> Result<Self, WireError> {
        let packet = payload.get(..PACKET_LEN).ok_or(WireError::TooShort)?;
        let for_ipv4_over_ethernet = read_u16_be(packet, field::HARDWARE_TYPE.start) == HARDWARE_ETHERNET
            && read_u16_be(packet, field::PROTOCOL_TYPE.start) == PROTOCOL_IPV4
            && packet[field::HARDWARE_LEN] == 6
            && packet[field::PROTOCOL_LEN] == 4;
        if for_ipv4_over_ethernet {
            Ok(Self { packet })
        } else {
            Err(WireError::HeaderLength)
        }
    }

    /// Operation, [`OPERATION_REQUEST`] or [`OPERATION_REPLY`].
    #[must_use]
    pub fn operation(&self) -> u16 {
        read_u16_be(self.packet, field::OPERATION.start)
    }

    /// Hardware address of the sender.
    #[must_use]
    pub fn sender_mac(&self) -> MacAddress {
        MacAddress(read_array(self.packet, field::SENDER_MAC.start))
    }

    /// Protocol address of the sender.
    #[must_use]
    pub fn sender_ip(&self) -> Ipv4Addr {
        Ipv4Addr::from(read_array::<4>(self.packet, field::SENDER_IP.start))
    }

    /// Hardware address of the target, meaningless in a request.
    #[must_use]
    pub fn target_mac(&self) -> MacAddress {
        MacAddress(read_array(self.packet, field::TARGET_MAC.start))
    }

    /// Protocol address of the target.
    #[must_use]
    pub fn target_ip(&self) -> Ipv4Addr {
        Ipv4Addr::from(read_array::<4>(self.packet, field::TARGET_IP.start))
    }
}

/// "`address` is at `mac`": a broadcast ARP request in which sender and target are the same address.
///
/// A request and not a reply, because every stack updates its cache from a request's sender fields (RFC 5227 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GratuitousArp {
    /// Hardware address of the interface.
    pub mac: MacAddress,
    /// The address announced.
    pub address: Ipv4Addr,
}

impl GratuitousArp {
    /// Number of bytes that [`GratuitousArp::emit`] writes, [`FRAME_LEN`].
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
        EtherRepr {
            dst: MacAddress::BROADCAST,
            src: self.mac,
            ether_type: ether::TYPE_ARP,
        }
        .emit(header)?;
        packet[field::HARDWARE_TYPE].copy_from_slice(&HARDWARE_ETHERNET.to_be_bytes());
        packet[field::PROTOCOL_TYPE].copy_from_slice(&PROTOCOL_IPV4.to_be_bytes());
        packet[field::HARDWARE_LEN] = 6;
        packet[field::PROTOCOL_LEN] = 4;
        packet[field::OPERATION].copy_from_slice(&OPERATION_REQUEST.to_be_bytes());
        packet[field::SENDER_MAC].copy_from_slice(&self.mac.0);
        packet[field::SENDER_IP].copy_from_slice(&self.address.octets());
        packet[field::TARGET_MAC].copy_from_slice(&MacAddress::BROADCAST.0);
        packet[field::TARGET_IP].copy_from_slice(&self.address.octets());
        Ok(FRAME_LEN)
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::wire::ether::EtherView;

    /// Captured from keepalived 2.2.7 on a veth. It is not padded: that is the driver's work.
    #[rustfmt::skip]
    const CAPTURED: [u8; 42] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x06,
        0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01,
        0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x0a, 0x00, 0x00, 0x1f,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0a, 0x00, 0x00, 0x1f,
    ];
    const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 31);

    #[test]
    fn captured_frame_is_written() {
        let mut buffer = [0xa5; FRAME_LEN + 4];
        let repr = GratuitousArp {
            mac: MAC,
            address: ADDRESS,
        };
        assert_eq!(repr.emit(&mut buffer), Ok(repr.buffer_len()));
        assert_eq!(buffer[..FRAME_LEN], CAPTURED);
        assert_eq!(buffer[FRAME_LEN..], [0xa5; 4]);
        assert_eq!(repr.emit(&mut buffer[..FRAME_LEN - 1]), Err(EmitError::BufferTooSmall));
    }

    #[test]
    fn captured_frame_is_read() {
        let frame = EtherView::new_checked(&CAPTURED).unwrap();
        assert_eq!(
            (frame.dst(), frame.src(), frame.ether_type()),
            (MacAddress::BROADCAST, MAC, ether::TYPE_ARP)
        );
        let packet = ArpView::new_checked(frame.payload()).unwrap();
        assert_eq!(packet.operation(), OPERATION_REQUEST);
        assert_eq!((packet.sender_mac(), packet.sender_ip()), (MAC, ADDRESS));
        assert_eq!(
            (packet.target_mac(), packet.target_ip()),
            (MacAddress::BROADCAST, ADDRESS)
        );
    }

    #[test]
    fn each_lie_has_its_error() {
        let check = |bytes: &[u8]| ArpView::new_checked(bytes).map(|_| ());
        assert_eq!(check(&CAPTURED[14..41]), Err(WireError::TooShort));
        for at in [0, 1, 2, 3, 4, 5] {
            let mut packet = [0; PACKET_LEN];
            packet.copy_from_slice(&CAPTURED[14..]);
            packet[at] ^= 0x10;
            assert_eq!(check(&packet), Err(WireError::HeaderLength), "{at}");
        }
    }
}
