//! What an advert means to the router that hears it (`vrrp-behaviour.md` 1.3, 1.4).
//!
//! Only the router's own deadlines move here. What concerns others, its group or the LAN, is in the verdict, which
//! [`crate::engine`] carries out.

use core::net::IpAddr;

use super::config::{PRIORITY_OWNER, Version};
use super::report::Reason;
use super::router::{OwnerClash, Phase, Router};
use crate::time::{Duration, Instant};

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

impl Router {
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
    pub(crate) fn heard_as_backup(&mut self, now: Instant, advert: Heard) {
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
            Version::V2 => self.config.advert_interval,
            Version::V3 => advert.interval,
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
        let fresh = OwnerClash {
            answers_left: 2,
            patience_until: now,
            heard_at: now,
        };
        let clash = master.clash.get_or_insert(fresh);
        if now.since(clash.heard_at) > longer.times(3) {
            *clash = fresh;
        }
        clash.heard_at = now;
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
}
