//! Whose deletion was it? The kernel tells everybody of every address that is taken off, us too when we did it.
//!
//! A removal has an answer (to us) and, when it succeeded, a notification (to all). They come by different ways, in any
//! order. So a removal is expected from the moment it is asked for, and no longer expected when its notification comes, or
//! its answer says that nothing was deleted.

use core::net::IpAddr;
use std::collections::HashMap;

use super::config::NetnsId;
use super::output::IfId;

/// An address as the kernel tells it apart: interface, address, prefix length.
pub type Place = (IfId, IpAddr, u8);

#[derive(Clone, Copy, Debug, Default)]
struct Removals {
    /// Notifications that may still come.
    expected: u32,
    /// Removals that were not answered.
    unanswered: u32,
}

/// The removals that we asked for.
#[derive(Clone, Debug, Default)]
pub struct OwnDeletions(HashMap<Place, Removals>);

impl OwnDeletions {
    /// Makes room, so that using it does not allocate.
    pub fn reserve(&mut self, count: usize) {
        self.0.reserve(count);
    }

    /// A removal is asked for.
    pub fn asked(&mut self, place: Place) {
        let removals = self.0.entry(place).or_default();
        removals.expected += 1;
        removals.unanswered += 1;
    }

    /// A removal is answered; `deleted`: it succeeded, so that its notification comes or has come.
    pub fn answered(&mut self, place: Place, deleted: bool) {
        self.change(place, |removals| {
            removals.unanswered = removals.unanswered.saturating_sub(1);
            if !deleted {
                removals.expected = removals.expected.saturating_sub(1);
            }
        });
    }

    /// The address is told to be gone: true when that was us.
    pub fn gone(&mut self, place: Place) -> bool {
        let mut ours = false;
        self.change(place, |removals| {
            ours = removals.expected > 0;
            removals.expected = removals.expected.saturating_sub(1);
        });
        ours
    }

    /// All addresses of a namespace were told anew; notifications of what was removed before have come, or were lost.
    pub fn resynced(&mut self, netns: NetnsId) {
        self.0.retain(|(on, _, _), removals| {
            if on.netns != netns {
                return true;
            }
            removals.expected = removals.expected.min(removals.unanswered);
            removals.unanswered > 0
        });
    }

    /// The interface is gone, and has told of its addresses before.
    pub fn interface_gone(&mut self, interface: IfId) {
        self.0.retain(|(on, _, _), _| *on != interface);
    }

    fn change(&mut self, place: Place, change: impl FnOnce(&mut Removals)) {
        if let Some(removals) = self.0.get_mut(&place) {
            change(removals);
            if removals.expected == 0 && removals.unanswered == 0 {
                self.0.remove(&place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = (
        IfId { netns: 0, index: 2 },
        IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 1)),
        32,
    );

    #[test]
    fn answer_and_notification_come_in_any_order() {
        let mut own = OwnDeletions::default();
        for answer_first in [true, false] {
            own.asked(PLACE);
            if answer_first {
                own.answered(PLACE, true);
            }
            assert!(own.gone(PLACE));
            if !answer_first {
                own.answered(PLACE, true);
            }
            assert!(!own.gone(PLACE), "the next one is somebody else's");
        }
        assert!(own.0.is_empty());
    }

    #[test]
    fn what_was_not_deleted_is_not_expected() {
        let mut own = OwnDeletions::default();
        own.asked(PLACE);
        own.answered(PLACE, false);
        assert!(!own.gone(PLACE));
        // Somebody else was quicker: his notification is taken for ours, and ours never comes.
        own.asked(PLACE);
        assert!(own.gone(PLACE));
        own.answered(PLACE, false);
        assert!(!own.gone(PLACE) && own.0.is_empty());
    }

    #[test]
    fn a_notification_that_was_lost_is_not_expected_for_ever() {
        let mut own = OwnDeletions::default();
        own.asked(PLACE);
        own.answered(PLACE, true);
        own.resynced(0);
        assert!(!own.gone(PLACE) && own.0.is_empty());
    }

    #[test]
    fn a_removal_that_is_under_way_outlives_a_resync() {
        let mut own = OwnDeletions::default();
        own.asked(PLACE);
        own.resynced(0);
        own.answered(PLACE, true);
        assert!(own.gone(PLACE) && own.0.is_empty());
    }
}
