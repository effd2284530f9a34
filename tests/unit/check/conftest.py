"""Servers on the loopback interface, both event loops, and nothing that blocks them."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
import uvloop
from blockbuster import BlockBuster

from .servers import Servers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every asynchronous test here runs on both loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def _nothing_blocks() -> Iterator[None]:
    """Any blocking call that a check makes inside the event loop fails the test."""
    guard = BlockBuster(scanned_modules=["keepvip.check", "keepvip.script"])
    guard.activate()
    yield
    guard.deactivate()


@pytest.fixture
async def servers() -> AsyncIterator[Servers]:
    made = Servers()
    yield made
    await made.close()


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port that is taken and where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]
