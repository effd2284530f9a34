"""The journal of transitions and the event feed."""

from __future__ import annotations

import asyncio

import pytest

from keepvip import event
from keepvip.event import Event, EventsLost, GroupTransition, Notice, State
from keepvip.observe.feed import Feed
from keepvip.observe.journal import Journal

from . import make


def notice(number: int) -> Notice:
    return Notice(seq=0, at_ns=0, mono_us=0, level="info", text=str(number))


def test_journal_gives_the_newest_first_and_forgets_the_oldest() -> None:
    journal = Journal(history=3)
    for number in range(5):
        journal.record(make.transition(priority=number))
    assert [event.priority for event in journal.instance("VI_1")] == [4, 3, 2]
    assert [event.priority for event in journal.instance("VI_1", limit=1)] == [4]
    assert journal.instance("VI_1", limit=0) == []
    assert journal.instance("other") == []


def test_journal_keeps_evidence_and_types() -> None:
    journal = Journal()
    made = make.transition()
    journal.record(made)
    assert journal.instance("VI_1") == [made]


def test_journal_keeps_groups_apart_and_ignores_other_events() -> None:
    journal = Journal()
    journal.record(GroupTransition(seq=1, at_ns=0, mono_us=0, group="VI_1", new=State.FAULT))
    journal.record(notice(1))
    assert journal.instance("VI_1") == []
    assert [event.new for event in journal.group("VI_1")] == [State.FAULT]


def test_journal_forgets_only_the_oldest_removed_names() -> None:
    journal = Journal()
    for number in range(300):
        journal.record(make.transition(f"VI_{number}"))
    journal.retain({"VI_0"}, set())
    assert journal.instance("VI_0")
    assert not journal.instance("VI_1")
    assert journal.instance("VI_299")
    assert len(journal.names()) == 1 + 256


def test_feed_numbers_across_sources() -> None:
    feed = Feed()
    numbered = [feed.publish(notice(7)), feed.publish(make.transition(seq=1))]
    assert [event.seq for event in numbered] == [1, 2]
    assert feed.since(0) == numbered
    assert feed.since(1) == numbered[1:]
    assert feed.since(9) == []


def test_feed_tells_what_is_gone() -> None:
    feed = Feed(kept=2)
    for number in range(5):
        feed.publish(notice(number))
    lost, *rest = feed.since(1)
    assert isinstance(lost, EventsLost)
    assert (lost.count, lost.seq) == (2, 3)
    assert [event.seq for event in rest] == [4, 5]


async def test_subscription_gets_old_and_new_events_in_order() -> None:
    feed = Feed()
    feed.publish(notice(1))
    subscription = feed.subscribe(since=0)
    feed.publish(notice(2))
    assert [(await anext(subscription)).seq for _ in range(2)] == [1, 2]
    waiting = asyncio.create_task(anext(subscription))  # type: ignore[arg-type]  # anext gives an awaitable
    await asyncio.sleep(0)
    assert not waiting.done()
    feed.publish(notice(3))
    assert (await waiting).seq == 3
    subscription.close()
    with pytest.raises(StopAsyncIteration):
        await anext(subscription)


async def test_slow_subscriber_loses_and_is_told() -> None:
    feed = Feed()
    slow = feed.subscribe(backlog=2)
    quick = feed.subscribe()
    for number in range(5):
        feed.publish(notice(number))
    feed.close()
    got: list[Event] = [event async for event in slow]
    assert [event.seq for event in got[:2]] == [1, 2]
    assert isinstance(got[2], EventsLost)
    assert got[2].count == 3
    assert len([event async for event in quick]) == 5


def test_what_was_put_back_is_kept_per_instance() -> None:
    journal = Journal()
    base = {"at_ns": 0, "mono_us": 0}
    for seq in range(30):
        journal.record(
            event.RoutingRestored(**base, seq=seq, instance="VI_1", what="route", item="10.1.0.0/24", count=seq + 1)
        )
    journal.record(
        event.AddressRestored(**base, seq=30, instance="VI_2", address="10.0.0.1", interface="eth0", count=1)
    )
    journal.record(event.RoutingRestored(**base, seq=31, instance=None, what="rule", item="from all", count=1))
    assert [one.seq for one in journal.incidents("VI_1", 3)] == [29, 28, 27]
    assert len(journal.incidents("VI_1")) == 20
    assert [type(one) for one in journal.incidents("VI_2")] == [event.AddressRestored]
    assert journal.incidents("VI_3") == []
