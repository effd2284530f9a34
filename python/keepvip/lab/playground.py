"""``keepvip lab``: any configuration on any number of nodes, until Ctrl-C."""

import contextlib
import re
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from keepvip.lab.configs import instance, sync_group
from keepvip.lab.daemons import Daemon, Keepvip
from keepvip.lab.errors import LabError
from keepvip.lab.lab import Lab
from keepvip.lab.node import Node
from keepvip.lab.ping import Pinger
from keepvip.lab.privilege import in_user_namespace
from keepvip.lab.screen import Screen
from keepvip.lab.timeline import Timeline

MAXIMUM_NODES = 16
_NAMES = "abcdefghijklmnop"
_INTERFACE = re.compile(r"^\s*(?:interface|.*\bdev)\s+([\w.:@-]+)", re.MULTILINE)
_MAXIMUM_PINGED = 16


def default_configuration(number: int) -> str:
    """The main job's configuration for the node with this number: the first one has the highest priority."""
    priority, state = 100 - number, "BACKUP" if number else "MASTER"
    common = {"priority": priority, "password": "passw123"}
    return (
        sync_group("VG1", "RH_EXT", "RH_INT")
        + instance("RH_EXT", interface="eth0", vrid=50, addresses=["10.0.0.1"], state=state, **common)  # type: ignore[arg-type]
        + instance("RH_INT", interface="eth1", vrid=2, addresses=["192.168.1.1"], state=state, **common)  # type: ignore[arg-type]
    )


class Playground:
    """A LAN per interface that the configurations name, a node per configuration, and a client on all LANs."""

    def __init__(
        self,
        configurations: Sequence[str | Path],
        *,
        daemon_kinds: Sequence[type[Daemon]] = (Keepvip,),
        pcap: Path | None = None,
        ping: bool = True,
    ) -> None:
        """Args: daemon_kinds: one for all nodes or one for each; ping: ask every address that is advertised."""
        if not 1 <= len(configurations) <= MAXIMUM_NODES:
            raise LabError(f"a playground has 1 to {MAXIMUM_NODES} nodes")
        kinds = list(daemon_kinds) * (len(configurations) if len(daemon_kinds) == 1 else 1)
        if len(kinds) != len(configurations):
            raise LabError(f"{len(kinds)} programs for {len(configurations)} nodes")
        for kind in kinds:
            if complaint := kind.missing():
                raise LabError(complaint)
        self.timeline = Timeline({(50, "eth0"): "RH_EXT", (2, "eth1"): "RH_INT"})
        self.pingers: dict[str, Pinger] = {}
        self._ping = ping
        self.lab = Lab()
        try:
            self._build(configurations, kinds, pcap)
        except BaseException:
            self.lab.close()
            raise

    def _build(self, configurations: Sequence[str | Path], kinds: Sequence[type[Daemon]], pcap: Path | None) -> None:
        texts = [c.read_text() if isinstance(c, Path) else c for c in configurations]
        names = sorted({name for text in texts for name in _INTERFACE.findall(text)}) or ["eth0"]
        self.lans = {name: self.lab.lan(name) for name in names}
        self.client = self.lab.node("client")
        self._attach(self.client, 100)
        self.daemons: dict[str, Daemon] = {}
        for number, (configuration, kind) in enumerate(zip(configurations, kinds, strict=True)):
            node = self.lab.node(_NAMES[number])
            self._attach(node, 11 + number)
            self.daemons[node.name] = kind(node, configuration)
        self.tap = self.lab.tap(keep=False, on_packet=self.timeline.on_packet, pcap=pcap)

    def _attach(self, node: Node, number: int) -> None:
        for index, (name, lan) in enumerate(self.lans.items()):
            network = {"eth0": "10.0.0", "eth1": "192.168.1"}.get(name, f"10.{100 + index}.0")
            node.attach(name, lan, [f"{network}.{number}/24", f"fd00:{index}::{number}/64"])

    def run(self, *, plain: bool = False, seconds: float | None = None) -> None:
        """Start all daemons and show what happens until Ctrl-C, SIGTERM or the time is over."""
        stop = threading.Event()
        screen = Screen(
            self.timeline,
            title="keepvip lab: Ctrl-C ends it",
            daemons=self.daemons,
            pings=lambda: dict(self.pingers),
            live=False if plain else None,
        )
        try:
            with _until_signal(stop), screen:
                self._start()
                deadline = time.monotonic() + seconds if seconds else None
                while not stop.wait(0.1) and (deadline is None or time.monotonic() < deadline):
                    self._ping_what_is_advertised()
                    self._tell_who_ended()
        finally:
            self.close()

    def _start(self) -> None:
        self._ended: set[str] = set()
        for name, daemon in self.daemons.items():
            process = daemon.start()
            user = "-U --preserve-credentials " if in_user_namespace() else ""
            text = f"{daemon.kind} is process {process.pid}; a shell: nsenter -t {process.pid} {user}-n -m"
            self.timeline.add("note", text, node=name)

    def _ping_what_is_advertised(self) -> None:
        if not self._ping or len(self.pingers) >= _MAXIMUM_PINGED:
            return
        for view in list(self.timeline.routers.values()):
            for address in view.addresses:
                if address in self.pingers or address.startswith("fe80:") or len(self.pingers) >= _MAXIMUM_PINGED:
                    continue
                interface = view.key[2]
                self.client.network.ip(f"route replace {address}/{128 if ':' in address else 32} dev {interface}")
                self.pingers[address] = Pinger(self.client, [address], interval_ms=50)

    def _tell_who_ended(self) -> None:
        for name, daemon in self.daemons.items():
            if name not in self._ended and not daemon.running:
                self._ended.add(name)
                text = f"{daemon.kind} has ended (exit status {daemon.process.exit_status})"
                self.timeline.add("note", text, node=name)

    def close(self) -> None:
        """Stop the client, then everything else."""
        for pinger in self.pingers.values():
            pinger.stop()
        self.pingers = {}
        self.lab.close()


@contextlib.contextmanager
def _until_signal(stop: threading.Event) -> Iterator[None]:
    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
