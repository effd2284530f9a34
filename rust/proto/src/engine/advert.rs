//! Adverts out: the queue, and frames that are ready before their time.

use core::net::IpAddr;

use super::Core;
use crate::vrrp::config::{Family, Version};
use crate::vrrp::output::{AdvertTx, IfId};
use crate::vrrp::report::Slot;
use crate::vrrp::router::{Frame, Phase, Router};
use crate::wire::hmac_trailer::TRAILER_LEN;
use crate::wire::vrrp::{MAX_LEN, MULTICAST_V4, fill_checksum};
use crate::wire::{AddressList, AdvertRepr, AdvertView, Ipv4Repr, Pseudo, ah, ipv4};

/// An advert in the queue; it leaves for one destination after the other.
#[derive(Clone, Debug)]
pub(super) enum QueuedAdvert {
    Of {
        slot: Slot,
        kind: Kind,
        /// The next destination.
        next: u16,
    },
    /// Priority 0 of a router that no longer exists.
    Farewell(Box<Farewell>),
}

/// What a queued advert is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Dropped when the router is no longer master by the time it would leave.
    Current,
    /// The last one before it yields (`higher_prio_send_advert`).
    Parting,
    /// It gives up its role.
    Zero,
}

/// One advert with everything that it needs.
#[derive(Clone, Debug)]
pub(super) struct Farewell {
    slot: Slot,
    interface: IfId,
    family: Family,
    source: IpAddr,
    destination: IpAddr,
    hop_limit: Option<u8>,
    bytes: Vec<u8>,
    frame_from: Option<[u8; 6]>,
}

impl Core {
    /// The next advert to send. The bytes are good until the next call.
    pub fn poll_advert(&mut self) -> Option<AdvertTx<'_>> {
        loop {
            let (slot, kind, next) = match self.adverts.pop_front()? {
                QueuedAdvert::Of { slot, kind, next } => (slot, kind, next),
                QueuedAdvert::Farewell(farewell) => return Some(self.farewell.insert(farewell).as_tx()),
            };
            if self.prepare(slot, kind, next) {
                return self.advert(slot, kind, usize::from(next));
            }
        }
    }

    /// Whether this advert may still leave; if so, it is counted, and queued again for the destinations after this one.
    fn prepare(&mut self, slot: Slot, kind: Kind, next: u16) -> bool {
        let utc_us = self.utc_us;
        let Some(router) = self.router_mut(slot) else {
            return false;
        };
        let index = usize::from(next);
        if kind == Kind::Current && index == 0 {
            router.adverts_queued -= 1;
            if router.adverts_queued > 0 {
                // It has left the role meanwhile and is master again: a later one is in the queue.
                return false;
            }
        }
        let still_master = kind != Kind::Current || matches!(router.phase, Phase::Master(_));
        let anywhere = router.config.interface.is_none() && router.config.vrf.is_none();
        let reachable = router.interface.is_some() || anywhere;
        if !still_master || !reachable || router.source.is_none() || index >= router.frames.len() {
            return false;
        }
        if index == 0 {
            router.stats.advert_sent += 1;
            router.stats.pri_zero_sent += u64::from(kind == Kind::Zero);
            prove(router, utc_us, kind);
        }
        stamp(router, kind, index);
        if index + 1 < router.frames.len() {
            let next = next + 1;
            self.adverts.push_front(QueuedAdvert::Of { slot, kind, next });
        }
        self.mark_dirty(slot);
        true
    }

    fn advert(&self, slot: Slot, kind: Kind, index: usize) -> Option<AdvertTx<'_>> {
        let router = self.router(slot)?;
        let frame = router.frames.get(index)?;
        let bytes = if kind == Kind::Zero { &frame.zero } else { &frame.alive };
        let frame_from = match router.interface.and_then(|id| self.facts.link(id)) {
            Some(link) if router.config.family == Family::V4 && router.config.unicast.is_none() => {
                let fits = bytes.len() <= link.mtu as usize;
                (link.announces && link.mac != [0; 6] && fits).then_some(link.mac)
            }
            _ => None,
        };
        Some(AdvertTx {
            slot,
            interface: router.leaves_by(),
            family: router.config.family,
            source: router.source?,
            destination: router.destination(index)?,
            hop_limit: router.hop_limit(),
            bytes,
            frame_from,
        })
    }

    /// Queues an advert, unless one is in the queue already.
    pub(super) fn queue_advert(&mut self, slot: Slot) {
        if self.router(slot).is_some_and(|router| router.adverts_queued == 0) {
            self.queue_behind(slot);
        }
    }

    /// Queues an advert behind whatever the router said in an earlier life, priority 0 above all.
    pub(super) fn queue_behind(&mut self, slot: Slot) {
        if let Some(router) = self.router_mut(slot) {
            router.adverts_queued += 1;
            self.push_advert(slot, Kind::Current);
        }
    }

    pub(super) fn push_advert(&mut self, slot: Slot, kind: Kind) {
        self.adverts.push_back(QueuedAdvert::Of { slot, kind, next: 0 });
    }

    /// Drops the adverts of routers that are about to be forgotten, as sorted slots.
    pub(super) fn forget_adverts(&mut self, removed: &[Slot]) {
        self.adverts.retain(|queued| match queued {
            QueuedAdvert::Of { slot, .. } => removed.binary_search(slot).is_err(),
            QueuedAdvert::Farewell(_) => true,
        });
    }

    /// Queues priority 0 of a router that is about to be forgotten.
    pub(super) fn queue_farewell(&mut self, slot: Slot) {
        let utc_us = self.utc_us;
        if let Some(router) = self.router_mut(slot) {
            prove(router, utc_us, Kind::Zero);
            for index in 0..router.frames.len() {
                stamp(router, Kind::Zero, index);
            }
        }
        for index in 0..self.router(slot).map_or(0, |router| router.frames.len()) {
            if let Some(tx) = self.advert(slot, Kind::Zero, index) {
                let farewell = Farewell {
                    slot,
                    interface: tx.interface,
                    family: tx.family,
                    source: tx.source,
                    destination: tx.destination,
                    hop_limit: tx.hop_limit,
                    bytes: tx.bytes.to_vec(),
                    frame_from: tx.frame_from,
                };
                self.adverts.push_back(QueuedAdvert::Farewell(Box::new(farewell)));
            }
        }
    }

    /// Builds a router's adverts anew: its priority, addresses, source or peers changed.
    pub(super) fn rebuild_frames(&mut self, slot: Slot) {
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        let Some(source) = router.source else {
            return;
        };
        let mut frames = core::mem::take(&mut router.frames);
        frames.resize_with(router.destinations(), Frame::default);
        for (index, frame) in frames.iter_mut().enumerate() {
            if let Some(destination) = router.destination(index) {
                build(router, source, destination, router.priority, &mut frame.alive);
                build(router, source, destination, 0, &mut frame.zero);
            }
        }
        router.frames = frames;
    }
}

