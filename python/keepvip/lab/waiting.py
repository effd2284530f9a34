"""Waiting for facts that nobody announces."""

import time
from collections.abc import Callable

from keepvip.lab.errors import LabTimeoutError


def wait_until(fact: Callable[[], object], *, timeout_s: float, what: str, poll_s: float = 0.005) -> None:
    """Wait until ``fact()`` is true, looking every ``poll_s``; raises `LabTimeoutError`."""
    deadline = time.monotonic() + timeout_s
    while not fact():
        if time.monotonic() > deadline:
            raise LabTimeoutError(f"not within {timeout_s} s: {what}")
        time.sleep(poll_s)
