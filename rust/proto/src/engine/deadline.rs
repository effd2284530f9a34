//! Deadlines: adverts that are due, masters that are down, announcements to repeat, and what to do when we are late.

use super::Core;
use super::routine::{Nothing, Routine};
use crate::time::{Duration, Instant};
use crate::vrrp::config::RouterConfig;
use crate::vrrp::report::{EventKind, Reason, Slot, State};
use crate::vrrp::router::{Phase, Router};

/// What a deadline asks for, found out before anything is changed.
enum Due {
    Nothing,
    TakeOver(Reason),
    ListenFirst { until: Instant, late: Duration },
    StepBack,
    Advertise { again_from: Instant, late: Duration },
}

impl Core {
    /// Carries out everything whose time has come. Call it once per wake-up, after all packets and facts.
    pub fn handle_deadlines(&mut self, now: Instant) {
        self.handle_deadlines_with(now, &mut Nothing);
    }

    /// As [`Self::handle_deadlines`], for a driver that keeps routine adverts from the core.
    pub fn handle_deadlines_with(&mut self, now: Instant, routine: &mut dyn Routine) {
        self.turn += 1;
        self.look_at_unsettled(now, routine);
        self.settle(now);
        self.stop_watching(routine);
        while let Some((slot, _)) = self.wheel.pop_expired(now.as_micros()) {
            if let Some(armed) = self.armed.get_mut(slot as usize) {
                *armed = None;
            }
            self.handle_deadline(now, slot, routine);
            self.rearm(slot);
        }
        self.stop_watching(routine);
    }

    fn handle_deadline(&mut self, now: Instant, slot: Slot, routine: &mut dyn Routine) {
        let early = |router: &Router| router.deadline().is_none_or(|deadline| now < deadline);
        if self.router(slot).is_none_or(early) {
            return;
        }
        self.look(now, slot, routine);
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        if early(router) {
            return;
        }
        match due(router, now) {
            Due::Nothing => {}
            Due::TakeOver(reason) => {
                self.look_at_unit(now, slot, routine);
                self.unwatch(slot);
                self.try_master(now, slot, reason);
            }
            Due::ListenFirst { until, late } => {
                listen(router, until);
                self.unwatch(slot);
                self.report(now, EventKind::ListenAfterLateWakeup { slot, late });
            }
            Due::StepBack => {
                let evidence = router.evidence(now);
                self.move_together(now, slot, State::Backup, Reason::LateWakeup, evidence);
                return;
            }
            Due::Advertise { again_from, late } => self.advertise_on_time(now, slot, again_from, late),
        }
        self.repeat_announcements(now, slot);
        self.mark_dirty(slot);
    }

    fn advertise_on_time(&mut self, now: Instant, slot: Slot, again_from: Instant, late: Duration) {
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        router.stats.late_max_us = router.stats.late_max_us.max(late.as_micros());
        let rounds = router.config.garp.repeat;
        let interval = router.config.advert_interval;
        let interface = router.leaves_by();
        let Phase::Master(master) = &mut router.phase else {
            return;
        };
        let listened = core::mem::replace(&mut master.listening, false);
        let in_rhythm =
            again_from == master.advert_at && master.seat.is_some_and(|seat| seat.fits(interval, interface));
        master.advert_at = again_from + interval;
        master.last_sent = now;
        if !in_rhythm {
            self.find_phase(slot);
        }
        self.queue_advert(slot);
        if listened {
            // Somebody may have been master meanwhile and gone again: the neighbours must know where the addresses are.
            self.announcer.add(slot, rounds);
        }
    }

