//! The network namespaces that routers live in: each is read, lost and found on its own.

use super::Core;
use crate::time::Instant;
use crate::vrrp::config::NetnsId;
use crate::vrrp::output::IfId;
use crate::vrrp::report::{EventKind, Slot};
use crate::vrrp::router::Loss;

/// What is known of one of them.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Namespace {
    /// Its links and addresses are being told anew.
    resyncing: bool,
    /// They have been told once.
    known: bool,
    /// There is no such namespace, or it cannot be entered.
    missing: bool,
}

impl Core {
    /// All facts of a namespace are going to be told anew; what is not told until [`Self::end_resync`] does not exist.
    pub fn begin_resync(&mut self, netns: NetnsId) {
        self.namespace_mut(netns).resyncing = true;
        self.facts.begin_resync(netns);
    }

    /// All facts of a namespace have been told. The first time is no news.
    pub fn end_resync(&mut self, now: Instant, netns: NetnsId) {
        let namespace = self.namespace_mut(netns);
        namespace.resyncing = false;
        namespace.missing = false;
        let again = core::mem::replace(&mut namespace.known, true);
        self.own_deletions.resynced(netns);
        for link in self.facts.end_resync(netns).links {
            self.forget_held_on(link.id);
            self.forget_link(link.id);
        }
        let start = self.vips.partition_point(|(other, ..)| *other < netns);
        for index in start..self.vips.len() {
            let (other, addr, slot, vip) = self.vips[index];
            if other != netns {
                break;
            }
            let Some(router) = self.router(slot) else {
                continue;
            };
            let prefix_len = router.config.vips[vip as usize].prefix_len;
            let held = router.held[vip as usize];
            if !held.on.is_some_and(|on| self.facts.holds(on, addr, prefix_len)) {
                // What is not confirmed yet may have been put there after it could have been told.
                let loss = if held.present { Loss::Taken } else { Loss::Unsure };
                self.mark_lost(slot, vip as usize, loss);
            }
        }
        self.doubt(netns);
        if again {
            self.report(now, EventKind::Resynced);
        }
    }

    /// A namespace does not exist, or exists no longer: its routers are in FAULT. What is known of its links stays until
    /// [`Self::forget_netns`], so that priority 0 can still leave by them.
    pub fn handle_netns_missing(&mut self, netns: NetnsId) {
        if !core::mem::replace(&mut self.namespace_mut(netns).missing, true) {
            self.doubt(netns);
        }
    }

    /// Nothing reaches a namespace any longer, and nothing comes from it; it may be told anew.
    pub fn forget_netns(&mut self, netns: NetnsId) {
        let namespace = self.namespace_mut(netns);
        namespace.resyncing = false;
        namespace.known = false;
        for link in self.facts.forget(netns) {
            self.forget_held_on(link);
            self.forget_link(link);
        }
        self.own_deletions.resynced(netns);
        self.doubt(netns);
    }

    pub(super) fn is_resyncing(&self, netns: NetnsId) -> bool {
        self.namespace(netns).resyncing
    }

    pub(super) fn is_missing(&self, netns: NetnsId) -> bool {
        self.namespace(netns).missing
    }

    fn namespace(&self, netns: NetnsId) -> Namespace {
        self.namespaces.get(usize::from(netns)).copied().unwrap_or_default()
    }

    fn namespace_mut(&mut self, netns: NetnsId) -> &mut Namespace {
        let at = usize::from(netns);
        if self.namespaces.len() <= at {
            self.namespaces.resize_with(at + 1, Namespace::default);
        }
        &mut self.namespaces[at]
    }

    /// The routers of a namespace are looked at when all facts are in.
    fn doubt(&mut self, netns: NetnsId) {
        for slot in 0..self.slot_count() {
            if self.router(slot).is_some_and(|router| router.config.netns == netns) {
                self.unsettled.push(slot);
            }
        }
    }

    /// Says whether an address is a virtual one in a namespace: another tenant's may be the same.
    pub(super) fn is_virtual(&self, netns: NetnsId, addr: &core::net::IpAddr) -> bool {
        let found = self
            .vips
            .binary_search_by(|(other, vip, ..)| (other, vip).cmp(&(&netns, addr)));
        found.is_ok()
    }

    /// The virtual addresses that are equal to one of an interface: routers, and the places in their lists.
    pub(super) fn vips_like(&self, interface: IfId, addr: core::net::IpAddr) -> core::ops::Range<usize> {
        let key = (interface.netns, addr);
        let start = self
            .vips
            .partition_point(|&(netns, addr, ..): &(_, _, Slot, u32)| (netns, addr) < key);
        let len = self.vips[start..].partition_point(|&(netns, addr, ..)| (netns, addr) == key);
        start..start + len
    }
}
