"""All trackers of a configuration: made, replaced by a reload, stopped."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import msgspec

from keepvip.event import Tracked, TrackedStatus
from keepvip.record import INTERFACE
from keepvip.script.host import RealHost
from keepvip.script.offload import off_loop
from keepvip.script.runner import Runner
from keepvip.script.security import vet_script
from keepvip.track.file import FileTracker
from keepvip.track.first import FILE, PROCESS, SCRIPT, first_values
from keepvip.track.linkbeat import LINKBEAT, LinkBeat
from keepvip.track.process import ProcessCounter, ProcessWatch
from keepvip.track.script import ScriptTracker, describe
from keepvip.track.watch import FileWatcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepvip.config.model import Config, VrrpInstance
    from keepvip.event import Event, TrackKey, TrackValue
    from keepvip.script.host import ScriptHost
    from keepvip.script.security import Vetted
    from keepvip.track.first import First

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
        first: First | None = None,
    ) -> None:
        self._tell = tell
        self._publish = publish
        self._make_host = make_host
        self._runner = Runner()
        self._first: First | None = first
        self.watcher = FileWatcher()
        """For whoever else has a file to look after."""
        self._scripts: dict[str, ScriptTracker] = {}
        self._files: dict[str, FileTracker] = {}
        self._processes = ProcessWatch(lambda name: self._reporter(PROCESS, name))
        self._linkbeat = LinkBeat(self._beat)
        self._leaving: list[ScriptTracker] = []
        self._users: dict[TrackKey, tuple[str, ...]] = {}
        self._vetting: asyncio.Task[None] | None = None

    def new_values(self, config: Config) -> dict[TrackKey, TrackValue]:
        """`first_values` of what a reload adds; processes are counted when it has been carried out."""
        known = {SCRIPT: self._scripts.keys(), FILE: self._files.keys()}
        return {key: value for key, value in first_values(config).items() if key[1] not in known[key[0]]}

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
                tracker = ScriptTracker(script, self._runner, self._reporter(SCRIPT, script.name))
            else:
                tracker.adopt(script)
            self._scripts[script.name] = tracker
        for tracker in before.values():
            tracker.halt()
        self._leaving = [tracker for tracker in (*self._leaving, *before.values()) if tracker.running_s is not None]
        self._configure_files(config)
        self._linkbeat.configure(_polled(config), asyncio.get_running_loop())
        self._processes.configure(
            config.track_processes,
            config.global_defs.process_monitor_rcv_bufs,
            force=config.global_defs.process_monitor_rcv_bufs_force,
            first=self._first,
        )
        self._first = None
        if self._vetting is not None:
            self._vetting.cancel()
            self._vetting = None
        if self._scripts:
            self._vetting = asyncio.get_running_loop().create_task(self._vet(config), name="vet track scripts")

    def _beat(self, name: str, up: bool) -> None:
        log.info("The driver of %s says that its link is %s", name, "up" if up else "down")
        self._tell(LINKBEAT, name, "good" if up else "bad")

    def _configure_files(self, config: Config) -> None:
        before, self._files = self._files, {}
        for file in config.track_files:
            known = before.pop(file.name, None)
            if known is not None:
                self._files[file.name] = known
                known.adopt(file)
            else:
                added = FileTracker(file, self.watcher, self._reporter(FILE, file.name))
                self._files[file.name] = added
                added.begin()
        for gone in before.values():
            gone.halt()

    def file_value(self, name: str) -> TrackValue:
        """The number in a `track_file`; "unknown" before it has been read, "ignored" if it cannot be watched."""
        tracker = self._files.get(name)
        if tracker is None:
            return "unknown"
        return tracker.value

    def lowering(self, instance: VrrpInstance) -> list[str]:
        """What keeps the priority of an instance lower than it could be (`script chk`), interfaces apart."""
        found = []
        for track in instance.tracks:
            sign = -1 if track.reverse else 1
            if track.weight == 0 or track.kind == INTERFACE:
                continue
            if track.kind == FILE:
                value = self.file_value(track.name)
                low = isinstance(value, int) and value * track.weight * sign < 0
            else:
                tracker = (self._scripts if track.kind == SCRIPT else self._processes.counters).get(track.name)
                low = tracker is not None and tracker.value == ("good" if track.reverse else "bad")
            if low:
                found.append(f"{track.kind} {track.name}")
        return found

    def counters(self) -> dict[str, ProcessCounter]:
        """Of tracked processes, by name."""
        return self._processes.counters

    def status(self) -> list[TrackedStatus]:
        """Everything that is tracked, interfaces apart."""
        return [
            *(self._status(name, tracker) for name, tracker in self._scripts.items()),
            *(self._status_of_file(name, tracker) for name, tracker in self._files.items()),
            *(self._status_of_processes(name, counter) for name, counter in self._processes.counters.items()),
        ]

    async def stop(self) -> None:
        """Ends all scripts."""
        if self._vetting is not None:
            self._vetting.cancel()
        for file in self._files.values():
            file.halt()
        self.watcher.close()
        self._linkbeat.halt()
        self._processes.close()
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

    def _reporter(self, kind: str, name: str) -> Callable[[TrackValue, str], None]:
        old: TrackValue = "unknown"

        def report(value: TrackValue, why: str) -> None:
            nonlocal old
            event = Tracked(
                seq=0,
                at_ns=time.time_ns(),
                mono_us=time.monotonic_ns() // 1000,
                what=kind,
                name=name,
                value=value,
                old=old,
                why=why,
                instances=self._users.get((kind, name), ()),
            )
            old = value
            self._publish(event)
            self._tell(kind, name, value)

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

    def _status_of_file(self, name: str, tracker: FileTracker) -> TrackedStatus:
        return TrackedStatus(
            kind=FILE,
            name=name,
            value=tracker.value,
            detail=tracker.disabled or f"{tracker.config.path}: {tracker.detail}",
            ok=None,
            progress="",
            result_ns=tracker.read_ns or None,
            running_us=None,
            counters={"reads": tracker.reads},
            instances=self._users.get((FILE, name), ()),
        )

    def _status_of_processes(self, name: str, counter: ProcessCounter) -> TrackedStatus:
        waiting = ""
        if counter.fork_timer is not None:
            waiting = "a gain is not believed yet"
        elif counter.terminate_timer is not None:
            waiting = "a loss is not believed yet"
        return TrackedStatus(
            kind=PROCESS,
            name=name,
            value=counter.value,
            detail=self._processes.failure or counter.detail,
            ok=None,
            progress=waiting,
            result_ns=counter.changed_ns or None,
            running_us=None,
            counters={
                "processes": len(counter.members),
                "gains": counter.gains,
                "losses": counter.losses,
                "rescans": self._processes.rescans,
            },
            instances=self._users.get((PROCESS, name), ()),
        )


def _polled(config: Config) -> dict[str, str]:
    """The methods by which links are polled, by interface."""
    return {rule.name: rule.polling for rule in config.interfaces if rule.polling is not None}
