"""`keepvip simulate`: would it fail over? The real protocol core with the files of the nodes, in virtual time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keepvip.config.model import Config
    from keepvip.simulation.outcome import Outcome, Span
    from keepvip.simulation.step import Step
    from keepvip.simulation.world import Told

__all__ = ["simulate"]

_FIRST_STEP_S = 10
_AFTER_LAST_STEP_S = 20
_UNSEEN_US = 1000
_SPANS_SHOWN = 5

_HEAD = ("TIME", "NODE", "INSTANCE", "STATE", "WHY")
_STYLES: dict[str, dict[str, Any]] = {
    "MASTER": {"fg": "green", "bold": True},
    "BACKUP": {"fg": "cyan"},
    "FAULT": {"fg": "red", "bold": True},
}

_HELP = """Play what would happen with the files of all nodes, in virtual time: who is master when, and why.

Everything runs and works at the start. Each interface name is a network that all nodes are on.

\b
FILE may be NAME=FILE; otherwise a node is called like its file. Its name is also its configuration id (@NAME lines).
  --fail WHAT [--at 3s]    something fails; without --at ten seconds after the start or the step before
  --heal WHAT [--at 9s]    it works again
  --for 60s                how long to play (default: 20 s after the last step)
  --seed N                 which packets a network with losses loses
  --json                   for programs

\b
WHAT is one of
  NODE              killed (kill -9); --heal starts it
  NODE:stop         stopped in good order
  NODE:pause=5s     not scheduled for a while
  NODE:suspend=9s   the same, and what is sent to it is lost: a virtual machine that is suspended
  NODE:eth0         its cable is pulled
  eth0              nobody hears anybody on that network
  eth0:loss=30%     that network loses packets
  chk, NODE:chk     a tracked thing fails, everywhere or on one node (a file: NAME=NUMBER, its content)

