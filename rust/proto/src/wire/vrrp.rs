//! The VRRP advertisement: version 2 (RFC 3768 5.1), version 3 (RFC 5798 5.1, RFC 9568 5.1), IPv4 and IPv6.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+-------+---------------+---------------+---------------+
//! |Version| Type  | Virtual Rtr ID|   Priority    | Address Count |
//! +-------+-------+---------------+---------------+---------------+
//! |   Auth Type   |   Adver Int   |           Checksum            |  version 2, seconds
//! | rsvd  |   Max Adver Int       |           Checksum            |  version 3, centiseconds
//! +---------------+---------------+-------------------------------+
//! |                 Address 1 ... Address n (4 or 16 bytes each)  |
//! +---------------------------------------------------------------+
//! |                 Authentication data (8 bytes)                 |  version 2 over IPv4 only, always there
//! +---------------------------------------------------------------+
//! ```
//!
//! Version 2 over IPv6 is in no RFC, but keepalived does it (vrrp-behaviour.md 7). Seen on the wire from 2.2.7: the
//! version 2 header with addresses of 16 bytes, no authentication data, and a checksum with the IPv6 pseudo header,
//! since the kernel makes it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::checksum::{self, Pseudo};
use super::{AddressList, EmitError, Family, WireError, read_array, read_u16_be};

/// IP protocol number of VRRP (RFC 5798 5.1.1.4).
pub const PROTOCOL: u8 = 112;
/// The IPv4 group of all VRRP routers (RFC 5798 5.1.1.2).
pub const MULTICAST_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// The IPv6 group of all VRRP routers, link-local scope (RFC 5798 5.1.2.2).
pub const MULTICAST_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
/// TTL or hop limit that every multicast advertisement must have (RFC 5798 5.1.1.3, 5.1.2.3).
pub const TTL: u8 = 255;
/// The only packet type there is (RFC 5798 5.2.2).
pub const TYPE_ADVERTISEMENT: u8 = 1;
/// Length of the part before the addresses in bytes.
pub const HEADER_LEN: usize = 8;
/// Length of the version 2 authentication data in bytes (RFC 3768 5.3.10).
pub const AUTH_DATA_LEN: usize = 8;
/// Most addresses in one message.
pub const MAX_ADDRESSES: usize = 255;
/// Longest advertisement in bytes: 255 IPv6 addresses.
pub const MAX_LEN: usize = HEADER_LEN + MAX_ADDRESSES * 16;
/// Largest advertisement interval of version 3: 12 bits of centiseconds (RFC 5798 5.2.7).
pub const MAX_ADVERT_INT_CS: u16 = 0x0fff;

mod field {
    use core::ops::Range;

    pub(super) const VERSION_TYPE: usize = 0;
    pub(super) const VRID: usize = 1;
    pub(super) const PRIORITY: usize = 2;
    pub(super) const COUNT: usize = 3;
    pub(super) const AUTH_TYPE_V2: usize = 4;
    pub(super) const ADVERT_INT_V2: usize = 5;
    pub(super) const ADVERT_INT_V3: Range<usize> = 4..6;
    pub(super) const CHECKSUM: Range<usize> = 6..8;
}

/// Protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// RFC 3768.
    V2 = 2,
    /// RFC 5798, RFC 9568.
    V3 = 3,
}

impl Version {
    /// The number in the packet.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// Authentication type of a received version 2 message (RFC 3768 5.3.6, RFC 2338 5.3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthType {
    /// 0: no authentication.
    None,
    /// 1: plain text password in the authentication data.
    Pass,
    /// 2: the message was behind an IP Authentication Header.
    Ah,
    /// Any other number.
    Unknown(u8),
}

impl AuthType {
    /// The number in the packet.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Pass => 1,
            Self::Ah => 2,
            Self::Unknown(number) => number,
        }
    }
}

impl From<u8> for AuthType {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::None,
            1 => Self::Pass,
            2 => Self::Ah,
            other => Self::Unknown(other),
        }
    }
}

/// Authentication of a message that is to be sent. Only version 2 over IPv4 has any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AuthField {
    /// Type 0; in version 2 over IPv4 the eight bytes are there and zero.
    #[default]
    None,
    /// Type 1 with the password, zero padded to eight bytes (vrrp-behaviour.md 5).
    Pass([u8; AUTH_DATA_LEN]),
    /// Type 2: the message is behind an IP Authentication Header; the eight bytes are zero.
    Ah,
}

