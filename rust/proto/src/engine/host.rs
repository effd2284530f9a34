//! Facts about the host in, and what they mean for each router: faults, and the states that follow from them.

use core::net::IpAddr;

use super::Core;
use crate::time::Instant;
use crate::vrrp::config::{IfName, NetnsId};
use crate::vrrp::output::{AddressFact, IfId, LinkFact};
use crate::vrrp::report::{EventKind, Faults, GroupIndex, Reason, Slot, State};
use crate::vrrp::track::Sum;

impl Core {
    /// A link is new, or something about it changed (its name too).
    ///
    /// What a fact means is found out in [`Self::handle_deadlines`], when all facts of the wake-up are in: an address
    /// that a DHCP client takes off and puts back in one go is no fault.
    pub fn handle_link(&mut self, fact: LinkFact) {
        let before = self.facts.link_told(fact);
        if before == Some(fact) || self.resyncing {
            return;
        }
        if let Some(before) = before.filter(|before| before.name != fact.name) {
            self.look_again(before.id.netns, before.name);
        }
        self.look_again(fact.id.netns, fact.name);
    }

    /// A link is gone, and its addresses with it.
    pub fn handle_link_gone(&mut self, id: IfId) {
        if let Some(fact) = self.facts.link_gone(id)
            && !self.resyncing
        {
            self.look_again(id.netns, fact.name);
        }
    }

    /// An address is new, or something about it changed.
    pub fn handle_address(&mut self, fact: AddressFact) {
        if self.facts.address_told(fact)
            && !self.resyncing
            && let Some(link) = self.facts.link(fact.interface).copied()
        {
            self.look_again(link.id.netns, link.name);
        }
    }

    /// An address is gone.
    pub fn handle_address_gone(&mut self, interface: IfId, addr: IpAddr, prefix_len: u8) {
        self.facts.address_gone(interface, addr, prefix_len);
        if self.resyncing {
            return;
        }
        self.vip_gone(interface, addr, prefix_len);
        if let Some(link) = self.facts.link(interface).copied() {
            self.look_again(link.id.netns, link.name);
        }
    }

    /// All facts are going to be told anew; what is not told until [`Self::end_resync`] does not exist.
    pub fn begin_resync(&mut self) {
        self.resyncing = true;
        self.facts.begin_resync();
        for router in self.routers.iter_mut().flatten() {
            for held in &mut router.held {
                held.own_deletions = 0;
            }
        }
    }

    /// All facts have been told.
    pub fn end_resync(&mut self, now: Instant) {
        self.resyncing = false;
        self.facts.end_resync();
        for index in 0..self.vips.len() {
            let (addr, slot, vip) = self.vips[index];
            let Some(interface) = self.vip_interface(slot, vip as usize) else {
                continue;
            };
            let Some(prefix_len) = self
                .router(slot)
                .map(|router| router.config.vips[vip as usize].prefix_len)
            else {
                continue;
            };
            if !self.facts.holds(interface, addr, prefix_len) {
                self.mark_lost(slot, vip as usize);
            }
        }
        self.unsettled
            .extend(0..u32::try_from(self.routers.len()).unwrap_or(u32::MAX));
        self.report(now, EventKind::Resynced);
    }

    /// Something about the interface of this name changed: its users are looked at when all facts are in.
    pub(super) fn look_again(&mut self, netns: NetnsId, name: IfName) {
        if let Some(slots) = self.watchers.get(&(netns, name)) {
            self.unsettled.extend_from_slice(slots);
        }
    }

    /// All facts of this wake-up are in: what do they mean?
    pub(super) fn settle(&mut self, now: Instant) {
        if !self.unsettled.is_empty() {
            let mut slots = core::mem::take(&mut self.unsettled);
            slots.sort_unstable();
            slots.dedup();
            for &slot in &slots {
                self.look_at(now, slot);
            }
            slots.clear();
            self.unsettled = slots;
        }
        self.restore_lost(now);
    }

