"""One `track_file`: the number in it, from one change to the next (vrrp-behaviour.md 9).

The file is read on a thread: a disk that does not answer holds up nothing else. While it is read, further changes are
one more reading.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from typing import TYPE_CHECKING

from keepvip.script.offload import off_loop
from keepvip.track.judge import IGNORED, UNKNOWN
from keepvip.track.number import folder_missing, read_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepvip.config.model_track import TrackFile
    from keepvip.event import TrackValue
    from keepvip.track.watch import FileWatcher, Watch

__all__ = ["FileTracker"]

log = logging.getLogger(__name__)


class FileTracker:
    """Belongs to the event loop's thread. `report` is called with a new value and what was seen, in words."""

    def __init__(self, config: TrackFile, watcher: FileWatcher, report: Callable[[TrackValue, str], None]) -> None:
        self.config = config
        self.number: int | None = None
        """None: not read yet."""
        self.detail = "not read yet"
        self.read_ns = 0
        self.reads = 0
        self.disabled = ""
        self.absent = False
        """Not even its folder has been there so far."""
        self._watcher = watcher
        self._report = report
        self._watch: Watch | None = None
        self._reading: asyncio.Task[None] | None = None
        self._again = False

    @property
    def value(self) -> TrackValue:
        """What is known."""
        if self.disabled or self.absent:
            return IGNORED
        return UNKNOWN if self.number is None else self.number

    def begin(self) -> None:
        """Watches the file and reads it."""
        try:
            self._watch = self._watcher.add(self.config.path, self.changed)
        except OSError as error:
            self.disabled = f"track_file {self.config.name}: {self.config.path} cannot be watched: {error.strerror}"
            log.error("%s; it counts as if it were not tracked", self.disabled)
            self._report(IGNORED, self.disabled)
            return
        self.changed()

    def adopt(self, config: TrackFile) -> None:
        """Takes over a new configuration by the same name; of another file the value counts as soon as it is read."""
        old, self.config = self.config, config
        if old.path != config.path or self.disabled:
            self.halt()
            self.disabled, self.absent, self.number = "", False, None
            self.begin()

    def halt(self) -> None:
        """Looks no more."""
        if self._watch is not None:
            self._watcher.remove(self._watch)
            self._watch = None
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def changed(self) -> None:
        """Reads the file, now or after the reading that is under way."""
        if self._reading is not None and not self._reading.done():
            self._again = True
            return
        self._again = False
        self._reading = asyncio.get_running_loop().create_task(self._read(), name=f"read {self.config.name}")

    async def _read(self) -> None:
        while True:
            look = functools.partial(_look, self.config.path, never_seen=self.number is None)
            found = await off_loop(look, name=f"read {self.config.name}")
            if found is None:
                self._no_folder()
            else:
                self._take(*found)
            if not self._again:
                return
            self._again = False

    def _no_folder(self) -> None:
        self.detail = "there is no folder for the file yet"
        if not self.absent:
            self.absent = True
            self._report(IGNORED, self.detail)

    def _take(self, number: int | None, why: str) -> None:
        self.reads += 1
        self.read_ns, self.detail, self.absent = time.time_ns(), why, False
        if number is None:
            log.warning("track_file %s: %s; the value stays %s", self.config.name, why, self.value)
            self.number = self.number or 0
        elif number != self.number:
            self.number = number
            self._report(number, why)


def _look(path: str, *, never_seen: bool) -> tuple[int | None, str] | None:
    """None: there is no folder, and there was none so far."""
    return None if never_seen and folder_missing(path) else read_number(path)
