"""Moves the process into a named network namespace (`-s NAME`, `net_namespace NAME`)."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["enter"]

_CLONE_NEWNET = 0x40000000  # sched.h
_FOLDER = Path("/run/netns")  # where ip-netns(8) keeps them


def enter(name: str) -> None:
    """Enters the namespace that `ip netns add NAME` made.

    Must run before the first thread: a namespace belongs to a thread, and later ones inherit it.
    Raises OSError (FileNotFoundError when there is no such namespace, PermissionError without privilege).
    """
    import ctypes  # noqa: PLC0415  (only here; os.setns exists from Python 3.12 on)

    fd = os.open(_FOLDER / name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(fd, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(_FOLDER / name))
    finally:
        os.close(fd)
