//! What the configuration says of one virtual router, in the units of the core.
//!
//! The values arrive checked (the configuration compiler owns ranges and messages); this module only computes with them.

use core::net::IpAddr;

use super::auth_hmac::HmacConfig;
pub use super::if_name::{IF_NAME_LEN, IfName};
use super::track::Track;
use crate::time::Duration;
use crate::wire::AuthField;
use crate::wire::hmac_trailer::TRAILER_LEN;
pub use crate::wire::{Family, Version};

/// The priority of an address owner (RFC 9568 section 5.2.4).
pub const PRIORITY_OWNER: u8 = 255;

/// Index of a network namespace the engine works in; 0 is the one it was started in.
pub type NetnsId = u16;

/// One address that a master holds, with the kernel's attributes for it (`config-keywords.md` 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vip {
    /// The address itself.
    pub addr: IpAddr,
    /// Prefix length; with `peer` it belongs to the peer.
    pub prefix_len: u8,
    /// Interface it is put on; `None` is the router's own.
    pub dev: Option<IfName>,
    /// `RT_SCOPE_*`.
    pub scope: u8,
    /// Broadcast address (IPv4).
    pub broadcast: Option<IpAddr>,
    /// Interface alias (IPv4).
    pub label: Option<IfName>,
    /// Point-to-point peer.
    pub peer: Option<IpAddr>,
    /// `IFA_F_*` flags to set, `IFA_F_NODAD` among them unless `-nodad` was given.
    pub flags: u32,
    /// Preferred lifetime in seconds (IPv6), `u32::MAX` for ever, `None` for the kernel's default.
    pub preferred_lft_s: Option<u32>,
    /// The interface's state does not affect the router and removal by others is left alone.
    pub no_track: bool,
    /// Part of the advert (`virtual_ipaddress`), or held but not advertised (`virtual_ipaddress_excluded`).
    pub advertised: bool,
    /// Held, but not to be reached (`no_accept`): the packet filter drops its traffic.
    pub guarded: bool,
}

impl Vip {
    /// True when the kernel would not see a difference.
    #[must_use]
    pub fn same_address(&self, other: &Self) -> bool {
        let unseen = |vip: &Self| Self {
            no_track: false,
            advertised: false,
            guarded: false,
            ..*vip
        };
        unseen(self) == unseen(other)
    }
}

/// A link of our own on top of a router's interface, a macvlan with the virtual MAC or an ipvlan, that carries its
/// addresses (`vrrp-behaviour.md` 11). Others make it, and make it again when it goes; here it is a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vmac {
    /// Name of the link.
    pub link: IfName,
    /// Adverts are sent and received on it, else on the interface below it (`vmac_xmit_base`).
    pub adverts: bool,
    /// Adverts have a source address of the link, else one of the interface below it.
    pub own_source: bool,
}

/// When and how often gratuitous ARP / unsolicited NA are sent (`vrrp-behaviour.md` 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GarpConfig {
    /// Delay of the second batch after becoming master; zero means no second batch.
    pub delay: Duration,
    /// Rounds per batch.
    pub repeat: u16,
    /// Interval of periodic batches while master; zero means none.
    pub refresh: Duration,
    /// Rounds per periodic batch.
    pub refresh_repeat: u16,
    /// Delay of the second batch after a lower-priority advert; zero means no second batch.
    pub lower_prio_delay: Duration,
    /// Rounds per batch after a lower-priority advert; zero means none.
    pub lower_prio_repeat: u16,
    /// Least gap between two ARPs on an interface; zero means at once.
    pub garp_interval: Duration,
    /// Least gap between two NAs on an interface; zero means at once.
    pub gna_interval: Duration,
    /// Interval of one announcement on each link of our own that adverts do not leave by; zero means none.
    pub extra_interval: Duration,
    /// On every other interface with an address too.
    pub extra_all: bool,
}

