//! Adverts in and out: one receive socket per address family for all interfaces, one to send.
//!
//! The receive sockets are bound to nothing. An unbound raw socket is given every packet of its protocol whose group
//! *any* socket of the host has joined on the interface, so the memberships can live elsewhere
//! ([`crate::membership`]) and the price of a packet does not grow with the number of interfaces.

use core::net::IpAddr;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use keepvip_proto::engine::{AdvertRx, Core};
use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::config::{Family, NetnsId};
use keepvip_proto::vrrp::output::{AdvertTx, IfId};
use keepvip_proto::vrrp::report::State;
use keepvip_proto::wire::{Ipv4View, ah};

use crate::failures::SendFailures;
use crate::quiet::Quiet;
use crate::sys::cmsg::Control;
use crate::sys::mmsg::{BATCH, Datagram, RecvBatch, SendBatch};
use crate::sys::sockaddr::SockAddr;
use crate::sys::{errno, socket};

/// IP protocol number of VRRP.
const PROTOCOL: libc::c_int = 112;
/// Hop limit of multicast adverts, and the traffic class of all (`vrrp-behaviour.md` 4).
const HOPS: u8 = 255;
const CLASS: libc::c_int = 0xc0;
/// `TC_PRIO_CONTROL`: the first band of the default queueing disciplines.
const PRIORITY: libc::c_int = 7;
/// Octets asked for; the kernel doubles them. Holds five seconds of 4000 routers at one advert per second, twice.
const RECEIVE_BUFFER: libc::c_int = 16 << 20;
/// Octets in flight of all interfaces, so that one that is stuck cannot silence the others.
const SEND_BUFFER: libc::c_int = 4 << 20;
/// The kernel charges no packet less than this against the receive buffer (`skb` overhead plus the smallest head).
const LEAST_CHARGE: usize = 512;
/// Octets asked for where few routers are expected.
const AH_BUFFER: libc::c_int = 1 << 20;
/// Classic BPF: the first octet behind the IP header, the "next header" of an Authentication Header, says VRRP.
const NEXT_IS_VRRP: [(u16, u8, u8, u32); 5] = [
    (0xb1, 0, 0, 0),
    (0x50, 0, 0, 0),
    (0x15, 0, 1, PROTOCOL as u32),
    (0x06, 0, 0, u32::MAX),
    (0x06, 0, 0, 0),
];
/// Octets of an Ethernet header.
const ETHER: usize = 14;
/// How soon a refused advert is tried again, and how often.
const RETRY_AFTER: Duration = Duration::from_micros(1_000);
const TRIES: u8 = 3;

/// What a turn read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// Packets handled.
    pub(crate) packets: usize,
    /// The queue was not empty when the budget was used up.
    pub(crate) more: bool,
}

/// What became of an advert that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is the first one since the last [`Adverts::flush`].
    First,
    /// Others wait already. `full`: [`Adverts::make_room`] before the next one.
    Behind { full: bool },
    /// The host does not have its address family.
    NoFamily,
}

/// All sockets that adverts use in one network namespace.
pub(crate) struct Adverts {
    netns: NetnsId,
    v4: Channel,
    /// `None` on a host without IPv6.
    v6: Option<Channel>,
    ah: Guarded,
    retry_at: Option<Instant>,
    /// Something is staged.
    staged: bool,
}

