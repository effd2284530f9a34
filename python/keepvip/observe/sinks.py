"""Plain outputs of the log: a descriptor (stderr), a file, syslog.

All write with `os.write` and datagrams, never through Python's buffered streams: a thread stuck in one
of those would hold its lock and abort the interpreter at exit.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

__all__ = ["DescriptorSink", "FileSink", "SyslogSink", "json_lines", "plain_lines", "priority", "sd_lines", "text_of"]

_FORMATTER = logging.Formatter()

LOG_DAEMON = 3
"""Number of the syslog facility "daemon" (syslog.h)."""


def priority(level: int) -> int:
    """The syslog severity (0 emergency ... 7 debug) of a `logging` level."""
    if level >= logging.CRITICAL:
        return 2
    if level >= logging.ERROR:
        return 3
    if level >= logging.WARNING:
        return 4
    return 6 if level >= logging.INFO else 7


def text_of(record: logging.LogRecord) -> str:
    """The message, with the traceback when there is one."""
    text = record.getMessage()
    if record.exc_info:
        text += "\n" + _FORMATTER.formatException(record.exc_info)
    return text


def _time(record: logging.LogRecord) -> str:
    now = time.localtime(record.created)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', now)}.{int(record.msecs):03d}"


Format = Callable[[logging.LogRecord], str]
"""A record as whole lines."""


def plain_lines(record: logging.LogRecord) -> str:
    """Time, the level when it is no mere information, the message."""
    mark = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
    return f"{_time(record)} {mark}{text_of(record)}\n"


def sd_lines(record: logging.LogRecord) -> str:
    """`<6>message`, for a stderr that systemd reads (sd-daemon(3))."""
    prefix = f"<{priority(record.levelno)}>"
    return "".join(f"{prefix}{line}\n" for line in text_of(record).split("\n"))


def json_lines(record: logging.LogRecord) -> str:
    """One JSON object: time (RFC 3339), level, logger, message, and the fields of an event in lower case."""
    at = datetime.fromtimestamp(record.created, tz=UTC)
    data = {
        "time": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": text_of(record),
    }
    fields = getattr(record, "fields", None)
    if isinstance(fields, dict):
        data |= {name.lower(): value for name, value in fields.items()}
    return msgspec.json.encode(data).decode() + "\n"


class DescriptorSink:
    """Lines on an open descriptor."""

    def __init__(self, fd: int = 2, *, form: Format = plain_lines) -> None:
        self._fd = fd
        self._form = form

    def write(self, record: logging.LogRecord) -> None:
        """Writes one record."""
        _write_all(self._fd, self._form(record).encode("utf-8", "replace"))

    def close(self) -> None:
        """The descriptor belongs to somebody else."""


class FileSink(DescriptorSink):
    """Appends to a file; opened again after it was moved away (logrotate), looked at once a second at most."""

    _LOOK_S = 1.0

    def __init__(self, path: str, *, form: Format = plain_lines, mode: int = 0o640) -> None:
        self._path = Path(path)
        self._mode = mode
        self._looked_s = time.monotonic()
        super().__init__(self._open(), form=form)

    def write(self, record: logging.LogRecord) -> None:
        """Writes one record to the file that has the name now."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= self._LOOK_S:
            self._looked_s = now_s
            if self._moved():
                os.close(self._fd)
                self._fd = self._open()
        super().write(record)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, self._mode)

    def _moved(self) -> bool:
        mine = os.fstat(self._fd)
        try:
            named = self._path.stat()
        except FileNotFoundError:
            return True
        return (named.st_dev, named.st_ino) != (mine.st_dev, mine.st_ino)


class SyslogSink:
    """Datagrams to the local syslog socket in the traditional format (RFC 3164), connected again after a restart."""

    def __init__(self, tag: str, *, facility: int = LOG_DAEMON, path: str = "/dev/log") -> None:
        self._tag = tag
        self._facility = facility
        self._path = path
        self._socket: socket.socket | None = None

    def write(self, record: logging.LogRecord) -> None:
        """Sends one record, each line as a message; OSError when no syslog listens."""
        pri = self._facility << 3 | priority(record.levelno)
        now = time.localtime(record.created)
        stamp = f"{time.strftime('%b', now)} {now.tm_mday:2d} {time.strftime('%H:%M:%S', now)}"
        for line in text_of(record).split("\n"):
            self._send(f"<{pri}>{stamp} {self._tag}[{os.getpid()}]: {line}".encode("utf-8", "replace"))

    def close(self) -> None:
        """Closes the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, data: bytes) -> None:
        if self._socket is not None:
            try:
                self._socket.send(data)
            except ConnectionError:
                self.close()  # syslog was restarted: its socket is a new one
            else:
                return
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            connection.connect(self._path)
            connection.send(data)
        except OSError:
            connection.close()
            raise
        self._socket = connection


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
