//! The owner of all virtual routers of a process: inputs with their time in, actions and reports out.
//!
//! [`Core`] has four kinds of methods:
//!
//! * **getters** (`status`, `poll_at`): look, change nothing;
//! * **`handle_*`**: something happened outside: a packet, a fact about the host, a deadline;
//! * **commands** (`apply`, `shutdown`): somebody wants something;
//! * **`poll_*`**: what the driver must do now. Drain them after every input, in this order: `poll_membership`,
//!   `poll_advert`, `poll_address_op`, `poll_announce`, `poll_event`, `poll_dirty`; then sleep until `poll_at`.
//!
//! Time never goes back. All packets and facts of one wake-up are handled before [`Core::handle_deadlines`]: a router
//! that slept hears the new master before it speaks.

mod addresses;
mod advert;
mod configure;
mod deadline;
mod fault;
mod host;
mod links;
mod namespace;
mod output;
mod reach;
mod receive;
mod routine;
mod tracking;
mod transition;

use core::hash::BuildHasherDefault;
use core::net::IpAddr;
use std::collections::{HashMap, VecDeque};

use crate::key_hash::KeyHasher;
use crate::time::{Duration, Instant};
use crate::vrrp::announce::Announcer;
use crate::vrrp::config::{Family, IfName, NetnsId, RouterConfig};
use crate::vrrp::deletions::OwnDeletions;
use crate::vrrp::facts::Facts;
use crate::vrrp::output::{AddressOp, IfId, Membership, MembershipOp};
use crate::vrrp::phases::Phases;
use crate::vrrp::report::{Event, EventKind, Faults, GroupIndex, Slot, State};
use crate::vrrp::router::{Phase, Router};
use crate::vrrp::stats::Stats;
use crate::vrrp::track::{TrackId, TrackValue};
use crate::wheel::Wheel;

use advert::{Farewell, QueuedAdvert};
pub use links::{LinkConfig, Pace};
pub use receive::AdvertRx;
pub use routine::{Noted, Routine};

/// A new configuration, as its difference from the one in force.
#[derive(Debug, Default)]
pub struct Apply {
    /// Routers that come, change or go. A slot is free again once its `Deleted` event was polled.
    pub changes: Vec<Change>,
    /// All sync groups, those without a change too; [`GroupIndex`] is the position.
    pub groups: Vec<GroupConfig>,
    /// Take configured addresses off their interfaces first: what a killed daemon left behind.
    pub clear_residue: bool,
    /// Until then received adverts are thrown away, and timers of routers that start count from then
    /// (`vrrp_startup_delay`).
    pub hold_until: Option<Instant>,
    /// All interfaces of which something is configured, in whatever order.
    pub links: Vec<LinkConfig>,
    /// Adverts for virtual routers that nobody configured are told (`log_unknown_vrids`), each router once.
    pub tell_unknown: bool,
}

/// One difference between two configurations.
#[derive(Debug)]
pub enum Change {
    /// A router comes.
    Add {
        /// A free slot.
        slot: Slot,
        /// Its configuration.
        config: Box<RouterConfig>,
    },
    /// A router goes on with another configuration of the same VRID, family and interface.
    Update {
        /// Its slot.
        slot: Slot,
        /// Its configuration.
        config: Box<RouterConfig>,
    },
    /// A router goes.
    Remove {
        /// Its slot.
        slot: Slot,
    },
}

/// A sync group.
#[derive(Clone, Debug, Default)]
pub struct GroupConfig {
    /// Its members, in the order of the configuration.
    pub members: Vec<Slot>,
}

/// What a router is doing.
#[derive(Clone, Copy, Debug)]
pub struct RouterStatus {
    /// Its state.
    pub state: State,
    /// Its faults.
    pub faults: Faults,
    /// Configured priority.
    pub base_priority: u8,
    /// Effective priority.
    pub priority: u8,
    /// The master heard last.
    pub master: Option<IpAddr>,
    /// That master's priority, 0 when none was heard.
    pub master_priority: u8,
    /// Interval of the master's adverts; our own while master.
    pub master_advert_interval: Duration,
    /// When it has something to do.
    pub next_deadline: Option<Instant>,
    /// When it last changed its state.
    pub last_transition: Option<Instant>,
    /// All its addresses are confirmed by the kernel.
    pub addresses_installed: bool,
    /// Its counters.
    pub stats: Stats,
}

