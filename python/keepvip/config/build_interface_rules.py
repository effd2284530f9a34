"""`garp_group`, `interface_up_down_delays` and link polling: one rule per interface (config-keywords.md 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keepvip.config import values
from keepvip.config.diagnostic import ConfigTestClass, Related
from keepvip.config.keywords.links import GARP_GROUP, INTERFACE_UP_DOWN_DELAYS, LINKBEAT_INTERFACES
from keepvip.config.model_interface import InterfaceRule, Pace
from keepvip.config.settings import read_block, read_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from keepvip.config.keyword import Arg
    from keepvip.config.model import VrrpInstance
    from keepvip.config.settings import Context, Setting, Settings
    from keepvip.config.source import Span
    from keepvip.config.tree import Node

__all__ = ["build_interface_rules"]

SECOND_US = 1_000_000
MARGIN_US = 10_000
"""A change is believed so much before the last advert that may be missed."""


def build_interface_rules(
    ctx: Context, root: Settings, instances: Mapping[str, VrrpInstance], settings: Mapping[str, Settings]
) -> tuple[InterfaceRule, ...]:
    """All interfaces of which something is said, in the order of their names."""
    rules = _Rules(ctx)
    for number, block in enumerate(_all(root, "garp_group")):
        rules.garp_group(block, number)
    for block in _all(root, "interface_up_down_delays"):
        for node in block.node.children or ():
            rules.delays(node, instances.values())
    for block in _all(root, "linkbeat_interfaces"):
        for node in block.node.children or ():
            rules.linkbeat(node)
    for instance in instances.values():
        own = settings[instance.name].get("linkbeat_use_polling")
        if own is not None:
            ctx.diagnostics.warning(
                "old-place",
                f"`{instance.name}`: linkbeat_use_polling is an old place to say which interface is polled",
                own.span,
                hint="name the interface in linkbeat_interfaces",
                kind=ConfigTestClass.DEPRECATED,
            )
        asked = own is not None or "linkbeat_use_polling" in root
        if asked and instance.interface is not None and rules.of(instance.interface).polling is None:
            rules.change(instance.interface, polling="")
    return tuple(rules.found[name] for name in sorted(rules.found))


def _all(root: Settings, name: str) -> list[Setting]:
    setting = root.get(name)
    return setting.all() if setting is not None else []


class _Rules:
    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.found: dict[str, InterfaceRule] = {}
        self._grouped: dict[str, Span] = {}

    def of(self, name: str) -> InterfaceRule:
        return self.found.get(name) or InterfaceRule(name=name)

    def change(self, name: str, **fields: object) -> None:
        self.found[name] = msgspec.structs.replace(self.of(name), **fields)

    def garp_group(self, block: Setting, number: int) -> None:
        found = read_block(self.ctx, block.node.children or (), GARP_GROUP)
        pace = Pace(
            group=number,
            garp_interval_us=found.value("garp_interval", 0),
            gna_interval_us=found.value("gna_interval", 0),
        )
        if not pace.garp_interval_us and not pace.gna_interval_us:
            said = "garp_interval" in found or "gna_interval" in found
            self.ctx.diagnostics.warning(
                "empty-group",
                "a garp_group without garp_interval and gna_interval does nothing",
                block.span,
                kind=ConfigTestClass.NONE if said else ConfigTestClass.GENERAL,
            )
            return
        named = [(str(found["interface"].value), found["interface"].span)] if "interface" in found else []
        for words in found["interfaces"].all() if "interfaces" in found else ():
            named += [(node.keyword, node.span) for node in words.node.children or ()]
        if not named:
            self._warn("empty-group", "a garp_group without an interface does nothing", block.span)
        for name, span in named:
            if self._exists(name, span):
                self._join(name, span, pace)

    def _join(self, name: str, span: Span, pace: Pace) -> None:
        first = self._grouped.setdefault(name, span)
        if first is not span:
            self._warn(
                "duplicate-interface", f"`{name}` is in a garp_group already: it stays there", span,
                related=[Related("it was put there here", first)],
            )  # fmt: skip
            return
        self.change(name, pace=pace)

    def delays(self, node: Node, instances: Iterable[VrrpInstance]) -> None:
        words = _read(self.ctx, node, INTERFACE_UP_DOWN_DELAYS.args)
        if words is None:
            return
        name, down_s, up_s = words
        if not isinstance(name, str) or not isinstance(down_s, int) or not self._exists(name, node.span):
            return
        delays = {"down_delay_us": down_s * SECOND_US, "up_delay_us": (up_s or 0) * SECOND_US}  # type: ignore[operator]
        for instance in instances:
            if instance.interface != name:
                continue
            limit = max((instance.down_timer_adverts - 1) * instance.advert_int_us - MARGIN_US, 0)
            if max(delays.values()) > limit:
                self._warn(
                    "delay-cut",
                    f"the delays of `{name}` are cut to {limit / SECOND_US:g} s: otherwise `{instance.name}` would have"
                    " a new master before they end",
                    node.statement_span,
                )
                delays = {field: min(delay, limit) for field, delay in delays.items()}
        self.change(name, **delays)

    def linkbeat(self, node: Node) -> None:
        words = _read(self.ctx, node, LINKBEAT_INTERFACES.args)
        if words is None:
            return
        name, method = str(words[0]), words[1]
        if not self.ctx.interface_exists(name):
            self.ctx.refuse_all(
                "unknown-interface",
                f"linkbeat_interfaces: there is no interface `{name}`",
                node.span,
                hint=self.ctx.interface_hint(name),
                kind=ConfigTestClass.BAD_INTERFACE,
            )
            return
        self.change(name, polling=method or "")

    def _exists(self, name: str, span: Span) -> bool:
        if self.ctx.interface_exists(name):
            return True
        self.ctx.diagnostics.error(
            "unknown-interface",
            f"there is no interface `{name}`: this line is ignored",
            span,
            hint=self.ctx.interface_hint(name),
            kind=ConfigTestClass.BAD_INTERFACE,
        )
        return False

    def _warn(self, code: str, message: str, span: Span, related: list[Related] | None = None) -> None:
        self.ctx.diagnostics.warning(code, message, span, kind=ConfigTestClass.GENERAL, related=related or [])


def _read(ctx: Context, node: Node, args: tuple[Arg, ...]) -> list[object] | None:
    """The words of an entry; None, with a diagnostic, if one is missing or wrong. Optional ones may be None."""
    words = (node.keyword, *node.args)
    found: list[object] = []
    for index, arg in enumerate(args):
        if index >= len(words):
            if arg.optional:
                found.append(None)
                continue
            ctx.diagnostics.error(
                "missing-parameter", f"`{node.keyword}` lacks its {arg.name}", node.span, expected=arg.range_text
            )
            return None
        value = values.read(arg, words[index])
        if isinstance(value, values.Bad):
            span = node.span if index == 0 else node.arg_span(index - 1)
            ctx.diagnostics.error(
                "invalid-value", f"`{words[index]}` {value.message}: this line is ignored", span,
                expected=arg.range_text,
            )  # fmt: skip
            return None
        found.append(value.value if isinstance(value, values.Odd) else value)
    if len(words) > len(args):
        read_options(ctx, node, words, len(args), {}, "line")
    return found
