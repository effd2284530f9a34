//! Links and addresses of the host as rtnetlink tells them.
//!
//! Faults are always recomputed from this table, never counted from events: a lost or doubled message cannot leave a
//! router faulty for ever. After an overrun the table is read anew between [`Facts::begin_resync`] and
//! [`Facts::end_resync`].

use core::hash::BuildHasherDefault;
use core::net::IpAddr;
use std::collections::HashMap;

use super::config::{Family, IfName, NetnsId};
use super::output::{AddressFact, IfId, LinkFact};
use crate::key_hash::KeyHasher;

#[derive(Clone, Debug)]
struct Link {
    fact: LinkFact,
    addresses: Vec<(AddressFact, u32)>,
    epoch: u32,
}

/// The table.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    links: HashMap<IfId, Link, BuildHasherDefault<KeyHasher>>,
    by_name: HashMap<(NetnsId, IfName), IfId>,
    /// Addresses told before their link was.
    early: Vec<AddressFact>,
    /// How often the facts of a namespace were told anew.
    epochs: HashMap<NetnsId, u32>,
}

/// What is no longer there after a resync.
#[derive(Debug, Default)]
pub struct Vanished {
    /// Links, with the names that they had.
    pub links: Vec<LinkFact>,
    /// Addresses of links that are still there.
    pub addresses: Vec<AddressFact>,
}

impl Facts {
    /// The interface that bears this name now.
    #[must_use]
    pub fn by_name(&self, netns: NetnsId, name: IfName) -> Option<IfId> {
        self.by_name.get(&(netns, name)).copied()
    }

    /// What is known of an interface.
    #[must_use]
    pub fn link(&self, id: IfId) -> Option<&LinkFact> {
        self.links.get(&id).map(|link| &link.fact)
    }

    /// The addresses of an interface, in the kernel's order.
    pub fn addresses(&self, id: IfId) -> impl Iterator<Item = &AddressFact> {
        self.links
            .get(&id)
            .into_iter()
            .flat_map(|link| link.addresses.iter().map(|(fact, _)| fact))
    }

    /// Takes a new or changed link; returns what was known of it before.
    pub fn link_told(&mut self, fact: LinkFact) -> Option<LinkFact> {
        let epoch = self.epoch(fact.id.netns);
        let before = match self.links.get_mut(&fact.id) {
            Some(link) => {
                link.epoch = epoch;
                Some(core::mem::replace(&mut link.fact, fact))
            }
            None => {
                let mut addresses = Vec::new();
                self.early.retain(|early| {
                    let here = early.interface == fact.id;
                    if here {
                        addresses.push((*early, epoch));
                    }
                    !here
                });
                self.links.insert(fact.id, Link { fact, addresses, epoch });
                None
            }
        };
        if let Some(old) = before
            && old.name != fact.name
            && self.by_name.get(&(old.id.netns, old.name)) == Some(&old.id)
        {
            self.by_name.remove(&(old.id.netns, old.name));
        }
        self.by_name.insert((fact.id.netns, fact.name), fact.id);
        before
    }

    /// Forgets a link and its addresses.
    pub fn link_gone(&mut self, id: IfId) -> Option<LinkFact> {
        self.early.retain(|early| early.interface != id);
        let link = self.links.remove(&id)?;
        if self.by_name.get(&(id.netns, link.fact.name)) == Some(&id) {
            self.by_name.remove(&(id.netns, link.fact.name));
        }
        Some(link.fact)
    }

    /// Takes a new or changed address; true when something about it is new.
    pub fn address_told(&mut self, fact: AddressFact) -> bool {
        let epoch = self.epoch(fact.interface.netns);
        let Some(link) = self.links.get_mut(&fact.interface) else {
            self.early.push(fact);
            return false;
        };
        let known = link
            .addresses
            .iter_mut()
            .find(|(known, _)| known.addr == fact.addr && known.prefix_len == fact.prefix_len);
        match known {
            Some((known, seen)) => {
                *seen = epoch;
                let changed = *known != fact;
                *known = fact;
                changed
            }
            None => {
                link.addresses.push((fact, epoch));
                true
            }
        }
    }

    /// Forgets an address; true when it was known.
    pub fn address_gone(&mut self, interface: IfId, addr: IpAddr, prefix_len: u8) -> bool {
        let Some(link) = self.links.get_mut(&interface) else {
            return false;
        };
        let before = link.addresses.len();
        link.addresses
            .retain(|(fact, _)| fact.addr != addr || fact.prefix_len != prefix_len);
        link.addresses.len() != before
    }

    /// True when the interface holds this address with this prefix length.
    #[must_use]
    pub fn holds(&self, interface: IfId, addr: IpAddr, prefix_len: u8) -> bool {
        self.addresses(interface)
            .any(|fact| fact.addr == addr && fact.prefix_len == prefix_len)
    }

    fn epoch(&self, netns: NetnsId) -> u32 {
        self.epochs.get(&netns).copied().unwrap_or(0)
    }

    /// What is told of a namespace from now on until [`Self::end_resync`] is all there is.
    pub fn begin_resync(&mut self, netns: NetnsId) {
        let epoch = self.epochs.entry(netns).or_default();
        *epoch = epoch.wrapping_add(1);
        self.early.retain(|early| early.interface.netns != netns);
    }

