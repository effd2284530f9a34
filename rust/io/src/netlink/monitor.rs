//! Facts about links and addresses, complete at any time: dumps, changes, and dumps again after a loss.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use keepvip_proto::engine::Core;
use keepvip_proto::time::Instant;
use keepvip_proto::vrrp::config::NetnsId;
use keepvip_proto::vrrp::output::{IfId, LinkFact};
use keepvip_proto::wire::Family;
use keepvip_proto::wire::rtnl::{self, DUMP_REQUEST_LEN, Message, Payload, Requests};

use super::fact;
use crate::sys::netlink::Netlink;
use crate::sys::{errno, socket};

/// `RTNLGRP_*` numbers: links, IPv4 addresses, IPv6 addresses, IPv6 forwarding.
const GROUPS: [u32; 4] = [1, 5, 9, 25];
/// Octets of notifications that may wait; the kernel doubles them.
const BUFFER: libc::c_int = 8 << 20;
/// Largest datagram: the kernel fills dumps in pieces of 32 KiB.
pub(crate) const DATAGRAM: usize = 64 * 1024;
/// What a turn of the loop handles, in messages: changes come one by one and are read together as far as possible, since
/// the core judges them together; the pieces of a dump, with some 30 links each, take turns with the adverts.
const PER_TURN: usize = 1024;
/// What a piece of a dump counts for.
const DUMP_PIECE: usize = 128;

/// The dumps that make a complete picture, in their order: addresses after the links that they are on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Dump {
    Links,
    V4Addresses,
    V6Addresses,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sync {
    /// All is known and every change is told.
    Complete,
    /// A dump is under way. `spoiled`: something was lost meanwhile, so that the round must be repeated.
    Reading { dump: Dump, spoiled: bool },
    /// The kernel refused the request for a dump; it is asked again at the next turn.
    Asking(Dump),
}

/// What a turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pumped {
    /// Some message was handled.
    pub(crate) news: bool,
    /// There is more to read.
    pub(crate) more: bool,
}

/// Subscribes to the changes of one network namespace.
pub(crate) struct Monitor {
    netns: NetnsId,
    socket: Netlink,
    sync: Sync,
    seq: u32,
    /// Links as last told: news about forwarding come without the rest.
    links: HashMap<u32, LinkFact>,
    /// Complete readings that an overrun made necessary.
    resyncs: u64,
    started: bool,
}

impl Monitor {
    /// Opens the socket in the network namespace of the calling thread.
    pub(crate) fn open(netns: NetnsId) -> io::Result<Self> {
        let socket = Netlink::open(&GROUPS)?;
        socket::enlarge(&socket, socket::Buffer::Receive, BUFFER)?;
        Ok(Self {
            netns,
            socket,
            sync: Sync::Complete,
            seq: 0,
            links: HashMap::new(),
            resyncs: 0,
            started: false,
        })
    }

    /// True once everything was read for the first time.
    pub(crate) const fn started(&self) -> bool {
        self.started
    }

    /// How often everything had to be read again.
    pub(crate) const fn resyncs(&self) -> u64 {
        self.resyncs
    }

    /// True while a dump is being read, or waits to be asked for.
    pub(crate) const fn reading(&self) -> bool {
        !matches!(self.sync, Sync::Complete)
    }

    /// Starts to read everything anew. The facts follow with later calls of [`Self::pump`].
    pub(crate) fn resync(&mut self, core: &mut Core) -> io::Result<()> {
        core.begin_resync(self.netns);
        self.ask(Dump::Links)
    }

    /// Handles some of what waits. `buffer` has [`DATAGRAM`] octets.
    pub(crate) fn pump(&mut self, buffer: &mut [u8], now: Instant, core: &mut Core) -> io::Result<Pumped> {
        let mut pumped = Pumped::default();
        if let Sync::Asking(dump) = self.sync {
            self.ask(dump)?;
        }
        let mut budget = PER_TURN;
        while budget > 0 {
            budget = budget.saturating_sub(if self.reading() { DUMP_PIECE } else { 1 });
            match self.socket.receive(buffer) {
                Ok(len) => {
                    self.handle_datagram(&buffer[..len], now, core)?;
                    pumped.news = true;
                }
                Err(error) => match errno(&error) {
                    libc::EAGAIN => {
                        // Nothing will come while the request for it was refused.
                        pumped.more = matches!(self.sync, Sync::Asking(_));
                        return Ok(pumped);
                    }
                    libc::EINTR => {}
                    // ENOBUFS: the kernel dropped notifications. EMSGSIZE: we lost the end of one.
                    libc::ENOBUFS | libc::EMSGSIZE => self.lost(core)?,
                    _ => return Err(error),
                },
            }
        }
        pumped.more = true;
        Ok(pumped)
    }