impl Adverts {
    /// Opens the sockets in the network namespace of the calling thread; reports what was not granted.
    pub(crate) fn open(netns: NetnsId, notices: &mut Vec<String>) -> io::Result<Self> {
        let v4 = Channel::v4(notices)?;
        let v6 = match Channel::v6(notices) {
            Ok(channel) => Some(channel),
            Err(error) if errno(&error) == libc::EAFNOSUPPORT => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            netns,
            v4,
            v6,
            ah: Guarded::open()?,
            retry_at: None,
            staged: false,
        })
    }

    /// One more descriptor of the packet socket that complete frames leave by.
    pub(crate) fn packet_socket(&self) -> io::Result<OwnedFd> {
        let frames = self.v4.frames.as_ref();
        frames.map_or_else(|| Err(io::ErrorKind::NotFound.into()), OwnedFd::try_clone)
    }

    /// The receive sockets with their families.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = (Family, BorrowedFd<'_>)> {
        let v6 = self.v6.as_ref().map(|channel| (Family::V6, channel.receive.as_fd()));
        core::iter::once((Family::V4, self.v4.receive.as_fd())).chain(v6)
    }

    /// The receive socket of adverts behind an Authentication Header (IPv4).
    pub(crate) fn ah_socket(&self) -> BorrowedFd<'_> {
        self.ah.receive.as_fd()
    }

    /// Packets that the kernel dropped because a queue was full.
    pub(crate) fn overruns(&self) -> u64 {
        let channels = core::iter::once(&self.v4).chain(&self.v6);
        let dropped = channels.map(|channel| u64::from(channel.dropped)).sum::<u64>();
        dropped + u64::from(self.ah.dropped)
    }

    /// As [`Self::receive`], of the adverts behind an Authentication Header.
    pub(crate) fn receive_ah(
        &mut self,
        batch: &mut RecvBatch,
        now: Instant,
        core: &mut Core,
        quiet: Option<&mut Quiet>,
    ) -> io::Result<Received> {
        let queue = Queue {
            socket: &self.ah.receive,
            capacity: self.ah.capacity,
            dropped: &mut self.ah.dropped,
        };
        queue.drain(self.netns, Family::V4, batch, now, core, Kept::before(quiet))
    }

    /// Hands every packet that had arrived by `now` to the core. `now` must have been read before this call.
    ///
    /// A queue is read until it is empty, or until as many packets were read as can have been in it when `now` was
    /// read: a flood cannot hold the engine, and still no deadline up to `now` is judged before an advert that was
    /// there before it.
    pub(crate) fn receive(
        &mut self,
        family: Family,
        batch: &mut RecvBatch,
        now: Instant,
        core: &mut Core,
        quiet: Option<&mut Quiet>,
    ) -> io::Result<Received> {
        let channel = match (family, &mut self.v6) {
            (Family::V4, _) => &mut self.v4,
            (Family::V6, Some(channel)) => channel,
            (Family::V6, None) => return Ok(Received::default()),
        };
        let queue = Queue {
            socket: &channel.receive,
            capacity: channel.capacity,
            dropped: &mut channel.dropped,
        };
        queue.drain(self.netns, family, batch, now, core, Kept::from_now_on(quiet))
    }

    /// Takes an advert that is to leave with the next [`Self::flush`]; true when it is the first one. When its batch is
    /// full, that one leaves first. `whole_frames`: by the packet socket where that does the same.
    pub(crate) fn take(&mut self, advert: &AdvertTx<'_>, whole_frames: bool) -> Taken {
        let channel = match (advert.family, &mut self.v6) {
            (Family::V4, _) => &mut self.v4,
            (Family::V6, Some(channel)) => channel,
            (Family::V6, None) => return Taken::NoFamily,
        };
        let full = !channel.stage(advert, whole_frames);
        if full {
            // `advert` borrows from the core, so it waits in a copy while the batch leaves.
            channel.overflow(advert, whole_frames);
        }
        if core::mem::replace(&mut self.staged, true) {
            Taken::Behind { full }
        } else {
            Taken::First
        }
    }

    /// Makes room: sends the batch that the last advert did not fit into, and puts that advert into it.
    pub(crate) fn make_room(&mut self, family: Family, now: Instant, core: &mut Core, failures: &mut SendFailures) {
        let channel = match (family, &mut self.v6) {
            (Family::V6, Some(channel)) => channel,
            _ => &mut self.v4,
        };
        channel.flush(now, core, failures);
        channel.unoverflow();
    }

    /// Sends what was refused, if it is time to try again.
    pub(crate) fn retry(&mut self, now: Instant, core: &mut Core, failures: &mut SendFailures) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            for channel in core::iter::once(&mut self.v4).chain(&mut self.v6) {
                channel.retry(now, core, failures);
            }
            self.plan_retry(now);
        }
    }

    /// Sends what was taken.
    pub(crate) fn flush(&mut self, now: Instant, core: &mut Core, failures: &mut SendFailures) {
        self.staged = false;
        for channel in core::iter::once(&mut self.v4).chain(&mut self.v6) {
            channel.flush(now, core, failures);
        }
        self.plan_retry(now);
    }

    fn plan_retry(&mut self, now: Instant) {
        let mut channels = core::iter::once(&self.v4).chain(&self.v6);
        if self.retry_at.is_none() && channels.any(|channel| !channel.refused.is_empty()) {
            self.retry_at = Some(now + RETRY_AFTER);
        }
    }

    /// When a refused advert wants to be tried again.
    pub(crate) const fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }
}