    /// Recomputes from the facts what a router stands on, and moves it when its faults appeared or vanished.
    pub(super) fn look_at(&mut self, now: Instant, slot: Slot) {
        let Some(router) = self.router(slot) else {
            return;
        };
        let interface = router
            .config
            .interface
            .and_then(|name| self.facts.by_name(router.config.netns, name));
        if interface != router.interface {
            self.change_interface(slot, interface);
        }
        self.look_at_source(slot);
        let sum = self.track_sum(slot);
        self.change_priority(now, slot, &sum);
        let faults = self.faults_of(slot, &sum);
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        router.track_fault = sum.fault;
        if faults == router.faults {
            return;
        }
        router.faults = faults;
        let (state, group, quiet) = (router.state(), router.group, router.quiet);
        self.mark_dirty(slot);
        match (state, faults.is_empty()) {
            (State::Init, _) | (State::Backup | State::Master, true) => {}
            (State::Fault, false) if quiet => self.end_quiet(now, slot, faults),
            (State::Fault, false) => self.report(now, EventKind::FaultChange { slot, faults }),
            (State::Backup | State::Master, false) => {
                if let Some(router) = self.router(slot) {
                    let evidence = router.evidence(now);
                    self.move_together(now, slot, State::Fault, faults.reason(), evidence);
                }
            }
            (State::Fault, true) => self.leave_fault(now, slot, group),
        }
    }

    /// `vrrp-behaviour.md` 1.7: alone at once, in a group when no member is faulty.
    pub(super) fn leave_fault(&mut self, now: Instant, slot: Slot, group: Option<GroupIndex>) {
        if let Some(group) = group
            && self.group_routers(group).any(|(_, router)| !router.faults.is_empty())
        {
            return;
        }
        let Some(router) = self.router(slot) else {
            return;
        };
        let evidence = router.evidence(now);
        self.move_together(now, slot, State::Backup, Reason::FaultCleared, evidence);
        self.owners_at_once(now, slot, group);
    }

    /// Owners do not wait for a master that cannot be better than they are.
    pub(super) fn owners_at_once(&mut self, now: Instant, slot: Slot, group: Option<GroupIndex>) {
        let eager = |router: &super::Router| router.is_owner() && router.config.initial_master;
        let all_owners = match group {
            None => self.router(slot).is_some_and(eager),
            Some(group) => self.group_routers(group).all(|(_, router)| eager(router)),
        };
        if all_owners && let Some(router) = self.router(slot) {
            let evidence = router.evidence(now);
            self.move_together(now, slot, State::Master, Reason::Owner, evidence);
        }
    }

    pub(super) fn faults_of(&self, slot: Slot, sum: &Sum) -> Faults {
        let Some(router) = self.router(slot) else {
            return Faults::NONE;
        };
        let config = &router.config;
        // A reload that adds a tracker is no reason to leave a state: only who has none yet waits for a first result.
        let waiting = sum.waiting && !matches!(router.state(), State::Backup | State::Master);
        let link = router.interface.and_then(|id| self.facts.link(id));
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
            && router.interface.zip(config.source).is_some_and(|(id, source)| {
                !self
                    .facts
                    .addresses(id)
                    .any(|fact| fact.addr == source && !fact.unusable)
            });
        Faults::NONE
            .with(Faults::INTERFACE_MISSING, link.is_none() && config.interface.is_some())
            .with(Faults::NO_PEER, router.destinations() == 0)
            .with(
                Faults::INTERFACE_DOWN,
                link.is_some_and(|link| !link.up) && !config.dont_track_primary,
            )
            .with(Faults::ADDRESS_INTERFACE, address_down)
            .with(Faults::TRACK, sum.fault.is_some())
            .with(Faults::WAITING, waiting)
            .with(
                Faults::NO_SOURCE_ADDRESS,
                link.is_some() && (router.source.is_none() || source_gone),
            )
            .with(Faults::DUPLICATE_VRID, self.is_duplicate(slot))
    }
}
