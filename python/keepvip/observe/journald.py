"""Records to journald over its native socket, with fields (systemd, "Native Journal Protocol").

One datagram per record: `KEY=value` lines, or for values with line breaks the key, a 64-bit little-endian
length and the bytes. A datagram that is too large goes as a sealed memory file instead.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import socket
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from keepvip.observe.sinks import priority, text_of

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

__all__ = ["SOCKET", "JournaldSink", "available", "stderr_is_journal"]

SOCKET = "/run/systemd/journal/socket"

# fcntl.h; Python's fcntl module lacks the seals before 3.13 on some builds.
_F_ADD_SEALS = 1033
_ALL_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # seal, shrink, grow, write


def available(path: str = SOCKET) -> bool:
    """Whether a journald listens on this host."""
    try:
        return stat.S_ISSOCK(Path(path).stat().st_mode)
    except OSError:
        return False


def stderr_is_journal(environ: Mapping[str, str], fd: int = 2) -> bool:
    """Whether `fd` is the journal's stream: systemd names its device and inode in `JOURNAL_STREAM`."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    if not device.isdigit() or not inode.isdigit():
        return False
    try:
        mine = os.fstat(fd)
    except OSError:
        return False
    return (mine.st_dev, mine.st_ino) == (int(device), int(inode))


def encode(fields: Mapping[str, str]) -> bytes:
    """The fields as journald reads them."""
    parts: list[bytes] = []
    for key, value in fields.items():
        name, data = key.encode("ascii"), value.encode("utf-8", "replace")
        if b"\n" in data:
            parts.append(name + b"\n" + struct.pack("<Q", len(data)) + data + b"\n")
        else:
            parts.append(name + b"=" + data + b"\n")
    return b"".join(parts)


class JournaldSink:
    """Sends records with `INSTANCE=`, `VRID=` and whatever else a record carries in its `fields`."""

    def __init__(self, tag: str, *, facility: int | None = None, path: str = SOCKET) -> None:
        self._path = path
        self._fixed = {"SYSLOG_IDENTIFIER": tag, "SYSLOG_PID": str(os.getpid())}
        if facility is not None:
            self._fixed["SYSLOG_FACILITY"] = str(facility)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def write(self, record: logging.LogRecord) -> None:
        """Sends one record; OSError when journald does not listen."""
        fields = {"MESSAGE": text_of(record), "PRIORITY": str(priority(record.levelno)), "LOGGER": record.name}
        fields.update(self._fixed)
        extra = getattr(record, "fields", None)
        if isinstance(extra, dict):
            fields.update(extra)
        data = encode(fields)
        try:
            self._socket.sendto(data, self._path)
        except OSError as error:
            if error.errno not in {errno.EMSGSIZE, errno.ENOBUFS}:
                raise
            self._send_file(data)

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def _send_file(self, data: bytes) -> None:
        fd = os.memfd_create("keepvip-journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.write(fd, data)
            fcntl.fcntl(fd, _F_ADD_SEALS, _ALL_SEALS)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]).tobytes())]
            self._socket.sendmsg([], rights, 0, self._path)
        finally:
            os.close(fd)
