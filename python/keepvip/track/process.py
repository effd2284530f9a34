"""Counts processes: all `vrrp_track_process` over one subscription to the kernel's events (vrrp-behaviour.md 9)."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from keepvip.track.census import count_now, subscribe
from keepvip.track.judge import BAD, GOOD, IGNORED, UNKNOWN
from keepvip.track.match import facts_of, is_meant, within

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keepvip.config.model_track import TrackProcess
    from keepvip.kernel import ProcessEvents
    from keepvip.track.first import First

__all__ = ["ProcessCounter", "ProcessWatch"]

log = logging.getLogger(__name__)


class ProcessCounter:
    """The processes that count for one configuration, and when their number is believed.

    `report` is called with a new value and what was seen, in words.
    """

    def __init__(self, config: TrackProcess, report: Callable[[str, str], None]) -> None:
        self.config = config
        self.members: set[int] = set()
        self.value = UNKNOWN
        self.changed_ns = 0
        self.gains = self.losses = 0
        self.fork_timer: asyncio.TimerHandle | None = None
        self.terminate_timer: asyncio.TimerHandle | None = None
        self._report = report

    @property
    def detail(self) -> str:
        """How many there are, and how many there should be."""
        config, count = self.config, len(self.members)
        most = config.quorum_max
        if most is None:
            wanted = f"at least {config.quorum}"
        elif most in {config.quorum, 0}:
            wanted = "none" if most == 0 else f"{most}"
        else:
            wanted = f"{config.quorum} to {most}"
        return f"{count} {'process' if count == 1 else 'processes'}, {wanted} wanted"

    def replace(self, members: set[int], *, at_once: bool) -> None:
        """After a look at all processes; `at_once`: without a delay."""
        gain = len(members) > len(self.members)
        self.members = members
        if at_once:
            self._stop_timers()
            self._believe()
        else:
            self._weigh(gain=gain)

    def add(self, process: int) -> None:
        """One more."""
        if process not in self.members:
            self.members.add(process)
            self.gains += 1
            self._weigh(gain=True)

    def discard(self, process: int) -> None:
        """One less."""
        if process in self.members:
            self.members.discard(process)
            self.losses += 1
            self._weigh(gain=False)

    def halt(self) -> None:
        """Believes nothing more."""
        self._stop_timers()

    def ignore(self, why: str) -> None:
        """Nothing can be found out."""
        self.halt()
        if self.value != IGNORED:
            self.value = IGNORED
            self._report(IGNORED, why)

    def _weigh(self, *, gain: bool) -> None:
        says = GOOD if within(self.config, len(self.members)) else BAD
        if says == self.value:
            self._stop_timers()  # it was a short change
            return
        if self.fork_timer is not None or self.terminate_timer is not None:
            return
        delay_us = self.config.fork_delay_us if gain else self.config.terminate_delay_us
        if not delay_us:
            self._believe()
            return
        timer = asyncio.get_running_loop().call_later(delay_us / 1e6, self._time_is_up)
        if gain:
            self.fork_timer = timer
        else:
            self.terminate_timer = timer

    def _time_is_up(self) -> None:
        self.fork_timer = self.terminate_timer = None
        self._believe()

    def _believe(self) -> None:
        says = GOOD if within(self.config, len(self.members)) else BAD
        if says != self.value:
            self.value = says
            self.changed_ns = time.time_ns()
            self._report(says, self.detail)

    def _stop_timers(self) -> None:
        for timer in (self.fork_timer, self.terminate_timer):
            if timer is not None:
                timer.cancel()
        self.fork_timer = self.terminate_timer = None


class ProcessWatch:
    """All counters. Belongs to the event loop's thread."""

    def __init__(self, make_report: Callable[[str], Callable[[str, str], None]]) -> None:
        self.counters: dict[str, ProcessCounter] = {}
        self.failure = ""
        """Why nothing is counted."""
        self.rescans = 0
        """Looks at all processes because events were lost."""
        self._make_report = make_report
        self._events: ProcessEvents | None = None
        self._reading = False

    def configure(
        self, configs: Sequence[TrackProcess], buffer_bytes: int | None, *, force: bool, first: First | None = None
    ) -> None:
        """Takes over a configuration. `first`: what was done about processes before the start."""
        before, self.counters = self.counters, {}
        for config in configs:
            old = before.pop(config.name, None)
            if old is None:
                self.counters[config.name] = ProcessCounter(config, self._make_report(config.name))
            else:
                old.config = config
                self.counters[config.name] = old
        for counter in before.values():
            counter.halt()
        if not configs:
            self.close()
            return
        if self._events is None:
            found = None if first is None else first.events
            if found is None:
                found = subscribe(buffer_bytes, force=force)
            if isinstance(found, str):
                if found != self.failure:
                    log.error("%s; they count as if they were not tracked", found)
                self.failure = found
                for counter in self.counters.values():
                    counter.ignore(found)
                return
            self._events, self.failure = found, ""
        if not self._reading:
            asyncio.get_running_loop().add_reader(self._events.fileno(), self._read)
            self._reading = True
        self._look_at_all(at_once=True)

    def close(self) -> None:
        """Hears nothing more."""
        for counter in self.counters.values():
            counter.halt()
        if self._events is not None and self._reading:
            asyncio.get_running_loop().remove_reader(self._events.fileno())
        self._events, self._reading = None, False

    def _look_at_all(self, *, at_once: bool) -> None:
        counters = list(self.counters.values())
        for counter, members in zip(counters, count_now([counter.config for counter in counters]), strict=True):
            counter.replace(members, at_once=at_once)

    def _read(self) -> None:
        if self._events is None:
            return
        events, lost = self._events.drain()
        if lost:
            self.rescans += 1
            log.info("Events about processes were lost: all processes are looked at again")
            self._look_at_all(at_once=False)
            return
        for kind, process, parent in events:
            self._take(kind, process, parent)

    def _take(self, kind: str, process: int, parent: int) -> None:
        counters = self.counters.values()
        if kind == "exit":
            for counter in counters:
                counter.discard(process)
        elif kind == "fork":  # it is the same program under the same name, for now
            for counter in counters:
                if parent in counter.members:
                    counter.add(process)
        else:
            facts = facts_of(process, command_line=any(counter.config.command_line for counter in counters))
            if facts is None:
                return  # it has ended meanwhile, and we shall hear of it
            for counter in counters:
                if kind == "comm" and counter.config.command_line:
                    continue
                if is_meant(counter.config, facts):
                    counter.add(process)
                else:
                    counter.discard(process)
