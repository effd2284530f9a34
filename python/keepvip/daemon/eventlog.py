"""Writes events to the log, with `INSTANCE=` and `VRID=` for journald."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from keepvip.event import Event, GroupTransition
from keepvip.observe import text

if TYPE_CHECKING:
    from keepvip.config.model import Config

__all__ = ["EventLog"]

_log = logging.getLogger("keepvip.vrrp")


class EventLog:
    """Knows the VRID of each instance of the running configuration."""

    def __init__(self) -> None:
        self._vrids: dict[str, str] = {}

    def configure(self, config: Config) -> None:
        """Takes over the names of a configuration. Those of removed instances stay known: their last events follow."""
        self._vrids |= {instance.name: str(instance.vrid) for instance in config.instances}

    def write(self, event: Event) -> None:
        """Logs the event as one line."""
        level = text.level(event)
        if not _log.isEnabledFor(level):
            return
        fields = {"EVENT": type(event).__name__}
        name = getattr(event, "instance", None)
        if name is not None:
            fields["INSTANCE"] = name
            fields["VRID"] = self._vrids.get(name, "")
        if isinstance(event, GroupTransition):
            fields["GROUP"] = event.group
        record = _log.makeRecord(_log.name, level, "", 0, "%s", (text.sentence(event),), None, extra={"fields": fields})
        # The line shows when it happened, not when the loop came to it.
        record.created = event.at_ns / 1_000_000_000
        record.msecs = event.at_ns // 1_000_000 % 1000
        _log.handle(record)