impl Default for GarpConfig {
    fn default() -> Self {
        Self {
            delay: Duration::from_secs(5),
            repeat: 5,
            refresh: Duration::ZERO,
            refresh_repeat: 1,
            lower_prio_delay: Duration::from_secs(5),
            lower_prio_repeat: 5,
            garp_interval: Duration::ZERO,
            gna_interval: Duration::ZERO,
            extra_interval: Duration::ZERO,
            extra_all: false,
        }
    }
}

/// Another node that adverts are sent to, instead of a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its address.
    pub addr: IpAddr,
    /// Lowest TTL that its adverts may have, where sources are checked.
    pub min_ttl: u8,
    /// Highest TTL that its adverts may have, where sources are checked.
    pub max_ttl: u8,
}

/// Adverts by unicast (`config-keywords.md` 7.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unicast {
    /// To whom; without any the router is in FAULT (`unicast_fault_no_peer`).
    pub peers: Vec<Peer>,
    /// TTL or hop limit of adverts; `None` is the kernel's default, for IPv6 only.
    pub ttl: Option<u8>,
    /// Drop adverts whose sender is no peer, or whose TTL is not what that peer's may be.
    pub check_source: bool,
    /// The checksum that releases up to 1.3.6 used (version 3 over IPv4).
    pub old_checksum: OldChecksum,
}

/// Whether the multicast group stands in the pseudo header of unicast adverts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OldChecksum {
    /// From the start.
    Always,
    /// As soon as a peer is found to do it.
    Detect,
    /// Never.
    Never,
}

/// One virtual router.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a keyword of the configuration of its own"
)]
pub struct RouterConfig {
    /// Network namespace the interface lives in.
    pub netns: NetnsId,
    /// Interface that adverts use; a unicast router can do without.
    pub interface: Option<IfName>,
    /// The link on top of it that carries the addresses.
    pub vmac: Option<Vmac>,
    /// Links of our own that carry single addresses, those that name them as their `dev`.
    pub address_links: Vec<IfName>,
    /// Without an interface: the VRF device whose routes adverts follow.
    pub vrf: Option<IfName>,
    /// Address family of the adverts.
    pub family: Family,
    /// Protocol version.
    pub version: Version,
    /// Virtual router identifier, 1 to 255.
    pub vrid: u8,
    /// Configured priority, 1 to 255.
    pub priority: u8,
    /// `state MASTER` was configured, or priority 255 without a `state`.
    pub initial_master: bool,
    /// Advertisement interval of our own adverts.
    pub advert_interval: Duration,
    /// Never take over from a live master of lower priority.
    pub nopreempt: bool,
    /// How long a live master of lower priority is tolerated; zero means not at all.
    pub preempt_delay: Duration,
    /// How many missed adverts make a master down.
    pub down_timer_adverts: u8,
    /// Compare the address list of an advert only when its sender changes.
    pub skip_check_adv_addr: bool,
    /// A master does not answer adverts of lower priority at once.
    pub lower_prio_no_advert: bool,
    /// A master sends one more advert before it yields to a higher priority.
    pub higher_prio_send_advert: bool,
    /// An owner drops every advert.
    pub owner_ignore_adverts: bool,
    /// VRRPv3 for IPv4: leave the pseudo header out of the checksum, accept any.
    pub checksum_as_v2: bool,
    /// With `nopreempt`: step back when scheduled so late that a peer of this priority has taken over.
    pub timer_expired_backup: Option<u8>,
    /// VRRPv2 simple password, zero padded.
    pub password: Option<[u8; 8]>,
    /// Adverts are behind an IP Authentication Header made with this key, zero padded (version 2 over IPv4).
    pub ah_key: Option<[u8; 8]>,
    /// Adverts carry a trailer that proves them; then `password` has no effect.
    pub hmac: Option<HmacConfig>,
    /// Source address of adverts; `None` is the interface's first address (link-local for IPv6).
    pub source: Option<IpAddr>,
    /// Multicast group that adverts go to.
    pub group: IpAddr,
    /// Adverts go to these peers instead.
    pub unicast: Option<Unicast>,
    /// FAULT while `source` is not on the interface.
    pub track_source: bool,
    /// The state of the own interface causes no fault.
    pub dont_track_primary: bool,
    /// Addresses held while master, the advertised ones first, in the order of the configuration.
    pub vips: Vec<Vip>,
    /// Announcements of those addresses.
    pub garp: GarpConfig,
    /// What else its priority, or its being able to be master, depends on; those of its sync group included.
    pub tracks: Vec<Track>,
}

