//! A second thread for what the kernel may make us wait for.
//!
//! To change an address or a multicast membership the kernel takes its one lock for network configuration, and whoever
//! holds it, in any namespace of the host, makes us wait: the deletion of a hundred interfaces holds it for 50 ms, a
//! firmware query of a network card for seconds. An engine that waited would miss the adverts of all its other routers.
//! So it hands such work over, goes on, and takes the results when they come.
//!
//! The two threads share two wait-free rings. Every task has exactly one outcome, and no more tasks are given than the
//! ring of outcomes can hold, so neither side ever waits for room.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use keepvip_proto::vrrp::config::NetnsId;
use keepvip_proto::vrrp::output::{AddressOp, MembershipOp};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::membership::{Memberships, Refused};
use crate::netlink::{AddressSocket, CHUNK, Families, FilterOptions, VmacLink};
use crate::sys::eventfd::EventFd;
use crate::sys::netlink::Netlink;
use crate::sys::sched;

/// Name of the thread, as `ps -L` shows it.
const NAME: &str = "keepvip-hands";
const STACK: usize = 256 * 1024;
/// Tasks under way at most.
const CAPACITY: usize = 1024;

/// What the hands need to work in a network namespace other than their own.
pub(crate) struct Grip {
    id: NetnsId,
    link: Netlink,
    entry: File,
}

impl Grip {
    /// Opens it in the namespace of the calling thread.
    pub(crate) fn open(id: NetnsId) -> io::Result<Self> {
        Ok(Self {
            id,
            link: Netlink::open(&[])?,
            // Not by the name that it was found by: whoever deletes that would find its mount busy.
            entry: File::open("/proc/thread-self/ns/net")?,
        })
    }
}

/// Something to be done.
enum Task {
    Address(AddressOp),
    Membership(MembershipOp),
    /// Work in this namespace, too.
    Open(Box<Grip>),
    /// Let go of this namespace.
    Close(NetnsId),
    /// Try the refused memberships again.
    Again,
    /// Make the packet filter for guarded addresses.
    PrepareFilter(Families),
    /// A virtual MAC is there, or gone.
    FilterVmac(VmacLink, bool),
    /// Take off all addresses that are installed.
    WithdrawAll,
    /// Nothing follows.
    End,
}

/// What became of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// An address operation was carried out, or refused for this reason; and what the packet filter said.
    Address(AddressOp, i32, i32),
    /// A membership was changed, or refused.
    Membership(Result<(), Refused>),
    /// The refused memberships were tried again; `missing`: not all were granted.
    Again { missing: bool },
    /// The packet filter was made, or refused.
    FilterPrepared(i32),
    /// Nothing to tell.
    Done,
}

/// The engine's side.
pub(crate) struct Hands {
    tasks: Producer<Task>,
    outcomes: Consumer<Outcome>,
    wake: Arc<EventFd>,
    done: Arc<EventFd>,
    /// Tasks without an outcome so far, and how many of them are address operations.
    under_way: usize,
    addresses: usize,
    fresh: bool,
    thread: Option<JoinHandle<()>>,
}

impl Hands {
    /// Starts the thread in the network namespace of the calling thread. `rt_priority` is that of the engine.
    pub(crate) fn start(rt_priority: Option<u8>, filter: FilterOptions) -> io::Result<Self> {
        let (tasks, task_source) = RingBuffer::new(CAPACITY);
        let (outcome_sink, outcomes) = RingBuffer::new(CAPACITY);
        let (wake, done) = (Arc::new(EventFd::new()?), Arc::new(EventFd::new()?));
        let worker = Worker {
            tasks: task_source,
            outcomes: outcome_sink,
            wake: Arc::clone(&wake),
            done: Arc::clone(&done),
            addresses: AddressSocket::open(filter)?,
            memberships: Memberships::default(),
            chunk: Vec::with_capacity(CHUNK),
        };
        let thread = thread::Builder::new()
            .name(NAME.into())
            .stack_size(STACK)
            .spawn(move || worker.run(rt_priority))?;
        let thread = Some(thread);
        Ok(Self {
            tasks,
            outcomes,
            wake,
            done,
            under_way: 0,
            addresses: 0,
            fresh: false,
            thread,
        })
    }

    /// True when one more task can be given.
    pub(crate) fn has_room(&self) -> bool {
        self.under_way < CAPACITY
    }

