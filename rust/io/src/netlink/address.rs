//! Changes of addresses: many messages per datagram, one acknowledgement.

use core::net::IpAddr;
use std::collections::HashMap;
use std::io;

use keepvip_proto::vrrp::config::NetnsId;
use keepvip_proto::vrrp::output::{AddressOp, IfId};
use keepvip_proto::wire::rtnl::{self, ADDRESS_REQUEST_MAX_LEN, IfExists, Payload, Requests};

use super::{Families, FilterOptions, VmacLink, fact, nft::Filter};
use crate::sys::errno;
use crate::sys::netlink::Netlink;

/// Operations per datagram. The kernel carries out all of them before it returns, in 5 to 20 µs each.
pub(crate) const CHUNK: usize = 64;
/// Octets of an answer datagram; answers are never gathered.
const ANSWER: usize = 4096;

/// No answer yet.
const PENDING: i32 = -1;

/// Carries out address operations and knows what is installed.
pub(crate) struct AddressSocket {
    /// By namespace.
    sockets: Vec<Option<Netlink>>,
    requests: Box<[u8]>,
    answers: Box<[u8]>,
    results: [i32; CHUNK],
    seq: u32,
    /// What is on the interfaces because of us.
    installed: HashMap<(IfId, IpAddr), AddressOp>,
    filter: Filter,
    filter_errno: i32,
}

impl AddressSocket {
    /// Opens the socket in the network namespace of the calling thread.
    pub(crate) fn open(filter: FilterOptions) -> io::Result<Self> {
        Ok(Self {
            sockets: vec![Some(Netlink::open(&[])?)],
            requests: vec![0; CHUNK * ADDRESS_REQUEST_MAX_LEN].into_boxed_slice(),
            answers: vec![0; ANSWER].into_boxed_slice(),
            results: [PENDING; CHUNK],
            seq: 0,
            installed: HashMap::new(),
            filter: Filter::new(filter),
            filter_errno: 0,
        })
    }

    /// Takes in a socket that was opened in another namespace.
    pub(crate) fn open_in(&mut self, netns: NetnsId, socket: Netlink) {
        let at = usize::from(netns);
        if self.sockets.len() <= at {
            self.sockets.resize_with(at + 1, || None);
        }
        self.sockets[at] = Some(socket);
    }

    /// Lets go of a namespace.
    pub(crate) fn close(&mut self, netns: NetnsId) {
        if let Some(socket) = self.sockets.get_mut(usize::from(netns)) {
            *socket = None;
        }
        self.installed.retain(|(interface, _), _| interface.netns != netns);
    }

    /// Carries out up to [`CHUNK`] operations of one namespace in their order; their results follow.
    pub(crate) fn carry_out(&mut self, ops: &[AddressOp]) {
        let ops = &ops[..ops.len().min(CHUNK)];
        // An address whose traffic cannot be dropped is held all the same: the others rely on that.
        let guarded = self.filter.before(ops);
        self.request(ops);
        for (op, result) in ops.iter().zip(&mut self.results) {
            *result = meaning(op.install, *result);
            let key = (op.interface, op.vip.addr);
            if !op.install {
                self.installed.remove(&key);
            } else if *result == 0 {
                self.installed.insert(key, *op);
            }
        }
        let released = self.filter.after(ops);
        self.filter_errno = guarded.and(released).map_or_else(|error| errno(&error), |()| 0);
    }

    /// What the packet filter said to the operations carried out last: its errno, or 0.
    pub(crate) const fn filter_errno(&self) -> i32 {
        self.filter_errno
    }

    /// Prepares the packet filter for guarded addresses; 0 or the errno of its refusal.
    pub(crate) fn prepare_filter(&mut self, families: Families) -> i32 {
        self.filter.prepare(families).map_or_else(|error| errno(&error), |()| 0)
    }

    /// Tells the packet filter of a virtual MAC that is there (or is gone); 0 or the errno of its refusal.
    pub(crate) fn filter_vmac(&mut self, link: VmacLink, there: bool) -> i32 {
        let done = if there {
            self.filter.add_vmac(link)
        } else {
            self.filter.remove_vmac(link)
        };
        done.map_or_else(|error| errno(&error), |()| 0)
    }

    /// The last: takes the packet filter away. What it says is nobody's concern any more.
    pub(crate) fn end(&mut self) {
        let _refused = self.filter.end();
    }

    /// What became of the operations carried out last: their errnos, 0 for those that are done.
    pub(crate) const fn results(&self) -> &[i32; CHUNK] {
        &self.results
    }

    /// Takes off everything that was installed.
    pub(crate) fn withdraw_all(&mut self) {
        let mut installed: Vec<_> = core::mem::take(&mut self.installed)
            .into_values()
            .map(|op| AddressOp { install: false, ..op })
            .collect();
        installed.sort_unstable_by_key(|op| op.interface.netns);
        for same in installed.chunk_by(|one, other| one.interface.netns == other.interface.netns) {
            for ops in same.chunks(CHUNK) {
                self.request(ops);
            }
        }
        self.filter.forget();
    }

