"""Plays the nodes' files: one LAN for each interface name, every node on all of them, everything running from 0 on.

The other importer of `keepvip._core` beside `keepvip.engine`. The same files, steps and seed give the same story.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keepvip import event
from keepvip._core import Simulation as CoreSimulation
from keepvip.event import State
from keepvip.record import INTERFACE, Names, event_of, track_target
from keepvip.simulation.outcome import Change, Outcome, count
from keepvip.simulation.step import FILE, Action, SimulationError, Things, understand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from keepvip.config.model import Config, InstanceKey, VirtualAddress, VrrpInstance
    from keepvip.simulation.step import Step

__all__ = ["Told", "play"]


class Told(msgspec.Struct, frozen=True):
    """One line of the story."""

    at_us: int
    node: str | None
    """None for a step."""
    event: event.Event | None
    step: str | None = None
    """What happened to the world."""


def play(
    nodes: Sequence[tuple[str, Config]], steps: Sequence[Step], *, span_us: int, seed: int = 1
) -> tuple[list[Told], list[Outcome]]:
    """Plays `steps` and gives the story and how it went. `nodes` are names and configurations.

    Raises SimulationError for a step that makes no sense in this world, ValueError for a value that does not fit.
    """
    world = _World(nodes, seed)
    # All are understood before anything is played.
    actions = [understand(step, world.things) for step in sorted(steps, key=lambda step: step.at_us)]
    if actions and actions[-1].at_us > span_us:
        raise SimulationError(f"it ends after {span_us / 1e6:g} s, before the last step; see --for")
    for action in actions:
        world.run_until(action.at_us)
        world.carry_out(action)
    world.run_until(span_us)
    return world.story, world.outcomes(span_us)


class _World:
    """The native world, with names."""

    def __init__(self, nodes: Sequence[tuple[str, Config]], seed: int) -> None:
        names = [name for name, _ in nodes]
        if len(set(names)) != len(names):
            raise SimulationError("two files have the same name: name the nodes differently (NAME=FILE)")
        flat = _without_namespaces([config for _, config in nodes])
        self._configs = _with_sources(list(zip(names, flat, strict=True)))
        tracked = [_tracked(config) for config in self._configs]
        self.things = Things(nodes=names, lans=_interfaces(self._configs), tracked=tracked)
        self._names = [_names_of(config, numbers) for config, numbers in zip(self._configs, tracked, strict=True)]
        self._core = CoreSimulation(
            nodes=[
                (
                    config.instances,
                    {
                        slot: [(track_target(track, numbers), track.weight, track.reverse) for track in one.tracks]
                        for slot, one in enumerate(config.instances)
                    },
                    _groups(config),
                    self.things.lans,
                    config.global_defs.startup_delay_us,
                )
                for config, numbers in zip(self._configs, tracked, strict=True)
            ],
            lans=len(self.things.lans),
            seed=seed,
        )
        self._start_us = self._core.now_us
        self._owner = self._owners()
        self.story: list[Told] = []
        self._now_us = 0
        self._sleeps: list[tuple[int, int, int]] = []
        """Nodes that do not run, whatever their state: node, from, to (µs)."""
        for node, numbers in enumerate(tracked):
            # Everything is well in the beginning; a file that nobody has written contains 0.
            for (kind, _), number in numbers.items():
                self._core.set_track(node, number, 0 if kind == FILE else "good")
            self._core.start(node)
        self._listen()

    def run_until(self, at_us: int) -> None:
        """Runs, and writes the story down."""
        for wake_us, node in sorted((until_us, node) for node, _, until_us in self._sleeps):
            if self._now_us < wake_us <= at_us:
                # Told before what it does then.
                self._run_until(wake_us - 1)
                self.story.append(Told(wake_us, None, None, f"{self.things.nodes[node]} wakes up"))
        self._run_until(at_us)

    def _run_until(self, at_us: int) -> None:
        self._core.run_until(self._start_us + at_us)
        self._now_us = at_us
        self._listen()

    def carry_out(self, action: Action) -> None:
        """Does what a step says."""
        self.story.append(Told(at_us=action.at_us, node=None, event=None, step=action.text))
        for deed in action.deeds:
            getattr(self._core, deed.verb)(*deed.arguments)
            if deed.node is not None:
                self._note_sleep(deed.verb, deed.node, action.at_us, deed.span_us)
        self._listen()

    def _note_sleep(self, verb: str, node: int, at_us: int, span_us: int | None) -> None:
        asleep = [sleep for sleep in self._sleeps if sleep[0] == node and sleep[1] <= at_us < sleep[2]]
        dead = any(until_us == _FOR_EVER for _, _, until_us in asleep)
        if verb == "kill" or (verb == "start" and dead):
            # An earlier sleep ends here, one way or the other.
            for sleep in asleep:
                self._sleeps.remove(sleep)
                self._sleeps.append((node, sleep[1], at_us))
        if verb == "kill":
            self._sleeps.append((node, at_us, _FOR_EVER))
        elif span_us is not None and not asleep:
            self._sleeps.append((node, at_us, at_us + span_us))

    def _listen(self) -> None:
        for node, (kind, seq, _epoch, mono_us, fields) in self._core.drain():
            at_us = mono_us - self._start_us
            made = event_of(kind, self._names[node], {"seq": seq, "at_ns": at_us * 1000, "mono_us": at_us}, fields)
            if isinstance(made, event.Resynced | event.Stopped):
                continue
            self.story.append(Told(at_us=at_us, node=self.things.nodes[node], event=self._with_names(made)))

    def _with_names(self, made: event.Event) -> event.Event:
        """The other node by its name: the addresses are made up here."""
        if isinstance(made, event.Transition) and "master" in made.evidence:
            master = self._owner.get(str(made.evidence["master"]), made.evidence["master"])
            return msgspec.structs.replace(made, evidence={**made.evidence, "master": master})
        if isinstance(made, event.MasterRxLowerPriority | event.AdvertRejected):
            return msgspec.structs.replace(made, sender=self._owner.get(made.sender, made.sender))
        return made

    def _owners(self) -> dict[str, str]:
        owners: dict[str, str] = {}
        for node, (name, config) in enumerate(zip(self.things.nodes, self._configs, strict=True)):
            owners.update(dict.fromkeys(self._core.addresses(node), name))
            owners.update({one.source: name for one in config.instances if one.source})
        return owners

    def outcomes(self, end_us: int) -> list[Outcome]:
        """How it went, for each virtual router in the order of the files."""
        routers: dict[InstanceKey, dict[str, VrrpInstance]] = {}
        for name, config in zip(self.things.nodes, self._configs, strict=True):
            for one in config.instances:
                routers.setdefault(_router(one), {})[name] = one
        return [self._outcome(instances, end_us) for instances in routers.values()]

    def _outcome(self, instances: Mapping[str, VrrpInstance], end_us: int) -> Outcome:
        changes: list[Change] = []
        for node, name in enumerate(self.things.nodes):
            if name in instances:
                changes += self._changes(node, name, instances[name].name)
        masters, first_us, without, double = count(sorted(changes), end_us)
        one = next(iter(instances.values()))
        return Outcome(
            vrid=one.vrid,
            family=one.family,
            interface=one.interface,
            names={name: instance.name for name, instance in instances.items()},
            masters=masters,
            first_master_us=first_us,
            without_master=tuple(without),
            two_masters=tuple(double),
        )

    def _changes(self, node: int, name: str, instance: str) -> list[Change]:
        """When a node worked as master: it was, and it ran."""
        moments = [(0, False)] + [
            (told.at_us, told.event.new is State.MASTER)
            for told in self.story
            if told.node == name and isinstance(told.event, event.Transition) and told.event.instance == instance
        ]
        sleeps = [(since_us, until_us) for who, since_us, until_us in self._sleeps if who == node]
        times = sorted({at_us for at_us, _ in moments} | {at_us for sleep in sleeps for at_us in sleep} - {_FOR_EVER})
        changes = []
        for at_us in times:
            is_master = [master for when_us, master in moments if when_us <= at_us][-1]
            runs = not any(since_us <= at_us < until_us for since_us, until_us in sleeps)
            changes.append(Change(at_us, name, is_master and runs))
        return changes


_FOR_EVER = 1 << 62


def _router(instance: VrrpInstance) -> InstanceKey:
    """Which instances of different nodes are the same virtual router: by what makes their adverts reach each other."""
    where = "unicast" if instance.unicast else instance.mcast_dst
    return (instance.vrid, instance.family, instance.interface or "", where)


def _with_sources(nodes: Sequence[tuple[str, Config]]) -> list[Config]:
    """The configurations, with a source address for each unicast instance that leaves it to its interface.

    The real address of the host is not in its file, but in the others': it is the one that they all have as a peer,
    and that the node itself has not.
    """
    configs = []
    for name, config in nodes:
        instances = []
        for one in config.instances:
            if one.unicast is None or one.source is not None:
                instances.append(one)
                continue
            others = [
                {peer.address for peer in other.unicast.peers}
                for their_name, their_config in nodes
                if their_name != name
                for other in their_config.instances
                if other.unicast is not None and _router(other) == _router(one)
            ]
            found = set.intersection(*others) - {peer.address for peer in one.unicast.peers} if others else set()
            if len(found) != 1:
                raise SimulationError(
                    f"{name}: which address {one.name} sends from cannot be told from the peers of the other files; "
                    "give it a unicast_src_ip"
                )
            instances.append(msgspec.structs.replace(one, source=found.pop()))
        configs.append(msgspec.structs.replace(config, instances=tuple(instances)))
    return configs


def _interfaces(configs: Sequence[Config]) -> list[str]:
    """Every interface that any file uses, in order."""
    found: dict[str, None] = {}
    for config in configs:
        for one in config.instances:
            found.update(dict.fromkeys([one.interface] if one.interface else []))
            found.update(dict.fromkeys(a.dev for a in (*one.addresses, *one.excluded) if a.dev))
            found.update(dict.fromkeys(track.name for track in one.tracks if track.kind == INTERFACE))
    return list(found)


def _without_namespaces(configs: Sequence[Config]) -> list[Config]:
    """The configurations with names for interfaces that are unique over all network namespaces: each is a LAN."""
    names: dict[tuple[str, str], str] = {}

    def rename(one: VrrpInstance) -> VrrpInstance:
        space = one.net_namespace
        if space is None:
            return one

        def unique(name: str) -> str:
            key = (space, name)
            return names.setdefault(
                key, f"{space}/{name}" if len(space) + len(name) < 15 else f"{len(names)}/{name}"[:15]
            )

        def moved(addresses: Sequence[VirtualAddress]) -> tuple[VirtualAddress, ...]:
            return tuple(msgspec.structs.replace(a, dev=unique(a.dev)) if a.dev else a for a in addresses)

        return msgspec.structs.replace(
            one,
            interface=unique(one.interface) if one.interface else None,
            addresses=moved(one.addresses),
            excluded=moved(one.excluded),
            tracks=tuple(
                msgspec.structs.replace(track, name=unique(track.name)) if track.kind == INTERFACE else track
                for track in one.tracks
            ),
        )

    return [msgspec.structs.replace(config, instances=tuple(map(rename, config.instances))) for config in configs]


def _tracked(config: Config) -> dict[tuple[str, str], int]:
    """Numbers of the tracked things, interfaces apart."""
    keys = dict.fromkeys((t.kind, t.name) for one in config.instances for t in one.tracks if t.kind != INTERFACE)
    return {key: number for number, key in enumerate(keys)}


def _groups(config: Config) -> list[list[int]]:
    slots = {one.name: slot for slot, one in enumerate(config.instances)}
    return [[slots[member] for member in group.members] for group in config.sync_groups]


def _names_of(config: Config, tracked: Mapping[tuple[str, str], int]) -> Names:
    groups = list(zip((group.name for group in config.sync_groups), _groups(config), strict=True))
    return Names(dict(enumerate(config.instances)), groups, {number: key for key, number in tracked.items()})
