//! Addresses of interfaces: rtnetlink(7) RTM_NEWADDR, linux/if_addr.h.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::attribute::{self, Attribute, Attributes};
use super::{Name, family, read_u32};
use crate::wire::{EmitError, Family, WireError};

/// Length of `struct ifaddrmsg`.
pub(super) const BODY_LEN: usize = 8;
/// A lifetime without end (`INFINITY_LIFE_TIME`).
const FOREVER: u32 = u32::MAX;

mod field {
    pub(super) const FAMILY: usize = 0;
    pub(super) const PREFIX_LEN: usize = 1;
    pub(super) const FLAGS: usize = 2;
    pub(super) const SCOPE: usize = 3;
    pub(super) const INDEX: usize = 4;
}

/// `IFA_*`.
mod kind {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const LOCAL: u16 = 2;
    pub(super) const LABEL: u16 = 3;
    pub(super) const BROADCAST: u16 = 4;
    pub(super) const CACHEINFO: u16 = 6;
    pub(super) const FLAGS: u16 = 8;
    pub(super) const PROTO: u16 = 11;
}

/// Address flags, `IFA_F_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AddressFlags(pub u32);

impl AddressFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// IPv4: not the first address of its subnet.
    pub const SECONDARY: Self = Self(0x01);
    /// IPv6: usable at once, no duplicate address detection.
    pub const NODAD: Self = Self(0x02);
    /// IPv6: usable while duplicate address detection goes on (RFC 4429).
    pub const OPTIMISTIC: Self = Self(0x04);
    /// IPv6: duplicate address detection has found another owner.
    pub const DADFAILED: Self = Self(0x08);
    /// IPv6: home address (RFC 6275).
    pub const HOME: Self = Self(0x10);
    /// The preferred lifetime has ended.
    pub const DEPRECATED: Self = Self(0x20);
    /// IPv6: duplicate address detection has not ended; not usable as a source.
    pub const TENTATIVE: Self = Self(0x40);
    /// Without a valid lifetime.
    pub const PERMANENT: Self = Self(0x80);
    /// IPv6: template for temporary addresses (RFC 8981).
    pub const MNGTMPADDR: Self = Self(0x100);
    /// No route for the prefix.
    pub const NOPREFIXROUTE: Self = Self(0x200);
    /// Joins the multicast group that the address is.
    pub const MCAUTOJOIN: Self = Self(0x400);

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
}

/// An address of an interface, as the kernel tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressMessage {
    /// Interface index.
    pub index: u32,
    /// The interface's own address.
    pub local: IpAddr,
    /// Length of the prefix in bits; the peer's prefix if there is a peer.
    pub prefix_len: u8,
    /// The other end of a point-to-point link, if it is not the address itself.
    pub peer: Option<IpAddr>,
    /// IPv4 broadcast address.
    pub broadcast: Option<Ipv4Addr>,
    /// Scope, `RT_SCOPE_*`: 0 global, 253 link, 254 host.
    pub scope: u8,
    /// Flags.
    pub flags: AddressFlags,
    /// IPv4 label; the kernel sets the interface's name if there is no other.
    pub label: Option<Name>,
}

impl AddressMessage {
    /// `None` for address families other than IPv4 and IPv6.
    pub(super) fn parse(body: &[u8]) -> Result<Option<Self>, WireError> {
        let (header, rest) = body.split_at_checked(BODY_LEN).ok_or(WireError::TooShort)?;
        let family = match header[field::FAMILY] {
            family::INET => Family::V4,
            family::INET6 => Family::V6,
            _ => return Ok(None),
        };
        let (mut local, mut address, mut broadcast, mut label) = (None, None, None, None);
        let mut flags = u32::from(header[field::FLAGS]);
        for item in Attributes::new(rest) {
            let item = item?;
            match item.kind {
                kind::ADDRESS => address = Some(ip(&item, family)?),
                kind::LOCAL => local = Some(ip(&item, family)?),
                kind::BROADCAST if family == Family::V4 => broadcast = Some(Ipv4Addr::from(item.array::<4>()?)),
                kind::LABEL => label = Some(Name::cut(item.value)),
                kind::FLAGS => flags = item.u32()?,
                _ => {}
            }
        }
        // IPv6 sends IFA_LOCAL only if there is a peer, IPv4 sends both always.
        let local = local.or(address).ok_or(WireError::AttributeMissing)?;
        Ok(Some(Self {
            index: read_u32(header, field::INDEX),
            local,
            prefix_len: header[field::PREFIX_LEN],
            peer: address.filter(|address| *address != local),
            broadcast,
            scope: header[field::SCOPE],
            flags: AddressFlags(flags),
            label,
        }))
    }

    /// Whether the address may be a source now: duplicate address detection is over or not needed, and went well.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        let waits = self.flags.contains(AddressFlags::TENTATIVE) && !self.flags.contains(AddressFlags::OPTIMISTIC);
        !waits && !self.flags.contains(AddressFlags::DADFAILED)
    }

    /// Family of the address.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(&self.local)
    }
}

