"""The thread that waits for the kernel: jobs in, in order; what became of them back on the event loop."""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import TYPE_CHECKING

import msgspec

from keepvip.net.item import key_of_item, message_of
from keepvip.net.links import KernelLinks
from keepvip.net.requests import Answer, Requests

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from keepvip.net.item import Item, Key

__all__ = ["Hands", "Job", "Result", "Worker"]

_log = logging.getLogger("keepvip.net")


class Job(msgspec.Struct, frozen=True):
    """Operations in the order in which they are carried out."""

    operations: tuple[tuple[Item, bool], ...]
    """What, and whether it is added or removed."""
    why: str
    """`set`: it is wanted (no longer); `restore`: somebody removed it; `verify`: it may have gone silently."""
    instance: str | None = None
    cause_us: int = 0
    """When the cause was, on the engine's clock."""
    fresh: bool = False
    """Interfaces have changed: what was known of them is forgotten."""


class Result(msgspec.Struct, frozen=True):
    """What became of a job."""

    job: Job
    answers: Sequence[Answer]
    """One for each operation."""
    keys: Sequence[Key | None]
    """By what notifications about each are recognized; None where its interface does not exist."""
    done_us: int
    down: frozenset[int] = frozenset()
    """Of a `restore`: operations on things whose interface is down; nobody but the kernel removed them."""


class Hands:
    """Carries out jobs. Blocks; in the network namespace of the thread that made it."""

    def __init__(self) -> None:
        self._requests = Requests()
        self._links = KernelLinks(self._requests)

    def run(self, job: Job) -> Result:
        """Raises OSError when netlink itself does not work."""
        if job.fresh:
            self._links.forget()
        answers: list[Answer | None] = []
        keys: list[Key | None] = []
        requests: list[bytes] = []
        for item, add in job.operations:
            try:
                keys.append(key_of_item(item, self._links))
                requests.append(message_of(item, self._links, add=add))
            except OSError as error:
                if len(keys) > len(answers):
                    keys.pop()
                keys.append(None)
                answers.append(Answer(error.errno or 0, error.strerror or ""))
            else:
                answers.append(None)
        told = iter(self._requests.talk(requests))
        whole = [answer if answer is not None else next(told) for answer in answers]
        done_us = time.monotonic_ns() // 1000
        down: frozenset[int] = frozenset()
        if job.why == "restore":
            down = frozenset(
                place for place, (item, _) in enumerate(job.operations) if not all(map(self._links.up, item.interfaces))
            )
        return Result(job=job, answers=whole, keys=keys, done_us=done_us, down=down)

    def close(self) -> None:
        """Gives up the socket."""
        self._requests.close()


class Worker:
    """`Hands` on a thread of their own. Used on the loop."""

    def __init__(self, hands: Hands, loop: asyncio.AbstractEventLoop, done: Callable[[Result], None]) -> None:
        self._hands = hands
        self._loop = loop
        self._done = done
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="routing", daemon=True).start()

    def submit(self, job: Job) -> None:
        """Queues a job; returns at once."""
        self._jobs.put(job)

    def stop(self) -> None:
        """Ends the thread after the jobs that are queued."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                result = self._hands.run(job)
            except OSError as error:
                answer = Answer(error.errno or 0, f"netlink: {error}")
                now_us = time.monotonic_ns() // 1000
                count = len(job.operations)
                result = Result(job=job, answers=[answer] * count, keys=[None] * count, done_us=now_us)
            except Exception:
                _log.exception("Cannot carry out %r", job)
                continue
            try:
                self._loop.call_soon_threadsafe(self._done, result)
            except RuntimeError:
                return  # the loop has ended
        self._hands.close()
