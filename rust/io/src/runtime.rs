//! The loop: what came in, what is due, what must go out, in this order, again and again.
//!
//! One turn:
//!
//! 1. wait for a socket, a command or the timer;
//! 2. commands, then facts from rtnetlink;
//! 3. read the clock, then every packet that had arrived by that time: **listen before you speak**;
//! 4. deadlines up to that time;
//! 5. adverts; memberships and address operations to [`crate::hands`]; one batch of announcements;
//! 6. reports, once the address operations before them are done; status of the routers that changed;
//! 7. set the timer.
//!
//! What did not fit into a turn follows in the next one, which then does not wait; so neither two hundred addresses nor
//! a thousand announcements nor a dump of all interfaces delay an advert.
//!
//! The results of address operations are taken before any news from rtnetlink, which is not read while some are under
//! way: that an address is gone must not be heard before it is known that we removed it.

mod namespaces;

use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use keepvip_proto::engine::{Apply, Change, Core};
use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::report::{Event, EventKind};

use crate::announce::Announcements;
use crate::engine::Options;
use crate::failures::SendFailures;
use crate::hands::{Hands, Outcome};
use crate::modes::{Modes, Receive, Send};
use crate::netlink::Families;
use crate::netns::{Namespace, Namespaces, OWN};
use crate::opener::OpenerPort;
use crate::quiet::Quiet;
use crate::ring::{ApplyCommand, Command, CommandSource, RecordKind, RecordSink};
use crate::status::{StatusBlock, ThreadStatus};
use crate::sys::clock;
use crate::sys::epoll::{Epoll, Token, Trigger};
use crate::sys::timerfd::Timer;
use namespaces::Doors;

/// What epoll calls the descriptors, beside those of the namespaces.
const TIMER: u8 = 0;
const COMMANDS: u8 = 1;
const HANDS: u8 = 2;
const OPENER: u8 = 3;

/// Which of them are readable.
#[derive(Clone, Copy, Default)]
struct Ready(u8);

impl Ready {
    const fn has(self, kind: u8) -> bool {
        self.0 & (1 << kind) != 0
    }
}

const fn own(kind: u8) -> Token {
    Token { kind, netns: OWN }
}

/// A wake-up later than this is told, at most once per [`LATE_PERIOD`]; every one is in the histogram.
const LATE: Duration = Duration::from_millis(10);
const LATE_PERIOD: Duration = Duration::from_secs(1);

/// Adverts of many routers come in bursts, and a wake-up costs ten times what a packet does. When packets follow each other
/// this closely, the thread lets a few gather before it looks again: what it hears is at most so much older then. A single
/// packet, and the first of a burst, is handled at once.
const BURST: Duration = Duration::from_micros(200);

/// After so long without sleeping the thread takes a nap: the kernel ends a process whose real-time thread never sleeps,
/// and others want to run, too.
const BUSY: Duration = Duration::from_millis(100);
const NAP: Duration = Duration::from_micros(500);

/// What comes after a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Another turn.
    Turn,
    /// Everything is released.
    Stopped,
}

/// What remained to be done when a turn ended.
#[derive(Clone, Copy, Default)]
struct Backlog {
    packets: bool,
    facts: bool,
    announcements: bool,
    commands: bool,
    namespaces: bool,
    overdue: bool,
}

impl Backlog {
    const fn any(self) -> bool {
        self.packets || self.facts || self.announcements || self.commands || self.namespaces || self.overdue
    }
}

/// Everything that the engine thread owns.
pub(crate) struct Runtime {
    core: Core,
    epoll: Epoll,
    timer: Timer,
    namespaces: Namespaces,
    send: Send,
    announcements: Announcements,
    failures: SendFailures,
    hands: Hands,
    filter_errno: i32,
    opener: OpenerPort,
    doors: Doors,
    /// Some membership was refused.
    unjoined: bool,
    /// Reports wait for address operations.
    unreported: bool,
    commands: CommandSource,
    records: RecordSink,
    thread: Arc<ThreadStatus>,
    status: Vec<Option<Arc<StatusBlock>>>,
    backlog: Backlog,
    stopping: bool,
    /// When packets were last read, and whether they came in a burst.
    packets_at: Instant,
    burst: bool,
    /// The last time that the thread slept, as far as the clock was read.
    rested: Instant,
    late_told: Option<Instant>,
}

/// The filter that keeps routine adverts from us, if it is wanted and permitted; `modes` tells what became of it.
fn quiet(modes: &mut Modes, notices: &mut Vec<String>) -> Option<Quiet> {
    if modes.receive == Receive::Wake {
        return None;
    }
    match Quiet::open() {
        Ok(quiet) => Some(quiet),
        Err(error) => {
            modes.receive = Receive::Wake;
            notices.push(format!(
                "every advert wakes the engine, since the kernel takes no socket filter (CAP_BPF): {error}"
            ));
            None
        }
    }
}

