"""A client, a director and two real servers: client --(front 10.0.0.0/24)-- director --(back 10.2.0.0/24)-- servers."""

import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import pytest

from keepvip.lab import Lab
from keepvip.lab.node import Node

if TYPE_CHECKING:
    from keepvip.lab.process import LabProcess

VIP = "10.0.0.100"
SERVER = """
import socket, sys, threading
name, *addresses = sys.argv[1:]
reply = b"HTTP/1.0 200 OK\\r\\n\\r\\n" + name.encode()
def serve(connection):
    with connection:
        while connection.recv(4096):
            connection.sendall(reply)
            if not name.startswith("stay"):
                break
def listen(address):
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, int(port)))
    listener.listen(64)
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
threads = [threading.Thread(target=listen, args=(address,)) for address in addresses]
for thread in threads:
    thread.start()
"""


def wait(condition: Callable[[], bool], what: str, timeout_s: float = 15.0) -> None:
    """Wait for a fact."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.02)


class Balanced:
    """The network; real servers are started and killed by number."""

    def __init__(self) -> None:
        self.lab = Lab()
        front, back = self.lab.lan("front"), self.lab.lan("back")
        self.client = self.lab.node("client")
        self.client.attach("eth0", front, ["10.0.0.1/24", "fd00::1/64"])
        self.director = self.lab.node("director")
        self.director.attach("eth0", front, ["10.0.0.2/24", f"{VIP}/32", "fd00::2/64", "fd00::100/128"])
        self.director.attach("eth1", back, ["10.2.0.1/24", "fd02::1/64"])
        self.director.network.sysctl("net/ipv4/ip_forward", 1)
        self.director.network.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.servers: dict[int, Node] = {}
        self.processes: dict[int, LabProcess] = {}
        self.programs: dict[int, tuple[str, ...]] = {}
        """What `revive` starts: real server → addresses with ports."""
        for number in (1, 2):
            node = self.lab.node(f"rs{number}")
            node.attach("eth0", back, [f"10.2.0.1{number}/24", f"fd02::1{number}/64"])
            node.network.ip("route add default via 10.2.0.1", "route add ::/0 via fd02::1")
            self.servers[number] = node

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lab.close()

    def serve(self, number: int, *addresses: str, name: str = "") -> None:
        """Start the program of a real server; returns when it answers."""
        node = self.servers[number]
        addresses = addresses or ("0.0.0.0:80",)
        argv = [sys.executable, "-I", "-S", "-c", SERVER, name or f"rs{number}", *addresses]
        self.processes[number] = node.start(argv, log="server")
        port = int(addresses[0].rpartition(":")[2])
        wait(lambda: self._answers(node, port), f"rs{number} answers")

    def _answers(self, node: Node, port: int) -> bool:
        with node.socket(socket.AF_INET, socket.SOCK_STREAM) as found:
            return found.connect_ex(("127.0.0.1", port)) == 0

    def revive(self) -> None:
        """Start every program of `programs` that does not run."""
        for number, addresses in self.programs.items():
            if number not in self.processes:
                self.serve(number, *addresses)

    def kill(self, number: int) -> None:
        """End the program of a real server: its port refuses connections."""
        self.processes.pop(number).crash()

    def get(self, address: str = VIP, port: int = 80, timeout_s: float = 3.0) -> str:
        """What the client gets: the name of a real server, or what went wrong."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.client.socket(family, socket.SOCK_STREAM) as found:
            found.settimeout(timeout_s)
            try:
                found.connect((address, port))
                found.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return found.recv(4096).rpartition(b"\r\n")[2].decode() or "closed"
            except OSError as error:
                return type(error).__name__

    def tally(self, count: int, address: str = VIP, port: int = 80) -> Counter[str]:
        """Several connections, one after the other."""
        return Counter(self.get(address, port) for _ in range(count))

    def show_if_failed(self, request: pytest.FixtureRequest) -> None:
        """The logs of the director with the report of a test that failed."""
        report = getattr(request.node, "call_report", None)
        for path in sorted(self.director.directory.glob("*.log")):
            if report is not None and report.failed:
                report.sections.append((path.name, "\n".join(path.read_text(errors="replace").splitlines()[-60:])))
            path.unlink()

    def table(self) -> list[str]:
        """`ipvsadm -Sn`, in order."""
        return sorted(self.director.network.run("ipvsadm", "-Sn").splitlines())


def keepvip(net: Balanced, *words: str) -> str:
    """What the command line says on the director."""
    process = net.director.start([str(Path(sys.prefix, "bin", "keepvip")), *words], log="cli")
    process.wait(20)
    return process.log_text()