/// What the socket filter keeps from us, as a socket is concerned.
struct Kept<'a> {
    quiet: Option<&'a mut Quiet>,
    /// The socket has the filter: what is routine may be kept from now on.
    filtered: bool,
}

impl<'a> Kept<'a> {
    fn from_now_on(quiet: Option<&'a mut Quiet>) -> Self {
        Self { quiet, filtered: true }
    }

    fn before(quiet: Option<&'a mut Quiet>) -> Self {
        Self { quiet, filtered: false }
    }

    fn hand_over(&mut self, now: Instant, advert: &AdvertRx<'_>, core: &mut Core) {
        let Some(quiet) = self.quiet.as_deref_mut() else {
            core.handle_packet(now, advert);
            return;
        };
        if let Some(slot) = core.handle_packet_with(now, advert, quiet)
            && self.filtered
            && let Some(before) = quiet.watch(slot, advert)
        {
            core.watched(now, slot, before);
        }
    }
}

/// What waits to be read from a receive socket.
struct Queue<'a> {
    socket: &'a OwnedFd,
    capacity: usize,
    dropped: &'a mut u32,
}

impl Queue<'_> {
    fn drain(
        self,
        netns: NetnsId,
        family: Family,
        batch: &mut RecvBatch,
        now: Instant,
        core: &mut Core,
        mut kept: Kept<'_>,
    ) -> io::Result<Received> {
        let mut packets = 0;
        while packets < self.capacity {
            let count = match batch.receive(self.socket) {
                Ok(count) => count,
                Err(error) => match errno(&error) {
                    // The kernel has no memory for the copy: the packet stays where it is.
                    libc::EAGAIN | libc::ENOMEM | libc::ENOBUFS => break,
                    libc::EINTR => continue,
                    _ => return Err(error),
                },
            };
            for datagram in batch.datagrams() {
                *self.dropped = datagram.ancillary.dropped.unwrap_or(*self.dropped);
                if let Some(advert) = advert(netns, family, &datagram) {
                    kept.hand_over(now, &advert, core);
                }
            }
            packets += count;
            if count < BATCH {
                return Ok(Received { packets, more: false });
            }
        }
        Ok(Received {
            packets,
            more: packets >= self.capacity,
        })
    }
}

/// The receive socket of adverts behind an Authentication Header. It is always there, and the kernel keeps everything
/// from it that is not VRRP: the host may have other uses for that header.
struct Guarded {
    receive: OwnedFd,
    capacity: usize,
    dropped: u32,
}

