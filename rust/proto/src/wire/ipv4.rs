//! The IPv4 header: RFC 791 3.1, as VRRP uses it (RFC 3768 5.2, RFC 5798 5.1.1, vrrp-behaviour.md 4).

use core::net::Ipv4Addr;

use super::checksum::{self, Pseudo};
use super::{EmitError, WireError, read_array, read_u16_be};

/// Length of a header without options in bytes.
pub const HEADER_LEN: usize = 20;
/// Type of service of VRRP: internetwork control.
pub const TOS_INTERNETWORK_CONTROL: u8 = 0xc0;

mod field {
    use core::ops::Range;

    pub(super) const VERSION_IHL: usize = 0;
    pub(super) const TOS: usize = 1;
    pub(super) const TOTAL_LEN: Range<usize> = 2..4;
    pub(super) const IDENT: Range<usize> = 4..6;
    pub(super) const FLAGS_OFFSET: Range<usize> = 6..8;
    pub(super) const TTL: usize = 8;
    pub(super) const PROTOCOL: usize = 9;
    pub(super) const CHECKSUM: Range<usize> = 10..12;
    pub(super) const SRC: Range<usize> = 12..16;
    pub(super) const DST: Range<usize> = 16..20;
}

const FLAG_DONT_FRAGMENT: u16 = 0x4000;
const FLAG_MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;

/// A received IPv4 packet.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4View<'a> {
    /// Header and payload, cut to the total length.
    packet: &'a [u8],
    header_len: usize,
}

impl<'a> Ipv4View<'a> {
    /// Checks the lengths of the packet at the start of `bytes`. Bytes after the total length are Ethernet padding and
    /// ignored; the header checksum is not looked at, since the kernel has done it for what raw sockets receive.
    ///
    /// # Errors
    /// [`WireError::TooShort`]: no complete header. [`WireError::UnknownVersion`]: not 4.
    /// [`WireError::HeaderLength`]: below 20 or beyond the total length. [`WireError::Truncated`]: total length larger
    /// than `bytes`.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self, WireError> {
        if bytes.len() < HEADER_LEN {
            return Err(WireError::TooShort);
        }
        let version = bytes[field::VERSION_IHL] >> 4;
        if version != 4 {
            return Err(WireError::UnknownVersion(version));
        }
        let header_len = usize::from(bytes[field::VERSION_IHL] & 0x0f) * 4;
        let total_len = usize::from(read_u16_be(bytes, field::TOTAL_LEN.start));
        if header_len < HEADER_LEN || total_len < header_len {
            return Err(WireError::HeaderLength);
        }
        let packet = bytes.get(..total_len).ok_or(WireError::Truncated)?;
        Ok(Self { packet, header_len })
    }

    /// Length of the header with options in bytes.
    #[must_use]
    pub const fn header_len(&self) -> usize {
        self.header_len
    }

    /// Length of the packet in bytes, padding excluded.
    #[must_use]
    pub const fn total_len(&self) -> usize {
        self.packet.len()
    }

    /// Type of service.
    #[must_use]
    pub const fn tos(&self) -> u8 {
        self.packet[field::TOS]
    }

    /// Identification.
    #[must_use]
    pub fn ident(&self) -> u16 {
        read_u16_be(self.packet, field::IDENT.start)
    }

    /// Whether the packet must not be fragmented.
    #[must_use]
    pub fn dont_fragment(&self) -> bool {
        self.flags_offset() & FLAG_DONT_FRAGMENT != 0
    }

    /// Whether this is only a part of a packet. The payload of a fragment is not a message.
    #[must_use]
    pub fn is_fragment(&self) -> bool {
        self.flags_offset() & (FLAG_MORE_FRAGMENTS | OFFSET_MASK) != 0
    }

    fn flags_offset(&self) -> u16 {
        read_u16_be(self.packet, field::FLAGS_OFFSET.start)
    }

    /// Time to live.
    #[must_use]
    pub const fn ttl(&self) -> u8 {
        self.packet[field::TTL]
    }

    /// Number of the protocol in the payload.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.packet[field::PROTOCOL]
    }

    /// Source address.
    #[must_use]
    pub fn src(&self) -> Ipv4Addr {
        Ipv4Addr::from(read_array::<4>(self.packet, field::SRC.start))
    }

    /// Destination address.
    #[must_use]
    pub fn dst(&self) -> Ipv4Addr {
        Ipv4Addr::from(read_array::<4>(self.packet, field::DST.start))
    }

    /// The pseudo header of the payload.
    #[must_use]
    pub fn pseudo(&self) -> Pseudo {
        Pseudo::V4 {
            src: self.src(),
            dst: self.dst(),
        }
    }

    /// Whether the header checksum is right.
    #[must_use]
    pub fn checksum_ok(&self) -> bool {
        checksum::verify(&self.packet[..self.header_len], &Pseudo::None, 0)
    }

    /// The header with its options.
    #[must_use]
    pub fn header(&self) -> &'a [u8] {
        &self.packet[..self.header_len]
    }

    /// The header options, not decoded.
    #[must_use]
    pub fn options(&self) -> &'a [u8] {
        &self.packet[HEADER_LEN..self.header_len]
    }

    /// What the packet carries, without padding.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        &self.packet[self.header_len..]
    }
}