    /// True while address operations are under way: their results come before everything that rests on them.
    pub(crate) fn busy(&self) -> bool {
        self.addresses > 0
    }

    /// Hands over an address operation.
    pub(crate) fn address(&mut self, op: AddressOp) {
        self.addresses += 1;
        self.give(Task::Address(op));
    }

    /// Hands over a change of a membership.
    pub(crate) fn membership(&mut self, op: MembershipOp) {
        self.give(Task::Membership(op));
    }

    /// Opens a namespace to the operations that follow.
    pub(crate) fn open(&mut self, grip: Box<Grip>) {
        self.give(Task::Open(grip));
    }

    /// Ends the work in a namespace: its memberships go, its addresses stay where they are.
    pub(crate) fn close(&mut self, id: NetnsId) {
        self.give(Task::Close(id));
    }

    /// Has the refused memberships tried again.
    pub(crate) fn again(&mut self) {
        self.give(Task::Again);
    }

    /// Has the packet filter made that guarded addresses of these families will need.
    pub(crate) fn prepare_filter(&mut self, families: Families) {
        self.give(Task::PrepareFilter(families));
    }

    /// Tells the packet filter of a virtual MAC.
    pub(crate) fn filter_vmac(&mut self, link: VmacLink, there: bool) {
        self.give(Task::FilterVmac(link, there));
    }

    /// Has all addresses taken off, without a core that knows them.
    pub(crate) fn withdraw_all(&mut self) {
        self.make_room();
        self.give(Task::WithdrawAll);
        self.flush();
    }

    fn give(&mut self, task: Task) {
        debug_assert!(self.has_room());
        // The ring is as large as the number of tasks that may be under way.
        if self.tasks.push(task).is_ok() {
            self.under_way += 1;
            self.fresh = true;
        }
    }

    /// Wakes the thread if it was given something.
    pub(crate) fn flush(&mut self) {
        if core::mem::take(&mut self.fresh) {
            self.wake.signal();
        }
    }

    /// The next outcome, in the order of the tasks.
    pub(crate) fn take(&mut self) -> Option<Outcome> {
        let outcome = self.outcomes.pop().ok()?;
        self.under_way -= 1;
        if let Outcome::Address(..) = outcome {
            self.addresses -= 1;
        }
        Some(outcome)
    }

    /// Makes the descriptor unreadable. Call it before the outcomes are taken.
    pub(crate) fn clear(&self) {
        self.done.clear();
    }

    /// Waits for outcomes; only at the very end, when nothing else is to be done.
    pub(crate) fn wait(&self) {
        self.done.wait();
    }

    /// Waits until everything is done, and ends the thread.
    pub(crate) fn finish(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.make_room();
            self.give(Task::End);
            self.flush();
            // What can fail in it is caught there; there is nothing to learn from its end.
            let _ended = thread.join();
        }
    }

    fn make_room(&mut self) {
        self.flush();
        while !self.has_room() {
            self.wait();
            while self.take().is_some() {}
        }
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        self.finish();
    }
}

impl AsFd for Hands {
    /// Readable when outcomes wait.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }
}

/// The thread's side.
struct Worker {
    tasks: Consumer<Task>,
    outcomes: Producer<Outcome>,
    wake: Arc<EventFd>,
    done: Arc<EventFd>,
    addresses: AddressSocket,
    memberships: Memberships,
    chunk: Vec<AddressOp>,
}

impl Worker {
    fn run(mut self, rt_priority: Option<u8>) {
        // What is refused here was refused to the engine too, which has said so.
        let _signals = sched::block_signals();
        let _real_time = rt_priority.map(|priority| sched::real_time(priority.saturating_sub(1).max(1)));
        loop {
            self.wake.wait();
            while let Ok(task) = self.tasks.peek() {
                match task {
                    Task::End => {
                        self.addresses.end();
                        return;
                    }
                    Task::Address(_) => self.address_chunk(),
                    &Task::Membership(op) => {
                        let result = self.memberships.change(op);
                        self.answer_next(Outcome::Membership(result));
                    }
                    Task::Open(_) => self.take_grip(),
                    &Task::Close(id) => {
                        self.addresses.close(id);
                        self.memberships.close(id);
                        self.answer_next(Outcome::Done);
                    }
                    Task::Again => {
                        let missing = self.memberships.again();
                        self.answer_next(Outcome::Again { missing });
                    }
                    Task::FilterVmac(link, there) => {
                        let errno = self.addresses.filter_vmac(*link, *there);
                        self.answer_next(Outcome::FilterPrepared(errno));
                    }
                    Task::PrepareFilter(families) => {
                        let errno = self.addresses.prepare_filter(*families);
                        self.answer_next(Outcome::FilterPrepared(errno));
                    }
                    Task::WithdrawAll => {
                        self.addresses.withdraw_all();
                        self.answer_next(Outcome::Done);
                    }
                }
                self.done.signal();
            }
        }
    }