impl Farewell {
    fn as_tx(&self) -> AdvertTx<'_> {
        AdvertTx {
            slot: self.slot,
            interface: self.interface,
            family: self.family,
            source: self.source,
            destination: self.destination,
            hop_limit: self.hop_limit,
            bytes: &self.bytes,
            frame_from: self.frame_from,
        }
    }
}

impl Router {
    /// Index 0 where the routing table decides.
    pub(super) fn leaves_by(&self) -> IfId {
        self.interface.unwrap_or(IfId {
            netns: self.config.netns,
            index: 0,
        })
    }
}

/// A new identification for each packet (IPv4); never zero, which would let the kernel choose.
fn stamp(router: &mut Router, kind: Kind, index: usize) {
    if router.config.family == Family::V6 {
        return;
    }
    router.ip_id = router.ip_id.wrapping_add(1).max(1);
    let ident = router.ip_id;
    let ttl_counts = router.config.unicast.is_none();
    let ah = router.config.ah_key().map(|key| (key, router.ah_sequence));
    let Some(frame) = router.frames.get_mut(index) else {
        return;
    };
    let bytes = bytes_of(frame, kind);
    // Only a frame shorter than a header is refused, and such a one is never built.
    let stamped = ipv4::set_ident(bytes, ident);
    debug_assert!(stamped.is_ok(), "a ready-made IPv4 frame has a header");
    if let Some((key, sequence)) = ah {
        ah::seal(bytes, &key, sequence, ttl_counts);
    }
}

fn bytes_of(frame: &mut Frame, kind: Kind) -> &mut Vec<u8> {
    if kind == Kind::Zero {
        &mut frame.zero
    } else {
        &mut frame.alive
    }
}

