"""MISC_CHECK: a command and its exit status (checkers-and-ipvs.md 4.5)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from keepvip.check.verdict import Verdict, failed, good, local
from keepvip.script.runner import Ending, Outcome

if TYPE_CHECKING:
    from keepvip.check.way import Done
    from keepvip.config.model_check import MiscCheck
    from keepvip.script.command import Command
    from keepvip.script.runner import Runner, Running

__all__ = ["MiscWay", "judge"]


class MiscWay:
    """Runs the command; one that takes too long gets SIGTERM, and SIGKILL 2 s later."""

    def __init__(self, check: MiscCheck, weight: int, runner: Runner) -> None:
        self._check = check
        self._weight = weight
        self._runner = runner
        self._command: Command | None = None
        self._vetted = asyncio.Event()
        self._running: Running | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> Running | None:
        """The run that is under way."""
        return self._running

    def begin(self, page: int, done: Done) -> None:
        """Runs it once."""
        self._task = asyncio.get_running_loop().create_task(self._run(done), name="MISC_CHECK")

    def ready(self, command: Command) -> None:
        """The command was vetted, which touches files and so is done elsewhere; probes wait for it."""
        self._command = command
        self._vetted.set()

    def cancel(self) -> None:
        """Ends the command without a verdict."""
        if self._running is not None:
            self._running.end(Ending.STOPPED)
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self, done: Done) -> None:
        await self._vetted.wait()
        command = self._command
        assert command is not None
        loop = asyncio.get_running_loop()
        timeout_s = self._check.timeout_us / 1e6
        running = self._running = await self._runner.start(command)
        timer = loop.call_later(timeout_s, running.end, Ending.TIMED_OUT)
        try:
            outcome = await running.wait()
        except asyncio.CancelledError:
            running.end(Ending.STOPPED)
            raise
        finally:
            timer.cancel()
            self._running = None
        done(judge(outcome, dynamic=self._check.dynamic, weight=self._weight))


def judge(outcome: Outcome, *, dynamic: bool, weight: int) -> Verdict:
    """What the end of the command says. `weight`: the configured one of the server."""
    code = outcome.exit_code
    match outcome.ending:
        case Ending.EXITED if code == 0:
            return good("exit status 0", outcome.took_us, weight_delta=0)
        case Ending.EXITED if dynamic and code is not None and code >= 2:
            return good(f"exit status {code}: weight {code - 2}", outcome.took_us, weight_delta=code - 2 - weight)
        case Ending.TIMED_OUT:
            return failed(str(outcome), outcome.took_us, timed_out=True)
        case Ending.EXITED | Ending.SIGNALLED:
            return failed(str(outcome), outcome.took_us)
        case _:  # it could not be run, or we ended it: that says nothing about the server
            return local(str(outcome))
