"""Named network namespaces, as `ip netns add NAME` makes them."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FOLDER", "enter", "inside"]

T = TypeVar("T")
FOLDER = "/run/netns"
"""Where ip-netns(8) keeps them."""
_CLONE_NEWNET = 0x40000000  # sched.h


def enter(name: str) -> None:
    """Moves the calling thread into a namespace; threads that it makes later inherit it.

    Raises OSError (FileNotFoundError when there is no such namespace, PermissionError without privilege).
    """
    import ctypes  # noqa: PLC0415  (only here; os.setns exists from Python 3.12 on)

    path = f"{FOLDER}/{name}"
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(fd, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(fd)


def inside(name: str, work: Callable[[], T]) -> T:
    """What `work` returns in a namespace. A thread of its own goes there and ends; the caller stays where it is.

    Raises OSError like `enter`, and whatever `work` raises.
    """
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            enter(name)
            found.append(work())
        except BaseException as error:  # raised again in the caller's thread
            failed.append(error)

    thread = threading.Thread(target=run, name=f"netns {name}")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]
