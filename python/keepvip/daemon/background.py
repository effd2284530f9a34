"""Into the background, before any thread exists.

The process forks twice (a session of its own, never again a controlling terminal). The parent stays until
the daemon says that it runs, or how it failed: its exit status is the daemon's start.
"""

from __future__ import annotations

import os

from keepvip.daemon import signals

__all__ = ["Launch", "detach"]

MESSAGE_LIMIT = 4000
"""Bytes; one write to a pipe of up to 4096 is never split."""


class Launch:
    """The daemon's end of the pipe to the waiting parent. Without a parent (foreground) it does nothing."""

    def __init__(self, fd: int | None = None) -> None:
        self._fd = fd

    def report(self, status: int, message: str = "") -> None:
        """Lets the parent exit with `status`, with a message on its stderr. Only the first report counts."""
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        try:
            os.write(fd, bytes([status & 0xFF]) + message.encode("utf-8", "replace")[:MESSAGE_LIMIT])
        except BrokenPipeError:
            pass  # the parent was killed while it waited: nobody to tell
        finally:
            os.close(fd)


def detach() -> Launch:
    """Returns in the daemon only; the calling process ends with the status that the daemon reports.

    A daemon that dies without a report makes the parent exit 1. Must run before the first thread: a fork
    copies only the calling thread, and locks of the others would stay locked forever.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child:
        os.close(writer)
        _wait_and_exit(reader, child)
    os.close(reader)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    _null_streams()
    return Launch(writer)


def _wait_and_exit(reader: int, child: int) -> None:
    signals.unblock()
    os.waitpid(child, 0)
    report = os.read(reader, 1 + MESSAGE_LIMIT)
    if len(report) > 1:
        os.write(2, report[1:] + b"\n")
    # _exit: buffered output and exit handlers belong to the process that goes on.
    os._exit(report[0] if report else 1)


def _null_streams() -> None:
    """Standard streams to /dev/null: the terminal must be free to close."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    if null > 2:
        os.close(null)
