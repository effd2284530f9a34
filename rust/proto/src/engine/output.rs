//! The queues that the driver drains, and the ready-made frames.

use core::net::IpAddr;

use super::{Core, QueuedAdvert};
use crate::time::Instant;
use crate::vrrp::config::{Family, Version};
use crate::vrrp::output::{AddressOp, AdvertTx, AnnounceTx, MembershipOp};
use crate::vrrp::report::{Event, EventKind, Slot};
use crate::vrrp::router::{Phase, Router};
use crate::wire::vrrp::MAX_LEN;
use crate::wire::{
    AddressList, AdvertRepr, AuthField, GratuitousArp, Ipv4Repr, MacAddress, Pseudo, UnsolicitedAdvertisement, ipv4,
};

const ARP: usize = 0;
const NA: usize = 1;

impl Core {
    /// A change of the multicast memberships.
    pub fn poll_membership(&mut self) -> Option<MembershipOp> {
        self.membership_ops.pop_front()
    }

    /// The next advert to send. The bytes are good until the next call.
    pub fn poll_advert(&mut self) -> Option<AdvertTx<'_>> {
        loop {
            let (slot, zero, parting) = match self.adverts.pop_front()? {
                QueuedAdvert::Current(slot) => (slot, false, false),
                QueuedAdvert::Parting(slot) => (slot, false, true),
                QueuedAdvert::Zero(slot) => (slot, true, true),
                QueuedAdvert::Farewell(farewell) => {
                    let farewell = self.farewell.insert(farewell);
                    return Some(AdvertTx {
                        slot: farewell.slot,
                        interface: farewell.interface,
                        family: farewell.family,
                        source: farewell.source,
                        destination: farewell.destination,
                        bytes: &farewell.bytes,
                    });
                }
            };
            let Some(router) = self.router_mut(slot) else {
                continue;
            };
            if !parting {
                router.advert_queued = false;
                if !matches!(router.phase, Phase::Master(_)) {
                    // It yielded after the advert was queued.
                    continue;
                }
            }
            if router.interface.is_none() || router.source.is_none() {
                continue;
            }
            router.stats.advert_sent += 1;
            if zero {
                router.stats.pri_zero_sent += 1;
            }
            stamp(router, zero);
            self.mark_dirty(slot);
            // Looked up again because the borrow above must end before the slot is marked.
            let router = self.router(slot)?;
            return Some(AdvertTx {
                slot,
                interface: router.interface?,
                family: router.config.family,
                source: router.source?,
                destination: router.config.group,
                bytes: if zero { &router.frame_zero } else { &router.frame },
            });
        }
    }

    /// The next address to install or to remove.
    pub fn poll_address_op(&mut self) -> Option<AddressOp> {
        self.address_ops.pop_front()
    }

    /// Writes the next gratuitous ARP or neighbour advertisement that may go now to `buffer` (at least 86 octets). A
    /// router whose addresses the kernel has not confirmed yet waits; the others go on.
    pub fn poll_announce(&mut self, now: Instant, buffer: &mut [u8]) -> Option<AnnounceTx> {
        self.announcer.begin();
        let mut looked_at = 0;
        while looked_at < self.announcer.len() {
            let batch = self.announcer.front()?;
            let index = batch.next as usize;
            let interface = self.vip_interface(batch.slot, index);
            let link = interface.and_then(|id| self.facts.link(id)).copied();
            let Some(router) = self.router(batch.slot) else {
                self.announcer.cancel(batch.slot);
                continue;
            };
            let count = u32::try_from(router.config.vips.len()).unwrap_or(u32::MAX);
            let (pending, garp) = (router.ops_pending > 0, router.config.garp);
            let Some(vip) = router.config.vips.get(index).copied() else {
                self.announcer.cancel(batch.slot);
                continue;
            };
            if pending {
                self.announcer.rotate();
                looked_at += 1;
                continue;
            }
            let Some(link) = link.filter(|link| link.up && link.announces && link.mac != [0; 6]) else {
                self.announcer.advance(count);
                continue;
            };
            let (kind, gap) = match vip.addr {
                IpAddr::V4(_) => (ARP, garp.garp_interval),
                IpAddr::V6(_) => (NA, garp.gna_interval),
            };
            if !gap.is_zero() && !self.announcer.may_send(now, link.id, kind) {
                self.announcer.rotate();
                looked_at += 1;
                continue;
            }
            let mac = MacAddress(link.mac);
            let written = match vip.addr {
                IpAddr::V4(address) => GratuitousArp { mac, address }.emit(buffer),
                IpAddr::V6(address) => UnsolicitedAdvertisement {
                    mac,
                    address,
                    router: link.router,
                }
                .emit(buffer),
            };
            let family = Family::of(&vip.addr);
            self.announcer.advance(count);
            let Ok(len) = written else {
                continue;
            };
            self.announcer.sent(now, link.id, kind, gap);
            if let Some(router) = self.router_mut(batch.slot) {
                match family {
                    Family::V4 => router.stats.garp_sent += 1,
                    Family::V6 => router.stats.na_sent += 1,
                }
            }
            self.mark_dirty(batch.slot);
            return Some(AnnounceTx {
                slot: batch.slot,
                interface: link.id,
                len,
                family,
            });
        }
        None
    }

    /// The next report.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if event.is_none() && self.stopping == Some(true) && self.adverts.is_empty() && self.address_ops.is_empty() {
            // Said once; the flag stays so that nothing starts again.
            self.stopping = Some(false);
            return Some(Event {
                at: self.stopped_at,
                kind: EventKind::Stopped,
            });
        }
        event
    }

    /// A router whose status changed since it was last polled.
    pub fn poll_dirty(&mut self) -> Option<Slot> {
        let slot = self.dirty.pop()?;
        if let Some(flag) = self.is_dirty.get_mut(slot as usize) {
            *flag = false;
        }
        Some(slot)
    }

    /// When the driver must come back at the latest; a moment in the past means at once.
    pub fn poll_at(&mut self) -> Option<Instant> {
        match (self.next_deadline(), self.next_announcement()) {
            (Some(deadline), Some(announce)) => Some(deadline.min(announce)),
            (deadline, announce) => deadline.or(announce),
        }
    }

    /// When [`Self::handle_deadlines`] has something to do.
    pub fn next_deadline(&mut self) -> Option<Instant> {
        if self.unsettled.is_empty() {
            self.wheel.next_deadline().map(Instant::from_micros)
        } else {
            Some(Instant::ZERO)
        }
    }

    /// When [`Self::poll_announce`] has something to give; the past means now.
    #[must_use]
    pub fn next_announcement(&self) -> Option<Instant> {
        self.announcer.next_at()
    }

    /// Whether sending for a router works: 0, or an errno.
    pub fn handle_send_result(&mut self, now: Instant, slot: Slot, errno: i32) {
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        let failing = errno != 0;
        if core::mem::replace(&mut router.send_failing, failing) != failing && failing {
            self.report(now, EventKind::SendFailed { slot, errno });
        }
    }

    /// Builds a router's adverts anew: its priority, addresses, source or interface changed.
    pub(super) fn rebuild_frames(&mut self, slot: Slot) {
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        let Some(source) = router.source else {
            return;
        };
        let mut frame = core::mem::take(&mut router.frame);
        let mut frame_zero = core::mem::take(&mut router.frame_zero);
        build(router, source, router.priority, &mut frame);
        build(router, source, 0, &mut frame_zero);
        router.frame = frame;
        router.frame_zero = frame_zero;
    }
}

