"""What checkers and the pool of servers tell each other (checkers-and-ipvs.md 3)."""

from __future__ import annotations

import msgspec

from keepvip.config.model_check import Checker  # noqa: TC001  (msgspec resolves annotations at run time)
from keepvip.config.model_service import CheckerKey  # noqa: TC001

__all__ = ["CheckResult", "CheckStatus", "CheckTask"]


class CheckTask(msgspec.Struct, frozen=True, kw_only=True):
    """One checker that is to run."""

    key: CheckerKey
    """Stable over a reload: a task with the key of an old one goes on with its state."""
    checker: Checker
    service: str
    """Name of the virtual server, as in FIFO lines."""
    server: str
    up: bool
    """What the pool takes it for until its first result."""
    first: bool = True
    """It has not run yet: one failure is enough."""
    weight: int = 1
    """Configured weight of the real server."""
    suspended: bool = False
    """`ha_suspend`: the address of the service is not on this host."""


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """The first result of a checker, or a change: of its state or of its part of the weight."""

    key: CheckerKey
    up: bool
    reason: str
    """For people: `connection refused`."""
    mail: str = ""
    """Body of the mail (checkers-and-ipvs.md 8.3); empty: this checker sends none of its own."""
    weight_delta: int = 0
    """What it adds to the weight of the real server."""


class CheckStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a checker stands, for `keepvip status`."""

    up: bool
    ran: bool
    failures: int = 0
    """Failures in a row that it has put up with so far."""
    reason: str = ""
    """Of the last result."""
    since: float | None = None
    """When the state last changed: seconds since the epoch."""
    duration_us: int | None = None
    """How long the last check took."""
