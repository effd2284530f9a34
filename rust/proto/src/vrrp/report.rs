//! What the core tells about itself: every transition with its reason and its evidence.
//!
//! All of it is plain `Copy` data without heap parts, so that it fits a fixed ring between two threads.

use core::net::IpAddr;

use super::config::IfName;
use super::track::TrackTarget;
use crate::time::{Duration, Instant};

/// Index of a router in the core; stays with it over reloads.
pub type Slot = u32;

/// Index of a sync group in the core; valid until the next configuration is applied.
pub type GroupIndex = u32;

/// The states of a virtual router (`vrrp-behaviour.md` 1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// Known, not started, or stopped.
    Init = 0,
    /// Listening to a master, or waiting for its own turn.
    Backup = 1,
    /// Advertising and holding the addresses.
    Master = 2,
    /// Not able to be master.
    Fault = 3,
}

/// Why a router changed its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Reason {
    /// First state after start or after it was added by a reload.
    Startup,
    /// Priority 255: the address owner needs no election.
    Owner,
    /// No advert for a master down interval.
    MasterDown,
    /// `state MASTER` shortened the first wait and nobody of a higher priority was heard.
    MasterDownShortened,
    /// A live master of lower priority is displaced.
    Preempt,
    /// The master gave up its role with priority 0 and the skew ran out.
    PriorityZero,
    /// An advert of a higher priority came.
    HigherPriority,
    /// An advert of our own priority came from a higher address.
    EqualPriorityHigherAddress,
    /// Another member of the sync group moved.
    SyncGroup,
    /// An interface that the router needs is down.
    InterfaceDown,
    /// An interface that the router needs does not exist.
    InterfaceMissing,
    /// The network namespace that the router is in does not exist, or cannot be entered.
    NetnsMissing,
    /// The interface has no address to send from.
    NoSourceAddress,
    /// Something that it tracks without a weight has failed.
    TrackFailed,
    /// A unicast router has no peer.
    NoPeer,
    /// The macvlan or ipvlan of the router does not exist or is down.
    VmacUnusable,
    /// The last fault has gone.
    FaultCleared,
    /// We woke so late that a peer must have taken over (`timer_expired_backup`).
    LateWakeup,
    /// The configuration says so.
    ConfigChange,
    /// Removed by a reload.
    Removed,
    /// The daemon stops.
    Shutdown,
    /// Two address owners: the one with the lower address stepped back.
    DuplicateOwner,
}

impl Reason {
    /// Stable identifier for logs, JSON and tests.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Owner => "owner",
            Self::MasterDown => "master_down",
            Self::MasterDownShortened => "master_down_shortened",
            Self::Preempt => "preempt",
            Self::PriorityZero => "priority_zero",
            Self::HigherPriority => "higher_priority_advert",
            Self::EqualPriorityHigherAddress => "equal_priority_higher_address",
            Self::SyncGroup => "sync_group",
            Self::InterfaceDown => "interface_down",
            Self::InterfaceMissing => "interface_missing",
            Self::NetnsMissing => "namespace_missing",
            Self::NoSourceAddress => "no_source_address",
            Self::TrackFailed => "track_failed",
            Self::NoPeer => "no_peer",
            Self::VmacUnusable => "vmac_unusable",
            Self::FaultCleared => "fault_cleared",
            Self::LateWakeup => "late_wakeup",
            Self::ConfigChange => "config_change",
            Self::Removed => "removed",
            Self::Shutdown => "shutdown",
            Self::DuplicateOwner => "duplicate_owner",
        }
    }
}

/// What keeps a router from being master; a set, recomputed from facts and never counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Faults(u16);

impl Faults {
    /// Nothing is wrong.
    pub const NONE: Self = Self(0);
    /// The router's interface, or the one of an address, does not exist.
    pub const INTERFACE_MISSING: Self = Self(1);
    /// The router's own interface is down.
    pub const INTERFACE_DOWN: Self = Self(2);
    /// The interface of one of its addresses is down or missing.
    pub const ADDRESS_INTERFACE: Self = Self(4);
    /// The interface has no address of the router's family to send from.
    pub const NO_SOURCE_ADDRESS: Self = Self(8);
    /// Another router uses the same VRID on this interface.
    pub const DUPLICATE_VRID: Self = Self(16);
    /// Something that the router tracks without a weight has failed.
    pub const TRACK: Self = Self(32);
    /// Something that the router tracks without a weight has no result yet.
    pub const WAITING: Self = Self(64);
    /// A unicast router has no peer.
    pub const NO_PEER: Self = Self(128);
    /// The router's own macvlan or ipvlan does not exist or is down.
    pub const VMAC: Self = Self(256);
    /// The network namespace of the router does not exist, or cannot be entered.
    pub const NETNS_MISSING: Self = Self(512);

