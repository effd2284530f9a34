"""The click group. Each command's module is imported when the command is used, so that `--help` is quick."""

from __future__ import annotations

import importlib

import click

from keepvip import __version__
from keepvip.admin.error import AnswerError, UnreachableError
from keepvip.cli.common import ExitCode

__all__ = ["cli", "main"]


_COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("", "Run the daemon in the foreground (`keepvip run --help`)."),
    "status": ("keepvip.cli.status:status", "Show all virtual routers and servers, and whether they are well."),
    "why": ("keepvip.cli.why:why", "Explain the last transitions of an instance or sync group."),
    "events": ("keepvip.cli.events:events", "Show what happened; --follow goes on."),
    "reload": ("keepvip.cli.reload:reload", "Read the configuration again and carry out the difference."),
    "plan": ("keepvip.cli.plan:plan", "Show what a reload would do, or how one file differs from another."),
    "server": ("keepvip.cli.server:server", "Drain, disable, enable or weigh a real server, while the daemon runs."),
    "log": ("keepvip.cli.log:log", "Show or change what is logged, while the daemon runs."),
    "check": ("keepvip.cli.check:check", "Check a configuration file, or two nodes' files against each other."),
    "simulate": ("keepvip.cli.simulate:simulate", "Play with the files of all nodes: would it fail over?"),
    "genhash": ("", "Compute the digest of a web page (`keepvip genhash --help`)."),
    "explain": ("keepvip.cli.explain:explain", "Explain a keyword of the configuration."),
    "lab": ("keepvip.cli.lab:lab", "Run nodes in network namespaces: the demo, or your own files."),
}


class _LazyGroup(click.Group):
    """Knows names and summaries; imports a command only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place, _summary = _COMMANDS.get(cmd_name, ("", ""))
        if not place:
            return None
        module, _, name = place.partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_place, summary) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="keepvip %(version)s")
def cli() -> None:
    """Keeps virtual IP addresses alive: VRRP fail-over from the keepalived.conf you already have."""


def main() -> int:
    """Runs the command line; returns the exit status."""
    try:
        result = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except UnreachableError as error:
        click.echo(f"keepvip: {error}", err=True)
        return ExitCode.UNREACHABLE
    except AnswerError as error:
        click.echo(f"keepvip: {error}", err=True)
        return ExitCode.UNHEALTHY
    return result if isinstance(result, int) else ExitCode.OK
