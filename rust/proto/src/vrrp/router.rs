//! One virtual router: its state, its deadlines, and what an advert or a deadline means to it alone.
//!
//! A router decides nothing that concerns others: whether a sync group lets it become master, and who else must move
//! with it, is [`crate::engine`]'s part. So each handler here returns a verdict, and [`crate::engine`] carries it out.

use core::net::IpAddr;

use super::config::{PRIORITY_OWNER, RouterConfig};
use super::output::IfId;
use super::report::{Evidence, Faults, GroupIndex, Reason, Reject, State};
use super::stats::Stats;
use super::track::{Sum, TrackTarget};
use crate::time::{Duration, Instant};
use crate::wire::vrrp::TTL;

/// The role, with what exists only in it.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    Init,
    Backup(Backup),
    Master(Master),
    Fault,
}

/// A backup waits for one deadline.
#[derive(Clone, Debug)]
pub(crate) struct Backup {
    /// When the master counts as down.
    pub(crate) deadline: Instant,
    /// Why the deadline stands where it does: the reason to give when it runs out.
    pub(crate) why: Reason,
    /// The master that is alive has a lower priority and is not followed.
    pub(crate) displacing: bool,
    /// End of the time for which a master of lower priority is tolerated; `None` until one was heard.
    pub(crate) preempt_at: Option<Instant>,
    /// Its own timer has run out, or `state MASTER` was configured; only sync groups ask for it.
    pub(crate) wants_master: bool,
    /// The deadline was already moved because we woke late.
    pub(crate) listened: bool,
}

/// A master has an advert to send, and announcements to repeat.
#[derive(Clone, Debug)]
pub(crate) struct Master {
    /// When the next advert is due.
    pub(crate) advert_at: Instant,
    /// When the last one was due or sent.
    pub(crate) last_sent: Instant,
    /// Second batch of announcements.
    pub(crate) second_batch_at: Option<Instant>,
    /// Next periodic batch.
    pub(crate) refresh_at: Option<Instant>,
    /// Second batch after an advert of lower priority.
    pub(crate) lower_prio_batch_at: Option<Instant>,
    /// It woke after its own down time: the next advert waits, somebody else may be master.
    pub(crate) listening: bool,
    /// Another owner was heard.
    pub(crate) clash: Option<OwnerClash>,
}

/// Two routers of priority 255 (`vrrp-behaviour.md` 1.4).
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnerClash {
    /// Adverts still to be sent at once, as an answer.
    pub(crate) answers_left: u8,
    /// If the other one still advertises after this moment, we lower ourselves to 254.
    pub(crate) patience_until: Instant,
}

/// An address of the configuration and what became of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    /// It shall be on its interface.
    pub(crate) wanted: bool,
    /// The kernel has confirmed it.
    pub(crate) present: bool,
    /// Somebody else took it away; to be put back when all facts of this wake-up are in.
    pub(crate) lost: bool,
    /// Deletions of ours whose notification has not come back yet. It may come before the kernel's answer or after.
    pub(crate) own_deletions: u16,
    /// It was taken away before we knew that it was there.
    pub(crate) gone_early: bool,
}

/// An advert that passed all checks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    pub(crate) sender: IpAddr,
    pub(crate) priority: u8,
    pub(crate) interval: Duration,
}

/// What an advert means to a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing to do now; a deadline may have moved.
    None,
    /// Send an advert now and start the interval anew.
    Advertise,
    /// As [`Self::Advertise`], and announce again: somebody of lower priority acted as master.
    Assert,
    /// As [`Self::Assert`] without the advert (`lower_prio_no_advert`).
    Announce,
    /// Become backup.
    Yield { reason: Reason, advertise_first: bool },
}

/// The advert for one destination: of our priority, and of priority 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    pub(crate) alive: Vec<u8>,
    pub(crate) zero: Vec<u8>,
}

