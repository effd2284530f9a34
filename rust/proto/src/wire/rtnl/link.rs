//! Interfaces: rtnetlink(7) RTM_NEWLINK, netdevice(7) for the flags, RFC 2863 for the operational state.

use core::fmt;

use super::attribute::Attributes;
use super::{family, read_i32, read_u16, read_u32};
use crate::wire::{MacAddress, WireError};

/// Length of `struct ifinfomsg`.
pub(super) const BODY_LEN: usize = 16;

mod field {
    pub(super) const FAMILY: usize = 0;
    pub(super) const HARDWARE: usize = 2;
    pub(super) const INDEX: usize = 4;
    pub(super) const FLAGS: usize = 8;
}

/// `IFLA_*`.
mod attribute {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const NAME: u16 = 3;
    pub(super) const MTU: u16 = 4;
    pub(super) const LINK: u16 = 5;
    pub(super) const MASTER: u16 = 10;
    pub(super) const OPER_STATE: u16 = 16;
    pub(super) const LINK_INFO: u16 = 18;
    pub(super) const AF_SPEC: u16 = 26;
    pub(super) const CARRIER: u16 = 33;
    pub(super) const LINK_NETNSID: u16 = 37;
    /// Inside `LINK_INFO`.
    pub(super) const INFO_KIND: u16 = 1;
    /// Inside `AF_SPEC`: the family, and in that of IPv6 the array of `DEVCONF_*`, of which the first is forwarding.
    pub(super) const AF_INET6: u16 = super::family::INET6 as u16;
    pub(super) const INET6_CONF: u16 = 2;
}

/// A name of at most 15 bytes, zero padded: of an interface, of an address label, of a kind of link.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name([u8; 16]);

impl Name {
    /// Longest name in bytes (`IFNAMSIZ` less the final zero).
    pub const MAX_LEN: usize = 15;

    /// `None` if `name` is empty, longer than 15 bytes or contains a zero.
    #[must_use]
    pub fn new(name: &[u8]) -> Option<Self> {
        let legal = !name.is_empty() && name.len() <= Self::MAX_LEN && !name.contains(&0);
        legal.then(|| Self::cut(name))
    }

    /// What stands before the first zero of `bytes`, cut to 15 bytes.
    pub(super) fn cut(bytes: &[u8]) -> Self {
        let mut name = [0; 16];
        for (slot, byte) in name
            .iter_mut()
            .zip(bytes.iter().take(Self::MAX_LEN))
            .take_while(|(_, byte)| **byte != 0)
        {
            *slot = *byte;
        }
        Self(name)
    }

    /// The name without its padding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let len = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        &self.0[..len]
    }

    /// The name with its padding, as in `ifr_name`.
    #[must_use]
    pub const fn as_padded(&self) -> &[u8; 16] {
        &self.0
    }

    /// The name as text; `None` if it is not UTF-8, which the kernel does not demand.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        core::str::from_utf8(self.as_bytes()).ok()
    }

    /// Whether there is no name.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0[0] == 0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A hardware address of any technology, up to 32 bytes (`MAX_ADDR_LEN`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HardwareAddress {
    bytes: [u8; 32],
    len: u8,
}

impl HardwareAddress {
    /// The first 32 bytes of `bytes`.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let mut address = Self::default();
        for (slot, byte) in address.bytes.iter_mut().zip(bytes) {
            *slot = *byte;
            address.len += 1;
        }
        address
    }

    /// The address.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The address if it has the length of an Ethernet address.
    #[must_use]
    pub fn mac(&self) -> Option<MacAddress> {
        self.as_bytes().try_into().ok().map(MacAddress)
    }
}

/// Interface flags, `IFF_*` of netdevice(7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LinkFlags(pub u32);

impl LinkFlags {
    /// Administratively up.
    pub const UP: Self = Self(1);
    /// Has a broadcast address.
    pub const BROADCAST: Self = Self(1 << 1);
    /// Loopback.
    pub const LOOPBACK: Self = Self(1 << 3);
    /// Point to point.
    pub const POINTOPOINT: Self = Self(1 << 4);
    /// Operational: RFC 2863 state up or unknown.
    pub const RUNNING: Self = Self(1 << 6);
    /// Does not speak ARP or neighbour discovery.
    pub const NOARP: Self = Self(1 << 7);
    /// Supports multicast.
    pub const MULTICAST: Self = Self(1 << 12);
    /// The driver has signalled carrier.
    pub const LOWER_UP: Self = Self(1 << 16);
    /// Waits for something above the driver (802.1X).
    pub const DORMANT: Self = Self(1 << 17);

    /// Whether all of `flags` are set.
    #[must_use]
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Both flag sets together.
    #[must_use]
    pub const fn union(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }

    /// Up in the sense of vrrp-behaviour.md 3: administratively up and running.
    #[must_use]
    pub const fn is_up(self) -> bool {
        self.contains(Self(Self::UP.0 | Self::RUNNING.0))
    }
}

/// Operational state of RFC 2863.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperState {
    /// The driver does not say.
    Unknown,
    /// Parts are missing.
    NotPresent,
    /// Down.
    Down,
    /// The interface below is down.
    LowerLayerDown,
    /// In test mode.
    Testing,
    /// Waiting for an external event.
    Dormant,
    /// Up.
    Up,
    /// A number that this list does not know.
    Other(u8),
}

impl From<u8> for OperState {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Unknown,
            1 => Self::NotPresent,
            2 => Self::Down,
            3 => Self::LowerLayerDown,
            4 => Self::Testing,
            5 => Self::Dormant,
            6 => Self::Up,
            other => Self::Other(other),
        }
    }
}

