"""The answers of the API, as typed data. States are names ("MASTER"), times say their unit."""

from __future__ import annotations

from typing import Any

import msgspec

from keepvip.admin.model_service import ServicesView  # noqa: TC001  (msgspec resolves annotations at run time)
from keepvip.event import TrackedStatus  # noqa: TC001  (msgspec resolves annotations at run time)

__all__ = [
    "ConfigView",
    "DaemonView",
    "EngineView",
    "GroupView",
    "Health",
    "InstanceView",
    "LogView",
    "PlanAnswer",
    "ReloadAnswer",
    "ServerAnswer",
    "Status",
    "TransitionView",
    "WhyAnswer",
]


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Common to all answers."""


class Health(_Answer, frozen=True, kw_only=True):
    """Whether everything is as it should be; if not, one sentence per problem."""

    ok: bool
    problems: tuple[str, ...] = ()


class DaemonView(_Answer, frozen=True, kw_only=True):
    """The process."""

    version: str
    pid: int
    started_ns: int
    now_ns: int
    router_id: str


class ConfigView(_Answer, frozen=True, kw_only=True):
    """The configuration that runs, and the last attempt to replace it."""

    path: str
    files: tuple[str, ...]
    stale: bool
    """The last reload was refused: what runs is not what the files say."""
    loaded_ns: int
    """When the configuration that runs was read."""
    tried_ns: int
    """When the files were last read."""
    errors: int
    """Of the last attempt."""
    warnings: int
    diagnostics: list[dict[str, Any]] | None = None
    """All diagnostics of the last attempt; only in the answer of /v1/config."""


class EngineView(_Answer, frozen=True, kw_only=True):
    """The engine thread. `late_histogram[i]` counts wake-ups late by less than 2**i microseconds.

    `receive`: `filter` when a socket filter keeps routine adverts from it, `wake` when every advert wakes it. `send`:
    `packet` when multicast adverts leave by a packet socket, `raw` when they leave by an IP socket, `auto` for the one
    or the other by the number of routers.
    """

    alive: bool
    late_histogram: list[int]
    rx_overruns: int
    netlink_resyncs: int
    wakeups: int
    realtime: bool
    memory_locked: bool
    receive: str
    send: str
    notices: list[str]


class LoopView(_Answer, frozen=True, kw_only=True):
    """How late the event loop runs (notifications and answers; adverts do not depend on it)."""

    lag_last_us: int
    lag_max_us: int
    lag_alarms: int
    lag_histogram: list[int]


class LogView(_Answer, frozen=True, kw_only=True):
    """Log records lost: dropped because the output did not keep up, failed because it refused."""

    dropped: int
    failed: int


class InstanceView(_Answer, frozen=True, kw_only=True):
    """One virtual router."""

    name: str
    group: str | None
    state: str
    why: str | None
    """The reason of the last transition, in words."""
    faults: tuple[str, ...]
    interface: str | None
    vmac: str | None
    """Name of the macvlan or ipvlan on it that carries the addresses; None: they are on the interface."""
    net_namespace: str | None
    """Where the interface is; None: in the network namespace of the daemon."""
    vrid: int
    family: int
    version: int
    base_priority: int
    priority: int
    master: str | None
    """Address of the router that is master; our own while we are."""
    master_priority: int | None
    master_advert_int_us: int
    next_deadline_in_us: int | None
    """From the time of the snapshot; negative = late."""
    last_transition_ns: int
    addresses: tuple[str, ...]
    addresses_installed: bool
    peers: tuple[str, ...] | None
    """Whom adverts are sent to by unicast; None: they are sent by multicast."""
    stats: dict[str, int]


class GroupView(_Answer, frozen=True, kw_only=True):
    """A sync group; its state is that of its members, or MIXED for the moment in which they move."""

    name: str
    state: str
    members: tuple[str, ...]


class Status(_Answer, frozen=True, kw_only=True):
    """GET /v1/status"""

    health: Health
    daemon: DaemonView
    config: ConfigView
    engine: EngineView
    loop: LoopView
    log: LogView
    notify: dict[str, int]
    """Scripts and mails since the start, by what became of them."""
    groups: list[GroupView]
    instances: list[InstanceView]
    services: ServicesView
    tracked: list[TrackedStatus]
    """Everything that instances track, interfaces apart."""


class TransitionView(_Answer, frozen=True, kw_only=True):
    """One transition and why it happened."""

    seq: int
    at_ns: int
    instance: str
    old: str
    new: str
    reason: str
    """Stable slug, for programs."""
    why: str
    """The reason and its evidence in words."""
    evidence: dict[str, str | int | float | None]
    priority: int
    late_us: int
    """How much later than its deadline the engine acted."""
    took_us: int | None
    """From the cause to the last address installed or removed; None = no address was moved."""


class IncidentView(_Answer, frozen=True, kw_only=True):
    """Something of an instance that somebody removed, or that the kernel refused to set."""

    seq: int
    at_ns: int
    instance: str
    text: str


class WhyAnswer(_Answer, frozen=True, kw_only=True):
    """GET /v1/why. For a sync group: the transitions of all members, newest first."""

    name: str
    kind: str
    """"instance" or "group"."""
    state: str
    members: tuple[str, ...]
    transitions: list[TransitionView]
    incidents: list[IncidentView]


class ReloadAnswer(_Answer, frozen=True, kw_only=True):
    """POST /v1/reload: what was carried out, or why nothing was."""

    ok: bool
    message: str
    steps: tuple[str, ...]
    errors: int
    warnings: int
    diagnostics: list[dict[str, Any]]
    took_ms: float


class ServerAnswer(_Answer, frozen=True, kw_only=True):
    """POST /v1/server, POST /v1/reconcile: what was done."""

    message: str


class PlanAnswer(_Answer, frozen=True, kw_only=True):
    """GET /v1/plan: what a reload from this file would come to. Nothing is carried out."""

    ok: bool
    """Whether a reload would accept the file."""
    message: str
    path: str
    steps: tuple[str, ...]
    """In words; also of a file that would be refused, as far as it could be read."""
    plan: dict[str, Any] | None
    """The same for programs; None when nothing could be made of the file."""
    errors: int
    warnings: int
    diagnostics: list[dict[str, Any]]
