//! Sockets and their options.

use core::mem::size_of;
use core::net::IpAddr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use libc::c_int;

use super::{checked, own};

/// Opens a socket: close-on-exec, non-blocking.
pub(crate) fn open(domain: c_int, kind: c_int, protocol: c_int) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointer.
    let fd = checked(unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, protocol) })?;
    // SAFETY: just opened.
    Ok(unsafe { own(fd) })
}

/// Sets an option whose value is a number.
pub(crate) fn set(socket: &impl AsFd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    set_raw(socket, level, name, &value)
}

/// Sets an option whose value is a structure of the kernel's.
pub(crate) fn set_raw<T: Copy>(socket: &impl AsFd, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    let value: *const T = value;
    // SAFETY: the kernel reads size_of::<T>() octets from a reference to a T.
    checked(unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            value.cast(),
            size_of::<T>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// Lets through what a classic BPF program accepts: (code, jump if true, jump if false, operand) for each step.
pub(crate) fn filter(socket: &impl AsFd, program: &[(u16, u8, u8, u32)]) -> io::Result<()> {
    let mut steps: Vec<libc::sock_filter> = program
        .iter()
        .map(|&(code, jt, jf, k)| libc::sock_filter { code, jt, jf, k })
        .collect();
    let program = libc::sock_fprog {
        len: steps.len().try_into().unwrap_or(u16::MAX),
        filter: steps.as_mut_ptr(),
    };
    // The kernel copies the steps before the call returns, while `steps` lives.
    set_raw(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// Reads an option whose value is a number.
pub(crate) fn get(socket: &impl AsFd, level: c_int, name: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut len = size_of::<c_int>() as libc::socklen_t;
    let place = (&raw mut value).cast();
    // SAFETY: `place` has room for the `len` octets that the kernel may write.
    checked(unsafe { libc::getsockopt(socket.as_fd().as_raw_fd(), level, name, place, &raw mut len) })?;
    Ok(value)
}

/// Which of a socket's two buffers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Buffer {
    /// What has arrived and was not read.
    Receive,
    /// What was sent and has not left.
    Send,
}

/// Makes a buffer at least `bytes` large, beyond the system's limit where that is permitted; returns its real size,
/// which includes the kernel's own overhead and is usually twice the number that was asked for.
pub(crate) fn enlarge(socket: &impl AsFd, buffer: Buffer, bytes: c_int) -> io::Result<usize> {
    let (force, polite) = match buffer {
        Buffer::Receive => (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
        Buffer::Send => (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
    };
    // Without CAP_NET_ADMIN the first is refused; the second silently stops at net.core.{r,w}mem_max.
    if set(socket, libc::SOL_SOCKET, force, bytes).is_err() {
        set(socket, libc::SOL_SOCKET, polite, bytes)?;
    }
    get(socket, libc::SOL_SOCKET, polite).map(|size| usize::try_from(size).unwrap_or(0))
}

/// Joins a multicast group on an interface.
pub(crate) fn join(socket: &impl AsFd, group: IpAddr, ifindex: u32) -> io::Result<()> {
    membership(
        socket,
        group,
        ifindex,
        libc::IP_ADD_MEMBERSHIP,
        libc::IPV6_ADD_MEMBERSHIP,
    )
}

/// Leaves a multicast group. An interface that is gone takes its memberships along, but not the socket's own list of
/// them: leaving such a group returns an error and still frees its place.
pub(crate) fn leave(socket: &impl AsFd, group: IpAddr, ifindex: u32) -> io::Result<()> {
    membership(
        socket,
        group,
        ifindex,
        libc::IP_DROP_MEMBERSHIP,
        libc::IPV6_DROP_MEMBERSHIP,
    )
}

fn membership(socket: &impl AsFd, group: IpAddr, ifindex: u32, v4: c_int, v6: c_int) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => {
            let request = libc::ip_mreqn {
                imr_multiaddr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(group.octets()),
                },
                imr_address: libc::in_addr { s_addr: 0 },
                imr_ifindex: ifindex.cast_signed(),
            };
            set_raw(socket, libc::IPPROTO_IP, v4, &request)
        }
        IpAddr::V6(group) => {
            let request = libc::ipv6_mreq {
                ipv6mr_multiaddr: libc::in6_addr {
                    s6_addr: group.octets(),
                },
                ipv6mr_interface: ifindex,
            };
            set_raw(socket, libc::IPPROTO_IPV6, v6, &request)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_grows() {
        let socket = open(libc::AF_INET, libc::SOCK_DGRAM, 0).unwrap();
        let before = get(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF).unwrap();
        let after = enlarge(&socket, Buffer::Receive, before).unwrap();
        assert!(after >= usize::try_from(before).unwrap());
    }

    #[test]
    fn a_group_can_be_joined_once_per_socket() {
        let socket = open(libc::AF_INET, libc::SOCK_DGRAM, 0).unwrap();
        let group = IpAddr::from([224, 0, 0, 18]);
        join(&socket, group, 1).unwrap();
        assert_eq!(
            join(&socket, group, 1).unwrap_err().raw_os_error(),
            Some(libc::EADDRINUSE)
        );
        leave(&socket, group, 1).unwrap();
        assert!(leave(&socket, group, 1).is_err());
    }
}