impl Runtime {
    /// Opens everything in the network namespace of the calling thread and starts to read links and addresses.
    pub(crate) fn open(
        commands: CommandSource,
        records: RecordSink,
        opener: OpenerPort,
        thread: Arc<ThreadStatus>,
        options: &Options,
        modes: &mut Modes,
        notices: &mut Vec<String>,
    ) -> io::Result<Self> {
        let quiet = quiet(modes, notices);
        let mut core = Core::new();
        let mut epoll = Epoll::new()?;
        let timer = Timer::new()?;
        let own_namespace = Box::new(Namespace::open(OWN, notices)?);
        let hands = Hands::start(options.rt_priority, options.filter.clone())?;
        epoll.add(&timer, own(TIMER), Trigger::Edge)?;
        epoll.add(&commands.wake.as_fd(), own(COMMANDS), Trigger::Level)?;
        epoll.add(&hands, own(HANDS), Trigger::Level)?;
        epoll.add(&opener, own(OPENER), Trigger::Level)?;
        let mut namespaces = Namespaces::new(quiet);
        let added = namespaces.add(own_namespace, &mut epoll, &mut core);
        added.map_err(|(_, error)| error)?;
        Ok(Self {
            core,
            epoll,
            timer,
            namespaces,
            send: modes.send,
            announcements: Announcements::new(),
            failures: SendFailures::default(),
            hands,
            filter_errno: 0,
            opener,
            doors: Doors::default(),
            unjoined: false,
            unreported: false,
            commands,
            records,
            thread,
            status: Vec::new(),
            backlog: Backlog::default(),
            stopping: false,
            packets_at: Instant::ZERO,
            burst: false,
            rested: clock::now(),
            late_told: None,
        })
    }

