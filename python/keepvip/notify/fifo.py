"""Named pipes that carry one line per event (vrrp-behaviour.md 15).

Only the writer's end and the format of the lines: the readers that the configuration may name run like other scripts.
`open` and `close` ask the file system and may block, so the daemon calls them in a thread; `write` never waits.
"""

from __future__ import annotations

import fcntl
import logging
import os
import select
import stat
import struct
import termios

__all__ = ["RX_LOWER", "FifoError", "NotifyFifo", "group_line", "instance_line", "priority_state"]

log = logging.getLogger(__name__)

RX_LOWER = "MASTER_RX_LOWER_PRI"
MODE = 0o644


class FifoError(Exception):
    """The path cannot be used as a FIFO; the text says why."""


def instance_line(name: str, state: str, priority: int) -> bytes:
    """`state`: MASTER, BACKUP, FAULT, STOP, DELETED, MASTER_RX_LOWER_PRI, or what `priority_state` gives."""
    return f'INSTANCE "{name}" {state} {priority}\n'.encode(errors="surrogateescape")


def group_line(name: str, state: str) -> bytes:
    """`state`: MASTER, BACKUP, FAULT or STOP."""
    return f'GROUP "{name}" {state} 0\n'.encode(errors="surrogateescape")


def priority_state(state: str) -> str | None:
    """What a change of priority is called in that state: MASTER_PRIORITY or BACKUP_PRIORITY, else it is not told."""
    return f"{state}_PRIORITY" if state in {"MASTER", "BACKUP"} else None


class NotifyFifo:
    """The writer's end of one FIFO."""

    def __init__(self, path: str, *, uid: int, gid: int, umask: int | None = None) -> None:
        """`uid` and `gid`: who owns it if it has to be made, and who may own it otherwise (beside the daemon).

        `umask`: file creation mask; None = that of the process.
        """
        self.path = path
        self._umask = umask
        self._uid = uid
        self._gid = gid
        self._fd = -1
        self._made: tuple[int, int] | None = None
        """Device and inode, if it is ours to remove."""
        self.lost = 0
        """Lines that nobody read in time."""
        self._full = False

    def open(self) -> None:
        """Makes the FIFO if there is none, and opens it. Raises FifoError."""
        try:
            os.mkfifo(self.path, MODE)
        except FileExistsError:
            made = False
        except OSError as error:
            raise FifoError(f"{self.path} cannot be made: {error.strerror}") from error
        else:
            made = True
        try:
            if not made and not stat.S_ISFIFO(os.lstat(self.path).st_mode):
                raise FifoError(f"{self.path} is not a FIFO")  # before it is opened: devices act on being opened
            # For reading, too: then the open needs no reader, and a reader that leaves breaks nothing.
            fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY)
        except OSError as error:
            raise FifoError(f"{self.path} cannot be opened: {error.strerror}") from error
        try:
            self._check(fd, made=made)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def _check(self, fd: int, *, made: bool) -> None:
        found = os.fstat(fd)
        if not stat.S_ISFIFO(found.st_mode):
            raise FifoError(f"{self.path} is not a FIFO")
        if made:
            self._made = (found.st_dev, found.st_ino)
            if self._umask is not None:
                os.fchmod(fd, MODE & ~self._umask)
            if os.geteuid() == 0:
                os.fchown(fd, self._uid, self._gid)
        elif found.st_uid not in {self._uid, os.geteuid()}:
            raise FifoError(f"{self.path} is owned by user {found.st_uid}, neither the daemon's nor the script's")

    def write(self, line: bytes) -> bool:
        """Writes one line, whole or not at all. False: nobody reads and the FIFO is full, so the line is lost."""
        if self._fd < 0:
            return False
        try:
            if len(line) > select.PIPE_BUF:
                raise BlockingIOError  # longer than what is written in one piece
            os.write(self._fd, line)
        except BlockingIOError:
            self.lost += 1
            if not self._full:
                self._full = True
                log.warning("Nobody reads the FIFO %s: lines are lost", self.path)
            return False
        if self._full:
            self._full = False
            log.warning("The FIFO %s is read again; lines lost so far: %d", self.path, self.lost)
        return True

    def waiting(self) -> int:
        """Bytes that nobody has read yet."""
        if self._fd < 0:
            return 0
        return int(struct.unpack("i", fcntl.ioctl(self._fd, termios.FIONREAD, bytes(4)))[0])

    def close(self) -> None:
        """Closes it, and removes it if it was made by `open` and is still the same."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        made, self._made = self._made, None
        if made is None:
            return
        try:
            found = os.lstat(self.path)
            if (found.st_dev, found.st_ino) == made:
                os.unlink(self.path)  # noqa: PTH108  (the path is text from the configuration)
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warning("The FIFO %s cannot be removed: %s", self.path, error.strerror)