/// A new identification for each packet (IPv4); never zero, which would let the kernel choose.
fn stamp(router: &mut Router, zero: bool) {
    if router.config.family == Family::V6 {
        return;
    }
    router.ip_id = router.ip_id.wrapping_add(1).max(1);
    let ident = router.ip_id;
    let frame = if zero {
        &mut router.frame_zero
    } else {
        &mut router.frame
    };
    // Only a frame shorter than a header is refused, and such a one is never built.
    let stamped = ipv4::set_ident(frame, ident);
    debug_assert!(stamped.is_ok(), "a ready-made IPv4 frame has a header");
}

fn build(router: &Router, source: IpAddr, priority: u8, out: &mut Vec<u8>) {
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
        auth: config.auth_password().map_or(AuthField::None, AuthField::Pass),
        addresses: AddressList::Wire(config.family, &addresses),
    };
    let pseudo = match (config.version, config.family) {
        (Version::V2, Family::V4) => Pseudo::None,
        (Version::V3, Family::V4) if config.checksum_as_v2 => Pseudo::None,
        (Version::V3, Family::V4) | (Version::V2 | Version::V3, Family::V6) => {
            Pseudo::new(source, config.group).unwrap_or(Pseudo::None)
        }
    };
    let header_len = match (source, config.group) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let header = Ipv4Repr::vrrp(src, dst, router.ip_id, repr.buffer_len());
            out.resize(header.buffer_len(), 0);
            if header.emit(out).is_err() {
                out.clear();
                return;
            }
            out.len()
        }
        _ => 0,
    };
    out.resize(header_len + repr.buffer_len().min(MAX_LEN), 0);
    if repr.emit(&mut out[header_len..], &pseudo).is_err() {
        // The configuration compiler keeps every value in range; without a frame nothing wrong is ever sent.
        out.clear();
    }
}
