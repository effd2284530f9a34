"""Virtual servers in the answers of the API."""

from __future__ import annotations

import msgspec

__all__ = ["CheckView", "ServerView", "ServiceView", "ServicesView", "TrafficView"]


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Common to all."""


class TrafficView(_Answer, frozen=True, kw_only=True):
    """What the kernel counted; rates are its own estimates over the last seconds."""

    connections: int = 0
    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    connections_per_s: int = 0
    packets_in_per_s: int = 0
    packets_out_per_s: int = 0
    bytes_in_per_s: int = 0
    bytes_out_per_s: int = 0


class CheckView(_Answer, frozen=True, kw_only=True):
    """One checker."""

    kind: str
    up: bool
    ran: bool
    reason: str
    """Of the last result."""
    failures: int
    duration_us: int | None


class ServerView(_Answer, frozen=True, kw_only=True):
    """One real server, or the sorry server."""

    name: str
    up: bool
    why: str
    """Why it is down; empty while it is up."""
    weight: int
    """What the kernel has: 0 also while it is inhibited."""
    configured_weight: int
    method: str
    in_table: bool
    override: str | None
    """What an operator said about it."""
    override_until_s: float | None
    """Seconds since the epoch; None: until it is taken back."""
    active_connections: int
    inactive_connections: int
    traffic: TrafficView
    checks: tuple[CheckView, ...]


class ServiceView(_Answer, frozen=True, kw_only=True):
    """One virtual server."""

    name: str
    up: bool
    """It has its quorum."""
    scheduler: str
    quorum: int
    hysteresis: int
    live_weight: int
    sorry_active: bool
    suspended: bool
    """Its checks rest, because its address is not on this host (`ha_suspend`)."""
    persistence_timeout_s: int
    traffic: TrafficView
    servers: tuple[ServerView, ...]
    sorry: ServerView | None


class ServicesView(_Answer, frozen=True, kw_only=True):
    """All virtual servers, and how the kernel takes them."""

    errors: tuple[str, ...] = ()
    """What the kernel refuses."""
    repairs: int = 0
    """Changes of others in our part of the table that were put right."""
    requests: int = 0
    """Messages to the kernel that changed something."""
    checks: dict[str, int] = {}
    """What became of all health checks so far: started, ok, failed, timed_out, not_possible (a problem of this host),
    changes; checkers, and how many are probed (equal ones once)."""
    services: tuple[ServiceView, ...] = ()
