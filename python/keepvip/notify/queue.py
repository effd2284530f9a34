"""The scripts of one instance or sync group, one after the other.

Never two at once, never out of order: the state that the last script was told is the last state. keepalived starts each
script at once and lets them race; what differs here, therefore:

* A script may run as long as it likes while nothing waits behind it. Once something waits it has `patience_s` (60 s)
  left; then it is ended (SIGTERM to its process group, 2 s later SIGKILL) and counted as timed out. One that still runs
  after `patience_s` is mentioned in the log in any case.
* Every change is run, in order; nothing is skipped. Only when `limit` (32) batches wait already, the oldest of them
  is dropped and counted, with a message: the newest state always gets its script.
* `notify_master_rx_lower_pri` may come with every advert of a second master. It has no arguments, so while one waits at
  the end of the queue another one is merged into it.
"""

from __future__ import annotations

import asyncio
import collections
import enum
import functools
import logging
from typing import TYPE_CHECKING, Protocol

import msgspec

from keepvip.config.model import Script  # noqa: TC001  (part of a Struct)
from keepvip.script.runner import Ending, Outcome

if TYPE_CHECKING:
    from keepvip.notify.counters import NotifyCounters
    from keepvip.notify.gate import Gate
    from keepvip.script.command import Command
    from keepvip.script.runner import Runner, Running

__all__ = ["WAITING_LIMIT", "Batch", "Commands", "Entry", "ScriptQueue"]

log = logging.getLogger(__name__)

PATIENCE_S = 60.0
WAITING_LIMIT = 32
STOP_ANSWER_S = 0.3
"""How long the news of its end may take."""
STOP_GRACE_S = 0.2
"""From SIGTERM to SIGKILL when the daemon stops; only about a second is left for everything."""


class Commands(Protocol):
    """What a script became when it was vetted."""

    async def command(self, script: Script) -> Command | None:
        """Waits until it was vetted; None: it is disabled (and the log says why)."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One script to run, with the arguments of this very event."""

    keyword: str
    """For messages: `notify_master`."""
    script: Script
    arguments: tuple[str, ...] = ()


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """All scripts of one event, in their order. Bound to the configuration under which the event happened."""

    event: str
    """For messages: `MASTER`, `STOP`, `lower priority received`."""
    entries: tuple[Entry, ...]
    commands: Commands
    mergeable: bool = False
    final: bool = False
    """The stop notification: the last one, and the only one that still begins once the daemon stops."""


class _Phase(enum.Enum):
    OPEN = enum.auto()
    STOPPING = enum.auto()
    """Only the stop notification may still begin."""
    OVER = enum.auto()


