"""The way to a file: every directory and every symbolic link on it, with owner and mode.

Pure but for the `lstat` and `readlink` that it is given, so that tests can describe any file system.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from keepvip.script.host import ScriptHost

__all__ = ["Step", "Walk", "describe_unsafe", "walk"]

MAX_LINKS = 40
"""As the kernel: more symbolic links than this in one path are a loop (ELOOP)."""


class Step(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing on the way."""

    path: str
    mode: int
    uid: int
    gid: int


class Walk(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The whole way. `steps` begins with the root directory and ends with the file, if there is no `error`."""

    path: str
    target: str
    """The same file without any symbolic link."""
    steps: tuple[Step, ...] = ()
    error: int = 0
    """errno of what stopped the walk."""


def walk(path: str, host: ScriptHost) -> Walk:
    """Goes from the root directory to `path` (absolute, normalised), through all symbolic links."""
    steps: list[Step] = []
    links = 0
    here = "/"
    todo = [part for part in path.split("/") if part][::-1]
    try:
        steps.append(_step("/", host))
        while todo:
            part = todo.pop()
            if part == ".":
                continue
            if part == "..":
                here = os.path.dirname(here)  # noqa: PTH120  (text: `here` holds no links)
                continue
            place = f"{here.rstrip('/')}/{part}"
            step = _step(place, host)
            steps.append(step)
            if not stat.S_ISLNK(step.mode):
                here = place
                continue
            links += 1
            if links > MAX_LINKS:
                return Walk(path=path, target=path, steps=tuple(steps), error=errno.ELOOP)
            link = host.readlink(place)
            if link.startswith("/"):
                here = "/"
            todo += [part for part in link.split("/") if part][::-1]
    except OSError as error:
        return Walk(path=path, target=path, steps=tuple(steps), error=error.errno or errno.EIO)
    except ValueError:  # a NUL in the name
        return Walk(path=path, target=path, steps=tuple(steps), error=errno.ENOENT)
    return Walk(path=path, target=here, steps=tuple(steps))


def _step(path: str, host: ScriptHost) -> Step:
    found = host.lstat(path)
    return Step(path=path, mode=found.st_mode, uid=found.st_uid, gid=found.st_gid)


def describe_unsafe(found: Walk) -> str:
    """Who besides root could put another program there; empty if nobody can."""
    for step in found.steps:
        if step.uid != 0:
            return f"{step.path} is owned by user {step.uid}"
        if stat.S_ISLNK(step.mode):
            continue  # its mode means nothing: who may replace it depends on the directory
        if stat.S_ISDIR(step.mode) and step.mode & stat.S_ISVTX:
            continue  # only owners remove or rename what is in it
        if step.mode & stat.S_IWOTH:
            return f"{step.path} is writable by everybody"
        if step.mode & stat.S_IWGRP and step.gid != 0:
            return f"{step.path} is writable by group {step.gid}"
    return ""
