//! Changing states: one router's entry and exit actions, and sync groups that move as one (`vrrp-behaviour.md` 1.5,
//! 1.6, 10).

use super::Core;
use super::advert::Kind;
use crate::time::Instant;
use crate::vrrp::config::PRIORITY_OWNER;
use crate::vrrp::report::{EventKind, Evidence, GroupIndex, Reason, Slot, State};
use crate::vrrp::router::{Backup, Master, Phase};

impl Core {
    /// Moves one router. Entry and exit actions of every pair of states are here and nowhere else.
    ///
    /// A router that becomes backup gets a full master down interval; the caller moves the deadline when it knows
    /// better.
    pub(super) fn change_state(&mut self, now: Instant, slot: Slot, to: State, reason: Reason, evidence: Evidence) {
        let Some(from) = self.router(slot).map(super::Router::state) else {
            return;
        };
        self.unwatch(slot);
        match (from, to) {
            (State::Init, State::Init)
            | (State::Backup, State::Backup)
            | (State::Master, State::Master)
            | (State::Fault, State::Fault) => return,
            (State::Init | State::Backup, State::Master) => self.enter_master(now, slot),
            (State::Fault, State::Master) => {
                self.sources.push(slot);
                self.enter_master(now, slot);
            }
            (State::Master, State::Backup) => self.leave_master(slot, false),
            (State::Master, State::Fault | State::Init) => self.leave_master(slot, true),
            (State::Fault, State::Backup) => self.sources.push(slot),
            (State::Init, State::Backup)
            | (State::Backup | State::Fault, State::Init)
            | (State::Init | State::Backup, State::Fault) => {}
        }
        let start = now.max(self.hold_until);
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        match to {
            State::Init => router.phase = Phase::Init,
            State::Fault => {
                router.phase = Phase::Fault;
                router.master = None;
                router.last_advert = None;
            }
            State::Backup => {
                if from == State::Fault {
                    router.master_interval = router.config.advert_interval;
                }
                let deadline = start + router.master_down();
                router.phase = Phase::Backup(Backup {
                    deadline,
                    why: Reason::MasterDown,
                    displacing: false,
                    preempt_at: None,
                    wants_master: false,
                    listened: false,
                    look_at: None,
                });
            }
            State::Master => {}
        }
        router.last_transition = Some(now);
        router.reported = 0;
        // Whoever was only waiting for a first result has not been heard of yet.
        let from = if core::mem::take(&mut router.quiet) {
            State::Init
        } else {
            from
        };
        let group = router.group;
        self.report(
            now,
            EventKind::Transition {
                slot,
                group,
                from,
                to,
                reason,
                evidence,
            },
        );
        self.rearm(slot);
        self.mark_dirty(slot);
    }

    /// Advert, addresses, announcements, in this order; each has its own queue, so that many routers that take over at
    /// once all advertise before the first of them touches an address.
    pub(super) fn enter_master(&mut self, now: Instant, slot: Slot) {
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        let garp = router.config.garp;
        let restored = core::mem::take(&mut router.stepped_down);
        if restored {
            router.priority = PRIORITY_OWNER;
        }
        router.master_interval = router.config.advert_interval;
        router.master = None;
        router.last_advert = None;
        router.stats.become_master += 1;
        router.phase = Phase::Master(Master {
            advert_at: now + router.config.advert_interval,
            last_sent: now,
            second_batch_at: (!garp.delay.is_zero()).then(|| now + garp.delay),
            refresh_at: (!garp.refresh.is_zero()).then(|| now + garp.delay + garp.refresh),
            lower_prio_batch_at: None,
            extra_at: (!garp.extra_interval.is_zero()).then(|| now + garp.extra_interval),
            listening: false,
            seat: None,
            clash: None,
        });
        self.find_phase(slot);
        self.rebuild_frames(slot);
        self.queue_behind(slot);
        if restored {
            self.priority_changed(now, slot);
        }
        self.install_all(slot);
        self.announcer.add(slot, garp.repeat);
    }

