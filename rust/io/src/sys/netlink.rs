//! Datagrams to and from the kernel's netlink families.

use core::mem::{size_of, zeroed};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::{checked, checked_len, socket};

/// A socket that talks to the kernel: to its routing family, or to its packet filter.
pub(crate) struct Netlink {
    fd: OwnedFd,
}

impl Netlink {
    /// Opens a socket in the network namespace of the calling thread and subscribes it to `groups` (`RTNLGRP_*`).
    pub(crate) fn open(groups: &[u32]) -> io::Result<Self> {
        let socket = Self::open_family(libc::NETLINK_ROUTE)?;
        for &group in groups {
            socket::set(
                &socket.fd,
                libc::SOL_NETLINK,
                libc::NETLINK_ADD_MEMBERSHIP,
                group.cast_signed(),
            )?;
        }
        Ok(socket)
    }

    /// Opens a socket to the packet filter of the network namespace of the calling thread.
    pub(crate) fn open_netfilter() -> io::Result<Self> {
        Self::open_family(libc::NETLINK_NETFILTER)
    }

    fn open_family(family: libc::c_int) -> io::Result<Self> {
        let fd = socket::open(libc::AF_NETLINK, libc::SOCK_RAW, family)?;
        // SAFETY: all zero is a valid address; the kernel chooses the port.
        let mut address: libc::sockaddr_nl = unsafe { zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        let len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        // SAFETY: `address` is a valid address of `len` octets.
        checked(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) })?;
        // Errors come back as the header of the refused message, without the message itself.
        socket::set(&fd, libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, 1)?;
        Ok(Self { fd })
    }

    /// The name of an interface in the namespace of the socket, padded with zeros.
    pub(crate) fn interface_name(&self, index: u32) -> io::Result<[u8; libc::IFNAMSIZ]> {
        // SAFETY: all zero is a valid request.
        let mut request: libc::ifreq = unsafe { zeroed() };
        request.ifr_ifru.ifru_ifindex = index.cast_signed();
        // SAFETY: the kernel reads and writes one `ifreq`; sockets of all families answer this request.
        checked(unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::SIOCGIFNAME, &raw mut request) })?;
        Ok(request.ifr_name.map(libc::c_char::cast_unsigned))
    }

    /// Sends messages. The kernel carries out all of them before this returns; what it answers waits to be received.
    pub(crate) fn send(&self, messages: &[u8]) -> io::Result<()> {
        // SAFETY: the kernel reads `messages.len()` octets from the slice. An unconnected socket sends to the kernel.
        let sent = unsafe {
            libc::send(
                self.fd.as_raw_fd(),
                messages.as_ptr().cast(),
                messages.len(),
                libc::MSG_DONTWAIT,
            )
        };
        checked_len(sent).map(|_| ())
    }

    /// Takes one datagram, without waiting. `WouldBlock` when there is none; `ENOBUFS` when the kernel had to drop some;
    /// `EMSGSIZE` when it did not fit the buffer and its rest is lost.
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
                libc::MSG_DONTWAIT | libc::MSG_TRUNC,
                (&raw mut from).cast(),
                &raw mut from_len,
            )
        };
        let len = checked_len(len)?;
        if len > buffer.len() {
            return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
        }
        // Any process may send to our port; only the kernel is believed.
        Ok(if from.nl_pid == 0 { len } else { 0 })
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