    /// Runs until everything is released.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        while self.turn()? == Next::Turn {}
        Ok(())
    }

    /// One turn of the loop.
    pub(crate) fn turn(&mut self) -> io::Result<Next> {
        let ready = self.wait()?;
        self.core.handle_clock(clock::utc_us());
        self.take_outcomes(ready);
        self.take_namespaces(ready.has(OPENER));
        self.take_commands(ready);
        self.take_facts()?;
        let now = clock::now();
        let due = self.core.next_deadline().filter(|&at| at <= now);
        self.take_packets(now, due.is_some())?;
        let core = &mut self.core;
        self.namespaces
            .with_notes(|notes| core.handle_deadlines_with(now, notes));
        // The start of the clock is no deadline, it means "at once".
        if let Some(due) = due.filter(|&at| at > Instant::ZERO) {
            self.note_late(now, now.since(due));
        }
        let stopped = self.put_out(now);
        self.publish();
        self.set_timer()?;
        Ok(if stopped { Next::Stopped } else { Next::Turn })
    }

    fn wait(&mut self) -> io::Result<Ready> {
        let sleep = !self.backlog.any();
        if sleep && core::mem::take(&mut self.burst) {
            clock::nap(BURST);
        }
        let ready = self.look(sleep)?;
        let now = clock::now();
        if sleep {
            self.rested = now;
            self.thread.woke();
        } else if now.since(self.rested) > BUSY {
            clock::nap(NAP);
            self.rested = clock::now();
        }
        Ok(ready)
    }

    /// Finds out what is readable.
    fn look(&mut self, sleep: bool) -> io::Result<Ready> {
        self.epoll.wait(sleep)?;
        let mut ready = Ready::default();
        for token in self.epoll.ready() {
            match token.kind {
                kind @ (TIMER | COMMANDS | HANDS | OPENER) => ready.0 |= 1 << kind,
                _ => self.namespaces.mark(token),
            }
        }
        Ok(ready)
    }

    fn note_late(&mut self, now: Instant, late: Duration) {
        self.thread.late(late);
        if late >= LATE && self.late_told.is_none_or(|at| now.since(at) >= LATE_PERIOD) {
            self.late_told = Some(now);
            self.records.push(now, RecordKind::Late { late });
        }
    }

    /// Takes the results of what was handed over.
    fn take_outcomes(&mut self, ready: Ready) {
        if !ready.has(HANDS) {
            return;
        }
        self.hands.clear();
        self.take_outcomes_of(clock::now());
    }

    fn take_outcomes_of(&mut self, now: Instant) {
        while let Some(outcome) = self.hands.take() {
            match outcome {
                Outcome::Address(op, errno, filter_errno) => {
                    self.core.handle_address_result(now, &op, errno);
                    self.note_filter(now, filter_errno);
                }
                Outcome::Membership(Err(refused)) => {
                    self.unjoined = true;
                    let kind = RecordKind::MembershipRefused {
                        netns: refused.membership.interface.netns,
                        ifindex: refused.membership.interface.index,
                        group: refused.membership.group,
                        errno: refused.errno,
                    };
                    self.records.push(now, kind);
                }
                Outcome::Again { missing } => self.unjoined = missing,
                Outcome::FilterPrepared(errno) => self.note_filter(now, errno),
                Outcome::Membership(Ok(())) | Outcome::Done => {}
            }
        }
    }

    /// Tells once that the packet filter refuses, until it does not, or for another reason.
    fn note_filter(&mut self, now: Instant, errno: i32) {
        if errno != 0 && errno != self.filter_errno {
            self.records.push(now, RecordKind::FilterRefused { errno });
        }
        self.filter_errno = errno;
    }

    /// Carries out what was asked for. A configuration waits until the host is known, and until the reports of the one
    /// before are out: they name slots and groups of the configuration that they belong to.
    fn take_commands(&mut self, ready: Ready) {
        if ready.has(COMMANDS) {
            self.commands.wake.clear();
        }
        self.backlog.commands = false;
        while let Some(command) = self.commands.peek() {
            if let Command::Apply(command) = command {
                let settled = self
                    .doors
                    .settled(&command.namespaces, &self.namespaces, &mut self.core);
                if !settled || !self.started() || self.unreported {
                    return;
                }
            }
            if matches!(command, Command::FilterVmac { .. }) && !self.hands.has_room() {
                self.backlog.commands = true;
                return;
            }
            match self.commands.pop() {
                Some(Command::Apply(command)) => {
                    self.apply(command);
                    self.backlog.commands = self.commands.peek().is_some();
                    return;
                }
                Some(Command::FilterVmac { link, there }) => self.hands.filter_vmac(link, there),
                Some(Command::Track { id, value }) => self.core.handle_track(id, value),
                Some(Command::Shutdown { release }) => {
                    self.stopping = true;
                    self.hear_notes();
                    self.core.shutdown(clock::now(), release);
                }
                Some(Command::Crash) => panic!("asked to crash"),
                None => return,
            }
        }
    }

    fn apply(&mut self, mut command: Box<ApplyCommand>) {
        self.publish();
        self.records.set_epoch(command.epoch);
        core::mem::swap(&mut self.status, &mut command.status);
        self.prepare_filter(&command.apply);
        self.hear_notes();
        self.core.apply(clock::now(), core::mem::take(&mut command.apply));
        self.namespaces.whole_frames = self.send.whole_frames(self.core.slots().count());
        self.close_all_but(&command.namespaces);
        self.commands.discard(command);
    }

    /// Tells the core what was heard before a command: it is judged by the old configuration.
    fn hear_notes(&mut self) {
        let core = &mut self.core;
        self.namespaces
            .with_notes(|notes| core.look_at_all(clock::now(), notes));
    }

    /// Has the packet filter made before a master needs it.
    fn prepare_filter(&mut self, apply: &Apply) {
        let mut families = Families::default();
        for change in &apply.changes {
            if let Change::Add { config, .. } | Change::Update { config, .. } = change {
                for vip in config.vips.iter().filter(|vip| vip.guarded) {
                    families.v4 |= vip.addr.is_ipv4();
                    families.v6 |= vip.addr.is_ipv6();
                }
            }
        }
        if families != Families::default() && self.hands.has_room() {
            self.hands.prepare_filter(families);
        }
    }

    fn take_facts(&mut self) -> io::Result<()> {
        self.backlog.facts = false;
        if self.hands.busy() || !self.namespaces.news() {
            return Ok(());
        }
        let started = self.started();
        let waiting = !started || self.doors.patience_ends().is_some();
        let pumped = self.namespaces.pump(clock::now(), &mut self.core)?;
        self.backlog.facts = pumped.more;
        // A configuration that waited for the host to be known needs a turn of its own.
        self.backlog.commands |= waiting;
        if pumped.news && self.unjoined && self.hands.has_room() {
            self.unjoined = false;
            self.hands.again();
        }
        Ok(())
    }

    /// The host is known.
    fn started(&self) -> bool {
        self.namespaces.get(OWN).is_some_and(Namespace::started)
    }

    /// Hands over the packets that had arrived by `now`. When a deadline is due it is asked once more what is readable:
    /// something may have come in since.
    fn take_packets(&mut self, now: Instant, due: bool) -> io::Result<()> {
        // One question for all sockets costs less than reading two empty ones.
        if due {
            self.look(false)?;
            self.backlog.facts |= self.namespaces.news() && !self.hands.busy();
        }
        let received = self.namespaces.receive(now, &mut self.core)?;
        self.backlog.packets = received.more;
        if received.packets > 0 {
            self.burst = now.since(self.packets_at) < BURST + BURST;
            self.packets_at = now;
        }
        Ok(())
    }

    /// Does what the core wants done; true when it has nothing left to do for ever.
    fn put_out(&mut self, now: Instant) -> bool {
        self.namespaces.send(now, &mut self.core, &mut self.failures);
        let handed_over = self.hand_over();
        self.backlog.announcements = self
            .announcements
            .send(now, &mut self.core, &self.namespaces, &mut self.failures);
        // Reports wait for the address operations before them, and the last report for the last advert.
        if !handed_over || self.hands.busy() || (self.stopping && self.namespaces.retry_at().is_some()) {
            self.unreported = true;
            return false;
        }
        self.close_doors();
        let waited = core::mem::take(&mut self.unreported);
        self.backlog.commands |= waited && self.commands.peek().is_some();
        self.report(clock::now())
    }

    /// Gives memberships and address operations to those who may wait for them; false when not all could be taken.
    fn hand_over(&mut self) -> bool {
        while self.hands.has_room()
            && let Some(op) = self.core.poll_membership()
        {
            self.hands.membership(op);
        }
        while self.hands.has_room()
            && let Some(op) = self.core.poll_address_op()
        {
            self.hands.address(op);
        }
        self.hands.flush();
        self.hands.has_room()
    }

    /// Passes on the reports; true when the last one was among them.
    fn report(&mut self, now: Instant) -> bool {
        while let Some(event) = self.core.poll_event() {
            self.records.push(
                event.at,
                RecordKind::Event {
                    kind: event.kind,
                    took: took(&event, now),
                },
            );
            if event.kind == EventKind::Stopped {
                return true;
            }
        }
        false
    }

    /// Makes reports and status visible to the others.
    fn publish(&mut self) {
        while let Some(slot) = self.core.poll_dirty() {
            if let Some(Some(block)) = self.status.get(slot as usize)
                && let Some(status) = self.core.status(slot)
            {
                block.publish(&status);
            }
        }
        // Last: whoever is woken by a report finds the status that goes with it.
        self.records.flush();
        self.thread
            .overruns(self.namespaces.overruns(), self.namespaces.resyncs());
    }

    fn set_timer(&mut self) -> io::Result<()> {
        // What a full device refused is not tried again before its time, whatever the core wants to announce.
        let announcement = self.announcements.retry_at().or_else(|| self.core.next_announcement());
        let retry = self.namespaces.retry_at();
        let at = [
            self.core.next_deadline(),
            announcement,
            retry,
            self.doors.patience_ends(),
        ]
        .into_iter()
        .flatten()
        .min();
        let now = clock::now();
        self.backlog.overdue = at.is_some_and(|at| at <= now);
        self.burst &= at.is_none_or(|at| at > now + BURST + BURST);
        if !self.backlog.overdue {
            self.timer.arm(at)?;
        }
        // A deadline "at once" is the start of the clock: published as it is, it would look like a hang since then.
        self.thread.sleeps_until(at.map(|at| at.max(now)));
        Ok(())
    }

    /// The loop has failed. Tells the peers and takes the addresses off, as far as that still works.
    pub(crate) fn last_gasp(&mut self) {
        let released = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let now = clock::now();
            self.core.handle_clock(clock::utc_us());
            self.core.shutdown(now, true);
            self.namespaces.send(now, &mut self.core, &mut self.failures);
            while !self.hand_over() || self.hands.busy() {
                self.hands.wait();
                self.take_outcomes_of(clock::now());
            }
        }));
        if released.is_err() {
            // The core is beyond repair; what was installed is known without it.
            self.hands.withdraw_all();
        }
    }

    /// Says that the thread ends; `failed`: not because it was told to.
    pub(crate) fn end(&mut self, failed: bool) {
        if failed {
            self.records.push(clock::now(), RecordKind::Fatal);
        }
        self.hands.finish();
        self.namespaces.close();
        self.thread.end();
        self.records.wake();
    }
}

/// From the cause of a report, a deadline or a packet, until its last address operation was done.
fn took(event: &Event, now: Instant) -> Duration {
    let late = match &event.kind {
        EventKind::Transition { evidence, .. } => evidence.late,
        _ => Duration::ZERO,
    };
    now.since(event.at) + late
}
