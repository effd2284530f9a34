"""The last transitions of every instance and sync group, and what was put back of theirs, for `keepvip why`.

Records are kept packed (about 200 bytes each instead of 1 kB as objects), so that thousands of
flapping instances cost megabytes, not hundreds of them, and the garbage collector sees none of it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from keepvip.event import AddressRestored, Event, GroupTransition, RoutingFailed, RoutingRestored, Transition

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["HISTORY", "Incident", "Journal"]

HISTORY = 100
"""Transitions kept per name."""

INCIDENTS = 20
"""Things kept per instance that somebody removed, or that the kernel refused."""

_RETIRED = 256
"""Names no longer configured whose history is kept (a removed instance can still be asked about)."""

_encoder = msgspec.msgpack.Encoder()
Incident = AddressRestored | RoutingRestored | RoutingFailed
_incidents: msgspec.msgpack.Decoder[Incident] = msgspec.msgpack.Decoder(Incident)
_decoder: msgspec.msgpack.Decoder[Transition | GroupTransition] = msgspec.msgpack.Decoder(Transition | GroupTransition)


class Journal:
    """History per instance name and per group name; the two have separate name spaces."""

    def __init__(self, history: int = HISTORY) -> None:
        self._history = history
        self._instances: dict[str, deque[bytes]] = {}
        self._groups: dict[str, deque[bytes]] = {}
        self._put_back: dict[str, deque[bytes]] = {}

    def record(self, event: Event) -> None:
        """Keeps transitions and what was put back, ignores all other events."""
        if isinstance(event, Incident):
            if event.instance is not None:
                kept = self._put_back.setdefault(event.instance, deque(maxlen=INCIDENTS))
                kept.append(_encoder.encode(event))
            return
        if isinstance(event, Transition):
            histories, name = self._instances, event.instance
        elif isinstance(event, GroupTransition):
            histories, name = self._groups, event.group
        else:
            return
        history = histories.get(name)
        if history is None:
            history = histories[name] = deque(maxlen=self._history)
        history.append(_encoder.encode(event))

    def instance(self, name: str, limit: int = HISTORY) -> list[Transition]:
        """The last transitions of an instance, newest first; empty for an unknown name."""
        return [event for event in _newest(self._instances.get(name), limit) if isinstance(event, Transition)]

    def group(self, name: str, limit: int = HISTORY) -> list[GroupTransition]:
        """The last transitions of a sync group, newest first; empty for an unknown name."""
        return [event for event in _newest(self._groups.get(name), limit) if isinstance(event, GroupTransition)]

    def incidents(self, name: str, limit: int = INCIDENTS) -> list[Incident]:
        """What was removed from an instance and put back, or could not be set; newest first."""
        packed = list(self._put_back.get(name, ()))[-limit:] if limit > 0 else []
        return [_incidents.decode(one) for one in reversed(packed)]

    def names(self) -> list[str]:
        """Every instance with a history."""
        return list(self._instances)

    def retain(self, instances: Iterable[str], groups: Iterable[str]) -> None:
        """After a reload: forgets the oldest histories of names that are no longer configured."""
        _retire(self._instances, set(instances))
        _retire(self._groups, set(groups))
        _retire(self._put_back, set(self._instances))


def _newest(history: deque[bytes] | None, limit: int) -> list[Transition | GroupTransition]:
    if not history or limit <= 0:
        return []
    chosen = list(history)[-limit:]
    chosen.reverse()
    return [_decoder.decode(packed) for packed in chosen]


def _retire(histories: dict[str, deque[bytes]], configured: set[str]) -> None:
    retired = [name for name in histories if name not in configured]  # oldest first: dicts keep insertion order
    for name in retired[: max(0, len(retired) - _RETIRED)]:
        del histories[name]
