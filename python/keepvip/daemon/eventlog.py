"""Writes events to the log, with `INSTANCE=` and `VRID=` for journald, and without floods.

Transitions are always written. Of anything else that repeats, the first lines of a period are written and the
rest is counted in one line at its end: two daemons that fight over an address must not fill a disk.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from keepvip.event import Fatal, GroupTransition, Notice, Stopped, Transition
from keepvip.observe import text

if TYPE_CHECKING:
    from keepvip.config.model import Config
    from keepvip.event import Event

__all__ = ["EventLog"]

_log = logging.getLogger("keepvip.vrrp")

PERIOD_S = 10.0
LINES_PER_PERIOD = 10
"""Of one kind of event and one instance."""

_NEVER_HELD_BACK = (Transition, GroupTransition, Notice, Stopped, Fatal)

_Key = tuple[str, str]


class EventLog:
    """Knows the VRID of each instance of the running configuration. Used on the loop."""

    def __init__(self, *, period_s: float = PERIOD_S, lines: int = LINES_PER_PERIOD) -> None:
        self._vrids: dict[str, str] = {}
        self._period_s = period_s
        self._lines = lines
        self._counts: dict[_Key, int] = {}
        """Events of the running period; a key is here exactly while its timer runs."""

    def configure(self, config: Config) -> None:
        """Takes over the names of a configuration. Those of removed instances stay known: their last events follow."""
        self._vrids |= {instance.name: str(instance.vrid) for instance in config.instances}

    def write(self, event: Event) -> None:
        """Logs the event as one line, or counts it when there were too many of its kind."""
        level = text.level(event)
        if not _log.isEnabledFor(level):
            return
        name = str(getattr(event, "instance", None) or "")
        kind = type(event).__name__
        if not isinstance(event, _NEVER_HELD_BACK) and self._held_back((kind, name), level):
            return
        fields = self._fields(kind, name)
        if isinstance(event, GroupTransition):
            fields["GROUP"] = event.group
        record = _log.makeRecord(_log.name, level, "", 0, "%s", (text.sentence(event),), None, extra={"fields": fields})
        # The line shows when it happened, not when the loop came to it.
        record.created = event.at_ns / 1_000_000_000
        record.msecs = event.at_ns // 1_000_000 % 1000
        _log.handle(record)

    def _fields(self, kind: str, name: str) -> dict[str, str]:
        fields = {"EVENT": kind}
        if name:
            fields["INSTANCE"] = name
            fields["VRID"] = self._vrids.get(name, "")
        return fields

    def _held_back(self, key: _Key, level: int) -> bool:
        count = self._counts.get(key, 0) + 1
        self._counts[key] = count
        if count == 1:
            asyncio.get_running_loop().call_later(self._period_s, self._end_period, key, level)
        return count > self._lines

    def _end_period(self, key: _Key, level: int) -> None:
        kind, name = key
        more = self._counts.pop(key) - self._lines
        if more > 0:
            who = f"({name}) " if name else ""
            _log.log(
                level, "%s%d more %s events in %.0f s (see `keepvip events`)", who, more, kind, self._period_s,
                extra={"fields": self._fields(kind, name)},
            )  # fmt: skip
