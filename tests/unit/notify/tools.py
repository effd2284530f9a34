"""What the tests of notify share: scripts that log what they were told, commands, and waiting."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from keepvip.script.command import Command, Identity

if TYPE_CHECKING:
    from collections.abc import Callable


class Scripts:
    """A directory of scripts that anybody may execute, and the log that they write to."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "log"
        self.log.touch()
        self.log.chmod(0o666)

    def write(self, name: str, body: str, *, head: str = "#!/bin/sh\n", mode: int = 0o755) -> Path:
        """A script; in its body `$LOG` is the log."""
        path = self.directory / name
        path.write_text(f"{head}LOG={self.log}\n{body}\n")
        path.chmod(mode)
        return path

    @property
    def lines(self) -> list[str]:
        """What the scripts have written so far."""
        return self.log.read_text().splitlines()


def command(path: Path | str, *arguments: str) -> Command:
    """A command that runs as whoever runs the tests."""
    argv = (str(path), *arguments)
    identity = Identity(uid=os.geteuid(), gid=os.getegid(), switch=False)
    return Command(path=str(path), argv=argv, text=" ".join(argv), identity=identity)


async def until(predicate: Callable[[], object], *, timeout_s: float = 20.0) -> None:
    """Waits until something is true, and fails after a deadline."""
    deadline = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout_s} s")
        await asyncio.sleep(0.005)


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state not in {b"Z", b"X"}


def children(parent: int | None) -> list[int]:
    """All children of a process, zombies too."""
    assert parent is not None
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1]) == parent:
                found.append(int(entry.name))
    return found
