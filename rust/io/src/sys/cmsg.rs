//! Control messages beside a datagram: the interface it came by or leaves by, its hop limit, what was lost before it.
//!
//! Written and read as octets in the kernel's layout (`cmsg(3)`), without pointers: a control buffer that is cut short
//! or nonsense ends the iteration.

use core::mem::{offset_of, size_of};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Room for every control message that the sockets here ask for.
pub(crate) const LEN: usize = 128;

/// Octets of the header (`CMSG_LEN(0)`).
const HEADER: usize = align(size_of::<libc::cmsghdr>());
const IN_PKTINFO: usize = size_of::<libc::in_pktinfo>();
const IN6_PKTINFO: usize = size_of::<libc::in6_pktinfo>();

/// `CMSG_ALIGN`.
const fn align(len: usize) -> usize {
    (len + size_of::<usize>() - 1) & !(size_of::<usize>() - 1)
}

/// A control buffer with the alignment that the kernel wants.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(crate) struct Control {
    bytes: [u8; LEN],
    /// Octets in use.
    len: usize,
}

impl Control {
    /// Nothing in it.
    pub(crate) const EMPTY: Self = Self {
        bytes: [0; LEN],
        len: 0,
    };

    /// Sends by interface `ifindex`; 0 leaves it to the routing table. For IPv6 `source` becomes the source address and
    /// `hop_limit` the hop limit, the socket's own if there is none; an IPv4 header has both.
    pub(crate) fn leave_by(ifindex: u32, source: IpAddr, hop_limit: Option<u8>) -> Self {
        let mut control = Self::EMPTY;
        match source {
            IpAddr::V4(_) => {
                let mut info = [0; IN_PKTINFO];
                put(
                    &mut info,
                    offset_of!(libc::in_pktinfo, ipi_ifindex),
                    &ifindex.to_ne_bytes(),
                );
                control.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
            }
            IpAddr::V6(source) => {
                let mut info = [0; IN6_PKTINFO];
                put(&mut info, offset_of!(libc::in6_pktinfo, ipi6_addr), &source.octets());
                put(
                    &mut info,
                    offset_of!(libc::in6_pktinfo, ipi6_ifindex),
                    &ifindex.to_ne_bytes(),
                );
                control.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
                if let Some(hop_limit) = hop_limit {
                    control.push(
                        libc::IPPROTO_IPV6,
                        libc::IPV6_HOPLIMIT,
                        &i32::from(hop_limit).to_ne_bytes(),
                    );
                }
            }
        }
        control
    }

    /// Sends with this hop limit (IPv6); `None` is the kernel's default, whatever the socket says.
    pub(crate) fn with_hop_limit(mut self, hop_limit: Option<u8>) -> Self {
        let value = hop_limit.map_or(-1, i32::from);
        self.push(libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT, &value.to_ne_bytes());
        self
    }

    fn push(&mut self, level: libc::c_int, kind: libc::c_int, data: &[u8]) {
        let start = self.len;
        let size = HEADER + data.len();
        put(
            &mut self.bytes[start..],
            offset_of!(libc::cmsghdr, cmsg_len),
            &size.to_ne_bytes(),
        );
        put(
            &mut self.bytes[start..],
            offset_of!(libc::cmsghdr, cmsg_level),
            &level.to_ne_bytes(),
        );
        put(
            &mut self.bytes[start..],
            offset_of!(libc::cmsghdr, cmsg_type),
            &kind.to_ne_bytes(),
        );
        put(&mut self.bytes[start..], HEADER, data);
        self.len = start + align(size);
    }

    /// Where the kernel reads the messages, and how many octets they have.
    pub(super) fn parts(&mut self) -> (*mut libc::c_void, usize) {
        (self.bytes.as_mut_ptr().cast(), self.len)
    }

    /// Where the kernel writes messages: the whole buffer.
    pub(super) fn room(&mut self) -> (*mut libc::c_void, usize) {
        (self.bytes.as_mut_ptr().cast(), LEN)
    }

    /// Takes note of how much the kernel has written.
    pub(super) fn filled(&mut self, len: usize) {
        self.len = len.min(LEN);
    }

    /// What the messages say.
    pub(crate) fn ancillary(&self) -> Ancillary {
        let mut found = Ancillary::default();
        let mut rest = &self.bytes[..self.len];
        while let Some((level, kind, data)) = first(rest) {
            found.note(level, kind, data);
            let size = align(HEADER + data.len());
            rest = rest.get(size..).unwrap_or(&[]);
        }
        found
    }
}

