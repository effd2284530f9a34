"""Tells when files change: written and closed, renamed to or away, deleted, with their folder or without it.

A folder that does not exist (yet, or any more) is waited for at its nearest ancestor. A symbolic link is followed, and
its own folder is watched as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
from typing import TYPE_CHECKING

from keepvip import kernel

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FileWatcher", "Watch"]

log = logging.getLogger(__name__)

_MASK = (
    kernel.IN_CLOSE_WRITE
    | kernel.IN_MOVED_FROM
    | kernel.IN_MOVED_TO
    | kernel.IN_CREATE
    | kernel.IN_DELETE
    | kernel.IN_DELETE_SELF
    | kernel.IN_MOVE_SELF
    | kernel.IN_ONLYDIR
)
_OF_FOLDER = kernel.IN_DELETE_SELF | kernel.IN_MOVE_SELF | kernel.IN_IGNORED


class Watch:
    """One file that is watched."""

    __slots__ = ("changed", "names", "path")

    def __init__(self, path: str, changed: Callable[[], None]) -> None:
        self.path = path
        self.changed = changed
        """Called when the content may be another one."""
        self.names: dict[int, dict[str, bool]] = {}
        """By number of the kernel's watch: names of interest in that folder, and whether they are the file itself (not
        a folder on the way to it)."""


class FileWatcher:
    """All watches of one event loop, over one inotify descriptor that is made with the first of them.

    Raises OSError when it cannot be made, or when the user has used up all watches (`ENOSPC`).
    """

    def __init__(self) -> None:
        self._inotify: kernel.Inotify | None = None
        self._watches: set[Watch] = set()

    def add(self, path: str, changed: Callable[[], None]) -> Watch:
        """Watches a file, whether it exists or not."""
        if self._inotify is None:
            self._inotify = kernel.Inotify()
            asyncio.get_running_loop().add_reader(self._inotify.fileno(), self._read)
        watch = Watch(os.path.abspath(path), changed)  # noqa: PTH100  (resolve would follow links)
        self._arm(watch)
        self._watches.add(watch)
        return watch

    def remove(self, watch: Watch) -> None:
        """Ends a watch."""
        self._watches.discard(watch)
        self._release(watch, set(watch.names))

    def close(self) -> None:
        """Ends all watches."""
        self._watches.clear()
        if self._inotify is not None:
            asyncio.get_running_loop().remove_reader(self._inotify.fileno())
            self._inotify = None

    def _arm(self, watch: Watch) -> None:
        """(Re)places the kernel's watches for one file."""
        before, watch.names = set(watch.names), {}
        self._follow(watch, watch.path)
        with contextlib.suppress(OSError):  # a loop of links, or no permission on the way
            target = os.path.realpath(watch.path)
            if target != watch.path:
                self._follow(watch, target)
        self._release(watch, before - set(watch.names))

    def _follow(self, watch: Watch, path: str) -> None:
        """Watches the folder of a path, or the nearest ancestor that exists."""
        if self._inotify is None:
            return
        folder, name = os.path.split(path)
        is_file = True
        while True:
            try:
                number = self._inotify.watch(folder, _MASK)
            except (FileNotFoundError, NotADirectoryError):
                if folder == "/":
                    raise
                folder, name = os.path.split(folder)
                is_file = False
                continue
            watch.names.setdefault(number, {})[name] = is_file
            if is_file or not os.path.isdir(os.path.join(folder, name)):  # noqa: PTH112, PTH118
                return
            folder, name = os.path.split(path)  # it appeared between the two looks
            is_file = True

    def _release(self, watch: Watch, numbers: set[int]) -> None:
        used = {number for other in self._watches if other is not watch for number in other.names}
        for number in numbers - used:
            if self._inotify is not None:
                self._inotify.forget(number)

    def _read(self) -> None:
        if self._inotify is None:
            return
        dirty: dict[Watch, None] = {}
        for number, mask, name in self._inotify.drain():
            for watch in self._watches:
                if mask & kernel.IN_Q_OVERFLOW or _concerns(watch, number, mask, name):
                    dirty[watch] = None
        for watch in dirty:
            if watch not in self._watches:
                continue
            try:
                self._arm(watch)
            except OSError as error:
                log.error("%s cannot be watched any more: %s", watch.path, error.strerror)
            watch.changed()


def _concerns(watch: Watch, number: int, mask: int, name: str) -> bool:
    names = watch.names.get(number)
    if names is None:
        return False
    if mask & _OF_FOLDER:
        return True
    is_file = names.get(name)
    if is_file is None:
        return False
    # A file that has just been made is empty: what counts is when it is closed. Links have no such moment.
    return not (is_file and mask & kernel.IN_CREATE) or _is_link(watch.path)


def _is_link(path: str) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISLNK(found.st_mode) or found.st_nlink > 1
