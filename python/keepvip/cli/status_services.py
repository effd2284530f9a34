"""The virtual servers in `keepvip status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["services_table"]


def services_table(services: list[dict[str, Any]], now_ns: int) -> Table:
    """Every virtual server, and below it its real servers."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("SERVICE", no_wrap=True)
    table.add_column("STATE", no_wrap=True)
    table.add_column("WEIGHT", justify="right", no_wrap=True)
    table.add_column("METHOD", no_wrap=True)
    table.add_column("ACTIVE", justify="right", no_wrap=True)
    table.add_column("CONN/s", justify="right", no_wrap=True)
    table.add_column("IN B/s", justify="right", no_wrap=True)
    table.add_column("OUT B/s", justify="right", no_wrap=True)
    table.add_column("WHY", ratio=1)
    for service in services:
        state = "[green]UP[/]" if service["up"] else "[bold red]DOWN[/]"
        active = sum(server["active_connections"] for server in _all(service))
        weight = f"{service['live_weight']} (quorum {service['quorum']})"
        rates = _rates(service["traffic"])
        name = f"[bold]{_plain(service['name'])}[/]"
        table.add_row(name, state, weight, service["scheduler"], str(active), *rates, _service_why(service))
        for server in _all(service):
            table.add_row(*_server_row(server, now_ns, sorry=server is service["sorry"]))
    return table


def _all(service: dict[str, Any]) -> list[dict[str, Any]]:
    return [*service["servers"], *([service["sorry"]] if service["sorry"] else [])]


def _service_why(service: dict[str, Any]) -> str:
    said = []
    if service["sorry_active"]:
        said.append("the sorry server has taken over")
    if service["suspended"]:
        said.append("its address is not on this host: checks rest")
    return "; ".join(said)


def _server_row(server: dict[str, Any], now_ns: int, *, sorry: bool) -> list[str]:
    if sorry:
        state = "[yellow]serves[/]" if server["in_table"] and server["weight"] else "ready"
    else:
        state = "[green]UP[/]" if server["up"] else "[bold red]DOWN[/]"
    weight = str(server["weight"])
    if server["weight"] != server["configured_weight"]:
        weight = f"{weight} (of {server['configured_weight']})"
    said = [text for text in (server["why"], _override(server, now_ns)) if text]
    said += [f"{check['kind']}: {check['failures']} failures so far" for check in server["checks"] if check["failures"]]
    name = f"  {'sorry ' if sorry else ''}{_plain(server['name'])}"
    active = str(server["active_connections"])
    return [name, state, weight, server["method"], active, *_rates(server["traffic"]), _plain("; ".join(said))]


def _override(server: dict[str, Any], now_ns: int) -> str:
    if server["override"] is None:
        return ""
    until = server["override_until_s"]
    left = "" if until is None else f", for another {max(0, int(until - now_ns / 1e9))} s"
    return f"{server['override']}{left}"


def _rates(traffic: dict[str, int]) -> list[str]:
    return [str(traffic[name]) for name in ("connections_per_s", "bytes_in_per_s", "bytes_out_per_s")]


def _plain(text: str) -> str:
    """Text from a configuration is not markup."""
    from rich.markup import escape  # noqa: PLC0415

    return escape(text)
