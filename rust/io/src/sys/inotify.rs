//! File system events.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use super::{checked, checked_len, own};

/// An inotify instance.
#[derive(Debug)]
pub(crate) struct Inotify {
    fd: OwnedFd,
}

impl Inotify {
    pub(crate) fn open() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let fd = checked(unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) })?;
        // SAFETY: just opened.
        let fd = unsafe { own(fd) };
        Ok(Self { fd })
    }

    /// Watches a path; the number of the watch, the same one for an inode that is watched already.
    pub(crate) fn add(&self, path: &CStr, mask: u32) -> io::Result<i32> {
        // SAFETY: `path` ends with a NUL.
        checked(unsafe { libc::inotify_add_watch(self.fd.as_raw_fd(), path.as_ptr(), mask) })
    }

    /// Ends a watch. One that the kernel has ended already is an error (`EINVAL`).
    pub(crate) fn remove(&self, watch: i32) -> io::Result<()> {
        // SAFETY: takes no pointer.
        checked(unsafe { libc::inotify_rm_watch(self.fd.as_raw_fd(), watch) }).map(|_| ())
    }

    /// Takes whole events, without waiting. `WouldBlock` when there are none.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: the kernel writes at most `buffer.len()` octets into the slice.
        checked_len(unsafe { libc::read(self.fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) })
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
