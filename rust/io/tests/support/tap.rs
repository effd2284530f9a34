//! A packet socket that sees, and can send, what goes over a cable.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::{Netns, PATIENCE};

/// A frame and the time in µs when it was read (`CLOCK_MONOTONIC`, as the engine's records).
pub struct Frame {
    pub at_us: u64,
    pub bytes: Vec<u8>,
}

/// Listens on one interface.
///
/// A thread of its own, with real-time scheduling, reads the frames as they come: what the kernel would stamp on them is
/// not there for all frames, and on another clock.
pub struct Tap {
    fd: Arc<OwnedFd>,
    ifindex: i32,
    frames: Receiver<Frame>,
    done: Arc<AtomicBool>,
}

impl Tap {
    /// Sees every frame on `interface`, whatever its direction.
    pub fn open(netns: &Netns, interface: &str) -> Self {
        netns.run(|| {
            let name = std::ffi::CString::new(interface).unwrap();
            // SAFETY: a valid string.
            let ifindex = unsafe { libc::if_nametoindex(name.as_ptr()) }.cast_signed();
            assert_ne!(ifindex, 0, "no interface {interface}");
            let all = (libc::ETH_P_ALL as u16).to_be();
            // SAFETY: takes no pointer.
            let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, i32::from(all)) };
            assert!(fd >= 0, "{}", io::Error::last_os_error());
            // SAFETY: just opened.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            // SAFETY: all zero is a valid address.
            let mut address: libc::sockaddr_ll = unsafe { zeroed() };
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_protocol = all;
            address.sll_ifindex = ifindex;
            let len = size_of::<libc::sockaddr_ll>() as u32;
            // SAFETY: a valid address of that length.
            let bound = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) };
            assert_eq!(bound, 0, "{}", io::Error::last_os_error());
            let size: libc::c_int = 8 << 20;
            let option = (&raw const size).cast();
            // SAFETY: a valid number of that length.
            unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, option, 4) };
            let fd = Arc::new(fd);
            let (sink, frames) = channel();
            let done = Arc::new(AtomicBool::new(false));
            std::thread::spawn({
                let (fd, done) = (Arc::clone(&fd), Arc::clone(&done));
                move || read(&fd, &done, &sink)
            });
            Self {
                fd,
                ifindex,
                frames,
                done,
            }
        })
    }

    /// The next frame, if one comes within `patience`.
    pub fn next_within(&self, patience: Duration) -> Option<Frame> {
        self.frames.recv_timeout(patience).ok()
    }

    /// Waits for a frame that `wanted` answers for; others are skipped.
    pub fn wait<T>(&self, what: &str, mut wanted: impl FnMut(&Frame) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        while let Some(frame) = self.next_within(deadline.saturating_duration_since(Instant::now())) {
            if let Some(found) = wanted(&frame) {
                return found;
            }
        }
        panic!("no frame in sight: {what}");
    }

    /// Everything that comes within `span`.
    pub fn collect(&self, span: Duration) -> Vec<Frame> {
        let end = Instant::now() + span;
        let left = || end.saturating_duration_since(Instant::now());
        std::iter::from_fn(|| self.next_within(left())).collect()
    }

    /// The way to send on the same interface, also from another thread.
    pub fn injector(&self) -> Injector {
        Injector {
            fd: Arc::clone(&self.fd),
            ifindex: self.ifindex,
        }
    }
}

/// Sends on one interface.
pub struct Injector {
    fd: Arc<OwnedFd>,
    ifindex: i32,
}

impl Injector {
    /// Sends a complete frame.
    pub fn send(&self, frame: &[u8]) {
        // SAFETY: all zero is a valid address.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = self.ifindex;
        let len = size_of::<libc::sockaddr_ll>() as u32;
        // SAFETY: a valid buffer and a valid address, both of the lengths given.
        let sent = unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const address).cast(),
                len,
            )
        };
        assert_eq!(
            usize::try_from(sent).unwrap_or(0),
            frame.len(),
            "{}",
            io::Error::last_os_error()
        );
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

/// Gives the calling thread real-time scheduling, so that a busy machine does not bend the test.
pub fn be_punctual() {
    // SAFETY: all zero is a valid parameter block.
    let mut param: libc::sched_param = unsafe { zeroed() };
    param.sched_priority = 20;
    // SAFETY: `param` is valid. Refused, the times are less exact, and that is all.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &raw const param) };
}

fn read(fd: &OwnedFd, done: &AtomicBool, sink: &Sender<Frame>) {
    be_punctual();
    while !done.load(Ordering::Relaxed) {
        let mut poll = libc::pollfd {
            fd: fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one valid entry.
        if unsafe { libc::poll(&raw mut poll, 1, 50) } != 1 {
            continue;
        }
        let mut bytes = vec![0; 2048];
        // SAFETY: a valid buffer of that length.
        let len = unsafe {
            libc::recv(
                fd.as_raw_fd(),
                bytes.as_mut_ptr().cast(),
                bytes.len(),
                libc::MSG_DONTWAIT,
            )
        };
        let Ok(len) = usize::try_from(len) else {
            return;
        };
        bytes.truncate(len);
        if sink.send(Frame { at_us: now_us(), bytes }).is_err() {
            return;
        }
    }
}

/// `CLOCK_MONOTONIC` now, in µs.
pub fn now_us() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid place for the result.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    u64::try_from(now.tv_sec).unwrap() * 1_000_000 + u64::try_from(now.tv_nsec).unwrap() / 1_000
}