    /// Sends `ops` and fills in `results`, positive errnos in the same order.
    fn request(&mut self, ops: &[AddressOp]) {
        let base = self.seq;
        self.seq = self.seq.wrapping_add(CHUNK as u32);
        self.results = [PENDING; CHUNK];
        let mut requests = Requests::new(&mut self.requests);
        let mut last = None;
        for (i, op) in ops.iter().enumerate() {
            let request = fact::request(op);
            let seq = base.wrapping_add(i as u32);
            let ack = i + 1 == ops.len();
            let staged = if op.install {
                requests.add_address(seq, &request, IfExists::Fail, ack)
            } else {
                requests.remove_address(seq, &request, ack)
            };
            match staged {
                Ok(()) => last = Some(i),
                // A bad value of the configuration; the kernel would say the same.
                Err(_) => self.results[i] = libc::EINVAL,
            }
        }
        let Some(last) = last else {
            return;
        };
        let netns = ops.first().map_or(0, |op| op.interface.netns);
        let socket = self.sockets.get(usize::from(netns)).and_then(Option::as_ref);
        let failed = match socket.map(|socket| (socket, socket.send(requests.as_bytes()))) {
            Some((socket, Ok(()))) => read_answers(socket, &mut self.answers, &mut self.results[..=last], base),
            Some((_, Err(error))) => Some(errno(&error)),
            // The namespace is gone with all its interfaces.
            None => Some(libc::ENODEV),
        };
        // Without an error of its own an operation has succeeded once the end of the datagram was reached.
        let rest = failed.unwrap_or(0);
        for result in &mut self.results[..ops.len()] {
            if *result == PENDING {
                *result = rest;
            }
        }
    }
}

/// The kernel has answered before the request returned. `Some(errno)` when the answers are incomplete.
fn read_answers(socket: &Netlink, answers: &mut [u8], results: &mut [i32], base: u32) -> Option<i32> {
    let mut ended = None;
    loop {
        let len = match socket.receive(answers) {
            Ok(len) => len,
            Err(error) => match errno(&error) {
                libc::EAGAIN => return ended,
                libc::EINTR => continue,
                // The kernel could not store an answer: what is still open is unknown.
                other => {
                    ended = Some(other);
                    continue;
                }
            },
        };
        for message in rtnl::messages(&answers[..len]).flatten() {
            let Ok(Payload::Answer(answer)) = message.parse() else {
                continue;
            };
            let i = answer.seq.wrapping_sub(base) as usize;
            if let Some(result) = results.get_mut(i) {
                *result = answer.errno;
            }
        }
    }
}

/// An address that is there already is what was wanted. That one to remove is absent matters to the core: it counts the
/// deletions that it will hear of.
const fn meaning(install: bool, errno: i32) -> i32 {
    if install && errno == libc::EEXIST { 0 } else { errno }
}

#[cfg(test)]
mod tests {
    use keepvip_proto::vrrp::config::Vip;
    use keepvip_proto::vrrp::output::IfId;

    use super::*;

    fn op(addr: &str, prefix_len: u8, index: u32, install: bool) -> AddressOp {
        AddressOp {
            slot: 0,
            interface: IfId { netns: 0, index },
            vip: Vip {
                addr: addr.parse().unwrap(),
                prefix_len,
                dev: None,
                scope: 0,
                broadcast: None,
                label: None,
                peer: None,
                flags: 0,
                preferred_lft_s: None,
                no_track: false,
                advertised: true,
                guarded: false,
            },
            install,
            orphan: false,
        }
    }

    /// Errors without privileges or side effects: no interface has this index, and no prefix is that long.
    #[test]
    fn every_refusal_finds_its_operation() {
        let mut socket = AddressSocket::open(FilterOptions::default()).unwrap();
        for _ in 0..3 {
            let ops: Vec<_> = (0..CHUNK)
                .map(|i| {
                    if i % 3 == 1 {
                        op("192.0.2.1", 33, 1, true)
                    } else {
                        op("192.0.2.1", 32, 999_999, i % 2 == 0)
                    }
                })
                .collect();
            socket.carry_out(&ops);
            for (i, &result) in socket.results().iter().enumerate() {
                let expected = if i % 3 == 1 { libc::EINVAL } else { libc::ENODEV };
                assert!(
                    result == expected || result == libc::EPERM,
                    "operation {i}: errno {result}"
                );
            }
        }
    }

    #[test]
    fn what_is_as_wanted_is_no_failure() {
        assert_eq!(meaning(true, libc::EEXIST), 0);
        assert_eq!(meaning(false, libc::EADDRNOTAVAIL), libc::EADDRNOTAVAIL);
        assert_eq!(meaning(false, libc::EEXIST), libc::EEXIST);
        assert_eq!(meaning(true, libc::EADDRNOTAVAIL), libc::EADDRNOTAVAIL);
    }
}