Exit status: 0 played, 2 a file cannot be used or a step makes no sense."""


@click.command(
    help=_HELP, context_settings={"ignore_unknown_options": True}, options_metavar="[--fail WHAT --at TIME]..."
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="FILE...")
def simulate(words: tuple[str, ...]) -> int:
    """Reads the words in their order, because `--at` belongs to the step before it."""
    from keepvip.simulation.world import play  # noqa: PLC0415  (the native side is loaded for a simulation only)

    try:
        files, steps, span_us, seed, as_json = _read(words)
        nodes = [_load(file) for file in files]
        story, outcomes = play(nodes, steps, span_us=span_us, seed=seed)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        click.echo(json.dumps(_objects(story, outcomes), indent=2, ensure_ascii=False))
    else:
        _print(story, outcomes)
    return 0


def _read(words: tuple[str, ...]) -> tuple[list[str], list[Step], int, int, bool]:
    from keepvip.simulation.step import SimulationError, Step, duration_us  # noqa: PLC0415

    files: list[str] = []
    steps: list[Step] = []
    span_us, seed, as_json = 0, 1, False
    left = list(words)
    while left:
        word, _, value = left.pop(0).partition("=") if left[0].startswith("--") else (left.pop(0), "", "")
        if not word.startswith("--"):
            files.append(word)
            continue
        if word == "--json":
            as_json = True
            continue
        if word not in {"--fail", "--heal", "--at", "--for", "--seed"}:
            raise SimulationError(f"there is no option `{word}`; see keepvip simulate --help")
        if not value and not left:
            raise SimulationError(f"`{word}` needs a value")
        value = value or left.pop(0)
        if word in {"--fail", "--heal"}:
            last_us = steps[-1].at_us if steps else 0
            steps.append(Step(at_us=last_us + _FIRST_STEP_S * 1_000_000, heals=word == "--heal", what=value))
        elif word == "--at":
            if not steps:
                raise SimulationError("`--at` says when the --fail or --heal before it happens, and there is none")
            steps[-1] = Step(at_us=duration_us(value), heals=steps[-1].heals, what=steps[-1].what)
        elif word == "--for":
            span_us = duration_us(value)
        elif not value.isdecimal():
            raise SimulationError(f"`--seed` takes a number, not `{value}`")
        else:
            seed = int(value)
    if not files:
        raise SimulationError("name the configuration files of the nodes")
    last_us = max((step.at_us for step in steps), default=0)
    return files, steps, span_us or last_us + _AFTER_LAST_STEP_S * 1_000_000, seed, as_json


def _load(word: str) -> tuple[str, Config]:
    from keepvip.config.load import load  # noqa: PLC0415
    from keepvip.config.render import render  # noqa: PLC0415
    from keepvip.simulation.step import SimulationError  # noqa: PLC0415

    name, is_named, path = word.partition("=")
    if not is_named:
        name, path = Path(word).stem, word
    # The files of other hosts: what this one has of interfaces and users does not count.
    result = load(path, config_id=name, facts=None)
    if result.config is None or result.diagnostics.errors:
        click.echo(render(result.diagnostics), err=True)
        raise SimulationError(f"{path} cannot be used as it is; keepvip check tells what to mend")
    if not result.config.instances:
        raise SimulationError(f"{path} has no virtual router")
    return name, result.config


def _print(story: list[Told], outcomes: list[Outcome]) -> None:
    rows = [_row(told) for told in story]
    shown = [row for row in rows if row is not None]
    widths = [max(len(row[column]) for row in (_HEAD, *shown)) for column in range(len(_HEAD) - 1)]
    for row in (_HEAD, *shown):
        time, node, instance, state, why = row
        cells = [f"{time:>{widths[0]}}", f"{node:{widths[1]}}", f"{instance:{widths[2]}}"]
        if not node and row is not _HEAD:
            click.secho(f"{cells[0]}  {why}", bold=True)
        else:
            styled = click.style(f"{state:{widths[3]}}", **_STYLES.get(state, {}))
            click.echo("  ".join([*cells, styled, why]).rstrip())
    for outcome in outcomes:
        click.echo()
        for line in _summary(outcome):
            click.echo(line)


def _row(told: Told) -> tuple[str, str, str, str, str] | None:
    """Time, node, instance, state and reason; None for what is not shown."""
    from keepvip import event  # noqa: PLC0415
    from keepvip.observe.text import reason, sentence  # noqa: PLC0415

    time = f"{told.at_us / 1e6:.3f}"
    match told.event:
        case None:
            return time, "", "", "", told.step or ""
        case event.Transition():
            state = "stopped" if told.event.new is event.State.INIT else told.event.new.name
            return time, told.node or "", told.event.instance, state, reason(told.event.reason, told.event.evidence)
        case event.GroupTransition() | event.MasterRxLowerPriority():
            # The members have said it; and a second master says it with every advert.
            return None
        case _:
            instance = getattr(told.event, "instance", None) or ""
            return time, told.node or "", instance, "", sentence(told.event).removeprefix(f"({instance}) ")


def _summary(outcome: Outcome) -> list[str]:
    names = ", ".join(sorted(set(outcome.names.values())))
    where = f" on {outcome.interface}" if outcome.interface else ""
    first = "never" if outcome.first_master_us is None else f"after {outcome.first_master_us / 1e6:.3f} s"
    return [
        f"{names} (VRID {outcome.vrid}{where})",
        f"  first master      {first}",
        f"  without a master  {_spans(outcome.without_master)}",
        f"  two masters       {_spans(outcome.two_masters)}",
        f"  master at the end {', '.join(outcome.masters) or 'nobody'}",
    ]


def _spans(spans: Sequence[Span]) -> str:
    """How long in all, and when. What is shorter than a packet's way and back is nobody's worry."""
    seen = [(start_us, end_us) for start_us, end_us in spans if end_us - start_us >= _UNSEEN_US]
    if not seen:
        return "never"
    total_us = sum(end_us - start_us for start_us, end_us in seen)
    when = ", ".join(f"{start_us / 1e6:.3f} to {end_us / 1e6:.3f}" for start_us, end_us in seen[:_SPANS_SHOWN])
    more = f" and {len(seen) - _SPANS_SHOWN} times more" if len(seen) > _SPANS_SHOWN else ""
    return f"{total_us / 1e6:.3f} s ({when}{more})"


def _objects(story: list[Told], outcomes: list[Outcome]) -> dict[str, object]:
    import msgspec  # noqa: PLC0415

    from keepvip.event import to_jsonable  # noqa: PLC0415

    def total_us(spans: Sequence[Span]) -> int:
        return sum(end_us - start_us for start_us, end_us in spans)

    return {
        "story": [
            {"at_us": told.at_us, "node": told.node}
            | ({"step": told.step} if told.event is None else {"event": to_jsonable(told.event)})
            for told in story
        ],
        "outcomes": [
            msgspec.to_builtins(outcome)
            | {
                "without_master_us": total_us(outcome.without_master),
                "two_masters_us": total_us(outcome.two_masters),
            }
            for outcome in outcomes
        ],
    }
