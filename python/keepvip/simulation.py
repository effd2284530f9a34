"""Nodes with the real protocol core in a simulated world: who is master when, and why, before it matters.

The world has one LAN for each interface name of the files; all nodes are on all of them. Time is virtual and starts at
0; what happens is the same for the same files, steps and seed. The other importer of `keepvip._core` beside
`keepvip.engine`: no thread, no socket, nothing of the host.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from keepvip import event
from keepvip._core import Simulation as CoreSimulation
from keepvip.event import State
from keepvip.record import INTERFACE, Names, event_of, track_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keepvip.config.model import Config

__all__ = ["Outcome", "SimulationError", "Step", "Told", "run", "seconds"]

_TIME = re.compile(r"(\d+(?:\.\d*)?)(us|ms|s|m)?", re.ASCII)
_UNIT_US = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000}


class SimulationError(ValueError):
    """A step that cannot be carried out: what is wrong with it, and what is possible."""


class Step(msgspec.Struct, frozen=True):
    """Something that happens to the world."""

    at_us: int
    heals: bool
    """It ends what an earlier step began."""
    what: str
    """`node`, `node:stop`, `node:pause=5s`, `node:eth0`, `eth0`, `eth0:loss=30%`, `chk` or `node:chk`."""


class Told(msgspec.Struct, frozen=True):
    """One line of the story."""

    at_us: int
    node: str | None
    """None: a step."""
    event: event.Event | None
    step: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """How it went for the instances of one virtual router."""

    vrid: int
    family: int
    interface: str
    names: dict[str, str]
    """Name of the instance by node."""
    masters: tuple[str, ...]
    """At the end."""
    without_master_us: int
    """From the first master on."""
    two_masters_us: int


def seconds(text: str) -> int:
    """A time like `3s`, `250ms`, `1.5` (seconds) in µs. Raises SimulationError."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise SimulationError(f"`{text}` is not a time; write it like 3s, 250ms or 1.5")
    return round(float(found[1]) * _UNIT_US[found[2] or "s"])


class _World:
    """The world with its names."""

    def __init__(self, nodes: Sequence[tuple[str, Config]], seed: int) -> None:
        self.nodes = [name for name, _ in nodes]
        if len(set(self.nodes)) != len(self.nodes):
            raise SimulationError("two files have the same name: name the nodes differently (NAME=FILE)")
        self.configs = [config for _, config in nodes]
        self.lans = _interfaces(self.configs)
        self.tracked = [_tracked(config) for config in self.configs]
        self.names = [_names(config, tracked) for config, tracked in zip(self.configs, self.tracked, strict=True)]
        self.core = CoreSimulation(
            nodes=[
                (
                    config.instances,
                    {
                        slot: [(track_target(track, tracked), track.weight, track.reverse) for track in one.tracks]
                        for slot, one in enumerate(config.instances)
                    },
                    _groups(config),
                    self.lans,
                )
                for config, tracked in zip(self.configs, self.tracked, strict=True)
            ],
            lans=len(self.lans),
            seed=seed,
        )
        self.start_us = self.core.now_us
        for node, tracked in enumerate(self.tracked):
            for number in tracked.values():
                self.core.set_track(node, number, True)
            self.core.start(node)

    def carry_out(self, step: Step) -> None:
        """Does what a step says. Raises SimulationError."""
        head, _, tail = step.what.partition(":")
        if head in self.nodes:
            self._to_node(self.nodes.index(head), tail, step)
        elif head in self.lans:
            self._to_lan(self.lans.index(head), tail, step)
        elif not tail and self._to_tracked(range(len(self.nodes)), head, step):
            pass
        else:
            raise self._unknown(step.what)

    def _to_node(self, node: int, what: str, step: Step) -> None:
        verb, _, value = what.partition("=")
        if not what or what == "stop":
            if step.heals:
                self.core.start(node)
            elif what:
                self.core.stop(node)
            else:
                self.core.kill(node)
        elif verb == "pause" and not step.heals:
            self.core.pause(node, seconds(value))
        elif what in self.lans:
            self.core.set_link(node, self.lans.index(what), step.heals)
        elif not self._to_tracked([node], what, step):
            raise self._unknown(step.what)

    def _to_lan(self, lan: int, what: str, step: Step) -> None:
        verb, _, value = what.partition("=")
        loss = re.fullmatch(r"(\d{1,3})%", value)
        if not what:
            self.core.split(lan, not step.heals)
        elif verb == "loss" and (step.heals or (loss and int(loss[1]) <= 100)):
            self.core.set_loss(lan, 0 if step.heals or not loss else int(loss[1]) * 10)
        else:
            raise self._unknown(step.what)

    def _to_tracked(self, nodes: Sequence[int], name: str, step: Step) -> bool:
        found = False
        for node in nodes:
            for (_, known), number in self.tracked[node].items():
                if known == name:
                    self.core.set_track(node, number, step.heals)
                    found = True
        return found

    def _unknown(self, what: str) -> SimulationError:
        tracked = sorted({name for numbers in self.tracked for _, name in numbers})
        known = [*self.nodes, *self.lans, *tracked]
        return SimulationError(
            f"`{what}` is nothing that can fail here; known are {', '.join(known)}; a node also takes "
            "NODE:stop, NODE:pause=5s, NODE:INTERFACE and an interface INTERFACE:loss=30%"
        )

    def told(self) -> list[Told]:
        """What happened since the last call."""
        lines = []
        for node, (kind, seq, _epoch, mono_us, fields) in self.core.drain():
            base = {"seq": seq, "at_ns": 0, "mono_us": mono_us - self.start_us}
            made = event_of(kind, self.names[node], base, fields)
            if not isinstance(made, event.Resynced):
                lines.append(Told(at_us=made.mono_us, node=self.nodes[node], event=made))
        return lines


