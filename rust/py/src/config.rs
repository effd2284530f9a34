//! From the attributes of `keepvip.config.model.VrrpInstance` to the configuration of a router.

use std::net::IpAddr;

use keepvip_proto::engine::{LinkConfig, Pace};
use keepvip_proto::time::Duration;
use keepvip_proto::vrrp::auth_hmac::{HmacConfig, HmacKey, HmacMode};
use keepvip_proto::vrrp::config::{
    Family, GarpConfig, IfName, OldChecksum, Peer, RouterConfig, Unicast, Version, Vip, Vmac,
};
use keepvip_proto::vrrp::track::{Track, TrackTarget, TrackValue};
use keepvip_proto::wire::rtnl::AddressFlags;
use pyo3::prelude::*;

use crate::error::Error;

/// A `VrrpInstance`, as far as the engine cares.
#[derive(FromPyObject)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a keyword of the configuration of its own"
)]
pub(crate) struct Instance {
    /// Turned into a number by whoever knows them.
    pub(crate) net_namespace: Option<String>,
    interface: Option<String>,
    vrf: Option<String>,
    family: u8,
    version: u8,
    vrid: u8,
    priority: u8,
    initial_master: bool,
    advert_int_us: u64,
    nopreempt: bool,
    preempt_delay_us: u64,
    down_timer_adverts: u8,
    skip_check_adv_addr: bool,
    lower_prio_no_advert: bool,
    higher_prio_send_advert: bool,
    owner_ignore_adverts: bool,
    checksum_as_v2: bool,
    timer_expired_backup: Option<u8>,
    authentication: Option<Authentication>,
    auth_hmac: Option<AuthHmac>,
    source: Option<String>,
    track_source: bool,
    mcast_dst: String,
    unicast: Option<PyUnicast>,
    dont_track_primary: bool,
    guarded: bool,
    addresses: Vec<Address>,
    excluded: Vec<Address>,
    garp: Garp,
}

/// Links of our own that carry the addresses of an instance: that of the instance (name, whether adverts use it, whether
/// their source address is on it), and those of single addresses.
pub(crate) type PyLinks = (Option<(String, bool, bool)>, Vec<String>);

/// Puts the addresses of a router on links of our own.
pub(crate) fn put_on_links(router: &mut RouterConfig, (own, single): PyLinks) -> Result<(), Error> {
    router.vmac = own
        .map(|(name, adverts, own_source)| {
            Ok::<_, Error>(Vmac {
                link: interface("vmac", &name)?,
                adverts,
                own_source,
            })
        })
        .transpose()?;
    router.address_links = single
        .iter()
        .map(|name| interface("vmac", name))
        .collect::<Result<_, _>>()?;
    Ok(())
}

/// What is tracked: an interface by its name, anything else by the number that `keepvip.engine` gave it.
#[derive(FromPyObject)]
pub(crate) enum Target {
    Interface(String),
    Value(u32),
}

/// Target, weight, reverse.
pub(crate) type PyTrack = (Target, i16, bool);

/// One line of a tracking block.
pub(crate) fn track((target, weight, reverse): PyTrack) -> Result<Track, Error> {
    let target = match target {
        Target::Interface(name) => TrackTarget::Interface(interface("track_interface", &name)?),
        Target::Value(id) => TrackTarget::Value(id),
    };
    Ok(Track {
        target,
        weight,
        reverse,
    })
}

/// What is configured of an interface: name, delays down and up in µs, the group of its announcements with their gaps in
/// µs, and the number of the tracked thing that tells its state.
pub(crate) type PyLinkConfig = (String, u64, u64, Option<(u32, u64, u64)>, Option<u32>);

/// One interface.
pub(crate) fn link_config((name, down_us, up_us, pace, polled): PyLinkConfig) -> Result<LinkConfig, Error> {
    Ok(LinkConfig {
        netns: 0,
        name: interface("interfaces", &name)?,
        down_delay: Duration::from_micros(down_us),
        up_delay: Duration::from_micros(up_us),
        pace: pace.map(|(group, garp_us, gna_us)| Pace {
            group,
            garp_interval: Duration::from_micros(garp_us),
            gna_interval: Duration::from_micros(gna_us),
        }),
        polled,
    })
}

/// A value: a word, or the number in a file.
#[derive(FromPyObject)]
pub(crate) enum Value {
    Number(i32),
    Word(String),
}

impl TryFrom<Value> for TrackValue {
    type Error = Error;

    fn try_from(value: Value) -> Result<Self, Error> {
        Ok(match value {
            Value::Number(number) => Self::Number(number),
            Value::Word(word) => match word.as_str() {
                "unknown" => Self::Unknown,
                "good" => Self::Good,
                "bad" => Self::Bad,
                "ignored" => Self::Ignored,
                _ => return Err(bad("value", "no value of a tracked thing", word)),
            },
        })
    }
}

