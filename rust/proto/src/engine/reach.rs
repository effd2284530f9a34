//! How a router and the LAN reach each other: interface, source address, membership, and finding the router of a packet.

use core::net::IpAddr;

use super::{AdvertRx, Core, Key};
use crate::vrrp::config::{PRIORITY_OWNER, Peer};
use crate::vrrp::output::{IfId, Membership, MembershipOp};
use crate::vrrp::report::Slot;
use crate::vrrp::router::Router;

impl Core {
    /// The router that a packet is for.
    ///
    /// Routers may share interface, family and VRID when their groups, their source addresses or their peers differ
    /// (`vrrp-behaviour.md` 7); of those that clash the first one works. A unicast packet that no unicast router wants goes to a multicast one, which refuses it.
    pub(super) fn find(&self, rx: &AdvertRx<'_>, vrid: u8) -> Option<Slot> {
        let key = Key {
            interface: rx.interface,
            family: rx.family,
            vrid,
        };
        if rx.destination.is_multicast() {
            return self
                .chain(key)
                .filter(|(_, router)| router.joins() == Some(rx.destination))
                .map(|(slot, _)| slot)
                .min();
        }
        let anywhere = Key {
            interface: IfId {
                netns: rx.interface.netns,
                index: 0,
            },
            ..key
        };
        let vrf = Key {
            interface: IfId {
                netns: rx.interface.netns,
                index: self.facts.link(rx.interface).map_or(0, |link| link.master),
            },
            ..key
        };
        let ours = |router: &Router| router.config.unicast.is_some() && router.source == Some(rx.destination);
        let candidates = || {
            self.chain(key)
                .chain(self.chain(vrf))
                .chain(self.chain(anywhere))
                .filter(|(_, router)| ours(router))
        };
        let first = |slots: &mut dyn Iterator<Item = (Slot, &Router)>| slots.map(|(slot, _)| slot).min();
        first(&mut candidates().filter(|(_, router)| router.peer(&rx.source).is_some()))
            .or_else(|| first(&mut candidates()))
            .or_else(|| first(&mut self.chain(key).filter(|(_, router)| router.config.unicast.is_none())))
    }

    /// The routers of a key.
    fn chain(&self, key: Key) -> impl Iterator<Item = (Slot, &Router)> {
        let first = self.by_key.get(&key).copied();
        core::iter::successors(first, |&slot| self.router(slot)?.next_same_vrid)
            .filter_map(|slot| self.router(slot).map(|router| (slot, router)))
    }

    pub(super) fn look_at_source(&mut self, slot: Slot) {
        let Some(router) = self.router(slot) else {
            return;
        };
        let config = &router.config;
        let source = config.source.or_else(|| {
            let own = config.vmac.is_some_and(|vmac| vmac.own_source);
            let interface = if own { router.vmac } else { router.base }?;
            let virtual_one = |addr: &IpAddr| self.is_virtual(config.netns, addr);
            self.facts.source(interface, config.family, virtual_one).or_else(|| {
                // An owner's virtual address is its real one; it may have no other.
                let owned = config.vips.first().map(|vip| vip.addr)?;
                (config.priority == PRIORITY_OWNER && crate::wire::Family::of(&owned) == config.family).then_some(owned)
            })
        });
        if source != router.source {
            self.unwatch(slot);
            if let Some(router) = self.router_mut(slot) {
                router.source = source;
            }
            self.rebuild_frames(slot);
        }
    }

    pub(super) fn change_interface(&mut self, slot: Slot, interface: Option<IfId>) {
        self.unwatch(slot);
        self.unlink(slot);
        if let Some(router) = self.router_mut(slot) {
            router.interface = interface;
        }
        self.link_up(slot);
    }

    /// Makes a router reachable for packets on its interface and joins its group there.
    pub(super) fn link_up(&mut self, slot: Slot) {
        let Some(router) = self.router(slot) else {
            return;
        };
        let Some(key) = router.key() else {
            return;
        };
        let membership = router.membership();
        let before = self.by_key.insert(key, slot);
        if let Some(before) = before {
            self.unwatch(before);
        }
        if let Some(router) = self.router_mut(slot) {
            router.next_same_vrid = before.filter(|&before| before != slot);
        }
        if let Some(membership) = membership {
            let users = self.memberships.entry(membership).or_insert(0);
            *users += 1;
            if *users == 1 {
                self.membership_ops.push_back(MembershipOp::Join(membership));
            }
        }
    }

    /// Undoes [`Self::link_up`].
    pub(super) fn unlink(&mut self, slot: Slot) {
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        let Some(key) = router.key() else {
            return;
        };
        let next = router.next_same_vrid.take();
        let membership = router.membership();
        self.unchain(key, slot, next);
        if let Some(membership) = membership
            && let Some(users) = self.memberships.get_mut(&membership)
        {
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

    /// True when an earlier slot hears the same adverts.
    pub(super) fn is_duplicate(&self, slot: Slot) -> bool {
        let Some(router) = self.router(slot) else {
            return false;
        };
        let Some(key) = router.key() else {
            return false;
        };
        self.chain(key)
            .any(|(other, known)| other < slot && known.clashes_with(router))
    }
}

impl Router {
    /// Under what packets for it are looked up; `None` while its interface does not exist.
    pub(super) fn key(&self) -> Option<Key> {
        let config = &self.config;
        let interface = match config.interface.or(config.vrf) {
            Some(_) => self.interface?,
            None => IfId {
                netns: config.netns,
                index: 0,
            },
        };
        Some(Key {
            interface,
            family: config.family,
            vrid: config.vrid,
        })
    }

    /// The multicast group that it listens to.
    fn joins(&self) -> Option<IpAddr> {
        self.config.unicast.is_none().then_some(self.config.group)
    }

    fn membership(&self) -> Option<Membership> {
        Some(Membership {
            interface: self.interface?,
            group: self.joins()?,
        })
    }

    /// The peer of this address.
    pub(crate) fn peer(&self, addr: &IpAddr) -> Option<&Peer> {
        self.config
            .unicast
            .as_ref()?
            .peers
            .iter()
            .find(|peer| peer.addr == *addr)
    }

    fn clashes_with(&self, other: &Self) -> bool {
        match (&self.config.unicast, &other.config.unicast) {
            (None, None) => self.config.group == other.config.group,
            (Some(ours), Some(_)) => {
                self.source == other.source && ours.peers.iter().any(|peer| other.peer(&peer.addr).is_some())
            }
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
}
