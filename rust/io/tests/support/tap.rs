//! A packet socket that sees, and can send, what goes over a cable.

use std::io;
use std::mem::zeroed;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::{Netns, PATIENCE};

/// A frame and the time in µs when the kernel saw it (`CLOCK_REALTIME`).
pub struct Frame {
    pub at_us: u64,
    pub bytes: Vec<u8>,
}

/// Makes the kernel stamp received packets. It begins some milliseconds after the first socket asks for it, and until
/// then a frame gets the time when it is read; so this is asked for long before the first tap.
pub fn stamp_from_now_on() {
    static ASKED: OnceLock<UdpSocket> = OnceLock::new();
    ASKED.get_or_init(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let on: libc::c_int = 1;
        let option = (&raw const on).cast();
        // SAFETY: a valid number of that length.
        let set = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, option, 4) };
        assert_eq!(set, 0);
        socket
    });
}

/// Listens on one interface.
pub struct Tap {
    fd: OwnedFd,
    ifindex: i32,
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
            assert_eq!(
                unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) },
                0
            );
            let size: libc::c_int = 8 << 20;
            let option = (&raw const size).cast();
            // SAFETY: a valid number of that length.
            unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, option, 4) };
            Self { fd, ifindex }
        })
    }

    /// The next frame, if one comes within `patience`.
    pub fn next_within(&self, patience: Duration) -> Option<Frame> {
        let mut poll = libc::pollfd {
            fd: self.fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let timeout_ms = i32::try_from(patience.as_millis()).unwrap();
        // SAFETY: one valid entry.
        if unsafe { libc::poll(&raw mut poll, 1, timeout_ms) } != 1 {
            return None;
        }
        let mut bytes = vec![0; 2048];
        // SAFETY: a valid buffer of that length.
        let len = unsafe { libc::recv(self.fd.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        bytes.truncate(usize::try_from(len).unwrap());
        let mut at = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the kernel writes a time to a valid place (SIOCGSTAMPNS, the time of the frame received last).
        assert_eq!(unsafe { libc::ioctl(self.fd.as_raw_fd(), 0x8907, &raw mut at) }, 0);
        let at_us = u64::try_from(at.tv_sec).unwrap() * 1_000_000 + u64::try_from(at.tv_nsec).unwrap() / 1_000;
        Some(Frame { at_us, bytes })
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
