"""A namespace with one cable in it, and engines that are always stopped again."""

from __future__ import annotations

import contextlib
import select
import time
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from keepvip.config.model import Config, SyncGroup, VirtualAddress, VrrpInstance
from keepvip.engine import Engine
from keepvip.event import EventBase
from keepvip.lab.namespace import NetworkNamespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keepvip.event import Event

PATIENCE_S = 20.0

E = TypeVar("E", bound=EventBase)


class Running:
    """An engine, its namespace, and everything that it has told."""

    def __init__(self, netns: NetworkNamespace) -> None:
        self.netns = netns
        with netns.entered():
            self.engine = Engine(rt_priority=None, lock_memory=False)
        self.events: list[Event] = []
        self._looked_at = 0

    def wait(self, kind: type[E], wanted: Callable[[E], bool] = lambda _: True) -> E:
        """The next event of this kind that is wanted; others before it are skipped."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.events += self.engine.drain()
            while self._looked_at < len(self.events):
                event = self.events[self._looked_at]
                self._looked_at += 1
                if isinstance(event, kind) and wanted(event):
                    return event
            left_s = deadline - time.monotonic()
            assert left_s > 0, f"waited in vain for {kind.__name__}; so far: {self.events}"
            select.select([self.engine.fileno()], [], [], left_s)

    def addresses(self) -> str:
        return self.netns.run("ip", "-o", "addr", "show", "dev", "eth0")


def instance(name: str = "VI_1", vrid: int = 51, **fields: Any) -> VrrpInstance:
    """An instance that is master 0.3 s after its start."""
    values: dict[str, Any] = {
        "name": name,
        "interface": "eth0",
        "family": 4,
        "version": 3,
        "vrid": vrid,
        "priority": 150,
        "advert_int_us": 100_000,
        "addresses": (VirtualAddress(address=f"10.10.0.{vrid}", prefix_len=32, family=4),),
    }
    return VrrpInstance(**(values | fields))


def config(*instances: VrrpInstance, groups: dict[str, tuple[str, ...]] | None = None) -> Config:
    sync_groups = tuple(SyncGroup(name=name, members=members) for name, members in (groups or {}).items())
    return Config(instances=instances, sync_groups=sync_groups)


@pytest.fixture
def netns() -> Iterator[NetworkNamespace]:
    """A namespace with ``eth0``, up and with an address, and ``far`` at the other end of its cable."""
    namespace = NetworkNamespace.create()
    namespace.ip(
        "link set lo up",
        "link add eth0 type veth peer name far",
        "link set far up",
        "link set eth0 up",
        "addr add 10.9.0.1/24 dev eth0",
    )
    yield namespace
    namespace.close()


@pytest.fixture
def running(netns: NetworkNamespace) -> Iterator[Running]:
    """An engine in that namespace."""
    running = Running(netns)
    yield running
    with contextlib.suppress(RuntimeError):  # it has ended already
        running.engine.stop()
    running.engine.join()
