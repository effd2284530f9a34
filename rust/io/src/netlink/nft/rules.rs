//! The packet filter's tables: chains, sets and rules (`vrrp-behaviour.md` 12), and their elements.
//!
//! What they look like to `nft list ruleset` is in `docs/packet-filter.md`.

use core::net::IpAddr;

use super::FilterOptions;
use super::batch::{Attributes, Batch, Kind, TableFamily};

const VIPS: &str = "vips";
const VIPS_LINK_LOCAL: &str = "vips_link_local";
const NEIGHBOUR_DISCOVERY: &str = "neighbor-discovery";
const VMAC_MAP: &str = "vmac_map";
const VMAC_SET: &str = "vmac_set";

/// Types as nft(8) shows them; the kernel does not care.
const TYPE_IPV4: u32 = 7;
const TYPE_IPV6: u32 = 8;
const TYPE_IF_INDEX: u32 = 20;
const TYPE_ICMPV6: u32 = 29;
const TYPE_IF_NAME: u32 = 41;

const IF_NAME_LEN: usize = 16;

const ICMPV6: u8 = 58;
const IGMP: u8 = 2;
const ND_ROUTER_SOLICIT: u8 = 133;
const ND_NEIGHBOUR_SOLICIT: u8 = 135;
const ND_NEIGHBOUR_ADVERT: u8 = 136;
const MLD2_REPORT: u8 = 143;

/// `NFT_TABLE_F_OWNER`, since Linux 5.12.
const TABLE_OWNER: u32 = 2;
/// `NFT_SET_CONSTANT`, `NFT_SET_MAP`.
const SET_CONSTANT: u32 = 2;
const SET_MAP: u32 = 8;

/// Which interface: as its index, or by its name, which outlives it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Place {
    Index(u32),
    Name([u8; IF_NAME_LEN]),
}

impl Place {
    fn key(self, key: &mut Vec<u8>) {
        match self {
            Self::Index(index) => key.extend_from_slice(&index.to_ne_bytes()),
            Self::Name(name) => key.extend_from_slice(&name),
        }
    }
}

/// One element of one set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Element {
    /// Traffic from and to this address is dropped, on the interface with it if it is a link-local one.
    Address(IpAddr, Option<Place>),
    /// What this interface, a virtual MAC, sends to multicast routers leaves by the other one.
    Vmac(TableFamily, Place, u32),
}

impl Element {
    pub(super) const fn family(self) -> TableFamily {
        match self {
            Self::Address(IpAddr::V4(_), _) => TableFamily::V4,
            Self::Address(IpAddr::V6(_), _) => TableFamily::V6,
            Self::Vmac(family, ..) => family,
        }
    }

    pub(super) const fn part(self) -> Part {
        match self {
            Self::Address(..) => Part::Addresses,
            Self::Vmac(..) => Part::Vmacs,
        }
    }
}

/// What is made when it is first needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Addresses,
    Vmacs,
}

/// Writes one family's messages into a transaction.
pub(super) struct Tables<'a> {
    pub(super) options: &'a FilterOptions,
    pub(super) family: TableFamily,
    /// The table is ours alone: nobody else can change it, and it goes when we end, however we end.
    pub(super) owned: bool,
}

