"""What the asking commands share: the socket option, exit statuses, times for people."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["ExitCode", "ago", "clock", "console", "socket_option"]

_Command = TypeVar("_Command", bound=Callable[..., object])

PIPE_WIDTH = 200
"""Columns of a table that is not shown on a terminal: wide, so that lines stay whole for grep."""


class ExitCode:
    """Exit statuses of the asking commands; 2 is click's own for a wrong command line."""

    OK = 0
    UNHEALTHY = 1
    """The daemon answers, and something is wrong (or the answer was no)."""
    UNREACHABLE = 3
    """No daemon answers."""


def socket_option(command: _Command) -> _Command:
    """The option --socket of every asking command."""
    return click.option(
        "--socket",
        metavar="PATH",
        help="Admin socket of the daemon (default: $KEEPVIP_SOCKET, else /run/keepvip/keepvip.sock).",
    )(command)


def console() -> Console:
    """Where tables and colours go; plain and wide when it is not a terminal."""
    from rich.console import Console  # noqa: PLC0415  (24 ms, and not for --json)

    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def clock(at_ns: int, *, now_ns: int | None = None) -> str:
    """A wall-clock time in the local zone, with milliseconds; the date only when it is not today's."""
    at = time.localtime(at_ns // 1_000_000_000)
    now = time.localtime((time.time_ns() if now_ns is None else now_ns) // 1_000_000_000)
    text = f"{time.strftime('%H:%M:%S', at)}.{at_ns // 1_000_000 % 1000:03d}"
    return text if at[:3] == now[:3] else f"{time.strftime('%Y-%m-%d', at)} {text}"


def ago(at_ns: int, now_ns: int) -> str:
    """How long ago, in the largest unit that fits: "12 s", "3 min", "5 h", "9 d"; "-" for never."""
    if at_ns <= 0:
        return "-"
    seconds = max(0, now_ns - at_ns) // 1_000_000_000
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
