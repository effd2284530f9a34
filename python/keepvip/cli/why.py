"""`keepvip why NAME`: the last transitions, each with its reason, evidence and times."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from keepvip.admin.client import AdminClient, AnswerError
from keepvip.cli.common import ExitCode, ago, clock, socket_option

__all__ = ["why"]


@click.command()
@click.argument("name", metavar="NAME")
@click.option("-n", "--limit", type=click.IntRange(1, 100), default=5, show_default=True, help="How many transitions.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@socket_option
def why(name: str, limit: int, socket: str | None, *, as_json: bool) -> int:
    """Explain the last transitions of the instance or sync group NAME, newest first."""
    try:
        answer = AdminClient(socket).get("/v1/why", name=name, limit=limit)
    except AnswerError as error:
        names = error.data.get("names")
        if names:
            click.echo(f"keepvip: {error}\nThere are: {', '.join(names)}", err=True)
            return ExitCode.UNHEALTHY
        raise
    click.echo(json.dumps(answer, indent=2) if as_json else "\n".join(_story(answer)))
    return ExitCode.OK


def _story(answer: dict[str, Any]) -> list[str]:
    transitions = answer["transitions"]
    now_ns = time.time_ns()
    since = f" since {ago(transitions[0]['at_ns'], now_ns)}" if transitions else ", and nothing has happened yet"
    group = answer["kind"] == "group"
    what = f"sync group of {', '.join(answer['members'])}, " if group else ""
    lines = [f"{answer['name']}: {what}{answer['state']}{since}"]
    for transition in transitions:
        who = f"{transition['instance']} " if group else ""
        lines += [
            "",
            f"  {clock(transition['at_ns'], now_ns=now_ns)}  {who}{transition['old']} -> {transition['new']}",
            f"    because  {transition['why']}",
            f"    priority {transition['priority']}, {_times(transition)}",
        ]
        evidence = _evidence(transition)
        if evidence:
            lines.append(f"    evidence {evidence}")
    for incident in answer.get("incidents", ()):
        lines += ["", f"  {clock(incident['at_ns'], now_ns=now_ns)}  {incident['text']}"]
    return lines


def _times(transition: dict[str, Any]) -> str:
    late = f"acted {_ms(transition['late_us'])} late"
    if transition["took_us"] is None:
        return late
    return f"{late}, done with the addresses after {_ms(transition['took_us'])}"


def _ms(us: int) -> str:
    return f"{us / 1000:.2f} ms"


def _evidence(transition: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in transition["evidence"].items() if value is not None)
