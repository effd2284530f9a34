//! A hierarchical timer wheel in microseconds: Varghese and Lauck 1987, scheme 7, in the shape of tokio's.
//!
//! Eleven levels of 64 slots span all of `u64`. A timer lies at the level of the highest base-64 digit in which its
//! deadline differs from the wheel's time, in the slot of that digit: the nearest 64 µs lie in level 0, one slot per
//! microsecond. When the wheel's time enters a slot of a higher level, its timers move down; each timer moves at most
//! ten times in its life, whatever the distance, and a jump of years costs no more than that.
//!
//! Timers are dense small numbers chosen by the caller (instance slots). The lists are threaded through one array, so
//! after [`Wheel::reserve`] nothing allocates.
//!
//! Wake-ups are what costs, so [`Wheel::next_deadline`] is exact also while the deadline is far away: each slot knows
//! the earliest deadline in it, and looks for it again only when that one was taken out.

const DIGIT_BITS: u32 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
const LEVELS: usize = 64usize.div_ceil(DIGIT_BITS as usize);
/// No timer: the end of a list.
const NIL: u32 = u32::MAX;
/// No slot: the timer is not armed.
const UNARMED: u16 = u16::MAX;

/// One timer, armed or not.
#[derive(Clone, Debug)]
struct Timer {
    deadline_us: u64,
    previous: u32,
    next: u32,
    /// `level * SLOTS + slot`, or [`UNARMED`].
    place: u16,
}

const UNARMED_TIMER: Timer = Timer {
    deadline_us: 0,
    previous: NIL,
    next: NIL,
    place: UNARMED,
};

/// The timers of one slot, in the order in which they came.
#[derive(Clone, Debug)]
struct Slot {
    first: u32,
    last: u32,
    /// The earliest deadline in the slot; only a lower bound while `is_stale`.
    earliest_us: u64,
    is_stale: bool,
}

const EMPTY_SLOT: Slot = Slot {
    first: NIL,
    last: NIL,
    earliest_us: u64::MAX,
    is_stale: false,
};

/// The wheel. Its time is that of the latest [`Wheel::pop_expired`] and never goes back.
#[derive(Clone, Debug)]
pub struct Wheel {
    time_us: u64,
    timers: Vec<Timer>,
    slots: Vec<Slot>,
    /// One bit per slot, one word per level.
    occupied: [u64; LEVELS],
    armed: usize,
}

impl Default for Wheel {
    fn default() -> Self {
        Self::new()
    }
}

impl Wheel {
    /// A wheel without timers at time 0.
    #[must_use]
    pub fn new() -> Self {
        Self {
            time_us: 0,
            timers: Vec::new(),
            slots: vec![EMPTY_SLOT; LEVELS * SLOTS],
            occupied: [0; LEVELS],
            armed: 0,
        }
    }

    /// Makes room for the timers `0..count`, so that using them does not allocate.
    pub fn reserve(&mut self, count: u32) {
        let count = count as usize;
        if count > self.timers.len() {
            self.timers.resize(count, UNARMED_TIMER);
        }
    }

