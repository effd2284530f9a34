"""`keepvip run`: the daemon in the foreground."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from keepvip.cli.options import OptionError, describe, flag, parse, value
from keepvip.daemon.settings import DEFAULT_CONFIG, DEFAULT_SOCKET, LogSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["OPTIONS", "interpret", "main"]

USAGE_ERROR = 2
_LEVELS = {"debug": 10, "info": 20, "warning": 30}  # of logging, which is not imported for this

OPTIONS = (
    value("f", "file", "FILE", f"configuration file (default {DEFAULT_CONFIG})"),
    value("i", "config-id", "ID", "which lines beginning with @ID apply (default: the host name)"),
    value("", "socket", "PATH", f"admin socket (default $KEEPVIP_SOCKET, else {DEFAULT_SOCKET})"),
    value("", "pid", "FILE", "pid file (default: next to the socket)"),
    value("s", "namespace", "NAME", "run in the network namespace NAME"),
    value("", "log-level", "LEVEL", "debug, info (default) or warning"),
    value("", "log-file", "FILE", "log to FILE too"),
    flag("", "log-json", "write log lines as JSON objects"),
    flag("", "syslog", "log to syslog too"),
    flag("", "keep-addresses", "leave the virtual addresses on the interfaces at exit"),
    flag("h", "help", "print this help"),
)

_USAGE = f"""Usage: keepvip run [OPTION...]

Runs the daemon in the foreground and logs to stderr. SIGHUP reloads the configuration, SIGTERM stops.

{chr(10).join(describe(OPTIONS))}

Exit status: 0 stopped on request, 1 fatal or already running, 2 errors in the configuration or on the command
line, 4 missing permission, 70 internal error."""


def interpret(arguments: Sequence[str]) -> Settings | None:
    """Understands the command line; None: help was asked for. Raises `OptionError`."""
    parsed = parse(arguments, OPTIONS)
    given = {option.name: text for option, text in parsed.options}
    if "help" in given:
        return None
    if parsed.words:
        raise OptionError(f"unexpected argument {parsed.words[0]!r}; a configuration file is given with -f")
    level = given.get("log-level") or "info"
    if level not in _LEVELS:
        raise OptionError(f"--log-level must be one of {', '.join(_LEVELS)}, not {level!r}")
    return Settings(
        config_path=_absolute(given.get("file")) or DEFAULT_CONFIG,
        config_id=given.get("config-id"),
        socket=_absolute(given.get("socket")),
        pid_file=_absolute(given.get("pid")),
        namespace=given.get("namespace"),
        release_on_stop="keep-addresses" not in given,
        log=LogSettings(
            level=_LEVELS[level],
            stderr=True,
            syslog="syslog" in given,
            json="log-json" in given,
            file=_absolute(given.get("log-file")),
        ),
    )


def _absolute(path: str | None) -> str | None:
    return None if path is None else os.path.abspath(path)  # noqa: PTH100  (resolve would follow symbolic links)


def main(arguments: Sequence[str]) -> int:
    """Runs until stopped; returns the exit status."""
    try:
        settings = interpret(arguments)
    except OptionError as error:
        print(f"keepvip run: {error}\nTry `keepvip run --help`.", file=sys.stderr)
        return USAGE_ERROR
    if settings is None:
        print(_USAGE)
        return 0
    from keepvip.daemon.main import leave, run  # noqa: PLC0415  (not for --help)

    return leave(run(settings))