impl RouterConfig {
    /// Skew of a router of `priority` when the master advertises every `interval` (RFC 3768 section 6.1, RFC 9568
    /// section 6.1): version 2 counts in 256ths of a second, version 3 in 256ths of the master's interval.
    #[must_use]
    pub const fn skew(version: Version, priority: u8, interval: Duration) -> Duration {
        let steps = 256 - priority as u64;
        match version {
            Version::V2 => Duration::from_secs(1).fraction(steps, 256),
            Version::V3 => interval.fraction(steps, 256),
        }
    }

    /// Master down interval for `priority` when the master advertises every `interval`.
    #[must_use]
    pub const fn master_down(&self, priority: u8, interval: Duration) -> Duration {
        let skew = Self::skew(self.version, priority, interval);
        Duration::from_micros(interval.times(self.down_timer_adverts as u64).as_micros() + skew.as_micros())
    }

    /// The password, where adverts have a field for it: version 2 over IPv4.
    #[must_use]
    pub fn auth_password(&self) -> Option<[u8; 8]> {
        match (self.version, self.family, &self.hmac) {
            (Version::V2, Family::V4, None) => self.password,
            (Version::V2, Family::V4, Some(_)) | (Version::V2, Family::V6, _) | (Version::V3, _, _) => None,
        }
    }

    /// Nodes that adverts are sent to, and are to come from; `None` with a group.
    #[must_use]
    pub fn peer_count(&self) -> Option<usize> {
        self.unicast.as_ref().map(|unicast| unicast.peers.len())
    }

    /// Octets behind the message in our own adverts.
    #[must_use]
    pub fn trailer_len(&self) -> usize {
        let signs = self.hmac.as_ref().is_some_and(HmacConfig::signs);
        if signs { TRAILER_LEN } else { 0 }
    }

    /// The key of the Authentication Header, where adverts have one.
    #[must_use]
    pub fn ah_key(&self) -> Option<[u8; 8]> {
        let possible = matches!((self.version, self.family, &self.hmac), (Version::V2, Family::V4, None));
        self.ah_key.filter(|_| possible)
    }

    /// The authentication of a message to send.
    #[must_use]
    pub fn auth_field(&self) -> AuthField {
        match (self.ah_key(), self.auth_password()) {
            (Some(_), _) => AuthField::Ah,
            (None, Some(password)) => AuthField::Pass(password),
            (None, None) => AuthField::None,
        }
    }

    /// Unicast adverts have the multicast group in their checksum before any peer was heard.
    #[must_use]
    pub fn starts_with_old_checksum(&self) -> bool {
        self.unicast
            .as_ref()
            .is_some_and(|unicast| unicast.old_checksum == OldChecksum::Always)
    }

    /// The addresses that the advert carries, in its order.
    pub fn advertised(&self) -> impl Iterator<Item = IpAddr> + Clone + '_ {
        self.vips.iter().filter(|vip| vip.advertised).map(|vip| vip.addr)
    }

    /// The advert's interval field: whole seconds (version 2) or centiseconds (version 3).
    #[must_use]
    pub fn interval_field(&self) -> u16 {
        let unit_us = match self.version {
            Version::V2 => 1_000_000,
            Version::V3 => 10_000,
        };
        u16::try_from(self.advert_interval.as_micros() / unit_us).unwrap_or(u16::MAX)
    }
}
