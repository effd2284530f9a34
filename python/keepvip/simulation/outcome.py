"""What came of it, for each virtual router: who was master when, when nobody was, when two were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Change", "Outcome", "Span", "count"]

Span = tuple[int, int]
"""From, to: µs from the start of the simulation."""


class Change(msgspec.Struct, frozen=True, order=True):
    """From `at_us` on a node does, or does not, do the work of the master: it is master, and it runs."""

    at_us: int
    node: str
    works: bool


class Outcome(msgspec.Struct, frozen=True):
    """How it went for one virtual router."""

    vrid: int
    family: int
    interface: str | None
    names: dict[str, str]
    """Name of its instance, by node."""
    masters: tuple[str, ...]
    """At the end."""
    first_master_us: int | None
    without_master: tuple[Span, ...]
    """From the first master on."""
    two_masters: tuple[Span, ...]


def count(changes: Iterable[Change], end_us: int) -> tuple[tuple[str, ...], int | None, Sequence[Span], Sequence[Span]]:
    """Masters at the end, when there was the first one, when there was none since, when there was more than one.

    `changes` are in the order of time. Moments of no length count for nothing.
    """
    working: set[str] = set()
    first_us: int | None = None
    without: list[Span] = []
    double: list[Span] = []
    since_us = 0
    for change in (*changes, None):
        now_us = end_us if change is None else min(change.at_us, end_us)
        if now_us > since_us:
            if not working and first_us is not None:
                _extend(without, since_us, now_us)
            if len(working) > 1:
                _extend(double, since_us, now_us)
            since_us = now_us
        if change is not None:
            (working.add if change.works else working.discard)(change.node)
            if working and first_us is None:
                first_us = now_us
    return tuple(sorted(working)), first_us, tuple(without), tuple(double)


def _extend(spans: list[Span], start_us: int, end_us: int) -> None:
    """Adds a span, as one with the one before where they touch."""
    if spans and spans[-1][1] == start_us:
        start_us, _ = spans.pop()
    spans.append((start_us, end_us))
