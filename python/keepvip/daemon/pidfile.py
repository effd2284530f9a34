"""Pid files that also are the lock: one daemon per file (vrrp-behaviour.md 17).

The lock is `flock` on the open file. It survives the forks of going into the background, ends with the
process however it ends, and so a stale file never keeps a new daemon from starting. A keepalived that does
not lock its pid file is recognised by the process that the file names.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

__all__ = ["AlreadyRunningError", "PidFile"]


class AlreadyRunningError(Exception):
    """Another daemon holds the pid file. `pid` is None when the file does not tell."""

    def __init__(self, path: Path, pid: int | None) -> None:
        self.path = path
        self.pid = pid
        super().__init__(f"already running{f' as process {pid}' if pid else ''} (pid file {path})")


class PidFile:
    """A locked pid file: `acquire`, then (in the process that stays) `write`, at the end `release`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._fd: int | None = None

    def acquire(self, names: tuple[str, ...] = ("keepalived", "keepvip")) -> None:
        """Creates and locks the file.

        Raises `AlreadyRunningError` when it is locked, or names a live process whose name begins with one of
        `names`; OSError when the file cannot be created.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = _read_pid(fd)
                os.close(fd)
                raise AlreadyRunningError(self.path, pid) from None
            if self._is_named(fd):
                break
            os.close(fd)  # the last holder removed it between our open and our lock: take the new one
        pid = _read_pid(fd)
        if pid is not None and pid != os.getpid() and _process_name(pid).startswith(names):
            os.close(fd)
            raise AlreadyRunningError(self.path, pid)
        self._fd = fd

    def write(self, pid: int | None = None) -> None:
        """Writes the process id (our own unless given)."""
        if self._fd is None:
            msg = "write needs a pid file that was acquired"
            raise RuntimeError(msg)
        data = f"{os.getpid() if pid is None else pid}\n".encode()
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, data, 0)

    def release(self) -> None:
        """Removes the file, if it still is ours, and unlocks it. Does nothing when not acquired."""
        if self._fd is None:
            return
        if self._is_named(self._fd):
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()
        self.forget()

    def forget(self) -> None:
        """Closes our descriptor and leaves the file alone: for the parent that has gone to the background."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _is_named(self, fd: int) -> bool:
        mine = os.fstat(fd)
        try:
            named = self.path.lstat()
        except FileNotFoundError:
            return False
        return (named.st_dev, named.st_ino) == (mine.st_dev, mine.st_ino)


def _read_pid(fd: int) -> int | None:
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() and int(text) > 0 else None


def _process_name(pid: int) -> str:
    """The name of a live process, "" when there is none."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
