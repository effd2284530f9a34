//! The addresses that masters hold: putting them on, taking them off, and what happened to them meanwhile.

use core::net::IpAddr;

use super::Core;
use crate::time::Instant;
use crate::vrrp::output::{AddressOp, IfId};
use crate::vrrp::report::{EventKind, Slot, State};

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

    pub(super) fn install(&mut self, slot: Slot, index: usize) {
        self.queue_address(slot, index, true);
    }

    pub(super) fn withdraw(&mut self, slot: Slot, index: usize) {
        if self
            .router(slot)
            .and_then(|router| router.held.get(index))
            .is_some_and(|held| held.wanted)
        {
            self.queue_address(slot, index, false);
        }
    }

    /// Queues the operation. Where the interface is gone its addresses are gone with it, and there is nothing to do.
    pub(super) fn queue_address(&mut self, slot: Slot, index: usize, install: bool) {
        let interface = self.vip_interface(slot, index);
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        let (Some(held), Some(vip)) = (router.held.get_mut(index), router.config.vips.get(index)) else {
            return;
        };
        held.wanted = install;
        held.lost = false;
        held.gone_early = false;
        let Some(interface) = interface else {
            held.present = false;
            return;
        };
        let op = AddressOp {
            slot,
            interface,
            vip: *vip,
            install,
            orphan: false,
        };
        if !install {
            held.own_deletions += 1;
        }
        router.ops_pending += 1;
        self.address_ops.push_back(op);
    }

    /// What the kernel answered to an address operation: 0, or its errno.
    pub fn handle_address_result(&mut self, now: Instant, op: &AddressOp, errno: i32) {
        let gone_anyway = !op.install && matches!(errno, ENODEV | EADDRNOTAVAIL);
        if let Some(router) = self.router_mut(op.slot) {
            if !op.orphan {
                router.ops_pending = router.ops_pending.saturating_sub(1);
            }
            let index = router.config.vips.iter().position(|vip| *vip == op.vip);
            let mut gone_early = false;
            if let Some(held) = index.and_then(|index| router.held.get_mut(index)) {
                held.present = op.install && errno == 0;
                gone_early = held.present && core::mem::take(&mut held.gone_early);
                if !op.install && errno != 0 {
                    // Nothing was deleted, nothing will be notified.
                    held.own_deletions = held.own_deletions.saturating_sub(1);
                }
            }
            if let Some(index) = index.filter(|_| gone_early) {
                self.mark_lost(op.slot, index);
            }
            self.mark_dirty(op.slot);
        }
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

    /// The interface that an address of a router belongs on, while it exists.
    pub(super) fn vip_interface(&self, slot: Slot, index: usize) -> Option<IfId> {
        let router = self.router(slot)?;
        match router.config.vips.get(index)?.dev {
            Some(name) => self.facts.by_name(router.config.netns, name),
            None => router.interface,
        }
    }

    pub(super) fn vip_gone(&mut self, interface: IfId, addr: IpAddr, prefix_len: u8) {
        let start = self.vips.partition_point(|(other, _, _)| *other < addr);
        for index in start..self.vips.len() {
            let (other, slot, vip) = self.vips[index];
            if other != addr {
                break;
            }
            if self.vip_interface(slot, vip as usize) != Some(interface) {
                continue;
            }
            let Some(router) = self.router_mut(slot) else {
                continue;
            };
            if router.config.vips[vip as usize].prefix_len != prefix_len {
                continue;
            }
            let held = &mut router.held[vip as usize];
            if held.own_deletions > 0 {
                held.own_deletions -= 1;
            } else if held.wanted && !held.present {
                held.gone_early = true;
            } else {
                self.mark_lost(slot, vip as usize);
            }
        }
    }

    /// Remembers an address to put back. It is done in [`Self::restore_lost`], when all facts of this wake-up are in:
    /// when the interface went down the kernel tells of its addresses first.
    pub(super) fn mark_lost(&mut self, slot: Slot, index: usize) {
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        let no_track = router.config.vips[index].no_track;
        let held = &mut router.held[index];
        if held.wanted && held.present && !no_track && !held.lost {
            held.lost = true;
            self.lost.push(slot);
        }
    }

    /// Puts back what somebody else deleted, unless the interface or the mastership went with it.
    pub(super) fn restore_lost(&mut self, now: Instant) {
        while let Some(slot) = self.lost.pop() {
            for index in 0..self.router(slot).map_or(0, |router| router.held.len()) {
                let interface = self.vip_interface(slot, index);
                let Some(router) = self.router_mut(slot) else {
                    break;
                };
                let held = &mut router.held[index];
                if !core::mem::replace(&mut held.lost, false) || !held.wanted {
                    continue;
                }
                held.present = false;
                let Some(interface) = interface else {
                    continue;
                };
                router.stats.address_restored += 1;
                let count = u32::try_from(router.stats.address_restored).unwrap_or(u32::MAX);
                let addr = router.config.vips[index].addr;
                self.install(slot, index);
                self.announcer.add(slot, 1);
                let interface = self.facts.link(interface).map(|link| link.name).unwrap_or_default();
                self.report(
                    now,
                    EventKind::AddressRestored {
                        slot,
                        addr,
                        interface,
                        count,
                    },
                );
                self.mark_dirty(slot);
            }
        }
    }

    /// Takes addresses of the configuration off their interfaces: left behind by a daemon that was killed.
    pub(super) fn clear_residue(&mut self) {
        for index in 0..self.vips.len() {
            let (addr, slot, vip) = self.vips[index];
            let Some(interface) = self.vip_interface(slot, vip as usize) else {
                continue;
            };
            let Some(router) = self.router(slot) else {
                continue;
            };
            let vip = router.config.vips[vip as usize];
            if router.state() == State::Init && self.facts.holds(interface, addr, vip.prefix_len) {
                self.address_ops.push_back(AddressOp {
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
