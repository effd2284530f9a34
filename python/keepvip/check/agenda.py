"""What is due when, for thousands of checks with one timer of the event loop."""

from __future__ import annotations

import asyncio
import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Agenda", "Entry"]

GRAIN_S = 0.005
"""What is due within this much is done in the same turn: a wake-up costs more than a check."""
TURN = 250
"""Checks started in one turn of the loop; with more due at once the others follow in the next turns."""


class Entry:
    """One appointment; `cancel` it, or let it come."""

    __slots__ = ("action", "at_s")

    def __init__(self, at_s: float, action: Callable[[], None]) -> None:
        self.at_s = at_s
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        """It does not come; doing this twice, or too late, is no mistake."""
        self.action = None

    def __lt__(self, other: Entry) -> bool:
        return self.at_s < other.at_s


class Agenda:
    """Belongs to the event loop's thread. `turn_ends` is called after the actions of each turn."""

    def __init__(self, turn_ends: Callable[[], None]) -> None:
        self._heap: list[Entry] = []
        self._timer: asyncio.TimerHandle | None = None
        self._armed_s = 0.0
        self._turn_ends = turn_ends
        self._in_turn = False

    def after(self, delay_s: float, action: Callable[[], None]) -> Entry:
        """Calls `action` in so many seconds."""
        entry = Entry(asyncio.get_running_loop().time() + delay_s, action)
        heapq.heappush(self._heap, entry)
        self._arm()
        return entry

    def clear(self) -> None:
        """Nothing comes any more."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._in_turn:
            return
        heap = self._heap
        while heap and heap[0].action is None:
            heapq.heappop(heap)
        if not heap:
            return
        at_s = heap[0].at_s
        if self._timer is not None:
            if at_s >= self._armed_s:
                return
            self._timer.cancel()
        self._armed_s = at_s
        self._timer = asyncio.get_running_loop().call_at(at_s, self._turn)

    def _turn(self) -> None:
        self._timer = None
        self._in_turn = True
        try:
            until_s = asyncio.get_running_loop().time() + GRAIN_S
            heap, left = self._heap, TURN
            while heap and left and heap[0].at_s <= until_s:
                action = heapq.heappop(heap).action
                if action is not None:
                    left -= 1
                    action()
        finally:
            self._in_turn = False
            self._turn_ends()
            self._arm()
