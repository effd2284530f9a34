//! Many datagrams in one system call.
//!
//! Both batches own all their memory from the start: nothing is allocated when datagrams come or go.

use core::mem::{MaybeUninit, zeroed};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::checked;
use super::cmsg::{Ancillary, Control};
use super::sockaddr::SockAddr;

/// Datagrams per system call.
pub(crate) const BATCH: usize = 64;

/// Largest datagram received in full: an IPv6 advert of 255 addresses with room for a trailer. What is longer is no
/// advert, and cutting it breaks no check that it would pass.
const DATAGRAM: usize = 4608;

/// Octets of all datagrams of one sent batch; a datagram is at most [`DATAGRAM`] long.
const ARENA: usize = 32 * 1024;

struct Received {
    data: [u8; DATAGRAM],
    len: usize,
    source: SockAddr,
    control: Control,
}

/// One received datagram.
pub(crate) struct Datagram<'a> {
    /// What it holds; raw IPv4 sockets deliver the IP header, raw IPv6 sockets do not.
    pub(crate) data: &'a [u8],
    /// Who sent it.
    pub(crate) source: SockAddr,
    /// What came beside it.
    pub(crate) ancillary: Ancillary,
}

/// Receives up to [`BATCH`] datagrams at once.
pub(crate) struct RecvBatch {
    slots: Box<[Received]>,
    count: usize,
}

impl RecvBatch {
    pub(crate) fn new() -> Self {
        let slot = || Received {
            data: [0; DATAGRAM],
            len: 0,
            source: SockAddr::EMPTY,
            control: Control::EMPTY,
        };
        Self {
            slots: (0..BATCH).map(|_| slot()).collect(),
            count: 0,
        }
    }

    /// Takes what waits in the queue of `socket`, without waiting. Fewer than [`BATCH`] datagrams mean that the queue
    /// was empty after them.
    pub(crate) fn receive(&mut self, socket: &impl AsFd) -> io::Result<usize> {
        self.count = 0;
        let mut vectors = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
        let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH];
        for ((slot, vector), header) in self.slots.iter_mut().zip(&mut vectors).zip(&mut headers) {
            let vector = vector.write(libc::iovec {
                iov_base: slot.data.as_mut_ptr().cast(),
                iov_len: DATAGRAM,
            });
            let (control, control_len) = slot.control.room();
            let (name, _) = slot.source.parts();
            header.write(message(vector, name, super::sockaddr::LEN as u32, control, control_len));
        }
        // SAFETY: all BATCH headers are initialised; each points at a vector, an address and a control buffer that live
        // in this frame or in `self.slots`, are not used otherwise during the call and are as long as the header says.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                headers.as_mut_ptr().cast(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                core::ptr::null_mut(),
            )
        };
        let count = usize::try_from(checked(count)?).unwrap_or(0).min(BATCH);
        for (slot, header) in self.slots.iter_mut().zip(&headers).take(count) {
            // SAFETY: written above, and filled in by the kernel.
            let header = unsafe { header.assume_init_ref() };
            slot.len = (header.msg_len as usize).min(DATAGRAM);
            slot.control.filled(header.msg_hdr.msg_controllen as _);
        }
        self.count = count;
        Ok(count)
    }

    /// The datagrams of the last call, in the order of their arrival.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.slots[..self.count].iter().map(|slot| Datagram {
            data: &slot.data[..slot.len],
            source: slot.source,
            ancillary: slot.control.ancillary(),
        })
    }
}

#[derive(Clone, Copy)]
struct Staged {
    start: usize,
    len: usize,
    destination: SockAddr,
    control: Control,
    tag: u32,
}

/// Collects up to [`BATCH`] datagrams and sends them in order.
pub(crate) struct SendBatch {
    arena: Box<[u8]>,
    used: usize,
    staged: Vec<Staged>,
    done: usize,
}

impl SendBatch {
    pub(crate) fn new() -> Self {
        Self {
            arena: vec![0; ARENA].into_boxed_slice(),
            used: 0,
            staged: Vec::with_capacity(BATCH),
            done: 0,
        }
    }