/// A `Unicast`.
#[derive(FromPyObject)]
struct PyUnicast {
    peers: Vec<PyPeer>,
    ttl: Option<u8>,
    check_source: bool,
    old_checksum: String,
}

/// A `UnicastPeer`.
#[derive(FromPyObject)]
struct PyPeer {
    address: String,
    min_ttl: u8,
    max_ttl: u8,
}

/// An `Authentication`.
#[derive(FromPyObject)]
struct Authentication {
    kind: String,
    password: Vec<u8>,
}

/// An `AuthHmac`.
#[derive(FromPyObject)]
struct AuthHmac {
    keys: Vec<PyHmacKey>,
    active_key: u8,
    mode: String,
    time_window_s: u32,
    monotonic: bool,
}

/// An `HmacKey`.
#[derive(FromPyObject)]
struct PyHmacKey {
    number: u8,
    secret: Vec<u8>,
}

/// A `VirtualAddress`.
#[derive(FromPyObject)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a keyword of the configuration of its own"
)]
struct Address {
    address: String,
    prefix_len: u8,
    dev: Option<String>,
    scope: u8,
    brd: Option<String>,
    label: Option<String>,
    peer: Option<String>,
    peer_prefix_len: Option<u8>,
    no_track: bool,
    nodad: bool,
    home: bool,
    mngtmpaddr: bool,
    noprefixroute: bool,
    autojoin: bool,
    preferred_lft_s: Option<u32>,
}

/// A `GarpConfig`.
#[derive(FromPyObject)]
struct Garp {
    delay_s: u64,
    repeat: u16,
    refresh_s: u64,
    refresh_repeat: u16,
    lower_prio_delay_s: u64,
    lower_prio_repeat: u16,
    garp_interval_us: u64,
    gna_interval_us: u64,
    extra_s: u64,
    extra_all: bool,
}

impl TryFrom<Instance> for RouterConfig {
    type Error = Error;

    fn try_from(instance: Instance) -> Result<Self, Error> {
        let advertised = instance
            .addresses
            .into_iter()
            .map(|address| vip(address, true, instance.guarded));
        let excluded = instance
            .excluded
            .into_iter()
            .map(|address| vip(address, false, instance.guarded));
        Ok(Self {
            netns: 0,
            interface: optional("interface", instance.interface.as_deref(), interface)?,
            vmac: None,
            address_links: Vec::new(),
            vrf: optional("vrf", instance.vrf.as_deref(), interface)?,
            family: match instance.family {
                4 => Family::V4,
                6 => Family::V6,
                other => return Err(bad("family", "neither 4 nor 6", other)),
            },
            version: match instance.version {
                2 => Version::V2,
                3 => Version::V3,
                other => return Err(bad("version", "neither 2 nor 3", other)),
            },
            vrid: not_zero("vrid", instance.vrid)?,
            priority: not_zero("priority", instance.priority)?,
            initial_master: instance.initial_master,
            advert_interval: Duration::from_micros(not_zero("advert_int_us", instance.advert_int_us)?),
            nopreempt: instance.nopreempt,
            preempt_delay: Duration::from_micros(instance.preempt_delay_us),
            down_timer_adverts: not_zero("down_timer_adverts", instance.down_timer_adverts)?,
            skip_check_adv_addr: instance.skip_check_adv_addr,
            lower_prio_no_advert: instance.lower_prio_no_advert,
            higher_prio_send_advert: instance.higher_prio_send_advert,
            owner_ignore_adverts: instance.owner_ignore_adverts,
            checksum_as_v2: instance.checksum_as_v2,
            timer_expired_backup: instance.timer_expired_backup,
            password: secret_of(instance.authentication.as_ref(), "PASS")?,
            ah_key: secret_of(instance.authentication.as_ref(), "AH")?,
            hmac: instance.auth_hmac.map(hmac).transpose()?,
            source: optional("source", instance.source.as_deref(), address)?,
            group: group(&instance.mcast_dst)?,
            unicast: instance.unicast.map(unicast).transpose()?,
            track_source: instance.track_source,
            dont_track_primary: instance.dont_track_primary,
            vips: advertised.chain(excluded).collect::<Result<_, _>>()?,
            garp: garp(&instance.garp),
            tracks: Vec::new(),
        })
    }
}

fn unicast(from: PyUnicast) -> Result<Unicast, Error> {
    let peer = |peer: PyPeer| {
        Ok(Peer {
            addr: address("unicast_peer", &peer.address)?,
            min_ttl: peer.min_ttl,
            max_ttl: peer.max_ttl,
        })
    };
    Ok(Unicast {
        peers: from.peers.into_iter().map(peer).collect::<Result<_, Error>>()?,
        ttl: from.ttl,
        check_source: from.check_source,
        old_checksum: match from.old_checksum.as_str() {
            "always" => OldChecksum::Always,
            "detect" => OldChecksum::Detect,
            "never" => OldChecksum::Never,
            other => return Err(bad("old_unicast_checksum", "no way to make a checksum", other)),
        },
    })
}