    /// Every member with its stable name.
    pub const NAMES: [(Self, &'static str); 10] = [
        (Self::INTERFACE_MISSING, "interface_missing"),
        (Self::INTERFACE_DOWN, "interface_down"),
        (Self::ADDRESS_INTERFACE, "address_interface_down"),
        (Self::NO_SOURCE_ADDRESS, "no_source_address"),
        (Self::DUPLICATE_VRID, "duplicate_vrid"),
        (Self::TRACK, "track_failed"),
        (Self::WAITING, "waiting_for_first_result"),
        (Self::NO_PEER, "no_peer"),
        (Self::VMAC, "vmac_unusable"),
        (Self::NETNS_MISSING, "namespace_missing"),
    ];

    /// True when nothing is wrong.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True when every member of `other` is in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The set with `other` added when `when` holds.
    #[must_use]
    pub const fn with(self, other: Self, when: bool) -> Self {
        if when { Self(self.0 | other.0) } else { self }
    }

    /// True when something is wrong, beyond a first result that is awaited.
    #[must_use]
    pub const fn is_serious(self) -> bool {
        self.0 & !Self::WAITING.0 != 0
    }

    /// The set as bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The reason to give for a transition into FAULT.
    #[must_use]
    pub const fn reason(self) -> Reason {
        if self.contains(Self::NETNS_MISSING) {
            Reason::NetnsMissing
        } else if self.contains(Self::INTERFACE_MISSING) {
            Reason::InterfaceMissing
        } else if self.contains(Self::INTERFACE_DOWN) || self.contains(Self::ADDRESS_INTERFACE) {
            Reason::InterfaceDown
        } else if self.contains(Self::VMAC) {
            Reason::VmacUnusable
        } else if self.contains(Self::NO_SOURCE_ADDRESS) {
            Reason::NoSourceAddress
        } else if self.contains(Self::TRACK) {
            Reason::TrackFailed
        } else if self.contains(Self::NO_PEER) {
            Reason::NoPeer
        } else {
            Reason::ConfigChange
        }
    }
}

/// The facts that a transition rests on. Fields that do not apply are `None` or zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Evidence {
    /// The master that was heard last, or the one that made us yield.
    pub master: Option<IpAddr>,
    /// Its priority.
    pub master_priority: Option<u8>,
    /// Our effective priority.
    pub own_priority: u8,
    /// When we last heard that master.
    pub last_advert: Option<Instant>,
    /// The deadline that ran out.
    pub deadline: Option<Instant>,
    /// Master down interval in force.
    pub master_down: Duration,
    /// Skew in force.
    pub skew: Duration,
    /// How late after its deadline the transition happened.
    pub late: Duration,
    /// The member of the sync group that moved first.
    pub member: Option<Slot>,
    /// The faults that are present.
    pub faults: Faults,
    /// The first tracked thing that is one of them.
    pub track: Option<TrackTarget>,
}

/// Why an advert was not accepted (`vrrp-behaviour.md` 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Reject {
    /// Shorter or longer than its own fields say.
    Length,
    /// TTL or hop limit is not 255.
    Ttl,
    /// Another protocol version than configured.
    Version,
    /// Not an advertisement.
    Type,
    /// VRRPv2: the interval differs from ours.
    Interval,
    /// The checksum does not match.
    Checksum,
    /// VRRPv2: an authentication type that does not exist.
    AuthTypeInvalid,
    /// VRRPv2: not the authentication type that is configured.
    AuthTypeMismatch,
    /// VRRPv2: wrong password.
    AuthFailure,
    /// VRRPv2: an Authentication Header with a sequence number that is not after the last one.
    AuthSequence,
    /// Sent to a unicast address while multicast is configured.
    Destination,
    /// An owner with `owner_ignore_adverts` drops everything.
    OwnerIgnores,
    /// A unicast advert from somebody who is no peer.
    UnknownPeer,
    /// `auth_hmac`: not signed.
    HmacMissing,
    /// `auth_hmac`: what follows the message is no trailer.
    HmacMalformed,
    /// `auth_hmac`: signed with a key that is not configured.
    HmacUnknownKey,
    /// `auth_hmac`: the signature is wrong.
    HmacInvalid,
    /// `auth_hmac`: signed at a time that is too far from ours.
    HmacStale,
    /// `auth_hmac`: not later than what this sender has said before.
    HmacReplay,
    /// Informational: the sender's clock is off by more than half of what is tolerated.
    ClockSkew,
    /// Informational: a unicast peer makes the checksum as releases up to 1.3.6 did, and so do we from now on.
    OldChecksum,
    /// Informational: the advert was accepted although its address list differs from ours.
    AddressList,
    /// Informational: a version 3 advert with another interval than ours was accepted.
    IntervalDiffers,
    /// Informational: an advert from our own address.
    OwnAddress,
}

