//! One epoll instance.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use super::{checked, own};

/// Most events fetched by one wait beside those of the namespaces that were added.
const SPARE: usize = 16;

/// Watches descriptors, each known by a [`Token`].
pub(crate) struct Epoll {
    fd: OwnedFd,
    /// Room for every descriptor, so that one wait tells of all that are readable.
    events: Vec<libc::epoll_event>,
    count: usize,
}

/// What a descriptor is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Token {
    /// What it is; meant for the caller.
    pub(crate) kind: u8,
    /// The network namespace it belongs to.
    pub(crate) netns: u16,
}

/// How a descriptor is watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trigger {
    /// Reported as long as there is something to read.
    Level,
    /// Reported once per arrival: what is reported needs no read to be silenced.
    Edge,
}

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let fd = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: just opened.
        let fd = unsafe { own(fd) };
        Ok(Self {
            fd,
            events: vec![EMPTY; SPARE],
            count: 0,
        })
    }

    /// Watches `source` for input. It is forgotten by itself when its last descriptor is closed.
    pub(crate) fn add(&mut self, source: &impl AsFd, token: Token, trigger: Trigger) -> io::Result<()> {
        let edge = if trigger == Trigger::Edge { libc::EPOLLET } else { 0 };
        let mut event = libc::epoll_event {
            events: (libc::EPOLLIN | edge).cast_unsigned(),
            u64: u64::from(token.netns) << 8 | u64::from(token.kind),
        };
        let source = source.as_fd().as_raw_fd();
        // SAFETY: both descriptors are open for the length of the call and `event` is a valid event.
        checked(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, source, &raw mut event) })?;
        self.events.push(EMPTY);
        Ok(())
    }

    /// Watches `source` no longer, although it may still be open for a while.
    pub(crate) fn remove(&self, source: &impl AsFd) {
        let source = source.as_fd().as_raw_fd();
        // SAFETY: both descriptors are open for the length of the call; no event is read.
        let removed =
            unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_DEL, source, core::ptr::null_mut()) };
        debug_assert_eq!(removed, 0);
    }

    /// Waits until something is readable, or only looks when `block` is false. A signal counts as nothing readable.
    pub(crate) fn wait(&mut self, block: bool) -> io::Result<()> {
        let timeout_ms = if block { -1 } else { 0 };
        let room = libc::c_int::try_from(self.events.len()).unwrap_or(libc::c_int::MAX);
        // SAFETY: the kernel writes at most `room` events into the vector, which holds at least as many.
        let count = unsafe { libc::epoll_wait(self.fd.as_raw_fd(), self.events.as_mut_ptr(), room, timeout_ms) };
        self.count = match checked(count) {
            Ok(count) => usize::try_from(count).unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        Ok(())
    }

    /// What the last wait found readable, or with an error to fetch.
    pub(crate) fn ready(&self) -> impl Iterator<Item = Token> {
        self.events[..self.count].iter().map(|event| {
            let token = event.u64;
            Token {
                kind: (token & 0xff) as u8,
                netns: (token >> 8 & 0xffff) as u16,
            }
        })
    }
}

const EMPTY: libc::epoll_event = libc::epoll_event { events: 0, u64: 0 };