impl Tables<'_> {
    /// Makes what `part` needs; what another part has made already is left as it is.
    pub(super) fn create(&self, batch: &mut Batch, part: Part) {
        batch.push(Kind::NewTable, self.family, |table| {
            table.text(1, &self.options.table);
            if self.owned {
                table.number(2, TABLE_OWNER);
            }
        });
        self.base_chain(batch, "out", 3);
        match (part, self.family) {
            (Part::Addresses, TableFamily::V4) => {
                self.base_chain(batch, "in", 1);
                self.set(batch, VIPS, 0, (TYPE_IPV4, 4), None);
                self.rule(batch, "in", |rule| rule.network(16, 4).in_set(VIPS).drop());
                self.rule(batch, "out", |rule| rule.network(12, 4).in_set(VIPS).drop());
            }
            (Part::Addresses, TableFamily::V6) => self.create_ipv6(batch),
            (Part::Vmacs, TableFamily::V4) => {
                self.set(batch, VMAC_MAP, SET_MAP, self.place_type(), Some((TYPE_IF_INDEX, 4)));
                self.rule(batch, "out", |rule| {
                    rule.network(9, 1)
                        .equals(&[IGMP])
                        .leaves_by_vmac()
                        .duplicate(16, 4, self.by_index())
                        .drop()
                });
            }
            (Part::Vmacs, TableFamily::V6) => {
                self.set(batch, VMAC_MAP, SET_MAP, self.place_type(), Some((TYPE_IF_INDEX, 4)));
                self.set(batch, VMAC_SET, 0, self.place_type(), None);
                self.rule(batch, "out", |rule| {
                    rule.icmpv6()
                        .equals(&[MLD2_REPORT])
                        .leaves_by_vmac()
                        .duplicate(24, 16, self.by_index())
                        .drop()
                });
                self.rule(batch, "out", |rule| {
                    let meta = if self.by_index() { Meta::OutIndex } else { Meta::OutName };
                    rule.icmpv6()
                        .equals(&[ND_ROUTER_SOLICIT])
                        .leaves_by_vmac()
                        .meta(meta, 1)
                        .in_set(VMAC_SET)
                        .drop()
                });
            }
        }
    }

    fn create_ipv6(&self, batch: &mut Batch) {
        self.base_chain(batch, "in", 1);
        self.chain(batch, "in_link_local", |_| ());
        self.chain(batch, "out_link_local", |_| ());
        self.set(batch, VIPS, 0, (TYPE_IPV6, 16), None);
        self.set(batch, NEIGHBOUR_DISCOVERY, SET_CONSTANT, (TYPE_ICMPV6, 1), None);
        for kind in [ND_NEIGHBOUR_SOLICIT, ND_NEIGHBOUR_ADVERT] {
            self.element(batch, Kind::NewElements, NEIGHBOUR_DISCOVERY, &[kind], None);
        }
        let (place, len) = self.place_type();
        self.set(batch, VIPS_LINK_LOCAL, 0, (TYPE_IPV6 << 6 | place, 16 + len), None);
        // The address in the IPv6 header: of the sender, of the receiver.
        for (chain, at, goto) in [("in", 24, "in_link_local"), ("out", 8, "out_link_local")] {
            self.rule(batch, chain, |rule| rule.icmpv6().in_set(NEIGHBOUR_DISCOVERY).accept());
            self.rule(batch, chain, |rule| rule.network(at, 16).link_local().goto(goto));
            self.rule(batch, chain, |rule| rule.network(at, 16).in_set(VIPS).drop());
            let meta = match (chain, self.by_index()) {
                ("in", true) => Meta::InIndex,
                ("in", false) => Meta::InName,
                (_, true) => Meta::OutIndex,
                (_, false) => Meta::OutName,
            };
            self.rule(batch, goto, |rule| {
                rule.network(at, 16).meta(meta, 2).in_set(VIPS_LINK_LOCAL).drop()
            });
        }
    }

    /// Takes the whole table away, with everything in it.
    pub(super) fn delete(&self, batch: &mut Batch) {
        batch.push(Kind::DeleteTable, self.family, |table| {
            table.text(1, &self.options.table);
        });
    }

    /// Adds or removes an element.
    pub(super) fn change(&self, batch: &mut Batch, kind: Kind, element: Element) {
        let mut key = Vec::with_capacity(16 + IF_NAME_LEN);
        match element {
            Element::Address(addr, place) => {
                match addr {
                    IpAddr::V4(addr) => key.extend_from_slice(&addr.octets()),
                    IpAddr::V6(addr) => key.extend_from_slice(&addr.octets()),
                }
                if let Some(place) = place {
                    place.key(&mut key);
                }
                let set = if place.is_some() { VIPS_LINK_LOCAL } else { VIPS };
                self.element(batch, kind, set, &key, None);
            }
            Element::Vmac(family, place, parent) => {
                place.key(&mut key);
                self.element(batch, kind, VMAC_MAP, &key, Some(&parent.to_ne_bytes()));
                if family == TableFamily::V6 {
                    self.element(batch, kind, VMAC_SET, &key, None);
                }
            }
        }
    }

    const fn by_index(&self) -> bool {
        self.options.by_index
    }

    const fn place_type(&self) -> (u32, u32) {
        if self.by_index() {
            (TYPE_IF_INDEX, 4)
        } else {
            (TYPE_IF_NAME, IF_NAME_LEN as u32)
        }
    }

    /// A chain that the kernel hands packets to; `hook`: 1 for those to us, 3 for those from us.
    fn base_chain(&self, batch: &mut Batch, name: &str, hook: u32) {
        self.chain(batch, name, |chain| {
            chain
                .nested(4, |at| {
                    at.number(1, hook).number(2, self.options.priority.cast_unsigned());
                })
                .number(5, Verdict::ACCEPT.cast_unsigned())
                .text(7, "filter");
        });
    }

    fn chain(&self, batch: &mut Batch, name: &str, fill: impl FnOnce(&mut Attributes)) {
        batch.push(Kind::NewChain, self.family, |chain| {
            chain.text(1, &self.options.table).text(3, name);
            fill(chain);
        });
    }

    /// `key` and `data`: type and length in octets.
    fn set(&self, batch: &mut Batch, name: &str, flags: u32, key: (u32, u32), data: Option<(u32, u32)>) {
        batch.push(Kind::NewSet, self.family, |set| {
            set.text(1, &self.options.table)
                .text(2, name)
                .number(3, flags)
                .number(4, key.0)
                .number(5, key.1);
            if let Some((kind, len)) = data {
                set.number(6, kind).number(7, len);
            }
            // NFTA_SET_ID: only counts within the transaction, where nobody refers to it.
            set.number(10, 1);
            // How nft(8) shows keys and values that are in host order (userdata 0 and 1: byte order 1).
            let mut userdata = Vec::new();
            if matches!(key.0, TYPE_IF_INDEX | TYPE_IF_NAME) {
                userdata.extend_from_slice(&[0, 4, 1, 0, 0, 0]);
            }
            if data.is_some() {
                userdata.extend_from_slice(&[1, 4, 1, 0, 0, 0]);
            }
            if !userdata.is_empty() {
                set.bytes(13, &userdata);
            }
        });
    }

    fn element(&self, batch: &mut Batch, kind: Kind, set: &str, key: &[u8], data: Option<&[u8]>) {
        batch.push(kind, self.family, |elements| {
            elements.text(1, &self.options.table).text(2, set).nested(3, |list| {
                list.nested(1, |element| {
                    element.nested(1, |value| {
                        value.bytes(1, key);
                    });
                    if let Some(data) = data {
                        element.nested(2, |value| {
                            value.bytes(1, data);
                        });
                    }
                });
            });
        });
    }

    fn rule(&self, batch: &mut Batch, chain: &str, fill: impl FnOnce(Rule) -> Rule) {
        let rule = fill(Rule {
            expressions: Attributes::default(),
            counters: self.options.counters,
        });
        batch.push(Kind::NewRule, self.family, |message| {
            message.text(1, &self.options.table).text(2, chain);
            message.nested(4, |expressions| expressions.append(rule.expressions));
        });
    }
}

