//! When masters of the same advertisement interval advertise: on a grid that they share.
//!
//! A wake-up costs ten times what an advert does, so a thousand masters must not need a thousand of them. An interval is
//! cut into [`PHASES`] phases. A router that becomes master has its next advert moved to a phase, earlier and never
//! later, and is periodic from then on: the phase is kept until it leaves the role. A phase takes only so many that its
//! burst stays small; [`FEW`] masters or less are left exactly where their own time puts them.

use std::collections::HashMap;

use super::output::IfId;
use crate::time::{Duration, Instant};

/// Phases of an interval.
pub const PHASES: usize = 32;
/// So many adverts leave by one interface in one burst; a thirty-third of an interval earlier there is another one.
pub const PER_INTERFACE: u32 = 64;
/// So many leave at the same moment in all.
pub const PER_PHASE: u32 = 128;
/// Up to so many masters of an interval keep their own time: nothing is gained by moving them.
pub const FEW: u32 = 8;
/// So many phases earlier an advert may be moved to join others instead of opening a phase.
const JOIN: usize = PHASES / 4;

/// A master's place on the grid of its interval. To be given back with [`Phases::release`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seat {
    interval: Duration,
    interface: IfId,
    /// `None`: it keeps its own time.
    phase: Option<u8>,
}

impl Seat {
    /// True when the seat is good for a router of this interval on this interface.
    #[must_use]
    pub fn fits(&self, interval: Duration, interface: IfId) -> bool {
        self.interval == interval && self.interface == interface
    }
}

/// The grid of one interval.
#[derive(Clone, Debug)]
struct Grid {
    interval: Duration,
    /// A moment of phase 0: the first master's own time.
    anchor: Instant,
    members: u32,
    in_phase: [u32; PHASES],
    on_interface: HashMap<(IfId, u8), u32>,
}

/// The grids of all intervals that are in use.
#[derive(Clone, Debug, Default)]
pub struct Phases {
    grids: Vec<Grid>,
}

impl Phases {
    /// Gives a master a seat. `at` is when its next advert is due by its own time; the answer is when it is due on the
    /// grid, less than an interval earlier.
    pub fn seat(&mut self, at: Instant, interval: Duration, interface: IfId) -> (Instant, Seat) {
        let grid = match self.grids.iter().position(|grid| grid.interval == interval) {
            Some(known) => &mut self.grids[known],
            None => {
                self.grids.push(Grid::new(interval, at));
                let last = self.grids.len() - 1;
                &mut self.grids[last]
            }
        };
        grid.members += 1;
        let chosen = grid.choose(at, interface);
        if let Some((phase, _)) = chosen {
            grid.in_phase[usize::from(phase)] += 1;
            *grid.on_interface.entry((interface, phase)).or_default() += 1;
        }
        let earlier = chosen.map_or(Duration::ZERO, |(_, earlier)| earlier);
        let phase = chosen.map(|(phase, _)| phase);
        (
            at.before(earlier),
            Seat {
                interval,
                interface,
                phase,
            },
        )
    }

    /// Takes a seat back.
    pub fn release(&mut self, seat: Seat) {
        let Some(index) = self.grids.iter().position(|grid| grid.interval == seat.interval) else {
            return;
        };
        let grid = &mut self.grids[index];
        grid.members -= 1;
        if grid.members == 0 {
            self.grids.swap_remove(index);
            return;
        }
        if let Some(phase) = seat.phase {
            grid.in_phase[usize::from(phase)] -= 1;
            let key = (seat.interface, phase);
            if let Some(count) = grid.on_interface.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    grid.on_interface.remove(&key);
                }
            }
        }
    }
}

impl Grid {
    fn new(interval: Duration, anchor: Instant) -> Self {
        Self {
            interval,
            anchor,
            members: 0,
            in_phase: [0; PHASES],
            on_interface: HashMap::new(),
        }
    }

    /// Where a phase begins within the interval, µs.
    fn start_us(&self, phase: usize) -> u64 {
        self.interval.fraction(phase as u64, PHASES as u64).as_micros()
    }