    /// Moves the next advert of a master to the phase that it shares with others, never later than it is due.
    pub(super) fn find_phase(&mut self, slot: Slot) {
        self.leave_phase(slot);
        let Some(router) = self.routers.get_mut(slot as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        let (interval, interface) = (router.config.advert_interval, router.leaves_by());
        if let Phase::Master(master) = &mut router.phase {
            let (at, seat) = self.phases.seat(master.advert_at, interval, interface);
            master.advert_at = at;
            master.seat = Some(seat);
        }
    }

    /// Gives the phase of a master back.
    pub(super) fn leave_phase(&mut self, slot: Slot) {
        if let Some(router) = self.routers.get_mut(slot as usize).and_then(Option::as_deref_mut)
            && let Phase::Master(master) = &mut router.phase
            && let Some(seat) = master.seat.take()
        {
            self.phases.release(seat);
        }
    }

    fn repeat_announcements(&mut self, now: Instant, slot: Slot) {
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        let garp = router.config.garp;
        let Phase::Master(master) = &mut router.phase else {
            return;
        };
        let mut rounds = 0;
        if master.second_batch_at.is_some_and(|at| at <= now) {
            master.second_batch_at = None;
            rounds = rounds.max(garp.repeat);
        }
        if master.lower_prio_batch_at.is_some_and(|at| at <= now) {
            master.lower_prio_batch_at = None;
            rounds = rounds.max(garp.lower_prio_repeat);
        }
        if master.refresh_at.is_some_and(|at| at <= now) {
            master.refresh_at = Some(now + garp.refresh);
            rounds = rounds.max(garp.refresh_repeat);
        }
        let extra = master.extra_at.is_some_and(|at| at <= now);
        if extra {
            master.extra_at = Some(now + garp.extra_interval);
        }
        if rounds > 0 {
            self.announcer.add(slot, rounds);
        }
        if extra {
            self.queue_extras(slot);
        }
    }

    /// One address on each interface whose place in the switches' tables adverts do not keep alive.
    fn queue_extras(&mut self, slot: Slot) {
        let Some(router) = self.router(slot) else {
            return;
        };
        let mut told = Vec::new();
        for (index, held) in (0..).zip(&router.held) {
            let Some(on) = held.on.filter(|on| held.present && Some(*on) != router.interface) else {
                continue;
            };
            let own = Some(on) == router.vmac
                || self
                    .facts
                    .link(on)
                    .is_some_and(|link| router.config.address_links.contains(&link.name));
            if (own || router.config.garp.extra_all) && !told.iter().any(|(known, _)| *known == on) {
                told.push((on, index));
            }
        }
        self.extras.extend(told.into_iter().map(|(_, index)| (slot, index)));
    }
}

fn due(router: &Router, now: Instant) -> Due {
    match &router.phase {
        Phase::Init | Phase::Fault => Due::Nothing,
        Phase::Backup(backup) => {
            let late = now.since(backup.deadline);
            if late > router.master_down() && !backup.listened {
                // We slept through what a live master would have sent: give it the time to be heard.
                return Due::ListenFirst {
                    until: now + router.master_interval + router.skew(),
                    late,
                };
            }
            let heard_lately = router
                .last_advert
                .is_some_and(|at| now.since(at) <= router.master_down());
            Due::TakeOver(if backup.displacing && heard_lately {
                Reason::Preempt
            } else {
                backup.why
            })
        }
        Phase::Master(master) => {
            if now < master.advert_at {
                return Due::Nothing;
            }
            let config = &router.config;
            let silent = now.since(master.last_sent);
            let late = now.since(master.advert_at);
            if let (Some(priority), true, false) = (config.timer_expired_backup, config.nopreempt, master.listening) {
                let peer_skew = RouterConfig::skew(config.version, priority, config.advert_interval);
                if silent > config.advert_interval.times(3) + peer_skew {
                    return Due::StepBack;
                }
            }
            if silent > config.master_down(router.priority, config.advert_interval) && !master.listening {
                let until = now + config.advert_interval + router.skew();
                return Due::ListenFirst { until, late };
            }
            // The rhythm stays that of the deadlines, unless a whole beat was missed.
            let again_from = if late < config.advert_interval {
                master.advert_at
            } else {
                now
            };
            Due::Advertise { again_from, late }
        }
    }
}

fn listen(router: &mut Router, until: Instant) {
    match &mut router.phase {
        Phase::Backup(backup) => {
            backup.deadline = until;
            backup.listened = true;
        }
        Phase::Master(master) => {
            master.advert_at = until;
            master.listening = true;
        }
        Phase::Init | Phase::Fault => {}
    }
}
