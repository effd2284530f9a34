//! The Ethernet II header: RFC 894, IEEE 802.3 3.2.

use core::fmt;

use super::{EmitError, WireError, read_array, read_u16_be};

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 14;
/// Shortest frame without its check sequence. Drivers and switches pad what is shorter; what we send is left to them.
pub const MIN_FRAME_LEN: usize = 60;
/// Type of ARP (RFC 826).
pub const TYPE_ARP: u16 = 0x0806;
/// Type of IPv6 (RFC 2464 section 3).
pub const TYPE_IPV6: u16 = 0x86dd;

mod field {
    use core::ops::Range;

    pub(super) const DST: Range<usize> = 0..6;
    pub(super) const SRC: Range<usize> = 6..12;
    pub(super) const TYPE: Range<usize> = 12..14;
}

/// An Ethernet address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// Everybody on the LAN.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// Nobody in particular.
    pub const ZERO: Self = Self([0; 6]);
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A received frame.
#[derive(Clone, Copy, Debug)]
pub struct EtherView<'a> {
    frame: &'a [u8],
}

impl<'a> EtherView<'a> {
    /// Checks that there is a complete header.
    ///
    /// # Errors
    /// [`WireError::TooShort`].
    pub const fn new_checked(frame: &'a [u8]) -> Result<Self, WireError> {
        if frame.len() < HEADER_LEN {
            return Err(WireError::TooShort);
        }
        Ok(Self { frame })
    }

    /// Destination address.
    #[must_use]
    pub fn dst(&self) -> MacAddress {
        MacAddress(read_array(self.frame, field::DST.start))
    }

    /// Source address.
    #[must_use]
    pub fn src(&self) -> MacAddress {
        MacAddress(read_array(self.frame, field::SRC.start))
    }

    /// Type of the payload.
    #[must_use]
    pub fn ether_type(&self) -> u16 {
        read_u16_be(self.frame, field::TYPE.start)
    }

    /// What the frame carries, padding included.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        &self.frame[HEADER_LEN..]
    }
}

/// A header to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EtherRepr {
    /// Destination address.
    pub dst: MacAddress,
    /// Source address.
    pub src: MacAddress,
    /// Type of the payload.
    pub ether_type: u16,
}

impl EtherRepr {
    /// Number of bytes that [`EtherRepr::emit`] writes.
    #[must_use]
    pub const fn buffer_len(&self) -> usize {
        HEADER_LEN
    }

    /// Writes the header to the start of `buffer` and returns its length.
    ///
    /// # Errors
    /// [`EmitError::BufferTooSmall`]; the buffer is unchanged then.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, EmitError> {
        let header = buffer.get_mut(..HEADER_LEN).ok_or(EmitError::BufferTooSmall)?;
        header[field::DST].copy_from_slice(&self.dst.0);
        header[field::SRC].copy_from_slice(&self.src.0);
        header[field::TYPE].copy_from_slice(&self.ether_type.to_be_bytes());
        Ok(HEADER_LEN)
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn round_trip() {
        let repr = EtherRepr {
            dst: MacAddress::BROADCAST,
            src: MacAddress([2, 0, 0, 0, 0xab, 1]),
            ether_type: TYPE_IPV6,
        };
        let mut buffer = [0xa5; 16];
        assert_eq!(repr.emit(&mut buffer), Ok(repr.buffer_len()));
        let view = EtherView::new_checked(&buffer).unwrap();
        assert_eq!(
            (view.dst(), view.src(), view.ether_type()),
            (repr.dst, repr.src, repr.ether_type)
        );
        assert_eq!(view.payload(), [0xa5, 0xa5]);
        assert_eq!(repr.src.to_string(), "02:00:00:00:ab:01");
    }

    #[test]
    fn too_short() {
        assert!(EtherView::new_checked(&[0; 14]).is_ok());
        assert_eq!(EtherView::new_checked(&[0; 13]).map(|_| ()), Err(WireError::TooShort));
        let repr = EtherRepr {
            dst: MacAddress::ZERO,
            src: MacAddress::ZERO,
            ether_type: 0,
        };
        assert_eq!(repr.emit(&mut [0; 13]), Err(EmitError::BufferTooSmall));
    }
}
