"""`net.ipv4.ping_group_range`: who may have an ICMP socket without being root (checkers-and-ipvs.md 4.6)."""

from __future__ import annotations

import logging
from pathlib import Path

__all__ = ["PingRange"]

log = logging.getLogger("keepvip.check")

PATH = Path("/proc/sys/net/ipv4/ping_group_range")


class PingRange:
    """Widens the range down to group 0 while the daemon runs."""

    def __init__(self, path: Path = PATH) -> None:
        self._path = path
        self._before = ""

    def widen(self) -> None:
        """Lets group 0 in, if it is not yet."""
        try:
            before = self._path.read_text()
            low, high = (int(word) for word in before.split())
            if low == 0 and high >= 0:
                return
            # `1 0` is the kernel's way to write: nobody.
            self._path.write_text(f"0 {max(high, 0)}")
            self._before = self._before or before
        except (OSError, ValueError) as error:
            log.warning("PING_CHECK: %s cannot be changed: %s", self._path, error)

    def restore(self) -> None:
        """Puts back what was there."""
        if self._before:
            before, self._before = self._before, ""
            try:
                self._path.write_text(before)
            except OSError as error:
                log.warning("%s cannot be put back to %s: %s", self._path, before.strip(), error)