    /// True when nothing is staged, or all of it is done with.
    pub(crate) fn is_empty(&self) -> bool {
        self.done == self.staged.len()
    }

    /// True when a datagram of `len` octets still fits.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.staged.len() < BATCH && ARENA - self.used >= len
    }

    /// The memory for the next datagram, to be filled in and then [`push`](Self::push)ed; empty when nothing fits.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.staged.len() < BATCH {
            &mut self.arena[self.used..]
        } else {
            &mut []
        }
    }

    /// Stages the first `len` octets of [`space`](Self::space). `tag` comes back with an error.
    pub(crate) fn push(&mut self, len: usize, destination: SockAddr, control: Control, tag: u32) {
        debug_assert!(self.has_room(len));
        self.staged.push(Staged {
            start: self.used,
            len,
            destination,
            control,
            tag,
        });
        self.used += len;
    }

    /// The datagram that comes next: its octets and its tag.
    pub(crate) fn next(&self) -> Option<(&[u8], u32)> {
        let staged = self.staged.get(self.done)?;
        Some((&self.arena[staged.start..staged.start + staged.len], staged.tag))
    }

    /// Whether the datagram that comes next is a complete frame, and how many in a row from it on are the like.
    pub(crate) fn run(&self) -> (bool, usize) {
        let mut waiting = self.staged[self.done..]
            .iter()
            .map(|staged| staged.destination.is_link());
        match waiting.next() {
            None => (false, 0),
            Some(frames) => (frames, 1 + waiting.take_while(|&next| next == frames).count()),
        }
    }

    /// The tags of the last `count` datagrams that were sent.
    pub(crate) fn sent(&self, count: usize) -> impl Iterator<Item = u32> {
        self.staged[self.done.saturating_sub(count)..self.done]
            .iter()
            .map(|staged| staged.tag)
    }

    /// Takes the datagram that comes next over to `other`; false, with nothing changed, when that has no room.
    pub(crate) fn move_next(&mut self, other: &mut Self) -> bool {
        let Some(&staged) = self.staged.get(self.done) else {
            return true;
        };
        if !other.has_room(staged.len) {
            return false;
        }
        other.space()[..staged.len].copy_from_slice(&self.arena[staged.start..staged.start + staged.len]);
        other.push(staged.len, staged.destination, staged.control, staged.tag);
        self.skip();
        true
    }

    /// Gives up the datagram that comes next.
    pub(crate) fn skip(&mut self) {
        self.done = (self.done + 1).min(self.staged.len());
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.staged.clear();
        self.used = 0;
        self.done = 0;
    }

    /// Sends at most `limit` of what is staged, without waiting; returns how many went. Fewer than that: the next call
    /// returns the reason that the kernel gave for the next one.
    pub(crate) fn send(&mut self, socket: &impl AsFd, limit: usize) -> io::Result<usize> {
        let waiting = (self.staged.len() - self.done).min(limit);
        if waiting == 0 {
            return Ok(0);
        }
        let mut vectors = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
        let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH];
        for ((staged, vector), header) in self.staged[self.done..]
            .iter_mut()
            .zip(&mut vectors)
            .zip(&mut headers)
            .take(waiting)
        {
            let data = &mut self.arena[staged.start..staged.start + staged.len];
            let vector = vector.write(libc::iovec {
                iov_base: data.as_mut_ptr().cast(),
                iov_len: data.len(),
            });
            let (name, name_len) = staged.destination.parts();
            let (control, control_len) = staged.control.parts();
            header.write(message(vector, name, name_len, control, control_len));
        }
        // SAFETY: the first `waiting` headers are initialised (there are at most BATCH staged); each points at memory
        // in this frame, in `self.staged` or in `self.arena` that is as long as the header says and stays where it is.
        let count = unsafe {
            libc::sendmmsg(
                socket.as_fd().as_raw_fd(),
                headers.as_mut_ptr().cast(),
                waiting as libc::c_uint,
                libc::MSG_DONTWAIT as _,
            )
        };
        let count = usize::try_from(checked(count)?).unwrap_or(0).min(waiting);
        self.done += count;
        Ok(count)
    }
}

