//! Requests to the kernel, several in one buffer: netlink(7), rtnetlink(7).

use super::{AddressRequest, HEADER_LEN, address, attribute, family, flag, kind, link};
use crate::wire::{EmitError, Family};

/// Most bytes that one request to add or remove an address needs.
pub const ADDRESS_REQUEST_MAX_LEN: usize = HEADER_LEN + address::BODY_LEN + 2 * 20 + 8 + 20 + 8 + 20 + 8;
/// Most bytes that one dump request needs.
pub const DUMP_REQUEST_LEN: usize = HEADER_LEN + link::BODY_LEN + 8;

/// `IFLA_EXT_MASK`.
const LINK_EXT_MASK: u16 = 29;
/// `RTEXT_FILTER_SKIP_STATS`: leaves out the counters, half of a link message.
const SKIP_STATS: u32 = 1 << 3;

/// What the kernel shall do if the address is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IfExists {
    /// Give it the new flags and lifetimes (`NLM_F_REPLACE`).
    Replace,
    /// Answer EEXIST and change nothing (`NLM_F_EXCL`).
    Fail,
}

/// Builds one datagram of requests in the caller's buffer. The kernel carries them out one after the other; a failing
/// one does not stop the next, and is answered under its own sequence number with or without `ack`.
#[derive(Debug)]
pub struct Requests<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> Requests<'a> {
    /// An empty datagram in `buffer`.
    #[must_use]
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// The requests so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// Number of bytes used so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no request yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Starts again with an empty datagram.
    pub const fn clear(&mut self) {
        self.len = 0;
    }

    /// RTM_NEWADDR: adds an address.
    ///
    /// # Errors
    /// [`EmitError::BufferTooSmall`]: send what is there and start again. [`EmitError::PrefixLength`],
    /// [`EmitError::FamilyMismatch`]. Nothing of the request is in the buffer then.
    pub fn add_address(
        &mut self,
        seq: u32,
        request: &AddressRequest,
        if_exists: IfExists,
        ack: bool,
    ) -> Result<(), EmitError> {
        let mode = match if_exists {
            IfExists::Replace => flag::REPLACE,
            IfExists::Fail => flag::EXCL,
        };
        request.check()?;
        self.push(
            kind::NEW_ADDRESS,
            flag::CREATE | mode | ack_flag(ack),
            seq,
            |buffer, len| request.emit_body(buffer, len),
        )
    }

    /// RTM_DELADDR: removes an address. Address, prefix length, peer and (if given) label must be those of the address.
    ///
    /// # Errors
    /// As [`Requests::add_address`].
    pub fn remove_address(&mut self, seq: u32, request: &AddressRequest, ack: bool) -> Result<(), EmitError> {
        request.check()?;
        self.push(kind::DEL_ADDRESS, ack_flag(ack), seq, |buffer, len| {
            request.emit_body(buffer, len)
        })
    }

    /// RTM_GETLINK: tell all interfaces, without their counters.
    ///
    /// # Errors
    /// [`EmitError::BufferTooSmall`].
    pub fn dump_links(&mut self, seq: u32) -> Result<(), EmitError> {
        self.push(kind::GET_LINK, flag::DUMP, seq, |buffer, len| {
            push_zeros(buffer, len, link::BODY_LEN)?;
            attribute::push(buffer, len, LINK_EXT_MASK, &SKIP_STATS.to_ne_bytes())
        })
    }

    /// RTM_GETADDR: tell all addresses, of both families with `None`.
    ///
    /// # Errors
    /// [`EmitError::BufferTooSmall`].
    pub fn dump_addresses(&mut self, seq: u32, of: Option<Family>) -> Result<(), EmitError> {
        self.push(kind::GET_ADDRESS, flag::DUMP, seq, |buffer, len| {
            let start = *len;
            push_zeros(buffer, len, address::BODY_LEN)?;
            buffer[start] = match of {
                None => family::UNSPEC,
                Some(Family::V4) => family::INET,
                Some(Family::V6) => family::INET6,
            };
            Ok(())
        })
    }

    /// Appends a message whose body `emit_body` writes; all or nothing.
    fn push(
        &mut self,
        kind: u16,
        flags: u16,
        seq: u32,
        emit_body: impl FnOnce(&mut [u8], &mut usize) -> Result<(), EmitError>,
    ) -> Result<(), EmitError> {
        let start = self.len;
        let mut end = start;
        push_zeros(self.buffer, &mut end, HEADER_LEN)?;
        emit_body(self.buffer, &mut end)?;
        let len = u32::try_from(end - start).map_err(|_| EmitError::TooLong)?;
        let header = &mut self.buffer[start..start + HEADER_LEN];
        header[0..4].copy_from_slice(&len.to_ne_bytes());
        header[4..6].copy_from_slice(&kind.to_ne_bytes());
        header[6..8].copy_from_slice(&(flag::REQUEST | flags).to_ne_bytes());
        header[8..12].copy_from_slice(&seq.to_ne_bytes());
        self.len = end;
        Ok(())
    }
}

const fn ack_flag(ack: bool) -> u16 {
    if ack { flag::ACK } else { 0 }
}

fn push_zeros(buffer: &mut [u8], len: &mut usize, count: usize) -> Result<(), EmitError> {
    let end = *len + count;
    buffer.get_mut(*len..end).ok_or(EmitError::BufferTooSmall)?.fill(0);
    *len = end;
    Ok(())
}
