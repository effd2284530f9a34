"""The stream of events for whoever asks: a ring of the last ones and live subscriptions.

A subscriber that does not keep up loses events, is told how many, and never slows down the daemon
or the other subscribers. The feed numbers what it publishes: events of the engine and of the daemon
itself form one sequence.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

import msgspec

from keepvip.event import Event, EventsLost

__all__ = ["Feed", "Subscription"]

KEPT = 2000
"""Events kept for those who come late."""
BACKLOG = 1000
"""Events one subscriber may be behind before it loses some."""


class Subscription:
    """Events from one point on, in order. Use as an asynchronous iterator; `close` when done."""

    def __init__(self, feed: Feed, backlog: int, first: list[Event]) -> None:
        self._feed = feed
        self._backlog = backlog
        self._waiting: deque[Event] = deque(first)
        self._lost = 0
        self._wakeup = asyncio.Event()
        self._closed = False
        if first:
            self._wakeup.set()

    def put(self, event: Event) -> None:
        """Hands over an event; drops and counts it when the subscriber is too far behind."""
        if len(self._waiting) >= self._backlog:
            self._lost += 1
        else:
            self._waiting.append(event)
        self._wakeup.set()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            if self._lost:
                lost, self._lost = self._lost, 0
                return self._feed.lost(lost)
            if self._closed:
                raise StopAsyncIteration
            self._wakeup.clear()
            await self._wakeup.wait()
        return self._waiting.popleft()

    def close(self) -> None:
        """Ends the subscription; what is waiting can still be read."""
        self._closed = True
        self._feed.remove(self)
        self._wakeup.set()


class Feed:
    """Publishes events to the ring and to every subscription."""

    def __init__(self, kept: int = KEPT) -> None:
        self._ring: deque[Event] = deque(maxlen=kept)
        self._subscriptions: set[Subscription] = set()
        self.seq = 0
        """Number of the last event published; 0 = none yet."""

    def publish(self, event: Event) -> Event:
        """Numbers the event, keeps it and passes it on; answers with the numbered event."""
        self.seq += 1
        event = msgspec.structs.replace(event, seq=self.seq)
        self._ring.append(event)
        for subscription in self._subscriptions:
            subscription.put(event)
        return event

    def since(self, seq: int) -> list[Event]:
        """Kept events with a number above `seq`. When older ones are gone, the first is `EventsLost`."""
        events = [event for event in self._ring if event.seq > seq]
        first = events[0].seq if events else self.seq + 1
        missing = first - seq - 1
        if missing > 0:
            events.insert(0, self.lost(missing, seq=first - 1))
        return events

    def subscribe(self, *, since: int | None = None, backlog: int = BACKLOG) -> Subscription:
        """From now on, or from the event after `since`."""
        subscription = Subscription(self, backlog, [] if since is None else self.since(since))
        self._subscriptions.add(subscription)
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """Called by `Subscription.close`."""
        self._subscriptions.discard(subscription)

    def close(self) -> None:
        """Ends all subscriptions, so that their readers finish."""
        for subscription in list(self._subscriptions):
            subscription.close()

    def lost(self, count: int, *, seq: int | None = None) -> EventsLost:
        """The event that tells a reader how many it has missed."""
        return EventsLost(
            seq=self.seq if seq is None else seq,
            at_ns=time.time_ns(),
            mono_us=time.monotonic_ns() // 1000,
            count=count,
        )
