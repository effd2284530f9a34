"""The tree becomes the model. Every mistake is a diagnostic; nothing raises, nothing stops at the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keepvip.config.build_balancing import ServiceDefaults, follow_instance
from keepvip.config.build_global import build_global
from keepvip.config.build_instance import build_instance
from keepvip.config.build_routing import build_routing
from keepvip.config.build_script import build_notify
from keepvip.config.build_track import build_tracking
from keepvip.config.build_vmac import link_names
from keepvip.config.diagnostic import ConfigTestClass, Related
from keepvip.config.keywords import ROOT
from keepvip.config.keywords.sync_group import VRRP_SYNC_GROUP
from keepvip.config.model import Config, SyncGroup, VrrpInstance
from keepvip.config.settings import Context, Setting, Settings, read_block
from keepvip.config.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from keepvip.config.build_defaults import InstanceDefaults
    from keepvip.config.diagnostic import Diagnostics
    from keepvip.config.facts import HostFacts
    from keepvip.config.model_bfd import BfdSession, BfdTrack
    from keepvip.config.model_check import SslClient
    from keepvip.config.model_interface import InterfaceRule
    from keepvip.config.model_service import Balancing, VirtualServer
    from keepvip.config.source import Span
    from keepvip.config.tree import Node

__all__ = ["Built", "build"]


class Built:
    """A configuration together with the statements it was made from, for rules that point at single lines."""

    __slots__ = ("_groups", "_headers", "_settings", "config", "fatal", "mail_unspoken", "network", "nodes", "root")

    def __init__(
        self,
        config: Config,
        root: Settings,
        settings: dict[str, Settings],
        *,
        fatal: bool,
        mail_unspoken: bool,
        network: HostFacts | None,
        nodes: Sequence[Node],
    ) -> None:
        self.config = config
        self.root = root
        self.nodes = nodes
        """The statements of the whole file, in order."""
        self.fatal = fatal
        """keepalived would not start with this: `config` is only what could be made of it."""
        self.mail_unspoken = mail_unspoken
        """No `smtp_alert` stands anywhere."""
        self.network = network
        """The host as far as its interfaces and addresses are those that the configuration is for."""
        self._settings = settings
        self._headers = {str(block.value): block for block in reversed(_all(root, "vrrp_instance"))}
        self._groups = {str(block.value): block for block in reversed(_all(root, "vrrp_sync_group"))}

    def setting(self, instance: str, keyword: str) -> Setting | None:
        """A setting of an instance; None if it is left to its default."""
        return self._settings[instance].get(keyword)

    def place(self, instance: str, keyword: str) -> Span:
        """Where a setting of an instance stands; the head of its block if it is left to its default."""
        return (self.setting(instance, keyword) or self._headers[instance]).span

    def group_says(self, group: str, keywords: tuple[str, ...]) -> bool:
        """Whether a sync group has one of the keywords."""
        return any(node.keyword in keywords for node in self._groups[group].node.children or ())

    def group_place(self, group: str) -> Span:
        """Where a sync group begins."""
        return self._groups[group].span


def build(
    nodes: Sequence[Node], *, diagnostics: Diagnostics, facts: HostFacts | None = None, files: tuple[str, ...] = ()
) -> Built:
    """The model of a whole file. Interfaces that do not exist and the like are the business of `check.py`."""
    ctx = Context(diagnostics, facts)
    root = read_block(ctx, nodes, ROOT)
    namespace = root.get("net_namespace")
    ctx.net_namespace = str(namespace.value) if namespace is not None else None
    if namespace is not None and facts is not None and not facts.in_namespace(str(namespace.value)):
        ctx.network = None  # the daemon reads the file once more when it has entered the namespace
    global_nodes = [node for block in _all(root, "global_defs") for node in block.node.children or ()]
    # The walk over the whole tree is only worth its time where mail could be sent at all.
    mail_unspoken = any(node.keyword == "smtp_server" for node in global_nodes) and not _says(nodes, MAIL_SWITCHES)
    defs, defaults = build_global(ctx, global_nodes, mail_unspoken=mail_unspoken)
    groups = _read_groups(ctx, root)
    instances, settings, refused = _instances(ctx, root, defaults, groups)
    _no_shared_vrid(ctx, instances, settings)
    sync_groups = _sync_groups(ctx, groups, instances, refused, defaults)
    tracking = build_tracking(
        ctx,
        root,
        nodes,
        scripts=defaults.scripts,
        instances=instances,
        settings=settings,
        groups={name: group for name, (_, group) in groups.items()},
        sync_groups=sync_groups,
        checked_files=_checked_files(nodes),
    )
    sessions, bfd_tracks = _bfd(ctx, root, settings, {name: group for name, (_, group) in groups.items()})
    interfaces = _interface_rules(ctx, root, tracking.instances, settings)
    track_files = {name: (file.weight, file.reverse) for name, file in tracking.known_files.items()}
    services = _services(ctx, root, msgspec.structs.replace(defaults.services, track_files=track_files))
    ctx.own_interfaces |= frozenset(
        link.name or f"{link.prefix}.{link.vrid}"
        for instance in tracking.instances.values()
        for link in instance.own_links
    )
    routing = build_routing(
        ctx,
        nodes,
        instances=tracking.instances,
        default_interface=defaults.static_interface,
        iproute_usr_dir=defaults.iproute_usr_dir,
        iproute_etc_dir=defaults.iproute_etc_dir,
    )
    config = Config(
        ssl=_ssl(ctx, root.get("SSL")),
        global_defs=defs,
        sync_groups=sync_groups,
        instances=tuple(routing.joined(tracking.instances).values()),
        interfaces=interfaces,
        track_scripts=tracking.scripts,
        virtual_servers=services,
        balancing=_balancing(ctx, root, defaults.services, tracking.instances, services, settings),
        bfd_sessions=sessions,
        bfd_tracks=bfd_tracks,
        track_files=tracking.files,
        track_processes=tracking.processes,
        static_addresses=tuple(routing.addresses),
        static_routes=tuple(routing.routes),
        static_rules=tuple(routing.rules),
        track_groups=tuple(routing.track_groups),
        files=files,
        net_namespace=ctx.net_namespace,
        instance_name=root["instance"].value if "instance" in root else None,
        use_pid_dir="use_pid_dir" in root or "instance" in root or namespace is not None,
    )
    return Built(config, root, settings, fatal=ctx.fatal, mail_unspoken=mail_unspoken, network=ctx.network, nodes=nodes)


def _checked_files(nodes: Iterable[Node]) -> frozenset[str]:
    """Names of the files that FILE_CHECKs follow."""
    found: set[str] = set()
    for node in nodes:
        if node.keyword == "FILE_CHECK":
            found |= {child.args[0] for child in node.children or () if child.keyword == "track_file" and child.args}
        elif node.keyword in {"virtual_server", "real_server"}:
            found |= _checked_files(node.children or ())
    return frozenset(found)


# What not everybody has is imported when a file has it: the time to the first advert counts.


def _services(ctx: Context, root: Settings, defaults: ServiceDefaults) -> tuple[VirtualServer, ...]:
    if "virtual_server" not in root and "virtual_server_group" not in root:
        return ()
    from keepvip.config.build_service import build_services  # noqa: PLC0415

    return build_services(ctx, root, defaults)


def _balancing(
    ctx: Context,
    root: Settings,
    defaults: ServiceDefaults,
    instances: Mapping[str, VrrpInstance],
    services: Sequence[VirtualServer],
    settings: Mapping[str, Settings],
) -> Balancing:
    balancing = follow_instance(ctx, defaults, instances, services, settings)
    namespace = root.get("net_namespace_ipvs")
    return balancing if namespace is None else msgspec.structs.replace(balancing, namespace=namespace.value or "")


def _bfd(
    ctx: Context, root: Settings, instances: dict[str, Settings], groups: dict[str, Settings]
) -> tuple[tuple[BfdSession, ...], tuple[BfdTrack, ...]]:
    tracked = any("track_bfd" in owner for owners in (instances, groups) for owner in owners.values())
    if "bfd_instance" not in root and not tracked:
        return (), ()
    from keepvip.config.build_bfd import build_bfd_tracks, build_sessions  # noqa: PLC0415

    sessions = build_sessions(ctx, _all(root, "bfd_instance"))
    return sessions, build_bfd_tracks(ctx, sessions, instances, groups)


def _ssl(ctx: Context, block: Setting | None) -> SslClient | None:
    if block is None:
        return None
    from keepvip.config.build_check import build_ssl  # noqa: PLC0415

    return build_ssl(ctx, block)


_INTERFACE_KEYWORDS = ("garp_group", "interface_up_down_delays", "linkbeat_interfaces", "linkbeat_use_polling")


def _interface_rules(
    ctx: Context, root: Settings, instances: Mapping[str, VrrpInstance], settings: Mapping[str, Settings]
) -> tuple[InterfaceRule, ...]:
    """What is said of interfaces as such: rare, so it is imported where it is."""
    own = any("linkbeat_use_polling" in settings[name] for name in instances)
    if not own and not any(keyword in root for keyword in _INTERFACE_KEYWORDS):
        return ()
    from keepvip.config.build_interface_rules import build_interface_rules  # noqa: PLC0415

    return build_interface_rules(ctx, root, instances, settings)


MAIL_SWITCHES = frozenset({"smtp_alert", "smtp_alert_vrrp", "smtp_alert_checker"})


def _says(nodes: Iterable[Node], keywords: frozenset[str]) -> bool:
    """Whether one of the keywords stands in any block."""
    return any(node.keyword in keywords or (node.children and _says(node.children, keywords)) for node in nodes)


def _all(root: Settings, name: str) -> list[Setting]:
    setting = root.get(name)
    return setting.all() if setting is not None else []


def _new_name(ctx: Context, block: Setting, seen: dict[str, Node]) -> bool:
    """Whether this is the first block with its name; a second one is skipped."""
    first = seen.setdefault(str(block.value), block.node)
    if first is block.node:
        return True
    ctx.diagnostics.error(
        "duplicate-name",
        f"there is a {block.keyword.name} `{block.value}` already: this one is skipped",
        block.span,
        hint="give it another name",
        related=[Related("the first one is here", first.span)],
    )
    return False


# sync groups, first half: who belongs to whom is needed before the instances are built


def _read_groups(ctx: Context, root: Settings) -> dict[str, tuple[Setting, Settings]]:
    seen: dict[str, Node] = {}
    return {
        str(block.value): (block, read_block(ctx, block.node.children or (), VRRP_SYNC_GROUP))
        for block in _all(root, "vrrp_sync_group")
        if _new_name(ctx, block, seen)
    }


def _members(settings: Settings) -> list[Node]:
    setting = settings.get("group")
    return list(setting.node.children or ()) if setting is not None else []


# instances


def _instances(
    ctx: Context,
    root: Settings,
    defaults: InstanceDefaults,
    groups: dict[str, tuple[Setting, Settings]],
) -> tuple[dict[str, VrrpInstance], dict[str, Settings], set[str]]:
    """All instances that can be run, their settings, and the names of those that cannot."""
    from_group: dict[str, bool] = {}
    for _, group in groups.values():
        if "notify_priority_changes" in group:
            for member in _members(group):
                from_group.setdefault(member.keyword, group.value("notify_priority_changes", False))
    ctx.own_interfaces = link_names((block.node for block in _all(root, "vrrp_instance")), defaults.vmac_prefix)
    seen: dict[str, Node] = {}
    instances: dict[str, VrrpInstance] = {}
    settings: dict[str, Settings] = {}
    refused: set[str] = set()
    for block in _all(root, "vrrp_instance"):
        name = str(block.value)
        if not _new_name(ctx, block, seen):
            continue
        built = build_instance(ctx, name, block.node, defaults, notify_priority_changes=from_group.get(name))
        if built is None:
            refused.add(name)
        else:
            instances[name], settings[name] = built
    return instances, settings, refused


def _no_shared_vrid(ctx: Context, instances: dict[str, VrrpInstance], settings: dict[str, Settings]) -> None:
    """Two instances that hear the same adverts would answer each other's (vrrp-behaviour.md 7).

    Unicast instances that only their peers tell apart are numbered, so that every instance has an identity.
    """
    seen: dict[tuple[int, int, str | None, str | None, str], list[VrrpInstance]] = {}
    for name, instance in instances.items():
        # Those that may clash: multicast on the same interface, unicast from the same source.
        where, what = instance.interface, instance.mcast_dst
        if instance.unicast is not None:
            where, what = (None, instance.source) if instance.source is not None else (where, "unicast")
        others = seen.setdefault((instance.vrid, instance.family, instance.net_namespace, where, what), [])
        clash = next((other for other in others if _same_adverts(instance, other)), None)
        if clash is not None:
            place = f" on {instance.interface}" if instance.interface is not None else " by unicast"
            ctx.refuse_all(
                "duplicate-vrid",
                f"`{name}` and `{clash.name}` both use VRID {instance.vrid} with IPv{instance.family}{place}",
                settings[name]["virtual_router_id"].span,
                hint=f"use another virtual_router_id{_free_vrid(instance, instances.values())}",
                related=[Related("the other one is here", settings[clash.name]["virtual_router_id"].span)],
            )
        twin = sum(other.interface == instance.interface for other in others) if instance.unicast is not None else 0
        others.append(instance)
        if twin:
            instances[name] = msgspec.structs.replace(instance, twin=twin)


def _same_adverts(one: VrrpInstance, other: VrrpInstance) -> bool:
    """Of two that `_no_shared_vrid` holds against each other."""
    if one.unicast is None or other.unicast is None:
        return True
    somewhere = one.interface is None or other.interface is None or one.interface == other.interface
    peers = {peer.address for peer in one.unicast.peers}
    shared = any(peer.address in peers for peer in other.unicast.peers) or not peers or not other.unicast.peers
    return somewhere and shared


def _free_vrid(instance: VrrpInstance, instances: Iterable[VrrpInstance]) -> str:
    """A VRID that is not taken on the same interface."""
    here = instance.net_namespace, instance.interface
    taken = {other.vrid for other in instances if (other.net_namespace, other.interface) == here}
    free = next((vrid for vrid in range(instance.vrid, 256) if vrid not in taken), None)
    return f", such as {free}, on all nodes" if free is not None else ""


# sync groups, second half


def _sync_groups(
    ctx: Context,
    groups: dict[str, tuple[Setting, Settings]],
    instances: dict[str, VrrpInstance],
    refused: set[str],
    defaults: InstanceDefaults,
) -> tuple[SyncGroup, ...]:
    found: list[SyncGroup] = []
    owner: dict[str, tuple[str, Node]] = {}
    for name, (block, settings) in groups.items():
        members: list[str] = []
        for node in _members(settings):
            if _may_join(ctx, name, node, instances, refused, owner):
                owner[node.keyword] = (name, node)
                members.append(node.keyword)
        if not members:
            ctx.diagnostics.error("empty-group", f"sync group `{name}` has no member and is dropped", block.span)
            continue
        if len(members) == 1:
            ctx.diagnostics.warning(
                "group-of-one",
                f"sync group `{name}` has only one member: there is nothing to keep in step",
                block.span,
                kind=ConfigTestClass.GENERAL,
            )
        found.append(
            SyncGroup(
                name=name,
                members=tuple(members),
                notify=build_notify(ctx, settings, defaults.scripts),
                smtp_alert=settings.value("smtp_alert", defaults.smtp_alert),
                sync_group_tracking_weight="sync_group_tracking_weight" in settings,
            )
        )
    return tuple(found)


def _may_join(
    ctx: Context,
    group: str,
    node: Node,
    instances: dict[str, VrrpInstance],
    refused: set[str],
    owner: dict[str, tuple[str, Node]],
) -> bool:
    member = node.keyword
    if member not in instances:
        if member in refused:
            message = f"`{member}` is not run, so sync group `{group}` goes on without it"
        else:
            message = f"sync group `{group}` has a member `{member}`, but there is no such vrrp_instance"
        ctx.diagnostics.error("unknown-member", message, node.span, hint=did_you_mean(member, instances))
        return False
    first = owner.get(member)
    if first is not None:
        ctx.diagnostics.error(
            "two-groups",
            f"`{member}` is in sync group `{first[0]}` already and cannot be in `{group}` too"
            if first[0] != group
            else f"`{member}` is listed twice in sync group `{group}`",
            node.span,
            related=[Related("the first time is here", first[1].span)],
        )
        return False
    return True
