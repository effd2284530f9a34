//! Tracked things: values in, effective priority and faults out (`vrrp-behaviour.md` 9).

use super::Core;
use crate::time::Instant;
use crate::vrrp::report::{EventKind, Slot, State};
use crate::vrrp::track::{Sum, TrackId, TrackTarget, TrackValue};

impl Core {
    /// A tracked thing has a new value; what it means is found out in [`Self::handle_deadlines`].
    pub fn handle_track(&mut self, id: TrackId, value: TrackValue) {
        let index = id as usize;
        if self.track_values.len() <= index {
            self.track_values.resize(index + 1, TrackValue::Unknown);
        }
        if core::mem::replace(&mut self.track_values[index], value) == value {
            return;
        }
        if let Some(slots) = self.trackers.get(&id) {
            self.unsettled.extend_from_slice(slots);
        }
        self.beat(id, value);
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
        self.priority_changed(now, slot);
    }

    /// The effective priority is another one: the adverts say so, and the others are told.
    pub(super) fn priority_changed(&mut self, now: Instant, slot: Slot) {
        self.unwatch(slot);
        self.rebuild_frames(slot);
        self.rearm(slot);
        self.mark_dirty(slot);
        if let Some(router) = self.router(slot)
            && router.state() != State::Init
        {
            let (state, priority) = (router.state(), router.priority);
            self.report(now, EventKind::PriorityChange { slot, state, priority });
        }
    }
}