impl Reject {
    /// Number of causes.
    pub const COUNT: usize = 24;

    /// Stable identifier for logs, JSON and tests.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Length => "packet_length",
            Self::Ttl => "ttl",
            Self::Version => "version",
            Self::Type => "type",
            Self::Interval => "advert_interval",
            Self::Checksum => "checksum",
            Self::AuthTypeInvalid => "auth_type_invalid",
            Self::AuthTypeMismatch => "auth_type_mismatch",
            Self::AuthFailure => "auth_failure",
            Self::AuthSequence => "auth_sequence",
            Self::Destination => "destination",
            Self::OwnerIgnores => "owner_ignores",
            Self::UnknownPeer => "unknown_peer",
            Self::HmacMissing => "auth_ext_missing",
            Self::HmacMalformed => "auth_ext_malformed",
            Self::HmacUnknownKey => "auth_ext_unknown_key",
            Self::HmacInvalid => "auth_ext_invalid_hmac",
            Self::HmacStale => "auth_ext_stale",
            Self::HmacReplay => "auth_ext_replay",
            Self::ClockSkew => "clock_skew",
            Self::OldChecksum => "old_checksum",
            Self::AddressList => "address_list",
            Self::IntervalDiffers => "interval_differs",
            Self::OwnAddress => "own_address",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// When it happened.
    pub at: Instant,
    /// What happened.
    pub kind: EventKind,
}

/// The kinds of [`Event`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// A router changed its state.
    Transition {
        /// The router.
        slot: Slot,
        /// Its sync group.
        group: Option<GroupIndex>,
        /// The state it left.
        from: State,
        /// The state it is in now.
        to: State,
        /// Why.
        reason: Reason,
        /// On what grounds.
        evidence: Evidence,
    },
    /// All members of a sync group are in a new common state; follows their own transitions.
    GroupTransition {
        /// The group.
        group: GroupIndex,
        /// The common state.
        to: State,
    },
    /// A master heard an advert of lower priority.
    MasterRxLower {
        /// The router.
        slot: Slot,
        /// Who sent it.
        sender: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// The effective priority changed.
    PriorityChange {
        /// The router.
        slot: Slot,
        /// Its state.
        state: State,
        /// The effective priority now.
        priority: u8,
    },
    /// The set of faults changed while the router stayed in FAULT.
    FaultChange {
        /// The router.
        slot: Slot,
        /// The faults now.
        faults: Faults,
    },
    /// Somebody else deleted one of our addresses and it was put back.
    AddressRestored {
        /// The router.
        slot: Slot,
        /// The address.
        addr: IpAddr,
        /// Where.
        interface: IfName,
        /// How often this happened to this router.
        count: u32,
    },
    /// The kernel refused an address.
    AddressFailed {
        /// The router.
        slot: Slot,
        /// The address.
        addr: IpAddr,
        /// Where.
        interface: IfName,
        /// Its errno.
        errno: i32,
        /// True for an installation, false for a removal.
        install: bool,
    },
    /// An advert was rejected, or accepted with a remark; the first of its cause until the master or the state changes.
    AdvertRejected {
        /// The router.
        slot: Slot,
        /// Who sent it.
        sender: IpAddr,
        /// Why.
        cause: Reject,
        /// The value that was wrong (TTL, version, interval field, priority ...).
        got: u32,
        /// The value that was expected.
        expected: u32,
    },
    /// An advert or announcement could not be sent; the first until one succeeds.
    SendFailed {
        /// The router.
        slot: Slot,
        /// The kernel's errno.
        errno: i32,
    },
    /// We woke long after a deadline and listen before we act.
    ListenAfterLateWakeup {
        /// The router.
        slot: Slot,
        /// How late.
        late: Duration,
    },
    /// A router is gone from the configuration; `state` is the one it was in.
    Deleted {
        /// The router; the slot may be used again from now on.
        slot: Slot,
        /// Its last state.
        state: State,
    },
    /// An advert for a virtual router that nobody configured, the first for it.
    UnknownVrid {
        /// Where it came in.
        interface: IfName,
        /// Who sent it.
        sender: IpAddr,
        /// The virtual router.
        vrid: u8,
    },
    /// rtnetlink lost messages and all facts were read anew.
    Resynced,
    /// Everything is released; nothing follows.
    Stopped,
}
