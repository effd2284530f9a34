//! rtnetlink, the part that a VRRP router needs: netlink(7), rtnetlink(7), linux/{netlink,rtnetlink,if_addr,if_link}.h.
//!
//! Out: requests to add and remove addresses, several in one buffer, and dumps of links and addresses ([`Requests`]).
//! In: a datagram is a row of [`messages`]; each [`Message`] [parses](Message::parse) to facts that are plain copies, so
//! that nothing of the receive buffer is kept. Everything is in host byte order, as netlink is.

mod address;
mod attribute;
mod link;
mod request;

pub use address::{AddressFlags, AddressMessage, AddressRequest};
pub use attribute::{Attribute, Attributes};
pub use link::{HardwareAddress, LinkFlags, LinkMessage, Name, NetConfMessage, OperState};
pub use request::{ADDRESS_REQUEST_MAX_LEN, DUMP_REQUEST_LEN, IfExists, Requests};

use super::{WireError, read_array};

/// Bits for `nl_groups` of the socket address (or group numbers, one more than the bit's position).
pub mod group {
    /// Link changes.
    pub const LINK: u32 = 1;
    /// IPv4 address changes.
    pub const IPV4_ADDRESS: u32 = 0x10;
    /// IPv6 address changes.
    pub const IPV6_ADDRESS: u32 = 0x100;
    /// IPv6 configuration changes of interfaces, among them forwarding.
    pub const IPV6_NETCONF: u32 = 0x0100_0000;
}

/// `nlmsg_type` values.
pub(crate) mod kind {
    pub(crate) const NOOP: u16 = 1;
    pub(crate) const ERROR: u16 = 2;
    pub(crate) const DONE: u16 = 3;
    pub(crate) const OVERRUN: u16 = 4;
    pub(crate) const NEW_LINK: u16 = 16;
    pub(crate) const DEL_LINK: u16 = 17;
    pub(crate) const GET_LINK: u16 = 18;
    pub(crate) const NEW_ADDRESS: u16 = 20;
    pub(crate) const DEL_ADDRESS: u16 = 21;
    pub(crate) const GET_ADDRESS: u16 = 22;
    pub(crate) const NEW_NETCONF: u16 = 80;
}

/// `nlmsg_flags` values.
pub(crate) mod flag {
    pub(crate) const REQUEST: u16 = 0x01;
    pub(crate) const MULTI: u16 = 0x02;
    pub(crate) const ACK: u16 = 0x04;
    pub(crate) const DUMP_INTR: u16 = 0x10;
    pub(crate) const REPLACE: u16 = 0x100;
    pub(crate) const EXCL: u16 = 0x200;
    pub(crate) const CREATE: u16 = 0x400;
    pub(crate) const DUMP: u16 = 0x300;
}

/// Address families as the kernel numbers them.
pub(crate) mod family {
    pub(crate) const UNSPEC: u8 = 0;
    pub(crate) const INET: u8 = 2;
    pub(crate) const INET6: u8 = 10;
}

/// Length of `struct nlmsghdr`.
pub(crate) const HEADER_LEN: usize = 16;
/// Messages and attributes start at multiples of this.
const ALIGN: usize = 4;

mod field {
    pub(super) const LEN: usize = 0;
    pub(super) const KIND: usize = 4;
    pub(super) const FLAGS: usize = 6;
    pub(super) const SEQ: usize = 8;
    pub(super) const PORT: usize = 12;
    /// In the body of an error: the errno, then the header of the request.
    pub(super) const ERROR_CODE: usize = 0;
    pub(super) const ERROR_KIND: usize = 4 + KIND;
    pub(super) const ERROR_SEQ: usize = 4 + SEQ;
    pub(super) const ERROR_LEN: usize = 4 + super::HEADER_LEN;
}

/// `len` rounded up to the next start; saturates, which is as good as "beyond the end".
pub(crate) const fn align(len: usize) -> usize {
    len.saturating_add(ALIGN - 1) & !(ALIGN - 1)
}

pub(crate) fn read_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(read_array(bytes, at))
}

pub(crate) fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(read_array(bytes, at))
}

pub(crate) fn read_i32(bytes: &[u8], at: usize) -> i32 {
    i32::from_ne_bytes(read_array(bytes, at))
}

/// The messages of one received datagram.
#[must_use]
pub const fn messages(datagram: &[u8]) -> Messages<'_> {
    Messages { rest: datagram }
}

