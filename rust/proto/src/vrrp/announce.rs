//! The queue of gratuitous ARPs and unsolicited neighbour advertisements (`vrrp-behaviour.md` 2).
//!
//! A batch is a number of rounds, each over all addresses of a router. Rounds of different routers take turns, so that
//! after a mass takeover every router's first round is out before anybody's second. With a rate limit an interface has
//! a next moment of its own; routers on other interfaces do not wait for it.

use std::collections::{HashMap, VecDeque};

use super::output::IfId;
use super::report::Slot;
use crate::time::{Duration, Instant};

/// What is left of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The router.
    pub slot: Slot,
    /// Rounds left, the current one included.
    pub rounds: u16,
    /// Position of the next address in the current round.
    pub next: u32,
}

/// The queue.
#[derive(Clone, Debug, Default)]
pub struct Announcer {
    queue: VecDeque<Batch>,
    /// Which routers have a batch in the queue: thousands that take over at once must not look for each other.
    queued: Vec<bool>,
    /// When the next ARP and the next NA may leave by an interface that has a rate limit.
    paced: HashMap<IfId, [Instant; 2]>,
    waits: Waits,
}

/// What the queue waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Waits {
    /// Something may leave at once.
    #[default]
    Nothing,
    /// All that is left is too early, the first of it until then.
    Until(Instant),
    /// All that is left waits for its addresses; see [`Announcer::again`].
    Addresses,
}

impl Announcer {
    /// Queues a batch. A batch of the same router that is still under way is extended, not doubled.
    pub fn add(&mut self, slot: Slot, rounds: u16) {
        if rounds == 0 {
            return;
        }
        self.waits = Waits::Nothing;
        if self.mark(slot, true) {
            if let Some(batch) = self.queue.iter_mut().find(|batch| batch.slot == slot) {
                batch.rounds = batch.rounds.max(rounds);
            }
        } else {
            self.queue.push_back(Batch { slot, rounds, next: 0 });
        }
    }

    /// Drops what is queued for a router.
    pub fn cancel(&mut self, slot: Slot) {
        if self.mark(slot, false) {
            self.queue.retain(|batch| batch.slot != slot);
        }
    }

    /// Notes whether a router has a batch; returns whether it had one.
    fn mark(&mut self, slot: Slot, queued: bool) -> bool {
        let index = slot as usize;
        if self.queued.len() <= index {
            self.queued.resize(index + 1, false);
        }
        core::mem::replace(&mut self.queued[index], queued)
    }

    /// The batch whose turn it is.
    #[must_use]
    pub fn front(&self) -> Option<Batch> {
        self.queue.front().copied()
    }

    /// Number of batches under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// True when nothing is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The front batch has done one address of `count`; after a full round it goes to the end.
    pub fn advance(&mut self, count: u32) {
        let Some(mut batch) = self.queue.pop_front() else {
            return;
        };
        batch.next += 1;
        if batch.next < count {
            self.queue.push_front(batch);
            return;
        }
        batch.next = 0;
        batch.rounds -= 1;
        if batch.rounds > 0 {
            self.queue.push_back(batch);
        } else {
            self.mark(batch.slot, false);
        }
    }

    /// The front batch cannot go on now: the next one gets its turn.
    pub fn rotate(&mut self) {
        if let Some(batch) = self.queue.pop_front() {
            self.queue.push_back(batch);
        }
    }

    /// True when the rate limit of the interface allows a frame now; if not, remembers when it will.
    pub fn may_send(&mut self, now: Instant, interface: IfId, kind: usize) -> bool {
        match self.paced.get(&interface) {
            Some(next) if next[kind] > now => {
                let at = next[kind];
                self.waits = Waits::Until(match self.waits {
                    Waits::Until(known) => known.min(at),
                    Waits::Nothing | Waits::Addresses => at,
                });
                false
            }
            _ => true,
        }
    }

    /// A frame has left; the next one of its kind on the interface keeps the distance.
    pub fn sent(&mut self, now: Instant, interface: IfId, kind: usize, gap: Duration) {
        self.waits = Waits::Nothing;
        if !gap.is_zero() {
            self.paced.entry(interface).or_default()[kind] = now + gap;
        }
    }

    /// Starts a look through the queue: what it does not find to be too early waits for its addresses.
    pub fn begin(&mut self) {
        self.waits = Waits::Addresses;
    }

    /// The addresses of a router are there: it is worth another look.
    pub fn again(&mut self) {
        self.waits = Waits::Nothing;
    }

    /// When there may be something to send: at once (zero), later, or not before something happens.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        match self.waits {
            _ if self.queue.is_empty() => None,
            Waits::Nothing => Some(Instant::ZERO),
            Waits::Until(at) => Some(at),
            Waits::Addresses => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_take_turns() {
        let mut announcer = Announcer::default();
        announcer.add(0, 2);
        announcer.add(1, 2);
        let mut order = Vec::new();
        while let Some(batch) = announcer.front() {
            order.push((batch.slot, batch.next));
            announcer.advance(2);
        }
        assert_eq!(order, [(0, 0), (0, 1), (1, 0), (1, 1), (0, 0), (0, 1), (1, 0), (1, 1)]);
    }

    #[test]
    fn a_batch_under_way_is_extended() {
        let mut announcer = Announcer::default();
        announcer.add(0, 1);
        announcer.add(0, 3);
        assert_eq!(
            (announcer.len(), announcer.front().map(|batch| batch.rounds)),
            (1, Some(3))
        );
    }

    #[test]
    fn a_rate_limit_says_when_to_come_back() {
        let mut announcer = Announcer::default();
        let interface = IfId { netns: 0, index: 1 };
        let now = Instant::from_micros(10);
        announcer.add(0, 1);
        announcer.sent(now, interface, 0, Duration::from_micros(5));
        announcer.begin();
        assert!(announcer.may_send(now, interface, 1));
        assert!(!announcer.may_send(now, interface, 0));
        assert_eq!(announcer.next_at(), Some(Instant::from_micros(15)));
        assert!(announcer.may_send(Instant::from_micros(15), interface, 0));
    }
}