/// What came beside a received datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ancillary {
    /// Interface that it came by; 0 when the kernel did not say.
    pub(crate) ifindex: u32,
    /// Address that it was sent to.
    pub(crate) destination: Option<IpAddr>,
    /// IPv6 hop limit.
    pub(crate) hop_limit: Option<u8>,
    /// Datagrams dropped from this socket's queue since it was opened, modulo 2^32.
    pub(crate) dropped: Option<u32>,
}

impl Ancillary {
    fn note(&mut self, level: libc::c_int, kind: libc::c_int, data: &[u8]) {
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) if data.len() >= IN_PKTINFO => {
                self.ifindex = u32::from_ne_bytes(get(data, offset_of!(libc::in_pktinfo, ipi_ifindex)));
                let addr: [u8; 4] = get(data, offset_of!(libc::in_pktinfo, ipi_addr));
                self.destination = Some(Ipv4Addr::from(addr).into());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if data.len() >= IN6_PKTINFO => {
                self.ifindex = u32::from_ne_bytes(get(data, offset_of!(libc::in6_pktinfo, ipi6_ifindex)));
                let addr: [u8; 16] = get(data, offset_of!(libc::in6_pktinfo, ipi6_addr));
                self.destination = Some(Ipv6Addr::from(addr).into());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) if data.len() >= 4 => {
                self.hop_limit = u8::try_from(i32::from_ne_bytes(get(data, 0))).ok();
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) if data.len() >= 4 => {
                self.dropped = Some(u32::from_ne_bytes(get(data, 0)));
            }
            _ => {}
        }
    }
}

/// Level, type and data of the first message.
fn first(bytes: &[u8]) -> Option<(libc::c_int, libc::c_int, &[u8])> {
    if bytes.len() < HEADER {
        return None;
    }
    let size = usize::from_ne_bytes(get(bytes, offset_of!(libc::cmsghdr, cmsg_len)));
    let level = libc::c_int::from_ne_bytes(get(bytes, offset_of!(libc::cmsghdr, cmsg_level)));
    let kind = libc::c_int::from_ne_bytes(get(bytes, offset_of!(libc::cmsghdr, cmsg_type)));
    Some((level, kind, bytes.get(HEADER..size)?))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn get<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut value = [0; N];
    value.copy_from_slice(&bytes[at..at + N]);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pktinfo_survives() {
        let source: IpAddr = "fe80::5".parse().unwrap();
        let found = Control::leave_by(9, source, Some(255)).ancillary();
        assert_eq!(
            found,
            Ancillary {
                ifindex: 9,
                destination: Some(source),
                hop_limit: Some(255),
                ..Ancillary::default()
            }
        );
        let found = Control::leave_by(12, [10, 0, 0, 1].into(), None).ancillary();
        assert_eq!(found.ifindex, 12);
    }

    #[test]
    fn several_messages_are_read_in_turn() {
        let mut control = Control::leave_by(3, "fe80::5".parse().unwrap(), None);
        control.push(libc::SOL_SOCKET, libc::SO_TIMESTAMP, &[0xa5; 16]);
        control.push(libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT, &255_i32.to_ne_bytes());
        control.push(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &4_u32.to_ne_bytes());
        let found = control.ancillary();
        assert_eq!((found.ifindex, found.hop_limit, found.dropped), (3, Some(255), Some(4)));
    }

    #[test]
    fn nonsense_ends_the_iteration() {
        let mut control = Control::leave_by(3, "fe80::5".parse().unwrap(), None);
        let whole = control.len;
        for len in 0..whole - 4 {
            control.len = len;
            assert_eq!(control.ancillary(), Ancillary::default(), "cut to {len}");
        }
        for size in [0_usize, 1, HEADER - 1, LEN + 1, usize::MAX] {
            control.len = whole;
            put(
                &mut control.bytes,
                offset_of!(libc::cmsghdr, cmsg_len),
                &size.to_ne_bytes(),
            );
            assert_eq!(control.ancillary(), Ancillary::default(), "size {size}");
        }
    }

    #[test]
    fn hop_limit_beyond_an_octet_is_none() {
        let mut control = Control::EMPTY;
        control.push(libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT, &(-1_i32).to_ne_bytes());
        assert_eq!(control.ancillary().hop_limit, None);
    }
}
