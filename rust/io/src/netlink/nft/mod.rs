//! The packet filter: drops traffic of addresses that are held but not accepted (`no_accept`), by nf_tables.
//!
//! Tables, chains and sets are made when a configuration first needs them. They belong to our socket: `nft flush ruleset`
//! leaves them alone, and they are gone when the daemon is, even by SIGKILL. Kernels before 5.12 know no owners; there
//! what somebody deletes is made anew at the next change.

mod batch;
mod rules;

use core::net::IpAddr;
use std::collections::HashMap;
use std::io;

use keepvip_proto::vrrp::output::AddressOp;
use keepvip_proto::wire::rtnl::{self, Payload};

use crate::sys::errno;
use crate::sys::netlink::Netlink;
use batch::{Batch, Kind, TableFamily};
use rules::{Element, Part, Place, Tables};

/// Octets of an answer datagram: the header of the message that it answers, and an error.
const ANSWER: usize = 4096;

/// How the filter is made (`nftables` and its companions in `global_defs`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FilterOptions {
    /// Name of the tables, of families `ip` and `ip6`.
    pub table: String,
    /// Priority of the chains at their hooks.
    pub priority: i32,
    /// Rules count what they match.
    pub counters: bool,
    /// Sets hold indices of interfaces, not names.
    pub by_index: bool,
}

impl Default for FilterOptions {
    fn default() -> Self {
        Self {
            table: "keepalived".into(),
            priority: -1,
            counters: false,
            by_index: false,
        }
    }
}

/// Who an element is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Key {
    /// An address; a link-local one with the index of its interface, otherwise 0.
    Address(IpAddr, u32),
    /// A virtual MAC, by the index of its interface.
    Vmac(TableFamily, u32),
}

/// An interface with a virtual MAC, for adverts of one family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VmacLink {
    /// Its index.
    pub index: u32,
    /// The index of the interface that it is on.
    pub parent: u32,
    /// IPv6, not IPv4.
    pub v6: bool,
}

impl VmacLink {
    const fn family(self) -> TableFamily {
        if self.v6 { TableFamily::V6 } else { TableFamily::V4 }
    }
}

/// Families whose addresses are to be guarded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Families {
    pub(crate) v4: bool,
    pub(crate) v6: bool,
}

/// The filter of one network namespace.
pub(crate) struct Filter {
    options: FilterOptions,
    /// The kernel knows owners of tables, as far as is known.
    owned: bool,
    /// Opened when it is first needed: a kernel without nf_tables is no trouble to those who do not want it.
    socket: Option<Netlink>,
    elements: HashMap<Key, Element>,
    /// Which tables and parts exist because of us.
    made: Vec<(TableFamily, Part)>,
}

impl Filter {
    pub(crate) fn new(options: FilterOptions) -> Self {
        Self {
            options,
            owned: true,
            socket: None,
            elements: HashMap::new(),
            made: Vec::new(),
        }
    }

    /// Makes what guarded addresses of these families will need: it takes the kernel some 10 ms, which a takeover shall
    /// not cost.
    ///
    /// # Errors
    /// As [`Self::before`].
    pub(crate) fn prepare(&mut self, families: Families) -> io::Result<()> {
        let wanted = [(families.v4, TableFamily::V4), (families.v6, TableFamily::V6)];
        for (_, family) in wanted.into_iter().filter(|(wanted, _)| *wanted) {
            self.prepare_part((family, Part::Addresses))?;
        }
        Ok(())
    }

    fn prepare_part(&mut self, part: (TableFamily, Part)) -> io::Result<()> {
        if self.made.contains(&part) {
            return Ok(());
        }
        match self.make_now(part) {
            Err(error) if self.owned && matches!(errno(&error), libc::EOPNOTSUPP | libc::EINVAL) => {
                self.owned = false;
                self.make_now(part)
            }
            result => result,
        }
    }

    fn make_now(&mut self, part: (TableFamily, Part)) -> io::Result<()> {
        let mut batch = Batch::new();
        self.make(&mut batch, part)?;
        self.commit(batch)?;
        self.made.push(part);
        Ok(())
    }

    /// Before addresses are put on: those that shall not be reachable must not be for a moment.
    ///
    /// # Errors
    /// The kernel's refusal; the filter is as before then.
    pub(crate) fn before(&mut self, ops: &[AddressOp]) -> io::Result<()> {
        let mut added = Vec::new();
        for op in ops.iter().filter(|op| op.install && op.vip.guarded) {
            let key = key(op);
            if !self.elements.contains_key(&key) {
                added.push((key, self.element(op)?));
            }
        }
        self.change(&added, &[])
    }

    /// After addresses were taken off, or are no longer to be guarded.
    ///
    /// # Errors
    /// As [`Self::before`].
    pub(crate) fn after(&mut self, ops: &[AddressOp]) -> io::Result<()> {
        if self.elements.is_empty() {
            return Ok(());
        }
        let guards = |op: &AddressOp| op.install && op.vip.guarded;
        let mut removed: Vec<_> = ops.iter().filter(|op| !guards(op)).map(key).collect();
        // An address that moved within one row of operations is there in the end.
        removed.retain(|gone| {
            let last = ops.iter().rev().find(|op| key(op) == *gone);
            self.elements.contains_key(gone) && !last.is_some_and(guards)
        });
        removed.sort_unstable();
        removed.dedup();
        self.change(&[], &removed)
    }

    /// Takes the tables away, unless they still guard something: addresses that were left behind on purpose.
    ///
    /// # Errors
    /// As [`Self::before`].
    pub(crate) fn end(&mut self) -> io::Result<()> {
        let guards = self.elements.keys().any(|key| matches!(key, Key::Address(..)));
        if guards { Ok(()) } else { self.delete_made() }
    }