fn vip(from: Address, advertised: bool, guarded: bool) -> Result<Vip, Error> {
    let flags = [
        (from.nodad, AddressFlags::NODAD),
        (from.home, AddressFlags::HOME),
        (from.mngtmpaddr, AddressFlags::MNGTMPADDR),
        (from.noprefixroute, AddressFlags::NOPREFIXROUTE),
        (from.autojoin, AddressFlags::MCAUTOJOIN),
    ];
    let flags = flags
        .into_iter()
        .filter(|(set, _)| *set)
        .fold(AddressFlags::NONE, |all, (_, flag)| all.union(flag));
    let addr = address("address", &from.address)?;
    // With a peer the kernel's prefix length is the peer's.
    let prefix_len = match from.peer {
        Some(_) => from.peer_prefix_len.unwrap_or(from.prefix_len),
        None => from.prefix_len,
    };
    if prefix_len > Family::of(&addr).max_prefix_len() {
        return Err(bad("prefix_len", "longer than the address", prefix_len));
    }
    Ok(Vip {
        addr,
        prefix_len,
        dev: optional("dev", from.dev.as_deref(), interface)?,
        scope: from.scope,
        broadcast: optional("brd", from.brd.as_deref(), address)?,
        label: optional("label", from.label.as_deref(), interface)?,
        peer: optional("peer", from.peer.as_deref(), address)?,
        flags: flags.0,
        preferred_lft_s: from.preferred_lft_s,
        no_track: from.no_track,
        advertised,
        guarded,
    })
}

const fn garp(from: &Garp) -> GarpConfig {
    GarpConfig {
        delay: Duration::from_secs(from.delay_s),
        repeat: from.repeat,
        refresh: Duration::from_secs(from.refresh_s),
        refresh_repeat: from.refresh_repeat,
        lower_prio_delay: Duration::from_secs(from.lower_prio_delay_s),
        lower_prio_repeat: from.lower_prio_repeat,
        garp_interval: Duration::from_micros(from.garp_interval_us),
        gna_interval: Duration::from_micros(from.gna_interval_us),
        extra_interval: Duration::from_secs(from.extra_s),
        extra_all: from.extra_all,
    }
}

fn hmac(from: AuthHmac) -> Result<HmacConfig, Error> {
    if !from.keys.iter().any(|key| key.number == from.active_key) {
        return Err(bad("active_key", "no key has this number", from.active_key));
    }
    let key = |key: PyHmacKey| HmacKey {
        id: key.number,
        secret: key.secret,
    };
    Ok(HmacConfig {
        keys: from.keys.into_iter().map(key).collect(),
        active_key: from.active_key,
        mode: match from.mode.as_str() {
            "enforce" => HmacMode::Enforce,
            "permissive" => HmacMode::Permissive,
            "receive-only" => HmacMode::ReceiveOnly,
            other => return Err(bad("mode", "no mode of auth_hmac", other)),
        },
        window_s: (!from.monotonic).then_some(from.time_window_s),
    })
}

/// The password of one kind of authentication.
fn secret_of(from: Option<&Authentication>, kind: &str) -> Result<Option<[u8; 8]>, Error> {
    let Some(from) = from.filter(|from| from.kind == kind) else {
        return Ok(None);
    };
    // The password itself has no place in a message.
    let secret = <[u8; 8]>::try_from(from.password.as_slice());
    secret
        .map(Some)
        .map_err(|_| bad("password", "not 8 octets", from.password.len()))
}

pub(crate) fn interface(field: &'static str, name: &str) -> Result<IfName, Error> {
    IfName::new(name).ok_or_else(|| bad(field, "not a name of 1 to 15 octets", name))
}

fn address(field: &'static str, text: &str) -> Result<IpAddr, Error> {
    text.parse().map_err(|_| bad(field, "not an IP address", text))
}

fn group(text: &str) -> Result<IpAddr, Error> {
    let group = address("mcast_dst", text)?;
    if group.is_multicast() {
        Ok(group)
    } else {
        Err(bad("mcast_dst", "not a multicast group", text))
    }
}

fn optional<T>(
    field: &'static str,
    text: Option<&str>,
    parse: impl FnOnce(&'static str, &str) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    text.map(|text| parse(field, text)).transpose()
}

fn not_zero<T: Default + PartialEq + ToString>(field: &'static str, value: T) -> Result<T, Error> {
    if value == T::default() {
        Err(bad(field, "must not be zero", value))
    } else {
        Ok(value)
    }
}

fn bad(field: &'static str, problem: &'static str, value: impl ToString) -> Error {
    Error::Value {
        field,
        problem,
        value: value.to_string(),
    }
}
