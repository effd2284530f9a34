//! The kernel's process event connector.

use core::mem::{size_of, zeroed};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use keepvip_proto::wire::proc_event::what;

use super::{checked, checked_len, socket};

/// `CN_IDX_PROC` as a bit of the groups of a netlink address.
const GROUPS: u32 = 1;

/// A socket that hears of every process of the host.
#[derive(Debug)]
pub(crate) struct Connector {
    fd: OwnedFd,
}

impl Connector {
    /// Opens a socket in the network namespace of the calling thread; the connector answers in the first one only.
    pub(crate) fn open() -> io::Result<Self> {
        let fd = socket::open(libc::AF_NETLINK, libc::SOCK_DGRAM, libc::NETLINK_CONNECTOR)?;
        attach_filter(&fd)?;
        // SAFETY: all zero is a valid address; the kernel chooses the port.
        let mut address: libc::sockaddr_nl = unsafe { zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        address.nl_groups = GROUPS;
        let len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        // SAFETY: `address` is a valid address of `len` octets.
        checked(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) })?;
        Ok(Self { fd })
    }

    pub(crate) fn send(&self, message: &[u8]) -> io::Result<()> {
        // SAFETY: the kernel reads `message.len()` octets from the slice.
        let sent = unsafe {
            libc::send(
                self.fd.as_raw_fd(),
                message.as_ptr().cast(),
                message.len(),
                libc::MSG_DONTWAIT,
            )
        };
        checked_len(sent).map(|_| ())
    }

    /// Takes one datagram, without waiting. `ENOBUFS` when some were lost.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: all zero is a valid address.
        let mut from: libc::sockaddr_nl = unsafe { zeroed() };
        let mut from_len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `buffer.len()` octets into the slice and at most `from_len` into `from`.
        let len = unsafe {
            libc::recvfrom(
                self.fd.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_DONTWAIT,
                (&raw mut from).cast(),
                &raw mut from_len,
            )
        };
        let len = checked_len(len)?;
        // Any process may send to our port; only the kernel is believed.
        Ok(if from.nl_pid == 0 { len } else { 0 })
    }

    /// Waits until something can be read, or the time is up.
    pub(crate) fn wait(&self, timeout_ms: i32) -> bool {
        let mut poll = libc::pollfd {
            fd: self.fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one valid entry.
        unsafe { libc::poll(&raw mut poll, 1, timeout_ms) > 0 }
    }

    /// Makes the receive buffer this large; with `force` beyond the limit of the system.
    pub(crate) fn set_buffer(&self, bytes: i32, force: bool) -> io::Result<()> {
        let name = if force { libc::SO_RCVBUFFORCE } else { libc::SO_RCVBUF };
        socket::set(&self.fd, libc::SOL_SOCKET, name, bytes)
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Moves the calling thread, for the rest of its life, into the first network namespace of the host: that of its first
/// process or, where we may not look at that one, of the first kernel thread.
pub(crate) fn enter_first_namespace() -> io::Result<()> {
    let namespace = File::open("/proc/1/ns/net").or_else(|_| File::open("/proc/2/ns/net"))?;
    // SAFETY: a valid descriptor.
    checked(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) }).map(|_| ())
}

/// Only what is about processes, and of interest, wakes us: not threads, not the many other kinds of events.
fn attach_filter(fd: &OwnedFd) -> io::Result<()> {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const EQUALS: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const EQUALS_X: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_X;
    const TO_X: u32 = libc::BPF_MISC | libc::BPF_TAX;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    let step = |code: u32, jt, jf, k| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    // The filter loads words as if they were in network order; jumps count from the next step.
    let is = |kind: u32, jt, jf| step(EQUALS, jt, jf, kind.to_be());
    let mut program = [
        step(LOAD, 0, 0, 36),
        is(what::NONE, 12, 0),
        is(what::FORK, 3, 0),
        is(what::EXEC, 6, 0),
        is(what::COMM, 5, 0),
        is(what::EXIT, 4, 9),
        // 6, a fork: is the child the first thread of its process?
        step(LOAD, 0, 0, 60),
        step(TO_X, 0, 0, 0),
        step(LOAD, 0, 0, 64),
        step(EQUALS_X, 4, 5, 0),
        // 10, all others: is it the first thread of its process?
        step(LOAD, 0, 0, 52),
        step(TO_X, 0, 0, 0),
        step(LOAD, 0, 0, 56),
        step(EQUALS_X, 0, 1, 0),
        // 14, 15
        step(RETURN, 0, 0, u32::MAX),
        step(RETURN, 0, 0, 0),
    ];
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    socket::set_raw(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)
}