    /// Messages are missing: what is known may be wrong.
    fn lost(&mut self, core: &mut Core) -> io::Result<()> {
        match &mut self.sync {
            Sync::Complete => {
                self.resyncs += 1;
                self.resync(core)
            }
            Sync::Reading { spoiled, .. } => {
                *spoiled = true;
                Ok(())
            }
            Sync::Asking(dump) => {
                *dump = Dump::Links;
                core.begin_resync(self.netns);
                Ok(())
            }
        }
    }

    fn handle_datagram(&mut self, datagram: &[u8], now: Instant, core: &mut Core) -> io::Result<()> {
        for message in rtnl::messages(datagram) {
            let Ok(message) = message else {
                // Nothing after it can be found.
                return self.lost(core);
            };
            match message.parse() {
                Ok(Payload::Done { errno }) => self.done(&message, errno, now, core)?,
                Ok(Payload::Answer(answer)) if answer.seq == self.seq => self.refused(answer.errno)?,
                Ok(Payload::Overrun) => self.lost(core)?,
                Ok(payload) => self.tell(&payload, core),
                // A message that does not make sense is a message that is missing.
                Err(_) => self.lost(core)?,
            }
            if message.dump_interrupted()
                && let Sync::Reading { spoiled, .. } = &mut self.sync
            {
                *spoiled = true;
            }
        }
        Ok(())
    }

    fn tell(&mut self, payload: &Payload, core: &mut Core) {
        match payload {
            Payload::NewLink(link) => {
                let link = fact::link(self.netns, link);
                self.links.insert(link.id.index, link);
                core.handle_link(link);
            }
            Payload::DelLink(link) => {
                self.links.remove(&link.index);
                core.handle_link_gone(IfId {
                    netns: self.netns,
                    index: link.index,
                });
            }
            Payload::NewAddress(address) => core.handle_address(fact::address(self.netns, address)),
            Payload::DelAddress(address) => {
                let interface = IfId {
                    netns: self.netns,
                    index: address.index,
                };
                core.handle_address_gone(interface, address.local, address.prefix_len);
            }
            Payload::NetConf(conf) => {
                if let Some(link) = self.links.get_mut(&conf.index)
                    && link.router != conf.ipv6_forwarding
                {
                    link.router = conf.ipv6_forwarding;
                    core.handle_link(*link);
                }
            }
            Payload::Answer(_) | Payload::Done { .. } | Payload::Overrun | Payload::Noop | Payload::Other => {}
        }
    }

    /// The end of a dump.
    fn done(&mut self, message: &Message<'_>, errno: i32, now: Instant, core: &mut Core) -> io::Result<()> {
        let Sync::Reading { dump, spoiled } = self.sync else {
            return Ok(());
        };
        if message.seq != self.seq {
            return Ok(());
        }
        if spoiled || errno != 0 || message.dump_interrupted() {
            return self.resync(core);
        }
        match dump {
            Dump::Links => self.ask(Dump::V4Addresses),
            Dump::V4Addresses => self.ask(Dump::V6Addresses),
            Dump::V6Addresses => {
                self.sync = Sync::Complete;
                self.started = true;
                core.end_resync(now, self.netns);
                Ok(())
            }
        }
    }

    /// A dump could not be started.
    fn refused(&mut self, errno: i32) -> io::Result<()> {
        match self.sync {
            // Another one is still under way, or the queue that it would go to is full: both pass.
            Sync::Reading { dump, .. } if matches!(errno, libc::EBUSY | libc::ENOMEM | libc::ENOBUFS) => {
                self.sync = Sync::Asking(dump);
                Ok(())
            }
            _ if errno == 0 => Ok(()),
            _ => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    fn ask(&mut self, dump: Dump) -> io::Result<()> {
        self.seq = self.seq.wrapping_add(1);
        let mut buffer = [0; DUMP_REQUEST_LEN];
        let mut requests = Requests::new(&mut buffer);
        let staged = match dump {
            Dump::Links => requests.dump_links(self.seq),
            Dump::V4Addresses => requests.dump_addresses(self.seq, Some(Family::V4)),
            Dump::V6Addresses => requests.dump_addresses(self.seq, Some(Family::V6)),
        };
        staged.map_err(io::Error::other)?;
        self.sync = match self.socket.send(requests.as_bytes()) {
            Ok(()) => Sync::Reading { dump, spoiled: false },
            Err(error) if matches!(errno(&error), libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM | libc::EINTR) => {
                Sync::Asking(dump)
            }
            Err(error) => return Err(error),
        };
        Ok(())
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
