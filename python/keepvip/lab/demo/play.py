"""Puts network, scenario and screen together and says at the end what held."""

import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from keepvip.lab.daemons import Daemon, Keepvip
from keepvip.lab.demo.expectations import Verdict
from keepvip.lab.demo.scenario import INSTANCES, Scenario
from keepvip.lab.errors import LabError
from keepvip.lab.pair import Pair
from keepvip.lab.screen import Screen, make_console
from keepvip.lab.timeline import Timeline

TITLE = "keepvip demo: two nodes, two networks, one client that never stops asking"


def play(
    *,
    daemon_kind: type[Daemon] = Keepvip,
    pcap: Path | None = None,
    plain: bool = False,
    console: Console | None = None,
) -> Verdict:
    """Play the demo and show it; gives what held. Raises `LabError` if it cannot be set up."""
    if complaint := daemon_kind.missing():
        raise LabError(complaint)
    console = make_console()
    timeline = Timeline(INSTANCES)
    started = time.monotonic()
    pair = Pair(on_packet=timeline.on_packet, pcap=pcap)
    try:
        scenario = Scenario(pair, timeline, daemon_kind)
        screen = Screen(
            timeline,
            title=TITLE,
            daemons=scenario.daemons,
            pings=lambda: dict(scenario.pingers),
            console=console,
            live=False if plain else None,
        )
        with screen:
            verdict = scenario.play()
        if not verdict.all_held:
            _show_logs(console, scenario)
    finally:
        pair.close()
    _show_verdict(console, verdict, time.monotonic() - started)
    return verdict


def _show_verdict(console: Console, verdict: Verdict, seconds: float) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(width=6, no_wrap=True)
    table.add_column(ratio=1)
    for expectation in verdict.expectations:
        mark = "[green]ok[/]" if expectation.held else "[bold red]NOT OK[/]"
        shown_by = f"[dim]: {escape(expectation.shown_by)}[/]" if expectation.shown_by else ""
        table.add_row(mark, f"{escape(expectation.text)}{shown_by}")
    console.print()
    console.print(table)
    held = sum(expectation.held for expectation in verdict.expectations)
    colour = "green" if verdict.all_held else "red"
    console.print(f"\n[bold {colour}]{held} of {len(verdict.expectations)} expectations held[/] in {seconds:.0f} s")


def _show_logs(console: Console, scenario: Scenario) -> None:
    for node, daemon in scenario.daemons.items():
        console.print(f"\n[bold]log of node {node}[/]")
        console.print(escape("\n".join(daemon.log_text().splitlines()[-40:])))
