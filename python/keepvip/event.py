"""What the engine tells: one frozen struct per kind of event, and the snapshot of its state.

Events are facts that already happened, in the order in which they happened. They are made by
``keepvip.engine`` from the records on the engine's ring (and a few by the daemon itself), and read
by notify, observe and admin. Nothing here can act on the engine.

Times: ``at_ns`` is wall-clock time (CLOCK_REALTIME, nanoseconds), good for people and logs;
``mono_us`` is the engine's own clock (CLOCK_MONOTONIC, microseconds), good for differences.
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from keepvip.config.model_vmac import VmacKey  # noqa: TC001  (msgspec resolves annotations when it decodes)


class State(enum.IntEnum):
    """State of a virtual router (RFC 9568 6.4, and keepalived's FAULT)."""

    INIT = 0
    BACKUP = 1
    MASTER = 2
    FAULT = 3


class Reason(enum.StrEnum):
    """Why a transition happened; ``Transition.reason`` holds one of these values."""

    STARTUP = "startup"
    OWNER = "owner"
    MASTER_DOWN = "master_down"
    MASTER_DOWN_SHORTENED = "master_down_shortened"
    PREEMPT = "preempt"
    PRIORITY_ZERO = "priority_zero"
    HIGHER_PRIORITY_ADVERT = "higher_priority_advert"
    EQUAL_PRIORITY_HIGHER_ADDRESS = "equal_priority_higher_address"
    SYNC_GROUP = "sync_group"
    INTERFACE_DOWN = "interface_down"
    INTERFACE_MISSING = "interface_missing"
    NAMESPACE_MISSING = "namespace_missing"
    NO_SOURCE_ADDRESS = "no_source_address"
    TRACK_FAILED = "track_failed"
    NO_PEER = "no_peer"
    VMAC_UNUSABLE = "vmac_unusable"
    FAULT_CLEARED = "fault_cleared"
    LATE_WAKEUP = "late_wakeup"
    CONFIG_CHANGE = "config_change"
    REMOVED = "removed"
    SHUTDOWN = "shutdown"
    DUPLICATE_OWNER = "duplicate_owner"


Evidence = dict[str, str | int | float | None]
"""Facts behind a transition. Keys, where they apply: master (sender address), master_priority,
own_priority, deadline_mono_us, last_advert_mono_us, master_down_us, skew_us, interface,
net_namespace (of the interface, unless it is the daemon's), member, late_us, track (kind and name of the tracked
thing that failed: "script chk"), lowered_by (those whose weights had lowered our priority)."""


TrackKey = tuple[str, str]
"""Kind and name of a tracked thing: ("script", "chk")."""

TrackValue = str | int
"""What is known of it: "unknown", "good", "bad", "ignored" (it counts as if it were not tracked), or the number in a
file."""


class EventBase(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="kind", tag=True):
    """Common to all events. ``seq`` counts up by one per event of one source; a gap means lost events."""

    seq: int
    at_ns: int
    mono_us: int


class Transition(EventBase, frozen=True, kw_only=True, gc=False):
    """An instance changed state. ``took_us``: from cause to the last address installed or removed."""

    instance: str
    group: str | None
    old: State
    new: State
    reason: str
    evidence: Evidence
    priority: int
    late_us: int
    took_us: int | None


class GroupTransition(EventBase, frozen=True, kw_only=True, gc=False):
    """All members of a sync group have moved; comes after the members' own transitions."""

    group: str
    new: State


class MasterRxLowerPriority(EventBase, frozen=True, kw_only=True, gc=False):
    """We are master and heard another master with a lower priority (two masters on the LAN)."""

    instance: str
    priority: int
    sender: str


class PriorityChange(EventBase, frozen=True, kw_only=True, gc=False):
    """The effective priority of an instance changed; ``priority`` is the new one."""

    instance: str
    state: State
    priority: int


class Tracked(EventBase, frozen=True, kw_only=True, gc=False):
    """A tracked thing has a new value. ``why``: what was seen, in words; ``instances``: who tracks it."""

    what: str
    """Its kind: "script", "file", "process"."""
    name: str
    value: TrackValue
    old: TrackValue
    why: str
    instances: tuple[str, ...]


class AddressRestored(EventBase, frozen=True, kw_only=True, gc=False):
    """Somebody else deleted a virtual address of a master; it was put back. ``count`` since start."""

    instance: str
    address: str
    interface: str
    count: int


class AddressFailed(EventBase, frozen=True, kw_only=True, gc=False):
    """The kernel refused to add or remove an address. ``action`` is "install" or "withdraw"."""

    instance: str
    address: str
    interface: str
    errno: int
    action: str


class RoutingSet(EventBase, frozen=True, kw_only=True, gc=False):
    """Routes and rules of a new master are in place. ``took_us``: since the transition."""

    instance: str
    routes: int
    rules: int
    took_us: int


class RoutingRestored(EventBase, frozen=True, kw_only=True, gc=False):
    """Somebody else deleted a route, rule or static address; it was put back. ``count`` since it was added."""

    instance: str | None
    """None: a static one."""
    what: str
    """"route", "rule" or "address"."""
    item: str
    count: int


class RoutingFailed(EventBase, frozen=True, kw_only=True, gc=False):
    """The kernel refused to add or remove a route, rule or static address. ``action`` is "install" or "withdraw"."""

    instance: str | None
    what: str
    item: str
    errno: int
    detail: str
    """The kernel's own words, often empty."""
    action: str


class AdvertRejected(EventBase, frozen=True, kw_only=True, gc=False):
    """An advert was not accepted; reported once per cause until the master or the state changes."""

    instance: str | None
    sender: str
    cause: str
    detail: str


class SendFailed(EventBase, frozen=True, kw_only=True, gc=False):
    """The kernel refused to send an advert."""

    instance: str
    errno: int


class FaultChange(EventBase, frozen=True, kw_only=True, gc=False):
    """The set of reasons that keep an instance in FAULT changed; empty = no fault left."""

    instance: str
    faults: tuple[str, ...]


class Deleted(EventBase, frozen=True, kw_only=True, gc=False):
    """A reload removed the instance; ``state`` is the one it had."""

    instance: str
    state: State


class Late(EventBase, frozen=True, kw_only=True, gc=False):
    """The engine thread woke up late by ``late_us``; ``what`` names the deadline that suffered."""

    late_us: int
    what: str


class Resynced(EventBase, frozen=True, kw_only=True, gc=False):
    """Links and addresses were read again in full, because of ``cause`` (rtnetlink overrun)."""

    cause: str


class EventsLost(EventBase, frozen=True, kw_only=True, gc=False):
    """The ring was full: ``count`` events are missing; the snapshot tells the present state."""

    count: int


class Notice(EventBase, frozen=True, kw_only=True, gc=False):
    """A plain message. ``level``: "debug", "info", "warning" or "error"."""

    level: str
    text: str


class Stopped(EventBase, frozen=True, kw_only=True, gc=False):
    """Last event of an engine: priority 0 sent, addresses removed, the thread is about to end."""


class Fatal(EventBase, frozen=True, kw_only=True, gc=False):
    """Last event of an engine that failed: it has withdrawn what it could and its thread is gone.

    ``text`` says what it died of. The daemon must end with a failure, so that its supervisor starts it again.
    """

    text: str


Event = (
    Transition
    | GroupTransition
    | MasterRxLowerPriority
    | PriorityChange
    | Tracked
    | AddressRestored
    | AddressFailed
    | RoutingSet
    | RoutingRestored
    | RoutingFailed
    | AdvertRejected
    | SendFailed
    | FaultChange
    | Deleted
    | Late
    | Resynced
    | EventsLost
    | Notice
    | Stopped
    | Fatal
)


def to_jsonable(event: Event) -> dict[str, Any]:
    """The event as plain data for JSON, with states by name ("MASTER") and ``kind`` first."""
    data: dict[str, Any] = {"kind": type(event).__name__}
    for field in event.__struct_fields__:
        value = getattr(event, field)
        data[field] = value.name if isinstance(value, State) else value
    return data


class InstanceStatus(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One virtual router as it was when the snapshot was published.

    ``next_deadline_us`` is absolute (the engine's clock) and None when nothing is armed;
    ``last_transition_ns`` is wall-clock time. ``stats`` keys: advert_rcvd advert_sent become_master
    release_master packet_len_err advert_interval_err ip_ttl_err invalid_type_rcvd addr_list_err
    invalid_authtype authtype_mismatch auth_failure auth_ext_missing auth_ext_malformed auth_ext_unknown_key
    auth_ext_invalid_hmac auth_ext_stale auth_ext_replay pri_zero_rcvd pri_zero_sent version_err checksum_err
    destination_err interval_differs unknown_peer_rcvd clock_skew own_address_rcvd garp_sent na_sent
    address_restored late_max_us.
    """

    name: str
    group: str | None
    vrid: int
    family: int
    version: int
    interface: str | None
    """None: unicast without an interface of its own."""
    vmac: str | None = None
    """The link on top of it that carries the addresses."""
    links: dict[VmacKey, str] = {}
    """Names of all links that are made for it."""
    net_namespace: str | None = None
    """Where the interface is; None: in the network namespace of the daemon."""
    state: State
    faults: tuple[str, ...]
    base_priority: int
    priority: int
    master: str | None
    master_priority: int | None
    master_advert_int_us: int
    next_deadline_us: int | None
    last_transition_ns: int
    addresses_installed: bool
    stats: dict[str, int]


class TrackedStatus(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A tracked thing as it is known now."""

    kind: str
    name: str
    value: str | int
    """`good`, `bad`, `unknown` (no result yet), `ignored` (it cannot be found out)."""
    detail: str
    """What the last result was, or why there is none."""
    ok: bool | None
    """Whether the last result was a success; None without one."""
    progress: str
    """Results on the way to another value: `1 of 3 failures`."""
    result_ns: int | None
    """When the last result came, wall clock."""
    running_us: int | None
    """How long the present run takes so far."""
    counters: dict[str, int]
    instances: tuple[str, ...]
    """Who tracks it."""


class EngineSnapshot(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """State of the whole engine, read from what it last published (never from the thread itself).

    ``late_histogram[i]`` counts wake-ups that were late by less than 2**i microseconds (and not
    less than 2**(i-1)).
    """

    mono_us: int
    instances: list[InstanceStatus]
    late_histogram: list[int]
    rx_overruns: int
    netlink_resyncs: int
    wakeups: int
    realtime: bool
    memory_locked: bool
