//! Adverts in: whom they are for, the checks in their order (`vrrp-behaviour.md` 4.1), and what follows.

use core::net::IpAddr;

use super::Core;
use super::advert::Kind;
use super::routine::{Nothing, Routine};
use crate::time::{Duration, Instant};
use crate::vrrp::auth_hmac::Verified;
use crate::vrrp::config::{Family, OldChecksum, Version};
use crate::vrrp::hearing::{Heard, Verdict};
use crate::vrrp::output::IfId;
use crate::vrrp::report::{EventKind, Reject, Slot};
use crate::vrrp::router::{Phase, Router};
use crate::wire::ah::AhView;
use crate::wire::vrrp::{AuthType, MULTICAST_V4, PROTOCOL, TTL, TYPE_ADVERTISEMENT, verify_checksum};
use crate::wire::{AdvertView, Ipv4View, Pseudo, WireError};

/// A received IP packet of protocol 112.
#[derive(Clone, Copy, Debug)]
pub struct AdvertRx<'a> {
    /// Interface it came in by.
    pub interface: IfId,
    /// IP version.
    pub family: Family,
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// TTL or hop limit as received.
    pub ttl: u8,
    /// The VRRP message and what follows it: IP payload, cut to the length that the IP header gives, without an
    /// Authentication Header.
    pub payload: &'a [u8],
    /// The Authentication Header before it.
    pub ah: Option<AhView<'a>>,
}

impl<'a> AdvertRx<'a> {
    /// What a raw socket of IPv4 received; `None` for what cannot be an advert.
    #[must_use]
    pub fn from_ipv4(interface: IfId, bytes: &'a [u8]) -> Option<Self> {
        let packet = Ipv4View::new_checked(bytes).ok()?;
        let ah = if packet.protocol() == PROTOCOL {
            None
        } else {
            Some(AhView::new_checked(&packet)?)
        };
        Some(Self {
            interface,
            family: Family::V4,
            source: packet.src().into(),
            destination: packet.dst().into(),
            ttl: packet.ttl(),
            payload: ah.map_or_else(|| packet.payload(), |ah| ah.message()),
            ah,
        })
    }
}

/// Why an advert is not accepted: the cause, what came and what was expected.
type Refusal = (Reject, u32, u32);

impl Core {
    /// Takes one received packet.
    pub fn handle_packet(&mut self, now: Instant, rx: &AdvertRx<'_>) {
        self.handle_packet_with(now, rx, &mut Nothing);
    }

    /// As [`Self::handle_packet`], for a driver that keeps routine adverts from the core. The answer names a backup to
    /// which the next packet like this one, octet by octet, is nothing new: see [`Self::watched`].
    pub fn handle_packet_with(&mut self, now: Instant, rx: &AdvertRx<'_>, routine: &mut dyn Routine) -> Option<Slot> {
        let &vrid = rx.payload.get(1)?;
        if now < self.hold_until || self.stopping.is_some() {
            return None;
        }
        let Some(slot) = self.find(rx, vrid) else {
            self.tell_unknown(now, rx, vrid);
            return None;
        };
        let utc_us = self.utc_us;
        let router = self.router_mut(slot)?;
        if matches!(router.phase, Phase::Init | Phase::Fault) {
            return None;
        }
        // What was kept came before this.
        self.look(now, slot, routine);
        let router = self.router_mut(slot)?;
        let mut is_routine = false;
        let priority = router.priority;
        match check(router, rx, utc_us) {
            Ok(Checked {
                advert,
                style,
                verified,
            }) => {
                if let Some(ah) = rx.ah {
                    router.ah_sequence = ah.sequence();
                }
                let skew_s = verified.and_then(|verified| {
                    router.hmac.accept(&verified);
                    verified.skew_s
                });
                let heard = Heard {
                    sender: rx.source,
                    priority: advert.priority(),
                    interval: Duration::from_micros(advert.advert_int_us()),
                };
                let remark = remark(router, rx, &advert);
                let verdict = router.heard(now, heard);
                let moved = router.priority != priority;
                is_routine = remark.is_none() && style == ChecksumStyle::Normal && !moved;
                if style == ChecksumStyle::Old && !router.old_checksum {
                    router.old_checksum = true;
                    self.rebuild_frames(slot);
                    self.reject(now, slot, rx.source, (Reject::OldChecksum, 0, 0));
                }
                if let Some(skew_s) = skew_s {
                    self.reject(now, slot, rx.source, (Reject::ClockSkew, skew_s, 0));
                }
                if let Some((cause, got, expected)) = remark {
                    self.reject(now, slot, rx.source, (cause, got, expected));
                }
                if moved {
                    // An owner lowered itself, or is an owner again.
                    self.priority_changed(now, slot);
                }
                self.carry_out(now, slot, heard, verdict);
            }
            Err(refusal) => self.reject(now, slot, rx.source, refusal),
        }
        self.rearm(slot);
        self.mark_dirty(slot);
        (is_routine && self.is_routine(slot, now, rx)).then_some(slot)
    }

