"""All trackers of a configuration: made, replaced by a reload, stopped."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import msgspec

from keepvip.event import Tracked, TrackedStatus
from keepvip.script.host import RealHost
from keepvip.script.offload import off_loop
from keepvip.script.runner import Runner
from keepvip.script.security import vet_script
from keepvip.track.first import SCRIPT, first_values
from keepvip.track.script import ScriptTracker, describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepvip.config.model import Config
    from keepvip.event import Event, TrackKey, TrackValue
    from keepvip.script.host import ScriptHost
    from keepvip.script.security import Vetted

__all__ = ["Trackers"]

log = logging.getLogger(__name__)

STOP_S = 0.5
"""How long scripts that are ended by the stop of the daemon may take."""


class Trackers:
    """`tell` is the engine's (kind, name, value); `publish` takes the events. Belongs to the event loop's thread."""

    def __init__(
        self,
        tell: Callable[[str, str, TrackValue], None],
        publish: Callable[[Event], None],
        *,
        make_host: Callable[[], ScriptHost] = RealHost,
    ) -> None:
        self._tell = tell
        self._publish = publish
        self._make_host = make_host
        self._runner = Runner()
        self._scripts: dict[str, ScriptTracker] = {}
        self._leaving: list[ScriptTracker] = []
        self._users: dict[TrackKey, tuple[str, ...]] = {}
        self._vetting: asyncio.Task[None] | None = None

    def new_values(self, config: Config) -> dict[TrackKey, TrackValue]:
        """`first_values` of what a reload adds."""
        return {key: value for key, value in first_values(config).items() if key[1] not in self._scripts}

    def configure(self, config: Config) -> None:
        """Takes over a configuration, the first one or a new one: what did not change keeps its result and its pace."""
        self._runner.umask = config.global_defs.umask
        users: dict[TrackKey, list[str]] = {}
        for instance in config.instances:
            for track in instance.tracks:
                users.setdefault((track.kind, track.name), []).append(instance.name)
        self._users = {key: tuple(names) for key, names in users.items()}
        before, self._scripts = self._scripts, {}
        for script in config.track_scripts:
            tracker = before.pop(script.name, None)
            if tracker is None:
                tracker = ScriptTracker(script, self._runner, self._reporter(script.name))
            else:
                tracker.adopt(script)
            self._scripts[script.name] = tracker
        for tracker in before.values():
            tracker.halt()
        self._leaving = [tracker for tracker in (*self._leaving, *before.values()) if tracker.running_s is not None]
        if self._vetting is not None:
            self._vetting.cancel()
            self._vetting = None
        if self._scripts:
            self._vetting = asyncio.get_running_loop().create_task(self._vet(config), name="vet track scripts")

    def status(self) -> list[TrackedStatus]:
        """Everything that is tracked, interfaces apart."""
        return [self._status(name, tracker) for name, tracker in self._scripts.items()]

    async def stop(self) -> None:
        """Ends all scripts."""
        if self._vetting is not None:
            self._vetting.cancel()
        trackers = [*self._scripts.values(), *self._leaving]
        for tracker in trackers:
            tracker.halt()
        ends = [asyncio.ensure_future(tracker.finished()) for tracker in trackers]
        if ends:
            _, late = await asyncio.wait(ends, timeout=STOP_S)
            for end in late:
                end.cancel()
        await self._runner.close()

    async def _vet(self, config: Config) -> None:
        scripts = [script for script in config.track_scripts if script.opens is None]
        defs = config.global_defs

        def look() -> dict[str, Vetted]:
            host = self._make_host()
            return {
                script.name: vet_script(script.script, f"vrrp_script {script.name}", defs, host) for script in scripts
            }

        for script in config.track_scripts:
            if script.opens is not None:
                self._scripts[script.name].begin(None)
        vetted = await off_loop(look, name="vet track scripts") if scripts else {}
        for name, found in vetted.items():
            for finding in found.findings:
                log.log(logging.ERROR if finding.disabled else logging.WARNING, "%s", finding.message)
            tracker = self._scripts[name]
            if found.command is None:
                tracker.disable(found.findings[-1].message)
            else:
                tracker.begin(found.command)

    def _reporter(self, name: str) -> Callable[[str, str], None]:
        old: TrackValue = "unknown"

        def report(value: str, why: str) -> None:
            nonlocal old
            event = Tracked(
                seq=0,
                at_ns=time.time_ns(),
                mono_us=time.monotonic_ns() // 1000,
                what=SCRIPT,
                name=name,
                value=value,
                old=old,
                why=why,
                instances=self._users.get((SCRIPT, name), ()),
            )
            old = value
            self._publish(event)
            self._tell(SCRIPT, name, value)

        return report

    def _status(self, name: str, tracker: ScriptTracker) -> TrackedStatus:
        last = tracker.last
        running_s = tracker.running_s
        return TrackedStatus(
            kind=SCRIPT,
            name=name,
            value=tracker.value,
            detail=tracker.disabled or ("no result yet" if last is None else describe(last)),
            ok=None if last is None else last.ok,
            progress=tracker.judge.progress,
            result_ns=tracker.last_ns or None,
            running_us=None if running_s is None else int(running_s * 1e6),
            counters=msgspec.structs.asdict(tracker.counters),
            instances=self._users.get((SCRIPT, name), ()),
        )