def run(
    nodes: Sequence[tuple[str, Config]], steps: Sequence[Step], *, span_us: int, seed: int = 1
) -> tuple[list[Told], list[Outcome]]:
    """Plays `steps` and gives the story and how it went. `nodes` are names and configurations.

    Raises SimulationError for a step that makes no sense in this world, ValueError for a value that does not fit.
    """
    world = _World(nodes, seed)
    story = world.told()
    for step in sorted(steps, key=lambda step: step.at_us):
        world.core.run_until(world.start_us + step.at_us)
        story += world.told()
        verb = "heals" if step.heals else "fails"
        story.append(Told(at_us=step.at_us, node=None, event=None, step=f"{verb}: {step.what}"))
        world.carry_out(step)
        story += world.told()
    world.core.run_until(world.start_us + span_us)
    story += world.told()
    return story, _outcomes(world, story, span_us)


def _outcomes(world: _World, story: list[Told], span_us: int) -> list[Outcome]:
    routers: dict[tuple[int, int, str], dict[str, str]] = {}
    for node, config in zip(world.nodes, world.configs, strict=True):
        for one in config.instances:
            routers.setdefault((one.vrid, one.family, one.interface or ""), {})[node] = one.name
    return [_outcome(key, names, story, span_us) for key, names in routers.items()]


def _outcome(key: tuple[int, int, str], names: dict[str, str], story: list[Told], span_us: int) -> Outcome:
    masters: set[str] = set()
    without_us = two_us = 0
    since_us: int | None = None
    for line in [*story, Told(at_us=span_us, node=None, event=None)]:
        if since_us is not None:
            without_us += (line.at_us - since_us) if not masters else 0
            two_us += (line.at_us - since_us) if len(masters) > 1 else 0
            since_us = line.at_us
        if line.step is not None and line.step.startswith("fails: "):
            masters.discard(line.step.removeprefix("fails: "))  # killed: it says nothing more
        if isinstance(line.event, event.Transition) and line.node and names.get(line.node) == line.event.instance:
            (masters.add if line.event.new is State.MASTER else masters.discard)(line.node)
            if masters and since_us is None:
                since_us = line.at_us
    vrid, family, interface = key
    return Outcome(
        vrid=vrid,
        family=family,
        interface=interface,
        names=names,
        masters=tuple(sorted(masters)),
        without_master_us=without_us,
        two_masters_us=two_us,
    )


def _interfaces(configs: Sequence[Config]) -> list[str]:
    """Every interface that any file uses, in order."""
    found: dict[str, None] = {}
    for config in configs:
        for one in config.instances:
            found.update(dict.fromkeys([one.interface] if one.interface else []))
            found.update(dict.fromkeys(a.dev for a in (*one.addresses, *one.excluded) if a.dev))
            found.update(dict.fromkeys(track.name for track in one.tracks if track.kind == INTERFACE))
    return list(found)


def _tracked(config: Config) -> dict[tuple[str, str], int]:
    """Numbers of the tracked things, interfaces apart."""
    keys = dict.fromkeys((t.kind, t.name) for one in config.instances for t in one.tracks if t.kind != INTERFACE)
    return {key: number for number, key in enumerate(keys)}


def _groups(config: Config) -> list[list[int]]:
    slots = {one.name: slot for slot, one in enumerate(config.instances)}
    return [[slots[member] for member in group.members] for group in config.sync_groups]


def _names(config: Config, tracked: dict[tuple[str, str], int]) -> Names:
    groups = list(zip((group.name for group in config.sync_groups), _groups(config), strict=True))
    return Names(dict(enumerate(config.instances)), groups, {number: key for key, number in tracked.items()})