/// What proves the adverts of one sending, for all destinations.
fn prove(router: &mut Router, utc_us: u64, kind: Kind) {
    if router.config.ah_key().is_some() {
        // 0 means that nothing was sent or heard.
        router.ah_sequence = router.ah_sequence.wrapping_add(1).max(1);
    }
    sign(router, utc_us, kind);
}

/// Signs the adverts of one sending, for all destinations alike: the signature does not cover where they go.
fn sign(router: &mut Router, utc_us: u64, kind: Kind) {
    let family = router.config.family;
    let header_len = ip_header_len(family);
    let (Some(config), Some(source)) = (&router.config.hmac, router.source) else {
        return;
    };
    if !config.signs() {
        return;
    }
    let message = router.frames.first_mut().map(|frame| bytes_of(frame, kind));
    let trailer = message
        .and_then(|bytes| AdvertView::split(bytes.get(header_len..)?, family).ok())
        .and_then(|(message, _)| router.hmac.sign(config, utc_us, source, &message));
    for index in 0..router.frames.len() {
        let pseudo = router.destination(index).and_then(|to| Pseudo::new(source, to));
        let bytes = bytes_of(&mut router.frames[index], kind);
        let (Some(trailer), Some(at)) = (&trailer, bytes.len().checked_sub(TRAILER_LEN)) else {
            // Nobody would accept it without, and it is never built so short.
            bytes.clear();
            continue;
        };
        bytes[at..].copy_from_slice(trailer);
        if let (Family::V6, Some(pseudo)) = (family, pseudo) {
            // Over IPv6 the kernels check all that they deliver, the trailer included.
            fill_checksum(bytes, &pseudo);
        }
    }
}

const fn ip_header_len(family: Family) -> usize {
    match family {
        Family::V4 => ipv4::HEADER_LEN,
        Family::V6 => 0,
    }
}

fn build(router: &Router, source: IpAddr, destination: IpAddr, priority: u8, out: &mut Vec<u8>) {
    let config = &router.config;
    out.clear();
    let mut addresses = Vec::with_capacity(config.vips.len() * config.family.address_len());
    for addr in config.advertised() {
        match addr {
            IpAddr::V4(addr) => addresses.extend_from_slice(&addr.octets()),
            IpAddr::V6(addr) => addresses.extend_from_slice(&addr.octets()),
        }
    }
    let repr = AdvertRepr {
        version: config.version,
        vrid: config.vrid,
        priority,
        advert_int: config.interval_field(),
        auth: config.auth_field(),
        addresses: AddressList::Wire(config.family, &addresses),
    };
    let header_len = match (source, destination) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let ah_len = if config.ah_key().is_some() { ah::HEADER_LEN } else { 0 };
            let payload_len = ah_len + repr.buffer_len() + config.trailer_len();
            let mut header = Ipv4Repr::vrrp(src, dst, router.ip_id, payload_len);
            if ah_len > 0 {
                header.protocol = ah::PROTOCOL;
            }
            header.ttl = router.hop_limit().unwrap_or(header.ttl);
            out.resize(header.buffer_len(), 0);
            if header.emit(out).is_err() {
                out.clear();
                return;
            }
            out.resize(out.len() + ah_len, 0);
            out.len()
        }
        _ => 0,
    };
    out.resize(header_len + repr.buffer_len().min(MAX_LEN), 0);
    let pseudo = pseudo_header(router, source, destination);
    if repr.emit(&mut out[header_len..], &pseudo).is_err() {
        // The configuration compiler keeps every value in range; without a frame nothing wrong is ever sent.
        out.clear();
        return;
    }
    out.resize(out.len() + config.trailer_len(), 0);
}

/// What the checksum of our adverts covers beside the message.
fn pseudo_header(router: &Router, source: IpAddr, destination: IpAddr) -> Pseudo {
    let config = &router.config;
    match (config.version, config.family) {
        (Version::V2, Family::V4) => Pseudo::None,
        (Version::V3, Family::V4) if config.checksum_as_v2 => Pseudo::None,
        (Version::V3, Family::V4) if router.old_checksum => {
            Pseudo::new(source, IpAddr::V4(MULTICAST_V4)).unwrap_or(Pseudo::None)
        }
        (Version::V3, Family::V4) | (Version::V2 | Version::V3, Family::V6) => {
            Pseudo::new(source, destination).unwrap_or(Pseudo::None)
        }
    }
}