#[derive(Clone, Debug)]
struct Group {
    members: Vec<Slot>,
    /// The common state that was reported last.
    reported: State,
}

/// Finds the router that a packet is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Key {
    interface: IfId,
    family: Family,
    vrid: u8,
}

/// All virtual routers, the facts they stand on, and what they want done. A clone goes its own way from there: that is
/// how the simulator explores what might happen.
#[derive(Clone, Debug)]
pub struct Core {
    routers: Vec<Option<Box<Router>>>,
    groups: Vec<Group>,
    facts: Facts,
    links: links::Links,
    /// Virtual routers that nobody configured and that were told; `None` where they are not to be told.
    unknown: Option<std::collections::HashSet<(IfId, Family, u8)>>,
    announcer: Announcer,
    /// When masters of the same interval advertise.
    phases: Phases,
    wheel: Wheel,
    /// When each slot's entry in the wheel fires; may be earlier than the router's own deadline (lazy re-arming).
    armed: Vec<Option<Instant>>,
    by_key: HashMap<Key, Slot, BuildHasherDefault<KeyHasher>>,
    /// Routers to look at when an interface of this name changes.
    watchers: HashMap<(NetnsId, IfName), Vec<Slot>>,
    /// The last value of each tracked thing.
    track_values: Vec<TrackValue>,
    /// Routers that track it.
    trackers: HashMap<TrackId, Vec<Slot>>,
    /// Every configured address with its namespace, sorted.
    vips: Vec<(NetnsId, IpAddr, Slot, u32)>,
    namespaces: Vec<namespace::Namespace>,
    memberships: HashMap<Membership, u32>,
    /// Address operations of each slot that were handed out and not answered yet.
    ops_pending: Vec<u32>,
    own_deletions: OwnDeletions,
    /// Routers whose facts changed in this wake-up.
    unsettled: Vec<Slot>,
    /// Routers with an address to put back.
    lost: Vec<Slot>,
    /// Routers that are no longer watched; what was noted of them is still to be asked for.
    unwatched: Vec<Slot>,
    hold_until: Instant,
    /// The wall clock of this wake-up, in µs since 1970.
    utc_us: u64,
    /// Counts wake-ups.
    turn: u64,
    /// `Some(true)`: stopping, `Stopped` not said yet.
    stopping: Option<bool>,
    stopped_at: Instant,
    adverts: VecDeque<QueuedAdvert>,
    farewell: Option<Box<Farewell>>,
    /// Unicast routers whose own address is to be announced.
    sources: Vec<Slot>,
    /// Single addresses to announce on links that adverts do not leave by, as positions in their routers.
    extras: Vec<(Slot, u32)>,
    address_ops: VecDeque<AddressOp>,
    membership_ops: VecDeque<MembershipOp>,
    events: VecDeque<Event>,
    dirty: Vec<Slot>,
    is_dirty: Vec<bool>,
}

impl Default for Core {
    fn default() -> Self {
        Self::new()
    }
}

impl Core {
    /// No routers, no facts.
    #[must_use]
    pub fn new() -> Self {
        Self {
            routers: Vec::new(),
            groups: Vec::new(),
            facts: Facts::default(),
            links: links::Links::default(),
            unknown: None,
            announcer: Announcer::default(),
            phases: Phases::default(),
            wheel: Wheel::new(),
            armed: Vec::new(),
            by_key: HashMap::default(),
            watchers: HashMap::new(),
            track_values: Vec::new(),
            trackers: HashMap::new(),
            vips: Vec::new(),
            namespaces: Vec::new(),
            memberships: HashMap::new(),
            ops_pending: Vec::new(),
            own_deletions: OwnDeletions::default(),
            unsettled: Vec::new(),
            lost: Vec::new(),
            unwatched: Vec::new(),
            hold_until: Instant::ZERO,
            utc_us: 0,
            turn: 1,
            stopping: None,
            stopped_at: Instant::ZERO,
            adverts: VecDeque::new(),
            farewell: None,
            sources: Vec::new(),
            extras: Vec::new(),
            address_ops: VecDeque::new(),
            membership_ops: VecDeque::new(),
            events: VecDeque::new(),
            dirty: Vec::new(),
            is_dirty: Vec::new(),
        }
    }

