//! Which routers cannot send at the moment.
//!
//! The core wants to hear of the first failure and of the first success after it, not of every advert.

use keepvip_proto::engine::Core;
use keepvip_proto::time::Instant;
use keepvip_proto::vrrp::report::Slot;

/// The routers whose last advert or announcement was refused; hardly ever any.
#[derive(Default)]
pub(crate) struct SendFailures {
    slots: Vec<Slot>,
}

impl SendFailures {
    /// Something of this router was refused for good.
    pub(crate) fn refused(&mut self, now: Instant, slot: Slot, errno: i32, core: &mut Core) {
        if !self.slots.contains(&slot) {
            self.slots.push(slot);
        }
        core.handle_send_result(now, slot, errno);
    }

    /// These routers' datagrams went out.
    pub(crate) fn sent(&mut self, now: Instant, slots: impl Iterator<Item = Slot>, core: &mut Core) {
        if self.slots.is_empty() {
            return;
        }
        for slot in slots {
            if let Some(at) = self.slots.iter().position(|&failing| failing == slot) {
                self.slots.swap_remove(at);
                core.handle_send_result(now, slot, 0);
            }
        }
    }
}