    /// Not of routers that nobody here can hear: those in FAULT are known.
    fn tell_unknown(&mut self, now: Instant, rx: &AdvertRx<'_>, vrid: u8) {
        const MOST: usize = 4096;
        let Some(link) = self.facts.link(rx.interface) else {
            return;
        };
        let interface = link.name;
        if let Some(known) = &mut self.unknown
            && known.len() < MOST
            && known.insert((rx.interface, rx.family, vrid))
        {
            let sender = rx.source;
            self.report(
                now,
                EventKind::UnknownVrid {
                    interface,
                    sender,
                    vrid,
                },
            );
        }
    }

    fn reject(&mut self, now: Instant, slot: Slot, sender: IpAddr, (cause, got, expected): Refusal) {
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        if router.note_reject(cause) && cause != Reject::OwnerIgnores {
            self.report(
                now,
                EventKind::AdvertRejected {
                    slot,
                    sender,
                    cause,
                    got,
                    expected,
                },
            );
        }
    }

    fn carry_out(&mut self, now: Instant, slot: Slot, heard: Heard, verdict: Verdict) {
        match verdict {
            Verdict::None => {}
            // With the keyword nothing that is received restarts the timer.
            Verdict::Advertise
                if self
                    .router(slot)
                    .is_some_and(|router| router.config.lower_prio_no_advert) =>
            {
                self.queue_advert(slot);
            }
            Verdict::Advertise => self.advertise_now(now, slot),
            Verdict::Assert | Verdict::Announce => {
                if verdict == Verdict::Assert {
                    self.advertise_now(now, slot);
                }
                self.assert_master(now, slot, heard);
            }
            Verdict::Yield {
                reason,
                advertise_first,
            } => {
                if advertise_first {
                    self.push_advert(slot, Kind::Parting);
                }
                self.yield_mastership(now, slot, reason);
            }
        }
    }

    /// Somebody of lower priority acts as master: the neighbours may have believed it, so tell them again, for all
    /// members of the sync group.
    fn assert_master(&mut self, now: Instant, slot: Slot, heard: Heard) {
        let turn = self.turn;
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        if core::mem::replace(&mut router.asserted_in_turn, turn) == turn {
            return;
        }
        let group = router.group;
        self.report(
            now,
            EventKind::MasterRxLower {
                slot,
                sender: heard.sender,
                priority: heard.priority,
            },
        );
        match group {
            None => self.announce_lower_prio(now, slot),
            Some(group) => {
                for position in 0..self.members(group) {
                    if let Some(member) = self.member(group, position) {
                        self.announce_lower_prio(now, member);
                    }
                }
            }
        }
    }

    fn announce_lower_prio(&mut self, now: Instant, slot: Slot) {
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        let garp = router.config.garp;
        let Phase::Master(master) = &mut router.phase else {
            return;
        };
        if garp.lower_prio_repeat == 0 {
            return;
        }
        master.lower_prio_batch_at = (!garp.lower_prio_delay.is_zero()).then(|| now + garp.lower_prio_delay);
        self.announcer.add(slot, garp.lower_prio_repeat);
        self.rearm(slot);
    }
}

