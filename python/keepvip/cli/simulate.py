"""`keepvip simulate`: would it fail over? The real protocol core with the files of the nodes, in virtual time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from keepvip.config.model import Config
    from keepvip.simulation import Outcome, Step, Told

__all__ = ["simulate"]

_FIRST_STEP_S = 10
_AFTER_LAST_STEP_S = 20

_HELP = """Play what would happen with the files of all nodes, in virtual time: who is master when, and why.

\b
FILE may be NAME=FILE; otherwise a node is called like its file.
  --fail WHAT [--at 3s]    something fails; without --at ten seconds after the start or the step before
  --heal WHAT [--at 9s]    it works again
  --for 60s                how long to play (default: 20 s after the last step)
  --seed N                 which packets a LAN with losses loses
  --json                   for programs

\b
WHAT is one of
  NODE             killed (kill -9); --heal starts it
  NODE:stop        stopped in good order
  NODE:pause=5s    not scheduled for a while
  NODE:eth0        its cable is pulled
  eth0             nobody hears anybody on that network
  eth0:loss=30%    that network loses packets
  chk, NODE:chk    a tracked thing fails, everywhere or on one node

Exit status: 0 played, 2 a file cannot be used or a step makes no sense."""


@click.command(
    help=_HELP, context_settings={"ignore_unknown_options": True}, options_metavar="[--fail WHAT --at TIME]..."
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="FILE...")
def simulate(words: tuple[str, ...]) -> int:
    """Reads the words in their order, because `--at` belongs to the step before it."""
    from keepvip import simulation  # noqa: PLC0415  (the native side is loaded for a simulation only)

    try:
        files, steps, span_us, seed, as_json = _read(words)
        nodes = [_load(file) for file in files]
        story, outcomes = simulation.run(nodes, steps, span_us=span_us, seed=seed)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        click.echo(json.dumps(_objects(story, outcomes), indent=2, ensure_ascii=False))
    else:
        _print(story, outcomes, max(len(name) for name, _ in nodes))
    return 0


def _read(words: tuple[str, ...]) -> tuple[list[str], list[Step], int, int, bool]:
    from keepvip.simulation import SimulationError, Step, seconds  # noqa: PLC0415

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
            steps[-1] = Step(at_us=seconds(value), heals=steps[-1].heals, what=steps[-1].what)
        elif word == "--for":
            span_us = seconds(value)
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
    from keepvip.simulation import SimulationError  # noqa: PLC0415

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


def _print(story: list[Told], outcomes: list[Outcome], width: int) -> None:
    from keepvip.event import MasterRxLowerPriority  # noqa: PLC0415
    from keepvip.observe.text import sentence  # noqa: PLC0415

    for told in story:
        at = f"{told.at_us / 1e6:9.3f} s"
        if told.event is None:
            click.secho(f"{at}  {'':{width}}  {told.step}", bold=True)
        elif not isinstance(told.event, MasterRxLowerPriority):
            click.echo(f"{at}  {told.node or '':{width}}  {sentence(told.event)}")
    click.echo()
    for outcome in outcomes:
        masters = ", ".join(outcome.masters) or "nobody"
        names = ", ".join(sorted(set(outcome.names.values())))
        click.echo(
            f"{names} (VRID {outcome.vrid} on {outcome.interface or 'any interface'}): master at the end: {masters}"
        )
        click.echo(
            f"  without a master for {outcome.without_master_us / 1e6:.3f} s, "
            f"with two for {outcome.two_masters_us / 1e6:.3f} s"
        )


def _objects(story: list[Told], outcomes: list[Outcome]) -> dict[str, object]:
    import msgspec  # noqa: PLC0415

    from keepvip.event import to_jsonable  # noqa: PLC0415

    return {
        "story": [
            {"at_us": told.at_us, "node": told.node}
            | ({"step": told.step} if told.event is None else {"event": to_jsonable(told.event)})
            for told in story
        ],
        "outcomes": [msgspec.to_builtins(outcome) for outcome in outcomes],
    }