    /// What a router is doing; `None` when there is none in the slot.
    #[must_use]
    pub fn status(&self, slot: Slot) -> Option<RouterStatus> {
        let router = self.router(slot)?;
        Some(RouterStatus {
            state: router.state(),
            faults: router.faults,
            base_priority: router.config.priority,
            priority: router.priority,
            master: router.master.map(|(sender, _)| sender),
            master_priority: router.master.map_or(0, |(_, priority)| priority),
            master_advert_interval: router.master_interval,
            next_deadline: match &router.phase {
                Phase::Backup(backup) => Some(backup.deadline),
                _ => router.deadline(),
            },
            last_transition: router.last_transition,
            addresses_installed: router.held.iter().all(|held| held.wanted && held.present),
            stats: router.stats,
        })
    }

    /// When a router's protocol timer runs out: the master down timer of a backup, the advert timer of a master.
    #[must_use]
    pub fn next_protocol_deadline(&self, slot: Slot) -> Option<Instant> {
        match &self.router(slot)?.phase {
            Phase::Backup(backup) => Some(backup.deadline),
            Phase::Master(master) => Some(master.advert_at),
            Phase::Init | Phase::Fault => None,
        }
    }

    /// Slots that hold a router.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        (0..)
            .zip(&self.routers)
            .filter_map(|(slot, router)| router.as_ref().map(|_| slot))
    }

    fn slot_count(&self) -> Slot {
        Slot::try_from(self.routers.len()).unwrap_or(Slot::MAX)
    }

    fn router(&self, slot: Slot) -> Option<&Router> {
        self.routers.get(slot as usize)?.as_deref()
    }

    fn router_mut(&mut self, slot: Slot) -> Option<&mut Router> {
        self.routers.get_mut(slot as usize)?.as_deref_mut()
    }

    fn report(&mut self, at: Instant, kind: EventKind) {
        self.events.push_back(Event { at, kind });
    }

    fn mark_dirty(&mut self, slot: Slot) {
        if let Some(flag) = self.is_dirty.get_mut(slot as usize)
            && !core::mem::replace(flag, true)
        {
            self.dirty.push(slot);
        }
    }

    /// Brings the wheel in line with the router's earliest deadline. A later deadline leaves the entry where it is: it
    /// fires early once and is put back, which is cheaper than moving it for each received advert.
    fn rearm(&mut self, slot: Slot) {
        let deadline = self.router(slot).and_then(Router::deadline);
        let Some(armed) = self.armed.get_mut(slot as usize) else {
            return;
        };
        match (deadline, *armed) {
            (None, None) => {}
            (None, Some(_)) => {
                self.wheel.remove(slot);
                *armed = None;
            }
            (Some(deadline), Some(at)) if at <= deadline => {}
            (Some(deadline), _) => {
                self.wheel.insert(slot, deadline.as_micros());
                *armed = Some(deadline);
            }
        }
    }

    fn members(&self, group: GroupIndex) -> usize {
        self.groups.get(group as usize).map_or(0, |group| group.members.len())
    }

    fn member(&self, group: GroupIndex, position: usize) -> Option<Slot> {
        self.groups.get(group as usize)?.members.get(position).copied()
    }

    /// Members of a group that exist.
    fn group_routers(&self, group: GroupIndex) -> impl Iterator<Item = (Slot, &Router)> {
        self.groups
            .get(group as usize)
            .into_iter()
            .flat_map(|group| &group.members)
            .filter_map(|&slot| self.router(slot).map(|router| (slot, router)))
    }
}
