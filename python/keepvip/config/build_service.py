"""Virtual servers, their groups and their real servers (config-keywords.md 13 to 15).

What is put right without refusing anything is in checkers-and-ipvs.md 2; each of it is said. Checkers: build_check.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from keepvip.config.build_group import Group, build_groups
from keepvip.config.build_script import build_script
from keepvip.config.build_server import ServiceFrame, build_servers, build_sorry
from keepvip.config.diagnostic import ConfigTestClass
from keepvip.config.keywords.arguments import OPTIONAL_PORT
from keepvip.config.keywords.virtual_server import VIRTUAL_SERVER
from keepvip.config.model_service import FORCED_PERSISTENCE_S, Entry, VirtualServer
from keepvip.config.settings import Setting, Settings, read_block
from keepvip.config.suggest import did_you_mean
from keepvip.config.values import read, read_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keepvip.config.build_balancing import ServiceDefaults
    from keepvip.config.model import Script
    from keepvip.config.settings import Context
    from keepvip.config.tree import Node

__all__ = ["build_services"]

_FAMILIES = {"inet": 4, "inet6": 6}
_MAX_MARK = 0xFFFFFFFF
_FLAG_BITS = {"flag-1": 1, "flag-2": 2, "flag-3": 4}
_FLAGS_OF = {"sh-fallback": ("sh", 1), "sh-port": ("sh", 2), "mh-fallback": ("mh", 1), "mh-port": ("mh", 2)}
"""Flags that only their scheduler has: it must have been named before them."""


def build_services(ctx: Context, root: Settings, defaults: ServiceDefaults) -> tuple[VirtualServer, ...]:
    """All virtual servers that can be run, in the order of the file."""
    groups = build_groups(ctx, root)
    setting = root.get("virtual_server")
    if setting is None:
        return ()
    found: list[VirtualServer] = []
    seen: dict[Any, Setting] = {}
    numbers: dict[str, int] = {}
    for block in setting.all():
        service = _Reader(ctx, block, groups, defaults).read(numbers)
        if service is None:
            continue
        first = seen.setdefault(service.key, block)
        if first is not block:
            ctx.diagnostics.error(
                "duplicate-service",
                f"there is a virtual_server {service.name} already: this one is skipped",
                block.span,
                hint="put the real servers of both into one block",
            )
            continue
        found.append(service)
    return tuple(found)


class _Reader:
    """One virtual_server block."""

    def __init__(self, ctx: Context, block: Setting, groups: dict[str, Group], defaults: ServiceDefaults) -> None:
        self.ctx = ctx
        self.block = block
        self.groups = groups
        self.defaults = defaults
        self.settings = read_block(ctx, block.node.children or (), VIRTUAL_SERVER)
        self.nodes: Sequence[Node] = block.node.children or ()

    def read(self, numbers: dict[str, int]) -> VirtualServer | None:
        """The service; None, with a diagnostic, if it cannot be run."""
        settings = self.settings
        target = self._target()
        if target is None:
            return None
        kind, entries, family, group = target
        marks = all(entry.fwmark for entry in entries)
        protocol = self._protocol(marks=marks)
        number = 0
        if group:
            number = numbers.get(group, 0)
            numbers[group] = number + 1
            name = f"[{group}]:{number}"
        elif kind == "fwmark":
            name = f"FWM {entries[0].fwmark}"
        else:
            name = f"[{entries[0].first}]:{protocol}:{entries[0].port}"
        frame = ServiceFrame(
            self.ctx,
            name=name,
            kind=kind,
            protocol=protocol,
            port=entries[0].port if kind == "address" else 0,
            marks=marks,
            settings=settings,
            nodes=self.nodes,
            defaults=self.defaults,
        )
        servers = build_servers(self.ctx, frame)
        if not servers:
            self._dropped(f"virtual_server {name} has no real_server")
            return None
        if family == 0:
            family = self._family_of(entries, servers[0].family)
            if family < 0:
                self._dropped(f"virtual_server {name} mixes families, and not all of its real servers use a tunnel")
                return None
        entries = tuple(
            msgspec.structs.replace(entry, family=family or 4) if entry.fwmark and not entry.family else entry
            for entry in entries
        )
        alien = [
            server for server in servers if family and server.family != family and server.forwarding.method != "TUN"
        ]
        for server in alien:
            self.ctx.diagnostics.error(
                "mixed-families",
                f"real_server {server.name} has another address family than virtual_server {name}, which only"
                " tunnels can bridge: it is dropped",
                self.block.span,
                hint="write `lvs_method TUN` for it",
            )
        servers = tuple(server for server in servers if server not in alien)
        if not servers:
            self._dropped(f"virtual_server {name} has no usable real_server")
            return None
        scheduler, flags = self._scheduler()
        ops = "ops" in settings
        if ops and kind == "address" and protocol != "udp":
            self._odd("ops", f"`ops` is for UDP only, and virtual_server {name} is not: it is ignored")
            ops = False
        ha_suspend = "ha_suspend" in settings
        if ha_suspend and any(entry.fwmark for entry in entries):
            self._odd("ha_suspend", f"`ha_suspend` needs an address, and {name} has a mark: it is ignored")
            ha_suspend = False
        quorum, hysteresis = self._quorum(name, sum(server.weight for server in servers))
        timeout_s, prefix_len = self._persistence(family or entries[0].family)
        if not timeout_s and any(not entry.fwmark and not entry.port for entry in entries):
            self.ctx.diagnostics.warning(
                "forced-persistence",
                f"virtual_server {name} has no port, which needs persistence: {FORCED_PERSISTENCE_S} s are used",
                self.block.span,
                hint="write persistence_timeout",
                kind=ConfigTestClass.GENERAL,
            )
            timeout_s = FORCED_PERSISTENCE_S
        return VirtualServer(
            kind=kind,
            family=family,
            entries=entries,
            protocol=protocol,
            group=group,
            number=number,
            scheduler=scheduler,
            ops=ops,
            sched_flags=flags,
            persistence_timeout_s=timeout_s,
            persistence_prefix_len=prefix_len,
            persistence_engine=settings.value("persistence_engine", ""),
            forwarding=frame.forwarding,
            quorum=quorum,
            hysteresis=hysteresis,
            quorum_up=self._script("quorum_up"),
            quorum_down=self._script("quorum_down"),
            omega="omega" in settings,
            ha_suspend=ha_suspend,
            smtp_alert=settings.value("smtp_alert", bool(self.defaults.smtp_alert)),
            virtualhost=settings.value("virtualhost", None),
            snmp_name=settings.value("snmp_name", None),
            sorry=build_sorry(self.ctx, frame, family, servers),
            real_servers=servers,
            name=name,
        )

    def _target(self) -> tuple[str, tuple[Entry, ...], int, str] | None:
        """Kind, entries, family (0 = not known yet) and group of the block."""
        node = self.block.node
        what, word = self.block.value
        given = self.settings.get("ip_family")
        family = _FAMILIES[given.value] if given is not None else 0
        if what == "group":
            return self._group(word, family)
        if what == "fwmark":
            mark = int(word) if word is not None and word.isascii() and word.isdigit() and len(word) < 11 else 0
            if not 0 < mark <= _MAX_MARK:
                self.ctx.diagnostics.error(
                    "invalid-number",
                    f"`virtual_server fwmark` has no usable mark: `{word or ''}`; the block is dropped",
                    node.arg_span(1),
                    expected=f"1..{_MAX_MARK}",
                )
                return None
            return "fwmark", (Entry(family=family, fwmark=mark),), family, ""
        address = read_address(what)
        if address is None:  # the declaration has said so
            return None
        if family and family != address.family:
            self._odd("ip_family", f"`ip_family` contradicts the address {address.text} and is ignored")
        port = 0
        if word is not None:
            value = read(OPTIONAL_PORT, word)
            if not isinstance(value, int):
                self.ctx.diagnostics.error(
                    "invalid-number",
                    f"`virtual_server {address.text}`: `{word}` is no port; the block is dropped",
                    node.arg_span(1),
                    expected="1..65535",
                )
                return None
            port = value
        entry = Entry(family=address.family, first=address.text, last=address.text, port=port)
        return "address", (entry,), address.family, ""

    def _group(self, name: str | None, family: int) -> tuple[str, tuple[Entry, ...], int, str] | None:
        group = self.groups.get(name or "")
        if group is None:
            self.ctx.diagnostics.error(
                "unknown-group",
                f"there is no usable virtual_server_group `{name or ''}`: the block is dropped",
                self.block.node.arg_span(1),
                hint=did_you_mean(name or "", self.groups),
            )
            return None
        families = {entry.family for entry in group.entries if entry.family}
        if family and families - {family}:
            self._dropped(f"virtual_server group {name}: ip_family contradicts the addresses of the group")
            return None
        return "group", group.entries, family or (families.pop() if len(families) == 1 else 0), group.name

    def _family_of(self, entries: Sequence[Entry], of_server: int) -> int:
        """What a service that says nothing about its family has; 0 = several; -1 = it mixes what cannot be mixed."""
        families = {entry.family for entry in entries}
        if len(families) > 1:
            stated = all(entry.family for entry in entries)
            kinds = {setting.value for name in ("lb_kind", "lvs_method") if (setting := self.settings.get(name))}
            return 0 if stated and "TUN" in kinds else -1
        return families.pop() or of_server

    def _protocol(self, *, marks: bool) -> str:
        setting = self.settings.get("protocol")
        if marks:
            if setting is not None:
                self._odd("protocol", "`protocol` has no meaning for a firewall mark and is ignored")
            return "none"
        if setting is None:
            self.ctx.diagnostics.warning(
                "no-protocol",
                "this virtual_server names no protocol: it is UDP",
                self.block.span,
                hint="write `protocol TCP` or `protocol UDP`",
                kind=ConfigTestClass.GENERAL,
            )
            return "udp"
        return str(setting.value).lower()

    def _scheduler(self) -> tuple[str, int]:
        """Scheduler and its flags: what counts is the order of the lines."""
        scheduler, flags = "", 0
        for node in self.nodes:
            if node.keyword in {"lb_algo", "lvs_sched"} and node.args:
                given = self.settings.get(node.keyword)
                if given is not None and node.args[0] in given.keyword.args[0].choices:
                    scheduler = node.args[0]
            elif node.keyword in _FLAG_BITS:
                flags |= _FLAG_BITS[node.keyword]
            elif node.keyword in _FLAGS_OF:
                wanted, bit = _FLAGS_OF[node.keyword]
                if scheduler == wanted:
                    flags |= bit
                else:
                    self.ctx.diagnostics.error(
                        "wrong-scheduler",
                        f"`{node.keyword}` belongs to the scheduler {wanted} and is ignored",
                        node.span,
                        hint=f"write `lb_algo {wanted}` above it",
                    )
        if not scheduler:
            self.ctx.diagnostics.warning(
                "no-scheduler",
                "this virtual_server names no scheduler: it is wlc",
                self.block.span,
                hint="write `lb_algo wlc`",
                kind=ConfigTestClass.GENERAL,
            )
            scheduler = "wlc"
        return scheduler, flags

    def _quorum(self, name: str, total: int) -> tuple[int, int]:
        quorum: int = self.settings.value("quorum", 1)
        hysteresis: int = self.settings.value("hysteresis", 0)
        if quorum > total:
            if total or "quorum" in self.settings:
                self._odd("quorum", f"`quorum` of {name} is above the weight of all its servers, {total}: that is used")
            quorum = max(total, 1)
        if hysteresis >= quorum:
            if hysteresis:
                self._odd("hysteresis", f"`hysteresis` of {name} is not below its quorum: {quorum - 1} is used")
            hysteresis = quorum - 1
        return quorum, hysteresis

    def _persistence(self, family: int) -> tuple[int, int]:
        """Time-out in seconds and prefix length of the granularity."""
        settings = self.settings
        timeout_s = 0
        if "persistence_timeout" in settings:
            timeout_s = settings["persistence_timeout"].value or FORCED_PERSISTENCE_S
        setting = settings.get("persistence_granularity")
        if setting is None:
            return timeout_s, 0
        value = setting.value
        is_mask = isinstance(value, str)
        if is_mask != (family == 4):
            self._odd(
                "persistence_granularity",
                f"`persistence_granularity` is a mask for IPv4 and a prefix length for IPv6: {value} is ignored",
            )
            return timeout_s, 0
        prefix_len = sum(int(part).bit_count() for part in value.split(".")) if is_mask else value
        return timeout_s or FORCED_PERSISTENCE_S, prefix_len

    def _script(self, name: str) -> Script | None:
        setting = self.settings.get(name)
        return build_script(self.ctx, setting, self.defaults.scripts) if setting is not None else None

    def _odd(self, keyword: str, message: str) -> None:
        setting = self.settings.get(keyword)
        self.ctx.diagnostics.warning(
            "adjusted-value",
            message,
            setting.span if setting is not None else self.block.span,
            kind=ConfigTestClass.GENERAL,
        )

    def _dropped(self, message: str) -> None:
        self.ctx.diagnostics.error("dropped-service", f"{message}: it is dropped", self.block.span)
