//! The network namespaces that the engine works in, each with the sockets by which it is reached.
//!
//! Whatever names an interface is (namespace, index), and a descriptor belongs to the namespace that it was opened in. One
//! loop serves them all: [`Namespaces`] knows which of them have something to read, so that the others cost nothing.

use std::io;
use std::os::fd::OwnedFd;
use std::thread;

use keepvip_proto::engine::{Core, Routine};
use keepvip_proto::time::Instant;
use keepvip_proto::vrrp::config::{Family, NetnsId};

use crate::advert::{Adverts, Received, Taken};
use crate::announce;
use crate::failures::SendFailures;
use crate::netlink::{DATAGRAM, Monitor, Pumped};
use crate::quiet::{Everything, Quiet};
use crate::sys::epoll::{Epoll, Token, Trigger};
use crate::sys::mmsg::RecvBatch;

/// The namespace that the engine was started in.
pub(crate) const OWN: NetnsId = 0;

/// Threads that close them at the end.
const CLOSERS: usize = 32;

/// What epoll calls the descriptors of a namespace: from here on.
pub(crate) const MONITOR: u8 = 16;
pub(crate) const ADVERTS_V4: u8 = 17;
pub(crate) const ADVERTS_V6: u8 = 18;
pub(crate) const ADVERTS_AH: u8 = 19;

/// One of them.
pub(crate) struct Namespace {
    id: NetnsId,
    adverts: Adverts,
    pub(crate) announce: OwnedFd,
    monitor: Monitor,
    readable: Readable,
    /// It is in [`Namespaces::active`].
    active: bool,
}

/// What has something to read, as far as is known.
#[derive(Clone, Copy, Default)]
struct Readable {
    news: bool,
    v4: bool,
    v6: bool,
    ah: bool,
}

impl Namespace {
    /// Opens all sockets in the network namespace of the calling thread; reports what was not granted.
    pub(crate) fn open(id: NetnsId, notices: &mut Vec<String>) -> io::Result<Self> {
        let adverts = Adverts::open(id, notices)?;
        // A packet socket takes the kernel some 15 ms to close. One by one, hundreds of them are seconds: where there may
        // be hundreds of namespaces, each has only one.
        let announce = if id == OWN {
            announce::open()?
        } else {
            adverts.packet_socket()?
        };
        Ok(Self {
            id,
            adverts,
            announce,
            monitor: Monitor::open(id)?,
            readable: Readable::default(),
            active: false,
        })
    }

    fn begin(&mut self, epoll: &mut Epoll, core: &mut Core, quiet: Option<&Quiet>) -> io::Result<()> {
        let token = |kind| Token { kind, netns: self.id };
        epoll.add(&self.monitor, token(MONITOR), Trigger::Edge)?;
        for (family, socket) in self.adverts.sockets() {
            epoll.add(&socket, token(kind_of(family)), Trigger::Level)?;
            if let Some(quiet) = quiet {
                quiet.attach(&socket, family, self.id)?;
            }
        }
        epoll.add(&self.adverts.ah_socket(), token(ADVERTS_AH), Trigger::Level)?;
        self.monitor.resync(core)
    }

    /// True once links and addresses were read for the first time.
    pub(crate) const fn started(&self) -> bool {
        self.monitor.started()
    }
}

/// All of them.
pub(crate) struct Namespaces {
    /// By their ids.
    list: Vec<Option<Box<Namespace>>>,
    /// Those that have something to read.
    active: Vec<NetnsId>,
    /// Those that have adverts to send in this turn, and those that were refused some.
    staged: Vec<NetnsId>,
    refused: Vec<NetnsId>,
    /// Where datagrams are received to.
    batch: RecvBatch,
    buffer: Box<[u8]>,
    /// Multicast adverts leave as complete frames.
    pub(crate) whole_frames: bool,
    /// What keeps routine adverts from us, where we may.
    quiet: Option<Quiet>,
    overruns: u64,
    resyncs: u64,
}