/// A header without options to send. It is never a fragment and may be fragmented (DF clear).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Repr {
    /// Type of service, [`TOS_INTERNETWORK_CONTROL`] for VRRP.
    pub tos: u8,
    /// Identification. With zero a raw socket's kernel would choose one (raw(7)); VRRP senders use a non-zero one.
    pub ident: u16,
    /// Time to live.
    pub ttl: u8,
    /// Number of the protocol in the payload.
    pub protocol: u8,
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Length of the payload in bytes.
    pub payload_len: usize,
}

impl Ipv4Repr {
    /// The header of an advertisement of `payload_len` bytes: TOS 0xc0, TTL 255, protocol 112.
    #[must_use]
    pub const fn vrrp(src: Ipv4Addr, dst: Ipv4Addr, ident: u16, payload_len: usize) -> Self {
        Self {
            tos: TOS_INTERNETWORK_CONTROL,
            ident,
            ttl: super::vrrp::TTL,
            protocol: super::vrrp::PROTOCOL,
            src,
            dst,
            payload_len,
        }
    }

    /// Number of bytes that [`Ipv4Repr::emit`] writes: the header alone.
    #[must_use]
    pub const fn buffer_len(&self) -> usize {
        HEADER_LEN
    }

    /// Writes the header with its checksum to the start of `buffer` and returns its length.
    ///
    /// # Errors
    /// [`EmitError::TooLong`]: header and payload exceed 65535 bytes. [`EmitError::BufferTooSmall`].
    /// The buffer is unchanged then.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, EmitError> {
        let total_len = HEADER_LEN
            .checked_add(self.payload_len)
            .and_then(|len| u16::try_from(len).ok())
            .ok_or(EmitError::TooLong)?;
        let header = buffer.get_mut(..HEADER_LEN).ok_or(EmitError::BufferTooSmall)?;
        header[field::VERSION_IHL] = 0x45;
        header[field::TOS] = self.tos;
        header[field::TOTAL_LEN].copy_from_slice(&total_len.to_be_bytes());
        header[field::IDENT].copy_from_slice(&self.ident.to_be_bytes());
        header[field::FLAGS_OFFSET].fill(0);
        header[field::TTL] = self.ttl;
        header[field::PROTOCOL] = self.protocol;
        header[field::CHECKSUM].fill(0);
        header[field::SRC].copy_from_slice(&self.src.octets());
        header[field::DST].copy_from_slice(&self.dst.octets());
        let checksum = checksum::checksum(header, &Pseudo::None, 0);
        header[field::CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
        Ok(HEADER_LEN)
    }
}

