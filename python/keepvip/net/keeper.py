"""Keeps in the kernel what configuration and states want there, and puts back what others remove.

A thing is wanted while anybody wants it: the daemon (static), or an instance that is MASTER. Two instances may want the
same route; it goes when the last of them leaves. Whether the kernel has it is asked by adding it once more: of what is
there it says EEXIST.
"""

from __future__ import annotations

import asyncio
import errno
import time
from typing import TYPE_CHECKING, Final

from keepvip.config.model_route import Route, Rule
from keepvip.event import RoutingFailed, RoutingRestored, RoutingSet
from keepvip.net.item import kind_of, sort_order
from keepvip.net.monitor import Monitor
from keepvip.net.text import item_text
from keepvip.net.worker import Hands, Job, Result, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keepvip.config.model import Config, VrrpInstance
    from keepvip.event import Event
    from keepvip.net.item import Item, Key
    from keepvip.net.requests import Answer

__all__ = ["Keeper"]

_STATIC: Final = None
"""The owner of static things."""
_SETTLE_S: Final = 0.02
"""So long after interfaces changed it is looked what is missing: such changes come in groups."""
_GONE_ANYWAY: Final = frozenset({errno.ESRCH, errno.ENOENT, errno.ENODEV, errno.EADDRNOTAVAIL, errno.ENETDOWN})
"""Answers to a removal that mean that it is not there."""


def _items(instance: VrrpInstance) -> tuple[Item, ...]:
    return (*instance.routes, *instance.rules)


def _statics(config: Config) -> tuple[Item, ...]:
    return (*config.static_addresses, *config.static_routes, *config.static_rules)


