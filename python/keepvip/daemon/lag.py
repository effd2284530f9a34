"""How late the event loop runs: a metric, with an alarm.

The engine does not depend on the loop, but notifications, answers and reloads do. A timer looks
twice a second how late it was called; the delay between an engine event and its reading counts as well.
"""

from __future__ import annotations

import asyncio
import logging
import time

import msgspec

__all__ = ["LagMeter", "LagReport"]

_log = logging.getLogger("keepvip.daemon")

PERIOD_S = 0.5
ALARM_S = 0.5
"""Later than this is logged, at most once per `ALARM_REST_S`."""
ALARM_REST_S = 30.0
_BUCKETS = 24


class LagReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`histogram[i]` counts calls that were late by less than 2**i microseconds (and not less than 2**(i-1))."""

    last_us: int
    max_us: int
    alarms: int
    histogram: list[int]


class LagMeter:
    """Measures a running loop between `start` and `stop`."""

    def __init__(self, period_s: float = PERIOD_S, alarm_s: float = ALARM_S) -> None:
        self._period_s = period_s
        self._alarm_s = alarm_s
        self._histogram = [0] * _BUCKETS
        self._last_us = 0
        self._max_us = 0
        self._alarms = 0
        self._quiet_until_s = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Starts on the running loop."""
        loop = asyncio.get_running_loop()
        self._arm(loop)

    def stop(self) -> None:
        """Stops measuring; the numbers stay."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def record(self, late_s: float) -> None:
        """Counts one delay and raises the alarm when it is too long."""
        late_us = max(0, int(late_s * 1_000_000))
        self._last_us = late_us
        self._max_us = max(self._max_us, late_us)
        self._histogram[min(late_us.bit_length(), _BUCKETS - 1)] += 1
        if late_s < self._alarm_s:
            return
        self._alarms += 1
        now_s = time.monotonic()
        if now_s >= self._quiet_until_s:
            self._quiet_until_s = now_s + ALARM_REST_S
            _log.warning(
                "The event loop was held up for %.1f s: notifications and answers came late (adverts did not)", late_s
            )

    def report(self) -> LagReport:
        """The numbers so far."""
        return LagReport(
            last_us=self._last_us, max_us=self._max_us, alarms=self._alarms, histogram=list(self._histogram)
        )

    def _tick(self, loop: asyncio.AbstractEventLoop, due_s: float) -> None:
        self.record(time.monotonic() - due_s)
        self._arm(loop)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        # The loop's own clock stands still while a callback runs (and counts milliseconds under uvloop).
        due_s = time.monotonic() + self._period_s
        self._handle = loop.call_later(self._period_s, self._tick, loop, due_s)