    /// Number of armed timers.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.armed
    }

    /// Whether no timer is armed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.armed == 0
    }

    /// The deadline of timer `id` in µs; `None` if it is not armed.
    #[must_use]
    pub fn deadline(&self, id: u32) -> Option<u64> {
        let timer = self.timers.get(id as usize)?;
        (timer.place != UNARMED).then_some(timer.deadline_us)
    }

    /// Arms timer `id` for `deadline_us`, or moves it there if it is armed. A deadline in the past expires at the next
    /// [`Wheel::pop_expired`], before all later ones. An `id` beyond what was reserved makes room for itself.
    pub fn insert(&mut self, id: u32, deadline_us: u64) {
        self.reserve(id.saturating_add(1));
        let place = self.place_of(deadline_us);
        let timer = &mut self.timers[id as usize];
        if timer.place != UNARMED {
            if timer.deadline_us == deadline_us {
                return;
            }
            self.unlink(id);
        }
        self.timers[id as usize].deadline_us = deadline_us;
        self.link(id, place);
    }

    /// Disarms timer `id` and returns its deadline in µs; `None` if it was not armed.
    pub fn remove(&mut self, id: u32) -> Option<u64> {
        let deadline_us = self.deadline(id)?;
        self.unlink(id);
        Some(deadline_us)
    }

    /// Disarms all timers; the room for them and the time stay.
    pub fn clear(&mut self) {
        self.timers.fill(UNARMED_TIMER);
        self.slots.fill(EMPTY_SLOT);
        self.occupied = [0; LEVELS];
        self.armed = 0;
    }

    /// The earliest deadline in µs, exactly. It may lie in the past.
    ///
    /// Amortised O(1): linear in the timers of one slot if the earliest of that slot has been taken out since.
    #[must_use]
    pub fn next_deadline(&mut self) -> Option<u64> {
        let (level, slot) = self.first_slot()?;
        Some(self.earliest(level * SLOTS + slot))
    }

    /// Disarms and returns the timer with the earliest deadline, with that deadline, if it is not after `now_us`.
    /// Called until it returns `None`, it yields all that is due in the order of the deadlines; timers of the same
    /// microsecond come in an order that only depends on the calls made so far.
    pub fn pop_expired(&mut self, now_us: u64) -> Option<(u32, u64)> {
        loop {
            let Some((level, slot)) = self.first_slot() else {
                self.time_us = self.time_us.max(now_us);
                return None;
            };
            let place = level * SLOTS + slot;
            let start_us = self.slot_start(level, slot);
            if level > 0 && start_us <= now_us {
                self.time_us = start_us;
                self.move_down(place);
                continue;
            }
            if level > 0 || self.earliest(place) > now_us {
                // Up to `now_us` there is nothing, so all timers stay where they are.
                self.time_us = self.time_us.max(now_us);
                return None;
            }
            self.time_us = start_us;
            let deadline_us = self.slots[place].earliest_us;
            let id = self.find(place, deadline_us);
            self.unlink(id);
            return Some((id, deadline_us));
        }
    }

    /// The slot with the earliest deadline: levels are in the order of time, and so are the slots of one level, because
    /// all timers of a level share the higher digits with the wheel's time.
    fn first_slot(&self) -> Option<(usize, usize)> {
        let level = self.occupied.iter().position(|slots| *slots != 0)?;
        Some((level, self.occupied[level].trailing_zeros() as usize))
    }

    /// The first microsecond that belongs to a slot.
    fn slot_start(&self, level: usize, slot: usize) -> u64 {
        let shift = DIGIT_BITS * level as u32;
        let higher_digits = u64::MAX.checked_shl(shift + DIGIT_BITS).unwrap_or(0);
        self.time_us & higher_digits | (slot as u64) << shift
    }

    /// Where a deadline belongs. The past belongs to the present.
    fn place_of(&self, deadline_us: u64) -> usize {
        let deadline_us = deadline_us.max(self.time_us);
        // The lowest digit always counts, so that a difference of nothing is level 0 as well.
        let difference = (self.time_us ^ deadline_us) | (SLOTS as u64 - 1);
        let level = difference.ilog2() / DIGIT_BITS;
        let digit = deadline_us >> (DIGIT_BITS * level) & (SLOTS as u64 - 1);
        level as usize * SLOTS + digit as usize
    }

    /// The exact earliest deadline of an occupied slot.
    fn earliest(&mut self, place: usize) -> u64 {
        if self.slots[place].is_stale {
            let mut earliest_us = u64::MAX;
            let mut id = self.slots[place].first;
            while id != NIL {
                let timer = &self.timers[id as usize];
                earliest_us = earliest_us.min(timer.deadline_us);
                id = timer.next;
            }
            self.slots[place].earliest_us = earliest_us;
            self.slots[place].is_stale = false;
        }
        self.slots[place].earliest_us
    }

    /// The first timer of the slot with this deadline, which must be there. Only a slot that holds past deadlines as
    /// well has any other.
    fn find(&self, place: usize, deadline_us: u64) -> u32 {
        let mut id = self.slots[place].first;
        while self.timers[id as usize].deadline_us != deadline_us {
            id = self.timers[id as usize].next;
        }
        id
    }

    /// Empties a slot into lower levels. The wheel's time is the start of the slot.
    fn move_down(&mut self, place: usize) {
        let mut id = self.slots[place].first;
        self.slots[place] = EMPTY_SLOT;
        self.occupied[place / SLOTS] &= !(1 << (place % SLOTS));
        while id != NIL {
            let next = self.timers[id as usize].next;
            let lower = self.place_of(self.timers[id as usize].deadline_us);
            self.armed -= 1; // it stays armed: `link` counts it again
            self.link(id, lower);
            id = next;
        }
    }

    /// Appends a timer, whose deadline is set, to a slot.
    fn link(&mut self, id: u32, place: usize) {
        let slot = &mut self.slots[place];
        let previous = slot.last;
        slot.last = id;
        if previous == NIL {
            slot.first = id;
        } else {
            self.timers[previous as usize].next = id;
        }
        let timer = &mut self.timers[id as usize];
        timer.previous = previous;
        timer.next = NIL;
        timer.place = place as u16;
        if timer.deadline_us <= slot.earliest_us {
            slot.earliest_us = timer.deadline_us;
            slot.is_stale = false;
        }
        self.occupied[place / SLOTS] |= 1 << (place % SLOTS);
        self.armed += 1;
    }

    /// Takes an armed timer out of its slot.
    fn unlink(&mut self, id: u32) {
        let timer = core::mem::replace(&mut self.timers[id as usize], UNARMED_TIMER);
        let place = usize::from(timer.place);
        let slot = &mut self.slots[place];
        match timer.previous {
            NIL => slot.first = timer.next,
            previous => self.timers[previous as usize].next = timer.next,
        }
        match timer.next {
            NIL => slot.last = timer.previous,
            next => self.timers[next as usize].previous = timer.previous,
        }
        if slot.first == NIL {
            *slot = EMPTY_SLOT;
            self.occupied[place / SLOTS] &= !(1 << (place % SLOTS));
        } else if timer.deadline_us == slot.earliest_us {
            // Usually timers of one slot that are taken out one after the other have the same deadline.
            slot.is_stale |= self.timers[slot.first as usize].deadline_us != slot.earliest_us;
        }
        self.armed -= 1;
    }
}

