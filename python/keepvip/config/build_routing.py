"""Static addresses, routes and rules, those of instances, and who tracks their interfaces (config-keywords.md 3 and 4).

Everything is read in the order of the file: rules are numbered by it, and a track_group must stand before the static
items that name it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keepvip.config.build_address import build_entry
from keepvip.config.build_route import build_route
from keepvip.config.build_rule import RuleBuilder
from keepvip.config.diagnostic import ConfigTestClass, Related
from keepvip.config.keywords.addresses import STATIC_ADDRESSES
from keepvip.config.keywords.links import TRACK_GROUP
from keepvip.config.model import Track
from keepvip.config.model_route import Route, Rule, StaticAddress, TrackGroup
from keepvip.config.rtnames import RouteNames
from keepvip.config.settings import read_block
from keepvip.config.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TypeVar

    from keepvip.config.model import VrrpInstance
    from keepvip.config.settings import Context
    from keepvip.config.tree import Node

    Entry = TypeVar("Entry", StaticAddress, Route, Rule)

__all__ = ["KEYWORDS", "Routing", "build_routing"]

KEYWORDS = frozenset({"static_ipaddress", "static_routes", "static_rules", "track_group"})
"""Blocks of the file itself that are read here."""
_OF_INSTANCES = frozenset({"virtual_routes", "virtual_rules"})
_DEFAULT_INTERFACE = "eth0"
_LOOPBACK = "lo"


_Item = StaticAddress | Route | Rule


class Routing:
    """What `build_routing` found."""

    def __init__(self) -> None:
        self.addresses: list[StaticAddress] = []
        self.routes: list[Route] = []
        self.rules: list[Rule] = []
        self.track_groups: list[TrackGroup] = []
        self._of: dict[str, tuple[tuple[Route, ...], tuple[Rule, ...]]] = {}

    def put(self, instance: str, routes: Iterable[Route], rules: Iterable[Rule]) -> None:
        """Routes and rules of an instance; of two with one name the first counts."""
        self._of.setdefault(instance, (tuple(routes), tuple(rules)))

    def joined(self, instances: Mapping[str, VrrpInstance]) -> dict[str, VrrpInstance]:
        """The instances with their routes and rules, and with what they track because of them and of static items."""
        of_groups: dict[str, list[str]] = {}
        members = {group.name: group.members for group in self.track_groups}
        static: list[_Item] = [*self.addresses, *self.routes, *self.rules]
        for item in static:
            for name in members.get(item.track_group or "", ()):
                of_groups.setdefault(name, []).extend(_followed(item))
        return {name: self._joined(instance, of_groups.get(name, ())) for name, instance in instances.items()}

    def _joined(self, instance: VrrpInstance, followed: Iterable[str]) -> VrrpInstance:
        routes, rules = self._of.get(instance.name, ((), ()))
        items: list[_Item] = [*routes, *rules]
        names = [name for item in items if not item.no_track for name in _followed(item)]
        tracked = {track.name for track in instance.tracks if track.kind == "interface"}
        more = [
            Track(kind="interface", name=name, implied=True)
            for name in dict.fromkeys([*names, *followed])
            if name not in tracked and name not in {instance.interface, _LOOPBACK}
        ]
        if not (routes or rules or more):
            return instance
        return msgspec.structs.replace(instance, routes=routes, rules=rules, tracks=(*instance.tracks, *more))


def _followed(item: _Item) -> list[str]:
    """Interfaces whose loss is the loss of the item: of a route with several paths none."""
    if isinstance(item, Rule):
        return [name for name in (item.iif, item.oif) if name is not None]
    return [item.dev] if item.dev is not None else []


def build_routing(
    ctx: Context,
    nodes: Sequence[Node],
    *,
    instances: Mapping[str, VrrpInstance],
    default_interface: str | None,
    iproute_usr_dir: str | None,
    iproute_etc_dir: str | None,
) -> Routing:
    """Reads all entries of the file. `instances`: those that are run."""
    names = RouteNames(ctx.facts, iproute_usr_dir, iproute_etc_dir)
    rules = RuleBuilder(ctx, names)
    found = Routing()
    groups: dict[str, Node] = {}
    static_dev = default_interface or _DEFAULT_INTERFACE
    for node in nodes:
        if node.keyword == "track_group" and node.args:
            _take_group(ctx, node, groups, instances, found)
        elif node.keyword == "static_ipaddress":
            entries = _entries(ctx, node, lambda line: _static_address(ctx, line, static_dev, groups), found.addresses)
            found.addresses.extend(entries)
        elif node.keyword == "static_routes":
            found.routes.extend(_entries(ctx, node, lambda line: build_route(ctx, names, line, groups), found.routes))
        elif node.keyword == "static_rules":
            found.rules.extend(_entries(ctx, node, lambda line: rules.build(line, groups), found.rules))
        elif node.keyword == "vrrp_instance" and node.args and _has_any(node):
            own_routes: list[Route] = []
            own_rules: list[Rule] = []
            for block in node.children or ():
                if block.keyword == "virtual_routes":
                    own_routes += _entries(ctx, block, lambda line: build_route(ctx, names, line, None), own_routes)
                elif block.keyword == "virtual_rules":
                    own_rules += _entries(ctx, block, lambda line: rules.build(line, None), own_rules)
            found.put(node.args[0], own_routes, own_rules)
    return found


def _has_any(node: Node) -> bool:
    return any(block.keyword in _OF_INSTANCES for block in node.children or ())


def _entries(ctx: Context, block: Node, build: Callable[[Node], Entry | None], before: Sequence[Entry]) -> list[Entry]:
    """The usable lines of a block, each thing once."""
    found: dict[Entry, Node | None] = dict.fromkeys(before)
    for node in block.children or ():
        entry = build(node)
        if entry is None:
            continue
        if entry in found:
            first = found[entry]
            ctx.diagnostics.warning(
                "duplicate",
                "this is listed twice: the second one is dropped",
                node.statement_span,
                kind=ConfigTestClass.GENERAL,
                related=[Related("the first one is here", first.statement_span)] if first is not None else (),
            )
        else:
            found[entry] = node
    return list(found)[len(before) :]


def _static_address(ctx: Context, node: Node, interface: str, groups: Mapping[str, Node]) -> StaticAddress | None:
    address, options = build_entry(ctx, node, STATIC_ADDRESSES.keywords)
    if address is None:
        return None
    dev = address.dev or interface
    if not ctx.interface_exists(dev):
        ctx.diagnostics.error(
            "unknown-interface",
            f"there is no interface `{dev}`: `{address.address}` is dropped",
            node.span,
            hint="write `dev INTERFACE`, or default_interface in global_defs",
            kind=ConfigTestClass.WARNING,
        )
        return None
    group = options.get("track_group")
    name = str(group[0]) if group is not None else None
    if name is not None and name not in groups:
        ctx.diagnostics.error(
            "unknown-tracker",
            f"there is no track_group `{name}` above: it is ignored",
            node.statement_span,
            hint=did_you_mean(name, groups) or "put the track_group before the items that name it",
        )
        name = None
    return StaticAddress(address=msgspec.structs.replace(address, dev=dev), dev=dev, track_group=name)


def _take_group(
    ctx: Context, node: Node, groups: dict[str, Node], instances: Mapping[str, VrrpInstance], found: Routing
) -> None:
    name = node.args[0]
    first = groups.get(name)
    if first is not None:
        ctx.diagnostics.error(
            "duplicate-name",
            f"there is a track_group `{name}` already: this one is skipped",
            node.statement_span,
            related=[Related("the first one is here", first.statement_span)],
        )
        return
    settings = read_block(ctx, node.children or (), TRACK_GROUP)
    blocks = settings["group"].all() if "group" in settings else []
    words = [word for block in blocks for word in block.node.children or ()]
    members = []
    for word in words:
        if word.keyword in instances and instances[word.keyword].net_namespace is not None:
            ctx.diagnostics.error(
                "namespace-clash",
                f"`{word.keyword}` is in a network namespace of its own and cannot follow static items of this one",
                word.span,
                kind=ConfigTestClass.NONE,
            )
        elif word.keyword in instances:
            members.append(word.keyword)
        else:
            ctx.diagnostics.error(
                "unknown-member",
                f"track_group `{name}` has a member `{word.keyword}`, but there is no such vrrp_instance that runs",
                word.span,
                hint=did_you_mean(word.keyword, instances),
                kind=ConfigTestClass.NONE,
            )
    if not words:
        ctx.diagnostics.error(
            "empty-group",
            f"track_group `{name}` has no member and is dropped",
            node.statement_span,
            kind=ConfigTestClass.NONE,
        )
        return
    groups[name] = node
    found.track_groups.append(TrackGroup(name=name, members=tuple(dict.fromkeys(members))))
