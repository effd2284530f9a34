"""What is wanted in the kernel and what is asked of it, with a kernel that answers as it is told."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Any

import pytest

from keepvip.config.model import Config, VrrpInstance
from keepvip.config.model_address import VirtualAddress
from keepvip.config.model_route import Route, Rule, StaticAddress
from keepvip.event import Event, RoutingFailed, RoutingRestored, RoutingSet
from keepvip.net import keeper as keeper_module
from keepvip.net.keeper import Keeper
from keepvip.net.monitor import News
from keepvip.net.requests import Answer
from keepvip.net.worker import Job, Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepvip.net.item import Item, Key


def route(dst: str, **fields: Any) -> Route:
    return Route(family=4, dst=dst, dst_len=24, dev="eth0", **fields)


R1, R2, R3 = route("10.1.0.0"), route("10.2.0.0"), route("10.3.0.0")
LOOSE = route("10.4.0.0", no_track=True)
RULE = Rule(family=4, action="table", table=5, preference=7)
ADDRESS = StaticAddress(address=VirtualAddress(address="192.0.2.1", prefix_len=24, family=4), dev="eth0")


def key(item: Item) -> Key:
    return ("item", hash(item))


def instance(name: str, *items: Route | Rule, vrid: int = 5) -> VrrpInstance:
    return VrrpInstance(
        name=name,
        interface="eth0",
        family=4,
        version=2,
        vrid=vrid,
        routes=tuple(item for item in items if isinstance(item, Route)),
        rules=tuple(item for item in items if isinstance(item, Rule)),
    )


class World:
    """A kernel of one set, and a keeper whose thread is the test itself."""

    def __init__(self) -> None:
        self.there: set[Item] = set()
        self.log: list[tuple[str, Item]] = []
        self.refuse: dict[Item, int] = {}
        self.down = False
        self.news = News([], links=False, addresses=False, lost=False)
        self.events: list[Event] = []
        self.done: Callable[[Result], None] | None = None

    def run(self, job: Job) -> Result:
        answers = []
        for item, add in job.operations:
            self.log.append(("+" if add else "-", item))
            number = self.refuse.get(item, 0) if add else 0
            if add and not number:
                number = errno.EEXIST if item in self.there else 0
                self.there.add(item)
            elif not add:
                number = 0 if item in self.there else errno.ESRCH
                self.there.discard(item)
            answers.append(Answer(number, ""))
        down = frozenset(range(len(answers))) if self.down and job.why == "restore" else frozenset()
        return Result(job, answers, [key(item) for item, _ in job.operations], done_us=job.cause_us + 900, down=down)

    def submit(self, job: Job) -> None:
        assert self.done is not None
        self.done(self.run(job))

    def close(self) -> None: ...

    stop = close

    def fileno(self) -> int:
        return 0

    def read(self) -> News:
        return self.news

    def take(self) -> list[tuple[str, Item]]:
        log, self.log = self.log, []
        return log


class Loop:
    def add_reader(self, *_: object) -> None: ...

    remove_reader = add_reader

    def call_later(self, _delay_s: float, call: Callable[[], None]) -> object:
        call()
        return None


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def keeper(world: World, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    def worker(_hands: object, _loop: object, done: Callable[[Result], None]) -> World:
        world.done = done
        return world

    monkeypatch.setattr(keeper_module, "Hands", lambda: world)
    monkeypatch.setattr(keeper_module, "Monitor", lambda: world)
    monkeypatch.setattr(keeper_module, "Worker", worker)
    return Keeper(world.events.append)


def started(keeper: Keeper, config: Config) -> Keeper:
    keeper.prepare(config)
    keeper.attach(Loop())  # type: ignore[arg-type]
    return keeper


def gone(world: World, keeper: Keeper, *items: Item, **news: bool) -> None:
    world.there -= set(items)
    flags = {"links": False, "addresses": False, "lost": False} | news
    world.news = News([key(item) for item in items], **flags)
    keeper._read()


def test_residue_goes_first_rules_before_routes_and_static_things_come(world: World, keeper: Keeper) -> None:
    world.there = {R1, RULE, R3}
    static = Config(instances=(instance("a", R1, RULE, R3),), static_routes=(R2, R3), static_addresses=(ADDRESS,))
    started(keeper, static)
    assert world.take() == [("-", RULE), ("-", R1), ("+", ADDRESS), ("+", R2), ("+", R3)]
    assert world.events == []


def test_what_a_master_wants_comes_and_goes(world: World, keeper: Keeper) -> None:
    started(keeper, Config(instances=(instance("a", R1, R2, RULE),)))
    world.take()
    keeper.mastership("a", master=True, cause_us=100)
    assert world.take() == [("+", R1), ("+", R2), ("+", RULE)]
    assert [(event.instance, event.routes, event.rules, event.took_us) for event in world.events
            if isinstance(event, RoutingSet)] == [("a", 2, 1, 900)]  # fmt: skip
    keeper.mastership("a", master=True, cause_us=200)
    assert world.take() == []
    keeper.mastership("a", master=False, cause_us=300)
    assert world.take() == [("-", RULE), ("-", R2), ("-", R1)]


def test_what_two_want_goes_with_the_last_of_them(world: World, keeper: Keeper) -> None:
    started(keeper, Config(instances=(instance("a", R1, R2), instance("b", R1, vrid=6)), static_routes=(R2,)))
    world.take()
    keeper.mastership("a", master=True, cause_us=1)
    keeper.mastership("b", master=True, cause_us=2)
    keeper.mastership("a", master=False, cause_us=3)
    assert world.take() == [("+", R1)]
    keeper.mastership("b", master=False, cause_us=4)
    assert world.take() == [("-", R1)]
    assert world.there == {R2}


def test_a_reload_removes_first_and_leaves_what_moves(world: World, keeper: Keeper) -> None:
    started(keeper, Config(instances=(instance("a", R1, R2), instance("b", vrid=6)), static_rules=(RULE,)))
    keeper.mastership("a", master=True, cause_us=1)
    keeper.mastership("b", master=True, cause_us=1)
    world.take()
    after = Config(instances=(instance("a", R2), instance("c", R1, R3, vrid=6)), static_addresses=(ADDRESS,))
    keeper.configure(after, {"a", "c"})
    assert world.take() == [("-", RULE), ("+", ADDRESS), ("+", R3)]
    keeper.mastership("c", master=False, cause_us=2)
    assert world.there == {R2, ADDRESS}


def test_what_others_remove_is_put_back_and_named(world: World, keeper: Keeper) -> None:
    started(keeper, Config(instances=(instance("a", R1, LOOSE),), static_routes=(R2,)))
    keeper.mastership("a", master=True, cause_us=1)
    world.events.clear()
    for count in (1, 2):
        gone(world, keeper, R1)
        assert R1 in world.there
        (event,) = world.events
        assert isinstance(event, RoutingRestored)
        assert (event.instance, event.what, event.count) == ("a", "route", count)
        assert "10.1.0.0/24" in event.item
        world.events.clear()
    gone(world, keeper, R2)
    assert [(type(event), getattr(event, "instance", "")) for event in world.events] == [(RoutingRestored, None)]
    world.take()
    gone(world, keeper, LOOSE)
    assert world.take() == []
    assert not keeper.present(LOOSE)
    assert keeper.present(R1)


def test_our_own_removal_is_not_put_back(world: World, keeper: Keeper) -> None:
    started(keeper, Config(instances=(instance("a", R1),)))
    keeper.mastership("a", master=True, cause_us=1)
    keeper.mastership("a", master=False, cause_us=2)
    world.take()
    gone(world, keeper, R1)
    assert world.take() == []
    # Master again before the notification of the removal is read: it is there, and nobody removed it.
    keeper.mastership("a", master=True, cause_us=3)
    world.events.clear()
    world.news = News([key(R1)], links=False, addresses=False, lost=False)
    keeper._read()
    assert world.events == []


@pytest.mark.parametrize("cause", ["links", "lost"])
def test_what_went_silently_comes_back_silently(world: World, keeper: Keeper, cause: str) -> None:
    started(keeper, Config(static_routes=(R1, LOOSE), static_addresses=(ADDRESS,)))
    world.there.clear()
    gone(world, keeper, **{cause: True})
    assert world.there == {R1, ADDRESS}
    assert world.events == []


def test_a_failure_is_told_once_and_tried_again_when_addresses_come(world: World, keeper: Keeper) -> None:
    world.refuse[R1] = errno.ENETUNREACH
    started(keeper, Config(static_routes=(R1,)))
    (event,) = world.events
    assert isinstance(event, RoutingFailed)
    assert (event.instance, event.what, event.errno, event.action) == (None, "route", errno.ENETUNREACH, "install")
    gone(world, keeper, addresses=True)
    assert len(world.events) == 1
    world.refuse.clear()
    gone(world, keeper, addresses=True)
    assert world.there == {R1}
    world.take()
    gone(world, keeper, addresses=True)
    assert world.take() == [], "nothing is missing"


def test_what_a_dead_interface_took_along_was_removed_by_nobody(world: World, keeper: Keeper) -> None:
    started(keeper, Config(static_routes=(R1,)))
    world.down = True
    gone(world, keeper, R1)
    assert world.events == []
    world.refuse[R1] = errno.ENETDOWN
    gone(world, keeper, R1)
    assert world.events == []


async def test_the_end(world: World, keeper: Keeper) -> None:
    started(keeper, Config(instances=(instance("a", R1, RULE),), static_routes=(R2,), static_addresses=(ADDRESS,)))
    keeper.mastership("a", master=True, cause_us=1)
    world.take()
    async with asyncio.timeout(1):
        await keeper.release(0.1)
        assert world.take() == [("-", RULE), ("-", R1)]
        await keeper.close(0.1)
    assert world.take() == [("-", R2), ("-", ADDRESS)]


async def test_without_release_the_master_leaves_its_things(world: World, keeper: Keeper) -> None:
    started(keeper, Config(instances=(instance("a", R1),), static_routes=(R2,)))
    keeper.mastership("a", master=True, cause_us=1)
    await keeper.close(0.1)
    assert world.there == {R1}


def test_a_daemon_that_fails_leaves_nothing(world: World, keeper: Keeper) -> None:
    started(keeper, Config(instances=(instance("a", R1),), static_routes=(R2,)))
    keeper.mastership("a", master=True, cause_us=1)
    keeper.abandon(release=True)
    assert world.there == set()
