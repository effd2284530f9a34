"""`keepvip log`: what is logged, subsystem by subsystem."""

from __future__ import annotations

import click

from keepvip.admin.client import AdminClient
from keepvip.cli.common import ExitCode, socket_option

__all__ = ["log"]

_LEVELS = ("debug", "info", "warning", "error", "critical")


@click.command()
@click.argument("name", required=False, metavar="[SUBSYSTEM]")
@click.argument("level", required=False, type=click.Choice(_LEVELS), metavar="[LEVEL]")
@socket_option
def log(name: str | None, level: str | None, socket: str | None) -> int:
    """Show from which level messages are logged, or set it until the daemon ends.

    SUBSYSTEM is vrrp, config, notify, daemon, admin, or keepvip for all of them; LEVEL is debug, info, warning,
    error or critical.
    """
    if name is not None and level is None:
        raise click.UsageError(f"say which level {name} gets: {', '.join(_LEVELS)}")
    client = AdminClient(socket)
    if name is not None and level is not None:
        answer = client.post("/v1/log", name=name, level=level)
    else:
        answer = client.get("/v1/log")
    for subsystem, shown in answer.items():
        click.echo(f"{subsystem.removeprefix('keepvip.'):8} {shown}")
    return ExitCode.OK
