//! The two ways between the engine thread and everybody else: commands in, records out.
//!
//! Both are bounded rings of one producer and one consumer, wait-free on either side, with an eventfd to wake the
//! reader. Whatever state the other threads are in (holding the interpreter's lock, stopped by a debugger), the engine
//! never waits for them: a full ring costs records, which are counted, and nothing else.

use core::net::IpAddr;
use std::io;
use std::sync::Arc;

use keepvip_proto::engine::Apply;
use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::config::NetnsId;
use keepvip_proto::vrrp::report::EventKind;
use keepvip_proto::vrrp::track::{TrackId, TrackValue};
use rtrb::{Consumer, Producer, PushError, RingBuffer};

use crate::netlink::VmacLink;
use crate::status::StatusBlock;
use crate::sys::eventfd::EventFd;

/// Records that wait for Python. Untouched cells of the ring cost no memory.
const RECORDS: usize = 8192;
/// Commands that wait for the engine: hardly ever more than one, but values of tracked things come in crowds at a start.
const COMMANDS: usize = 4096;

/// What the engine is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// A new configuration.
    Apply(Box<ApplyCommand>),
    /// A tracked thing has a new value.
    Track {
        /// Its number.
        id: TrackId,
        /// The value.
        value: TrackValue,
    },
    /// A virtual MAC is there (or gone): what the packet filter has to know.
    FilterVmac {
        /// Which.
        link: VmacLink,
        /// It is there.
        there: bool,
    },
    /// Release everything (or leave the addresses where they are) and end.
    Shutdown {
        /// Send priority 0 and remove the addresses.
        release: bool,
    },
    /// Panic, so that the tests can see what happens then.
    Crash,
}

/// A configuration and where its routers publish their status.
#[derive(Debug, Default)]
pub struct ApplyCommand {
    /// The configuration, as a difference.
    pub apply: Apply,
    /// The status blocks of all slots from now on.
    pub status: Vec<Option<Arc<StatusBlock>>>,
    /// Numbers and names of all network namespaces that its routers are in, that of the engine apart.
    pub namespaces: Vec<(NetnsId, String)>,
    /// Stamped on every record from now on, so that slots and groups can be named.
    pub epoch: u32,
}

/// What the engine says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// Counts up by one; a gap is filled by [`RecordKind::Lost`].
    pub seq: u64,
    /// The configuration that slots and groups belong to.
    pub epoch: u32,
    /// When it happened.
    pub at: Instant,
    /// What happened.
    pub kind: RecordKind,
}

/// The kinds of [`Record`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordKind {
    /// A report of the core. It is published once the address operations that belong to it are done.
    Event {
        /// The report.
        kind: EventKind,
        /// From its cause to the last of those operations.
        took: Duration,
    },
    /// The thread woke up late.
    Late {
        /// By how much.
        late: Duration,
    },
    /// The kernel refused to join a multicast group; it is tried again when something about the host changes.
    MembershipRefused {
        /// The namespace that the interface is in.
        netns: NetnsId,
        /// Index of the interface.
        ifindex: u32,
        /// The group.
        group: IpAddr,
        /// The kernel's errno.
        errno: i32,
    },
    /// The packet filter refused to drop the traffic of guarded addresses, or to let it pass again.
    FilterRefused {
        /// The kernel's errno.
        errno: i32,
    },
    /// A network namespace does not exist (any longer), or cannot be used; it is looked for again and again.
    NamespaceMissing {
        /// Its number.
        netns: NetnsId,
        /// Why: the kernel's errno.
        errno: i32,
    },
    /// A namespace that was missing is there.
    NamespaceFound {
        /// Its number.
        netns: NetnsId,
    },
    /// The ring was full.
    Lost {
        /// How many records are missing before this one.
        count: u64,
    },
    /// The engine has failed; it has withdrawn what it could and its thread ends.
    Fatal,
}

/// The engine's end of the records.
pub(crate) struct RecordSink {
    ring: Producer<Record>,
    wake: Arc<EventFd>,
    seq: u64,
    epoch: u32,
    lost: u64,
    fresh: bool,
}

/// The other end of the records.
pub(crate) struct RecordSource {
    ring: Consumer<Record>,
    wake: Arc<EventFd>,
}

/// Makes the ring of records.
pub(crate) fn records() -> io::Result<(RecordSink, RecordSource)> {
    records_of(RECORDS)
}

fn records_of(capacity: usize) -> io::Result<(RecordSink, RecordSource)> {
    let (producer, consumer) = RingBuffer::new(capacity);
    let wake = Arc::new(EventFd::new()?);
    let sink = RecordSink {
        ring: producer,
        wake: Arc::clone(&wake),
        seq: 0,
        epoch: 0,
        lost: 0,
        fresh: false,
    };
    Ok((sink, RecordSource { ring: consumer, wake }))
}

impl RecordSink {
    /// Records that follow belong to this configuration.
    pub(crate) const fn set_epoch(&mut self, epoch: u32) {
        self.epoch = epoch;
    }

