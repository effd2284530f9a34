//! Socket addresses as the kernel lays them out, written and read without casting pointers.

use core::mem::{offset_of, size_of};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Largest address that is used: `sockaddr_in6`.
pub(crate) const LEN: usize = 28;

/// An address of any family in kernel layout.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(crate) struct SockAddr {
    bytes: [u8; LEN],
    /// Octets in use.
    len: u32,
}

impl SockAddr {
    /// Nothing yet; the kernel fills it in.
    pub(crate) const EMPTY: Self = Self {
        bytes: [0; LEN],
        len: 0,
    };

    /// An IP address without a port. `scope` names the interface of an IPv6 link-local address.
    pub(crate) fn ip(addr: IpAddr, scope: u32) -> Self {
        let mut bytes = [0; LEN];
        match addr {
            IpAddr::V4(addr) => {
                put(
                    &mut bytes,
                    offset_of!(libc::sockaddr_in, sin_family),
                    &family(libc::AF_INET),
                );
                put(&mut bytes, offset_of!(libc::sockaddr_in, sin_addr), &addr.octets());
                Self::new(bytes, size_of::<libc::sockaddr_in>())
            }
            IpAddr::V6(addr) => {
                put(
                    &mut bytes,
                    offset_of!(libc::sockaddr_in6, sin6_family),
                    &family(libc::AF_INET6),
                );
                put(&mut bytes, offset_of!(libc::sockaddr_in6, sin6_addr), &addr.octets());
                put(
                    &mut bytes,
                    offset_of!(libc::sockaddr_in6, sin6_scope_id),
                    &scope.to_ne_bytes(),
                );
                Self::new(bytes, size_of::<libc::sockaddr_in6>())
            }
        }
    }

    /// The interface and the ethertype that a complete Ethernet frame leaves by (`packet(7)`).
    pub(crate) fn link(ifindex: u32, ethertype: u16, destination: [u8; 6]) -> Self {
        let mut bytes = [0; LEN];
        put(
            &mut bytes,
            offset_of!(libc::sockaddr_ll, sll_family),
            &family(libc::AF_PACKET),
        );
        put(
            &mut bytes,
            offset_of!(libc::sockaddr_ll, sll_protocol),
            &ethertype.to_be_bytes(),
        );
        put(
            &mut bytes,
            offset_of!(libc::sockaddr_ll, sll_ifindex),
            &ifindex.to_ne_bytes(),
        );
        put(&mut bytes, offset_of!(libc::sockaddr_ll, sll_halen), &[6]);
        put(&mut bytes, offset_of!(libc::sockaddr_ll, sll_addr), &destination);
        Self::new(bytes, size_of::<libc::sockaddr_ll>())
    }

    /// True for an interface to which a complete frame is handed.
    pub(crate) fn is_link(&self) -> bool {
        self.bytes[..2] == family(libc::AF_PACKET)
    }

    fn new(bytes: [u8; LEN], len: usize) -> Self {
        debug_assert!(len <= LEN);
        Self { bytes, len: len as u32 }
    }

    /// The IP address, if it holds one.
    pub(crate) fn to_ip(self) -> Option<IpAddr> {
        match i32::from(u16::from_ne_bytes([self.bytes[0], self.bytes[1]])) {
            libc::AF_INET => {
                Some(Ipv4Addr::from(get::<4>(&self.bytes, offset_of!(libc::sockaddr_in, sin_addr))).into())
            }
            libc::AF_INET6 => {
                Some(Ipv6Addr::from(get::<16>(&self.bytes, offset_of!(libc::sockaddr_in6, sin6_addr))).into())
            }
            _ => None,
        }
    }

    /// Where the kernel reads or writes the address, and how many octets of it are in use.
    pub(super) fn parts(&mut self) -> (*mut libc::c_void, u32) {
        (self.bytes.as_mut_ptr().cast(), self.len)
    }
}

/// An address family as the first two octets of every socket address.
fn family(family: libc::c_int) -> [u8; 2] {
    (family as libc::sa_family_t).to_ne_bytes()
}

fn put(bytes: &mut [u8; LEN], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn get<const N: usize>(bytes: &[u8; LEN], at: usize) -> [u8; N] {
    let mut value = [0; N];
    value.copy_from_slice(&bytes[at..at + N]);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ip_addresses_survive() {
        for text in ["192.0.2.17", "224.0.0.18", "ff02::12", "fe80::1:2"] {
            let addr: IpAddr = text.parse().unwrap();
            assert_eq!(SockAddr::ip(addr, 7).to_ip(), Some(addr));
        }
        assert_eq!(SockAddr::EMPTY.to_ip(), None);
        assert_eq!(SockAddr::link(3, 0x0806, [0xff; 6]).to_ip(), None);
    }

    #[test]
    fn layout_is_the_kernels() {
        let link = SockAddr::link(0x0102, 0x0806, [1, 2, 3, 4, 5, 6]);
        assert_eq!(link.len, 20);
        assert_eq!(&link.bytes[..2], &(libc::AF_PACKET as u16).to_ne_bytes());
        assert_eq!(&link.bytes[2..4], &[0x08, 0x06]);
        assert_eq!(&link.bytes[4..8], &0x0102_u32.to_ne_bytes());
        assert_eq!(&link.bytes[11..18], &[6, 1, 2, 3, 4, 5, 6]);
        assert_eq!(SockAddr::ip([10, 0, 0, 1].into(), 0).len, 16);
        assert_eq!(SockAddr::ip(Ipv6Addr::LOCALHOST.into(), 0).len, 28);
    }
}
