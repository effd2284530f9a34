"""Macvlans and ipvlans of the configuration: made before the engine needs them, kept, and taken away
(vrrp-behaviour.md 11, docs/decisions)."""

from __future__ import annotations

import logging
import os
import random
import socket
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from keepvip.config.model import Config
    from keepvip.config.model_vmac import Vmac, VmacKey
    from keepvip.net.link_facts import Snapshot
    from keepvip.net.requests import Answer, Requests
    from keepvip.net.vmac_plan import Step
    from keepvip.net.vmac_sysctl import Settings

__all__ = ["OwnLinks", "wishes"]

_log = logging.getLogger("keepvip.net")

_FEW = 4
"""So many links are deleted one by one; more get a group for the purpose."""
_GROUPS = range(0x4B56_0000, 0x4B57_0000)
_RTMGRP_LINK = 0x1
_RTMGRP_IPV6_IFADDR = 0x100
_NEWS = 65536


class FilterVmac(Protocol):
    """Has the packet filter know a macvlan."""

    def __call__(self, *, index: int, parent: int, family: int, there: bool) -> None:
        """Raises RuntimeError when it takes nothing."""


def wishes(config: Config) -> list[Vmac]:
    """Every link that the instances of a configuration want."""
    found: list[Vmac] = []
    for instance in config.instances:
        if instance.vmac is not None:
            found.append(instance.vmac)
        found += instance.address_vmacs
    return found


