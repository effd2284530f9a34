//! Network namespaces: entering one, and hearing of their names.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::thread;

use super::{checked, own};

/// Stack of a thread that only opens sockets.
const STACK: usize = 128 * 1024;

/// Runs `work` in a namespace. A thread enters it and ends there: nothing has to find its way back.
pub(crate) fn within<T: Send>(
    name: &str,
    namespace: &File,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    let enter = || {
        // SAFETY: takes no pointer; changes the calling thread only.
        checked(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) })?;
        work()
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name(name.into())
            .stack_size(STACK)
            .spawn_scoped(scope, enter)?;
        let panicked = |_| io::Error::other("the thread in the namespace panicked");
        thread.join().map_err(panicked)?
    })
}

/// Says when entries of a folder come or go.
pub(crate) struct FolderWatch(OwnedFd);

impl FolderWatch {
    /// Fails when there is no such folder.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let fd = checked(unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) })?;
        // SAFETY: just opened.
        let watch = Self(unsafe { own(fd) });
        let path = std::ffi::CString::new(folder.as_os_str().as_encoded_bytes()).map_err(io::Error::other)?;
        let events = libc::IN_CREATE | libc::IN_DELETE | libc::IN_MOVED_FROM | libc::IN_MOVED_TO | libc::IN_ONLYDIR;
        // SAFETY: `path` is a string that ends with a zero and lives for the length of the call.
        checked(unsafe { libc::inotify_add_watch(watch.0.as_raw_fd(), path.as_ptr(), events) })?;
        Ok(watch)
    }

    /// Makes it unreadable.
    pub(crate) fn clear(&self) {
        let mut buffer = [0_u8; 4096];
        // SAFETY: the kernel writes at most `buffer.len()` octets into the buffer.
        while unsafe { libc::read(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) } > 0 {}
    }
}

impl AsFd for FolderWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits until one of two descriptors is readable, at most `timeout_ms` (-1: without limit).
pub(crate) fn wait_for(first: &impl AsFd, second: Option<&impl AsFd>, timeout_ms: i32) {
    let entry = |fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    // A negative number is passed over by the kernel.
    let second = second.map_or(-1, |fd| fd.as_fd().as_raw_fd());
    let mut entries = [entry(first.as_fd().as_raw_fd()), entry(second)];
    // SAFETY: two valid entries. Whatever it returns, the caller looks at everything again.
    unsafe { libc::poll(entries.as_mut_ptr(), 2, timeout_ms) };
}
