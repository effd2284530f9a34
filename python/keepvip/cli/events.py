"""`keepvip events`: what happened, line by line."""

from __future__ import annotations

import json
from typing import Any

import click

from keepvip.admin.client import AdminClient
from keepvip.cli.common import ExitCode, clock, socket_option

__all__ = ["events"]


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens from now.")
@click.option("--since", metavar="SEQ", type=click.IntRange(0), help="Only events with a number above SEQ.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, for programs.")
@socket_option
def events(since: int | None, socket: str | None, *, follow: bool, as_json: bool) -> int:
    """Show the last events; with --follow those from now on (and with --since those from there on)."""
    query: dict[str, str | int] = {}
    if follow:
        query["follow"] = 1
    if since is not None:
        query["since"] = since
    try:
        for event in AdminClient(socket).lines("/v1/events", **query):
            click.echo(json.dumps(event) if as_json else _line(event))
    except KeyboardInterrupt:
        return ExitCode.OK  # the usual end of following
    return ExitCode.OK


def _line(event: dict[str, Any]) -> str:
    return f"{event['seq']:>6}  {clock(event['at_ns'])}  {event['text']}"
