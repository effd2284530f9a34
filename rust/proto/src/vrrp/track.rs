//! What a tracked thing adds to a priority, and when it is a fault (`vrrp-behaviour.md` 9).
//!
//! A tracker reports a [`TrackValue`]; it decides nothing. The arithmetic is here, so that a result changes the
//! effective priority inside the engine, whatever the process that measured it is doing.

use super::if_name::IfName;

/// Index of a tracked thing outside the core: a script, a file, a process.
pub type TrackId = u32;

/// Lowest and highest effective priority of a router that does not own its addresses.
const PRIORITY_RANGE: core::ops::RangeInclusive<i32> = 1..=254;
/// Limits of what one file may contribute.
const FILE_RANGE: (i64, i64) = (-254, 253);
/// A contribution of this size from a file is a fault.
const FILE_FAULT: i64 = -254;

/// What is known of a tracked thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TrackValue {
    /// No result yet.
    #[default]
    Unknown,
    /// A script that succeeds, a process count within its quorum, an interface that is up.
    Good,
    /// The opposite.
    Bad,
    /// The number in a file.
    Number(i32),
    /// Nothing can be found out about it, so it counts as if it were not tracked.
    Ignored,
}

/// What is tracked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum TrackTarget {
    /// An interface, known from the facts about the host.
    Interface(IfName),
    /// Something whose values come from outside.
    Value(TrackId),
}

/// One line of a tracking block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Track {
    /// What is tracked.
    pub target: TrackTarget,
    /// Its weight, -254 to 254; 0 means fault.
    pub weight: i16,
    /// The sense is turned round.
    pub reverse: bool,
}

/// What one tracked thing means for a router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Added to the priority; 0 for nothing.
    Weight(i32),
    /// The router cannot be master.
    Fault,
    /// An unweighted tracker has no result yet: the router waits for the first one.
    Waiting,
}

impl Track {
    /// What `value` means for a router that tracks it so.
    #[must_use]
    pub fn effect(&self, value: TrackValue) -> Effect {
        let weight = i32::from(self.weight);
        match value {
            TrackValue::Unknown if weight == 0 => Effect::Waiting,
            TrackValue::Unknown => Effect::Weight(0),
            TrackValue::Good | TrackValue::Bad => self.effect_of_result(value == TrackValue::Good, weight),
            TrackValue::Number(number) => self.effect_of_number(number, weight),
            TrackValue::Ignored => Effect::Weight(0),
        }
    }

    const fn effect_of_result(&self, good: bool, weight: i32) -> Effect {
        let sign = if self.reverse { -1 } else { 1 };
        if weight == 0 {
            return if good == self.reverse {
                Effect::Fault
            } else {
                Effect::Weight(0)
            };
        }
        // A positive weight counts while the thing is good, a negative one while it is bad.
        Effect::Weight(if (weight > 0) == good { sign * weight } else { 0 })
    }

    fn effect_of_number(&self, number: i32, weight: i32) -> Effect {
        if weight == 0 {
            return if (number != 0) != self.reverse {
                Effect::Fault
            } else {
                Effect::Weight(0)
            };
        }
        let signed = if self.reverse {
            -i64::from(weight)
        } else {
            i64::from(weight)
        };
        let product = (i64::from(number) * signed).clamp(FILE_RANGE.0, FILE_RANGE.1);
        if product == FILE_FAULT {
            return Effect::Fault;
        }
        Effect::Weight(i32::try_from(product).unwrap_or(0))
    }
}

/// The sum of everything that a router tracks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sum {
    /// Added to the base priority.
    pub weight: i32,
    /// The first tracker that is a fault.
    pub fault: Option<TrackTarget>,
    /// A tracker without a first result.
    pub waiting: bool,
}

impl Sum {
    /// Adds up the effects of `tracks`.
    pub fn of<'a>(tracks: impl Iterator<Item = &'a Track>, value: impl Fn(&TrackTarget) -> TrackValue) -> Self {
        let mut sum = Self::default();
        for track in tracks {
            match track.effect(value(&track.target)) {
                Effect::Weight(weight) => sum.weight += weight,
                Effect::Fault => sum.fault = sum.fault.or(Some(track.target)),
                Effect::Waiting => sum.waiting = true,
            }
        }
        sum
    }

    /// The effective priority for a base priority below 255.
    #[must_use]
    pub fn priority(&self, base: u8) -> u8 {
        let sum = (i32::from(base) + self.weight).clamp(*PRIORITY_RANGE.start(), *PRIORITY_RANGE.end());
        u8::try_from(sum).unwrap_or(base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn track(weight: i16, reverse: bool) -> Track {
        Track {
            target: TrackTarget::Value(0),
            weight,
            reverse,
        }
    }

    /// Every row of the table in `vrrp-behaviour.md` 9.
    #[test]
    fn the_table() {
        use Effect::{Fault, Weight};
        use TrackValue::{Bad, Good, Number};
        let rows = [
            (track(10, false), Good, Weight(10)),
            (track(10, false), Bad, Weight(0)),
            (track(-10, false), Good, Weight(0)),
            (track(-10, false), Bad, Weight(-10)),
            (track(0, false), Good, Weight(0)),
            (track(0, false), Bad, Fault),
            (track(10, true), Good, Weight(-10)),
            (track(10, true), Bad, Weight(0)),
            (track(-10, true), Good, Weight(0)),
            (track(-10, true), Bad, Weight(10)),
            (track(0, true), Good, Fault),
            (track(0, true), Bad, Weight(0)),
            (track(1, false), Number(7), Weight(7)),
            (track(-2, false), Number(7), Weight(-14)),
            (track(2, true), Number(7), Weight(-14)),
            (track(2, false), Number(1000), Weight(253)),
            (track(1, false), Number(-253), Weight(-253)),
            (track(1, false), Number(-254), Fault),
            (track(-2, false), Number(i32::MAX), Fault),
            (track(0, false), Number(0), Weight(0)),
            (track(0, false), Number(5), Fault),
            (track(0, true), Number(0), Fault),
            (track(0, true), Number(5), Weight(0)),
        ];
        for (track, value, effect) in rows {
            assert_eq!(track.effect(value), effect, "{track:?} {value:?}");
        }
    }

    #[test]
    fn without_a_result_weights_count_nothing_and_no_weight_waits() {
        assert_eq!(track(10, false).effect(TrackValue::Unknown), Effect::Weight(0));
        assert_eq!(track(0, false).effect(TrackValue::Unknown), Effect::Waiting);
    }

    #[test]
    fn what_is_ignored_counts_nothing_and_nobody_waits_for_it() {
        for (weight, reverse) in [(0, false), (0, true), (10, false), (-10, true)] {
            assert_eq!(track(weight, reverse).effect(TrackValue::Ignored), Effect::Weight(0));
        }
    }

    #[test]
    fn the_sum_stays_between_1_and_254() {
        let sum = |weight| Sum {
            weight,
            ..Sum::default()
        };
        assert_eq!(
            (sum(300).priority(100), sum(-300).priority(100), sum(-30).priority(100)),
            (254, 1, 70)
        );
    }
}
