"""When to reload by itself: `reload_time_file` (config-keywords.md 2.7, vrrp-behaviour.md 16).

The file holds `HH:MM:SS`, `YY-MM-DD HH:MM:SS` or `YYYY-MM-DD HH:MM:SS`, with a `Z` at the end for UTC. It is
looked at at the start, after every reload, and when it changes. When the time has come the file is removed, unless
`reload_repeat` is set and it names no date.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepvip.config.model_process import ProcessSettings
    from keepvip.track.watch import FileWatcher, Watch

__all__ = ["Moment", "ReloadClock", "read_moment"]

log = logging.getLogger("keepvip.daemon")

LOOK_S = 30.0
"""The wall clock is looked at again after so long: somebody may set it."""
_FORM = re.compile(r"(?:((?:\d\d)?\d\d)-(\d\d)-(\d\d) )?(\d\d):(\d\d):(\d\d)(Z?)")


class Moment(msgspec.Struct, frozen=True):
    """When to reload."""

    at_s: float
    """Wall clock, since 1970."""
    dated: bool
    """The file names a day; otherwise the next time that the clock shows this is meant."""


def read_moment(text: str, now_s: float) -> Moment | str:
    """The moment that a file names, or why it names none."""
    line = text.split("\n", 1)[0]
    found = _FORM.fullmatch(line)
    if found is None:
        return f"{line!r} is not HH:MM:SS, YY-MM-DD HH:MM:SS or YYYY-MM-DD HH:MM:SS"
    year, month, day, hour, minute, second, utc = found.groups()
    zone = dt.UTC if utc else None
    today = dt.datetime.fromtimestamp(now_s, zone)
    try:
        moment = today.replace(hour=int(hour), minute=int(minute), second=int(second), microsecond=0)
        if year is None:
            if moment.timestamp() <= now_s:
                moment += dt.timedelta(days=1)
            return Moment(moment.timestamp(), dated=False)
        century = 2000 if len(year) == 2 else 0
        moment = moment.replace(year=century + int(year), month=int(month), day=int(day))
    except ValueError as error:
        return f"{line!r}: {error}"
    if moment.timestamp() <= now_s:
        return f"{line} is in the past"
    return Moment(moment.timestamp(), dated=True)


class ReloadClock:
    """Belongs to the event loop's thread. `reload` is called when the time has come."""

    def __init__(self, watcher: FileWatcher, reload: Callable[[], object]) -> None:
        self.moment: Moment | None = None
        self._watcher = watcher
        self._reload = reload
        self._path: str | None = None
        self._repeat = False
        self._watch: Watch | None = None
        self._timer: asyncio.TimerHandle | None = None

    def configure(self, process: ProcessSettings) -> None:
        """Takes over a configuration; the file is looked at in any case."""
        self._repeat = process.reload_repeat
        if process.reload_time_file != self._path or self._watch is None:
            self.close()
            self._path = process.reload_time_file
            if self._path is not None:
                try:
                    self._watch = self._watcher.add(self._path, self._look)
                except OSError as error:
                    log.error("reload_time_file %s cannot be watched: %s", self._path, error.strerror)
        self._look()

    def close(self) -> None:
        """Looks no more."""
        if self._watch is not None:
            self._watcher.remove(self._watch)
            self._watch = None
        self._cancel()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.moment = None

    def _look(self) -> None:
        before = self.moment
        self._cancel()
        if self._path is None:
            return
        try:
            text = Path(self._path).read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            if before is not None:
                log.info("No reload is scheduled any more: %s is gone", self._path)
            return
        except OSError as error:
            log.error("reload_time_file %s cannot be read: %s", self._path, error.strerror)
            return
        found = read_moment(text, time.time())
        if isinstance(found, str):
            log.warning("reload_time_file %s: %s; no reload is scheduled", self._path, found)
            return
        self.moment = found
        if before is None or before.at_s != found.at_s:
            shown = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found.at_s))
            log.info("Scheduling reload for %s", shown)
        self._wait()

    def _wait(self) -> None:
        if self.moment is None:
            return
        left_s = self.moment.at_s - time.time()
        if left_s > 0:
            self._timer = asyncio.get_running_loop().call_later(min(left_s, LOOK_S), self._wait)
            return
        dated = self.moment.dated
        self._cancel()
        if self._path is not None and (dated or not self._repeat):
            try:
                Path(self._path).unlink(missing_ok=True)
            except OSError as error:
                log.error("reload_time_file %s cannot be removed: %s", self._path, error.strerror)
        self._reload()
        if self._repeat:
            self._look()