#[cfg(test)]
mod test {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn drain(wheel: &mut Wheel, now_us: u64) -> Vec<(u32, u64)> {
        core::iter::from_fn(|| wheel.pop_expired(now_us)).collect()
    }

    #[test]
    fn nothing_expires_early() {
        let mut wheel = Wheel::new();
        for deadline_us in [1, 63, 64, 4095, 4096, 1_000_000, u64::MAX] {
            wheel.insert(0, deadline_us);
            assert_eq!(wheel.next_deadline(), Some(deadline_us));
            assert_eq!(wheel.pop_expired(deadline_us - 1), None, "{deadline_us}");
            assert_eq!(wheel.next_deadline(), Some(deadline_us));
            assert_eq!(wheel.pop_expired(deadline_us), Some((0, deadline_us)));
            assert_eq!(wheel.next_deadline(), None);
            assert!(wheel.is_empty());
        }
    }

    #[test]
    fn order_is_that_of_deadlines() {
        let mut wheel = Wheel::new();
        let deadlines_us = [3_609_375, 3_609_376, 1_000_000, 39, 10_000, 3_609_374, 64, 63];
        for (id, deadline_us) in (0..).zip(deadlines_us) {
            wheel.insert(id, deadline_us);
        }
        let expected = [
            (3, 39),
            (7, 63),
            (6, 64),
            (4, 10_000),
            (2, 1_000_000),
            (5, 3_609_374),
            (0, 3_609_375),
        ];
        assert_eq!(drain(&mut wheel, 3_609_375), expected);
        assert_eq!(wheel.next_deadline(), Some(3_609_376));
    }

