"""Real scripts in real directories, and both event loops: what runs on asyncio has to run on uvloop too."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvloop
from blockbuster import BlockBuster

from keepvip.script.runner import Runner

from .tools import Scripts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every asynchronous test here runs on both loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def _nothing_blocks() -> Iterator[None]:
    """Any blocking call that they make inside the event loop fails the test."""
    guard = BlockBuster(scanned_modules=["keepvip.notify", "keepvip.script"])
    guard.activate()
    yield
    guard.deactivate()


@pytest.fixture
def scripts() -> Iterator[Scripts]:
    """Not in tmp_path, whose parents are closed to other users."""
    directory = Path(tempfile.mkdtemp(prefix="keepvip-notify-"))
    directory.chmod(0o755)
    yield Scripts(directory)
    shutil.rmtree(directory)


@pytest.fixture
async def runner() -> AsyncIterator[Runner]:
    """A runner that is closed at the end."""
    runner = Runner()
    yield runner
    await runner.close()
