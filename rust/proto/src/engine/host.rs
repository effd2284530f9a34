//! Facts about the host in, and the faults of each router that they amount to.

use core::net::IpAddr;

use super::Core;
use crate::time::Instant;
use crate::vrrp::config::{IfName, NetnsId};
use crate::vrrp::output::{AddressFact, IfId, LinkFact};
use crate::vrrp::report::{Faults, Slot};
use crate::vrrp::router::Loss;
use crate::vrrp::track::Sum;

impl Core {
    /// What the wall clock says, in µs since 1970: told at every wake-up, before anything else, because it may be set.
    /// Signed adverts carry it; nothing else depends on it.
    pub const fn handle_clock(&mut self, utc_us: u64) {
        self.utc_us = utc_us;
    }

    /// A link is new, or something about it changed (its name too).
    ///
    /// What a fact means is found out in [`Self::handle_deadlines`], when all facts of the wake-up are in: an address
    /// that a DHCP client takes off and puts back in one go is no fault.
    pub fn handle_link(&mut self, told: LinkFact) {
        let fact = self.judge_link(told);
        let before = self.facts.link_told(fact);
        if before == Some(fact) || self.is_resyncing(fact.id.netns) {
            return;
        }
        if let Some(before) = before.filter(|before| before.name != fact.name) {
            self.look_again(before.id.netns, before.name);
        }
        self.look_again(fact.id.netns, fact.name);
    }

    /// A link is gone, and its addresses with it.
    pub fn handle_link_gone(&mut self, id: IfId) {
        self.forget_held_on(id);
        self.forget_link(id);
        if let Some(fact) = self.facts.link_gone(id)
            && !self.is_resyncing(id.netns)
        {
            self.look_again(id.netns, fact.name);
        }
    }

    /// An address is new, or something about it changed.
    pub fn handle_address(&mut self, fact: AddressFact) {
        if self.facts.address_told(fact)
            && !self.is_resyncing(fact.interface.netns)
            && let Some(link) = self.facts.link(fact.interface).copied()
        {
            self.look_again(link.id.netns, link.name);
        }
    }

    /// An address is gone.
    pub fn handle_address_gone(&mut self, interface: IfId, addr: IpAddr, prefix_len: u8) {
        self.facts.address_gone(interface, addr, prefix_len);
        let ours = self.own_deletions.gone((interface, addr, prefix_len));
        if self.is_resyncing(interface.netns) {
            return;
        }
        // Even when it was us: it may be on its way back, or somebody else was quicker than we were.
        let loss = if ours { Loss::Unsure } else { Loss::Taken };
        self.vip_gone(interface, addr, prefix_len, loss);
        if let Some(link) = self.facts.link(interface).copied() {
            self.look_again(link.id.netns, link.name);
        }
    }

    /// Something about the interface of this name changed: its users are looked at when all facts are in.
    pub(super) fn look_again(&mut self, netns: NetnsId, name: IfName) {
        if let Some(slots) = self.watchers.get(&(netns, name)) {
            self.unsettled.extend_from_slice(slots);
        }
    }

    /// All facts of this wake-up are in: what do they mean?
    pub(super) fn settle(&mut self, now: Instant) {
        self.end_doubts(now);
        if !self.unsettled.is_empty() {
            let mut slots = core::mem::take(&mut self.unsettled);
            slots.sort_unstable();
            slots.dedup();
            // All first: what a fault of one means may depend on the faults of others.
            for &slot in &slots {
                self.observe(now, slot);
            }
            for &slot in &slots {
                self.judge(now, slot);
            }
            slots.clear();
            self.unsettled = slots;
        }
        self.restore_lost(now);
    }

    /// Recomputes from the facts what a router stands on. No state changes here, that is [`Self::judge`]'s part.
    pub(super) fn observe(&mut self, now: Instant, slot: Slot) {
        let Some(router) = self.router(slot) else {
            return;
        };
        let config = &router.config;
        let find = |name| self.facts.by_name(config.netns, name);
        let base = config.interface.or(config.vrf).and_then(find);
        let vmac = config.vmac.and_then(|vmac| find(vmac.link));
        let interface = if config.vmac.is_some_and(|vmac| vmac.adverts) {
            vmac
        } else {
            base
        };
        if let Some(router) = self.router_mut(slot) {
            router.base = base;
            router.vmac = vmac;
        }
        if self.router(slot).is_some_and(|router| interface != router.interface) {
            self.change_interface(slot, interface);
        }
        self.look_at_source(slot);
        self.find_moved(slot);
        let sum = self.track_sum(slot);
        self.change_priority(now, slot, &sum);
        if let Some(router) = self.router_mut(slot) {
            router.all_known |= !sum.waiting;
        }
        let faults = self.faults_of(slot, &sum);
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        router.track_fault = sum.fault;
        if core::mem::replace(&mut router.faults, faults) != faults {
            router.faults_changed = true;
            self.mark_dirty(slot);
        }
    }

    pub(super) fn faults_of(&self, slot: Slot, sum: &Sum) -> Faults {
        let Some(router) = self.router(slot) else {
            return Faults::NONE;
        };
        let config = &router.config;
        let link = router.base.and_then(|id| self.facts.link(id));
        let vmac_down = !config.dont_track_primary
            && !router
                .vmac
                .and_then(|id| self.facts.link(id))
                .is_some_and(|link| link.up);
        let usable = |index: usize| {
            let link = self.vip_interface(slot, index).and_then(|id| self.facts.link(id));
            link.is_some_and(|link| link.up)
        };
        let address_down = config
            .vips
            .iter()
            .enumerate()
            .any(|(index, vip)| vip.dev.is_some() && !vip.no_track && !usable(index));
        let source_gone = config.track_source
            && router.base.zip(config.source).is_some_and(|(id, source)| {
                !self
                    .facts
                    .addresses(id)
                    .any(|fact| fact.addr == source && !fact.unusable)
            });
        if self.is_missing(config.netns) {
            // Everything else follows from it.
            return Faults::NONE.with(Faults::NETNS_MISSING, true);
        }
        Faults::NONE
            .with(
                Faults::INTERFACE_MISSING,
                link.is_none() && (config.interface.is_some() || config.vrf.is_some()),
            )
            .with(
                Faults::VMAC,
                config.vmac.is_some() && (router.vmac.is_none() || vmac_down),
            )
            .with(Faults::NO_PEER, router.destinations() == 0)
            .with(
                Faults::INTERFACE_DOWN,
                link.is_some_and(|link| !link.up) && !config.dont_track_primary,
            )
            .with(Faults::ADDRESS_INTERFACE, address_down)
            .with(Faults::TRACK, sum.fault.is_some())
            .with(Faults::WAITING, sum.waiting && !router.all_known)
            .with(
                Faults::NO_SOURCE_ADDRESS,
                link.is_some() && (router.source.is_none() || source_gone),
            )
            .with(Faults::DUPLICATE_VRID, self.is_duplicate(slot))
    }
}
