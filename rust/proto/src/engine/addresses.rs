//! The addresses that masters hold: putting them on, taking them off, and what happened to them meanwhile.

use core::net::IpAddr;

use super::Core;
use crate::time::Instant;
use crate::vrrp::config::Vip;
use crate::vrrp::output::{AddressOp, IfId};
use crate::vrrp::report::{EventKind, Slot, State};
use crate::vrrp::router::{Held, Loss};

/// `ENODEV`: the interface went away before its address did.
const ENODEV: i32 = 19;
/// `EADDRNOTAVAIL`: the address to remove is not there.
const EADDRNOTAVAIL: i32 = 99;

impl Core {
    pub(super) fn install_all(&mut self, slot: Slot) {
        for index in 0..self.router(slot).map_or(0, |router| router.held.len()) {
            self.install(slot, index);
        }
    }

    pub(super) fn withdraw_all(&mut self, slot: Slot) {
        for index in 0..self.router(slot).map_or(0, |router| router.held.len()) {
            self.withdraw(slot, index);
        }
    }

    /// Queues the operation. Without an interface to put it on the address waits for one.
    pub(super) fn install(&mut self, slot: Slot, index: usize) {
        let place = self.vip_interface(slot, index);
        let Some((held, vip)) = self.held_mut(slot, index) else {
            return;
        };
        *held = Held {
            wanted: true,
            on: place,
            ..Held::default()
        };
        if let Some(interface) = place {
            self.queue_address(AddressOp {
                slot,
                interface,
                vip,
                install: true,
                orphan: false,
            });
        }
    }

    pub(super) fn withdraw(&mut self, slot: Slot, index: usize) {
        self.take_off(slot, index, false);
    }

    /// Takes an address off the interface that it was put on, whatever that one is called now. Where the interface is
    /// gone its addresses are gone with it, and there is nothing to do.
    pub(super) fn take_off(&mut self, slot: Slot, index: usize, orphan: bool) {
        let Some((held, vip)) = self.held_mut(slot, index) else {
            return;
        };
        if !held.wanted {
            return;
        }
        *held = Held {
            on: held.on,
            ..Held::default()
        };
        if let Some(interface) = held.on {
            self.queue_address(AddressOp {
                slot,
                interface,
                vip,
                install: false,
                orphan,
            });
        }
    }

    fn queue_address(&mut self, op: AddressOp) {
        if !op.orphan
            && let Some(pending) = self.ops_pending.get_mut(op.slot as usize)
        {
            *pending += 1;
        }
        if !op.install {
            self.own_deletions.asked((op.interface, op.vip.addr, op.vip.prefix_len));
        }
        self.address_ops.push_back(op);
    }

    fn held_mut(&mut self, slot: Slot, index: usize) -> Option<(&mut Held, Vip)> {
        let router = self.router_mut(slot)?;
        let vip = *router.config.vips.get(index)?;
        Some((router.held.get_mut(index)?, vip))
    }

    /// What the kernel answered to an address operation: 0, or its errno. Answers come in the order of the operations,
    /// and in any order with the kernel's notifications.
    pub fn handle_address_result(&mut self, now: Instant, op: &AddressOp, errno: i32) {
        let gone_anyway = !op.install && matches!(errno, ENODEV | EADDRNOTAVAIL);
        if !op.orphan
            && let Some(pending) = self.ops_pending.get_mut(op.slot as usize)
        {
            *pending = pending.saturating_sub(1);
            if *pending == 0 {
                self.announcer.again();
            }
        }
        if !op.install {
            self.own_deletions
                .answered((op.interface, op.vip.addr, op.vip.prefix_len), errno == 0);
        }
        self.confirm(op, errno == 0);
        self.mark_dirty(op.slot);
        if errno != 0 && !gone_anyway {
            let interface = self.facts.link(op.interface).map(|link| link.name).unwrap_or_default();
            let kind = EventKind::AddressFailed {
                slot: op.slot,
                addr: op.vip.addr,
                interface,
                errno,
                install: op.install,
            };
            self.report(now, kind);
        }
    }

    fn confirm(&mut self, op: &AddressOp, done: bool) {
        let Some(router) = self.router_mut(op.slot) else {
            return;
        };
        let Some(index) = router.config.vips.iter().position(|vip| vip.same_address(&op.vip)) else {
            return;
        };
        let held = &mut router.held[index];
        if held.on != Some(op.interface) {
            return;
        }
        held.present = op.install && done;
        if held.present {
            let loss = core::mem::take(&mut held.lost_early);
            self.mark_lost(op.slot, index, loss);
        }
    }

    /// The interface that an address of a router belongs on, while it exists.
    pub(super) fn vip_interface(&self, slot: Slot, index: usize) -> Option<IfId> {
        let router = self.router(slot)?;
        match router.config.vips.get(index)?.dev {
            Some(name) => self.facts.by_name(router.config.netns, name),
            None if router.config.vmac.is_some() => router.vmac,
            None => router.interface,
        }
    }