class Keeper:
    """One for the daemon. `prepare` before the engine starts, everything else on the loop."""

    def __init__(self, publish: Callable[[Event], None]) -> None:
        self._publish = publish
        self._hands = Hands()
        self._monitor = Monitor()
        self._worker: Worker | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._of: dict[str, tuple[Item, ...]] = {}
        """Routes and rules by instance."""
        self._masters: set[str] = set()
        self._owners: dict[Item, set[str | None]] = {}
        """Who wants what; nobody is never in it."""
        self._present: set[Item] = set()
        self._failed: dict[Item, Answer] = {}
        self._keys: dict[Key, dict[Item, None]] = {}
        """What a notification may be about."""
        self._key_of: dict[Item, Key] = {}
        self._restored: dict[Item, int] = {}
        self._look: asyncio.TimerHandle | None = None
        self._early: list[Event] = []
        self._idle: asyncio.Event | None = None
        self._pending = 0

    # the start

    def prepare(self, config: Config) -> None:
        """Removes what a daemon that was killed has left behind, and adds the static things. Blocks.

        Raises OSError when netlink does not work.
        """
        self._of = {instance.name: _items(instance) for instance in config.instances if _items(instance)}
        static = _statics(config)
        for item in static:
            self._owners.setdefault(item, set()).add(_STATIC)
        left = {item: None for items in self._of.values() for item in items if item not in self._owners}
        operations = [(item, False) for item in sorted(left, key=sort_order, reverse=True)]
        operations += [(item, True) for item in static]
        now_us = time.monotonic_ns() // 1000
        self._done(self._hands.run(Job(tuple(operations), "set", cause_us=now_us)))

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on jobs are carried out by a thread, and removals are seen."""
        self._loop = loop
        self._idle = asyncio.Event()
        self._idle.set()
        self._worker = Worker(self._hands, loop, self._finished)
        loop.add_reader(self._monitor.fileno(), self._read)
        early, self._early = self._early, []
        for event in early:
            self._publish(event)

    # what is wanted

    def configure(self, config: Config, masters: Iterable[str]) -> None:
        """Takes over a configuration: what is no longer wanted goes first, then comes what is new.

        `masters`: the instances that are MASTER, by their names in it.
        """
        self._masters = set(masters)
        self._of = {instance.name: _items(instance) for instance in config.instances if _items(instance)}
        wanted: dict[Item, set[str | None]] = {item: {_STATIC} for item in _statics(config)}
        for name in self._of:
            if name in self._masters:
                for item in self._of[name]:
                    wanted.setdefault(item, set()).add(name)
        gone = sorted((item for item in self._owners if item not in wanted), key=sort_order, reverse=True)
        new = sorted((item for item in wanted if item not in self._owners), key=sort_order)
        self._owners = wanted
        self._submit([(item, False) for item in gone] + [(item, True) for item in new], "set")

    def mastership(self, instance: str, *, master: bool, cause_us: int) -> None:
        """An instance became MASTER, or is it no longer. `cause_us`: when, on the engine's clock."""
        if master == (instance in self._masters):
            return
        (self._masters.add if master else self._masters.discard)(instance)
        items = self._of.get(instance, ())
        if master:
            new = [item for item in items if self._own(item, instance)]
            self._submit([(item, True) for item in new], "set", instance, cause_us)
        else:
            gone = [item for item in reversed(items) if self._disown(item, instance)]
            self._submit([(item, False) for item in gone], "set", instance, cause_us)

    def present(self, item: Item) -> bool:
        """Whether the kernel has it, as far as is known."""
        return item in self._present

    def _own(self, item: Item, owner: str | None) -> bool:
        owners = self._owners.setdefault(item, set())
        owners.add(owner)
        return len(owners) == 1

    def _disown(self, item: Item, owner: str | None) -> bool:
        owners = self._owners.get(item)
        if owners is None:
            return False
        owners.discard(owner)
        if owners:
            return False
        del self._owners[item]
        return True

    # the end

    async def release(self, timeout_s: float) -> None:
        """Removes what instances hold; waits for it, but not for ever."""
        gone = [item for name in self._masters for item in reversed(self._of.get(name, ())) if self._disown(item, name)]
        self._masters.clear()
        self._of.clear()
        self._submit([(item, False) for item in sorted(gone, key=sort_order, reverse=True)], "set")
        await self._wait(timeout_s)

    async def close(self, timeout_s: float) -> None:
        """Removes the static things and ends. What instances hold stays, unless `release` was called."""
        static = [item for item, owners in self._owners.items() if _STATIC in owners]
        self._owners.clear()
        self._submit([(item, False) for item in sorted(static, key=sort_order, reverse=True)], "set")
        await self._wait(timeout_s)
        if self._look is not None:
            self._look.cancel()
        if self._loop is not None and self._worker is not None:
            self._loop.remove_reader(self._monitor.fileno())
            self._worker.stop()
        self._monitor.close()

    def abandon(self, *, release: bool) -> None:
        """Removes everything at once when the daemon fails, the loop with it. Blocks.

        `release`: also what instances hold.
        """
        gone = [item for item, owners in self._owners.items() if release or _STATIC in owners]
        operations = [(item, False) for item in sorted(gone, key=sort_order, reverse=True)]
        hands = Hands()
        try:
            hands.run(Job(tuple(operations), "set"))
        finally:
            hands.close()

    async def _wait(self, timeout_s: float) -> None:
        if self._idle is not None:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._idle.wait()
            except TimeoutError:
                return  # the kernel is busy: what is queued is still carried out while the process lives

    # what happens

    def _read(self) -> None:
        news = self._monitor.read()
        lost = [
            item
            for key in dict.fromkeys(news.gone)
            for item in self._keys.get(key, ())
            if item in self._owners and item in self._present
        ]
        for item in lost:
            if item.no_track:
                self._present.discard(item)
        self._submit([(item, True) for item in lost if not item.no_track], "restore")
        if (news.links or news.lost or (news.addresses and self._failed)) and self._look is None:
            assert self._loop is not None
            self._look = self._loop.call_later(_SETTLE_S, self._verify)

    def _verify(self) -> None:
        """Adds everything once more. What others removed and nobody may put back stays away."""
        self._look = None
        wanted = [item for item in self._owners if not item.no_track or item in self._failed]
        self._submit([(item, True) for item in sorted(wanted, key=sort_order)], "verify", fresh=True)

    def _submit(
        self,
        operations: Iterable[tuple[Item, bool]],
        why: str,
        instance: str | None = None,
        cause_us: int = 0,
        *,
        fresh: bool = False,
    ) -> None:
        job = Job(tuple(operations), why, instance, cause_us, fresh)
        if not job.operations or self._worker is None:
            return
        self._pending += 1
        if self._idle is not None:
            self._idle.clear()
        self._worker.submit(job)

    def _finished(self, result: Result) -> None:
        self._pending -= 1
        if not self._pending and self._idle is not None:
            self._idle.set()
        self._done(result)

    def _done(self, result: Result) -> None:
        job = result.job
        told = zip(job.operations, result.answers, result.keys, strict=True)
        for place, ((item, add), answer, key) in enumerate(told):
            if add:
                self._added(item, answer, key, job, quiet=place in result.down or job.why == "verify")
            else:
                self._removed(item, answer, job)
        if job.instance is not None and job.operations[0][1]:
            self._tell(
                RoutingSet(
                    **_now(),
                    instance=job.instance,
                    routes=sum(isinstance(item, Route) for item, _ in job.operations),
                    rules=sum(isinstance(item, Rule) for item, _ in job.operations),
                    took_us=max(result.done_us - job.cause_us, 0),
                )
            )

    def _added(self, item: Item, answer: Answer, key: Key | None, job: Job, *, quiet: bool) -> None:
        """`quiet`: it did not go by somebody's hand, and that it cannot come back yet is no news."""
        if key is not None and self._key_of.get(item) != key:
            self._forget_key(item)
            self._key_of[item] = key
            self._keys.setdefault(key, {})[item] = None
        if answer.errno in {0, errno.EEXIST}:
            was_there = item in self._present
            self._present.add(item)
            self._failed.pop(item, None)
            if not answer.errno and job.why == "restore" and was_there and not quiet:
                self._tell_restored(item)
            return
        self._present.discard(item)
        known = self._failed.get(item)
        self._failed[item] = answer
        if not quiet and (known is None or known.errno != answer.errno):
            self._tell_failed(item, answer, "install")

    def _removed(self, item: Item, answer: Answer, job: Job) -> None:
        self._present.discard(item)
        self._failed.pop(item, None)
        if item not in self._owners:
            self._restored.pop(item, None)
            self._forget_key(item)
        if answer.errno and answer.errno not in _GONE_ANYWAY and job.why == "set":
            self._tell_failed(item, answer, "withdraw")

    def _forget_key(self, item: Item) -> None:
        key = self._key_of.pop(item, None)
        if key is not None:
            items = self._keys[key]
            del items[item]
            if not items:
                del self._keys[key]

    # telling

    def _owner(self, item: Item) -> str | None:
        owners = self._owners.get(item, set())
        return next((owner for owner in owners if owner is not None), None)

    def _tell_restored(self, item: Item) -> None:
        count = self._restored[item] = self._restored.get(item, 0) + 1
        self._tell(
            RoutingRestored(**_now(), instance=self._owner(item), what=kind_of(item), item=item_text(item), count=count)
        )

    def _tell_failed(self, item: Item, answer: Answer, action: str) -> None:
        self._tell(
            RoutingFailed(
                **_now(),
                instance=self._owner(item),
                what=kind_of(item),
                item=item_text(item),
                errno=answer.errno,
                detail=answer.text,
                action=action,
            )
        )

    def _tell(self, event: Event) -> None:
        if self._loop is None:
            self._early.append(event)
        else:
            self._publish(event)


def _now() -> dict[str, int]:
    return {"seq": 0, "at_ns": time.time_ns(), "mono_us": time.monotonic_ns() // 1000}
