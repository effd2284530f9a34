"""The lab itself: makes LANs, nodes and taps, and takes all of it away again."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from keepvip.lab import janitor
from keepvip.lab.capture import Tap
from keepvip.lab.decode import Packet
from keepvip.lab.errors import LabError
from keepvip.lab.lan import Lan
from keepvip.lab.namespace import NetworkNamespace, become_subreaper
from keepvip.lab.node import Node

_MAXIMUM_NODES = 64
_MAXIMUM_LANS = 1024


class Lab:
    """A context manager; nothing is left after the ``with`` block, nor after a crash (see `keepvip.lab.janitor`)."""

    def __init__(self, *, keep_directory: bool = False) -> None:
        """Args: keep_directory: leave logs and captures behind for inspection."""
        if os.geteuid() != 0:
            raise LabError("the lab needs root, or a user namespace in which it is root (`keepvip lab` makes one)")
        janitor.sweep()
        become_subreaper()
        self.run_id = janitor.new_run_id()
        self.directory = Path(tempfile.gettempdir(), f"{janitor.DIRECTORY_PREFIX}{self.run_id}")
        self.directory.mkdir()
        self.directory.chmod(0o755)  # scripts that run as another user are reached through it
        self._keep_directory = keep_directory
        self.wires = NetworkNamespace.create()  # the bridges live here, apart from the host and from every node
        self.wires.ip("link set lo up")
        for family in ("all", "default"):
            self.wires.sysctl(f"net/ipv6/conf/{family}/disable_ipv6", 1)  # the bridges must not speak themselves
        self.lans: list[Lan] = []
        self.nodes: dict[str, Node] = {}
        self.taps: list[Tap] = []
        self._closers: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def lan(self, name: str) -> Lan:
        """A new LAN."""
        if len(self.lans) >= _MAXIMUM_LANS:
            raise LabError(f"a lab has at most {_MAXIMUM_LANS} LANs")
        lan = Lan(name, len(self.lans), self.wires)
        self.lans.append(lan)
        return lan

    def node(self, name: str, *, own_dev: bool = False) -> Node:
        """A new node without interfaces; see `keepvip.lab.node.Node.attach`."""
        if len(self.nodes) >= _MAXIMUM_NODES:
            raise LabError(f"a lab has at most {_MAXIMUM_NODES} nodes")
        if name in self.nodes:
            raise LabError(f"there is a node {name} already")
        node = Node(name, self.directory / name, self.run_id, own_dev=own_dev)
        self.nodes[name] = node
        return node

    def tap(
        self,
        *lans: Lan,
        keep: bool = True,
        on_packet: Callable[[Packet], None] | None = None,
        pcap: Path | None = None,
    ) -> Tap:
        """A tap on some LANs (on all there are, if none is named)."""
        tap = Tap(self.wires, lans or self.lans, keep=keep, on_packet=on_packet, pcap=pcap)
        self.taps.append(tap)
        return tap

    def on_close(self, action: Callable[[], None]) -> None:
        """Do something when the lab ends, before the nodes go; the last one registered comes first."""
        self._closers.append(action)

    def close(self) -> None:
        """End everything; bounded, and complete even if one part fails (the first failure is raised at the end)."""
        failures: list[Exception] = []
        actions: list[Callable[[], None]] = [
            *reversed(self._closers),
            *(node.close for node in self.nodes.values()),
            *(tap.close for tap in self.taps),
            lambda: janitor.kill_run(self.run_id),
            self.wires.close,
        ]
        if not self._keep_directory:
            actions.append(lambda: shutil.rmtree(self.directory))
        for action in actions:
            try:
                action()
            except Exception as error:  # the rest must still be cleaned up; raised below
                failures.append(error)
        self._closers.clear()
        self.nodes.clear()
        self.taps.clear()
        if failures:
            raise failures[0]
