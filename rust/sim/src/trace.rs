//! What happened, in the order in which it happened, readable.

use core::fmt;

use keepvip_proto::time::Instant;
use keepvip_proto::vrrp::report::{Event, EventKind};

/// One line of the trace.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When, on the clock of the simulation.
    pub at: Instant,
    /// Which node; none for what happens to a LAN.
    pub node: Option<usize>,
    /// What.
    pub what: What,
}

/// What an entry tells.
#[derive(Clone, Debug)]
pub enum What {
    /// The core reported it.
    Event(Event),
    /// The scenario did it.
    Action(String),
    /// An advert left.
    Advert {
        /// Router.
        slot: u32,
        /// Its priority field.
        priority: u8,
    },
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            Some(node) => write!(f, "{:?} node {node} ", self.at)?,
            None => write!(f, "{:?} ", self.at)?,
        }
        match &self.what {
            What::Action(action) => write!(f, "--- {action}"),
            What::Advert { slot, priority } => write!(f, "router {slot} advertises priority {priority}"),
            What::Event(Event {
                kind:
                    EventKind::Transition {
                        slot,
                        from,
                        to,
                        reason,
                        evidence,
                        ..
                    },
                ..
            }) => {
                write!(
                    f,
                    "router {slot} {from:?} -> {to:?} because {} {evidence:?}",
                    reason.slug()
                )
            }
            What::Event(event) => write!(f, "{:?}", event.kind),
        }
    }
}
