"""`keepvip run`: the daemon in the foreground."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, NoReturn

from keepvip.daemon.settings import DEFAULT_CONFIG, DEFAULT_SOCKET, LogSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["interpret", "main"]

_DEBUG, _INFO, _WARNING = 10, 20, 30


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keepvip run",
        description="Runs the daemon in the foreground. SIGHUP reloads the configuration, SIGTERM stops.",
        epilog="Exit status: 0 stopped on request, 1 fatal or already running, 2 errors in the configuration, "
        "4 missing permission, 70 internal error.",
    )
    add = parser.add_argument
    add("-f", "--file", metavar="FILE", default=DEFAULT_CONFIG, help="configuration file (default %(default)s)")
    add("-i", "--config-id", metavar="ID", help="which lines beginning with @ID apply (default: the host name)")
    add("--socket", metavar="PATH", help=f"admin socket (default: $KEEPVIP_SOCKET, else {DEFAULT_SOCKET})")
    add("--pid", metavar="FILE", help="pid file (default: next to the socket)")
    add("-s", "--namespace", metavar="NAME", help="run in the network namespace NAME")
    add("--log-level", choices=("debug", "info", "warning"), default="info", help="default %(default)s")
    add("--log-file", metavar="FILE", help="log to FILE too")
    add("--log-json", action="store_true", help="write log lines as JSON objects")
    add("--syslog", action="store_true", help="log to syslog too")
    add("--keep-addresses", action="store_true", help="leave the virtual addresses on the interfaces at exit")
    return parser


def interpret(arguments: Sequence[str]) -> Settings:
    """Understands the command line; exits by itself on `--help` and mistakes (status 2, as argparse does)."""
    asked = _parser().parse_args(arguments)
    return Settings(
        config_path=_absolute(asked.file) or DEFAULT_CONFIG,
        config_id=asked.config_id,
        socket=_absolute(asked.socket),
        pid_file=_absolute(asked.pid),
        namespace=asked.namespace,
        release_on_stop=not asked.keep_addresses,
        log=LogSettings(
            level={"debug": _DEBUG, "info": _INFO, "warning": _WARNING}[asked.log_level],
            stderr=True,
            syslog=asked.syslog,
            json=asked.log_json,
            file=_absolute(asked.log_file),
        ),
    )


def _absolute(path: str | None) -> str | None:
    return None if path is None else os.path.abspath(path)  # noqa: PTH100  (resolve would follow symbolic links)


def main(arguments: Sequence[str]) -> NoReturn:
    """Runs until stopped, and ends the process."""
    settings = interpret(arguments)
    from keepvip.daemon.main import leave, run  # noqa: PLC0415  (not for --help)

    leave(run(settings))
