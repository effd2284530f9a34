"""Shows a timeline: live on a terminal (rich), line by line anywhere else."""

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from keepvip.lab.ping import Pinger
from keepvip.lab.timeline import CELL_S, Entry, Timeline

_TICK_S: Final = 0.1
_NODE_STYLES: Final = ("green", "cyan", "magenta", "yellow", "blue")
_KIND_STYLES: Final = {
    "act": "bold",
    "master": "bold green",
    "backup": "yellow",
    "ping": "red",
    "mail": "blue",
    "measure": "bold cyan",
}
_LABEL_WIDTH: Final = 18
_PIPE_WIDTH: Final = 160


def make_console() -> Console:
    """Standard output; where it is not a terminal, lines are long rather than folded."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)


class NodeState(Protocol):
    """What a screen must know of a daemon."""

    @property
    def running(self) -> bool:
        """Whether it runs."""


class Screen:
    """A context manager that shows the timeline until its end."""

    def __init__(
        self,
        timeline: Timeline,
        *,
        title: str,
        daemons: Mapping[str, NodeState],
        pings: Callable[[], Mapping[str, Pinger]] = dict,
        console: Console | None = None,
        live: bool | None = None,
    ) -> None:
        """Args: live: a redrawn screen (default: if the console is a terminal), else one line per entry."""
        self._timeline = timeline
        self._title = title
        self._daemons = daemons
        self._pings = pings
        self.console = console or make_console()
        self._live = self.console.is_terminal if live is None else live
        self._display: Live | None = None
        self._stop = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="lab-screen", daemon=True)

    def __enter__(self) -> Self:
        if self._live:
            self._display = Live(self._render(), console=self.console, refresh_per_second=8, transient=True)
            self._display.start()
        else:
            self.console.print(self._title)
            self._timeline.listen(self._print)
        self._ticker.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._ticker.join(5.0)
        if self._display:
            self._display.stop()
            self.console.print(self._render(entries=len(self._timeline.entries)))

    def _tick(self) -> None:
        while not self._stop.wait(_TICK_S):
            self._timeline.tick(self._pings(), time.time_ns())
            if self._display:
                self._display.update(self._render())

    def _print(self, entry: Entry) -> None:
        self.console.print(self._line(entry), soft_wrap=True)

    # -- the picture -------------------------------------------------------------------------------------------------

    def _render(self, entries: int | None = None) -> RenderableType:
        height = self.console.height if self._live else 40
        nodes = self._node_table()
        strips = self._strips()
        used = 8 + nodes.row_count + len(strips)
        story = sorted(self._timeline.entries, key=lambda entry: entry.at_ns)
        shown = story[-(entries if entries is not None else max(6, height - used)) :]
        seconds = (time.time_ns() - self._timeline.started_ns) / 1e9
        head = Text.assemble((self._title, "bold"), f"   {seconds:5.1f} s")
        return Group(head, Text(), nodes, *strips, Text(), *(self._line(entry) for entry in shown))

    def _style(self, node: str) -> str:
        names = list(self._daemons)
        return _NODE_STYLES[names.index(node) % len(_NODE_STYLES)] if node in names else "white"

    def _node_table(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
        table.add_column("", width=_LABEL_WIDTH)
        for node in self._daemons:
            table.add_column(f"[{self._style(node)}]node {escape(node)}[/]")
        now_ns = time.time_ns()
        for view in list(self._timeline.routers.values()):
            current = view.current(now_ns)
            cells = []
            for node, daemon in self._daemons.items():
                count = view.adverts.get(node, 0)
                if node in current:
                    cells.append(f"[bold green]MASTER[/]  {count} adverts")
                elif daemon.running:
                    cells.append(f"[dim]listens[/] {count} adverts" if count else "[dim]listens[/]")
                else:
                    cells.append("[red]not running[/]")
            table.add_row(escape(view.name), *cells)
        return table

    def _strips(self) -> Sequence[RenderableType]:
        width = max(20, self.console.width - _LABEL_WIDTH - 2)
        rows = []
        for name, cells in list(self._timeline.cells.items()):
            row = Text(f"{name:{_LABEL_WIDTH}.{_LABEL_WIDTH}} ")
            for cell in cells[-width:]:
                match cell:
                    case "x":
                        row.append("█", "red")
                    case "-":
                        row.append("▁", "green")
                    case "!":
                        row.append("!", "bold white on red")
                    case "." | " ":
                        row.append("·", "dim")
                    case node:
                        row.append(node[0], f"bold {self._style(node)}")
            rows.append(row)
        if rows:
            rows.insert(
                0, Text(f"{'':{_LABEL_WIDTH}} one cell = {CELL_S} s: who advertises; does the client get answers")
            )
            rows[0].stylize("dim")
        return rows

    def _line(self, entry: Entry) -> Text:
        seconds = (entry.at_ns - self._timeline.started_ns) / 1e9
        line = Text(f"{seconds:8.3f}  ")
        if entry.kind == "act":
            return line.append(f"── {entry.text}", "bold")
        line.append(f"{entry.node:7}", self._style(entry.node))
        return line.append(entry.text, _KIND_STYLES.get(entry.kind, ""))