    #[test]
    fn the_past_expires_first_and_in_order() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.pop_expired(1_000), None);
        wheel.insert(0, 1_000);
        wheel.insert(1, 700);
        wheel.insert(2, 999);
        wheel.insert(3, 0);
        assert_eq!(wheel.next_deadline(), Some(0));
        assert_eq!(drain(&mut wheel, 1_000), [(3, 0), (1, 700), (2, 999), (0, 1_000)]);
    }

    #[test]
    fn time_that_goes_back_is_harmless() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.pop_expired(5_000), None);
        wheel.insert(0, 4_000);
        wheel.insert(1, 6_000);
        assert_eq!(wheel.pop_expired(3_000), None);
        assert_eq!(drain(&mut wheel, 4_500), [(0, 4_000)]);
        assert_eq!(drain(&mut wheel, 6_000), [(1, 6_000)]);
    }

    #[test]
    fn moving_and_removing() {
        let mut wheel = Wheel::new();
        wheel.reserve(3);
        wheel.insert(0, 100);
        wheel.insert(1, 200);
        wheel.insert(0, 300);
        wheel.insert(0, 300);
        assert_eq!(
            (wheel.len(), wheel.deadline(0), wheel.next_deadline()),
            (2, Some(300), Some(200))
        );
        assert_eq!(wheel.remove(1), Some(200));
        assert_eq!(wheel.remove(1), None);
        assert_eq!(wheel.remove(2), None);
        assert_eq!(wheel.remove(1_000), None);
        assert_eq!(
            (wheel.len(), wheel.deadline(1), wheel.next_deadline()),
            (1, None, Some(300))
        );
        wheel.clear();
        assert_eq!((wheel.len(), wheel.deadline(0), wheel.next_deadline()), (0, None, None));
        wheel.insert(2, 1);
        assert_eq!(drain(&mut wheel, 1), [(2, 1)]);
    }

    #[test]
    fn a_jump_of_ages_is_one_step_per_level() {
        let mut wheel = Wheel::new();
        let year_us = 365 * 86_400 * 1_000_000;
        wheel.insert(0, year_us);
        wheel.insert(1, 1_000 * year_us);
        assert_eq!(drain(&mut wheel, 1_000 * year_us - 1), [(0, year_us)]);
        assert_eq!(drain(&mut wheel, u64::MAX), [(1, 1_000 * year_us)]);
        wheel.insert(2, u64::MAX);
        assert_eq!(drain(&mut wheel, u64::MAX), [(2, u64::MAX)]);
    }

    #[test]
    fn steady_state_does_not_allocate() {
        let mut wheel = Wheel::new();
        wheel.reserve(255);
        let before = (wheel.timers.capacity(), wheel.slots.capacity());
        for id in 0..255 {
            wheel.insert(id, u64::from(id) * 7);
        }
        let mut count = 0;
        while let Some((id, deadline_us)) = wheel.pop_expired(10_000_000) {
            wheel.insert(id, deadline_us + 100_000);
            count += 1;
        }
        assert!(count > 255 * 90);
        assert_eq!((wheel.timers.capacity(), wheel.slots.capacity()), before);
    }

    #[derive(Clone, Debug)]
    enum Operation {
        Insert { id: u32, offset_us: i64 },
        Remove { id: u32 },
        PopOne,
        Advance { by_us: u64 },
        Look,
    }

    fn distance() -> impl Strategy<Value = u64> {
        (0u32..50, any::<u64>()).prop_map(|(bits, random)| random & ((1 << bits) - 1))
    }

    fn operation() -> impl Strategy<Value = Operation> {
        let id = 0u32..40;
        prop_oneof![
            6 => (id.clone(), distance(), prop::bool::weighted(0.1)).prop_map(|(id, distance, past)| {
                let offset_us = if past { -(distance as i64) } else { distance as i64 };
                Operation::Insert { id, offset_us }
            }),
            // Many timers at few instants, as on a phase grid.
            3 => (id.clone(), 0i64..4).prop_map(|(id, step)| Operation::Insert { id, offset_us: step * 100_000 }),
            2 => id.prop_map(|id| Operation::Remove { id }),
            1 => Just(Operation::PopOne),
            3 => distance().prop_map(|by_us| Operation::Advance { by_us }),
            2 => Just(Operation::Look),
        ]
    }

    /// What the wheel has to do, done slowly.
    #[derive(Default)]
    struct Reference {
        by_id: BTreeMap<u32, u64>,
        in_order: BTreeSet<(u64, u32)>,
    }

    impl Reference {
        fn insert(&mut self, id: u32, deadline_us: u64) {
            self.remove(id);
            self.by_id.insert(id, deadline_us);
            self.in_order.insert((deadline_us, id));
        }

        fn remove(&mut self, id: u32) -> Option<u64> {
            let deadline_us = self.by_id.remove(&id)?;
            self.in_order.remove(&(deadline_us, id));
            Some(deadline_us)
        }

        fn next_deadline(&self) -> Option<u64> {
            self.in_order.first().map(|(deadline_us, _)| *deadline_us)
        }

        /// Takes over a pop of the wheel after checking that it was a right one.
        fn check_pop(&mut self, popped: Option<(u32, u64)>, now_us: u64) -> Result<(), TestCaseError> {
            match popped {
                None => prop_assert!(self.next_deadline().is_none_or(|next_us| next_us > now_us)),
                Some((id, deadline_us)) => {
                    prop_assert!(deadline_us <= now_us, "early");
                    prop_assert_eq!(Some(deadline_us), self.next_deadline(), "out of order");
                    prop_assert_eq!(self.remove(id), Some(deadline_us), "wrong timer");
                }
            }
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn behaves_like_an_ordered_map(operations in prop::collection::vec(operation(), 1..200)) {
            let (mut wheel, mut reference, mut now_us) = (Wheel::new(), Reference::default(), 1_000_000_000);
            wheel.pop_expired(now_us);
            for operation in operations {
                match operation {
                    Operation::Insert { id, offset_us } => {
                        let deadline_us = now_us.saturating_add_signed(offset_us);
                        wheel.insert(id, deadline_us);
                        reference.insert(id, deadline_us);
                    }
                    Operation::Remove { id } => prop_assert_eq!(wheel.remove(id), reference.remove(id)),
                    Operation::PopOne => reference.check_pop(wheel.pop_expired(now_us), now_us)?,
                    Operation::Advance { by_us } => {
                        now_us += by_us;
                        loop {
                            let popped = wheel.pop_expired(now_us);
                            reference.check_pop(popped, now_us)?;
                            if popped.is_none() {
                                break;
                            }
                        }
                    }
                    Operation::Look => prop_assert_eq!(wheel.next_deadline(), reference.next_deadline()),
                }
                prop_assert_eq!(wheel.len(), reference.by_id.len());
            }
            for id in 0..40 {
                prop_assert_eq!(wheel.deadline(id), reference.by_id.get(&id).copied());
            }
            prop_assert_eq!(drain(&mut wheel, u64::MAX).len(), reference.by_id.len());
        }
    }
}
