//! What the engine is doing, readable at any time without asking it.
//!
//! Python makes the blocks and gives them to the engine; the engine writes, everybody reads. A block is a sequence lock
//! over atomic words: the writer never waits, a reader that met a writer reads again.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

use keepvip_proto::engine::RouterStatus;
use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::report::{Faults, Reject, State};
use keepvip_proto::vrrp::stats::Stats;

/// Words of one router: what it is doing, its counters, its rejected adverts by cause.
const WORDS: usize = REJECTS + Reject::COUNT;
const DEADLINE: usize = 4;
const TRANSITION: usize = 5;
const COUNTERS: usize = 6;
const REJECTS: usize = COUNTERS + 10;
/// A time that is not set.
const NEVER: u64 = u64::MAX;

/// The published status of one router.
#[derive(Debug)]
pub struct StatusBlock {
    /// Odd while the words are being written.
    sequence: AtomicU32,
    words: [AtomicU64; WORDS],
}

/// A router's status as it was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedStatus {
    /// Its state.
    pub state: State,
    /// Its faults, as bits of [`Faults`].
    pub faults: u16,
    /// Configured priority.
    pub base_priority: u8,
    /// Effective priority.
    pub priority: u8,
    /// The master heard last, with its priority.
    pub master: Option<(IpAddr, u8)>,
    /// Interval of the master's adverts.
    pub master_advert_interval: Duration,
    /// When it has something to do.
    pub next_deadline: Option<Instant>,
    /// When it last changed its state.
    pub last_transition: Option<Instant>,
    /// All its addresses are confirmed by the kernel.
    pub addresses_installed: bool,
    /// Its counters.
    pub stats: Stats,
}

impl Default for StatusBlock {
    /// INIT, and zero everywhere else.
    fn default() -> Self {
        let block = Self {
            sequence: AtomicU32::new(0),
            words: [const { AtomicU64::new(0) }; WORDS],
        };
        block.words[DEADLINE].store(NEVER, Ordering::Relaxed);
        block.words[TRANSITION].store(NEVER, Ordering::Relaxed);
        block
    }
}

impl StatusBlock {
    /// Publishes a status. Only the engine thread calls this.
    pub(crate) fn publish(&self, status: &RouterStatus) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, value) in self.words.iter().zip(encode(status)) {
            word.store(value, Ordering::Relaxed);
        }
        self.sequence.store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// The status as last published.
    #[must_use]
    pub fn read(&self) -> PublishedStatus {
        loop {
            let before = self.sequence.load(Ordering::Acquire);
            let words = core::array::from_fn(|i| self.words[i].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == before {
                return decode(&words);
            }
            // The writer is a real-time thread in the middle of some 30 stores.
            std::thread::yield_now();
        }
    }
}

fn encode(status: &RouterStatus) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    let (family, high, low) = match status.master {
        None => (0, 0, 0),
        Some(IpAddr::V4(addr)) => (4, 0, u64::from(u32::from(addr))),
        Some(IpAddr::V6(addr)) => {
            let bits = u128::from(addr);
            (6, (bits >> 64) as u64, bits as u64)
        }
    };
    let [faults_low, faults_high] = status.faults.bits().to_le_bytes();
    words[0] = u64::from_le_bytes([
        status.state as u8,
        faults_low,
        status.base_priority,
        status.priority,
        status.master_priority,
        family,
        u8::from(status.addresses_installed),
        faults_high,
    ]);
    words[1] = high;
    words[2] = low;
    words[3] = status.master_advert_interval.as_micros();
    words[DEADLINE] = status.next_deadline.map_or(NEVER, Instant::as_micros);
    words[TRANSITION] = status.last_transition.map_or(NEVER, Instant::as_micros);
    let stats = &status.stats;
    words[COUNTERS..REJECTS].copy_from_slice(&[
        stats.advert_rcvd,
        stats.advert_sent,
        stats.become_master,
        stats.release_master,
        stats.pri_zero_rcvd,
        stats.pri_zero_sent,
        stats.garp_sent,
        stats.na_sent,
        stats.address_restored,
        stats.late_max_us,
    ]);
    words[REJECTS..].copy_from_slice(&stats.rejects);
    words
}

