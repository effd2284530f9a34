"""An engine and notifications that only remember, for the wiring tests. The real ones run in tests/netns."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from keepvip.config.diagnostic import Diagnostics
from keepvip.config.model import Config, VrrpInstance
from keepvip.daemon.loading import Loaded
from keepvip.event import EngineSnapshot, Event, Fatal, Stopped, TrackKey, TrackValue
from keepvip.notify.counters import NotifyCounters

from . import make

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keepvip.config.model_vmac import VmacKey
    from keepvip.service_event import ServiceEvent


def now() -> dict[str, int]:
    """Sequence number and times of an event that happens now."""
    return {"seq": 0, "at_ns": time.time_ns(), "mono_us": time.monotonic_ns() // 1000}


class FakeEngine:
    """Takes configurations, gives the events that a test puts in."""

    def __init__(self) -> None:
        self.notices = ["no real-time scheduling"]
        self.modes = ("filter", "auto")
        self.applied: list[Config] = []
        self.refuse: str | None = None
        self.calls: list[str] = []
        self.shot = make.snapshot(make.status())
        self.is_alive = True
        self.hangs = False
        self.tracked: list[tuple[str, str, TrackValue]] = []
        self._events: list[Event] = []
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def apply(
        self,
        config: Config,
        values: Mapping[TrackKey, TrackValue] | None = None,
        links: Mapping[VmacKey, str] | None = None,
    ) -> None:
        del links
        if self.refuse is not None:
            raise ValueError(self.refuse)
        self.applied.append(config)
        for (kind, name), value in (values or {}).items():
            self.track(kind, name, value)

    def track(self, kind: str, name: str, value: TrackValue) -> None:
        self.tracked.append((kind, name, value))

    def fileno(self) -> int:
        return self._fd

    def happen(self, *events: Event) -> None:
        """Puts events on the ring."""
        self._events.extend(events)
        os.eventfd_write(self._fd, 1)

    def die(self) -> None:
        """The thread panics."""
        self.is_alive = False
        self.happen(Fatal(**now(), text="a panic"))

    def drain(self) -> list[Event]:
        os.eventfd_read(self._fd)
        events, self._events = self._events, []
        return events

    def snapshot(self) -> EngineSnapshot:
        return self.shot

    def alive(self) -> bool:
        return self.is_alive

    def stop(self, *, release: bool = True) -> None:
        self.calls.append(f"stop release={release}")
        if not self.hangs:
            self.happen(Stopped(**now()))

    def join(self) -> None:
        self.calls.append("join")

    def close(self) -> None:
        os.close(self._fd)


class FakeNotifier:
    """Remembers what it was given."""

    def __init__(self, config: Config) -> None:
        self.configs = [config]
        self.events: list[Event] = []
        self.service_events: list[ServiceEvent] = []
        self.resynced: list[EngineSnapshot] = []
        self.started = False
        self.stopped_after_s: float | None = None

    def handle(self, event: Event) -> None:
        self.events.append(event)

    def handle_service(self, event: ServiceEvent) -> None:
        self.service_events.append(event)

    def reconfigure(self, config: Config) -> None:
        self.configs.append(config)

    def start(self) -> None:
        self.started = True

    def resync(self, snapshot: EngineSnapshot) -> None:
        self.resynced.append(snapshot)

    def counters(self) -> NotifyCounters:
        return NotifyCounters(mails_sent=3)

    async def stop(self, timeout_s: float) -> None:
        self.stopped_after_s = timeout_s


def config(*names: str, **fields: Any) -> Config:
    """A configuration with one instance per name."""
    instances = tuple(
        VrrpInstance(name=name, interface="eth0", family=4, version=2, vrid=number)
        for number, name in enumerate(names, start=1)
    )
    return Config(instances=instances, **fields)


def loaded(made: Config | None, *errors: str) -> Loaded:
    """A reading that gave this configuration and these errors."""
    diagnostics = Diagnostics()
    for error in errors:
        diagnostics.error("test", error)
    return Loaded(config=made, diagnostics=diagnostics, at_ns=time.time_ns())
