"""How a check is carried out: what every way of probing offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepvip.check.verdict import Verdict

    Done = Callable[[Verdict], None]

__all__ = ["Way"]


class Way(Protocol):
    """One check's means to look at its server. At most one probe is under way at a time."""

    def begin(self, page: int, done: Done) -> None:
        """Starts a probe; `done` is called once with its verdict, from the event loop, unless it is cancelled before.

        `page`: which one, for checks that have several.
        """

    def cancel(self) -> None:
        """Ends the probe that is under way, if any, without a verdict, and lets go of what is kept between probes."""
