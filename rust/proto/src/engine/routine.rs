//! Adverts that need no thought: a backup's master says the same thing again.
//!
//! A driver may compare adverts where they arrive (a socket filter in the kernel), keep those that are equal to the last
//! one that was accepted, and only note how many came and when the last one did. [`Core::handle_packet`] tells which
//! advert is worth keeping, [`Core::watched`] is told that it is kept, and before any deadline is judged the notes are
//! asked for through [`Routine`]. Elections, deadlines and counters are the same as if every advert had been heard at
//! the time of its arrival.

use super::{AdvertRx, Core};
use crate::time::Instant;
use crate::vrrp::hearing::Heard;
use crate::vrrp::report::{Slot, State};
use crate::vrrp::router::{Phase, Router};

/// What was noted of adverts that were kept from the core.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Noted {
    /// How many came since the last time that was asked.
    pub count: u64,
    /// When the last one came.
    pub last: Instant,
}

/// The notes of a driver that keeps routine adverts from the core.
pub trait Routine {
    /// What came for a router since this was asked last.
    fn noted(&mut self, slot: Slot) -> Noted;
    /// As [`Self::noted`]; from now on every advert for the router is handed over again.
    fn stop(&mut self, slot: Slot) -> Noted;
}

/// A driver that hands over everything.
pub(super) struct Nothing;

impl Routine for Nothing {
    fn noted(&mut self, _: Slot) -> Noted {
        Noted::default()
    }

    fn stop(&mut self, _: Slot) -> Noted {
        Noted::default()
    }
}

impl Core {
    /// From now on adverts equal to the one that [`Self::handle_packet`] named are kept from the core. What was noted of
    /// those kept before, with other octets, comes along.
    pub fn watched(&mut self, now: Instant, slot: Slot, before: Noted) {
        if let Some(router) = self.router_mut(slot) {
            router.recall(before);
            router.watched = router.state() == State::Backup;
            router.routine = router.master.map(|(sender, priority)| Heard {
                sender,
                priority,
                interval: router.master_interval,
            });
            router.look_later(now);
        }
        self.rearm(slot);
    }

    /// The advert just handled changed nothing but a backup's deadline, and so will the next one like it.
    pub(super) fn is_routine(&self, slot: Slot, now: Instant, rx: &AdvertRx<'_>) -> bool {
        let Some(router) = self.router(slot) else {
            return false;
        };
        let Phase::Backup(backup) = &router.phase else {
            return false;
        };
        let alone =
            router.key().is_some_and(|key| self.by_key.get(&key) == Some(&slot)) && router.next_same_vrid.is_none();
        alone
            && router.config.unicast.is_none()
            // Each signed advert has a time or a number of its own.
            && router.config.hmac.is_none()
            && rx.ah.is_none()
            && rx.destination.is_multicast()
            && router
                .master
                .is_some_and(|(sender, priority)| sender == rx.source && priority > 0)
            && router.last_advert == Some(now)
            && backup.preempt_at.is_none()
            && !backup.displacing
            && backup.deadline == now + router.master_down()
    }

    /// Something about the router changed: every advert is to be heard again until one is routine.
    pub(super) fn unwatch(&mut self, slot: Slot) {
        if let Some(router) = self.router_mut(slot)
            && core::mem::take(&mut router.watched)
        {
            if let Phase::Backup(backup) = &mut router.phase {
                backup.look_at = None;
            }
            self.unwatched.push(slot);
        }
    }

    /// A configuration may change what any packet means.
    pub(super) fn unwatch_all(&mut self) {
        for slot in 0..self.slot_count() {
            self.unwatch(slot);
        }
    }

    /// Asks for the notes of routers that are no longer watched.
    pub(super) fn stop_watching(&mut self, routine: &mut dyn Routine) {
        while let Some(slot) = self.unwatched.pop() {
            let noted = routine.stop(slot);
            if let Some(router) = self.router_mut(slot) {
                router.recall(noted);
            }
            self.rearm(slot);
            self.mark_dirty(slot);
        }
    }

    /// Asks for the notes of a watched router whose deadline is near.
    pub(super) fn look(&mut self, now: Instant, slot: Slot, routine: &mut dyn Routine) {
        if self.router(slot).is_some_and(|router| router.watched) {
            let noted = routine.noted(slot);
            if let Some(router) = self.router_mut(slot) {
                router.recall(noted);
                router.look_later(now);
            }
            self.mark_dirty(slot);
        }
    }

    /// As [`Self::look`], for all members of the router's group: they move together.
    pub(super) fn look_at_unit(&mut self, now: Instant, slot: Slot, routine: &mut dyn Routine) {
        match self.router(slot).and_then(|router| router.group) {
            None => self.look(now, slot, routine),
            Some(group) => {
                for position in 0..self.members(group) {
                    if let Some(member) = self.member(group, position) {
                        self.look(now, member, routine);
                    }
                }
            }
        }
    }

    /// What was heard before a change is judged by what was true before it.
    pub(super) fn look_at_unsettled(&mut self, now: Instant, routine: &mut dyn Routine) {
        for index in 0..self.unsettled.len() {
            self.look_at_unit(now, self.unsettled[index], routine);
        }
    }

    /// Asks for all notes. To be called before a command: what was heard before it is judged by the old configuration.
    pub fn look_at_all(&mut self, now: Instant, routine: &mut dyn Routine) {
        for slot in 0..self.slot_count() {
            self.look(now, slot, routine);
            self.rearm(slot);
        }
    }
}

impl Router {
    /// Adverts like the last accepted one came meanwhile.
    fn recall(&mut self, noted: Noted) {
        self.stats.advert_rcvd += noted.count;
        if noted.count == 0 || self.state() != State::Backup || self.last_advert.is_some_and(|at| noted.last < at) {
            return;
        }
        // Those before the last one left no trace of their own.
        if let Some(heard) = self.routine {
            self.heard_as_backup(noted.last, heard);
        }
    }

    /// When the notes are asked for next: on a tick that all routers of the interval share, a good while before the
    /// deadline. Nothing came until the last tick before the deadline: then at the deadline itself.
    fn look_later(&mut self, now: Instant) {
        let interval = self.master_interval;
        let last = self.last_advert.unwrap_or(now);
        if let Phase::Backup(backup) = &mut self.phase {
            let tick_us = interval.fraction(1, 4).as_micros().max(1);
            let wanted = (last + interval.times(2)).max(now).as_micros();
            let at = Instant::from_micros((wanted / tick_us + 1).saturating_mul(tick_us));
            backup.look_at = (at < backup.deadline).then_some(at);
        }
    }
}
