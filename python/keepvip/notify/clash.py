"""Two masters at once, and what is done when the other one has given up.

Whoever is master beside us has told the network, and perhaps a cloud's route table or a switch, that the addresses are
his. Gratuitous ARP wins the neighbours back, nothing wins back what a notify script does. So the scripts of MASTER are
run once more when no advert of the other master has come for three intervals. Who has a `notify_master_rx_lower_pri`
does that himself, and is left alone.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keepvip.notify.owner import Owner

__all__ = ["Clashes"]

log = logging.getLogger(__name__)

QUIET_INTERVALS = 3
"""So many intervals without an advert of lower priority, and the other master is gone."""


class Clashes:
    """Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._timers: dict[Owner, asyncio.TimerHandle] = {}

    def heard(self, owner: Owner) -> None:
        """A master has heard an advert of lower priority."""
        self.over(owner)
        if owner.notify.rx_lower is None and (owner.notify.master is not None or owner.notify.any is not None):
            delay_s = QUIET_INTERVALS * owner.advert_int_us / 1e6
            self._timers[owner] = asyncio.get_running_loop().call_later(delay_s, self._won, owner)

    def over(self, owner: Owner) -> None:
        """It is not master any more, or has to be told nothing."""
        timer = self._timers.pop(owner, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Tells nobody anything more."""
        for owner in list(self._timers):
            self.over(owner)

    def _won(self, owner: Owner) -> None:
        self._timers.pop(owner, None)
        if owner.told == "MASTER" and not owner.gone:
            log.info("(%s) The other master has given up: the scripts for MASTER are run again", owner.name)
            owner.queue.put(owner.batch("MASTER"))