/// One virtual router.
#[derive(Debug)]
pub(crate) struct Router {
    pub(crate) config: Box<RouterConfig>,
    pub(crate) group: Option<GroupIndex>,
    pub(crate) phase: Phase,
    pub(crate) faults: Faults,
    /// The interface, while it exists.
    pub(crate) interface: Option<IfId>,
    /// The address that adverts are sent from.
    pub(crate) source: Option<IpAddr>,
    /// Effective priority.
    pub(crate) priority: u8,
    /// An owner that lowered itself because of another one.
    pub(crate) stepped_down: bool,
    /// In FAULT only for want of a first result; nobody was told.
    pub(crate) quiet: bool,
    /// The first tracked thing that is a fault.
    pub(crate) track_fault: Option<TrackTarget>,
    /// The master's interval: learnt in version 3, else our own.
    pub(crate) master_interval: Duration,
    /// The master heard last.
    pub(crate) master: Option<(IpAddr, u8)>,
    pub(crate) last_advert: Option<Instant>,
    pub(crate) last_transition: Option<Instant>,
    /// One for each of `config.vips`.
    pub(crate) held: Vec<Held>,
    /// Address operations handed out and not answered yet.
    pub(crate) ops_pending: u32,
    /// Ready-made adverts, one for each destination.
    pub(crate) frames: Vec<Frame>,
    /// A unicast peer was found to use the old checksum.
    pub(crate) old_checksum: bool,
    pub(crate) ip_id: u16,
    pub(crate) stats: Stats,
    /// Causes already reported since the master or the state changed, by bit.
    pub(crate) reported: u16,
    pub(crate) send_failing: bool,
    /// Next router with the same interface, family and VRID but another group.
    pub(crate) next_same_vrid: Option<u32>,
    /// An advert is in the queue already.
    pub(crate) advert_queued: bool,
    /// A lower-priority advert was already answered in this turn.
    pub(crate) asserted_in_turn: u64,
}

impl Router {
    pub(crate) fn new(config: Box<RouterConfig>) -> Self {
        Self {
            group: None,
            phase: Phase::Init,
            faults: Faults::NONE,
            interface: None,
            source: None,
            priority: config.priority,
            stepped_down: false,
            quiet: false,
            track_fault: None,
            master_interval: config.advert_interval,
            master: None,
            last_advert: None,
            last_transition: None,
            held: vec![Held::default(); config.vips.len()],
            ops_pending: 0,
            frames: Vec::new(),
            old_checksum: config.starts_with_old_checksum(),
            ip_id: u16::from(config.vrid),
            stats: Stats::default(),
            reported: 0,
            send_failing: false,
            next_same_vrid: None,
            advert_queued: false,
            asserted_in_turn: 0,
            config,
        }
    }

    pub(crate) const fn state(&self) -> State {
        match self.phase {
            Phase::Init => State::Init,
            Phase::Backup(_) => State::Backup,
            Phase::Master(_) => State::Master,
            Phase::Fault => State::Fault,
        }
    }

    pub(crate) const fn is_owner(&self) -> bool {
        self.config.priority == PRIORITY_OWNER
    }

    /// Where adverts go: the group, or the peers.
    pub(crate) fn destinations(&self) -> usize {
        self.config.unicast.as_ref().map_or(1, |unicast| unicast.peers.len())
    }

    /// One of them.
    pub(crate) fn destination(&self, index: usize) -> Option<IpAddr> {
        match &self.config.unicast {
            None => (index == 0).then_some(self.config.group),
            Some(unicast) => unicast.peers.get(index).map(|peer| peer.addr),
        }
    }

    /// Hop limit of our adverts; `None` is the kernel's default.
    pub(crate) fn hop_limit(&self) -> Option<u8> {
        self.config.unicast.as_ref().map_or(Some(TTL), |unicast| unicast.ttl)
    }

    /// Master down interval as it is now.
    pub(crate) fn master_down(&self) -> Duration {
        self.config.master_down(self.priority, self.master_interval)
    }

    pub(crate) fn skew(&self) -> Duration {
        RouterConfig::skew(self.config.version, self.priority, self.master_interval)
    }

    /// First wait of a router that starts without a fault (`vrrp-behaviour.md` 1.1).
    pub(crate) fn first_wait(&self) -> (Duration, Reason) {
        if self.is_owner() && self.config.initial_master {
            (Duration::from_micros(1), Reason::Owner)
        } else if self.config.initial_master {
            let own = self.config.advert_interval;
            (
                own + RouterConfig::skew(self.config.version, PRIORITY_OWNER, own),
                Reason::MasterDownShortened,
            )
        } else {
            (self.master_down(), Reason::MasterDown)
        }
    }