/// How the sender makes the checksum.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ChecksumStyle {
    Normal,
    /// As releases up to 1.3.6 did for unicast.
    Old,
}

/// An advert that passed all checks.
struct Checked<'a> {
    advert: AdvertView<'a>,
    style: ChecksumStyle,
    /// It was signed, and with what.
    verified: Option<Verified>,
}

/// All checks in the order of the reference. Nothing is remembered of what fails any of them.
fn check<'a>(router: &Router, rx: &AdvertRx<'a>, utc_us: u64) -> Result<Checked<'a>, Refusal> {
    let config = &router.config;
    let key = config.ah_key();
    if key.is_some() != rx.ah.is_some() {
        let found = if rx.ah.is_some() { AuthType::Ah } else { AuthType::None };
        let types = (found.number(), config.auth_field().auth_type().number());
        return Err((Reject::AuthTypeMismatch, types.0.into(), types.1.into()));
    }
    let split = match &config.hmac {
        None => AdvertView::new_checked(rx.payload, rx.family).map(|advert| (advert, &[][..])),
        Some(_) => AdvertView::split(rx.payload, rx.family),
    };
    let (advert, trailer) = match split {
        Ok(split) => split,
        Err(WireError::UnknownVersion(version)) => {
            return Err((Reject::Version, u32::from(version), u32::from(config.version.number())));
        }
        Err(_) => {
            let expected = u32::from(rx.payload.get(3).copied().unwrap_or_default());
            return Err((
                Reject::Length,
                u32::try_from(rx.payload.len()).unwrap_or(u32::MAX),
                expected,
            ));
        }
    };
    if config.unicast.is_none() && rx.ttl != TTL {
        return Err((Reject::Ttl, u32::from(rx.ttl), u32::from(TTL)));
    }
    if advert.version() != config.version {
        return Err((
            Reject::Version,
            u32::from(advert.version().number()),
            u32::from(config.version.number()),
        ));
    }
    let verified = match &config.hmac {
        None => None,
        Some(hmac) => router.hmac.verify(hmac, utc_us, rx.source, &advert, trailer)?,
    };
    if verified.is_some() && config.unicast.is_some() && router.peer(&rx.source).is_none() {
        // Whoever has the key but is no peer has no mark that would tell its replays.
        return Err((Reject::UnknownPeer, 0, 0));
    }
    if config.version == Version::V2 {
        check_v2(router, rx, &advert)?;
    } else if advert.advert_int_raw() == 0 {
        // Nobody can keep to it, and it would make every master down at once.
        return Err((Reject::Interval, 0, u32::from(config.interval_field())));
    }
    if advert.kind() != TYPE_ADVERTISEMENT {
        return Err((Reject::Type, u32::from(advert.kind()), u32::from(TYPE_ADVERTISEMENT)));
    }
    let Some(style) = checksum(router, rx, &advert) else {
        return Err((Reject::Checksum, u32::from(advert.checksum()), 0));
    };
    if config.unicast.is_none() && !rx.destination.is_multicast() {
        return Err((Reject::Destination, 0, 0));
    }
    if router.is_owner() && config.owner_ignore_adverts {
        return Err((Reject::OwnerIgnores, u32::from(advert.priority()), 0));
    }
    check_peer(router, rx)?;
    Ok(Checked {
        advert,
        style,
        verified,
    })
}

fn check_peer(router: &Router, rx: &AdvertRx<'_>) -> Result<(), Refusal> {
    if !router
        .config
        .unicast
        .as_ref()
        .is_some_and(|unicast| unicast.check_source)
    {
        return Ok(());
    }
    let Some(peer) = router.peer(&rx.source) else {
        return Err((Reject::UnknownPeer, 0, 0));
    };
    if !(peer.min_ttl..=peer.max_ttl).contains(&rx.ttl) {
        return Err((Reject::Ttl, u32::from(rx.ttl), u32::from(peer.min_ttl)));
    }
    Ok(())
}