    fn take_grip(&mut self) {
        if let Ok(Task::Open(grip)) = self.tasks.pop() {
            let Grip { id, link, entry } = *grip;
            self.addresses.open_in(id, link);
            self.memberships.open_in(id, entry);
            answer(&mut self.outcomes, Outcome::Done);
        }
    }

    /// Carries out as many address operations as stand in a row for one namespace, in one datagram.
    fn address_chunk(&mut self) {
        self.chunk.clear();
        while self.chunk.len() < CHUNK {
            let Ok(&Task::Address(op)) = self.tasks.peek() else {
                break;
            };
            if self
                .chunk
                .first()
                .is_some_and(|first| first.interface.netns != op.interface.netns)
            {
                break;
            }
            self.chunk.push(op);
            let _peeked_at = self.tasks.pop();
        }
        let (addresses, chunk) = (&mut self.addresses, &self.chunk);
        let failed = panic::catch_unwind(AssertUnwindSafe(|| addresses.carry_out(chunk))).is_err();
        let filter_errno = self.addresses.filter_errno();
        for (op, &errno) in self.chunk.iter().zip(self.addresses.results()) {
            let errno = if failed { libc::EIO } else { errno };
            answer(&mut self.outcomes, Outcome::Address(*op, errno, filter_errno));
        }
    }

    fn answer_next(&mut self, outcome: Outcome) {
        let _peeked_at = self.tasks.pop();
        answer(&mut self.outcomes, outcome);
    }
}

fn answer(outcomes: &mut Producer<Outcome>, outcome: Outcome) {
    // There is room: every task under way has a place.
    let full = outcomes.push(outcome).is_err();
    debug_assert!(!full);
}

#[cfg(test)]
mod tests {
    use keepvip_proto::vrrp::config::Vip;
    use keepvip_proto::vrrp::output::{IfId, Membership};

    use super::*;

    /// No interface has this index: every operation is refused, without privileges or side effects.
    const NOWHERE: IfId = IfId {
        netns: 0,
        index: 999_999,
    };

    fn op(host: u8) -> AddressOp {
        let vip = Vip {
            addr: [192, 0, 2, host].into(),
            prefix_len: 32,
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
        };
        AddressOp {
            slot: 0,
            interface: NOWHERE,
            vip,
            install: true,
            orphan: false,
        }
    }

    #[test]
    fn every_task_has_one_outcome_in_order() {
        let mut hands = Hands::start(None, FilterOptions::default()).unwrap();
        for host in 0..150 {
            hands.address(op(host));
        }
        hands.membership(MembershipOp::Join(Membership {
            interface: NOWHERE,
            group: [224, 0, 0, 18].into(),
        }));
        hands.again();
        assert!(hands.busy());
        hands.flush();
        let mut outcomes = Vec::new();
        while outcomes.len() < 152 {
            hands.wait();
            outcomes.extend(core::iter::from_fn(|| hands.take()));
        }
        for (host, outcome) in (0..150).zip(&outcomes) {
            let Outcome::Address(done, errno, 0) = outcome else {
                panic!("not an address operation: {outcome:?}");
            };
            assert_eq!(*done, op(host));
            assert!(matches!(*errno, libc::ENODEV | libc::EPERM));
        }
        assert!(matches!(outcomes[150], Outcome::Membership(Err(_))));
        assert!(matches!(outcomes[151], Outcome::Again { missing: true }));
        assert!(!hands.busy());
        hands.finish();
    }

    #[test]
    fn it_takes_only_what_it_can_answer() {
        let mut hands = Hands::start(None, FilterOptions::default()).unwrap();
        let mut given = 0;
        while hands.has_room() {
            hands.again();
            given += 1;
        }
        assert_eq!(given, CAPACITY);
        hands.finish();
    }
}