    /// Forgets a namespace; returns the links that it had.
    pub fn forget(&mut self, netns: NetnsId) -> Vec<IfId> {
        self.early.retain(|early| early.interface.netns != netns);
        let links: Vec<IfId> = self.links.keys().filter(|id| id.netns == netns).copied().collect();
        for &id in &links {
            self.link_gone(id);
        }
        links
    }

    /// Forgets all of a namespace that was not told since [`Self::begin_resync`] and returns it.
    pub fn end_resync(&mut self, netns: NetnsId) -> Vanished {
        let epoch = self.epoch(netns);
        let mut vanished = Vanished::default();
        for (_, link) in self.links.iter_mut().filter(|(id, _)| id.netns == netns) {
            if link.epoch == epoch {
                link.addresses.retain(|(fact, seen)| {
                    if *seen != epoch {
                        vanished.addresses.push(*fact);
                    }
                    *seen == epoch
                });
            } else {
                vanished.links.push(link.fact);
            }
        }
        for fact in &vanished.links {
            self.link_gone(fact.id);
        }
        vanished
    }

    /// The address that adverts of `family` are sent from: the first IPv4 address, or the first link-local IPv6
    /// address, that is usable and that `taken` does not claim as a virtual one.
    pub fn source(&self, interface: IfId, family: Family, taken: impl Fn(&IpAddr) -> bool) -> Option<IpAddr> {
        self.addresses(interface)
            .filter(|fact| !fact.unusable && Family::of(&fact.addr) == family)
            .map(|fact| fact.addr)
            .find(|addr| {
                let fits = match addr {
                    IpAddr::V4(_) => true,
                    IpAddr::V6(addr) => addr.is_unicast_link_local(),
                };
                fits && !taken(addr)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETH0: IfId = IfId { netns: 0, index: 2 };

    fn link(index: u32, name: &str) -> LinkFact {
        LinkFact {
            id: IfId { netns: 0, index },
            name: IfName::new(name).unwrap(),
            up: true,
            announces: true,
            mac: [2, 0, 0, 0, 0, 1],
            mtu: 1500,
            master: 0,
            router: false,
        }
    }

    fn address(text: &str, prefix_len: u8) -> AddressFact {
        AddressFact {
            interface: ETH0,
            addr: text.parse().unwrap(),
            prefix_len,
            unusable: false,
        }
    }

    #[test]
    fn a_rename_moves_the_name() {
        let mut facts = Facts::default();
        facts.link_told(link(2, "eth0"));
        facts.link_told(link(2, "wan"));
        assert_eq!(facts.by_name(0, IfName::new("eth0").unwrap()), None);
        assert_eq!(facts.by_name(0, IfName::new("wan").unwrap()), Some(ETH0));
    }

    #[test]
    fn a_name_taken_over_by_another_link_stays_with_it() {
        let mut facts = Facts::default();
        facts.link_told(link(2, "eth0"));
        facts.link_told(link(3, "eth0"));
        facts.link_gone(ETH0);
        assert_eq!(
            facts.by_name(0, IfName::new("eth0").unwrap()),
            Some(IfId { netns: 0, index: 3 })
        );
    }

    #[test]
    fn a_resync_returns_what_is_no_longer_there() {
        let mut facts = Facts::default();
        facts.link_told(link(2, "eth0"));
        facts.link_told(link(3, "eth1"));
        facts.address_told(address("10.0.0.1", 24));
        facts.address_told(address("10.0.0.2", 24));
        facts.begin_resync(0);
        facts.link_told(link(2, "eth0"));
        facts.address_told(address("10.0.0.2", 24));
        let vanished = facts.end_resync(0);
        assert_eq!(vanished.links.iter().map(|fact| fact.id.index).collect::<Vec<_>>(), [3]);
        assert_eq!(vanished.addresses, [address("10.0.0.1", 24)]);
        assert!(facts.holds(ETH0, "10.0.0.2".parse().unwrap(), 24));
    }

    #[test]
    fn an_address_told_before_its_link_is_kept() {
        let mut facts = Facts::default();
        facts.address_told(address("10.0.0.1", 24));
        facts.link_told(link(2, "eth0"));
        assert!(facts.holds(ETH0, "10.0.0.1".parse().unwrap(), 24));
    }

    #[test]
    fn virtual_and_tentative_addresses_are_no_source() {
        let mut facts = Facts::default();
        facts.link_told(link(2, "eth0"));
        facts.address_told(address("10.0.0.1", 32));
        facts.address_told(address("10.0.0.9", 24));
        facts.address_told(AddressFact {
            unusable: true,
            ..address("fe80::1", 64)
        });
        facts.address_told(address("2001:db8::1", 64));
        facts.address_told(address("fe80::2", 64));
        let vip: IpAddr = "10.0.0.1".parse().unwrap();
        assert_eq!(
            facts.source(ETH0, Family::V4, |a| *a == vip),
            Some("10.0.0.9".parse().unwrap())
        );
        assert_eq!(
            facts.source(ETH0, Family::V6, |_| false),
            Some("fe80::2".parse().unwrap())
        );
    }
}