impl Namespaces {
    /// None so far.
    pub(crate) fn new(quiet: Option<Quiet>) -> Self {
        Self {
            whole_frames: false,
            quiet,
            list: Vec::new(),
            active: Vec::new(),
            staged: Vec::new(),
            refused: Vec::new(),
            batch: RecvBatch::new(),
            buffer: vec![0; DATAGRAM].into_boxed_slice(),
            overruns: 0,
            resyncs: 0,
        }
    }

    /// Takes one in: watches its sockets and starts to read its links and addresses.
    ///
    /// # Errors
    /// It cannot be watched or read, and is given back.
    pub(crate) fn add(
        &mut self,
        mut namespace: Box<Namespace>,
        epoll: &mut Epoll,
        core: &mut Core,
    ) -> Result<(), (Box<Namespace>, io::Error)> {
        let id = namespace.id;
        if let Err(error) = namespace.begin(epoll, core, self.quiet.as_ref()) {
            return Err((namespace, error));
        }
        namespace.readable.news = true;
        namespace.active = true;
        let at = usize::from(id);
        if self.list.len() <= at {
            self.list.resize_with(at + 1, || None);
        }
        self.list[at] = Some(namespace);
        for list in [&mut self.active, &mut self.staged, &mut self.refused] {
            list.reserve(at + 1);
        }
        self.active.push(id);
        Ok(())
    }

    /// Takes one out; its sockets are to be closed.
    pub(crate) fn remove(&mut self, id: NetnsId, epoll: &Epoll) -> Option<Box<Namespace>> {
        let namespace = self.list.get_mut(usize::from(id))?.take()?;
        epoll.remove(&namespace.monitor);
        for (_, socket) in namespace.adverts.sockets() {
            epoll.remove(&socket);
        }
        epoll.remove(&namespace.adverts.ah_socket());
        for list in [&mut self.active, &mut self.staged, &mut self.refused] {
            list.retain(|&other| other != id);
        }
        Some(namespace)
    }

    /// Closes all of them. Closing waits for other processors, so that many threads are quicker than one.
    pub(crate) fn close(&mut self) {
        let mut list: Vec<_> = self.list.drain(..).flatten().collect();
        let share = list.len().div_ceil(CLOSERS).max(1);
        thread::scope(|scope| {
            while list.len() > share {
                let some = list.split_off(list.len() - share);
                // Without a thread they are closed here.
                let _closer = thread::Builder::new().spawn_scoped(scope, move || drop(some));
            }
            drop(list);
        });
    }

    /// One of them, while it is open.
    pub(crate) fn get(&self, id: NetnsId) -> Option<&Namespace> {
        self.list.get(usize::from(id))?.as_deref()
    }

    /// A descriptor is readable.
    pub(crate) fn mark(&mut self, token: Token) {
        let Some(Some(namespace)) = self.list.get_mut(usize::from(token.netns)) else {
            return;
        };
        match token.kind {
            MONITOR => namespace.readable.news = true,
            ADVERTS_V4 => namespace.readable.v4 = true,
            ADVERTS_V6 => namespace.readable.v6 = true,
            ADVERTS_AH => namespace.readable.ah = true,
            _ => return,
        }
        if !core::mem::replace(&mut namespace.active, true) {
            self.active.push(token.netns);
        }
    }

    /// True while some rtnetlink socket may have something to read.
    pub(crate) fn news(&self) -> bool {
        self.active()
            .any(|id| self.get(id).is_some_and(|namespace| namespace.readable.news))
    }

    fn active(&self) -> impl Iterator<Item = NetnsId> {
        self.active.iter().copied()
    }

    /// Takes facts from all that have some.
    pub(crate) fn pump(&mut self, now: Instant, core: &mut Core) -> io::Result<Pumped> {
        let mut all = Pumped::default();
        for &id in &self.active {
            if let Some(Some(namespace)) = self.list.get_mut(usize::from(id))
                && namespace.readable.news
            {
                let resyncs = namespace.monitor.resyncs();
                let pumped = namespace.monitor.pump(&mut self.buffer, now, core)?;
                self.resyncs += namespace.monitor.resyncs() - resyncs;
                namespace.readable.news = pumped.more;
                all.news |= pumped.news;
                all.more |= pumped.more;
            }
        }
        Ok(all)
    }

