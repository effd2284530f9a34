//! One epoll instance.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use super::{checked, own};

/// Most events fetched by one wait; the engine watches fewer descriptors than that.
const EVENTS: usize = 16;

/// Watches a handful of descriptors, each known by a token of 0 to 63.
pub(crate) struct Epoll {
    fd: OwnedFd,
}

/// How a descriptor is watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trigger {
    /// Reported as long as there is something to read.
    Level,
    /// Reported once per arrival: what is reported needs no read to be silenced.
    Edge,
}

/// The set of tokens that are readable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ready(u64);

impl Ready {
    /// True when the descriptor of `token` is readable, or has an error to fetch.
    pub(crate) const fn has(self, token: u8) -> bool {
        self.0 & (1 << token) != 0
    }
}

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let fd = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: just opened.
        let fd = unsafe { own(fd) };
        Ok(Self { fd })
    }

    /// Watches `source` for input. It is forgotten by itself when its last descriptor is closed.
    pub(crate) fn add(&self, source: &impl AsFd, token: u8, trigger: Trigger) -> io::Result<()> {
        let edge = if trigger == Trigger::Edge { libc::EPOLLET } else { 0 };
        let mut event = libc::epoll_event {
            events: (libc::EPOLLIN | edge).cast_unsigned(),
            u64: token.into(),
        };
        let source = source.as_fd().as_raw_fd();
        // SAFETY: both descriptors are open for the length of the call and `event` is a valid event.
        checked(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, source, &raw mut event) })?;
        Ok(())
    }

    /// Waits until something is readable, or only looks when `block` is false. A signal counts as nothing readable.
    pub(crate) fn wait(&self, block: bool) -> io::Result<Ready> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        let timeout_ms = if block { -1 } else { 0 };
        // SAFETY: the kernel writes at most EVENTS events into the array of that length.
        let count = unsafe {
            libc::epoll_wait(
                self.fd.as_raw_fd(),
                events.as_mut_ptr(),
                EVENTS as libc::c_int,
                timeout_ms,
            )
        };
        let count = match checked(count) {
            Ok(count) => usize::try_from(count).unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        Ok(Ready(
            events[..count].iter().fold(0, |set, event| set | 1 << (event.u64 & 63)),
        ))
    }
}
