"""Runs one script and says how it ended: exit status, signal, time-out and failure to start are different facts."""

from __future__ import annotations

import asyncio
import contextlib
import enum

import msgspec

from keepvip.script.command import Command  # noqa: TC001  (part of a Struct)
from keepvip.script.spawner import End, Spawner, Task, signal_name

__all__ = ["KILL_AFTER_S", "Ending", "Outcome", "Runner", "Running"]

KILL_AFTER_S = 2.0
"""From SIGTERM to SIGKILL, as keepalived does for its scripts."""
START_S = 15.0
"""A script is forked within this of being asked for; generous, as the host may be starved of CPU."""
ANSWER_S = 5.0
"""An end that was asked for is answered for within this; else the process that should answer is broken."""


class Ending(enum.StrEnum):
    """The kind of end."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    """By somebody else than us."""
    TIMED_OUT = "timed_out"
    """We ended it, because it took too long."""
    STOPPED = "stopped"
    """We ended it, because the daemon stops."""
    NOT_STARTED = "not_started"
    LOST = "lost"
    """What watched it is gone; it was sent SIGTERM."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How a script ended."""

    ending: Ending
    took_us: int = 0
    exit_code: int | None = None
    signal: int | None = None
    detail: str = ""
    stuck: bool = False
    """It outlives SIGKILL: its process is still there."""

    @property
    def ok(self) -> bool:
        """It ran and exited with status 0."""
        return self.ending is Ending.EXITED and self.exit_code == 0

    def __str__(self) -> str:
        took = f"after {self.took_us / 1_000_000:.3f} s"
        match self.ending:
            case Ending.EXITED:
                return f"exit status {self.exit_code} {took}"
            case Ending.SIGNALLED:
                return f"killed by {signal_name(self.signal or 0)} {took}"
            case Ending.TIMED_OUT:
                return f"timed out and was ended {took}{self.detail}"
            case Ending.STOPPED:
                return f"ended by the stop of the daemon {took}{self.detail}"
            case Ending.NOT_STARTED:
                return f"could not be started: {self.detail}"
            case Ending.LOST:
                return f"lost: {self.detail}"


class Running:
    """A script that was started and may be ended."""

    def __init__(self, command: Command, task: Task) -> None:
        self.command = command
        self._task = task
        self._cause: Ending | None = None
        self._guard: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """Its first process, once it was forked."""
        return self._task.pid

    @property
    def done(self) -> bool:
        """Whether the end is known."""
        return self._task.done

    def end(self, cause: Ending, *, grace_s: float = KILL_AFTER_S) -> None:
        """SIGTERM to its process group, SIGKILL after the grace (at once without one). The first cause stays."""
        if self._task.done:
            return
        if self._cause is None:
            self._cause = cause
        self._task.end(grace_s)
        if self._guard is None:
            loop = asyncio.get_running_loop()
            self._guard = loop.call_later(grace_s + ANSWER_S, self._task.give_up, "it does not answer")

    async def wait(self) -> Outcome:
        """How it ended, when nothing of it is left. Cancelling this wait leaves the script alone."""
        end = await self._task.wait()
        if self._guard is not None:
            self._guard.cancel()
        return self._outcome(end)

    def _outcome(self, end: End) -> Outcome:
        if end.error:
            return Outcome(ending=Ending.NOT_STARTED, took_us=end.took_us, detail=end.error)
        if end.lost:
            return Outcome(ending=Ending.LOST, took_us=end.took_us, detail=end.lost)
        if self._cause is not None:
            detail = ", but it outlives SIGKILL (it waits inside the kernel)" if end.stuck else ""
            return Outcome(
                ending=self._cause,
                took_us=end.took_us,
                exit_code=end.exit_code,
                signal=end.signal,
                detail=detail,
                stuck=end.stuck,
            )
        if end.signal is not None:
            return Outcome(ending=Ending.SIGNALLED, took_us=end.took_us, signal=end.signal)
        return Outcome(ending=Ending.EXITED, took_us=end.took_us, exit_code=end.exit_code)


class Runner:
    """Runs commands, each in a process group of its own."""

    def __init__(self, spawner: Spawner | None = None) -> None:
        self._spawner = spawner or Spawner()
        self.umask: int | None = None
        """File creation mask of scripts; None = the daemon's."""

    async def prepare(self) -> None:
        """Makes ready for the first script. That this fails is told by the first script's outcome."""
        with contextlib.suppress(OSError):
            await self._spawner.prepare()

    async def start(self, command: Command) -> Running:
        """Starts a command; it was forked when this returns. A failure to start is its outcome, not an exception.

        If this is cancelled, the script is ended.
        """
        task = await self._spawner.start(command, umask=self.umask)
        try:
            async with asyncio.timeout(START_S):
                await task.begun()
        except TimeoutError:
            task.give_up("it does not start scripts any more")
        except asyncio.CancelledError:
            task.end(KILL_AFTER_S)
            raise
        return Running(command, task)

    async def run(self, command: Command, *, timeout_s: float) -> Outcome:
        """Runs a command to its end; after `timeout_s` it is ended, SIGKILL coming 2 s after SIGTERM.

        If this is cancelled, the script is ended too.
        """
        running = await self.start(command)
        timer = asyncio.get_running_loop().call_later(timeout_s, running.end, Ending.TIMED_OUT)
        try:
            return await running.wait()
        except asyncio.CancelledError:
            running.end(Ending.STOPPED)
            raise
        finally:
            timer.cancel()

    async def close(self) -> None:
        """Ends everything; scripts that still run get SIGTERM."""
        await self._spawner.close()
