"""Kernel settings that a configuration asks for while the daemon runs: `promote_secondaries`, `disable_local_igmp`.

The old value is kept and put back at the end, or when a reload no longer asks for it.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LocalIgmp", "PromoteSecondaries"]

_log = logging.getLogger("keepvip.daemon")


class PromoteSecondaries:
    """net.ipv4.conf.INTERFACE.promote_secondaries: when the first address of a subnet goes, the others stay."""

    def __init__(self, root: Path = Path("/proc/sys/net/ipv4/conf")) -> None:
        self._root = root
        self._before: dict[str, str] = {}

    def apply(self, interfaces: Iterable[str]) -> None:
        """Sets it on these interfaces and puts back what it was on those no longer named.

        An interface that does not exist (yet) or may not be changed is logged and left alone.
        """
        wanted = set(interfaces)
        for interface in [name for name in self._before if name not in wanted]:
            self._restore(interface)
        for interface in sorted(wanted - self._before.keys()):
            path = self._path(interface)
            try:
                before = path.read_text(encoding="ascii").strip()
                if before != "1":
                    path.write_text("1", encoding="ascii")
            except OSError as error:
                _log.warning("Cannot set promote_secondaries of %s: %s", interface, error.strerror)
            else:
                self._before[interface] = before

    def restore(self) -> None:
        """Puts everything back as it was."""
        for interface in list(self._before):
            self._restore(interface)

    def _restore(self, interface: str) -> None:
        before = self._before.pop(interface)
        if before == "1":
            return
        try:
            self._path(interface).write_text(before, encoding="ascii")
        except FileNotFoundError:
            _log.debug("%s is gone, and its promote_secondaries with it", interface)
        except OSError as error:
            _log.warning("Cannot restore promote_secondaries of %s: %s", interface, error.strerror)

    def _path(self, interface: str) -> Path:
        return self._root / interface / "promote_secondaries"


class LocalIgmp:
    """net.ipv4.igmp_link_local_mcast_reports, off while the daemon runs (`disable_local_igmp`)."""

    def __init__(self, path: Path = Path("/proc/sys/net/ipv4/igmp_link_local_mcast_reports")) -> None:
        self._path = path
        self._before: str | None = None

    def disable(self) -> None:
        """Turns the reports off; a kernel that cannot is logged."""
        try:
            before = self._path.read_text(encoding="ascii").strip()
            if before != "0":
                self._path.write_text("0", encoding="ascii")
                self._before = before
        except OSError as error:
            _log.warning("Cannot disable IGMP reports of link-local groups (%s): %s", self._path, error.strerror)

    def restore(self) -> None:
        """Puts it back as it was."""
        if self._before is None:
            return
        try:
            self._path.write_text(self._before, encoding="ascii")
        except OSError as error:
            _log.warning("Cannot restore %s: %s", self._path, error.strerror)
        self._before = None