    /// An address was taken off an interface.
    pub(super) fn vip_gone(&mut self, interface: IfId, addr: IpAddr, prefix_len: u8, loss: Loss) {
        for index in self.vips_like(interface, addr) {
            let (_, _, slot, vip) = self.vips[index];
            let here = self
                .held_mut(slot, vip as usize)
                .is_some_and(|(held, vip)| held.on == Some(interface) && vip.prefix_len == prefix_len);
            if here {
                self.mark_lost(slot, vip as usize, loss);
            }
        }
    }

    /// Remembers an address to put back. It is done in [`Self::restore_lost`], when all facts of this wake-up are in:
    /// when the interface went down the kernel tells of its addresses first.
    pub(super) fn mark_lost(&mut self, slot: Slot, index: usize, loss: Loss) {
        let Some((held, vip)) = self.held_mut(slot, index) else {
            return;
        };
        if !held.wanted || loss == Loss::None {
            return;
        }
        if !held.present {
            held.lost_early = held.lost_early.max(loss);
        } else if vip.no_track {
            let on = held.on;
            let there = on.is_some_and(|on| self.facts.holds(on, vip.addr, vip.prefix_len));
            if let Some((held, _)) = self.held_mut(slot, index) {
                held.present = there;
            }
            self.mark_dirty(slot);
        } else {
            held.lost = held.lost.max(loss);
            self.lost.push(slot);
        }
    }

    /// An interface was created anew, or another one bears its name now: what was held on the old one belongs on it.
    pub(super) fn find_moved(&mut self, slot: Slot) {
        for index in 0..self.router(slot).map_or(0, |router| router.held.len()) {
            let place = self.vip_interface(slot, index);
            let Some((held, _)) = self.held_mut(slot, index) else {
                return;
            };
            if held.wanted && place.is_some() && held.on != place {
                held.lost = held.lost.max(Loss::Unsure);
                self.lost.push(slot);
            }
        }
    }

    /// What was held on an interface that does not exist any longer is gone with it.
    pub(super) fn forget_held_on(&mut self, interface: IfId) {
        self.own_deletions.interface_gone(interface);
        for router in self.routers.iter_mut().flatten() {
            for held in router.held.iter_mut().filter(|held| held.on == Some(interface)) {
                held.on = None;
                held.present = false;
            }
        }
    }

    /// Puts back what is missing, unless the interface or the mastership went with it.
    pub(super) fn restore_lost(&mut self, now: Instant) {
        while let Some(slot) = self.lost.pop() {
            for index in 0..self.router(slot).map_or(0, |router| router.held.len()) {
                let place = self.vip_interface(slot, index);
                let Some((held, vip)) = self.held_mut(slot, index) else {
                    break;
                };
                let loss = core::mem::take(&mut held.lost);
                if loss == Loss::None || !held.wanted {
                    continue;
                }
                let (on, was_present) = (held.on, held.present);
                let Some(place) = place else {
                    continue;
                };
                if on != Some(place) {
                    self.take_off(slot, index, true);
                } else if loss == Loss::Unsure && self.facts.holds(place, vip.addr, vip.prefix_len) {
                    continue;
                }
                self.install(slot, index);
                self.announcer.add(slot, 1);
                if loss == Loss::Taken && was_present {
                    self.report_restored(now, slot, vip.addr, place);
                }
                self.mark_dirty(slot);
            }
        }
    }

    fn report_restored(&mut self, now: Instant, slot: Slot, addr: IpAddr, interface: IfId) {
        let interface = self.facts.link(interface).map(|link| link.name).unwrap_or_default();
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        router.stats.address_restored += 1;
        let count = u32::try_from(router.stats.address_restored).unwrap_or(u32::MAX);
        let kind = EventKind::AddressRestored {
            slot,
            addr,
            interface,
            count,
        };
        self.report(now, kind);
    }

    /// Takes addresses of the configuration off their interfaces: left behind by a daemon that was killed.
    pub(super) fn clear_residue(&mut self) {
        for index in 0..self.vips.len() {
            let (_, addr, slot, vip) = self.vips[index];
            let Some(router) = self.router(slot).filter(|router| router.state() == State::Init) else {
                continue;
            };
            let place = self.vip_interface(slot, vip as usize);
            let vip = router.config.vips[vip as usize];
            // Before it had a link of its own they were on the interface below.
            let below = router.base.filter(|&base| vip.dev.is_none() && place != Some(base));
            for interface in place.into_iter().chain(below) {
                if self.facts.holds(interface, addr, vip.prefix_len) {
                    self.queue_address(AddressOp {
                        slot,
                        interface,
                        vip,
                        install: false,
                        orphan: true,
                    });
                }
            }
        }
    }
}
