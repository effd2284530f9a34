//! How a router and the LAN reach each other: interface, source address, membership, and finding the router of a packet.

use core::net::IpAddr;

use super::{Core, Key};
use crate::vrrp::config::{PRIORITY_OWNER, RouterConfig};
use crate::vrrp::output::{IfId, Membership, MembershipOp};
use crate::vrrp::report::Slot;

impl Core {
    /// Several routers may share interface, family and VRID when their groups differ.
    pub(super) fn find(&self, key: Key, destination: IpAddr) -> Option<Slot> {
        let first = *self.by_key.get(&key)?;
        if !destination.is_multicast() {
            return Some(first);
        }
        let mut next = Some(first);
        while let Some(slot) = next {
            let router = self.router(slot)?;
            if router.config.group == destination {
                return Some(slot);
            }
            next = router.next_same_vrid;
        }
        None
    }

    pub(super) fn look_at_source(&mut self, slot: Slot) {
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

    pub(super) fn change_interface(&mut self, slot: Slot, interface: Option<IfId>) {
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

    pub(super) fn unchain(&mut self, key: Key, slot: Slot, next: Option<Slot>) {
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

    /// True when an earlier slot uses the same VRID, family, interface and group.
    pub(super) fn is_duplicate(&self, slot: Slot) -> bool {
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
}

fn key_of(config: &RouterConfig, interface: Option<IfId>) -> Option<Key> {
    Some(Key {
        interface: interface?,
        family: config.family,
        vrid: config.vrid,
    })
}