impl AuthField {
    /// The type number in the packet.
    #[must_use]
    pub const fn auth_type(&self) -> AuthType {
        match self {
            Self::None => AuthType::None,
            Self::Pass(_) => AuthType::Pass,
            Self::Ah => AuthType::Ah,
        }
    }

    /// The eight bytes after the addresses.
    #[must_use]
    pub const fn data(&self) -> [u8; AUTH_DATA_LEN] {
        match self {
            Self::None | Self::Ah => [0; AUTH_DATA_LEN],
            Self::Pass(password) => *password,
        }
    }
}

/// A received advertisement.
///
/// The checks of [`AdvertView::new_checked`] are those without which the fields cannot be found. Type, checksum,
/// authentication and interval are left to the caller, in the order of vrrp-behaviour.md 4.1.
#[derive(Clone, Copy, Debug)]
pub struct AdvertView<'a> {
    /// Exactly the message: no padding, no trailer.
    message: &'a [u8],
    version: Version,
    family: Family,
}

impl<'a> AdvertView<'a> {
    /// Checks `message`, the IP payload cut to the IP total length.
    ///
    /// # Errors
    /// [`WireError::TooShort`]: no complete header. [`WireError::UnknownVersion`]: neither 2 nor 3.
    /// [`WireError::AddressCount`]: the addresses (and the authentication data, if due) are not all there.
    /// [`WireError::TrailingBytes`]: there is more than them.
    pub fn new_checked(message: &'a [u8], family: Family) -> Result<Self, WireError> {
        match Self::split(message, family)? {
            (view, []) => Ok(view),
            _ => Err(WireError::TrailingBytes),
        }
    }

    /// Like [`AdvertView::new_checked`], but hands back what follows the message (keepalived's `auth_hmac` trailer,
    /// vrrp-behaviour.md 6) instead of calling it an error.
    ///
    /// # Errors
    /// As [`AdvertView::new_checked`], without [`WireError::TrailingBytes`].
    pub fn split(bytes: &'a [u8], family: Family) -> Result<(Self, &'a [u8]), WireError> {
        if bytes.len() < HEADER_LEN {
            return Err(WireError::TooShort);
        }
        let version = match bytes[field::VERSION_TYPE] >> 4 {
            2 => Version::V2,
            3 => Version::V3,
            other => return Err(WireError::UnknownVersion(other)),
        };
        let len = message_len(version, family, usize::from(bytes[field::COUNT]));
        let (message, rest) = bytes.split_at_checked(len).ok_or(WireError::AddressCount)?;
        Ok((
            Self {
                message,
                version,
                family,
            },
            rest,
        ))
    }

