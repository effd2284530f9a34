//! System calls, each behind a safe function: the only unsafe code of the workspace.
//!
//! Nothing here knows VRRP. Buffers are passed as slices whose lengths the wrappers hand to the kernel themselves, so a
//! caller cannot make the kernel write beyond what it owns. All descriptors are close-on-exec and non-blocking.

pub(crate) mod bpf;
pub(crate) mod clock;
pub(crate) mod cmsg;
pub(crate) mod connector;
pub(crate) mod epoll;
pub(crate) mod eventfd;
pub(crate) mod inotify;
pub(crate) mod mmsg;
pub(crate) mod netlink;
pub(crate) mod netns;
pub(crate) mod sched;
pub(crate) mod sockaddr;
pub(crate) mod socket;
pub(crate) mod timerfd;

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use libc::c_int;

/// Turns the -1 of a system call into the error that `errno` names.
fn checked(ret: c_int) -> io::Result<c_int> {
    if ret == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(ret)
    }
}

/// The same for calls that return a length.
fn checked_len(ret: isize) -> io::Result<usize> {
    usize::try_from(ret).map_err(|_| io::Error::last_os_error())
}

/// Takes ownership of the descriptor that a system call has just returned.
///
/// # Safety
/// `fd` is the result of a successful call that opened it, and nothing else owns it.
unsafe fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: by the contract of this function the descriptor is open and ours alone.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// The errno of an error; `EIO` for one that did not come from the kernel.
pub(crate) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}
