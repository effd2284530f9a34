//! Transactions of nf_tables: messages that the kernel carries out all together or not at all (`linux/netfilter/nf_tables.h`).
//!
//! Lengths of messages and nested attributes are filled in when they end. Numbers of nf_tables are in network byte order.

/// `NFNL_SUBSYS_NFTABLES`.
const SUBSYSTEM: u16 = 10;
/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`: they stand around the messages of a transaction.
const BEGIN: u16 = 0x10;
const END: u16 = 0x11;
const HEADER_LEN: usize = 16;
const NESTED: u16 = 0x8000;

const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;

/// `NFPROTO_IPV4`, `NFPROTO_IPV6`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum TableFamily {
    V4 = 2,
    V6 = 10,
}

/// `NFT_MSG_*`, as far as they are used here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    NewTable = 0,
    DeleteTable = 2,
    NewChain = 3,
    NewRule = 6,
    NewSet = 9,
    NewElements = 12,
    DeleteElements = 14,
}

impl Kind {
    const fn flags(self) -> u16 {
        match self {
            Self::NewTable | Self::NewChain | Self::NewSet | Self::NewElements => CREATE,
            Self::NewRule => CREATE | APPEND,
            Self::DeleteTable | Self::DeleteElements => 0,
        }
    }
}

/// Attributes, one after the other.
#[derive(Default)]
pub(super) struct Attributes {
    bytes: Vec<u8>,
}

impl Attributes {
    /// Octets as they are.
    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        // The longest value here is an address with the name of an interface.
        let len = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&len.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
        self
    }

    /// A number.
    pub(super) fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Text, with its terminating zero.
    pub(super) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut octets = Vec::with_capacity(value.len() + 1);
        octets.extend_from_slice(value.as_bytes());
        octets.push(0);
        self.bytes(kind, &octets)
    }

    /// Attributes inside of one.
    pub(super) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        fill(self);
        let len = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        self.bytes[start + 2..start + 4].copy_from_slice(&(kind | NESTED).to_ne_bytes());
        self
    }

    /// What was made elsewhere.
    pub(super) fn append(&mut self, other: Self) {
        self.bytes.extend_from_slice(&other.bytes);
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// A transaction in the making.
pub(super) struct Batch {
    attributes: Attributes,
    seq: u32,
}

impl Batch {
    pub(super) fn new() -> Self {
        let mut batch = Self {
            attributes: Attributes::default(),
            seq: 0,
        };
        batch.message(BEGIN, REQUEST, 0, SUBSYSTEM, |_| ());
        batch
    }

    /// Appends one message; its effect is that of `nft add` (or `delete`).
    pub(super) fn push(&mut self, kind: Kind, family: TableFamily, fill: impl FnOnce(&mut Attributes)) {
        self.seq += 1;
        self.message(
            SUBSYSTEM << 8 | kind as u16,
            REQUEST | kind.flags(),
            family as u8,
            0,
            fill,
        );
    }

    /// True while there is nothing to carry out.
    pub(super) const fn is_empty(&self) -> bool {
        self.seq == 0
    }

    /// The transaction as one datagram. The kernel acknowledges its end, or tells the error that made it void.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.seq += 1;
        self.message(END, REQUEST | ACK, 0, SUBSYSTEM, |_| ());
        self.attributes.bytes
    }

    fn message(&mut self, kind: u16, flags: u16, family: u8, resource: u16, fill: impl FnOnce(&mut Attributes)) {
        let start = self.attributes.bytes.len();
        let bytes = &mut self.attributes.bytes;
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&self.seq.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
        debug_assert_eq!(bytes.len(), start + HEADER_LEN);
        // struct nfgenmsg: family, version, resource.
        bytes.extend_from_slice(&[family, 0]);
        bytes.extend_from_slice(&resource.to_be_bytes());
        fill(&mut self.attributes);
        let bytes = &mut self.attributes.bytes;
        let len = u32::try_from(bytes.len() - start).unwrap_or(u32::MAX);
        bytes[start..start + 4].copy_from_slice(&len.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `nft add table ip a`, as nft(8) itself sends it.
    #[test]
    fn a_transaction_is_what_nft_sends() {
        let mut batch = Batch::new();
        assert!(batch.is_empty());
        batch.push(Kind::NewTable, TableFamily::V4, |table| {
            table.text(1, "a").nested(2, |flags| {
                flags.number(3, 0x0102_0304);
            });
        });
        assert!(!batch.is_empty());
        let bytes = batch.end();
        #[rustfmt::skip]
        let expected = [
            20, 0, 0, 0, 0x10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10,
            40, 0, 0, 0, 0, 10, 1, 4, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0,
            6, 0, 1, 0, b'a', 0, 0, 0, 12, 0, 2, 0x80, 8, 0, 3, 0, 1, 2, 3, 4,
            20, 0, 0, 0, 0x11, 0, 5, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10,
        ];
        assert_eq!(bytes, expected);
    }
}
