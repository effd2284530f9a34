//! One virtual router: its state, its deadlines, and what it knows.
//!
//! A router decides nothing that concerns others: whether a sync group lets it become master, and who else must move
//! with it, is [`crate::engine`]'s part.

use core::net::IpAddr;

use super::auth_hmac::{self, HmacState};
use super::config::{PRIORITY_OWNER, RouterConfig};
use super::hearing::Heard;
use super::output::IfId;
use super::phases::Seat;
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
    /// Of a watched router: when to ask what came.
    pub(crate) look_at: Option<Instant>,
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
    /// Next announcements on links that adverts do not leave by.
    pub(crate) extra_at: Option<Instant>,
    /// It woke after its own down time: the next advert waits, somebody else may be master.
    pub(crate) listening: bool,
    /// Its place among the masters of the same interval.
    pub(crate) seat: Option<Seat>,
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
    /// When the other one was heard last: a clash that ended is no part of the next one.
    pub(crate) heard_at: Instant,
}

/// What makes an address that we hold look missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Loss {
    /// Nothing.
    #[default]
    None,
    /// It may be there or not, and if not, it was not somebody else's doing.
    Unsure,
    /// Somebody else took it away.
    Taken,
}

/// An address of the configuration and what became of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    /// It shall be on its interface.
    pub(crate) wanted: bool,
    /// The interface that it was put on, whatever that one is called by now.
    pub(crate) on: Option<IfId>,
    /// The kernel has confirmed it.
    pub(crate) present: bool,
    /// Whether it may be missing; looked into when all facts of this wake-up are in.
    pub(crate) lost: Loss,
    /// The same, of an address whose installation is not confirmed yet; looked into when it is.
    pub(crate) lost_early: Loss,
}

/// The advert for one destination: of our priority, and of priority 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    pub(crate) alive: Vec<u8>,
    pub(crate) zero: Vec<u8>,
}

/// One virtual router.
#[derive(Clone, Debug)]
pub(crate) struct Router {
    pub(crate) config: Box<RouterConfig>,
    pub(crate) group: Option<GroupIndex>,
    pub(crate) phase: Phase,
    pub(crate) faults: Faults,
    /// The interface of the configuration, while it exists.
    pub(crate) base: Option<IfId>,
    /// The link of our own on top of it, while it exists.
    pub(crate) vmac: Option<IfId>,
    /// The one of the two that adverts use, while it exists.
    pub(crate) interface: Option<IfId>,
    /// The address that adverts are sent from.
    pub(crate) source: Option<IpAddr>,
    /// Effective priority.
    pub(crate) priority: u8,
    /// An owner that lowered itself because of another one.
    pub(crate) stepped_down: bool,
    /// The faults changed, and what follows from that was not found out yet.
    pub(crate) faults_changed: bool,
    /// Everything that it tracked when it came has had a result. Only until then does it wait for first results: a tracker
    /// that a reload adds is neutral.
    pub(crate) all_known: bool,
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
    /// Ready-made adverts, one for each destination.
    pub(crate) frames: Vec<Frame>,
    /// A unicast peer was found to use the old checksum.
    pub(crate) old_checksum: bool,
    /// Sequences of signed adverts.
    pub(crate) hmac: HmacState,
    /// Sequence number of the last Authentication Header sent or accepted; 0: none so far.
    pub(crate) ah_sequence: u32,
    pub(crate) ip_id: u16,
    pub(crate) stats: Stats,
    /// Causes already reported since the master or the state changed, by bit.
    pub(crate) reported: u32,
    pub(crate) send_failing: bool,
    /// Next router with the same interface, family and VRID but another group.
    pub(crate) next_same_vrid: Option<u32>,
    /// Adverts in the queue that are dropped unless it is master when they leave; only the last of them leaves.
    pub(crate) adverts_queued: u32,
    /// A lower-priority advert was already answered in this turn.
    pub(crate) asserted_in_turn: u64,
    /// Adverts equal to the last accepted one are kept from it: [`crate::engine::Routine`].
    pub(crate) watched: bool,
    /// What those adverts say.
    pub(crate) routine: Option<Heard>,
}

