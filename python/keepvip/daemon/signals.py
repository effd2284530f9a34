"""Signals of the daemon (vrrp-behaviour.md 14).

While the configuration is read, a reload waits and everything that ends a process ends it: there is nothing to
clean up, and a file on a dead disk must not make it unstoppable. From just before the engine starts until the
event loop can handle them, all are blocked: a SIGTERM must then stop the daemon properly, not kill it with
addresses on the interfaces. Threads started meanwhile (the engine) inherit the blocked set.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

__all__ = ["DATA", "JSON", "STATS", "STATS_CLEAR", "block", "hold_reload", "install", "remove", "unblock"]

DATA: int = signal.SIGUSR1
STATS: int = signal.SIGUSR2
STATS_CLEAR = signal.SIGRTMAX - 1
JSON = signal.SIGRTMIN + 2
_DUMPS = (DATA, STATS, STATS_CLEAR, JSON)
_HANDLED = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, *_DUMPS)


def hold_reload() -> None:
    """For the start: SIGHUP and the dump signals wait, and SIGINT ends the process without a traceback."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP, *_DUMPS))
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def unblock() -> None:
    """Lets everything through again: for a process that only waits."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)


def block() -> None:
    """Holds our signals back; they arrive as soon as `install` has been called."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)


def install(
    loop: asyncio.AbstractEventLoop,
    *,
    reload: Callable[[], object],
    stop: Callable[[str], object],
    dumps: Mapping[int, Callable[[], object]],
    ignore_sigint: bool = False,
) -> None:
    """Connects the signals to the loop and lets them through. `dumps`: what writes which state file."""
    loop.add_signal_handler(signal.SIGHUP, reload)
    loop.add_signal_handler(signal.SIGTERM, stop, "SIGTERM")
    if ignore_sigint:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    else:
        loop.add_signal_handler(signal.SIGINT, stop, "SIGINT")
    for number in _DUMPS:
        loop.add_signal_handler(number, dumps[number])
    unblock()


def remove(loop: asyncio.AbstractEventLoop) -> None:
    """Blocks the signals again and disconnects them: at the end nothing may interrupt the clean-up."""
    block()
    for number in _HANDLED:
        loop.remove_signal_handler(number)
