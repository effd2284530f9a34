"""`keepvipd`: the daemon under keepalived's own command line (vrrp-behaviour.md 17).

A unit file or container that starts keepalived needs only another program name. Every option of keepalived is
known: it acts, or is accepted and has nothing to do here, or says that its subject is not supported yet.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from keepvip import __version__
from keepvip.cli.keepalived_options import OPTIONS
from keepvip.cli.options import Effect, OptionError, describe, parse
from keepvip.daemon.settings import ExitStatus, LogSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Invocation", "interpret", "main"]

_FACILITIES = {"user": 1, "daemon": 3} | {f"local{n}": 16 + n for n in range(8)} | {str(n): 16 + n for n in range(8)}
_DEFAULT_LOG_FILE = "/tmp/keepalived.log"


class Invocation(msgspec.Struct, kw_only=True):
    """What a command line asks for."""

    settings: Settings
    action: str = "run"
    """"run", "config-test", "signum", "version" or "help"."""
    value: str | None = None
    """FILE of --config-test, NAME of --signum."""
    messages: list[str] = []
    """Said before the start: options that do not act yet, words that are no options."""


def interpret(arguments: Sequence[str]) -> Invocation:
    """Understands a command line. Raises `OptionError` for one that keepalived would refuse, or that we must."""
    parsed = parse(arguments, OPTIONS)
    invocation = Invocation(settings=Settings(drop_in=True, refuse_errors=False, foreground=False))
    fields: dict[str, Any] = {}
    log: dict[str, Any] = {"syslog": True, "tag": "keepvipd"}
    for option, value in parsed.options:
        if option.effect is Effect.REFUSED:
            raise OptionError(f"--{option.name}: {option.help}")
        if option.effect is Effect.NOT_YET:
            invocation.messages.append(f"Option --{option.name} has no effect: {option.help}")
        elif option.effect is Effect.ACTS:
            _apply(option.name, value, invocation, fields, log)
    if parsed.words:
        invocation.messages.append(f"Unexpected argument(s), ignored: {' '.join(parsed.words)}")
    invocation.settings = msgspec.structs.replace(invocation.settings, **fields, log=LogSettings(**log))
    return invocation


def _apply(name: str, value: str | None, invocation: Invocation, fields: dict[str, Any], log: dict[str, Any]) -> None:
    match name:
        case "use-file":
            fields["config_path"] = _absolute(value)
        case "log-console":
            log["stderr"] = True
        case "log-detail":
            log["level"] = logging.DEBUG
        case "log-facility":
            if value in _FACILITIES:
                log["facility"] = _FACILITIES[value]
            else:
                invocation.messages.append(f"Invalid log facility {value!r}, ignored")
        case "log-file":
            log["file"] = _absolute(value or _DEFAULT_LOG_FILE)
        case "no-syslog":
            log["syslog"] = False
        case "umask":
            try:
                fields["umask"] = _mask(value or "")
            except ValueError:
                invocation.messages.append(f"Invalid --umask option {value!r}, ignored")
        case "dont-release-vrrp":
            fields["release_on_stop"] = False
        case "dont-fork":
            fields["foreground"] = True
        case "dump-conf":
            fields["dump_config"] = True
        case "pid":
            fields["pid_file"] = _absolute(value)
        case "vrrp_pid":
            fields["vrrp_pid_file"] = _absolute(value)
        case "namespace":
            fields["namespace"] = value
        case "core-dump":
            fields["core_dump"] = True
        case "core-dump-pattern":
            fields["core_dump"] = True
            fields["core_pattern"] = value or "core"
        case "all-config":
            fields["strict_includes"] = True
        case "config-id":
            fields["config_id"] = value
        case "ignore-sigint":
            fields["ignore_sigint"] = True
        case "socket":
            fields["socket"] = _absolute(value)
        case "config-test" | "signum":
            invocation.action, invocation.value = name, value
        case "version" | "help":
            invocation.action = name
        case "dont-release-ipvs":
            fields["release_services_on_stop"] = False
        case "vrrp":
            fields["parts"] = fields.get("parts", frozenset()) | {"vrrp"}
        case "check":
            fields["parts"] = fields.get("parts", frozenset()) | {"services"}
        case _:
            raise AssertionError(f"no action for option --{name}")


def _absolute(path: str | None) -> str:
    """Absolute, because the daemon goes to the root directory."""
    return os.path.abspath(path or "")  # noqa: PTH100  (resolve would follow symbolic links)


def _mask(text: str) -> int:
    """A C number: 0x.. hexadecimal, 0.. octal, else decimal. Raises ValueError, also above 0777."""
    mask = int(text, 16) if text.lower().startswith("0x") else int(text, 8 if text.startswith("0") else 10)
    if not 0 <= mask <= 0o777:
        msg = "no file mode"
        raise ValueError(msg)
    return mask


SIGNALS = {
    "STOP": signal.SIGTERM,
    "RELOAD": signal.SIGHUP,
    "DATA": signal.SIGUSR1,
    "STATS": signal.SIGUSR2,
    "STATS_CLEAR": signal.SIGRTMAX - 1,
    "JSON": signal.SIGRTMIN + 2,
}


def _usage() -> str:
    return "\n".join(
        [
            "Usage: keepvipd [OPTION...]",
            "",
            *describe(OPTIONS),
            "",
            "Exit status: 0 normal (also when already running), 1 fatal, 2 configuration, 4 missing permission,",
            "6 configuration not readable, 70 internal error.",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console script; returns the exit status."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    named = arguments is None and Path(sys.argv[0]).name == "genhash"
    if named or words[:1] in (["-T"], ["--genhash"]):
        from keepvip.cli.genhash import main as genhash  # noqa: PLC0415  (only then)

        return genhash(words if named else words[1:])
    try:
        invocation = interpret(words)
    except OptionError as error:
        print(f"keepvipd: {error}\nTry `keepvipd --help`.", file=sys.stderr)
        return ExitStatus.FATAL
    if invocation.action == "help":
        print(_usage())
        return ExitStatus.OK
    if invocation.action == "version":
        print(f"keepvipd {__version__} (drop-in for keepalived)", file=sys.stderr)
        return ExitStatus.OK
    for message in invocation.messages:
        print(message, file=sys.stderr)
    if invocation.action == "signum":
        return _print_signal(invocation.value or "")
    if invocation.action == "config-test":
        return _config_test(invocation)
    from keepvip.daemon.main import leave, run  # noqa: PLC0415  (not for --version)

    return leave(run(invocation.settings, messages=invocation.messages))


def _config_test(invocation: Invocation) -> int:
    """`-t`: all findings to stderr or at the end of a file, and keepalived's exit status (config-language.md 9)."""
    from keepvip.config.diagnostic import config_test_exit_code  # noqa: PLC0415  (not for --version)
    from keepvip.config.render import render  # noqa: PLC0415
    from keepvip.daemon.loading import read  # noqa: PLC0415

    diagnostics = read(invocation.settings).diagnostics
    to_terminal = invocation.value is None
    text = render(diagnostics, colour=to_terminal and sys.stderr.isatty()) if diagnostics else ""
    if invocation.value is None:
        sys.stderr.write(text)
        return config_test_exit_code(diagnostics)
    try:
        with Path(invocation.value).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        print(f"keepvipd: cannot write {invocation.value}: {error.strerror}", file=sys.stderr)
        return ExitStatus.FATAL
    return config_test_exit_code(diagnostics)


def _print_signal(name: str) -> int:
    number = SIGNALS.get(name)
    if number is None:
        print(f"Unknown sigfunc {name}", file=sys.stderr)
        return ExitStatus.FATAL
    print(int(number))
    return ExitStatus.OK