/// A message header; fields that are private padding on some platforms stay zero.
fn message(
    vector: &mut libc::iovec,
    name: *mut libc::c_void,
    name_len: u32,
    control: *mut libc::c_void,
    control_len: usize,
) -> libc::mmsghdr {
    // SAFETY: all zero is a valid header that points at nothing.
    let mut header: libc::mmsghdr = unsafe { zeroed() };
    header.msg_hdr.msg_name = name;
    header.msg_hdr.msg_namelen = name_len;
    header.msg_hdr.msg_iov = vector;
    header.msg_hdr.msg_iovlen = 1;
    header.msg_hdr.msg_control = if control_len == 0 {
        core::ptr::null_mut()
    } else {
        control
    };
    header.msg_hdr.msg_controllen = control_len as _;
    header
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, UdpSocket};

    use super::*;

    /// Two UDP sockets on loopback stand in for the raw ones; `SockAddr` has no port, so the sender is connected.
    fn pair() -> (UdpSocket, UdpSocket) {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        (sender, receiver)
    }

    fn stage(batch: &mut SendBatch, data: &[u8], tag: u32) {
        batch.space()[..data.len()].copy_from_slice(data);
        batch.push(data.len(), SockAddr::EMPTY, Control::EMPTY, tag);
    }

    #[test]
    fn a_batch_arrives_whole_and_in_order() {
        let (sender, receiver) = pair();
        let mut out = SendBatch::new();
        for i in 0..BATCH {
            assert!(out.has_room(2));
            stage(&mut out, &[0xa5, i as u8], i as u32);
        }
        assert!(!out.has_room(1));
        assert!(out.space().is_empty());
        assert_eq!(out.send(&sender, BATCH).unwrap(), BATCH);
        assert!(out.sent(BATCH).eq(0..BATCH as u32));
        assert_eq!(out.sent(1).collect::<Vec<_>>(), [BATCH as u32 - 1]);
        assert!(out.is_empty());

        let mut batch = RecvBatch::new();
        assert_eq!(batch.receive(&receiver).unwrap(), BATCH);
        for (i, datagram) in batch.datagrams().enumerate() {
            assert_eq!(datagram.data, &[0xa5, i as u8]);
            assert_eq!(datagram.source.to_ip(), Some(IpAddr::from([127, 0, 0, 1])));
        }
        let empty = batch.receive(&receiver).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(batch.datagrams().count(), 0);
    }

    #[test]
    fn a_long_datagram_is_cut() {
        let (sender, receiver) = pair();
        sender.send(&[7; DATAGRAM + 1]).unwrap();
        let mut batch = RecvBatch::new();
        assert_eq!(batch.receive(&receiver).unwrap(), 1);
        let datagram = batch.datagrams().next().unwrap();
        assert_eq!(datagram.data.len(), DATAGRAM);
    }

    #[test]
    fn what_was_refused_can_be_skipped_or_moved() {
        let (sender, receiver) = pair();
        let mut out = SendBatch::new();
        let mut later = SendBatch::new();
        stage(&mut out, b"one", 1);
        stage(&mut out, b"two", 2);
        stage(&mut out, b"three", 3);
        out.skip();
        assert_eq!(out.next(), Some((&b"two"[..], 2)));
        assert!(out.move_next(&mut later));
        assert_eq!(out.send(&sender, BATCH).unwrap(), 1);
        assert!(out.is_empty() && out.next().is_none());
        assert_eq!(later.send(&sender, BATCH).unwrap(), 1);
        let mut batch = RecvBatch::new();
        assert_eq!(batch.receive(&receiver).unwrap(), 2);
        let got: Vec<_> = batch.datagrams().map(|datagram| datagram.data.to_vec()).collect();
        assert_eq!(got, [b"three".to_vec(), b"two".to_vec()]);
        out.clear();
        assert!(out.has_room(ARENA));
    }
}