    /// The bytes of the message.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.message
    }

    /// Protocol version.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Family of the addresses, as given by the caller: the IP version of the packet.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// Packet type; only [`TYPE_ADVERTISEMENT`] is defined.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        self.message[field::VERSION_TYPE] & 0x0f
    }

    /// Virtual router id; 0 is not a legal one.
    #[must_use]
    pub const fn vrid(&self) -> u8 {
        self.message[field::VRID]
    }

    /// Priority: 0 gives up mastership, 255 owns the addresses.
    #[must_use]
    pub const fn priority(&self) -> u8 {
        self.message[field::PRIORITY]
    }

    /// Number of addresses.
    #[must_use]
    pub const fn count(&self) -> u8 {
        self.message[field::COUNT]
    }

    /// Advertisement interval as it stands in the packet: seconds in version 2, centiseconds in version 3.
    #[must_use]
    pub fn advert_int_raw(&self) -> u16 {
        match self.version {
            Version::V2 => u16::from(self.message[field::ADVERT_INT_V2]),
            Version::V3 => read_u16_be(self.message, field::ADVERT_INT_V3.start) & MAX_ADVERT_INT_CS,
        }
    }

    /// Advertisement interval in microseconds.
    #[must_use]
    pub fn advert_int_us(&self) -> u64 {
        let unit_us = match self.version {
            Version::V2 => 1_000_000,
            Version::V3 => 10_000,
        };
        u64::from(self.advert_int_raw()) * unit_us
    }

    /// Authentication type; [`AuthType::None`] in version 3, which has no such field.
    #[must_use]
    pub fn auth_type(&self) -> AuthType {
        match self.version {
            Version::V2 => AuthType::from(self.message[field::AUTH_TYPE_V2]),
            Version::V3 => AuthType::None,
        }
    }

    /// The eight bytes of authentication data; `None` in version 3 and over IPv6.
    #[must_use]
    pub fn auth_data(&self) -> Option<[u8; AUTH_DATA_LEN]> {
        has_auth_data(self.version, self.family).then(|| read_array(self.message, self.message.len() - AUTH_DATA_LEN))
    }

    /// Whether the authentication data is `password`, compared in a time that does not depend on the content.
    #[must_use]
    pub fn password_matches(&self, password: &[u8; AUTH_DATA_LEN]) -> bool {
        self.auth_data().is_some_and(|data| {
            let difference = data
                .iter()
                .zip(password)
                .fold(0, |difference, (a, b)| difference | (a ^ b));
            core::hint::black_box(difference) == 0
        })
    }

    /// The addresses.
    #[must_use]
    pub fn addresses(&self) -> AddressList<'a> {
        let end = HEADER_LEN + usize::from(self.count()) * self.family.address_len();
        AddressList::Wire(self.family, &self.message[HEADER_LEN..end])
    }

    /// The checksum field.
    #[must_use]
    pub fn checksum(&self) -> u16 {
        read_u16_be(self.message, field::CHECKSUM.start)
    }

    /// Whether the checksum over the message alone is right: version 2 over IPv4, and `v3_checksum_as_v2`.
    #[must_use]
    pub fn checksum_ok_v2(&self) -> bool {
        self.checksum_ok_v3(&Pseudo::None)
    }

    /// Whether the checksum over `pseudo` and the message is right (RFC 5798 5.2.8).
    #[must_use]
    pub fn checksum_ok_v3(&self, pseudo: &Pseudo) -> bool {
        checksum::verify(self.message, pseudo, PROTOCOL)
    }

    /// The fields as values; `None` if they are not an advertisement that we would send (another type or
    /// authentication type).
    #[must_use]
    pub fn to_repr(&self) -> Option<AdvertRepr<'a>> {
        let auth = match (self.auth_type(), self.auth_data()) {
            (AuthType::None, _) => AuthField::None,
            (AuthType::Pass, Some(data)) => AuthField::Pass(data),
            (AuthType::Ah, Some([0, 0, 0, 0, 0, 0, 0, 0])) => AuthField::Ah,
            _ => return None,
        };
        (self.kind() == TYPE_ADVERTISEMENT).then(|| AdvertRepr {
            version: self.version,
            vrid: self.vrid(),
            priority: self.priority(),
            advert_int: self.advert_int_raw(),
            auth,
            addresses: self.addresses(),
        })
    }
}

const fn has_auth_data(version: Version, family: Family) -> bool {
    matches!((version, family), (Version::V2, Family::V4))
}

/// Length of a message with `count` addresses.
const fn message_len(version: Version, family: Family, count: usize) -> usize {
    let auth_len = if has_auth_data(version, family) {
        AUTH_DATA_LEN
    } else {
        0
    };
    HEADER_LEN + count * family.address_len() + auth_len
}

/// An advertisement to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdvertRepr<'a> {
    /// Protocol version.
    pub version: Version,
    /// Virtual router id, 1..=255.
    pub vrid: u8,
    /// Priority.
    pub priority: u8,
    /// Advertisement interval as it stands in the packet: seconds (up to 255) in version 2, centiseconds (up to 4095)
    /// in version 3.
    pub advert_int: u16,
    /// Authentication, version 2 over IPv4 only.
    pub auth: AuthField,
    /// Addresses of the virtual router.
    pub addresses: AddressList<'a>,
}