/// An interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkMessage {
    /// Interface index, always positive.
    pub index: u32,
    /// Name; empty if the message did not say.
    pub name: Name,
    /// Flags.
    pub flags: LinkFlags,
    /// Hardware type, `ARPHRD_*`: 1 is Ethernet.
    pub hardware: u16,
    /// Operational state.
    pub oper_state: Option<OperState>,
    /// Whether the driver sees carrier.
    pub carrier: Option<bool>,
    /// Largest payload of a frame in bytes.
    pub mtu: Option<u32>,
    /// Hardware address.
    pub address: Option<HardwareAddress>,
    /// Kind of a virtual link: "macvlan", "vlan", "veth" ...
    pub kind: Option<Name>,
    /// Index of the bridge, bond or VRF that the interface belongs to.
    pub master: Option<u32>,
    /// Index of the interface below. In the namespace of `link_netnsid` if that is set.
    pub link: Option<u32>,
    /// Id of the namespace of `link`, if it is another one.
    pub link_netnsid: Option<i32>,
    /// Whether IPv6 forwarding is on, the router flag of neighbour advertisements. `None` without IPv6.
    pub ipv6_forwarding: Option<bool>,
}

impl LinkMessage {
    /// `None` for messages that are not about an interface itself: a bridge tells about its ports with messages of the
    /// same type and the family `AF_BRIDGE`, and its RTM_DELLINK means "left the bridge", not "is gone".
    pub(super) fn parse(body: &[u8]) -> Result<Option<Self>, WireError> {
        let (header, rest) = body.split_at_checked(BODY_LEN).ok_or(WireError::TooShort)?;
        if header[field::FAMILY] != family::UNSPEC {
            return Ok(None);
        }
        let Some(index) = u32::try_from(read_i32(header, field::INDEX))
            .ok()
            .filter(|index| *index != 0)
        else {
            return Ok(None);
        };
        let mut link = Self {
            index,
            name: Name::default(),
            flags: LinkFlags(read_u32(header, field::FLAGS)),
            hardware: read_u16(header, field::HARDWARE),
            oper_state: None,
            carrier: None,
            mtu: None,
            address: None,
            kind: None,
            master: None,
            link: None,
            link_netnsid: None,
            ipv6_forwarding: None,
        };
        for item in Attributes::new(rest) {
            let item = item?;
            match item.kind {
                attribute::ADDRESS => link.address = Some(HardwareAddress::new(item.value)),
                attribute::NAME => link.name = Name::cut(item.value),
                attribute::MTU => link.mtu = Some(item.u32()?),
                attribute::LINK => link.link = Some(item.u32()?).filter(|index| *index != 0),
                attribute::MASTER => link.master = Some(item.u32()?).filter(|index| *index != 0),
                attribute::OPER_STATE => link.oper_state = Some(OperState::from(item.u8()?)),
                attribute::LINK_INFO => link.kind = find(item.nested(), attribute::INFO_KIND)?.map(Name::cut),
                attribute::AF_SPEC => link.ipv6_forwarding = ipv6_forwarding(item.nested())?,
                attribute::CARRIER => link.carrier = Some(item.u8()? != 0),
                attribute::LINK_NETNSID => link.link_netnsid = Some(item.i32()?),
                _ => {}
            }
        }
        Ok(Some(link))
    }
}

/// Value of the attribute `kind` among `attributes`.
fn find(attributes: Attributes<'_>, kind: u16) -> Result<Option<&[u8]>, WireError> {
    for item in attributes {
        let item = item?;
        if item.kind == kind {
            return Ok(Some(item.value));
        }
    }
    Ok(None)
}

fn ipv6_forwarding(af_spec: Attributes<'_>) -> Result<Option<bool>, WireError> {
    let Some(inet6) = find(af_spec, attribute::AF_INET6)? else {
        return Ok(None);
    };
    let Some(conf) = find(Attributes::new(inet6), attribute::INET6_CONF)? else {
        return Ok(None);
    };
    if conf.len() < 4 {
        return Err(WireError::AttributeLength);
    }
    Ok(Some(read_i32(conf, 0) != 0))
}

/// A change of the IP configuration of an interface (RTM_NEWNETCONF), of which only forwarding concerns us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetConfMessage {
    /// Interface index. The kernel's "all" and "default" have no index and make no fact.
    pub index: u32,
    /// Whether IPv6 forwarding is on.
    pub ipv6_forwarding: bool,
}

impl NetConfMessage {
    /// Length of `struct netconfmsg`, padded.
    const BODY_LEN: usize = 4;
    const INDEX: u16 = 1;
    const FORWARDING: u16 = 2;

    /// `None` for another family, for "all" and "default", and if the message says nothing about forwarding.
    pub(super) fn parse(body: &[u8]) -> Result<Option<Self>, WireError> {
        let (header, rest) = body.split_at_checked(Self::BODY_LEN).ok_or(WireError::TooShort)?;
        if header[0] != family::INET6 {
            return Ok(None);
        }
        let (mut index, mut forwarding) = (None, None);
        for item in Attributes::new(rest) {
            let item = item?;
            match item.kind {
                Self::INDEX => index = u32::try_from(item.i32()?).ok(),
                Self::FORWARDING => forwarding = Some(item.i32()? != 0),
                _ => {}
            }
        }
        Ok(index
            .zip(forwarding)
            .map(|(index, ipv6_forwarding)| Self { index, ipv6_forwarding }))
    }
}