fn ip(item: &Attribute<'_>, family: Family) -> Result<IpAddr, WireError> {
    match family {
        Family::V4 => Ok(IpAddr::V4(Ipv4Addr::from(item.array::<4>()?))),
        Family::V6 => Ok(IpAddr::V6(Ipv6Addr::from(item.array::<16>()?))),
    }
}

/// An address to add or to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressRequest {
    /// Interface index.
    pub index: u32,
    /// The address.
    pub local: IpAddr,
    /// Length of the prefix in bits; the peer's prefix if there is a peer.
    pub prefix_len: u8,
    /// The other end of a point-to-point link.
    pub peer: Option<IpAddr>,
    /// IPv4 broadcast address.
    pub broadcast: Option<Ipv4Addr>,
    /// IPv4 label. The kernel removes an address only if the label of the request, if there is one, is the address's.
    pub label: Option<Name>,
    /// Scope, `RT_SCOPE_*`: 0 global, 253 link, 254 host.
    pub scope: u8,
    /// Flags.
    pub flags: AddressFlags,
    /// Preferred lifetime in seconds, 0 for "deprecated at once". The valid lifetime has no end. `None`: both have none.
    pub preferred_lft_s: Option<u32>,
    /// Who added the address (`IFA_PROTO`, Linux 5.18; ignored by older ones).
    pub proto: Option<u8>,
}

impl AddressRequest {
    /// A plain address with global scope.
    #[must_use]
    pub const fn new(index: u32, local: IpAddr, prefix_len: u8) -> Self {
        Self {
            index,
            local,
            prefix_len,
            peer: None,
            broadcast: None,
            label: None,
            scope: 0,
            flags: AddressFlags::NONE,
            preferred_lft_s: None,
            proto: None,
        }
    }

    /// What needs to agree before anything is written.
    pub(super) fn check(&self) -> Result<(), EmitError> {
        let family = Family::of(&self.local);
        if self.prefix_len > family.max_prefix_len() {
            return Err(EmitError::PrefixLength);
        }
        let peer_agrees = self.peer.is_none_or(|peer| Family::of(&peer) == family);
        let broadcast_agrees = self.broadcast.is_none() || family == Family::V4;
        if peer_agrees && broadcast_agrees {
            Ok(())
        } else {
            Err(EmitError::FamilyMismatch)
        }
    }

    /// Appends `struct ifaddrmsg` and the attributes to the message that ends at `*len`.
    pub(super) fn emit_body(&self, buffer: &mut [u8], len: &mut usize) -> Result<(), EmitError> {
        let body = buffer.get_mut(*len..*len + BODY_LEN).ok_or(EmitError::BufferTooSmall)?;
        let [.., low_flags] = self.flags.0.to_be_bytes();
        body[field::FAMILY] = match self.local {
            IpAddr::V4(_) => family::INET,
            IpAddr::V6(_) => family::INET6,
        };
        body[field::PREFIX_LEN] = self.prefix_len;
        body[field::FLAGS] = low_flags;
        body[field::SCOPE] = self.scope;
        body[field::INDEX..].copy_from_slice(&self.index.to_ne_bytes());
        *len += BODY_LEN;

        push_ip(buffer, len, kind::LOCAL, self.local)?;
        push_ip(buffer, len, kind::ADDRESS, self.peer.unwrap_or(self.local))?;
        if let Some(broadcast) = self.broadcast {
            attribute::push(buffer, len, kind::BROADCAST, &broadcast.octets())?;
        }
        if let Some(label) = &self.label {
            // With the final zero, which the kernel wants to see in strings.
            attribute::push(buffer, len, kind::LABEL, &label.as_padded()[..=label.as_bytes().len()])?;
        }
        if self.flags != AddressFlags::NONE {
            attribute::push(buffer, len, kind::FLAGS, &self.flags.0.to_ne_bytes())?;
        }
        if let Some(preferred_lft_s) = self.preferred_lft_s {
            let mut cacheinfo = [0; 16]; // preferred, valid, and two time stamps that only the kernel fills
            cacheinfo[..4].copy_from_slice(&preferred_lft_s.to_ne_bytes());
            cacheinfo[4..8].copy_from_slice(&FOREVER.to_ne_bytes());
            attribute::push(buffer, len, kind::CACHEINFO, &cacheinfo)?;
        }
        if let Some(proto) = self.proto {
            attribute::push(buffer, len, kind::PROTO, &[proto])?;
        }
        Ok(())
    }
}

fn push_ip(buffer: &mut [u8], len: &mut usize, kind: u16, address: IpAddr) -> Result<(), EmitError> {
    match address {
        IpAddr::V4(address) => attribute::push(buffer, len, kind, &address.octets()),
        IpAddr::V6(address) => attribute::push(buffer, len, kind, &address.octets()),
    }
}