impl Router {
    pub(crate) fn new(config: Box<RouterConfig>) -> Self {
        Self {
            group: None,
            phase: Phase::Init,
            faults: Faults::NONE,
            base: None,
            vmac: None,
            interface: None,
            source: None,
            priority: config.priority,
            stepped_down: false,
            faults_changed: false,
            all_known: false,
            quiet: false,
            track_fault: None,
            master_interval: config.advert_interval,
            master: None,
            last_advert: None,
            last_transition: None,
            held: vec![Held::default(); config.vips.len()],
            frames: Vec::new(),
            old_checksum: config.starts_with_old_checksum(),
            hmac: HmacState::new(auth_hmac::places(config.peer_count())),
            ah_sequence: 0,
            ip_id: u16::from(config.vrid),
            stats: Stats::default(),
            reported: 0,
            send_failing: false,
            next_same_vrid: None,
            adverts_queued: 0,
            asserted_in_turn: 0,
            watched: false,
            routine: None,
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

    /// The state that others know of: nobody was told of a router that waits for first results.
    pub(crate) const fn told_state(&self) -> State {
        if self.quiet { State::Init } else { self.state() }
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

    /// An owner that claims its role without waiting, where its group lets it.
    pub(crate) const fn is_eager_owner(&self) -> bool {
        self.is_owner() && self.config.initial_master
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
            Phase::Backup(backup) => Some(backup.look_at.map_or(backup.deadline, |at| at.min(backup.deadline))),
            Phase::Master(master) => {
                let mut first = master.advert_at;
                for at in [
                    master.second_batch_at,
                    master.refresh_at,
                    master.lower_prio_batch_at,
                    master.extra_at,
                ] {
                    first = at.map_or(first, |at| at.min(first));
                }
                Some(first)
            }
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
        let bit = 1 << cause as u32;
        let first = self.reported & bit == 0;
        self.reported |= bit;
        first
    }

    /// The effective priority that the configuration and the sum of what is tracked make.
    pub(crate) fn wanted_priority(&self, sum: &Sum) -> u8 {
        match (self.is_owner(), self.stepped_down) {
            (true, false) => PRIORITY_OWNER,
            (true, true) => PRIORITY_OWNER - 1,
            (false, _) => sum.priority(self.config.priority),
        }
    }

    /// Takes over another configuration, as far as this router alone is concerned. Addresses, groups and what follows
    /// from facts are [`crate::engine`]'s part.
    pub(crate) fn reconfigure(&mut self, now: Instant, config: Box<RouterConfig>) {
        let before = self.master_down();
        let old = core::mem::replace(&mut self.config, config);
        let config = &self.config;
        // Only a backup that follows a master has learnt an interval, and the master keeps to it whatever we are told.
        let learnt = matches!(self.phase, Phase::Backup(_)) && self.master.is_some();
        if !learnt || config.version != super::config::Version::V3 || old.version != config.version {
            self.master_interval = config.advert_interval;
        }
        self.stepped_down &= config.priority == PRIORITY_OWNER;
        self.old_checksum = config.starts_with_old_checksum();
        self.hmac.forget_senders(auth_hmac::places(config.peer_count()));
        self.reported = 0;
        match &mut self.phase {
            Phase::Backup(backup) if config.preempt_delay.is_zero() => backup.preempt_at = None,
            Phase::Backup(backup) => {
                // The first advert of the lower master is still what it counts from.
                backup.preempt_at = backup
                    .preempt_at
                    .map(|at| (at + config.preempt_delay).before(old.preempt_delay));
            }
            Phase::Master(master) => {
                if config.garp.refresh != old.garp.refresh {
                    master.refresh_at = (!config.garp.refresh.is_zero()).then(|| now + config.garp.refresh);
                }
                if config.garp.extra_interval != old.garp.extra_interval {
                    master.extra_at = (!config.garp.extra_interval.is_zero()).then(|| now + config.garp.extra_interval);
                }
            }
            Phase::Init | Phase::Fault => {}
        }
        self.shift_deadline(now, before);
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