    /// Hands the packets that had arrived by `now` to the core, of all sockets that are known to have some.
    pub(crate) fn receive(&mut self, now: Instant, core: &mut Core) -> io::Result<Received> {
        let mut all = Received::default();
        for &id in &self.active {
            let Some(Some(namespace)) = self.list.get_mut(usize::from(id)) else {
                continue;
            };
            let overruns = namespace.adverts.overruns();
            let readable = &mut namespace.readable;
            for (family, readable) in [(Family::V4, &mut readable.v4), (Family::V6, &mut readable.v6)] {
                if core::mem::take(readable) {
                    let received =
                        namespace
                            .adverts
                            .receive(family, &mut self.batch, now, core, self.quiet.as_mut())?;
                    all.packets += received.packets;
                    all.more |= received.more;
                }
            }
            if core::mem::take(&mut namespace.readable.ah) {
                let received = namespace
                    .adverts
                    .receive_ah(&mut self.batch, now, core, self.quiet.as_mut())?;
                all.packets += received.packets;
                all.more |= received.more;
            }
            self.overruns += namespace.adverts.overruns().saturating_sub(overruns);
        }
        let list = &mut self.list;
        self.active.retain(|&id| match list.get_mut(usize::from(id)) {
            Some(Some(namespace)) => {
                namespace.active = namespace.readable.news;
                namespace.active
            }
            _ => false,
        });
        Ok(all)
    }

    /// Sends every advert that the core has, and those that are due to be tried again.
    pub(crate) fn send(&mut self, now: Instant, core: &mut Core, failures: &mut SendFailures) {
        for &id in &self.refused {
            if let Some(Some(namespace)) = self.list.get_mut(usize::from(id)) {
                namespace.adverts.retry(now, core, failures);
            }
        }
        while let Some(advert) = core.poll_advert() {
            let (slot, family, netns) = (advert.slot, advert.family, advert.interface.netns);
            let Some(Some(namespace)) = self.list.get_mut(usize::from(netns)) else {
                failures.refused(now, slot, libc::ENONET, core);
                continue;
            };
            match namespace.adverts.take(&advert, self.whole_frames) {
                Taken::First => self.staged.push(netns),
                Taken::Behind { full: false } => {}
                Taken::Behind { full: true } => namespace.adverts.make_room(family, now, core, failures),
                Taken::NoFamily => failures.refused(now, slot, libc::EAFNOSUPPORT, core),
            }
        }
        for id in self.staged.drain(..) {
            if let Some(Some(namespace)) = self.list.get_mut(usize::from(id)) {
                namespace.adverts.flush(now, core, failures);
                if namespace.adverts.retry_at().is_some() && !self.refused.contains(&id) {
                    self.refused.push(id);
                }
            }
        }
        let list = &self.list;
        self.refused.retain(|&id| {
            let namespace = list.get(usize::from(id)).and_then(Option::as_deref);
            namespace.is_some_and(|namespace| namespace.adverts.retry_at().is_some())
        });
    }

    /// The notes of what was kept from us.
    pub(crate) fn with_notes<T>(&mut self, what: impl FnOnce(&mut dyn Routine) -> T) -> T {
        match &mut self.quiet {
            Some(quiet) => what(quiet),
            None => what(&mut Everything),
        }
    }

    /// When a refused advert wants to be tried again.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        let refused = self.refused.iter().filter_map(|&id| self.get(id));
        refused.filter_map(|namespace| namespace.adverts.retry_at()).min()
    }

    /// Packets that the kernel dropped because a queue was full.
    pub(crate) const fn overruns(&self) -> u64 {
        self.overruns
    }

    /// How often the facts of one of them had to be read again.
    pub(crate) const fn resyncs(&self) -> u64 {
        self.resyncs
    }
}

const fn kind_of(family: Family) -> u8 {
    match family {
        Family::V4 => ADVERTS_V4,
        Family::V6 => ADVERTS_V6,
    }
}
