//! The queues that the driver drains, adverts aside.

use core::net::IpAddr;

use super::Core;
use crate::time::Instant;
use crate::vrrp::config::Family;
use crate::vrrp::output::{AddressOp, AnnounceTx, LinkFact, MembershipOp};
use crate::vrrp::report::{Event, EventKind, Faults, Slot};
use crate::wire::{EmitError, GratuitousArp, MacAddress, UnsolicitedAdvertisement};

const ARP: usize = 0;
const NA: usize = 1;

impl Core {
    /// A change of the multicast memberships.
    pub fn poll_membership(&mut self) -> Option<MembershipOp> {
        self.membership_ops.pop_front()
    }

    /// The next address to install or to remove.
    pub fn poll_address_op(&mut self) -> Option<AddressOp> {
        self.address_ops.pop_front()
    }

    /// Writes the next gratuitous ARP or neighbour advertisement that may go now to `buffer` (at least 86 octets). A
    /// router whose addresses the kernel has not confirmed yet waits; the others go on.
    pub fn poll_announce(&mut self, now: Instant, buffer: &mut [u8]) -> Option<AnnounceTx> {
        if let Some(tx) = self.announce_source(buffer) {
            return Some(tx);
        }
        if let Some(tx) = self.announce_extra(buffer) {
            return Some(tx);
        }
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
            let garp = router.config.garp;
            let pending = self
                .ops_pending
                .get(batch.slot as usize)
                .is_some_and(|&pending| pending > 0);
            let Some(vip) = router.config.vips.get(index).copied() else {
                // A reload has taken away the rest of the round.
                self.announcer.advance(count);
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
            let (pacer, gap) = self.links.pace(&link, Family::of(&vip.addr), gap);
            if !gap.is_zero() && !self.announcer.may_send(now, pacer, kind) {
                self.announcer.rotate();
                looked_at += 1;
                continue;
            }
            let written = emit(vip.addr, &link, buffer);
            let family = Family::of(&vip.addr);
            self.announcer.advance(count);
            let Ok(len) = written else {
                continue;
            };
            self.announcer.sent(now, pacer, kind, gap);
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

    /// A unicast router that leaves FAULT tells its own address (`vrrp-behaviour.md` 1.7).
    fn announce_source(&mut self, buffer: &mut [u8]) -> Option<AnnounceTx> {
        while let Some(slot) = self.sources.pop() {
            let Some(router) = self.router(slot).filter(|router| router.config.unicast.is_some()) else {
                continue;
            };
            let link = router.interface.and_then(|id| self.facts.link(id));
            let (Some(source), Some(link)) = (router.source, link.filter(|link| link.announces && link.mac != [0; 6]))
            else {
                continue;
            };
            let (family, interface) = (Family::of(&source), link.id);
            if let Ok(len) = emit(source, link, buffer) {
                return Some(AnnounceTx {
                    slot,
                    interface,
                    len,
                    family,
                });
            }
        }
        None
    }

    /// Keeps switches from forgetting where the addresses of a link are (`garp_extra_if`).
    fn announce_extra(&mut self, buffer: &mut [u8]) -> Option<AnnounceTx> {
        while let Some((slot, index)) = self.extras.pop() {
            let index = index as usize;
            let Some((router, place)) = self.router(slot).zip(self.vip_interface(slot, index)) else {
                continue;
            };
            let holds = router.held.get(index).is_some_and(|held| held.wanted && held.present);
            let vip = router.config.vips.get(index).filter(|_| holds).copied();
            let link = self.facts.link(place).copied();
            let (Some(vip), Some(link)) = (vip, link.filter(|link| link.up && link.announces && link.mac != [0; 6]))
            else {
                continue;
            };
            let Ok(len) = emit(vip.addr, &link, buffer) else {
                continue;
            };
            let family = Family::of(&vip.addr);
            if let Some(router) = self.router_mut(slot) {
                match family {
                    Family::V4 => router.stats.garp_sent += 1,
                    Family::V6 => router.stats.na_sent += 1,
                }
            }
            self.mark_dirty(slot);
            return Some(AnnounceTx {
                slot,
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
        if self.unsettled.is_empty() && self.lost.is_empty() {
            let routers = self.wheel.next_deadline().map(Instant::from_micros);
            self.links.next_deadline().into_iter().chain(routers).min()
        } else {
            Some(Instant::ZERO)
        }
    }

    /// When [`Self::poll_announce`] has something to give; the past means now.
    #[must_use]
    pub fn next_announcement(&self) -> Option<Instant> {
        if self.sources.is_empty() && self.extras.is_empty() {
            self.announcer.next_at()
        } else {
            Some(Instant::ZERO)
        }
    }

    /// Whether sending for a router works: 0, or an errno.
    pub fn handle_send_result(&mut self, now: Instant, slot: Slot, errno: i32) {
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        // Priority 0 cannot leave by an interface that is down, and nobody needs to be told (`vrrp-behaviour.md` 4).
        let hopeless = [Faults::INTERFACE_DOWN, Faults::INTERFACE_MISSING, Faults::VMAC]
            .into_iter()
            .any(|fault| router.faults.contains(fault));
        let failing = errno != 0 && !hopeless;
        if core::mem::replace(&mut router.send_failing, failing) != failing && failing {
            self.report(now, EventKind::SendFailed { slot, errno });
        }
    }
}

fn emit(addr: IpAddr, link: &LinkFact, buffer: &mut [u8]) -> Result<usize, EmitError> {
    let mac = MacAddress(link.mac);
    match addr {
        IpAddr::V4(address) => GratuitousArp { mac, address }.emit(buffer),
        IpAddr::V6(address) => {
            let router = link.router;
            UnsolicitedAdvertisement { mac, address, router }.emit(buffer)
        }
    }
}
