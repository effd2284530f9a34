"""Keeps a change that moves hundreds of instances at once from starting hundreds of scripts at once."""

from __future__ import annotations

import asyncio

__all__ = ["Gate", "Place"]

STARTING_LIMIT = 64
STARTING_S = 5.0


class Place:
    """One place in the gate, given back once, by `leave` or by time."""

    def __init__(self, semaphore: asyncio.Semaphore, hold_s: float) -> None:
        self._semaphore: asyncio.Semaphore | None = semaphore
        self._timer = asyncio.get_running_loop().call_later(hold_s, self.leave)

    def leave(self) -> None:
        """Lets the next one in."""
        self._timer.cancel()
        if self._semaphore is not None:
            self._semaphore.release()
            self._semaphore = None


class Gate:
    """At most `limit` scripts in their first seconds.

    A script counts until it ends, but never longer than `hold_s`: those that run long (or hang) do not keep other
    instances waiting for more than that.
    """

    def __init__(self, limit: int = STARTING_LIMIT, hold_s: float = STARTING_S) -> None:
        self._semaphore = asyncio.Semaphore(limit)
        self._hold_s = hold_s

    async def enter(self) -> Place:
        """Waits for a place, first come first served."""
        await self._semaphore.acquire()
        return Place(self._semaphore, self._hold_s)
