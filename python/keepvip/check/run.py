"""One check as it runs: its state, when it is due, and all real servers that it speaks for.

Several virtual servers may have the same check of the same server, with the same timing: it is carried out once, and
each of them gets the result.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING

import msgspec

from keepvip.check.verdict import Verdict, mail_body
from keepvip.config.model_check import MiscCheck
from keepvip.service_event import CheckResult, CheckStatus, CheckTask

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepvip.check.agenda import Agenda, Entry
    from keepvip.check.state import State
    from keepvip.check.way import Way
    from keepvip.config.model_check import Checker
    from keepvip.config.model_service import CheckerKey

__all__ = ["FIRST_S", "Counters", "Run"]

log = logging.getLogger("keepvip.check")

FIRST_S = 1.0
"""Before the first check, to which a random part of `warmup` is added."""


class Counters(msgspec.Struct, kw_only=True, gc=False):
    """What became of all probes."""

    started: int = 0
    ok: int = 0
    failed: int = 0
    timed_out: int = 0
    not_possible: int = 0
    """This host could not ask."""
    changes: int = 0


class Subscriber:
    """One checker of one real server."""

    __slots__ = ("delta", "suspended", "task", "told")

    def __init__(self, task: CheckTask) -> None:
        self.task = task
        self.suspended = task.suspended
        self.told: bool | None = None if task.first else task.up
        self.delta = 0


class Run:
    """Belongs to the event loop's thread. `report` takes results; it is called once per result and real server."""

    def __init__(
        self,
        checker: Checker,
        state: State,
        way: Way,
        agenda: Agenda,
        report: Callable[[CheckResult], None],
        counters: Counters,
    ) -> None:
        self.checker = checker
        self.state = state
        self.way = way
        self.disabled = ""
        """Why it is never carried out."""
        self._agenda = agenda
        self._report = report
        self._counters = counters
        self.subscribers: dict[CheckerKey, Subscriber] = {}
        """The checkers of real servers that it stands for."""
        self._entry: Entry | None = None
        self._began_s = 0.0
        self._turn = 0
        self.last = Verdict(None, "not checked yet")
        self.since: float | None = None
        self.weight_delta = 0

    def join(self, task: CheckTask, before: Run | None) -> None:
        """A checker of a real server; `before`: what carried it out until now."""
        subscriber = Subscriber(task)
        old = before.subscribers.get(task.key) if before is not None else None
        if old is not None:
            subscriber.told, subscriber.delta = old.told, old.delta
        self.subscribers[task.key] = subscriber

    def inherit(self, before: Run) -> None:
        """Takes over what is known of the same check, which may have had another timing."""
        self.last, self.since, self.weight_delta = before.last, before.since, before.weight_delta

    def suspend(self, key: CheckerKey, *, suspended: bool) -> None:
        """`ha_suspend`: this checker of a real server is to look away, or to look again."""
        self.subscribers[key].suspended = suspended

    def begin(self) -> None:
        """The first check comes in 1 s and a random part of the warm-up."""
        self.halt()
        if self.disabled:
            return
        self._schedule(FIRST_S + random.random() * self.checker.warmup_us / 1e6)
        # A server may already be known by the check of another one.
        if self.state.ran:
            self._tell()

    def halt(self) -> None:
        """Nothing is carried out any more; what is under way ends without a result."""
        self._turn += 1
        if self._entry is not None:
            self._entry.cancel()
            self._entry = None
        self.way.cancel()

    def disable(self, why: str) -> None:
        """It cannot be carried out, so that it says nothing against the server."""
        self.halt()
        self.disabled = why
        self.last = Verdict(True, why)
        self.state.up = self.state.ran = True
        self._tell()

    def status(self) -> CheckStatus:
        """How it stands."""
        return CheckStatus(
            up=self.state.up,
            ran=self.state.ran,
            failures=self.state.failures if self.state.ran else 0,
            reason=self.last.reason,
            since=self.since,
            duration_us=self.last.took_us or None,
        )

    def _schedule(self, delay_s: float) -> None:
        self._entry = self._agenda.after(delay_s, self._start)

    def _start(self) -> None:
        self._entry = None
        if all(subscriber.suspended for subscriber in self.subscribers.values()):
            self._schedule(self.checker.delay_loop_us / 1e6)
            return
        self._turn += 1
        self._counters.started += 1
        self._began_s = asyncio.get_running_loop().time()
        turn = self._turn

        def done(verdict: Verdict) -> None:
            if turn == self._turn:
                self._take(verdict)

        self.way.begin(self.state.page, done)

    def _take(self, verdict: Verdict) -> None:
        self._turn += 1
        counters, state, checker = self._counters, self.state, self.checker
        if verdict.ok is None:
            counters.not_possible += 1
            if verdict.reason != self.last.reason:
                log.warning("%s %s cannot be carried out: %s", checker.kind, self._name(), verdict.reason)
            self.last = verdict
            self._schedule(checker.delay_loop_us / 1e6)
            return
        counters.ok += verdict.ok
        counters.failed += not verdict.ok
        counters.timed_out += verdict.timed_out
        was_up = state.up
        step = state.take(ok=verdict.ok)
        self.last = verdict
        if step.changed:
            counters.changes += 1
            self.since = time.time()
            log.log(
                logging.INFO if state.up else logging.WARNING,
                "%s %s %s: %s",
                checker.kind,
                self._name(),
                "succeeds again" if state.up else "failed",
                verdict.reason,
            )
        elif not verdict.ok and was_up and checker.log_all_failures:
            log.info(
                "%s %s failed (%d of %d retries): %s",
                checker.kind,
                self._name(),
                state.failures,
                checker.retry,
                verdict.reason,
            )
        if self.since is None and step.decided:
            self.since = time.time()
        delta = self.weight_delta if verdict.weight_delta is None else verdict.weight_delta
        delta = delta if state.up else 0
        moved, self.weight_delta = delta != self.weight_delta, delta
        delay_s = step.delay_us / 1e6
        if isinstance(checker, MiscCheck):  # from start to start
            delay_s = max(0.0, self._began_s + delay_s - asyncio.get_running_loop().time())
        self._schedule(delay_s)
        if step.decided or moved:
            self._tell()

    def _tell(self) -> None:
        up, delta = self.state.up, self.weight_delta
        mail = mail_body(self.checker, self.last._replace(ok=up))
        for key, subscriber in self.subscribers.items():
            if subscriber.suspended or (subscriber.told == up and subscriber.delta == delta):
                continue
            subscriber.told, subscriber.delta = up, delta
            self._report(CheckResult(key=key, up=up, reason=self.last.reason, mail=mail, weight_delta=delta))

    @property
    def label(self) -> str:
        """What it is called in messages about its script."""
        return f"{self.checker.kind} of {self._name()}"

    def _name(self) -> str:
        task = next(iter(self.subscribers.values())).task
        others = len(self.subscribers) - 1
        more = f" and {others} more" if others else ""
        return f"{task.server} of {task.service}{more}"
