//! Wakes another thread, or is woken by it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use super::{checked, own};

/// A counter that is readable while it is not zero.
#[derive(Debug)]
pub struct EventFd {
    file: File,
}

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let fd = checked(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: just opened.
        let fd = unsafe { own(fd) };
        Ok(Self { file: File::from(fd) })
    }

    /// Makes it readable. Never blocks: a counter that is full is readable already.
    pub(crate) fn signal(&self) {
        // The only possible failure is EAGAIN from a full counter.
        let _full = (&self.file).write(&1_u64.to_ne_bytes());
    }

    /// Makes it unreadable; true when it was readable.
    pub(crate) fn clear(&self) -> bool {
        let mut count = [0; 8];
        (&self.file).read(&mut count).is_ok()
    }

    /// Waits until it is readable, and makes it unreadable.
    pub(crate) fn wait(&self) {
        let mut poll = libc::pollfd {
            fd: self.file.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        while !self.clear() {
            // SAFETY: one valid entry. Whatever it returns, the counter is looked at again.
            unsafe { libc::poll(&raw mut poll, 1, -1) };
        }
    }

    /// The number of the descriptor, for somebody else's event loop.
    #[must_use]
    pub fn raw(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_signals_are_one() {
        let event = EventFd::new().unwrap();
        assert!(!event.clear());
        event.signal();
        event.signal();
        assert!(event.clear());
        assert!(!event.clear());
    }
}
