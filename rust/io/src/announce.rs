//! Gratuitous ARPs and unsolicited neighbour advertisements: one packet socket, complete frames.

use std::io;
use std::os::fd::OwnedFd;

use keepvip_proto::engine::Core;
use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::config::Family;

use crate::failures::SendFailures;
use crate::sys::cmsg::Control;
use crate::sys::mmsg::SendBatch;
use crate::sys::sockaddr::SockAddr;
use crate::sys::{errno, socket};

/// Longest frame: Ethernet, IPv6 and a neighbour advertisement with its option, and some reserve.
const FRAME: usize = 128;
/// How soon a refused frame is tried again, and how often.
const RETRY_AFTER: Duration = Duration::from_micros(1_000);
const TRIES: u8 = 5;

/// Sends what the core announces, at most one system call's worth per turn of the loop.
pub(crate) struct Announcements {
    socket: OwnedFd,
    out: SendBatch,
    tries: u8,
    retry_at: Option<Instant>,
}

impl Announcements {
    /// Opens the socket in the network namespace of the calling thread. Protocol 0: it receives nothing.
    pub(crate) fn open() -> io::Result<Self> {
        let socket = socket::open(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
        Ok(Self {
            socket,
            out: SendBatch::new(),
            tries: 0,
            retry_at: None,
        })
    }

    /// Sends one batch. While a device refuses frames nothing more is taken from the core; true when there may be more
    /// to send at once.
    pub(crate) fn send(&mut self, now: Instant, core: &mut Core, failures: &mut SendFailures) -> bool {
        if self.out.is_empty() {
            self.fill(now, core);
        } else if self.retry_at.is_some_and(|at| at > now) {
            return false;
        }
        let full = !self.out.has_room(FRAME);
        self.retry_at = None;
        while let Some((_, slot)) = self.out.next() {
            match self.out.send(&self.socket).map_err(|error| errno(&error)) {
                Ok(count) => {
                    self.tries = 0;
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
                }
            }
        }
        self.out.clear();
        full
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
        }
    }
}
