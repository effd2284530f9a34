"""When results make a check good or bad, and when the next one is due (checkers-and-ipvs.md 3.3, 4.2, 4.3). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from keepvip.config.model_check import HttpCheck, SmtpCheck

if TYPE_CHECKING:
    from keepvip.config.model_check import Checker

__all__ = ["PagesState", "State", "Step", "make_state"]


class Step(NamedTuple):
    """What follows from a result."""

    delay_us: int
    """The next check is due so long after this one."""
    decided: bool
    """The state stands: found for the first time, changed or confirmed. Otherwise a retry or a page is to come."""
    changed: bool


class State:
    """One checker. It begins as the pool sees it: `up`, and with `first` its first failure takes it down at once."""

    def __init__(self, checker: Checker, *, up: bool, first: bool) -> None:
        self.checker = checker
        self.up = up
        self.ran = not first
        """There was a result that decided something."""
        self.failures = checker.retry if first and up else 0
        """Failures that were put up with; at `retry` the next one decides."""

    @property
    def page(self) -> int:
        """Which page is looked at next."""
        return 0

    def adopt(self, checker: Checker) -> None:
        """Goes on with another timing of the same check."""
        self.checker = checker
        self.failures = min(self.failures, checker.retry)

    def take(self, *, ok: bool) -> Step:
        """Takes a result."""
        checker = self.checker
        was_up = self.up
        if ok:
            self.up, self.failures = True, 0
        elif was_up and self.failures < checker.retry:
            self.failures += 1
            return Step(checker.delay_before_retry_us, decided=False, changed=False)
        else:
            self.up, self.failures = False, 0
        self.ran = True
        return Step(checker.delay_loop_us, decided=True, changed=self.up != was_up)


class RoundsState(State):
    """SMTP: every round has its retries, the first one and those of a server that is down too."""

    def __init__(self, checker: Checker, *, up: bool, first: bool) -> None:
        super().__init__(checker, up=up, first=first)
        self.failures = 0

    def take(self, *, ok: bool) -> Step:
        """Takes a result."""
        if not ok and self.failures < self.checker.retry:
            self.failures += 1
            return Step(self.checker.delay_before_retry_us, decided=False, changed=False)
        was_up, self.up = self.up, ok
        self.failures = 0
        self.ran = True
        return Step(self.checker.delay_loop_us, decided=True, changed=self.up != was_up)


class PagesState(State):
    """HTTP and SSL: one page per cycle; up when all have passed one after the other."""

    def __init__(self, checker: HttpCheck, *, up: bool, first: bool) -> None:
        super().__init__(checker, up=up, first=first)
        self._page = 0
        self._poll = not up and not first
        """The page has taken the server down: only this one is looked at until it passes."""
        self._passed_once = not first
        """All pages have passed once: from then on each has its retries."""

    @property
    def page(self) -> int:
        """Which page is looked at next."""
        return self._page

    @property
    def _http(self) -> HttpCheck:
        assert isinstance(self.checker, HttpCheck)
        return self.checker

    def take(self, *, ok: bool) -> Step:
        """Takes the result of the page."""
        return self._good() if ok else self._bad()

    def _good(self) -> Step:
        checker = self._http
        hurry = checker.fast_recovery and not (self.up and self._passed_once)
        delay_us = 0 if hurry else checker.delay_loop_us
        if self._poll:  # it passes now, and then all pages must, this one too: even a single page is looked at twice
            self._poll = False
            self._page = self.failures = 0
            return Step(delay_us, decided=False, changed=False)
        self._page += 1
        if self._page < len(checker.urls):
            self.failures = 0 if self._passed_once else checker.retry if self.up else 0
            return Step(delay_us, decided=False, changed=False)
        changed = not self.up
        self._page, self.failures = 0, 0
        self.up = self.ran = self._passed_once = True
        return Step(checker.delay_loop_us, decided=True, changed=changed)

    def _bad(self) -> Step:
        checker = self._http
        if self.up and self.failures < checker.retry:
            self.failures += 1
            return Step(checker.delay_before_retry_us, decided=False, changed=False)
        changed = self.up
        self.up, self.ran, self.failures = False, True, 0
        self._poll = True
        return Step(max(checker.delay_before_retry_us, checker.delay_loop_us), decided=True, changed=changed)


def make_state(checker: Checker, *, up: bool, first: bool) -> State:
    """The kind of state that the check has."""
    if isinstance(checker, HttpCheck):
        return PagesState(checker, up=up, first=first)
    if isinstance(checker, SmtpCheck):
        return RoundsState(checker, up=up, first=first)
    return State(checker, up=up, first=first)
