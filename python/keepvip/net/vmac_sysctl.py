"""Kernel settings that links of our own need elsewhere, and what they were before (vrrp-behaviour.md 11).

`all.rp_filter` counts for every interface, also for those that have the check turned off: it is moved into `default`
and into every interface, so that each is checked as before, and a macvlan can do without.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from keepvip.net import link_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keepvip.net.link_facts import Snapshot
    from keepvip.net.requests import Requests

__all__ = ["Settings"]

_log = logging.getLogger("keepvip.net")


class Settings:
    """Sets, and puts back what somebody else has not changed meanwhile. `Requests` are those of the same namespace."""

    def __init__(self, root: Path = Path("/proc/sys/net")) -> None:
        self._ipv4 = root / "ipv4/conf"
        self._ipv6 = root / "ipv6/conf"
        self._before: dict[tuple[int, str], tuple[int, int]] = {}
        """Interface index and setting: what it was, and what it was set to."""
        self._moved: dict[str, tuple[str, str]] = {}
        """The same for `all` and `default`."""

    def set_parents(self, requests: Requests, snapshot: Snapshot, wanted: Mapping[str, Mapping[str, int]]) -> None:
        """Sets net.ipv4.conf of interfaces, and puts back those that are no longer wanted."""
        keep = set()
        changes: dict[str, dict[str, int]] = {}
        for name, settings in wanted.items():
            link = snapshot.by_name.get(name)
            if link is None:
                continue
            for setting, value in settings.items():
                keep.add((link.index, setting))
                now = link.setting(setting)
                if now not in {value, None}:
                    self._before.setdefault((link.index, setting), (now or 0, value))
                    changes.setdefault(name, {})[setting] = value
        for index, setting in [known for known in self._before if known not in keep and known[1] != "rp_filter"]:
            self._put_back(snapshot, index, setting, changes)
        self._change(requests, changes)

    def move_rp_filter(self, requests: Requests, snapshot: Snapshot, spare: set[str]) -> None:
        """`all.rp_filter` becomes 0, and what it meant for every interface is said of it, those in `spare` apart."""
        everywhere = self._read(self._ipv4 / "all" / "rp_filter")
        if everywhere in {None, "0"}:
            return
        default = self._read(self._ipv4 / "default" / "rp_filter")
        level = int(everywhere or 0)
        changes: dict[str, dict[str, int]] = {}
        for link in snapshot.links.values():
            now = link.setting("rp_filter")
            if now is not None and now < level and link.name not in spare:
                self._before.setdefault((link.index, "rp_filter"), (now, level))
                changes[link.name] = {"rp_filter": level}
        self._change(requests, changes)
        if default is not None and int(default) < level:
            self._write_global("default", default, str(level))
        self._write_global("all", str(level), "0")

    def _write_global(self, scope: str, before: str, value: str) -> None:
        path = self._ipv4 / scope / "rp_filter"
        if self._write(path, value):
            self._moved.setdefault(scope, (before, value))
            _log.info("net.ipv4.conf.%s.rp_filter is %s instead of %s while there are macvlans", scope, value, before)

    def set_ipv6(self, name: str, *, disabled: bool) -> None:
        """net.ipv6.conf.NAME.disable_ipv6 of a link of our own; it ends with the link."""
        self._write(self._ipv6 / name / "disable_ipv6", "1" if disabled else "0")

    def restore(self, requests: Requests, snapshot: Snapshot) -> None:
        """Everything as it was."""
        for scope in ("all", "default"):
            if scope in self._moved:
                before, value = self._moved.pop(scope)
                path = self._ipv4 / scope / "rp_filter"
                if self._read(path) == value:
                    self._write(path, before)
        changes: dict[str, dict[str, int]] = {}
        for index, setting in list(self._before):
            self._put_back(snapshot, index, setting, changes)
        self._change(requests, changes)

    def _put_back(self, snapshot: Snapshot, index: int, setting: str, changes: dict[str, dict[str, int]]) -> None:
        before, value = self._before.pop((index, setting))
        link = snapshot.links.get(index)
        if link is not None and link.setting(setting) == value:
            changes.setdefault(link.name, {})[setting] = before

    def _change(self, requests: Requests, changes: Mapping[str, Mapping[str, int]]) -> None:
        asked = [link_request.configure(name, settings=settings) for name, settings in changes.items()]
        for (name, settings), answer in zip(changes.items(), requests.talk(asked), strict=True):
            if answer.errno:
                why = answer.text or os.strerror(answer.errno)
                _log.warning("Cannot set %s of net.ipv4.conf.%s: %s", ", ".join(settings), name, why)

    def _read(self, path: Path) -> str | None:
        try:
            return path.read_text(encoding="ascii").strip()
        except OSError:
            return None  # a kernel without it has nothing to move

    def _write(self, path: Path, value: str) -> bool:
        try:
            path.write_text(value, encoding="ascii")
        except FileNotFoundError:
            return False  # no IPv6 here, or the link is gone again
        except OSError as error:
            _log.warning("Cannot set %s to %s: %s", path, value, error.strerror)
            return False
        return True
