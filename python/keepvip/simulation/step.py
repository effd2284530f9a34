"""What happens to the world: a node, a network, a cable, a tracked thing fails or works again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from keepvip.config.suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Action", "Deed", "SimulationError", "Step", "Things", "duration_us", "understand"]

_TIME = re.compile(r"(\d+(?:\.\d*)?)(us|ms|s|m)?", re.ASCII)
_UNIT_US = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000}
_LOSS = re.compile(r"(\d{1,3})%?", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,10}", re.ASCII)

FILE = "file"
"""The kind of tracked things whose value is a number."""


class SimulationError(ValueError):
    """A world or a step that makes no sense: what is wrong with it, and what is possible."""


class Step(msgspec.Struct, frozen=True):
    """What somebody wants to happen, as it was written."""

    at_us: int
    """From the start of the simulation."""
    heals: bool
    """It ends what an earlier step began."""
    what: str
    """`node`, `node:stop`, `node:pause=5s`, `node:eth0`, `eth0`, `eth0:loss=30%`, `chk`, `node:chk` ..."""


class Things(msgspec.Struct, frozen=True):
    """What there is in a world, by name."""

    nodes: Sequence[str]
    lans: Sequence[str]
    tracked: Sequence[Mapping[tuple[str, str], int]]
    """Of each node: numbers of the tracked things by kind and name, interfaces apart."""

    def tracked_names(self) -> list[str]:
        """Names of tracked things, of all nodes."""
        return sorted({name for numbers in self.tracked for _, name in numbers})


class Deed(msgspec.Struct, frozen=True):
    """One call of the native simulation."""

    verb: str
    """Name of its method: `kill`, `stop`, `start`, `pause`, `suspend`, `set_link`, `split`, `set_loss`, `set_track`."""
    arguments: tuple[int | str, ...]
    node: int | None = None
    """The node that it happens to."""
    span_us: int | None = None
    """How long the node sleeps."""


class Action(msgspec.Struct, frozen=True):
    """A step that was understood."""

    at_us: int
    text: str
    """What happens, for people."""
    deeds: tuple[Deed, ...]


def duration_us(text: str) -> int:
    """A time like `3s`, `250ms`, `1.5` (seconds) in µs. Raises SimulationError."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise SimulationError(f"`{text}` is not a time; write it like 3s, 250ms or 1.5")
    return round(float(found[1]) * _UNIT_US[found[2] or "s"])


def understand(step: Step, things: Things) -> Action:
    """Finds out what a step does to which things. Raises SimulationError."""
    head, _, tail = step.what.partition(":")
    name, _, value = step.what.partition("=")
    meanings = [
        meaning
        for meaning, fits in (
            ("a node", head in things.nodes),
            ("a network", head in things.lans),
            ("a tracked thing", name in things.tracked_names()),
        )
        if fits
    ]
    if len(meanings) > 1:
        raise SimulationError(
            f"`{step.what}` may be {' or '.join(meanings)}; give the nodes other names (NAME=FILE) to tell them apart"
        )
    if head in things.nodes:
        return _of_node(step, things, things.nodes.index(head), tail)
    if head in things.lans:
        return _of_lan(step, things.lans.index(head), head, tail)
    if name in things.tracked_names():
        return _of_tracked(step, things, range(len(things.nodes)), name, value)
    raise _unknown(step.what, things)


def _of_node(step: Step, things: Things, node: int, what: str) -> Action:
    who = things.nodes[node]
    word, _, value = what.partition("=")
    if word in {"pause", "suspend"} and value:
        if step.heals:
            raise SimulationError(f"`{step.what}` ends by itself")
        span_us = duration_us(value)
        how = "sleeps" if word == "pause" else "is suspended, and what is sent to it is lost,"
        deed = Deed(word, (node, span_us), node=node, span_us=span_us)
        return Action(step.at_us, f"{who} {how} for {value}", (deed,))
    if not what or what == "stop":
        if step.heals:
            return Action(step.at_us, f"{who} is started", (Deed("start", (node,), node=node),))
        verb, text = ("stop", "is stopped (SIGTERM)") if what else ("kill", "is killed")
        return Action(step.at_us, f"{who} {text}", (Deed(verb, (node,), node=node),))
    if what in things.lans:
        text = "is plugged in" if step.heals else "is pulled"
        deed = Deed("set_link", (node, things.lans.index(what), step.heals))
        return Action(step.at_us, f"the cable of {who} at {what} {text}", (deed,))
    if any(name == word for _, name in things.tracked[node]):
        return _of_tracked(step, things, [node], word, value)
    raise _unknown(step.what, things)


def _of_lan(step: Step, lan: int, name: str, what: str) -> Action:
    if not what:
        text = "carries packets again" if step.heals else "carries no packet, its links stay up"
        return Action(step.at_us, f"network {name} {text}", (Deed("split", (lan, not step.heals)),))
    word, _, value = what.partition("=")
    found = _LOSS.fullmatch(value)
    if word != "loss" or not (step.heals or (found and int(found[1]) <= 100)):
        raise SimulationError(f"`{step.what}`: a network fails as a whole, or like {name}:loss=30%")
    percent = 0 if step.heals or found is None else int(found[1])
    text = f"loses {percent} % of its packets" if percent else "loses no packet any longer"
    return Action(step.at_us, f"network {name} {text}", (Deed("set_loss", (lan, percent * 10)),))


def _of_tracked(step: Step, things: Things, nodes: Sequence[int], name: str, value: str) -> Action:
    deeds: list[Deed] = []
    text = ""
    for node in nodes:
        for (kind, known), number in things.tracked[node].items():
            if known == name:
                told, text = _value(step, kind, value)
                deeds.append(Deed("set_track", (node, number, told)))
    where = "" if len(nodes) > 1 else f" on {things.nodes[nodes[0]]}"
    return Action(step.at_us, f"{name} {text}{where}", tuple(deeds))


def _value(step: Step, kind: str, value: str) -> tuple[str | int, str]:
    """What the core is told of a tracked thing, and in words."""
    if kind == FILE:
        if step.heals:
            return 0, "contains 0"
        if not _NUMBER.fullmatch(value):
            name = step.what.partition("=")[0]
            raise SimulationError(f"`{name}` is a file: say what it contains, like {name}=5")
        return int(value), f"contains {value}"
    if value:
        raise SimulationError(f"`{step.what}`: it fails or works, and takes no value")
    return ("good", "works again") if step.heals else ("bad", "fails")


def _unknown(what: str, things: Things) -> SimulationError:
    known = [*things.nodes, *things.lans, *things.tracked_names()]
    head, _, tail = what.partition(":")
    hint = nearest(tail if head in things.nodes else head, known)
    return SimulationError(
        f"`{what}` is nothing that can fail here"
        + (f"; did you mean `{hint}`?" if hint else ".")
        + f" There are {', '.join(known)}; a node also takes NODE:stop, NODE:pause=5s, NODE:suspend=9s and "
        "NODE:INTERFACE, a network NETWORK:loss=30%"
    )
