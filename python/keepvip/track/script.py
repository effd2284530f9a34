"""One `vrrp_script`: run again and again, from one start to the next exactly `interval` (vrrp-behaviour.md 9, 13.2).

Never two runs at once: a start that falls into a run is skipped, with a message. A run that takes longer than `timeout`
counts as a failure at that moment, whatever becomes of it: SIGTERM, 2 s later SIGKILL. What outlives that, too
(it waits inside the kernel), keeps further runs from starting until it is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING

import msgspec

from keepvip.script.offload import off_loop
from keepvip.script.runner import Ending, Outcome
from keepvip.track.judge import IGNORED, UNKNOWN, Judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepvip.config.model import TrackScript
    from keepvip.script.command import Command
    from keepvip.script.runner import Runner, Running

__all__ = ["ScriptCounters", "ScriptTracker"]

log = logging.getLogger(__name__)


class ScriptCounters(msgspec.Struct, kw_only=True, gc=False):
    """What became of the runs."""

    started: int = 0
    ok: int = 0
    failed: int = 0
    """It ended with another status than 0, or by a signal."""
    timed_out: int = 0
    not_started: int = 0
    skipped: int = 0
    """Starts that fell into a run."""
    no_result: int = 0
    """Ended by us, or lost sight of."""


class ScriptTracker:
    """Belongs to the event loop's thread. `report` is called with a new value and what was seen, in words."""

    def __init__(self, config: TrackScript, runner: Runner, report: Callable[[str, str], None]) -> None:
        self.config = config
        self.judge = Judge(config.rise, config.fall, init_fail=config.init_fail)
        self.counters = ScriptCounters()
        self.last: Outcome | None = None
        """How the last run ended."""
        self.last_ns = 0
        """When, on the wall clock."""
        self.disabled = ""
        """Why it is not run."""
        self._runner = runner
        self._report = report
        self._told = self.judge.value
        self._command: Command | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0.0
        self._run: asyncio.Task[None] | None = None
        self._running: Running | None = None
        self._began = 0.0
        self._skip_told = False
        self._overdue = False
        """The run under way counts for nothing any more."""
        self._halted = False
        self._stray: int | None = None

    @property
    def value(self) -> str:
        """What is known."""
        return IGNORED if self.disabled else self.judge.value

    @property
    def running_s(self) -> float | None:
        """How long the present run has taken so far; None between two runs."""
        return asyncio.get_running_loop().time() - self._began if self._busy() else None

    def begin(self, command: Command | None) -> None:
        """Starts with the first run now; a script that runs already goes on with this command. None: opens a file."""
        self._command = command
        self.disabled = ""
        self._halted = False
        if self._timer is not None:
            return
        if self._run is not None and not self._run.done():  # the one before is being ended
            self._run.add_done_callback(lambda _: self._start())
        else:
            self._start()

    def disable(self, why: str) -> None:
        """It cannot be run: from now on it counts as if nobody tracked it."""
        self.disabled = why
        self.halt()
        self._tell(why)

    def adopt(self, config: TrackScript) -> None:
        """Takes over a new configuration of the same script, or of another one by this name.

        The value stays in any case, so that the reload itself changes no state; the first result of another script
        decides alone.
        """
        old, self.config = self.config, config
        self.judge.rise, self.judge.fall = config.rise, config.fall
        if (old.script, old.opens) != (config.script, config.opens):
            self.judge.begin_again()
            self.halt()
        elif old.interval_us != config.interval_us and self._timer is not None:
            self._unschedule()
            self._next = self._next - old.interval_us / 1e6 + config.interval_us / 1e6
            self._schedule()

    def halt(self) -> None:
        """No further runs; one that is under way is ended, and its result counts for nothing."""
        self._unschedule()
        self._overdue = True
        self._halted = True
        if self._running is not None:
            self._running.end(Ending.STOPPED)

    async def finished(self) -> None:
        """Waits until nothing runs."""
        if self._run is not None:
            await asyncio.wait({self._run})

    def _start(self) -> None:
        if self._timer is None and not self._halted:
            self._next = asyncio.get_running_loop().time()
            self._tick()

    def _unschedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        self._timer = asyncio.get_running_loop().call_at(self._next, self._tick)

    def _busy(self) -> bool:
        if self._run is not None and not self._run.done():
            return True
        if self._stray is not None:
            try:
                os.kill(self._stray, 0)
            except ProcessLookupError:
                self._stray = None
        return self._stray is not None

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        interval_s = self.config.interval_us / 1e6
        # A loop that was late goes on in step, without making up for what it missed.
        self._next += interval_s * (1 + max(0, int((loop.time() - self._next) / interval_s)))
        self._schedule()
        if self._busy():
            self.counters.skipped += 1
            if not self._skip_told:
                self._skip_told = True
                log.warning(
                    "Script %s still runs after %.3f s: this run is skipped",
                    self.config.name,
                    loop.time() - self._began,
                )
            return
        self._began = loop.time()
        self._skip_told = self._overdue = False
        self._run = loop.create_task(self._once(), name=f"script {self.config.name}")

    async def _once(self) -> None:
        timeout_s = self.config.timeout_us / 1e6
        self.counters.started += 1
        timer = asyncio.get_running_loop().call_later(timeout_s, self._time_out)
        try:
            if self.config.opens is not None:
                outcome = await self._open(self.config.opens)
            elif self._command is not None:
                self._running = await self._runner.start(self._command)
                if self._overdue:  # the time was up, or the end had come, before it was even started
                    self._running.end(Ending.TIMED_OUT)
                outcome = await self._running.wait()
                if outcome.stuck:
                    self._stray = self._running.pid
            else:
                return
        except Exception:
            # A mistake of ours is no result, and no reason to stop looking.
            log.exception("Script %s could not be run", self.config.name)
            return
        finally:
            timer.cancel()
            self._running = None
        if not self._overdue:
            self._take(outcome)

    async def _open(self, path: str) -> Outcome:
        began = time.monotonic()
        error = await off_loop(lambda: _try_to_open(path), name=f"script {self.config.name}")
        took_us = int((time.monotonic() - began) * 1e6)
        detail = f"{path} {'can be opened' if not error else f'cannot be opened: {error}'}"
        return Outcome(ending=Ending.EXITED, exit_code=int(bool(error)), took_us=took_us, detail=detail)

    def _time_out(self) -> None:
        self._overdue = True
        if self._running is not None:
            self._running.end(Ending.TIMED_OUT)
        log.warning(
            "Script %s has not ended within %.3f s: it is ended", self.config.name, self.config.timeout_us / 1e6
        )
        self._take(Outcome(ending=Ending.TIMED_OUT, took_us=self.config.timeout_us))

    def _take(self, outcome: Outcome) -> None:
        self.last, self.last_ns = outcome, time.time_ns()
        counters = self.counters
        match outcome.ending:
            case Ending.EXITED if outcome.ok:
                counters.ok += 1
            case Ending.EXITED | Ending.SIGNALLED:
                counters.failed += 1
            case Ending.TIMED_OUT:
                counters.timed_out += 1
            case Ending.NOT_STARTED:
                counters.not_started += 1
            case Ending.STOPPED | Ending.LOST:  # that says nothing about what the script looks at
                counters.no_result += 1
                return
        self.judge.note(ok=outcome.ok)
        self._tell(describe(outcome))

    def _tell(self, why: str) -> None:
        if self.value not in {self._told, UNKNOWN}:
            self._told = self.value
            self._report(self.value, why)


def describe(outcome: Outcome) -> str:
    """The end of a run in words."""
    if outcome.ending is Ending.TIMED_OUT:
        return f"timed out after {outcome.took_us / 1e6:.3f} s"
    if outcome.ending is Ending.EXITED and outcome.detail:
        return outcome.detail
    return str(outcome)


def _try_to_open(path: str) -> str:
    """Why a file cannot be opened; empty if it can. May block for as long as a dead disk likes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        return (error.strerror if isinstance(error, OSError) else None) or str(error)
    with contextlib.suppress(OSError):
        os.close(descriptor)
    return ""
