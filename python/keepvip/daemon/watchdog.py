"""Signs of life for systemd: sent only while the loop turns and the engine thread does."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepvip.daemon.systemd import Systemd

__all__ = ["watch"]

_log = logging.getLogger("keepvip.daemon")


async def watch(systemd: Systemd, engine_alive: Callable[[], bool]) -> None:
    """Runs until cancelled; returns at once when systemd does not watch us."""
    limit_s = systemd.watchdog_s
    if limit_s is None:
        return
    complained = False
    while True:
        if engine_alive():
            systemd.watchdog()
        elif not complained:
            complained = True
            _log.critical("The engine does not answer: no more signs of life for systemd, which will restart keepvip")
        await asyncio.sleep(limit_s / 3)