    pub(super) fn leave_master(&mut self, slot: Slot, say_goodbye: bool) {
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        router.stats.release_master += 1;
        self.leave_phase(slot);
        self.announcer.cancel(slot);
        if say_goodbye {
            self.push_advert(slot, Kind::Zero);
        }
        self.withdraw_all(slot);
    }

    /// Moves a router and, when it is in a group, the other members to BACKUP or MASTER. The others name the member that
    /// moved first.
    pub(super) fn move_together(&mut self, now: Instant, slot: Slot, to: State, reason: Reason, evidence: Evidence) {
        self.change_state(now, slot, to, reason, evidence);
        let Some(group) = self.router(slot).and_then(|router| router.group) else {
            return;
        };
        for position in 0..self.members(group) {
            let Some(other) = self.member(group, position).filter(|&other| other != slot) else {
                continue;
            };
            // A member that waits for its first result in FAULT stays there.
            if let Some(router) = self.router(other)
                && matches!(router.state(), State::Backup | State::Master)
            {
                let evidence = Evidence {
                    member: Some(slot),
                    ..router.evidence(now)
                };
                self.change_state(now, other, to, Reason::SyncGroup, evidence);
            }
        }
        self.report_group(now, group);
    }

    /// Tells the common state of a group when it is a new one.
    pub(super) fn report_group(&mut self, now: Instant, group: GroupIndex) {
        let common = {
            let mut states = self.group_routers(group).map(|(_, router)| router.told_state());
            let first = states.next();
            first.filter(|&first| states.all(|state| state == first))
        };
        let Some(first) = common else {
            return;
        };
        if let Some(known) = self.groups.get_mut(group as usize)
            && core::mem::replace(&mut known.reported, first) != first
        {
            self.report(now, EventKind::GroupTransition { group, to: first });
        }
    }

    /// A backup's own time has come. Alone it becomes master; in a group only when all others want to as well.
    pub(super) fn try_master(&mut self, now: Instant, slot: Slot, reason: Reason) {
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        let evidence = router.evidence(now);
        if let Phase::Backup(backup) = &mut router.phase {
            backup.wants_master = true;
        }
        let Some(group) = router.group else {
            self.change_state(now, slot, State::Master, reason, evidence);
            return;
        };
        let willing = self.group_routers(group).all(|(_, other)| match &other.phase {
            Phase::Master(_) => true,
            Phase::Backup(backup) => backup.wants_master,
            Phase::Init | Phase::Fault => false,
        });
        let led = self
            .group_routers(group)
            .any(|(_, other)| other.state() == State::Master);
        if led {
            // The group is master already; this member is late to join it.
            self.change_state(now, slot, State::Master, reason, evidence);
            self.report_group(now, group);
        } else if willing {
            self.move_together(now, slot, State::Master, reason, evidence);
        } else if let Some(router) = self.router_mut(slot) {
            let down = router.master_down();
            if let Phase::Backup(backup) = &mut router.phase {
                backup.deadline = now + down;
            }
        }
    }

    /// A master heard somebody better. The new master's adverts set the deadline.
    pub(super) fn yield_mastership(&mut self, now: Instant, slot: Slot, reason: Reason) {
        let Some(router) = self.router(slot) else {
            return;
        };
        // `heard` has already learnt the new master's interval; `change_state` computes the deadline with it.
        let evidence = router.evidence(now);
        self.move_together(now, slot, State::Backup, reason, evidence);
    }

    /// Sends an advert at once and starts the interval anew.
    pub(super) fn advertise_now(&mut self, now: Instant, slot: Slot) {
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        let interval = router.config.advert_interval;
        if let Phase::Master(master) = &mut router.phase {
            master.advert_at = now + interval;
            master.last_sent = now;
            master.listening = false;
            self.find_phase(slot);
            self.queue_advert(slot);
        }
    }
}