    /// Everything is gone from the interfaces.
    pub(crate) fn forget(&mut self) {
        self.elements.clear();
    }

    /// Has what a virtual MAC would tell multicast routers told by the interface that it is on: the LAN shall know the
    /// virtual MAC as the master's only (`vrrp-behaviour.md` 11).
    ///
    /// # Errors
    /// As [`Self::before`].
    pub(crate) fn add_vmac(&mut self, link: VmacLink) -> io::Result<()> {
        let family = link.family();
        let element = Element::Vmac(family, self.place(link.index)?, link.parent);
        self.prepare_part((family, Part::Vmacs))?;
        self.change(&[(Key::Vmac(family, link.index), element)], &[])
    }

    /// The virtual MAC is gone.
    ///
    /// # Errors
    /// As [`Self::before`].
    pub(crate) fn remove_vmac(&mut self, link: VmacLink) -> io::Result<()> {
        let key = Key::Vmac(link.family(), link.index);
        if self.elements.contains_key(&key) {
            self.change(&[], &[key])
        } else {
            Ok(())
        }
    }

    fn place(&mut self, index: u32) -> io::Result<Place> {
        Ok(if self.options.by_index {
            Place::Index(index)
        } else {
            Place::Name(self.socket()?.interface_name(index)?)
        })
    }

    fn element(&mut self, op: &AddressOp) -> io::Result<Element> {
        let place = match key(op) {
            Key::Address(_, index) if index != 0 => Some(self.place(index)?),
            _ => None,
        };
        Ok(Element::Address(op.vip.addr, place))
    }

    fn change(&mut self, added: &[(Key, Element)], removed: &[Key]) -> io::Result<()> {
        if added.is_empty() && removed.is_empty() {
            return Ok(());
        }
        match self.attempt(added, removed) {
            // Somebody has deleted our tables, or parts of them.
            Err(error) if errno(&error) == libc::ENOENT && !self.made.is_empty() => {
                self.delete_made()?;
                let mut all: Vec<_> = core::mem::take(&mut self.elements).into_iter().collect();
                all.retain(|(key, _)| !removed.contains(key));
                all.extend_from_slice(added);
                self.attempt(&all, &[])
            }
            result => result,
        }
    }

    fn attempt(&mut self, added: &[(Key, Element)], removed: &[Key]) -> io::Result<()> {
        let mut batch = Batch::new();
        let mut making: Vec<(TableFamily, Part)> = Vec::new();
        for (_, element) in added {
            let part = (element.family(), element.part());
            if !self.made.contains(&part) && !making.contains(&part) {
                self.make(&mut batch, part)?;
                making.push(part);
            }
            self.tables(part.0).change(&mut batch, Kind::NewElements, *element);
        }
        for element in removed.iter().filter_map(|key| self.elements.get(key)) {
            self.tables(element.family())
                .change(&mut batch, Kind::DeleteElements, *element);
        }
        self.commit(batch)?;
        self.made.append(&mut making);
        self.elements.extend(added.iter().copied());
        for key in removed {
            self.elements.remove(key);
        }
        Ok(())
    }

    const fn tables(&self, family: TableFamily) -> Tables<'_> {
        Tables {
            options: &self.options,
            family,
            owned: self.owned,
        }
    }

    fn make(&mut self, batch: &mut Batch, (family, part): (TableFamily, Part)) -> io::Result<()> {
        if !self.made.iter().any(|(made, _)| *made == family) {
            // What a daemon that was killed has left behind.
            self.delete(family)?;
        }
        self.tables(family).create(batch, part);
        Ok(())
    }

    /// Deletes all that was made.
    fn delete_made(&mut self) -> io::Result<()> {
        while let Some((family, _)) = self.made.pop() {
            self.delete(family)?;
        }
        Ok(())
    }

    /// Deletes a table; one that is not there is as it should be.
    fn delete(&mut self, family: TableFamily) -> io::Result<()> {
        let mut batch = Batch::new();
        self.tables(family).delete(&mut batch);
        match self.commit(batch) {
            Err(error) if errno(&error) != libc::ENOENT => Err(error),
            _ => Ok(()),
        }
    }

    fn socket(&mut self) -> io::Result<&mut Netlink> {
        match &mut self.socket {
            Some(socket) => Ok(socket),
            none => Ok(none.insert(Netlink::open_netfilter()?)),
        }
    }

    /// Has a transaction carried out.
    fn commit(&mut self, batch: Batch) -> io::Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let socket = self.socket()?;
        socket.send(&batch.end())?;
        let mut answers = [0; ANSWER];
        let mut first = None;
        // The kernel has answered before `send` returned; of several errors the first is the cause.
        loop {
            let len = match socket.receive(&mut answers) {
                Ok(len) => len,
                Err(error) => match errno(&error) {
                    libc::EAGAIN => break,
                    libc::EINTR => continue,
                    _ => return Err(error),
                },
            };
            for message in rtnl::messages(&answers[..len]).flatten() {
                if let Ok(Payload::Answer(answer)) = message.parse()
                    && answer.errno != 0
                {
                    first.get_or_insert(answer.errno);
                }
            }
        }
        first.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
    }
}

const fn key(op: &AddressOp) -> Key {
    match op.vip.addr {
        IpAddr::V6(addr) if addr.is_unicast_link_local() => Key::Address(op.vip.addr, op.interface.index),
        _ => Key::Address(op.vip.addr, 0),
    }
}