impl Guarded {
    fn open() -> io::Result<Self> {
        let receive = socket::open(libc::AF_INET, libc::SOCK_RAW, ah::PROTOCOL.into())?;
        socket::filter(&receive, &NEXT_IS_VRRP)?;
        socket::set(&receive, libc::IPPROTO_IP, libc::IP_MULTICAST_ALL, 1)?;
        socket::set(&receive, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
        socket::set(&receive, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)?;
        let size = socket::enlarge(&receive, socket::Buffer::Receive, AH_BUFFER)?;
        Ok(Self {
            receive,
            capacity: size / LEAST_CHARGE,
            dropped: 0,
        })
    }
}

/// One address family.
struct Channel {
    receive: OwnedFd,
    /// IPv4 only: the IP header is ours, and the protocol number `IPPROTO_RAW` keeps the socket out of the way of
    /// received packets. IPv6 sends by the receive socket: the kernel writes that header.
    send: Option<OwnedFd>,
    /// IPv4 only: for complete frames. It receives nothing (protocol 0).
    frames: Option<OwnedFd>,
    /// Most packets that the queue can hold.
    capacity: usize,
    /// Drop counter as last told.
    dropped: u32,
    out: SendBatch,
    /// One datagram that did not fit `out`.
    spill: SendBatch,
    /// Refused for the moment.
    refused: SendBatch,
    tries: u8,
}

impl Channel {
    fn v4(notices: &mut Vec<String>) -> io::Result<Self> {
        let receive = socket::open(libc::AF_INET, libc::SOCK_RAW, PROTOCOL)?;
        // Both are the defaults that the design rests on.
        socket::set(&receive, libc::IPPROTO_IP, libc::IP_MULTICAST_ALL, 1)?;
        socket::set(&receive, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
        let send = socket::open(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW)?;
        socket::set(&send, libc::IPPROTO_IP, libc::IP_HDRINCL, 1)?;
        socket::set(&send, libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP, 0)?;
        socket::set(&send, libc::SOL_SOCKET, libc::SO_PRIORITY, PRIORITY)?;
        // Without it the kernel keeps a full transmit queue (ENOBUFS) to itself.
        socket::set(&send, libc::IPPROTO_IP, libc::IP_RECVERR, 1)?;
        socket::enlarge(&send, socket::Buffer::Send, SEND_BUFFER)?;
        let frames = socket::open(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
        socket::set(&frames, libc::SOL_SOCKET, libc::SO_PRIORITY, PRIORITY)?;
        socket::enlarge(&frames, socket::Buffer::Send, SEND_BUFFER)?;
        Ok(Self {
            frames: Some(frames),
            ..Self::new(receive, Some(send), "IPv4", notices)?
        })
    }

    fn v6(notices: &mut Vec<String>) -> io::Result<Self> {
        let receive = socket::open(libc::AF_INET6, libc::SOCK_RAW, PROTOCOL)?;
        for (name, value) in [
            (libc::IPV6_MULTICAST_ALL, 1),
            (libc::IPV6_RECVPKTINFO, 1),
            (libc::IPV6_RECVHOPLIMIT, 1),
            (libc::IPV6_MULTICAST_LOOP, 0),
            (libc::IPV6_MULTICAST_HOPS, HOPS.into()),
            (libc::IPV6_UNICAST_HOPS, HOPS.into()),
            (libc::IPV6_TCLASS, CLASS),
            // A configured source (`mcast_src_ip`) need not exist on the host.
            (libc::IPV6_FREEBIND, 1),
        ] {
            socket::set(&receive, libc::IPPROTO_IPV6, name, value)?;
        }
        socket::set(&receive, libc::SOL_SOCKET, libc::SO_PRIORITY, PRIORITY)?;
        socket::enlarge(&receive, socket::Buffer::Send, SEND_BUFFER)?;
        Self::new(receive, None, "IPv6", notices)
    }

    fn new(receive: OwnedFd, send: Option<OwnedFd>, family: &str, notices: &mut Vec<String>) -> io::Result<Self> {
        socket::set(&receive, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)?;
        let size = socket::enlarge(&receive, socket::Buffer::Receive, RECEIVE_BUFFER)?;
        if size < RECEIVE_BUFFER as usize {
            notices.push(format!(
                "{family} receive buffer is {size} bytes instead of {RECEIVE_BUFFER}: CAP_NET_ADMIN is missing"
            ));
        }
        Ok(Self {
            receive,
            send,
            frames: None,
            capacity: size / LEAST_CHARGE,
            dropped: 0,
            out: SendBatch::new(),
            spill: SendBatch::new(),
            refused: SendBatch::new(),
            tries: 0,
        })
    }

    /// Copies an advert into the batch; false when it is full.
    fn stage(&mut self, advert: &AdvertTx<'_>, whole_frames: bool) -> bool {
        stage(&mut self.out, advert, whole_frames)
    }

    fn overflow(&mut self, advert: &AdvertTx<'_>, whole_frames: bool) {
        self.spill.clear();
        stage(&mut self.spill, advert, whole_frames);
    }

    fn unoverflow(&mut self) {
        self.spill.move_next(&mut self.out);
    }

    /// Sends the batch. What the kernel refuses for the moment is kept, what it refuses for good is reported.
    fn flush(&mut self, now: Instant, core: &mut Core, failures: &mut SendFailures) {
        let (send, frames) = senders(&self.receive, &self.send, &self.frames);
        while let Some((_, slot)) = self.out.next() {
            let (whole_frames, run) = self.out.run();
            let send = if whole_frames { frames } else { send };
            match self.out.send(send, run).map_err(|error| errno(&error)) {
                Ok(count) => failures.sent(now, self.out.sent(count), core),
                Err(libc::EINTR) => {}
                Err(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) if self.out.move_next(&mut self.refused) => {}
                Err(errno) => {
                    failures.refused(now, slot, errno, core);
                    self.out.skip();
                }
            }
        }
        self.out.clear();
    }

    /// Sends once more what was refused, unless it has lost its meaning since. The last try reports the reason.
    fn retry(&mut self, now: Instant, core: &mut Core, failures: &mut SendFailures) {
        let (send, frames) = senders(&self.receive, &self.send, &self.frames);
        self.tries += 1;
        while let Some((bytes, slot)) = self.refused.next() {
            let (whole_frames, run) = self.refused.run();
            let packet = if whole_frames { &bytes[ETHER..] } else { bytes };
            let send = if whole_frames { frames } else { send };
            if !still_true(packet, self.send.is_some(), slot, core) {
                self.refused.skip();
                continue;
            }
            match self.refused.send(send, run).map_err(|error| errno(&error)) {
                Ok(count) => failures.sent(now, self.refused.sent(count), core),
                Err(libc::EINTR) => {}
                Err(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM)
                    if self.tries < TRIES && self.refused.move_next(&mut self.out) => {}
                Err(errno) => {
                    failures.refused(now, slot, errno, core);
                    self.refused.skip();
                }
            }
        }
        self.refused.clear();
        core::mem::swap(&mut self.refused, &mut self.out);
        if self.refused.is_empty() {
            self.tries = 0;
        }
    }
}

/// The sockets for packets and for complete frames.
fn senders<'a>(
    receive: &'a OwnedFd,
    send: &'a Option<OwnedFd>,
    frames: &'a Option<OwnedFd>,
) -> (&'a OwnedFd, &'a OwnedFd) {
    let send = send.as_ref().unwrap_or(receive);
    (send, frames.as_ref().unwrap_or(send))
}

/// An advert that waited says "I am master"; it must not be sent by a router that has yielded since. Priority 0 stays
/// true.
fn still_true(bytes: &[u8], with_ip_header: bool, slot: u32, core: &Core) -> bool {
    let vrrp = if with_ip_header {
        Ipv4View::new_checked(bytes).map_or(&[][..], |packet| {
            ah::AhView::new_checked(&packet).map_or_else(|| packet.payload(), |ah| ah.message())
        })
    } else {
        bytes
    };
    vrrp.get(2) == Some(&0) || core.status(slot).is_some_and(|status| status.state == State::Master)
}

fn stage(batch: &mut SendBatch, advert: &AdvertTx<'_>, whole_frames: bool) -> bool {
    let len = advert.bytes.len();
    if whole_frames
        && let Some(source) = advert.frame_from
        && let IpAddr::V4(group) = advert.destination
    {
        if !batch.has_room(ETHER + len) {
            return false;
        }
        // RFC 1112, 6.4: the lower 23 bits of the group.
        let [_, high, middle, low] = group.octets();
        let destination = [0x01, 0x00, 0x5e, high & 0x7f, middle, low];
        let frame = batch.space();
        frame[..6].copy_from_slice(&destination);
        frame[6..12].copy_from_slice(&source);
        frame[12..ETHER].copy_from_slice(&(libc::ETH_P_IP as u16).to_be_bytes());
        frame[ETHER..ETHER + len].copy_from_slice(advert.bytes);
        let address = SockAddr::link(advert.interface.index, libc::ETH_P_IP as u16, destination);
        batch.push(ETHER + len, address, Control::EMPTY, advert.slot);
        return true;
    }
    if !batch.has_room(len) {
        return false;
    }
    batch.space()[..len].copy_from_slice(advert.bytes);
    let ifindex = advert.interface.index;
    let destination = SockAddr::ip(advert.destination, ifindex);
    let mut control = Control::leave_by(ifindex, advert.source, advert.hop_limit);
    // The socket's own setting is that of multicast.
    if advert.family == Family::V6 && advert.hop_limit != Some(HOPS) {
        control = control.with_hop_limit(advert.hop_limit);
    }
    batch.push(len, destination, control, advert.slot);
    true
}

/// What the core wants to know of a received datagram; `None` for what cannot be an advert.
fn advert<'a>(netns: NetnsId, family: Family, datagram: &Datagram<'a>) -> Option<AdvertRx<'a>> {
    let ancillary = &datagram.ancillary;
    let interface = IfId {
        netns,
        index: ancillary.ifindex,
    };
    match family {
        Family::V4 => AdvertRx::from_ipv4(interface, datagram.data),
        Family::V6 => Some(AdvertRx {
            interface,
            family,
            source: datagram.source.to_ip()?,
            destination: ancillary.destination?,
            ttl: ancillary.hop_limit?,
            payload: datagram.data,
            ah: None,
        }),
    }
}
