"""`keepvip lab`: nodes in network namespaces; `keepvip lab demo` plays the main job."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keepvip.cli.common import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keepvip.lab.daemons import Daemon

__all__ = ["lab"]

_PROGRAMS = ("keepvip", "keepvipd", "keepalived")


@click.group(invoke_without_command=True)
@click.option("--nodes", type=click.IntRange(1, 16), default=2, show_default=True, help="How many nodes.")
@click.option(
    "--conf",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Configuration file; once for all nodes, or once for each. Default: the main job's, priorities 100, 99, ...",
)
@click.option(
    "--program",
    "programs",
    multiple=True,
    type=click.Choice(_PROGRAMS),
    help="What to run; once for all nodes, or once for each (default keepvip).",
)
@click.option(
    "--pcap", type=click.Path(dir_okay=False, path_type=Path), help="Write all VRRP, ARP and ND frames there."
)
@click.option("--ping/--no-ping", default=True, help="A client pings every advertised address (default: yes).")
@click.option("--for", "seconds", type=click.FloatRange(min=0.1), help="End after so many seconds (default: Ctrl-C).")
@click.option("--plain", is_flag=True, help="One line per event instead of a live screen.")
@click.pass_context
def lab(
    context: click.Context,
    nodes: int,
    files: tuple[Path, ...],
    programs: tuple[str, ...],
    pcap: Path | None,
    seconds: float | None,
    *,
    ping: bool,
    plain: bool,
) -> int:
    """Run nodes in network namespaces on this machine and watch them; nothing of it touches the host's network.

    Works without root, too (in a user namespace, where the system allows it).
    """
    _prepare()
    if context.invoked_subcommand is not None:
        return ExitCode.OK
    from keepvip.lab.playground import Playground, default_configuration  # noqa: PLC0415

    if files:
        count = len(files) if len(files) > 1 else nodes
        configurations: list[str | Path] = [(files[n] if len(files) > 1 else files[0]).resolve() for n in range(count)]
    else:
        configurations = [default_configuration(number) for number in range(nodes)]
    kinds = [_kind(program) for program in programs or ("keepvip",)]
    with _complaints():
        Playground(configurations, daemon_kinds=kinds, pcap=pcap, ping=ping).run(plain=plain, seconds=seconds)
    return ExitCode.OK


@lab.command()
@click.option(
    "--pcap", type=click.Path(dir_okay=False, path_type=Path), help="Write all VRRP, ARP and ND frames there."
)
@click.option("--plain", is_flag=True, help="One line per event instead of a live screen.")
@click.option("--program", type=click.Choice(_PROGRAMS), default="keepvip", help="What to play it with.")
def demo(pcap: Path | None, program: str, *, plain: bool) -> int:
    """Play the main job: two nodes elect a master, it dies, returns, loses a cable and is stopped gently.

    Takes less than a minute. Exit status: 0 if everything it expects held, 1 if not.
    """
    from keepvip.lab.demo.play import play  # noqa: PLC0415

    with _complaints():
        verdict = play(daemon_kind=_kind(program), pcap=pcap, plain=plain)
    return ExitCode.OK if verdict.all_held else ExitCode.UNHEALTHY


def _prepare() -> None:
    """Become root of a user namespace if we are not root."""
    from keepvip.lab.privilege import enter_user_namespace_if_needed  # noqa: PLC0415

    with _complaints():
        enter_user_namespace_if_needed()


def _kind(program: str) -> type[Daemon]:
    from keepvip.lab.daemons import Keepalived, Keepvip, Keepvipd  # noqa: PLC0415

    kinds: dict[str, type[Daemon]] = {"keepvip": Keepvip, "keepvipd": Keepvipd, "keepalived": Keepalived}
    return kinds[program]


@contextlib.contextmanager
def _complaints() -> Iterator[None]:
    """Turns what the lab cannot do into a message and exit status 1."""
    from keepvip.lab.errors import LabError, LabTimeoutError  # noqa: PLC0415

    try:
        yield
    except (LabError, LabTimeoutError) as error:
        raise click.ClickException(str(error)) from error
