"""FILE_CHECK: what the number in a file says about a server (checkers-and-ipvs.md 4.8). Pure."""

from __future__ import annotations

import time

from keepvip.config.model_check import FileCheck  # noqa: TC001
from keepvip.service_event import CheckResult, CheckStatus, CheckTask

__all__ = ["FileRun", "judge"]

FAULT = -2_147_483_648
"""At or below this the check has failed."""


def judge(value: int, weight: int, *, reverse: bool) -> tuple[bool, int]:
    """(up, what is added to the weight of the server)."""
    if weight == 0:
        return (value == 0) != reverse, 0
    product = value * weight * (-1 if reverse else 1)
    return (False, 0) if product <= FAULT else (True, product)


class FileRun:
    """One FILE_CHECK of one real server. The file is known from the start, so there is no warm-up and no alpha."""

    def __init__(self, task: CheckTask, checker: FileCheck) -> None:
        self.task = task
        self.checker = checker
        self._up = task.up
        self._delta = 0
        self._value: int | None = None
        self._since: float | None = None

    def take(self, value: int) -> CheckResult | None:
        """The number is this now. The result, if that is the first one or changes anything."""
        first = self._value is None
        self._value = value
        up, delta = judge(value, self.checker.weight, reverse=self.checker.reverse)
        if not first and (up, delta) == (self._up, self._delta):
            return None
        if first or up != self._up:
            self._since = time.time()
        self._up, self._delta = up, delta
        return CheckResult(key=self.task.key, up=up, reason=self._reason, weight_delta=delta)

    @property
    def _reason(self) -> str:
        return f"{self.checker.track_file} is {self._value}"

    def status(self) -> CheckStatus:
        """How it stands."""
        ran = self._value is not None
        return CheckStatus(up=self._up, ran=ran, reason=self._reason if ran else "not read yet", since=self._since)
