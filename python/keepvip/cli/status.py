"""`keepvip status`: all virtual routers in one table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from keepvip.admin.client import AdminClient
from keepvip.cli.common import ExitCode, ago, console, socket_option

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["status"]

_STYLES = {"MASTER": "bold green", "BACKUP": "cyan", "FAULT": "bold red", "MIXED": "yellow"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON, for programs.")
@socket_option
def status(socket: str | None, *, as_json: bool) -> int:
    """Show all virtual routers and virtual servers, and whether they are well.

    Exit status: 0 all is well, 1 something is wrong, 3 no daemon answers.
    """
    answer = AdminClient(socket).get("/v1/status")
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    else:
        _show(answer)
    return ExitCode.OK if answer["health"]["ok"] else ExitCode.UNHEALTHY


def _show(answer: dict[str, Any]) -> None:
    screen = console()
    now_ns = answer["daemon"]["now_ns"]
    _show_head(screen, answer, now_ns)
    services = answer["services"]["services"]
    if answer["instances"]:
        screen.print(_table(answer["instances"], now_ns))
    elif not services:
        screen.print("No virtual routers are configured.")
    if answer["tracked"]:
        screen.print(_tracked_table(answer["tracked"], now_ns))
    if services:
        from keepvip.cli.status_services import services_table  # noqa: PLC0415

        screen.print(services_table(services, now_ns))
    for problem in answer["health"]["problems"]:
        screen.print(f"[bold red]![/] {_plain(problem)}")
    if answer["health"]["ok"]:
        screen.print("[green]All is well.[/]")


def _show_head(screen: Console, answer: dict[str, Any], now_ns: int) -> None:
    daemon, config = answer["daemon"], answer["config"]
    screen.print(
        f"[bold]keepvip {daemon['version']}[/] on {_plain(daemon['router_id'])}, process {daemon['pid']},"
        f" up {ago(daemon['started_ns'], now_ns)}, {_plain(config['path'])} read {ago(config['loaded_ns'], now_ns)} ago"
    )


def _table(instances: list[dict[str, Any]], now_ns: int) -> Table:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    grouped = any(instance["group"] for instance in instances)
    if grouped:
        table.add_column("GROUP", no_wrap=True)
    table.add_column("INSTANCE", no_wrap=True, style="bold")
    table.add_column("STATE", no_wrap=True)
    table.add_column("FOR", justify="right", no_wrap=True)
    table.add_column("VRID", justify="right", no_wrap=True)
    table.add_column("INTERFACE", no_wrap=True)
    table.add_column("PRIO", justify="right", no_wrap=True)
    table.add_column("MASTER", no_wrap=True)
    table.add_column("ADDRESSES")
    table.add_column("WHY", ratio=1)
    for instance in instances:
        row = _row(instance, now_ns)
        table.add_row(*([_plain(instance["group"] or "")] if grouped else []), *row)
    return table


_VALUE_STYLES = {"good": "green", "bad": "bold red"}


def _tracked_table(tracked: list[dict[str, Any]], now_ns: int) -> Table:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("TRACKED", no_wrap=True, style="bold")
    table.add_column("IS", no_wrap=True)
    table.add_column("SEEN", justify="right", no_wrap=True)
    table.add_column("BY")
    table.add_column("WHAT WAS SEEN", ratio=1)
    for thing in tracked:
        value = str(thing["value"])
        style = _VALUE_STYLES.get(value, "yellow")
        age = ago(thing["result_ns"], now_ns) if thing["result_ns"] is not None else "-"
        seen = ", ".join(text for text in (thing["detail"], thing["progress"]) if text)
        by = _plain(", ".join(thing["instances"]))
        table.add_row(_plain(f"{thing['kind']} {thing['name']}"), f"[{style}]{value}[/]", age, by, _plain(seen))
    return table


def _row(instance: dict[str, Any], now_ns: int) -> list[str]:
    state = instance["state"]
    style = _STYLES.get(state, "yellow")
    return [
        _plain(instance["name"]),
        f"[{style}]{state}[/]",
        ago(instance["last_transition_ns"], now_ns),
        str(instance["vrid"]),
        _plain(_where(instance)),
        _priority(instance),
        _master(instance),
        _addresses(instance["addresses"]),
        _plain(instance["why"] or ""),
    ]


def _where(instance: dict[str, Any]) -> str:
    """The interface, after its network namespace."""
    interface = instance["vmac"] or instance["interface"] or "-"
    namespace = instance["net_namespace"]
    return interface if namespace is None else f"{namespace}/{interface}"


def _priority(instance: dict[str, Any]) -> str:
    base, effective = instance["base_priority"], instance["priority"]
    return str(base) if base == effective else f"{effective} (of {base})"


def _master(instance: dict[str, Any]) -> str:
    if instance["state"] == "MASTER":
        return "this node"
    master, priority = instance["master"], instance["master_priority"]
    if master is None:
        return "-"
    return _plain(master if priority is None else f"{master} ({priority})")


def _addresses(addresses: list[str]) -> str:
    shown = addresses[:3]
    more = f" +{len(addresses) - 3}" if len(addresses) > 3 else ""
    return _plain(", ".join(shown)) + more


def _plain(text: str) -> str:
    """Text from a configuration is not markup."""
    from rich.markup import escape  # noqa: PLC0415

    return escape(text)
