"""Real scripts in real directories, and both event loops: what runs on asyncio has to run on uvloop too."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from blockbuster import BlockBuster

from keepvip.notify.command import Command, Identity
from keepvip.notify.runner import Runner


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every asynchronous test here runs on both loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def nothing_blocks() -> Iterator[None]:
    """Any blocking call that notify makes inside the event loop fails the test."""
    guard = BlockBuster(scanned_modules=["keepvip.notify"])
    guard.activate()
    yield
    guard.deactivate()


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


@pytest.fixture
def scripts() -> Iterator[Scripts]:
    # not tmp_path: its parents are closed to other users
    directory = Path(tempfile.mkdtemp(prefix="keepvip-notify-"))
    directory.chmod(0o755)
    yield Scripts(directory)
    shutil.rmtree(directory)


@pytest.fixture
async def runner() -> AsyncIterator[Runner]:
    runner = Runner()
    yield runner
    await runner.close()


def own_command(path: Path | str, *arguments: str) -> Command:
    """A command that runs as whoever runs the tests."""
    identity = Identity(uid=os.geteuid(), gid=os.getegid(), switch=False)
    return Command(path=str(path), argv=(str(path), *arguments), text=" ".join([str(path), *arguments]), identity=identity)


@pytest.fixture
def command() -> Callable[..., Command]:
    return own_command


async def _until(predicate: Callable[[], object], *, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout_s} s: {predicate}")
        await asyncio.sleep(0.005)


@pytest.fixture
def until() -> Callable[..., object]:
    """Waits until something is true, and fails after a deadline."""
    return _until
