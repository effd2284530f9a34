"""`keepvip server`: what an operator wants of a real server, at once and without a reload."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from keepvip.admin.client import AdminClient
from keepvip.cli.common import socket_option

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["server"]

_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}


def _seconds(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """A length of time: 90, 90s, 10m, 2h."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,9})(s|m|min|h|d)?", value)
    if match is None or not int(match[1]):
        raise click.BadParameter(f"{value!r} is no length of time: write 90s, 10m or 2h")
    return int(match[1]) * _UNITS[match[2] or ""]


_FOR = click.option(
    "--for", "for_s", metavar="TIME", callback=_seconds, help="Take it back after this time: 90s, 10m, 2h."
)


@click.group()
def server() -> None:
    """Drain, disable, enable or weigh a real server, while the daemon runs.

    VS and RS are the names that `keepvip status` shows, or ADDRESS:PORT, or ADDRESS alone where that is clear. What is
    said holds over a reload, until `enable` takes it back, or for the time given; `keepvip status` shows it.
    """


def _command(function: Callable[..., None]) -> Callable[..., None]:
    for option in (
        socket_option,
        _FOR,
        click.argument("rs"),
        click.argument("vs"),
    ):
        function = option(function)
    return function


@server.command()
@_command
def drain(vs: str, rs: str, for_s: int | None, socket: str | None) -> None:
    """No new connections (weight 0); those that exist go on."""
    _ask(socket, vs, rs, "drain", for_s)


@server.command()
@_command
def disable(vs: str, rs: str, for_s: int | None, socket: str | None) -> None:
    """Out of service, whatever its checks say, with all that follows: scripts, quorum, sorry server."""
    _ask(socket, vs, rs, "disable", for_s)


@server.command()
@click.argument("vs")
@click.argument("rs")
@socket_option
def enable(vs: str, rs: str, socket: str | None) -> None:
    """Take back drain, disable or weight: configuration and checks decide again."""
    _ask(socket, vs, rs, "enable", None)


@server.command()
@click.argument("vs")
@click.argument("rs")
@click.argument("weight", type=click.IntRange(0, 2_147_483_647))
@_FOR
@socket_option
def weight(vs: str, rs: str, weight: int, for_s: int | None, socket: str | None) -> None:
    """Another weight than the configuration's."""
    _ask(socket, vs, rs, "weight", for_s, weight=weight)


@server.command()
@socket_option
def reconcile(socket: str | None) -> None:
    """Compare the kernel's IPVS table with what it should be, now, and put right what differs."""
    click.echo(AdminClient(socket).post("/v1/reconcile")["message"])


def _ask(socket: str | None, service: str, server: str, action: str, for_s: int | None, **more: int) -> None:
    if for_s is not None:
        more["for_s"] = for_s
    answer = AdminClient(socket).post("/v1/server", service=service, server=server, action=action, **more)  # type: ignore[arg-type]
    click.echo(answer["message"])
