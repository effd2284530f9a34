//! Attributes: rtnetlink(7), `struct rtattr`; a length, a type, a value, padded to four bytes.

use super::{align, read_u16};
use crate::wire::{EmitError, WireError};

pub(super) const HEADER_LEN: usize = 4;
/// The two upper bits of the type say "nested" and "network byte order".
const TYPE_MASK: u16 = 0x3fff;

/// One attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Type without its flag bits.
    pub kind: u16,
    /// Value without padding.
    pub value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// The value as `N` bytes. Longer values are cut, as the kernel does on its side.
    pub(super) fn array<const N: usize>(&self) -> Result<[u8; N], WireError> {
        self.value.first_chunk().copied().ok_or(WireError::AttributeLength)
    }

    pub(super) fn u8(&self) -> Result<u8, WireError> {
        self.array().map(u8::from_ne_bytes)
    }

    pub(super) fn u32(&self) -> Result<u32, WireError> {
        self.array().map(u32::from_ne_bytes)
    }

    pub(super) fn i32(&self) -> Result<i32, WireError> {
        self.array().map(i32::from_ne_bytes)
    }

    /// The attributes nested in this one.
    pub(super) const fn nested(&self) -> Attributes<'a> {
        Attributes::new(self.value)
    }
}

/// Iterator over a row of attributes. The first impossible length ends it with an error.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// The attributes in `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self) -> Result<Attribute<'a>, WireError> {
        let len = usize::from(read_u16(self.rest, 0));
        if len < HEADER_LEN {
            return Err(WireError::AttributeLength);
        }
        let bytes = self.rest.get(..len).ok_or(WireError::AttributeLength)?;
        let kind = read_u16(bytes, 2) & TYPE_MASK;
        self.rest = self.rest.get(align(len)..).unwrap_or_default();
        Ok(Attribute {
            kind,
            value: &bytes[HEADER_LEN..],
        })
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Less than a header is padding.
        if self.rest.len() < HEADER_LEN {
            return None;
        }
        let attribute = self.take();
        if attribute.is_err() {
            self.rest = &[];
        }
        Some(attribute)
    }
}

/// Appends an attribute to the message that is being built in `buffer` and ends at `*len`.
pub(super) fn push(buffer: &mut [u8], len: &mut usize, kind: u16, value: &[u8]) -> Result<(), EmitError> {
    let attribute_len = HEADER_LEN + value.len();
    let length_field = u16::try_from(attribute_len).map_err(|_| EmitError::TooLong)?;
    let end = *len + align(attribute_len);
    let slot = buffer.get_mut(*len..end).ok_or(EmitError::BufferTooSmall)?;
    slot[..2].copy_from_slice(&length_field.to_ne_bytes());
    slot[2..HEADER_LEN].copy_from_slice(&kind.to_ne_bytes());
    slot[HEADER_LEN..attribute_len].copy_from_slice(value);
    slot[attribute_len..].fill(0);
    *len = end;
    Ok(())
}
