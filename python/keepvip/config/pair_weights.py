"""Weights of two nodes against each other: can a failure that costs priority move the role at all?

The most frequent riddle about weights (vrrp-behaviour.md 9): the check fails, the priority falls, and nothing happens,
because it is still the higher one, or because the other node does not preempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from keepvip.config.model import Track, VrrpInstance

__all__ = ["WeightFinding", "weight_finding"]

_OWNER = 255
_HIGHEST = 254


class WeightFinding(msgspec.Struct, frozen=True):
    """Why weights change nothing between two nodes."""

    code: str
    keyword: str
    """The block that the first weight stands in."""
    message: str
    hint: str


def weight_finding(ours: VrrpInstance, our_label: str, theirs: VrrpInstance, their_label: str) -> WeightFinding | None:
    """What is wrong with the weights of `ours`, if it is the one that is master while all is well."""
    weighted = [track for track in ours.tracks if track.weight]
    if any(track.kind == "file" for track in weighted):
        return None  # a file can say anything
    if not weighted or _OWNER in (ours.priority, theirs.priority):
        return None
    well, failed = _effective(ours, good=True), _effective(ours, good=False)
    other = _effective(theirs, good=True)
    if well <= other or failed >= well:
        return None
    keyword = f"track_{weighted[0].kind}"
    if failed > other:
        return WeightFinding(
            "weights-too-small",
            keyword,
            f"with everything failed that it tracks by weight, {our_label} still has priority {failed} and"
            f" {their_label} has {other}: no failure moves the role there",
            f"let the weights cost more than {well - other}, or bring the priorities closer together",
        )
    if theirs.nopreempt:
        return WeightFinding(
            "weights-without-preempt",
            keyword,
            f"{their_label} has nopreempt: it does not take over from a master that lives, however low its priority"
            " falls",
            f"remove nopreempt in {their_label}, or track without a weight (a failure is FAULT then)",
        )
    return None


def _effective(instance: VrrpInstance, *, good: bool) -> int:
    """The effective priority while all that is tracked is good, or while none of it is."""
    return max(1, min(_HIGHEST, instance.priority + sum(_contribution(track, good=good) for track in instance.tracks)))


def _contribution(track: Track, *, good: bool) -> int:
    counts = track.weight if (track.weight > 0) == good else 0
    return -counts if track.reverse else counts
