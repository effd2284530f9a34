//! Facts about the host and what they mean: faults, source addresses, memberships, addresses that somebody else took.

use core::net::IpAddr;

use super::{Core, Key, QueuedAdvert};
use crate::time::Instant;
use crate::vrrp::config::{IfName, NetnsId, PRIORITY_OWNER, RouterConfig};
use crate::vrrp::output::{AddressFact, AddressOp, IfId, LinkFact, Membership, MembershipOp};
use crate::vrrp::report::{EventKind, Faults, GroupIndex, Reason, Slot, State};

/// `ENODEV`: the interface went away before its address did.
const ENODEV: i32 = 19;
/// `EADDRNOTAVAIL`: the address to remove is not there.
const EADDRNOTAVAIL: i32 = 99;

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

    /// What the kernel answered to an address operation: 0, or its errno.
    pub fn handle_address_result(&mut self, now: Instant, op: &AddressOp, errno: i32) {
        let gone_anyway = !op.install && matches!(errno, ENODEV | EADDRNOTAVAIL);
        if let Some(router) = self.router_mut(op.slot) {
            if !op.orphan {
                router.ops_pending = router.ops_pending.saturating_sub(1);
            }
            let index = router.config.vips.iter().position(|vip| *vip == op.vip);
            if let Some(held) = index.and_then(|index| router.held.get_mut(index)) {
                held.present = op.install && errno == 0;
                if !op.install && errno == 0 {
                    held.own_deletions += 1;
                }
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

    /// The interface that an address of a router belongs on, while it exists.
    pub(super) fn vip_interface(&self, slot: Slot, index: usize) -> Option<IfId> {
        let router = self.router(slot)?;
        match router.config.vips.get(index)?.dev {
            Some(name) => self.facts.by_name(router.config.netns, name),
            None => router.interface,
        }
    }

    fn vip_gone(&mut self, interface: IfId, addr: IpAddr, prefix_len: u8) {
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
            } else {
                self.mark_lost(slot, vip as usize);
            }
        }
    }

    /// Remembers an address to put back. It is done in [`Self::restore_lost`], when all facts of this wake-up are in:
    /// when the interface went down the kernel tells of its addresses first.
    fn mark_lost(&mut self, slot: Slot, index: usize) {
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
    fn restore_lost(&mut self, now: Instant) {
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

    /// Something about the interface of this name changed: its users are looked at when all facts are in.
    fn look_again(&mut self, netns: NetnsId, name: IfName) {
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
        let interface = self.facts.by_name(router.config.netns, router.config.interface);
        if interface != router.interface {
            self.change_interface(slot, interface);
        }
        self.look_at_source(slot);
        let Some(router) = self.router(slot) else {
            return;
        };
        let faults = self.faults_of(slot);
        let (known, state, group) = (router.faults, router.state(), router.group);
        if faults == known {
            return;
        }
        if let Some(router) = self.router_mut(slot) {
            router.faults = faults;
        }
        self.mark_dirty(slot);
        match (state, faults.is_empty()) {
            (State::Init, _) | (State::Backup | State::Master, true) => {}
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
    fn leave_fault(&mut self, now: Instant, slot: Slot, group: Option<GroupIndex>) {
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
    fn owners_at_once(&mut self, now: Instant, slot: Slot, group: Option<GroupIndex>) {
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

    fn faults_of(&self, slot: Slot) -> Faults {
        let Some(router) = self.router(slot) else {
            return Faults::NONE;
        };
        let config = &router.config;
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
        Faults::NONE
            .with(Faults::INTERFACE_MISSING, link.is_none())
            .with(
                Faults::INTERFACE_DOWN,
                link.is_some_and(|link| !link.up) && !config.dont_track_primary,
            )
            .with(Faults::ADDRESS_INTERFACE, address_down)
            .with(Faults::NO_SOURCE_ADDRESS, link.is_some() && router.source.is_none())
            .with(
                Faults::DUPLICATE_VRID,
                router.interface.is_some() && self.is_duplicate(slot),
            )
    }

    /// True when an earlier slot uses the same VRID, family, interface and group.
    fn is_duplicate(&self, slot: Slot) -> bool {
        let Some(router) = self.router(slot) else {
            return false;
        };
        let Some(key) = key_of(&router.config, router.interface) else {
            return false;
        };
        let mut next = self.by_key.get(&key).copied();
        while let Some(other) = next {
            let Some(known) = self.router(other) else {
                return false;
            };
            if other != slot && known.config.group == router.config.group && other < slot {
                return true;
            }
            next = known.next_same_vrid;
        }
        false
    }

    fn look_at_source(&mut self, slot: Slot) {
        let Some(router) = self.router(slot) else {
            return;
        };
        let config = &router.config;
        let source = config.source.or_else(|| {
            let interface = router.interface?;
            let virtual_one = |addr: &IpAddr| self.vips.binary_search_by(|(vip, _, _)| vip.cmp(addr)).is_ok();
            self.facts.source(interface, config.family, virtual_one).or_else(|| {
                // An owner's virtual address is its real one; it may have no other.
                let owned = config.vips.first().map(|vip| vip.addr)?;
                (config.priority == PRIORITY_OWNER && crate::wire::Family::of(&owned) == config.family).then_some(owned)
            })
        });
        if source != router.source {
            if let Some(router) = self.router_mut(slot) {
                router.source = source;
            }
            self.rebuild_frames(slot);
        }
    }

    fn change_interface(&mut self, slot: Slot, interface: Option<IfId>) {
        self.unlink(slot);
        if let Some(router) = self.router_mut(slot) {
            router.interface = interface;
            // What the old one held is gone with it. A master whose interface was deleted and created again between
            // two wake-ups goes on, and puts its addresses on the new one.
            for (held, vip) in router.held.iter_mut().zip(&router.config.vips) {
                held.own_deletions = 0;
                if vip.dev.is_none() && held.wanted {
                    held.lost = true;
                }
            }
            self.lost.push(slot);
        }
        self.link_up(slot);
    }

    /// Makes a router reachable for packets on its interface and joins its group there.
    pub(super) fn link_up(&mut self, slot: Slot) {
        let Some(router) = self.router(slot) else {
            return;
        };
        let Some(interface) = router.interface else {
            return;
        };
        let membership = Membership {
            interface,
            group: router.config.group,
        };
        if let Some(key) = key_of(&router.config, Some(interface)) {
            let before = self.by_key.insert(key, slot);
            if let Some(router) = self.router_mut(slot) {
                router.next_same_vrid = before.filter(|&before| before != slot);
            }
        }
        let users = self.memberships.entry(membership).or_insert(0);
        *users += 1;
        if *users == 1 {
            self.membership_ops.push_back(MembershipOp::Join(membership));
        }
    }

    /// Undoes [`Self::link_up`].
    pub(super) fn unlink(&mut self, slot: Slot) {
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        let Some(interface) = router.interface else {
            return;
        };
        let next = router.next_same_vrid.take();
        let membership = Membership {
            interface,
            group: router.config.group,
        };
        if let Some(key) = key_of(&router.config, Some(interface)) {
            self.unchain(key, slot, next);
        }
        if let Some(users) = self.memberships.get_mut(&membership) {
            *users -= 1;
            if *users == 0 {
                self.memberships.remove(&membership);
                self.membership_ops.push_back(MembershipOp::Leave(membership));
            }
        }
    }

    fn unchain(&mut self, key: Key, slot: Slot, next: Option<Slot>) {
        if self.by_key.get(&key) == Some(&slot) {
            match next {
                Some(next) => self.by_key.insert(key, next),
                None => self.by_key.remove(&key),
            };
            return;
        }
        let mut at = self.by_key.get(&key).copied();
        while let Some(current) = at {
            let Some(router) = self.router_mut(current) else {
                return;
            };
            if router.next_same_vrid == Some(slot) {
                router.next_same_vrid = next;
                return;
            }
            at = router.next_same_vrid;
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

    /// Drops adverts that no longer have a router behind them.
    pub(super) fn forget_adverts(&mut self, slot: Slot) {
        self.adverts.retain(|queued| match queued {
            QueuedAdvert::Current(other) | QueuedAdvert::Parting(other) | QueuedAdvert::Zero(other) => *other != slot,
            QueuedAdvert::Farewell(_) => true,
        });
    }
}

fn key_of(config: &RouterConfig, interface: Option<IfId>) -> Option<Key> {
    Some(Key {
        interface: interface?,
        family: config.family,
        vrid: config.vrid,
    })
}