/// Gives the ready-made header at the start of `packet` another identification and mends its checksum.
///
/// # Errors
/// [`EmitError::BufferTooSmall`] if `packet` is shorter than a header.
pub fn set_ident(packet: &mut [u8], ident: u16) -> Result<(), EmitError> {
    let header = packet.get_mut(..HEADER_LEN).ok_or(EmitError::BufferTooSmall)?;
    let old = read_u16_be(header, field::IDENT.start);
    let checksum = checksum::update(read_u16_be(header, field::CHECKSUM.start), old, ident);
    header[field::IDENT].copy_from_slice(&ident.to_be_bytes());
    header[field::CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod test {
    use proptest::prelude::*;

    use super::*;

    /// Header of a version 3 advertisement of keepalived 2.2.7, captured, with 20 bytes of payload.
    const CAPTURED: [u8; 20] = [
        0x45, 0xc0, 0x00, 0x28, 0x00, 0x01, 0x00, 0x00, 0xff, 0x70, 0xcf, 0x98, 0x0a, 0x00, 0x00, 0xfa, 0xe0, 0x00,
        0x00, 0x12,
    ];
    const SRC: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 250);
    const DST: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

    fn packet(len: usize) -> Vec<u8> {
        let mut packet = CAPTURED.to_vec();
        packet.extend((0..len - CAPTURED.len()).map(|n| n as u8));
        packet
    }

    #[test]
    fn captured_header_is_read() {
        let packet = packet(40);
        let view = Ipv4View::new_checked(&packet).unwrap();
        assert_eq!((view.header_len(), view.total_len()), (20, 40));
        assert_eq!(
            (view.tos(), view.ident(), view.ttl(), view.protocol()),
            (0xc0, 1, 255, 112)
        );
        assert_eq!((view.src(), view.dst()), (SRC, DST));
        assert_eq!(view.pseudo(), Pseudo::V4 { src: SRC, dst: DST });
        assert!(view.checksum_ok() && !view.is_fragment() && !view.dont_fragment());
        assert_eq!((view.options(), view.payload()), (&[][..], &packet[20..]));
    }

    #[test]
    fn captured_header_is_written() {
        let mut buffer = [0xa5; 24];
        let repr = Ipv4Repr::vrrp(SRC, DST, 1, 20);
        assert_eq!(repr.emit(&mut buffer), Ok(repr.buffer_len()));
        assert_eq!(buffer[..20], CAPTURED);
        assert_eq!(buffer[20..], [0xa5; 4]);
    }

    #[test]
    fn padding_is_cut_off() {
        let packet = packet(46);
        let view = Ipv4View::new_checked(&packet).unwrap();
        assert_eq!((view.total_len(), view.payload().len()), (40, 20));
    }

    #[test]
    fn options_are_stepped_over() {
        let mut packet = packet(40);
        packet[0] = 0x47;
        let view = Ipv4View::new_checked(&packet).unwrap();
        assert_eq!(
            (view.header_len(), view.options(), view.payload()),
            (28, &packet[20..28], &packet[28..])
        );
        assert!(!view.checksum_ok());
    }

    #[test]
    fn fragments_are_seen() {
        for (flags, is_fragment) in [
            (0x4000u16, false),
            (0x8000, false),
            (0x2000, true),
            (0x0001, true),
            (0x1fff, true),
        ] {
            let mut packet = packet(40);
            packet[6..8].copy_from_slice(&flags.to_be_bytes());
            let view = Ipv4View::new_checked(&packet).unwrap();
            assert_eq!(view.is_fragment(), is_fragment, "{flags:#06x}");
            assert_eq!(view.dont_fragment(), flags == 0x4000);
        }
    }

    #[test]
    fn each_lie_has_its_error() {
        let check = |bytes: &[u8]| Ipv4View::new_checked(bytes).map(|_| ());
        assert_eq!(check(&[]), Err(WireError::TooShort));
        assert_eq!(check(&packet(40)[..19]), Err(WireError::TooShort));
        assert_eq!(check(&packet(39)), Err(WireError::Truncated));
        let changed = |at: usize, value: u8| {
            let mut packet = packet(40);
            packet[at] = value;
            check(&packet)
        };
        assert_eq!(changed(0, 0x65), Err(WireError::UnknownVersion(6)));
        assert_eq!(changed(0, 0x44), Err(WireError::HeaderLength));
        assert_eq!(changed(0, 0x4f), Err(WireError::HeaderLength));
        assert_eq!(changed(3, 19), Err(WireError::HeaderLength));
        assert_eq!(changed(2, 1), Err(WireError::Truncated));
        assert_eq!(changed(3, 20), Ok(()));
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        let mut buffer = [0xa5; 20];
        let repr = Ipv4Repr::vrrp(SRC, DST, 1, 20);
        assert_eq!(repr.emit(&mut buffer[..19]), Err(EmitError::BufferTooSmall));
        for payload_len in [65_516, usize::MAX] {
            assert_eq!(
                Ipv4Repr { payload_len, ..repr }.emit(&mut buffer),
                Err(EmitError::TooLong)
            );
        }
        assert_eq!(buffer, [0xa5; 20]);
        assert!(
            Ipv4Repr {
                payload_len: 65_515,
                ..repr
            }
            .emit(&mut buffer)
            .is_ok()
        );
        assert_eq!(set_ident(&mut buffer[..19], 2), Err(EmitError::BufferTooSmall));
    }

    proptest! {
        #[test]
        fn round_trip(
            (tos, ident, ttl, protocol, src, dst) in any::<(u8, u16, u8, u8, u32, u32)>(),
            payload_len in 0usize..100,
            new_ident in any::<u16>(),
        ) {
            let repr = Ipv4Repr { tos, ident, ttl, protocol, src: src.into(), dst: dst.into(), payload_len };
            let mut packet = vec![0xa5; HEADER_LEN + payload_len];
            repr.emit(&mut packet).unwrap();
            let view = Ipv4View::new_checked(&packet).unwrap();
            prop_assert!(view.checksum_ok());
            let again = Ipv4Repr {
                tos: view.tos(),
                ident: view.ident(),
                ttl: view.ttl(),
                protocol: view.protocol(),
                src: view.src(),
                dst: view.dst(),
                payload_len: view.payload().len(),
            };
            prop_assert_eq!(again, repr);

            set_ident(&mut packet, new_ident).unwrap();
            let mut expected = vec![0xa5; packet.len()];
            Ipv4Repr { ident: new_ident, ..repr }.emit(&mut expected).unwrap();
            prop_assert_eq!(packet, expected);
        }

        #[test]
        fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..100), nearly_right: bool) {
            if nearly_right {
                for (byte, right) in bytes.iter_mut().zip([0x45, 0xc0, 0x00]) {
                    *byte = right;
                }
            }
            crate::wire::fuzz::ipv4(&bytes);
        }
    }
}