/// `NFT_META_*`.
#[derive(Clone, Copy)]
enum Meta {
    InIndex = 4,
    OutIndex = 5,
    InName = 6,
    OutName = 7,
    Protocol = 16,
    OutKind = 27,
}

struct Verdict;

impl Verdict {
    const DROP: i32 = 0;
    const ACCEPT: i32 = 1;
    const GOTO: i32 = -4;
}

/// Expressions of a rule; they compute in register 1 unless they say otherwise.
struct Rule {
    expressions: Attributes,
    counters: bool,
}

impl Rule {
    fn expression(mut self, name: &str, fill: impl FnOnce(&mut Attributes)) -> Self {
        self.expressions.nested(1, |element| {
            element.text(1, name).nested(2, fill);
        });
        self
    }

    /// Loads `len` octets of the network (base 1) or transport (base 2) header.
    fn payload(self, base: u32, offset: u32, len: u32) -> Self {
        self.expression("payload", |e| {
            e.number(1, 1).number(2, base).number(3, offset).number(4, len);
        })
    }

    fn network(self, offset: u32, len: u32) -> Self {
        self.payload(1, offset, len)
    }

    /// Only ICMPv6; loads its type.
    fn icmpv6(self) -> Self {
        self.meta(Meta::Protocol, 1).equals(&[ICMPV6]).payload(2, 0, 1)
    }

