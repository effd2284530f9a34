"""`keepvip reload`: reads the configuration again and tells what was changed."""

from __future__ import annotations

import json

import click

from keepvip.admin.client import AdminClient
from keepvip.cli.common import ExitCode, socket_option

__all__ = ["reload"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@socket_option
def reload(socket: str | None, *, as_json: bool) -> int:
    """Read the configuration again and carry out the difference; nothing else is touched.

    A configuration with errors changes nothing. Exit status: 0 done, 1 refused, 3 no daemon answers.
    """
    answer = AdminClient(socket).post("/v1/reload", accept=(200, 409))
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return ExitCode.OK if answer["ok"] else ExitCode.UNHEALTHY
    for diagnostic in answer["diagnostics"]:
        click.echo(diagnostic["rendered"], err=True)
    for step in answer["steps"]:
        click.echo(f"  {step}")
    click.echo(answer["message"], err=not answer["ok"])
    return ExitCode.OK if answer["ok"] else ExitCode.UNHEALTHY