class OwnLinks:
    """The links of one network namespace, that of the thread that calls. Costs nothing until a link is wanted.

    `prepare` before the engine is told of a configuration, `settle` some time after it; `watch` for the time between.
    """

    def __init__(self, filter_vmac: FilterVmac | None = None) -> None:
        """`filter_vmac`: see `keepvip.engine.Engine.filter_vmac`."""
        self._filter = filter_vmac
        self._filtered: set[tuple[int, str, int, int]] = set()
        """What it was told: index and name of a link, index of its parent, family."""
        self._indexes: set[int] = set()
        """Of our links and of what is below them, as last seen: a link that is renamed is still ours."""
        self.names: dict[VmacKey, str] = {}
        """What each link is called; also of those that could not be made."""
        self._wanted: dict[VmacKey, Vmac] = {}
        self._made: set[str] = set()
        """Names of links that served at some time and were not deleted since."""
        self._requests: Requests | None = None
        self._settings: Settings | None = None
        self._news: socket.socket | None = None
        self._troubles: set[str] = set()
        self._changed: Callable[[], None] | None = None

    def prepare(self, config: Config) -> Mapping[VmacKey, str]:
        """Makes what is missing; returns what each link is called. What fails is logged: the instance is in FAULT."""
        from keepvip.net.vmac_plan import merge  # noqa: PLC0415  (only with links of our own)

        wanted = merge(wishes(config))
        if not wanted and self._requests is None:
            return self.names
        fresh = {key for key, vmac in wanted.items() if self._wanted.get(key) != vmac}
        self._wanted = wanted
        self._troubles.clear()
        try:
            self._reconcile(fresh)
        except OSError as error:
            self.names = {key: self.names.get(key, vmac.usual_name) for key, vmac in wanted.items()}
            _log.error("Cannot ask the kernel for macvlans: %s", error.strerror or error)
        return self.names

    def on_change(self, told: Callable[[], None]) -> None:
        """`told` is called on the event loop after links were made, made again or renamed outside of `prepare`."""
        self._changed = told

    def fileno(self) -> int | None:
        """Readable when the kernel has news about links; None while there are none of our own."""
        if self._news is None and self._wanted:
            self._news = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
            )
            self._news.bind((0, _RTMGRP_LINK | _RTMGRP_IPV6_IFADDR))
        return None if self._news is None else self._news.fileno()

    def read_news(self) -> None:
        """Reads the kernel's news and mends what they have broken."""
        if self._news is None or not self._interesting(self._news):
            return
        before, made = dict(self.names), set(self._made)
        try:
            again = self._reconcile(set())
        except OSError as error:
            _log.warning("Cannot look after macvlans: %s", error.strerror or error)
            return
        for name in again:
            why = "was deleted by somebody else, or its parent was" if name in made else "is possible now"
            _log.warning("%s %s: made again", name, why)
        if self._changed is not None and (again or before != self.names):
            self._changed()

    def settle(self) -> None:
        """Deletes what no instance wants any more; some time after the engine has let go of it."""
        if self._requests is None:
            return
        unused = self._made - set(self.names.values())
        self._delete(self._requests, self._look(), unused)
        self._made -= unused
        self._tell_filter(self._look())
        if not self._wanted:
            self._restore()

    def close(self, *, remove: bool) -> None:
        """The end: links deleted and settings restored, unless they are to stay."""
        if self._news is not None:
            self._news.close()
            self._news = None
        if self._requests is None:
            return
        try:
            if remove:
                self._delete(self._requests, self._look(), self._made)
                self._restore()
        except OSError as error:
            _log.warning("Cannot delete macvlans: %s", error.strerror or error)
        self._requests.close()
        self._requests = None

    def _open(self) -> Requests:
        if self._requests is None:
            from keepvip.net.requests import Requests  # noqa: PLC0415  (only with links of our own)
            from keepvip.net.vmac_sysctl import Settings  # noqa: PLC0415

            self._requests, self._settings = Requests(), Settings()
        return self._requests

    def _look(self) -> Snapshot:
        from keepvip.net.link_facts import read_snapshot  # noqa: PLC0415  (only with links of our own)

        wants_addresses = any(vmac.link_local or vmac.address is not None for vmac in self._wanted.values())
        return read_snapshot(self._open(), addresses=wants_addresses)

    def _reconcile(self, fresh: set[VmacKey]) -> list[str]:
        """Brings the kernel in line with what is wanted; names of the links that were made."""
        from keepvip.net import link_request, vmac_plan  # noqa: PLC0415  (only with links of our own)

        requests, snapshot = self._open(), self._look()
        settings = self._settings
        assert settings is not None
        names = self.names = vmac_plan.assign_names(self._wanted, snapshot, self.names)
        macvlans = {names[key] for key, vmac in self._wanted.items() if vmac.kind == "macvlan" and vmac.family == 4}
        if macvlans:
            settings.move_rp_filter(requests, snapshot, macvlans)
        settings.set_parents(requests, snapshot, vmac_plan.parent_settings(self._wanted.values()))
        made = self._make(requests, snapshot)
        if made:
            snapshot = self._look()
        self._made |= {name for name in names.values() if name in snapshot.by_name}
        used = {*names.values(), *(vmac.parent for vmac in self._wanted.values())}
        self._indexes = {link.index for name in used if (link := snapshot.by_name.get(name)) is not None}
        self._tell_filter(snapshot)
        new = [key for key in self._wanted if (key in fresh or names[key] in made) and names[key] in snapshot.by_name]
        todo = [
            step
            for key, vmac in self._wanted.items()
            for step in vmac_plan.steps(vmac, names[key], snapshot, adopt=key in new)
        ]
        self._carry_out(requests, todo)
        for key in new:
            vmac, link = self._wanted[key], snapshot.by_name[names[key]]
            if link.ipv6_disabled is vmac.ipv6:
                settings.set_ipv6(link.name, disabled=not vmac.ipv6)
        down = [names[key] for key in new if not snapshot.by_name[names[key]].up]
        ups = [vmac_plan.Step(f"set {name} up", link_request.bring_up(name)) for name in down]
        self._carry_out(requests, ups)
        if todo or ups:
            snapshot = self._look()
            self._check(snapshot, new)
        addresses = [
            step for key, vmac in self._wanted.items() for step in vmac_plan.address_steps(vmac, names[key], snapshot)
        ]
        self._carry_out(requests, addresses)
        return made

    def _make(self, requests: Requests, snapshot: Snapshot) -> list[str]:
        """Makes the links that are missing and have a parent; names of those that could be made."""
        from keepvip.net import link_request, vmac_plan  # noqa: PLC0415

        missing = {}
        for key, vmac in self._wanted.items():
            name, parent = self.names[key], snapshot.by_name.get(vmac.parent)
            if name not in snapshot.by_name and parent is not None:
                request = link_request.make(name, vmac, parent.index)
                missing[name] = vmac_plan.Step(f"make {name} on {vmac.parent}", request)
        failed = self._carry_out(requests, missing.values())
        return [name for name, step in missing.items() if step.what not in failed]

    def _tell_filter(self, snapshot: Snapshot) -> None:
        """Tells the packet filter of macvlans, before they are up, and of those that are gone."""
        if self._filter is None:
            return
        now: set[tuple[int, str, int, int]] = set()
        for key, vmac in self._wanted.items():
            link, parent = snapshot.by_name.get(self.names[key]), snapshot.by_name.get(vmac.parent)
            if vmac.kind == "macvlan" and link is not None and parent is not None:
                families = ({4} if vmac.family == 4 else set()) | ({6} if vmac.ipv6 else set())
                now |= {(link.index, link.name, parent.index, family) for family in families}
        for there, changed in ((False, self._filtered - now), (True, now - self._filtered)):
            for index, _, parent_index, family in sorted(changed):
                try:
                    self._filter(index=index, parent=parent_index, family=family, there=there)
                except RuntimeError as error:
                    self._complain(f"The packet filter cannot be told of macvlans: {error}")
                    return
        self._filtered = now

    def _carry_out(self, requests: Requests, steps: Iterable[Step]) -> list[str]:
        """What could not be done; said once."""
        steps = list(steps)
        answers: list[Answer] = requests.talk([step.request for step in steps])
        failed = []
        for step, answer in zip(steps, answers, strict=True):
            if answer.errno:
                failed.append(step.what)
                self._complain(f"Cannot {step.what}: {answer.text or os.strerror(answer.errno)}")
        return failed

    def _check(self, snapshot: Snapshot, keys: Iterable[VmacKey]) -> None:
        """Reads back what was set and says which setting is wrong."""
        from keepvip.net.vmac_plan import parent_settings, vmac_settings  # noqa: PLC0415

        expected = {self.names[key]: vmac_settings(self._wanted[key]) for key in keys}
        expected |= parent_settings(self._wanted[key] for key in keys)
        for name, settings in expected.items():
            link = snapshot.by_name.get(name)
            for setting, value in settings.items():
                now = link.setting(setting) if link is not None else None
                if now not in {value, None}:
                    self._complain(
                        f"net.ipv4.conf.{name}.{setting} is {now} although it was set to {value}: "
                        "the virtual MAC may not work"
                    )
        for key in keys:
            link = snapshot.by_name.get(self.names[key])
            if link is not None and self._wanted[key].ipv6 and link.ipv6_disabled:
                self._complain(f"net.ipv6.conf.{link.name}.disable_ipv6 is 1: its IPv6 addresses cannot be set")

    def _complain(self, text: str) -> None:
        if text not in self._troubles:
            self._troubles.add(text)
            _log.error("%s", text)

    def _interesting(self, news: socket.socket) -> bool:
        """Empties the socket; whether something in it concerns our links or what is below them."""
        from keepvip.net.link_facts import RTM_NEWADDR, link_of  # noqa: PLC0415
        from keepvip.net.wire import messages  # noqa: PLC0415

        names = set(self.names.values()) | {vmac.parent for vmac in self._wanted.values()}
        found = False
        while True:
            try:
                data = news.recv(_NEWS)
            except BlockingIOError:
                return found
            except OSError:  # ENOBUFS: some are lost
                found = True
                continue
            for kind, _, _, body in messages(data):
                if found:
                    break
                link = link_of(body) if kind < RTM_NEWADDR else None
                ours = link is not None and (link.name in names or link.index in self._indexes)
                found = ours or kind >= RTM_NEWADDR

    def _delete(self, requests: Requests, snapshot: Snapshot, names: Iterable[str]) -> None:
        from keepvip.net import link_request  # noqa: PLC0415
        from keepvip.net.vmac_plan import Step  # noqa: PLC0415

        present = [name for name in names if name in snapshot.by_name]
        if len(present) <= _FEW:
            self._carry_out(requests, [Step(f"delete {name}", link_request.delete(name)) for name in present])
            return
        used = {link.group for link in snapshot.links.values()}
        group = random.choice([group for group in random.sample(_GROUPS, 64) if group not in used])
        marks = [Step(f"delete {name}", link_request.set_group(name, group)) for name in present]
        self._carry_out(requests, marks)
        self._carry_out(requests, [Step(f"delete {len(present)} macvlans", link_request.delete_group(group))])

    def _restore(self) -> None:
        if self._settings is not None and self._requests is not None:
            self._settings.restore(self._requests, self._look())