    /// Adds a record. When the ring is full it is counted as lost.
    pub(crate) fn push(&mut self, at: Instant, kind: RecordKind) {
        self.seq += 1;
        if self.lost > 0 {
            let note = Record {
                seq: self.seq - 1,
                epoch: self.epoch,
                at,
                kind: RecordKind::Lost { count: self.lost },
            };
            // With room for the note alone it would be followed by the next loss at once.
            if self.ring.slots() < 2 || self.ring.push(note).is_err() {
                self.lost += 1;
                return;
            }
            self.lost = 0;
        }
        match self.ring.push(Record {
            seq: self.seq,
            epoch: self.epoch,
            at,
            kind,
        }) {
            Ok(()) => self.fresh = true,
            Err(PushError::Full(_)) => self.lost += 1,
        }
    }

    /// Wakes the reader if there is something new for it.
    pub(crate) fn flush(&mut self) {
        if core::mem::take(&mut self.fresh) {
            self.wake.signal();
        }
    }

    /// Wakes the reader in any case.
    pub(crate) fn wake(&self) {
        self.wake.signal();
    }
}

impl RecordSource {
    /// Becomes readable when records wait.
    pub(crate) fn wake(&self) -> &Arc<EventFd> {
        &self.wake
    }

    /// Takes the oldest record.
    pub(crate) fn pop(&mut self) -> Option<Record> {
        self.ring.pop().ok()
    }

    /// Silences the eventfd. Call it before the records are taken, so that none can come in between unnoticed.
    pub(crate) fn clear(&self) {
        self.wake.clear();
    }
}

/// The engine's end of the commands.
pub(crate) struct CommandSource {
    ring: Consumer<Command>,
    pub(crate) wake: Arc<EventFd>,
    trash: Producer<Box<ApplyCommand>>,
}

/// The other end of the commands.
pub(crate) struct CommandSink {
    ring: Producer<Command>,
    wake: Arc<EventFd>,
    trash: Consumer<Box<ApplyCommand>>,
}

/// Makes the ring of commands, and the one by which emptied commands come back to be freed.
pub(crate) fn commands() -> io::Result<(CommandSink, CommandSource)> {
    let (producer, consumer) = RingBuffer::new(COMMANDS);
    let (trash_in, trash_out) = RingBuffer::new(COMMANDS);
    let wake = Arc::new(EventFd::new()?);
    let sink = CommandSink {
        ring: producer,
        wake: Arc::clone(&wake),
        trash: trash_out,
    };
    Ok((
        sink,
        CommandSource {
            ring: consumer,
            wake,
            trash: trash_in,
        },
    ))
}

impl CommandSource {
    /// The oldest command, still in the ring.
    pub(crate) fn peek(&self) -> Option<&Command> {
        self.ring.peek().ok()
    }

    /// Takes the oldest command.
    pub(crate) fn pop(&mut self) -> Option<Command> {
        self.ring.pop().ok()
    }

    /// Gives memory back to be freed elsewhere. There is room for all commands that can be under way.
    pub(crate) fn discard(&mut self, command: Box<ApplyCommand>) {
        let _freed_here = self.trash.push(command);
    }
}

impl CommandSink {
    /// Sends a command; gives it back when the ring is full.
    pub(crate) fn send(&mut self, command: Command) -> Result<(), Command> {
        while self.trash.pop().is_ok() {}
        match self.ring.push(command) {
            Ok(()) => {
                self.wake.signal();
                Ok(())
            }
            Err(PushError::Full(command)) => Err(command),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: RecordKind = RecordKind::Late { late: Duration::ZERO };

    #[test]
    fn an_overflow_is_counted_and_told_in_its_place() {
        let (mut sink, mut source) = records_of(4).unwrap();
        for _ in 0..7 {
            sink.push(Instant::ZERO, LATE);
        }
        sink.flush();
        assert!(source.wake.clear());
        let seqs: Vec<_> = core::iter::from_fn(|| source.pop()).map(|record| record.seq).collect();
        assert_eq!(seqs, [1, 2, 3, 4]);
        sink.set_epoch(2);
        sink.push(Instant::ZERO, LATE);
        let rest: Vec<_> = core::iter::from_fn(|| source.pop()).collect();
        assert_eq!(rest.len(), 2);
        assert_eq!((rest[0].seq, rest[0].kind), (7, RecordKind::Lost { count: 3 }));
        assert_eq!((rest[1].seq, rest[1].kind, rest[1].epoch), (8, LATE, 2));
    }

    #[test]
    fn a_reader_is_woken_once_per_flush_with_news() {
        let (mut sink, source) = records_of(4).unwrap();
        sink.flush();
        assert!(!source.wake.clear());
        sink.push(Instant::ZERO, LATE);
        sink.flush();
        sink.flush();
        assert!(source.wake.clear());
        assert!(!source.wake.clear());
    }

    #[test]
    fn commands_keep_their_order_and_their_memory_comes_back() {
        let (mut sink, mut source) = commands().unwrap();
        sink.send(Command::Apply(Box::default())).unwrap();
        sink.send(Command::Shutdown { release: true }).unwrap();
        assert!(source.wake.clear());
        assert!(matches!(source.peek(), Some(Command::Apply(_))));
        let Some(Command::Apply(command)) = source.pop() else {
            panic!("the first command is gone");
        };
        source.discard(command);
        assert!(matches!(source.pop(), Some(Command::Shutdown { release: true })));
        assert!(source.pop().is_none());
        assert_eq!(sink.trash.slots(), 1);
    }

    #[test]
    fn a_record_fits_four_cache_lines() {
        assert!(size_of::<Record>() <= 256, "{}", size_of::<Record>());
    }
}