fn check_v2(router: &Router, rx: &AdvertRx<'_>, advert: &AdvertView<'_>) -> Result<(), Refusal> {
    let expected = router.config.auth_field().auth_type();
    let got = advert.auth_type();
    let types = (u32::from(got.number()), u32::from(expected.number()));
    if let AuthType::Unknown(_) = got {
        return Err((Reject::AuthTypeInvalid, types.0, types.1));
    }
    if got != expected {
        return Err((Reject::AuthTypeMismatch, types.0, types.1));
    }
    if let Some(password) = router.config.auth_password()
        && !advert.password_matches(&password)
    {
        return Err((Reject::AuthFailure, 0, 0));
    }
    if let (Some(key), Some(ah)) = (router.config.ah_key(), &rx.ah) {
        check_ah(router, rx, ah, &key)?;
    }
    let interval = router.config.interval_field();
    if advert.advert_int_raw() != interval {
        return Err((
            Reject::Interval,
            u32::from(advert.advert_int_raw()),
            u32::from(interval),
        ));
    }
    Ok(())
}

/// The number comes last: what others make up must not show which numbers we know.
fn check_ah(router: &Router, rx: &AdvertRx<'_>, ah: &AhView<'_>, key: &[u8]) -> Result<(), Refusal> {
    let ttl_counts = router.config.unicast.is_none();
    let from_sender = matches!(rx.source, IpAddr::V4(source) if u32::from(source) == ah.spi());
    if !from_sender || !ah.verify(key, ttl_counts) {
        return Err((Reject::AuthFailure, 0, 0));
    }
    let (got, last) = (ah.sequence(), router.ah_sequence);
    if last != 0 && got.wrapping_sub(last).cast_signed() <= 0 {
        return Err((Reject::AuthSequence, got, last.wrapping_add(1)));
    }
    Ok(())
}

/// `None` when the checksum is wrong.
fn checksum(router: &Router, rx: &AdvertRx<'_>, advert: &AdvertView<'_>) -> Option<ChecksumStyle> {
    let pseudo = Pseudo::new(rx.source, rx.destination).unwrap_or(Pseudo::None);
    let ok = match (advert.version(), rx.family) {
        // What a kernel computes covers the trailer.
        (_, Family::V6) if verify_checksum(rx.payload, &pseudo) => true,
        (Version::V2, Family::V4) => advert.checksum_ok_v2(),
        (Version::V3, Family::V4) if router.config.checksum_as_v2 => true,
        (Version::V3, Family::V4) | (Version::V2 | Version::V3, Family::V6) => advert.checksum_ok_v3(&pseudo),
    };
    if ok {
        return Some(ChecksumStyle::Normal);
    }
    let unicast = router.config.unicast.as_ref()?;
    let multicast = Pseudo::new(rx.source, IpAddr::V4(MULTICAST_V4))?;
    let old = advert.version() == Version::V3
        && unicast.old_checksum != OldChecksum::Never
        && advert.checksum_ok_v3(&multicast);
    old.then_some(ChecksumStyle::Old)
}

/// What is worth saying of an advert that is accepted all the same.
fn remark(router: &Router, rx: &AdvertRx<'_>, advert: &AdvertView<'_>) -> Option<Refusal> {
    let config = &router.config;
    let known_sender = router.master.is_some_and(|(sender, _)| sender == rx.source);
    if router.source == Some(rx.source) && advert.priority() == router.priority {
        return Some((Reject::OwnAddress, u32::from(advert.priority()), 0));
    }
    let interval = config.interval_field();
    if config.version == Version::V3 && advert.advert_int_raw() != interval {
        return Some((
            Reject::IntervalDiffers,
            u32::from(advert.advert_int_raw()),
            u32::from(interval),
        ));
    }
    if config.skip_check_adv_addr && known_sender {
        return None;
    }
    let theirs = advert.addresses();
    let ours = config.advertised();
    let same = theirs.iter().eq(ours.clone())
        || (theirs.len() == ours.clone().count() && ours.clone().all(|addr| theirs.contains(&addr)));
    let count = u32::try_from(ours.count()).unwrap_or(u32::MAX);
    (!same).then(|| (Reject::AddressList, u32::from(advert.count()), count))
}
