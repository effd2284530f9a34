//! Tracked things: values in, effective priority and faults out (`vrrp-behaviour.md` 9).

use super::Core;
use crate::time::Instant;
use crate::vrrp::report::{EventKind, Faults, Reason, Slot, State};
use crate::vrrp::track::{Sum, TrackId, TrackTarget, TrackValue};

impl Core {
    /// A tracked thing has a new value; what it means is found out in [`Self::handle_deadlines`].
    pub fn handle_track(&mut self, id: TrackId, value: TrackValue) {
        let index = id as usize;
        if self.track_values.len() <= index {
            self.track_values.resize(index + 1, TrackValue::Unknown);
        }
        if core::mem::replace(&mut self.track_values[index], value) != value
            && let Some(slots) = self.trackers.get(&id)
        {
            self.unsettled.extend_from_slice(slots);
        }
    }

    pub(super) fn track_sum(&self, slot: Slot) -> Sum {
        let Some(router) = self.router(slot) else {
            return Sum::default();
        };
        let netns = router.config.netns;
        Sum::of(router.config.tracks.iter(), |target| match *target {
            TrackTarget::Value(id) => self.track_values.get(id as usize).copied().unwrap_or_default(),
            TrackTarget::Interface(name) => {
                let link = self.facts.by_name(netns, name).and_then(|id| self.facts.link(id));
                if link.is_some_and(|link| link.up) {
                    TrackValue::Good
                } else {
                    TrackValue::Bad
                }
            }
        })
    }

    /// A new effective priority moves the deadline of a backup by the difference, and is in the next advert of a
    /// master.
    pub(super) fn change_priority(&mut self, now: Instant, slot: Slot, sum: &Sum) {
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        let priority = router.wanted_priority(sum);
        if priority == router.priority {
            return;
        }
        let before = router.master_down();
        router.priority = priority;
        router.shift_deadline(now, before);
        let state = router.state();
        self.rebuild_frames(slot);
        self.rearm(slot);
        self.mark_dirty(slot);
        if state != State::Init {
            self.report(now, EventKind::PriorityChange { slot, state, priority });
        }
    }

    /// A router that waited for first results has a fault that is worth telling.
    pub(super) fn end_quiet(&mut self, now: Instant, slot: Slot, faults: Faults) {
        if faults == Faults::WAITING {
            return;
        }
        let group = self.router(slot).and_then(|router| router.group);
        self.tell_quiet(now, slot, faults.reason());
        let Some(group) = group else {
            return;
        };
        for position in 0..self.members(group) {
            if let Some(member) = self.member(group, position) {
                self.tell_quiet(now, member, Reason::SyncGroup);
            }
        }
        self.report_group(now, group);
    }

    pub(super) fn tell_quiet(&mut self, now: Instant, slot: Slot, reason: Reason) {
        let Some(router) = self.router_mut(slot).filter(|router| router.quiet) else {
            return;
        };
        router.quiet = false;
        router.last_transition = Some(now);
        let group = router.group;
        let evidence = router.evidence(now);
        let (from, to) = (State::Init, State::Fault);
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
        self.mark_dirty(slot);
    }
}
