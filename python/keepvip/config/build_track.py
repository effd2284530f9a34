"""What instances depend on: definitions of scripts, lines of tracking blocks, and what sync groups make of them.

The rules are keepalived's (config-keywords.md 5, 7.4, 8; vrrp-behaviour.md 9; config-language.md 8): an object must be
defined before it is referred to, the first of two of one name counts, whatever cannot be used is left out with a
message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keepvip.config.build_namespace import in_network_of
from keepvip.config.build_script import build_command
from keepvip.config.build_tracked import build_file, build_process, read_weight
from keepvip.config.diagnostic import Related
from keepvip.config.keyword import ACTS
from keepvip.config.keywords.tracked import VRRP_SCRIPT
from keepvip.config.model import Track, TrackScript
from keepvip.config.model_track import TrackFile, TrackProcess
from keepvip.config.settings import read_block, read_options
from keepvip.config.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from keepvip.config.build_script import ScriptDefaults
    from keepvip.config.keyword import Block
    from keepvip.config.model import SyncGroup, VrrpInstance
    from keepvip.config.settings import Context, Setting, Settings
    from keepvip.config.tree import Node

__all__ = ["Tracking", "build_tracking"]

OWNER = 255
MAX_WEIGHT = 253
INTERFACE = "interface"
SCRIPT = "script"
FILE = "file"
PROCESS = "process"
LINES = {"track_interface": INTERFACE, "track_script": SCRIPT, "track_file": FILE, "track_process": PROCESS}
"""Tracking blocks that act, and the kind of what they name."""
_BLOCKS = {SCRIPT: "vrrp_script", FILE: "track_file", PROCESS: "vrrp_track_process"}


class Tracking(msgspec.Struct, frozen=True):
    """Everything about tracking that a configuration holds."""

    instances: dict[str, VrrpInstance]
    scripts: tuple[TrackScript, ...] = ()
    files: tuple[TrackFile, ...] = ()
    processes: tuple[TrackProcess, ...] = ()
    known_files: dict[str, TrackFile] = {}
    """All that are defined, followed or not."""


class _Object(msgspec.Struct, frozen=True):
    """A thing that can be tracked, with the weight of those who give none."""

    built: TrackScript | TrackFile | TrackProcess
    node: Node


_Objects = dict[tuple[str, str], _Object]
_NARROW = frozenset({INTERFACE, SCRIPT})
"""Kinds whose weights end at 253."""


def build_tracking(
    ctx: Context,
    root: Settings,
    nodes: Sequence[Node],
    *,
    scripts: ScriptDefaults,
    instances: Mapping[str, VrrpInstance],
    settings: Mapping[str, Settings],
    groups: Mapping[str, Settings],
    sync_groups: Sequence[SyncGroup],
    checked_files: Collection[str] = (),
) -> Tracking:
    """The instances with what they track. `nodes`: the whole file in its order; `settings`, `groups`: by name.

    `checked_files`: names of the files that checkers of real servers follow.
    """
    objects: _Objects = {}
    for block in _blocks(root, "vrrp_script"):
        _add(ctx, objects, SCRIPT, block, _script(ctx, block, scripts))
    for block in _blocks(root, "track_file"):
        _add(ctx, objects, FILE, block, build_file(ctx, block))
    for block in _blocks(root, "vrrp_track_process"):
        _add(ctx, objects, PROCESS, block, build_process(ctx, block))
    order = {id(node): place for place, node in enumerate(nodes)}
    heads = {str(block.value): block.node for block in reversed(_blocks(root, "vrrp_instance"))}
    group_heads = {str(block.value): block.node for block in reversed(_blocks(root, "vrrp_sync_group"))}
    lines = _Lines(ctx, objects, order)
    own: dict[str, list[Track]] = {}
    for name, instance in instances.items():
        with in_network_of(ctx, instance.net_namespace):
            own[name] = lines.of_instance(instance, settings[name], heads[name])
    of_group = {name: lines.read(f"sync group `{name}`", group, group_heads[name]) for name, group in groups.items()}
    for group in sync_groups:
        for member in group.members:
            tracks = (
                own[member] if group.sync_group_tracking_weight else _without_weights(ctx, member, own[member], lines)
            )
            own[member] = _merged(instances[member], tracks, of_group[group.name])
    found: dict[str, VrrpInstance] = {}
    for name, instance in instances.items():
        tracks = _of_owner(ctx, instance, own[name], lines)
        found[name] = msgspec.structs.replace(instance, tracks=tuple(tracks)) if tracks else instance
    used = {(track.kind, track.name) for instance in found.values() for track in instance.tracks}
    used |= {(FILE, name) for name in checked_files}
    for (kind, name), thing in objects.items():
        if (kind, name) not in used:
            ctx.diagnostics.note(
                "not-tracked",
                f"{_BLOCKS[kind]} `{name}` is tracked by no instance that runs: nothing is done for it",
                thing.node.statement_span,
            )
    tracked = [thing.built for key, thing in objects.items() if key in used]
    return Tracking(
        instances=found,
        scripts=tuple(thing for thing in tracked if isinstance(thing, TrackScript)),
        files=tuple(thing for thing in tracked if isinstance(thing, TrackFile)),
        processes=tuple(thing for thing in tracked if isinstance(thing, TrackProcess)),
        known_files={name: one.built for (_, name), one in objects.items() if isinstance(one.built, TrackFile)},
    )


def _blocks(root: Settings, name: str) -> list[Setting]:
    setting = root.get(name)
    return setting.all() if setting is not None else []


def _add(
    ctx: Context, objects: _Objects, kind: str, block: Setting, built: TrackScript | TrackFile | TrackProcess | None
) -> None:
    if built is None:
        return
    thing = _Object(built, block.node)
    first = objects.setdefault((kind, built.name), thing)
    if first is not thing:
        ctx.diagnostics.warning(
            "duplicate-name",
            f"there is a {block.keyword.name} `{built.name}` already: whoever names it means the first",
            block.span,
            related=[Related("the first one is here", first.node.statement_span)],
        )


def _script(ctx: Context, block: Setting, defaults: ScriptDefaults) -> TrackScript | None:
    settings = read_block(ctx, block.node.children or (), VRRP_SCRIPT)
    name = str(block.value)
    command = settings.get("script")
    if command is None:
        ctx.diagnostics.error(
            "missing-keyword", f"vrrp_script `{name}` has no `script` and is dropped", block.node.statement_span
        )
        return None
    script = build_command(ctx, command, settings.get("user"), defaults)
    if script is None:
        return None
    interval_us = settings.value("interval", 1_000_000)
    weight, reverse = read_weight(settings)
    return TrackScript(
        name=name,
        script=script,
        opens=script.text.strip()[1:].strip() if script.argv[0].startswith("<") else None,
        interval_us=interval_us,
        timeout_us=settings.value("timeout", interval_us),
        rise=settings.value("rise", 1),
        fall=settings.value("fall", 1),
        init_fail="init_fail" in settings,
        weight=weight,
        reverse=reverse,
    )


class _Lines:
    """Reads tracking blocks."""

    def __init__(self, ctx: Context, objects: _Objects, order: Mapping[int, int]) -> None:
        self.ctx = ctx
        self.objects = objects
        self.order = order
        self.nodes: dict[int, Node] = {}
        """Where each track was written, by identity."""

    def of_instance(self, instance: VrrpInstance, settings: Settings, head: Node) -> list[Track]:
        """What an instance lists itself."""
        found = []
        for track in self.read(f"`{instance.name}`", settings, head):
            if track.kind == INTERFACE and track.name == instance.interface:
                reason = (
                    "dont_track_primary says that it does not matter"
                    if instance.dont_track_primary
                    else "its state counts anyway"
                )
                self.ctx.diagnostics.warning(
                    "own-interface",
                    f"`{instance.name}` is on {track.name} itself: {reason}, and this line is ignored",
                    self.nodes[id(track)].span,
                )
            else:
                found.append(track)
        return found

    def read(self, owner: str, settings: Settings, head: Node) -> list[Track]:
        """The lines of all tracking blocks of an instance or group that act."""
        found: dict[tuple[str, str], Track] = {}
        for keyword, kind in LINES.items():
            setting = settings.get(keyword)
            if setting is None or setting.keyword.block is None or setting.keyword.support is not ACTS:
                continue
            for node in (node for block in setting.all() for node in block.node.children or ()):
                track = self._line(owner, setting.keyword.block, kind, node, head)
                if track is None:
                    continue
                first = found.setdefault((kind, track.name), track)
                if first is track:
                    self.nodes[id(track)] = node
                else:
                    self.ctx.first_wins(f"`{track.name}`", node, self.nodes[id(first)])
        return list(found.values())

    def _line(self, owner: str, block: Block, kind: str, node: Node, head: Node) -> Track | None:
        name = node.keyword
        options = read_options(self.ctx, node, (name, *node.args), 1, block.keywords, block.entry_name)
        weight, reverse = 0, False
        if kind == INTERFACE:
            if not self._exists(owner, node):
                return None
        else:
            thing = self._object(owner, kind, node, head)
            if thing is None:
                return None
            weight, reverse = thing.built.weight, thing.built.reverse
        if options is None:
            return None
        if "weight" in options:
            value = options["weight"][0]
            given, *sense = value if isinstance(value, tuple) else (value,)
            weight = given if isinstance(given, int) else 0
            if kind in _NARROW:
                weight = self._reduced(node, weight)
            if sense:
                reverse = sense[0] == "reverse"
        return Track(kind=kind, name=name, weight=weight, reverse=reverse)

    def _exists(self, owner: str, node: Node) -> bool:
        name = node.keyword
        if self.ctx.interface_exists(name):
            return True
        self.ctx.diagnostics.error(
            "unknown-interface",
            f"{owner} tracks `{name}`, but there is no such interface: it is ignored",
            node.span,
            hint=self.ctx.interface_hint(name) or "with dynamic_interfaces it need not exist yet",
        )
        return False

    def _object(self, owner: str, kind: str, node: Node, head: Node) -> _Object | None:
        name = node.keyword
        block = _BLOCKS[kind]
        thing = self.objects.get((kind, name))
        if thing is None:
            self.ctx.diagnostics.error(
                "unknown-tracker",
                f"{owner} tracks `{name}`, but there is no usable {block} of that name: it is ignored",
                node.span,
                hint=did_you_mean(name, [known for of, known in self.objects if of == kind]),
            )
            return None
        if self.order.get(id(thing.node), 0) > self.order.get(id(head), 0):
            self.ctx.diagnostics.error(
                "defined-too-late",
                f"{owner} tracks `{name}`, which is defined only further down: it is ignored",
                node.span,
                hint=f"put the {block} block before those that track it",
                related=[Related("it is defined here", thing.node.span)],
            )
            return None
        return thing

    def _reduced(self, node: Node, weight: int) -> int:
        if abs(weight) <= MAX_WEIGHT:
            return weight
        reduced = MAX_WEIGHT if weight > 0 else -MAX_WEIGHT
        self.ctx.diagnostics.warning(
            "adjusted-value", f"`{node.keyword}`: a weight of {weight} is not possible, {reduced} is used", node.span
        )
        return reduced


def _without_weights(ctx: Context, member: str, tracks: list[Track], lines: _Lines) -> list[Track]:
    """What is left of the own trackers of a member whose group has no `sync_group_tracking_weight`.

    Processes keep their weights, whatever keepalived's manual says (seen with 2.2.7).
    """
    found = []
    for track in tracks:
        if track.weight == 0 or track.kind == PROCESS:
            found.append(track)
            continue
        kept = track.kind == INTERFACE or (track.kind == FILE and track.weight == 1)
        ctx.diagnostics.warning(
            "weight-in-group",
            f"`{member}` is in a sync group, so its {track.kind} `{track.name}` cannot have a weight: "
            + ("it is tracked without" if kept else "it is not tracked"),
            lines.nodes[id(track)].span,
            hint="write sync_group_tracking_weight into the group to keep weights",
        )
        if kept:
            found.append(msgspec.structs.replace(track, weight=0))
    return found


def _merged(instance: VrrpInstance, own: list[Track], shared: list[Track]) -> list[Track]:
    """Own trackers and those of the group: of two for one thing the group's counts, unless the own has weight 0."""
    of_group = {
        (track.kind, track.name): track
        for track in shared
        if track.kind != INTERFACE or track.name != instance.interface or instance.dont_track_primary
    }
    found = []
    for track in own:
        other = of_group.pop((track.kind, track.name), None)
        found.append(track if other is None or track.weight == 0 else other)
    return [*found, *of_group.values()]


def _of_owner(ctx: Context, instance: VrrpInstance, tracks: list[Track], lines: _Lines) -> list[Track]:
    """The owner of the addresses has no use for weights."""
    if instance.priority != OWNER or all(track.weight == 0 for track in tracks):
        return tracks
    for track in tracks:
        if track.weight != 0:
            node = lines.nodes.get(id(track))
            ctx.diagnostics.warning(
                "weight-of-owner",
                f"`{instance.name}` has priority 255, which no weight changes:"
                f" {track.kind} `{track.name}` is not tracked",
                node.span if node is not None else None,
            )
    return [track for track in tracks if track.weight == 0]