/// Iterator over the messages of a datagram. The first impossible length ends it with an error, since nothing after it
/// can be found.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    fn take(&mut self) -> Result<Message<'a>, WireError> {
        if self.rest.len() < HEADER_LEN {
            return Err(WireError::TooShort);
        }
        let len = usize::try_from(read_u32(self.rest, field::LEN)).map_err(|_| WireError::Truncated)?;
        if len < HEADER_LEN {
            return Err(WireError::HeaderLength);
        }
        let bytes = self.rest.get(..len).ok_or(WireError::Truncated)?;
        // The padding of the last message may be missing.
        self.rest = self.rest.get(align(len)..).unwrap_or_default();
        Ok(Message {
            kind: read_u16(bytes, field::KIND),
            flags: read_u16(bytes, field::FLAGS),
            seq: read_u32(bytes, field::SEQ),
            port: read_u32(bytes, field::PORT),
            body: &bytes[HEADER_LEN..],
        })
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let message = self.take();
        if message.is_err() {
            self.rest = &[];
        }
        Some(message)
    }
}

/// One netlink message: its header and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// `nlmsg_type`.
    pub kind: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// Sequence number of the request that this answers. A notification has that of the request that caused the change,
    /// whoever made it (see `port`), or 0.
    pub seq: u32,
    /// Port of the socket from which the request came that this answers or that caused the change; 0 if the kernel
    /// itself was the cause.
    pub port: u32,
    /// What follows the header.
    pub body: &'a [u8],
}

impl Message<'_> {
    /// Whether the message is a part of a dump (`NLM_F_MULTI`), which ends with [`Payload::Done`].
    #[must_use]
    pub const fn is_multipart(&self) -> bool {
        self.flags & flag::MULTI != 0
    }

    /// Whether the kernel says that its tables changed during this dump (`NLM_F_DUMP_INTR`): dump again.
    #[must_use]
    pub const fn dump_interrupted(&self) -> bool {
        self.flags & flag::DUMP_INTR != 0
    }

    /// What the message says.
    ///
    /// # Errors
    /// [`WireError::TooShort`]: the body ends inside its fixed part. [`WireError::AttributeLength`],
    /// [`WireError::AttributeMissing`]: see there. The messages after this one are not affected.
    pub fn parse(&self) -> Result<Payload, WireError> {
        match self.kind {
            kind::NOOP => Ok(Payload::Noop),
            kind::OVERRUN => Ok(Payload::Overrun),
            kind::ERROR => self.parse_error(),
            // Old kernels end a dump without a code.
            kind::DONE if self.body.len() < 4 => Ok(Payload::Done { errno: 0 }),
            kind::DONE => Ok(Payload::Done {
                errno: errno(read_i32(self.body, 0)),
            }),
            kind::NEW_LINK => Ok(LinkMessage::parse(self.body)?.map_or(Payload::Other, Payload::NewLink)),
            kind::DEL_LINK => Ok(LinkMessage::parse(self.body)?.map_or(Payload::Other, Payload::DelLink)),
            kind::NEW_ADDRESS => Ok(AddressMessage::parse(self.body)?.map_or(Payload::Other, Payload::NewAddress)),
            kind::DEL_ADDRESS => Ok(AddressMessage::parse(self.body)?.map_or(Payload::Other, Payload::DelAddress)),
            kind::NEW_NETCONF => Ok(NetConfMessage::parse(self.body)?.map_or(Payload::Other, Payload::NetConf)),
            _ => Ok(Payload::Other),
        }
    }

    fn parse_error(&self) -> Result<Payload, WireError> {
        if self.body.len() < field::ERROR_LEN {
            return Err(WireError::TooShort);
        }
        Ok(Payload::Answer(Answer {
            errno: errno(read_i32(self.body, field::ERROR_CODE)),
            seq: read_u32(self.body, field::ERROR_SEQ),
            kind: read_u16(self.body, field::ERROR_KIND),
        }))
    }
}

/// Netlink carries negative errno values.
const fn errno(code: i32) -> i32 {
    code.saturating_neg()
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// An interface exists and looks like this: one entry of a dump, or a change.
    NewLink(LinkMessage),
    /// An interface is gone.
    DelLink(LinkMessage),
    /// An address exists and looks like this.
    NewAddress(AddressMessage),
    /// An address is gone.
    DelAddress(AddressMessage),
    /// The IP configuration of an interface.
    NetConf(NetConfMessage),
    /// The answer to a request: an acknowledgement or an error.
    Answer(Answer),
    /// End of a dump; `errno` is 0 if all went well.
    Done {
        /// Why the dump is incomplete, a positive errno, or 0.
        errno: i32,
    },
    /// The kernel lost messages (`NLMSG_OVERRUN`); the usual sign is ENOBUFS from the socket.
    Overrun,
    /// Nothing.
    Noop,
    /// Something that is none of our business: another kind of message, another address family.
    Other,
}

/// `struct nlmsgerr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Positive errno, or 0 for an acknowledgement.
    pub errno: i32,
    /// Sequence number of the request.
    pub seq: u32,
    /// `nlmsg_type` of the request.
    pub kind: u16,
}

impl Answer {
    /// Whether the request was carried out.
    #[must_use]
    pub const fn is_ack(&self) -> bool {
        self.errno == 0
    }
}

#[cfg(test)]
mod test;
