"""Signals of the daemon (vrrp-behaviour.md 14).

While the configuration is read, a reload waits and everything that ends a process ends it: there is nothing to
clean up, and a file on a dead disk must not make it unstoppable. From just before the engine starts until the
event loop can handle them, all are blocked: a SIGTERM must then stop the daemon properly, not kill it with
addresses on the interfaces. Threads started meanwhile (the engine) inherit the blocked set.
"""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["block", "hold_reload", "install", "remove", "unblock"]

_log = logging.getLogger("keepvip.daemon")

_DUMPS: dict[int, str] = {
    signal.SIGUSR1: "a dump of the data",
    signal.SIGUSR2: "a dump of the statistics",
    signal.SIGRTMAX - 1: "a dump and reset of the statistics",
    signal.SIGRTMIN + 2: "a dump in JSON",
}
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
    ignore_sigint: bool = False,
) -> None:
    """Connects the signals to the loop and lets them through."""
    loop.add_signal_handler(signal.SIGHUP, reload)
    loop.add_signal_handler(signal.SIGTERM, stop, "SIGTERM")
    if ignore_sigint:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    else:
        loop.add_signal_handler(signal.SIGINT, stop, "SIGINT")
    for number, what in _DUMPS.items():
        loop.add_signal_handler(number, _say_not_yet, number, what)
    unblock()


def remove(loop: asyncio.AbstractEventLoop) -> None:
    """Blocks the signals again and disconnects them: at the end nothing may interrupt the clean-up."""
    block()
    for number in _HANDLED:
        loop.remove_signal_handler(number)


def _say_not_yet(number: int, what: str) -> None:
    _log.warning(
        "Signal %d asks for %s, which is not supported yet; `keepvip status --json` shows the same numbers",
        number,
        what,
    )