    /// The phase for an advert that is due at `at`, and how much earlier that is; `None` where it stays.
    fn choose(&self, at: Instant, interface: IfId) -> Option<(u8, Duration)> {
        let interval_us = self.interval.as_micros();
        if interval_us < PHASES as u64 {
            return None;
        }
        let offset_us =
            (at.as_micros() % interval_us + interval_us - self.anchor.as_micros() % interval_us) % interval_us;
        // The last phase that begins at the offset or before it; `start_us` rounds down.
        let own = Duration::from_micros(offset_us + 1)
            .times(PHASES as u64)
            .less(Duration::from_micros(1));
        let own = (own.as_micros() / interval_us) as usize;
        let back = |steps: usize| (own + PHASES - steps) % PHASES;
        let earlier_us = |phase: usize| (offset_us + interval_us - self.start_us(phase)) % interval_us;
        let room = |phase: &usize| {
            let here = self.on_interface.get(&(interface, *phase as u8)).copied().unwrap_or(0);
            self.in_phase[*phase] < PER_PHASE && here < PER_INTERFACE
        };
        let chosen = if self.members <= FEW {
            Some(own).filter(|&phase| earlier_us(phase) == 0).filter(room)
        } else {
            let mut near = (0..=JOIN).map(back);
            near.find(|phase| self.in_phase[*phase] > 0 && room(phase))
                .or_else(|| (0..PHASES).map(back).find(room))
                .or_else(|| (0..PHASES).map(back).min_by_key(|&phase| self.in_phase[phase]))
        };
        chosen.map(|phase| (phase as u8, Duration::from_micros(earlier_us(phase))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn interface(index: u32) -> IfId {
        IfId { netns: 0, index }
    }

    #[test]
    fn the_first_masters_keep_their_own_time() {
        let mut phases = Phases::default();
        for i in 0..u64::from(FEW) {
            let at = Instant::from_micros(5_000_000 + i * 7_919);
            assert_eq!(phases.seat(at, Duration::from_secs(1), interface(1)).0, at);
        }
    }

    #[test]
    fn all_at_once_make_small_bursts() {
        let mut phases = Phases::default();
        let at = Instant::from_micros(123_456_789);
        let mut times: Vec<Instant> = (0..1000)
            .map(|i| phases.seat(at, Duration::from_millis(100), interface(i / 250)).0)
            .collect();
        times.sort_unstable();
        let bursts: Vec<usize> = times.chunk_by(|a, b| a == b).map(<[Instant]>::len).collect();
        assert!(bursts.len() <= 16, "{bursts:?}");
        assert!(bursts.iter().all(|&burst| burst <= PER_PHASE as usize), "{bursts:?}");
    }

    proptest! {
        #[test]
        fn earlier_never_later_and_the_bursts_stay_small(
            interval_us in prop::sample::select(vec![10_000_u64, 30_000, 100_000, 999_999, 1_000_000, 40_950_000]),
            arrivals in prop::collection::vec((0_u64..2_000_000, 0_u32..6, any::<bool>()), 1..1500),
        ) {
            let interval = Duration::from_micros(interval_us);
            let mut phases = Phases::default();
            let mut seated: Vec<(Instant, Seat)> = Vec::new();
            let mut now = Instant::from_micros(1_000_000);
            for (wait_us, index, leaves) in arrivals {
                now += Duration::from_micros(wait_us);
                if leaves && let Some((_, seat)) = seated.pop() {
                    phases.release(seat);
                }
                let own = now + interval;
                let (at, seat) = phases.seat(own, interval, interface(index));
                prop_assert!(at <= own && at > now);
                prop_assert!(seat.fits(interval, interface(index)));
                seated.push((at, seat));
            }
            // Who has a phase is at its beginning: all of one phase leave in the same microsecond.
            for phase in 0..PHASES as u8 {
                let moments: Vec<(u64, Seat)> = seated
                    .iter()
                    .filter(|(_, seat)| seat.phase == Some(phase))
                    .map(|(at, seat)| (at.as_micros() % interval_us, *seat))
                    .collect();
                prop_assert!(moments.windows(2).all(|pair| pair[0].0 == pair[1].0));
                prop_assert!(moments.len() <= PER_PHASE as usize);
                for index in 0..6 {
                    let here = moments.iter().filter(|(_, seat)| seat.interface == interface(index)).count();
                    prop_assert!(here <= PER_INTERFACE as usize);
                }
            }
            for (_, seat) in seated {
                phases.release(seat);
            }
            prop_assert!(phases.grids.is_empty());
        }

        #[test]
        fn a_seat_is_found_again(own_us in 1_000_000_u64..90_000_000, interval_us in 32_u64..50_000_000) {
            let interval = Duration::from_micros(interval_us);
            let mut phases = Phases::default();
            for i in 0..20 {
                phases.seat(Instant::from_micros(own_us + i * 997), interval, interface(1));
            }
            let (at, _) = phases.seat(Instant::from_micros(own_us), interval, interface(1));
            let (again, _) = phases.seat(at + interval, interval, interface(1));
            prop_assert_eq!(again, at + interval);
        }
    }
}
