"""Logging that cannot hold anything up.

The loop's side only puts a record into a bounded queue; a thread of its own formats and writes. When
the disk, the terminal or syslog blocks, only that thread waits: the queue fills, further records are
dropped and counted, and the count is logged once the output moves again.
"""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LEVELS", "LogPipe", "Sink", "install", "levels", "set_level"]

QUEUE_LIMIT = 10_000
"""Records waiting to be written; some megabytes at worst."""
STOP_WAIT_S = 1.0
"""How long the end of the daemon waits for the log to be written out."""


LEVELS = ("debug", "info", "warning", "error", "critical")
SUBSYSTEMS = ("keepvip.admin", "keepvip.config", "keepvip.daemon", "keepvip.notify", "keepvip.track", "keepvip.vrrp")
"""Loggers of keepvip, known also before they have logged anything."""


class Sink(Protocol):
    """Where records go. Called on the writer thread only, may block, may raise OSError."""

    def write(self, record: logging.LogRecord) -> None:
        """Writes one record."""

    def close(self) -> None:
        """Releases what the sink holds."""


class LogPipe(logging.Handler):
    """The queue and its writer thread. Install it as the only handler of the root logger."""

    def __init__(self, sinks: Sequence[Sink], limit: int = QUEUE_LIMIT) -> None:
        super().__init__()
        self._sinks = list(sinks)
        self._limit = limit
        self._queue: queue.SimpleQueue[logging.LogRecord | None] = queue.SimpleQueue()
        self._reported = 0
        self.dropped = 0
        """Records lost since the start because the output did not keep up."""
        self.failed = 0
        """Records that an output refused (device full, socket gone) since the start."""
        self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queues the record; never waits for anything."""
        if self._queue.qsize() >= self._limit:
            self.dropped += 1
            return
        try:
            record.msg = record.getMessage()  # now: the arguments may change before the thread comes to it
        except (TypeError, ValueError):
            record.msg = f"{record.msg} {record.args!r}"  # arguments that do not fit the text: show both
        record.args = None
        self._queue.put(record)

    def stop(self, timeout_s: float = STOP_WAIT_S) -> bool:
        """Writes out what waits and ends the thread. False: the output is blocked and was abandoned."""
        self._queue.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        for sink in self._sinks:
            sink.close()
        return True

    def _write_all(self) -> None:
        while (record := self._queue.get()) is not None:
            self._write(record)
            if self._queue.empty():
                self._report_dropped()
        self._report_dropped()

    def _write(self, record: logging.LogRecord) -> None:
        for sink in self._sinks:
            try:
                sink.write(record)
            except Exception:
                # Nobody is left to tell but the counter, which `keepvip status` shows; the thread must live on.
                self.failed += 1

    def _report_dropped(self) -> None:
        count = self.dropped - self._reported
        if count == 0:
            return
        self._reported += count
        text = f"{count} log messages were dropped: the log output did not keep up"
        self._write(logging.LogRecord("keepvip.log", logging.WARNING, "", 0, text, None, None))


def levels() -> dict[str, str]:
    """The subsystems that log, each with the level from which its messages are written."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("keepvip.")]
    names += [name for name in SUBSYSTEMS if name not in names]
    return {name: logging.getLevelName(logging.getLogger(name).getEffectiveLevel()).lower() for name in sorted(names)}


def set_level(name: str, level: str) -> None:
    """Sets the level of a subsystem ("vrrp" or "keepvip.vrrp"; "keepvip": of all).

    Raises ValueError for a name or level that does not exist; nothing is changed then.
    """
    full = name if name == "keepvip" or name.startswith("keepvip.") else f"keepvip.{name}"
    if full != "keepvip" and full not in levels():
        raise ValueError(f"there is no subsystem {name!r}")
    if level not in LEVELS:
        raise ValueError(f"the level must be one of {', '.join(LEVELS)}, not {level!r}")
    if full == "keepvip":
        for known in levels():
            logging.getLogger(known).setLevel(logging.NOTSET)  # as "keepvip" says
    logging.getLogger(full).setLevel(level.upper())


def install(sinks: Sequence[Sink], level: int, limit: int = QUEUE_LIMIT) -> LogPipe:
    """Makes the pipe the only output of all loggers; keepvip's own from `level` up, others from warnings up."""
    pipe = LogPipe(sinks, limit)
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(pipe)
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("keepvip").setLevel(level)
    logging.raiseExceptions = False  # a broken message must not print tracebacks to a terminal that may be gone
    return pipe
