//! Gratuitous ARPs and unsolicited neighbour advertisements: complete frames, by one packet socket per namespace.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

use keepvip_proto::engine::Core;
use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::config::{Family, NetnsId};

use crate::failures::SendFailures;
use crate::netns::Namespaces;
use crate::sys::cmsg::Control;
use crate::sys::mmsg::{BATCH, SendBatch};
use crate::sys::sockaddr::SockAddr;
use crate::sys::{errno, socket};

/// Longest frame: Ethernet, IPv6 and a neighbour advertisement with its option, and some reserve.
const FRAME: usize = 128;
/// How soon a refused frame is tried again, and how often.
const RETRY_AFTER: Duration = Duration::from_micros(1_000);
const TRIES: u8 = 5;

/// Opens the socket for it in the network namespace of the calling thread. Protocol 0: it receives nothing.
pub(crate) fn open() -> io::Result<OwnedFd> {
    socket::open(libc::AF_PACKET, libc::SOCK_RAW, 0)
}

/// Sends what the core announces, at most one batch per turn of the loop.
pub(crate) struct Announcements {
    out: SendBatch,
    /// The namespaces of what is staged, with how many frames in a row are for each.
    runs: VecDeque<(NetnsId, usize)>,
    tries: u8,
    retry_at: Option<Instant>,
}

impl Announcements {
    pub(crate) fn new() -> Self {
        Self {
            out: SendBatch::new(),
            runs: VecDeque::with_capacity(BATCH),
            tries: 0,
            retry_at: None,
        }
    }

    /// Sends one batch. While a device refuses frames nothing more is taken from the core; true when there may be more
    /// to send at once.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        core: &mut Core,
        namespaces: &Namespaces,
        failures: &mut SendFailures,
    ) -> bool {
        if self.out.is_empty() {
            self.fill(now, core);
        } else if self.retry_at.is_some_and(|at| at > now) {
            return false;
        }
        let full = !self.out.has_room(FRAME);
        self.retry_at = None;
        while let Some((_, slot)) = self.out.next()
            && let Some(&(netns, run)) = self.runs.front()
        {
            let Some(namespace) = namespaces.get(netns) else {
                // It is gone, and its neighbours with it.
                self.out.skip();
                self.passed(1);
                continue;
            };
            match self.out.send(&namespace.announce, run).map_err(|error| errno(&error)) {
                Ok(count) => {
                    self.tries = 0;
                    self.passed(count);
                    failures.sent(now, self.out.sent(count), core);
                }
                Err(libc::EINTR) => {}
                Err(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) if self.tries < TRIES => {
                    self.tries += 1;
                    self.retry_at = Some(now + RETRY_AFTER);
                    return false;
                }
                Err(errno) => {
                    self.tries = 0;
                    failures.refused(now, slot, errno, core);
                    self.out.skip();
                    self.passed(1);
                }
            }
        }
        self.out.clear();
        self.runs.clear();
        full
    }

    /// Frames of the first run that are done with.
    fn passed(&mut self, count: usize) {
        if let Some((_, run)) = self.runs.front_mut() {
            *run = run.saturating_sub(count);
            if *run == 0 {
                self.runs.pop_front();
            }
        }
    }

    /// When refused frames want to be tried again. Until then the core's own announcement times mean nothing.
    pub(crate) const fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    fn fill(&mut self, now: Instant, core: &mut Core) {
        self.out.clear();
        while self.out.has_room(FRAME) {
            let Some(frame) = core.poll_announce(now, self.out.space()) else {
                break;
            };
            let mut destination = [0; 6];
            destination.copy_from_slice(&self.out.space()[..6]);
            let ethertype = match frame.family {
                Family::V4 => libc::ETH_P_ARP,
                Family::V6 => libc::ETH_P_IPV6,
            };
            let address = SockAddr::link(frame.interface.index, ethertype as u16, destination);
            self.out.push(frame.len, address, Control::EMPTY, frame.slot);
            match self.runs.back_mut() {
                Some((netns, run)) if *netns == frame.interface.netns => *run += 1,
                _ => self.runs.push_back((frame.interface.netns, 1)),
            }
        }
    }
}