fn decode(words: &[u64; WORDS]) -> PublishedStatus {
    let [
        state,
        faults_low,
        base_priority,
        priority,
        master_priority,
        family,
        installed,
        faults_high,
    ] = words[0].to_le_bytes();
    let master = match family {
        4 => Some(IpAddr::V4(Ipv4Addr::from(words[2] as u32))),
        6 => Some(IpAddr::V6(Ipv6Addr::from(
            u128::from(words[1]) << 64 | u128::from(words[2]),
        ))),
        _ => None,
    };
    let counter = |i: usize| words[COUNTERS + i];
    let mut rejects = [0; Reject::COUNT];
    rejects.copy_from_slice(&words[REJECTS..]);
    PublishedStatus {
        state: match state {
            1 => State::Backup,
            2 => State::Master,
            3 => State::Fault,
            _ => State::Init,
        },
        faults: u16::from_le_bytes([faults_low, faults_high]),
        base_priority,
        priority,
        master: master.map(|addr| (addr, master_priority)),
        master_advert_interval: Duration::from_micros(words[3]),
        next_deadline: time(words[DEADLINE]),
        last_transition: time(words[TRANSITION]),
        addresses_installed: installed != 0,
        stats: Stats {
            advert_rcvd: counter(0),
            advert_sent: counter(1),
            become_master: counter(2),
            release_master: counter(3),
            pri_zero_rcvd: counter(4),
            pri_zero_sent: counter(5),
            garp_sent: counter(6),
            na_sent: counter(7),
            address_restored: counter(8),
            late_max_us: counter(9),
            rejects,
        },
    }
}

const fn time(word: u64) -> Option<Instant> {
    if word == NEVER {
        None
    } else {
        Some(Instant::from_micros(word))
    }
}

impl PublishedStatus {
    /// Names of the faults.
    pub fn fault_names(&self) -> impl Iterator<Item = &'static str> {
        fault_names(self.faults)
    }
}

/// Names of a set of faults given as bits.
pub fn fault_names(bits: u16) -> impl Iterator<Item = &'static str> {
    Faults::NAMES
        .into_iter()
        .filter(move |(fault, _)| bits & fault.bits() != 0)
        .map(|(_, name)| name)
}

/// Buckets of the lateness histogram: bucket `i` counts turns that met a deadline late by less than 2^i µs.
pub const LATE_BUCKETS: usize = 32;

/// Numbers of the thread as a whole.
#[derive(Debug, Default)]
pub(crate) struct ThreadStatus {
    late: [AtomicU64; LATE_BUCKETS],
    wakeups: AtomicU64,
    rx_overruns: AtomicU64,
    netlink_resyncs: AtomicU64,
    realtime: AtomicBool,
    memory_locked: AtomicBool,
    ended: AtomicBool,
    wake_due: AtomicU64,
}

/// [`ThreadStatus`] as plain numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedThreadStatus {
    /// See [`LATE_BUCKETS`]; the last bucket holds all that is later.
    pub late: [u64; LATE_BUCKETS],
    /// Turns of the loop that followed a wait.
    pub wakeups: u64,
    /// Received packets that the kernel had to drop.
    pub rx_overruns: u64,
    /// Times that links and addresses were read anew after an overrun.
    pub netlink_resyncs: u64,
    /// The thread runs with real-time scheduling.
    pub realtime: bool,
    /// The memory of the process is locked.
    pub memory_locked: bool,
    /// The thread has ended.
    pub ended: bool,
    /// When it will turn at the latest; long past this it hangs. `None`: not before something happens.
    pub wake_due: Option<Instant>,
}