    fn meta(self, key: Meta, register: u32) -> Self {
        self.expression("meta", |e| {
            e.number(1, register).number(2, key as u32);
        })
    }

    fn equals(self, value: &[u8]) -> Self {
        self.expression("cmp", |e| {
            e.number(1, 1).number(2, 0).nested(3, |data| {
                data.bytes(1, value);
            });
        })
    }

    /// Only interfaces that are macvlans.
    fn leaves_by_vmac(self) -> Self {
        let mut kind = [0; IF_NAME_LEN];
        kind[..7].copy_from_slice(b"macvlan");
        self.meta(Meta::OutKind, 1).equals(&kind)
    }

    /// Only addresses in fe80::/10; leaves the masked address.
    fn link_local(self) -> Self {
        let (mut mask, mut prefix) = ([0; 16], [0; 16]);
        mask[..2].copy_from_slice(&[0xff, 0xc0]);
        prefix[..2].copy_from_slice(&[0xfe, 0x80]);
        self.expression("bitwise", |e| {
            e.number(1, 1).number(2, 1).number(3, 16);
            for (kind, value) in [(4, mask), (5, [0; 16])] {
                e.nested(kind, |data| {
                    data.bytes(1, &value);
                });
            }
        })
        .equals(&prefix)
    }

    fn in_set(self, set: &str) -> Self {
        self.expression("lookup", |e| {
            e.text(1, set).number(2, 1);
        })
    }

    /// Sends a copy to the destination (`len` octets at `at`) by the interface that the map says.
    fn duplicate(self, at: u32, len: u32, by_index: bool) -> Self {
        let meta = if by_index { Meta::OutIndex } else { Meta::OutName };
        self.network(at, len)
            .meta(meta, 2)
            .expression("lookup", |e| {
                e.text(1, VMAC_MAP).number(2, 2).number(3, 2);
            })
            .expression("dup", |e| {
                e.number(1, 1).number(2, 2);
            })
    }

    fn drop(self) -> Self {
        self.verdict(Verdict::DROP, None)
    }

    fn accept(self) -> Self {
        self.verdict(Verdict::ACCEPT, None)
    }

    fn goto(self, chain: &str) -> Self {
        self.verdict(Verdict::GOTO, Some(chain))
    }

    fn verdict(self, code: i32, chain: Option<&str>) -> Self {
        let rule = if self.counters {
            self.expression("counter", |_| ())
        } else {
            self
        };
        rule.expression("immediate", |e| {
            e.number(1, 0).nested(2, |data| {
                data.nested(2, |verdict| {
                    verdict.number(1, code.cast_unsigned());
                    if let Some(chain) = chain {
                        verdict.text(2, chain);
                    }
                });
            });
        })
    }
}