class ScriptQueue:
    """One instance or group. Belongs to the event loop's thread; `put` never waits."""

    def __init__(
        self,
        name: str,
        runner: Runner,
        gate: Gate,
        counters: NotifyCounters,
        *,
        patience_s: float = PATIENCE_S,
        limit: int = WAITING_LIMIT,
    ) -> None:
        self.name = name
        self._runner = runner
        self._gate = gate
        self._counters = counters
        self._patience_s = patience_s
        self._limit = limit
        self._batches: collections.deque[Batch] = collections.deque()
        self._rest = 0
        """Entries of the batch in work that wait for the one that runs."""
        self._worker: asyncio.Task[None] | None = None
        self._running: Running | None = None
        self._keyword = ""
        self._timer: asyncio.TimerHandle | None = None
        self._must_end_at: float | None = None
        self._phase = _Phase.OPEN
        self._deadline = 0.0
        self._make_room_at = 0.0

    @property
    def idle(self) -> bool:
        """Nothing runs and nothing waits."""
        return self._worker is None or self._worker.done()

    def put(self, batch: Batch) -> None:
        """Adds the scripts of one event."""
        if not batch.entries:
            return
        if batch.mergeable and self._batches and self._batches[-1].mergeable:
            self._counters.scripts_merged += len(batch.entries)
            return
        if len(self._batches) >= self._limit:
            oldest = self._batches.popleft()
            self._drop(oldest, f"more than {self._limit} changes wait behind {self._keyword}")
        self._append(batch)
        self._press()

    async def stop(self, batch: Batch | None, deadline: float) -> None:
        """The end: runs `batch` (the stop notification) as the last one, everything being over soon after `deadline`.

        With a stop notification, what waits is dropped (the stop makes it moot) and a script that runs gets half of
        the time to finish; without, both go on. At the deadline, which is in the loop's time in seconds, whatever
        still runs gets SIGTERM and at once SIGKILL.
        """
        loop = asyncio.get_running_loop()
        self._deadline = deadline
        if batch is not None and batch.entries:
            self._phase = _Phase.STOPPING
            self._drop_all("the daemon stops")
            self._append(batch)
            self._make_room_at = loop.time() + (deadline - loop.time()) / 2
            self._end_at(self._make_room_at)
        if self._worker is None:
            return
        await asyncio.wait({self._worker}, timeout=max(0.0, deadline - loop.time()))
        if self.idle:
            return
        self._phase = _Phase.OVER
        self._drop_all("no time is left")
        if self._running is not None:
            self._running.end(Ending.STOPPED, grace_s=STOP_GRACE_S)
        await asyncio.wait({self._worker}, timeout=STOP_GRACE_S + STOP_ANSWER_S)
        self._worker.cancel()
        await asyncio.gather(self._worker, return_exceptions=True)

    def _may_begin(self, batch: Batch) -> bool:
        return self._phase is _Phase.OPEN or (self._phase is _Phase.STOPPING and batch.final)

    def _append(self, batch: Batch) -> None:
        self._batches.append(batch)
        self._counters.scripts_queued += len(batch.entries)
        self._counters.scripts_waiting += len(batch.entries)
        if self.idle:
            self._worker = asyncio.get_running_loop().create_task(self._work(), name=f"scripts of {self.name}")

    async def _work(self) -> None:
        """Runs what waits until nothing waits."""
        while self._batches:
            batch = self._batches.popleft()
            entries = collections.deque(batch.entries)
            try:
                while entries and self._may_begin(batch):
                    entry = entries.popleft()
                    self._rest = len(entries)
                    self._counters.scripts_waiting -= 1
                    try:
                        await self._run(batch, entry)
                    except Exception:
                        # A mistake of ours must not end the notifications of the instance.
                        self._counters.scripts_not_started += 1
                        log.exception("%s: %s for %s could not be run", self.name, entry.keyword, batch.event)
            finally:
                self._rest = 0
                if entries:
                    self._drop(msgspec.structs.replace(batch, entries=tuple(entries)), "the daemon stops")

    async def _run(self, batch: Batch, entry: Entry) -> None:
        command = await batch.commands.command(entry.script)
        if command is None:
            self._counters.scripts_dropped += 1
            log.warning("%s: %s `%s` is disabled and was not run", self.name, entry.keyword, entry.script.text)
            return
        place = await self._gate.enter()
        try:
            if not self._may_begin(batch):  # the daemon was told to stop while this one waited for its turn
                self._counters.scripts_dropped += 1
                log.warning("%s: %s for %s not run: the daemon stops", self.name, entry.keyword, batch.event)
                return
            outcome = await self._watch(command.with_arguments(entry.arguments), batch, entry)
        finally:
            place.leave()
        self._note(batch, entry, outcome)

    async def _watch(self, command: Command, batch: Batch, entry: Entry) -> Outcome:
        self._counters.scripts_running += 1
        self._keyword = f"{entry.keyword} `{entry.script.text}`"
        try:
            self._running = running = await self._runner.start(command)
            self._must_end_at = None
            if batch.final:  # a fair share of the time for each of the stop scripts
                now = asyncio.get_running_loop().time()
                self._end_at(now + (self._deadline - now) / (self._rest + 1))
            elif self._phase is _Phase.STOPPING:
                self._end_at(self._make_room_at)
            else:
                self._arm()
            return await running.wait()
        finally:
            self._disarm()
            self._running = None
            self._counters.scripts_running -= 1

    def _arm(self) -> None:
        """From now on the script has `patience_s` if something waits, and is mentioned after it if nothing does."""
        loop = asyncio.get_running_loop()
        if self._waiting():
            self._must_end_at = loop.time() + self._patience_s
        self._timer = loop.call_later(self._patience_s, self._out_of_patience)

    def _press(self) -> None:
        """Something has come to wait: the time of the script that runs begins to count."""
        if self._running is not None and self._must_end_at is None and self._phase is _Phase.OPEN:
            self._disarm()
            self._arm()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _waiting(self) -> bool:
        return bool(self._batches) or self._rest > 0

    def _out_of_patience(self) -> None:
        self._timer = None
        if self._running is None:
            return
        if self._must_end_at is None:
            log.warning(
                "%s: %s still runs after %.0f s; it may, as long as nothing waits behind it",
                self.name,
                self._keyword,
                self._patience_s,
            )
            return
        log.error(
            "%s: %s has kept others waiting for %.0f s: it is ended (waiting: %d changes)",
            self.name,
            self._keyword,
            self._patience_s,
            len(self._batches),
        )
        self._running.end(Ending.TIMED_OUT)

    def _end_at(self, when: float) -> None:
        """The script that runs now makes room for the stop notification."""
        running = self._running
        if running is not None:
            self._disarm()
            end = functools.partial(running.end, Ending.STOPPED, grace_s=STOP_GRACE_S)
            self._timer = asyncio.get_running_loop().call_at(when, end)

    def _drop_all(self, why: str) -> None:
        while self._batches:
            self._drop(self._batches.popleft(), why)

    def _drop(self, batch: Batch, why: str) -> None:
        self._counters.scripts_dropped += len(batch.entries)
        self._counters.scripts_waiting -= len(batch.entries)
        names = ", ".join(f"{entry.keyword} `{entry.script.text}`" for entry in batch.entries)
        log.warning("%s: %s for %s not run: %s", self.name, names, batch.event, why)

    def _note(self, batch: Batch, entry: Entry, outcome: Outcome) -> None:
        """Counts and logs one end; each kind of end is a fact of its own."""
        counters = self._counters
        level = logging.WARNING
        match outcome.ending:
            case Ending.EXITED if outcome.ok:
                counters.scripts_ok += 1
                level = logging.DEBUG
            case Ending.EXITED | Ending.SIGNALLED:
                counters.scripts_failed += 1
            case Ending.TIMED_OUT:
                counters.scripts_timed_out += 1
                level = logging.ERROR
            case Ending.STOPPED:
                counters.scripts_stopped += 1
            case Ending.NOT_STARTED:
                counters.scripts_not_started += 1
                level = logging.ERROR
            case Ending.LOST:
                counters.scripts_lost += 1
                level = logging.ERROR
        log.log(level, "%s: %s `%s` for %s: %s", self.name, entry.keyword, entry.script.text, batch.event, outcome)