impl ThreadStatus {
    pub(crate) fn woke(&self) {
        self.wakeups.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn late(&self, late: Duration) {
        self.late[bucket(late)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn overruns(&self, packets: u64, resyncs: u64) {
        self.rx_overruns.store(packets, Ordering::Relaxed);
        self.netlink_resyncs.store(resyncs, Ordering::Relaxed);
    }

    pub(crate) fn granted(&self, realtime: bool, memory_locked: bool) {
        self.realtime.store(realtime, Ordering::Relaxed);
        self.memory_locked.store(memory_locked, Ordering::Relaxed);
    }

    pub(crate) fn sleeps_until(&self, at: Option<Instant>) {
        self.wake_due
            .store(at.map_or(NEVER, Instant::as_micros), Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// The numbers as they are now.
    pub(crate) fn read(&self) -> PublishedThreadStatus {
        PublishedThreadStatus {
            late: core::array::from_fn(|i| self.late[i].load(Ordering::Relaxed)),
            wakeups: self.wakeups.load(Ordering::Relaxed),
            rx_overruns: self.rx_overruns.load(Ordering::Relaxed),
            netlink_resyncs: self.netlink_resyncs.load(Ordering::Relaxed),
            realtime: self.realtime.load(Ordering::Relaxed),
            memory_locked: self.memory_locked.load(Ordering::Relaxed),
            ended: self.ended.load(Ordering::Acquire),
            wake_due: time(self.wake_due.load(Ordering::Relaxed)),
        }
    }
}

fn bucket(late: Duration) -> usize {
    let bits = u64::BITS - late.as_micros().leading_zeros();
    (bits as usize).min(LATE_BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    fn status(n: u64) -> RouterStatus {
        RouterStatus {
            state: State::Master,
            faults: Faults::INTERFACE_DOWN.with(Faults::VMAC, true),
            base_priority: 100,
            priority: 99,
            master: Some("2001:db8::17".parse().unwrap()),
            master_priority: 7,
            master_advert_interval: Duration::from_micros(n),
            next_deadline: Some(Instant::from_micros(n)),
            last_transition: None,
            addresses_installed: true,
            stats: Stats {
                advert_rcvd: n,
                late_max_us: n,
                rejects: [n; Reject::COUNT],
                ..Stats::default()
            },
        }
    }

    #[test]
    fn what_is_published_is_read() {
        let block = StatusBlock::default();
        let read = block.read();
        assert_eq!((read.state, read.next_deadline, read.master), (State::Init, None, None));
        block.publish(&status(12));
        let read = block.read();
        assert_eq!(read.state, State::Master);
        assert_eq!(
            read.fault_names().collect::<Vec<_>>(),
            ["interface_down", "vmac_unusable"]
        );
        assert_eq!(read.master, Some(("2001:db8::17".parse().unwrap(), 7)));
        assert_eq!(
            (read.next_deadline, read.last_transition),
            (Some(Instant::from_micros(12)), None)
        );
        assert_eq!(
            (read.base_priority, read.priority, read.addresses_installed),
            (100, 99, true)
        );
        assert_eq!(read.stats, status(12).stats);
        let v4 = RouterStatus {
            master: Some([10, 0, 0, 1].into()),
            ..status(13)
        };
        block.publish(&v4);
        assert_eq!(block.read().master, Some(([10, 0, 0, 1].into(), 7)));
    }

    #[test]
    fn a_reader_never_sees_half_a_status() {
        let block = Arc::new(StatusBlock::default());
        block.publish(&status(0));
        let done = Arc::new(AtomicBool::new(false));
        let writer = thread::spawn({
            let (block, done) = (Arc::clone(&block), Arc::clone(&done));
            move || {
                for n in 0..200_000 {
                    block.publish(&status(n));
                }
                done.store(true, Ordering::Relaxed);
            }
        });
        while !done.load(Ordering::Relaxed) {
            let read = block.read();
            let n = read.stats.advert_rcvd;
            assert_eq!(read.stats, status(n).stats);
            assert_eq!(read.next_deadline, Some(Instant::from_micros(n)));
        }
        writer.join().unwrap();
    }

    #[test]
    fn lateness_is_counted_by_powers_of_two() {
        let thread = ThreadStatus::default();
        for us in [0, 1, 2, 3, 4, 1 << 40] {
            thread.late(Duration::from_micros(us));
        }
        thread.woke();
        let read = thread.read();
        assert_eq!(read.wakeups, 1);
        assert_eq!(&read.late[..4], &[1, 1, 2, 1]);
        assert_eq!(read.late[LATE_BUCKETS - 1], 1);
    }
}