impl AdvertRepr<'_> {
    /// Number of bytes that [`AdvertRepr::emit`] writes.
    #[must_use]
    pub const fn buffer_len(&self) -> usize {
        message_len(self.version, self.addresses.family(), self.addresses.len())
    }

    /// Writes the message with its checksum to the start of `buffer` and returns its length.
    ///
    /// `pseudo` decides how the checksum is made: [`Pseudo::None`] for version 2 over IPv4 and for
    /// `v3_checksum_as_v2`, the pseudo header of the packet otherwise. Over IPv6 (either version) the kernel may
    /// overwrite it with the same value (`IPV6_CHECKSUM`).
    ///
    /// # Errors
    /// [`EmitError::BufferTooSmall`], [`EmitError::TooManyAddresses`], [`EmitError::AdvertInterval`],
    /// [`EmitError::NoAuthField`]; [`EmitError::FamilyMismatch`] if `pseudo` is of another family than the addresses.
    /// The buffer is unchanged then.
    pub fn emit(&self, buffer: &mut [u8], pseudo: &Pseudo) -> Result<usize, EmitError> {
        let family = self.addresses.family();
        let count = u8::try_from(self.addresses.len()).map_err(|_| EmitError::TooManyAddresses)?;
        if pseudo.family().is_some_and(|other| other != family) {
            return Err(EmitError::FamilyMismatch);
        }
        let has_auth_data = has_auth_data(self.version, family);
        if self.auth != AuthField::None && !has_auth_data {
            return Err(EmitError::NoAuthField);
        }
        let interval_field = match self.version {
            Version::V2 => {
                let advert_int_s = u8::try_from(self.advert_int).map_err(|_| EmitError::AdvertInterval)?;
                [self.auth.auth_type().number(), advert_int_s]
            }
            Version::V3 if self.advert_int > MAX_ADVERT_INT_CS => return Err(EmitError::AdvertInterval),
            Version::V3 => self.advert_int.to_be_bytes(),
        };
        let message = buffer.get_mut(..self.buffer_len()).ok_or(EmitError::BufferTooSmall)?;
        message[field::VERSION_TYPE] = self.version.number() << 4 | TYPE_ADVERTISEMENT;
        message[field::VRID] = self.vrid;
        message[field::PRIORITY] = self.priority;
        message[field::COUNT] = count;
        message[field::ADVERT_INT_V3].copy_from_slice(&interval_field);
        message[field::CHECKSUM].fill(0);
        let (list, auth_data) = message[HEADER_LEN..].split_at_mut(usize::from(count) * family.address_len());
        for (slot, address) in list.chunks_exact_mut(family.address_len()).zip(self.addresses.iter()) {
            match address {
                IpAddr::V4(address) => slot.copy_from_slice(&address.octets()),
                IpAddr::V6(address) => slot.copy_from_slice(&address.octets()),
            }
        }
        if has_auth_data {
            auth_data.copy_from_slice(&self.auth.data());
        }
        let checksum = checksum::checksum(message, pseudo, PROTOCOL);
        message[field::CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
        Ok(message.len())
    }
}

/// Makes the checksum of a message anew, over all of `bytes`: what a kernel does over IPv6 (`IPV6_CHECKSUM`), whatever
/// follows the message included.
pub fn fill_checksum(bytes: &mut [u8], pseudo: &Pseudo) {
    if bytes.len() >= HEADER_LEN {
        bytes[field::CHECKSUM].fill(0);
        let checksum = checksum::checksum(bytes, pseudo, PROTOCOL);
        bytes[field::CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Whether the checksum over `pseudo` and all of `bytes` is right, the counterpart of [`fill_checksum`].
#[must_use]
pub fn verify_checksum(bytes: &[u8], pseudo: &Pseudo) -> bool {
    checksum::verify(bytes, pseudo, PROTOCOL)
}

/// Gives a ready-made advertisement another priority and mends its checksum, without building it again.
///
/// # Errors
/// [`EmitError::BufferTooSmall`] if `message` is shorter than a header.
pub fn set_priority(message: &mut [u8], priority: u8) -> Result<(), EmitError> {
    if message.len() < HEADER_LEN {
        return Err(EmitError::BufferTooSmall);
    }
    let old = read_u16_be(message, field::PRIORITY);
    message[field::PRIORITY] = priority;
    let new = read_u16_be(message, field::PRIORITY);
    let checksum = checksum::update(read_u16_be(message, field::CHECKSUM.start), old, new);
    message[field::CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod test;