    /// The earliest thing that this router has to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Init | Phase::Fault => None,
            Phase::Backup(backup) => Some(backup.deadline),
            Phase::Master(master) => [master.second_batch_at, master.refresh_at, master.lower_prio_batch_at]
                .into_iter()
                .flatten()
                .chain([master.advert_at])
                .min(),
        }
    }

    /// The facts of this moment, for a transition.
    pub(crate) fn evidence(&self, now: Instant) -> Evidence {
        let deadline = match &self.phase {
            Phase::Backup(backup) => Some(backup.deadline),
            Phase::Master(master) => Some(master.advert_at),
            Phase::Init | Phase::Fault => None,
        };
        Evidence {
            master: self.master.map(|(sender, _)| sender),
            master_priority: self.master.map(|(_, priority)| priority),
            own_priority: self.priority,
            last_advert: self.last_advert,
            deadline,
            master_down: self.master_down(),
            skew: self.skew(),
            late: deadline.map_or(Duration::ZERO, |deadline| now.since(deadline)),
            member: None,
            faults: self.faults,
            track: self.track_fault,
        }
    }

    /// Counts a rejected advert; true when it is the first of its cause since the master or the state changed.
    pub(crate) fn note_reject(&mut self, cause: Reject) -> bool {
        self.stats.rejects[cause as usize] += 1;
        let bit = 1 << cause as u16;
        let first = self.reported & bit == 0;
        self.reported |= bit;
        first
    }

    /// A valid advert came. Deadlines of this router move here; everything else is the verdict.
    pub(crate) fn heard(&mut self, now: Instant, advert: Heard) -> Verdict {
        self.stats.advert_rcvd += 1;
        if advert.priority == 0 {
            self.stats.pri_zero_rcvd += 1;
        }
        match self.phase {
            Phase::Init | Phase::Fault => Verdict::None,
            Phase::Backup(_) => {
                self.heard_as_backup(now, advert);
                Verdict::None
            }
            Phase::Master(_) => self.heard_as_master(now, advert),
        }
    }

    /// `vrrp-behaviour.md` 1.3.
    fn heard_as_backup(&mut self, now: Instant, advert: Heard) {
        self.restore_owner(advert);
        let own = self.priority;
        let skew = self.skew();
        let nopreempt = self.config.nopreempt;
        let preempt_delay = self.config.preempt_delay;
        let Phase::Backup(backup) = &mut self.phase else {
            return;
        };
        if advert.priority == 0 {
            backup.deadline = now + skew;
            backup.why = Reason::PriorityZero;
            backup.displacing = false;
            backup.listened = false;
            self.master = Some((advert.sender, 0));
            self.last_advert = Some(now);
            return;
        }
        let lower = advert.priority < own;
        if !lower {
            backup.preempt_at = None;
        } else if !nopreempt && !preempt_delay.is_zero() && backup.preempt_at.is_none() {
            backup.preempt_at = Some(now + preempt_delay);
        }
        let accept = !lower || nopreempt || backup.preempt_at.is_some_and(|at| now < at);
        if accept {
            backup.wants_master = false;
            backup.listened = false;
            backup.why = Reason::MasterDown;
            backup.displacing = false;
            self.follow(now, advert);
            let down = self.master_down();
            if let Phase::Backup(backup) = &mut self.phase {
                backup.deadline = now + down;
            }
        } else {
            // Still worth knowing whom we are going to displace; the timer goes on.
            backup.displacing = true;
            self.remember(now, advert);
        }
    }

    /// Takes the sender as the master, with its interval (version 3).
    pub(crate) fn follow(&mut self, now: Instant, advert: Heard) {
        self.remember(now, advert);
        self.master_interval = match self.config.version {
            super::config::Version::V2 => self.config.advert_interval,
            super::config::Version::V3 => advert.interval,
        };
    }

    fn remember(&mut self, now: Instant, advert: Heard) {
        if self.master.is_none_or(|(sender, _)| sender != advert.sender) {
            self.reported = 0;
        }
        self.master = Some((advert.sender, advert.priority));
        self.last_advert = Some(now);
    }

    /// An owner that lowered itself is an owner again when the other one is gone.
    fn restore_owner(&mut self, advert: Heard) {
        let other_gone =
            advert.priority != PRIORITY_OWNER || self.master.is_some_and(|(sender, _)| sender != advert.sender);
        if self.stepped_down && other_gone {
            self.stepped_down = false;
            self.priority = PRIORITY_OWNER;
        }
    }

    /// `vrrp-behaviour.md` 1.4.
    fn heard_as_master(&mut self, now: Instant, advert: Heard) -> Verdict {
        let own = self.priority;
        let Some(source) = self.source else {
            return Verdict::None;
        };
        if advert.priority == 0 {
            return Verdict::Advertise;
        }
        if advert.priority == own && advert.sender == source {
            return Verdict::None;
        }
        let we_win = own > advert.priority || (own == advert.priority && source > advert.sender);
        if own == PRIORITY_OWNER && advert.priority == PRIORITY_OWNER && we_win {
            return self.owner_clash(now, advert);
        }
        if we_win && self.slept_through(now) {
            // It is master only in its own eyes: another one took over meanwhile. It yields like anybody who comes
            // back, and preempts after its own down time if it may. A host that keeps falling asleep would drag the
            // addresses to and fro otherwise.
            self.remember(now, advert);
            return Verdict::Yield {
                reason: Reason::LateWakeup,
                advertise_first: false,
            };
        }
        if we_win {
            return if self.config.lower_prio_no_advert {
                Verdict::Announce
            } else {
                Verdict::Assert
            };
        }
        let reason = match (advert.priority > own, own) {
            (true, _) => Reason::HigherPriority,
            (false, PRIORITY_OWNER) => Reason::DuplicateOwner,
            (false, _) => Reason::EqualPriorityHigherAddress,
        };
        self.follow(now, advert);
        Verdict::Yield {
            reason,
            advertise_first: self.config.higher_prio_send_advert,
        }
    }

    /// Whether a master was silent for so long that its own kind would have replaced it.
    fn slept_through(&self, now: Instant) -> bool {
        let Phase::Master(master) = &self.phase else {
            return false;
        };
        let down = self.config.master_down(self.priority, self.config.advert_interval);
        master.listening || now.since(master.last_sent) > down
    }

    /// Two owners and our address is the higher one: insist twice, wait, then give way.
    fn owner_clash(&mut self, now: Instant, advert: Heard) -> Verdict {
        let longer = self.config.advert_interval.max(advert.interval);
        let Phase::Master(master) = &mut self.phase else {
            return Verdict::None;
        };
        let patience_until = now + longer.fraction(12, 10);
        let clash = master.clash.get_or_insert(OwnerClash {
            answers_left: 2,
            patience_until,
        });
        if clash.answers_left > 0 {
            clash.answers_left -= 1;
            clash.patience_until = now + longer.fraction(12, 10);
            return Verdict::Assert;
        }
        if now < clash.patience_until {
            return Verdict::None;
        }
        self.stepped_down = true;
        self.priority = PRIORITY_OWNER - 1;
        self.follow(now, advert);
        Verdict::Yield {
            reason: Reason::DuplicateOwner,
            advertise_first: false,
        }
    }

    /// The effective priority that the configuration and the sum of what is tracked make.
    pub(crate) fn wanted_priority(&self, sum: &Sum) -> u8 {
        match (self.is_owner(), self.stepped_down) {
            (true, false) => PRIORITY_OWNER,
            (true, true) => PRIORITY_OWNER - 1,
            (false, _) => sum.priority(self.config.priority),
        }
    }

    /// Moves the running deadline of a backup when its master down interval changed from `before`.
    pub(crate) fn shift_deadline(&mut self, now: Instant, before: Duration) {
        let after = self.master_down();
        if let Phase::Backup(backup) = &mut self.phase {
            let moved = (backup.deadline + after).before(before);
            backup.deadline = moved.max(now);
        }
    }
}
