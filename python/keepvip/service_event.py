"""What checkers, the pool of servers and those who report about them tell each other (checkers-and-ipvs.md 3, 5, 8)."""

from __future__ import annotations

import msgspec

from keepvip.config.model_check import Checker  # noqa: TC001  (msgspec resolves annotations at run time)
from keepvip.config.model_service import CheckerKey, RealServer, VirtualServer  # noqa: TC001

__all__ = [
    "CheckMail",
    "CheckResult",
    "CheckStatus",
    "CheckTask",
    "QuorumChange",
    "ServerChange",
    "ServiceEvent",
    "WeightChange",
]


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


class ServerChange(msgspec.Struct, frozen=True, kw_only=True):
    """A real server went up or down, or its state is told for the first time."""

    service: VirtualServer
    server: RealServer
    up: bool
    reason: str
    log: bool = True
    """It is a change, not only the first news of a state that everybody assumed."""
    end: str = ""
    """`Shutting down` or `Removing`: it is no change of its health; mailed as such."""


class QuorumChange(msgspec.Struct, frozen=True, kw_only=True):
    """A virtual server gained or lost its quorum."""

    service: VirtualServer
    up: bool
    weight: int
    """Of its live servers."""
    start: bool = False
    """It begins like this."""
    end: str = ""
    """As in `ServerChange`."""

    @property
    def text(self) -> str:
        """In keepalived's form: `Gained quorum 1+0=1 <= 2`."""
        quorum, hysteresis = self.service.quorum, self.service.hysteresis
        if self.end:
            return self.end
        if self.up:
            begin = "Starting with quorum up" if self.start else "Gained quorum"
            return f"{begin} {quorum}+{hysteresis}={quorum + hysteresis} <= {self.weight}"
        begin = "Starting with quorum down" if self.start else "Lost quorum"
        return f"{begin} {quorum}-{hysteresis}={quorum - hysteresis} > {self.weight}"


class WeightChange(msgspec.Struct, frozen=True, kw_only=True):
    """A real server has another weight than before."""

    service: VirtualServer
    server: RealServer
    old: int
    new: int
    reason: str


class CheckMail(msgspec.Struct, frozen=True, kw_only=True):
    """A checker changed its mind, which is worth a mail."""

    service: VirtualServer
    server: RealServer
    up: bool
    body: str


ServiceEvent = ServerChange | QuorumChange | WeightChange | CheckMail
