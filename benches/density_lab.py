"""Two nodes on bare cables, configurations of any size, and what is read off the kernel: used by `density.py`."""

import contextlib
import ctypes
import itertools
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from keepvip.lab import Daemon, Keepalived, Keepvip, Lab, Node
from keepvip.lab.configs import global_defs, instance
from keepvip.lab.process import descendants

PER_INTERFACE = 255
"""VRIDs of one interface."""


class Wake(Keepvip):
    """keepvip that hears every advert."""

    kind = "keepvip-wake"

    def command(self) -> list[str]:
        """See `Daemon.command`."""
        return ["env", "KEEPVIP_RECEIVE=wake", *super().command()]


class Raw(Keepvip):
    """keepvip that sends by a raw socket."""

    kind = "keepvip-raw"

    def command(self) -> list[str]:
        """See `Daemon.command`."""
        return ["env", "KEEPVIP_SEND=raw", *super().command()]


KINDS: dict[str, type[Daemon]] = {
    "keepvip": Keepvip,
    "keepvip-wake": Wake,
    "keepvip-raw": Raw,
    "keepalived": Keepalived,
}


def interfaces_of(count: int, per_interface: int = PER_INTERFACE) -> int:
    """How many interfaces `count` routers need."""
    return -(-count // per_interface)


def configuration(count: int, interval_s: float, priority: int, *, per_interface: int = PER_INTERFACE) -> str:
    """`count` instances, `per_interface` on each of e0, e1 …; version 3, one address each, one gratuitous ARP."""
    parts = [global_defs("vrrp_garp_master_repeat 1", "vrrp_garp_master_delay 0", "router_id bench")]
    for number in range(count):
        link, vrid = divmod(number, per_interface)
        parts.append(
            instance(
                f"VI_{number}",
                interface=f"e{link}",
                vrid=vrid + 1,
                priority=priority,
                version=3,
                interval_s=interval_s,
                addresses=[f"{address_of(number)}/32"],
            )
        )
    return "".join(parts)


def address_of(number: int) -> str:
    """The virtual address of an instance."""
    return f"10.{100 + number // 65025}.{number // 255 % 255}.{number % 255 + 1}"


@contextlib.contextmanager
def two_nodes(interfaces: int) -> Iterator[tuple[Node, Node]]:
    """Nodes a and b, joined by that many veth pairs e0, e1 …"""
    with Lab() as lab:
        a, b = lab.node("a"), lab.node("b")
        links = [f"link add name e{n} type veth peer name e{n} netns {b.network.path}" for n in range(interfaces)]
        a.network.ip(*links)
        for node, last in ((a, 1), (b, 2)):
            commands = []
            for number in range(interfaces):
                commands.append(f"address add 192.168.{number % 250}.{last + 2 * (number // 250)}/24 dev e{number}")
                commands.append(f"link set dev e{number} up")
            node.network.ip(*commands)
        yield a, b


def cpu_ns(pid: int) -> int:
    """Processor time of a process, its threads and its children, from the scheduler, ns."""
    total = 0
    for each in descendants(pid):
        for task in Path(f"/proc/{each}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                total += int((task / "schedstat").read_text().split()[0])
    return total


def memory_mib(pid: int) -> dict[str, float]:
    """Resident and proportional memory of a process and its children."""
    rss = pss = 0
    for each in descendants(pid):
        for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()[1:]:
            name, value, *_ = line.split()
            rss += int(value) if name == "Rss:" else 0
            pss += int(value) if name == "Pss:" else 0
    return {"rss_mib": round(rss / 1024, 1), "pss_mib": round(pss / 1024, 1)}


def packets_sent(node: Node, interfaces: int) -> int:
    """Frames that left by all interfaces of a node, from the kernel's counters."""
    text = node.network.run("cat", "/proc/net/dev") if interfaces else ""
    total = 0
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name.strip().startswith("e"):
            total += int(rest.split()[9])
    return total


class Sniffer:
    """Times of adverts on all interfaces of a node, by the kernel's clock, kept by (interface, VRID).

    Only VRIDs divisible by `every` reach it: a program that had to see 40,000 frames a second would be the load.
    """

    def __init__(self, node: Node, *, every: int = 1) -> None:
        self.times: dict[tuple[int, int], list[int]] = {}
        self.zero: dict[tuple[int, int], int] = {}
        self.sources: dict[tuple[int, int, str], list[int]] = {}
        self.announced: dict[str, int] = {}
        self._end = threading.Event()
        self._socket = node.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self._socket.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
        code = b"".join(
            struct.pack("=HBBI", *instruction)
            for instruction in (
                (0x28, 0, 0, 12),
                (0x15, 7, 0, 0x0806),  # ARP
                (0x15, 0, 7, 0x0800),
                (0x30, 0, 0, 23),
                (0x15, 0, 5, 112),
                (0x30, 0, 0, 35),
                (0x94, 0, 0, every),
                (0x15, 0, 2, 0),
                (0x06, 0, 0, 128),
                (0x06, 0, 0, 128),
                (0x06, 0, 0, 0),
            )
        )
        buffer = ctypes.create_string_buffer(code)
        self._socket.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", len(code) // 8, ctypes.addressof(buffer)))
        self._socket.settimeout(0.2)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._end.is_set():
            try:
                data, ancillary, _, address = self._socket.recvmsg(128, 64)
            except TimeoutError:
                continue
            except OSError:
                return
            seconds, nanos = struct.unpack("=qq", ancillary[0][2][:16])
            self._see(data, address[0], seconds * 1_000_000_000 + nanos)

    def _see(self, data: bytes, interface: str, at_ns: int) -> None:
        if data[12:14] == b"\x08\x06":
            self.announced.setdefault(socket.inet_ntoa(data[28:32]), at_ns)
            return
        key = int(interface[1:]), data[35]
        if data[36] == 0:
            self.zero[key] = at_ns
            return
        self.times.setdefault(key, []).append(at_ns)
        self.sources.setdefault((*key, socket.inet_ntoa(data[26:30])), []).append(at_ns)

    def forget(self) -> None:
        """Begins anew."""
        self.times, self.zero, self.sources, self.announced = {}, {}, {}, {}

    def close(self) -> None:
        """Stops reading."""
        self._end.set()
        self._thread.join()
        self._socket.close()

    def gap_errors_us(self, interval_s: float) -> list[float]:
        """How much the times between successive adverts differ from the interval, µs, sorted."""
        wanted_ns = interval_s * 1e9
        errors = [
            abs(after - before - wanted_ns) / 1000
            for times in self.times.values()
            for before, after in itertools.pairwise(times)
        ]
        return sorted(errors)


class Source:
    """A cheap, evenly spread source of adverts: ready frames from one process, priority 250, without a state."""

    def __init__(self, node: Node, count: int, interval_s: float, *, per_interface: int = PER_INTERFACE) -> None:
        self._node = node
        self._frames = [
            (number // per_interface, self._frame(number, per_interface, interval_s)) for number in range(count)
        ]
        self._interval_s = interval_s
        self.pid = 0
        self._end_r, self._end_w = os.pipe()

    @staticmethod
    def _frame(number: int, per_interface: int, interval_s: float) -> bytes:
        link, vrid = divmod(number, per_interface)
        source = socket.inet_aton(f"192.168.{link % 250}.{1 + 2 * (link // 250)}")
        group = socket.inet_aton("224.0.0.18")
        body = struct.pack("!BBBBHH", 0x31, vrid + 1, 250, 1, round(interval_s * 100), 0)
        body += socket.inet_aton(address_of(number))
        body = (
            body[:6]
            + struct.pack("!H", checksum(source + group + struct.pack("!HH", 112, len(body)) + body))
            + body[8:]
        )
        header = (
            struct.pack("!BBHHHBBH", 0x45, 0xC0, 20 + len(body), number % 65535 + 1, 0, 255, 112, 0) + source + group
        )
        header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
        return b"\x01\x00\x5e\x00\x00\x12\x02\x00\x00\x00\x00\x01\x08\x00" + header + body

    def start(self) -> None:
        """Begins to send, in a process of its own."""
        self.pid = os.fork()
        if self.pid:
            return
        try:
            with self._node.network.entered():
                self._send()
        finally:
            os._exit(0)

    def _send(self) -> None:
        sockets: dict[int, socket.socket] = {}
        for link, _ in self._frames:
            if link not in sockets:
                sockets[link] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
                sockets[link].bind((f"e{link}", 0))
        os.set_blocking(self._end_r, False)
        count, start, number = len(self._frames), time.monotonic(), 0
        step_s = self._interval_s / count
        parent = os.getppid()
        while os.getppid() == parent:
            due = int((time.monotonic() - start) / step_s)
            while number < due:
                link, frame = self._frames[number % count]
                sockets[link].send(frame)
                number += 1
            time.sleep(max(step_s, 0.0005))

    def stop(self) -> None:
        """Ends it."""
        if self.pid:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
            self.pid = 0
        os.close(self._end_r)
        os.close(self._end_w)


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def sleep_until(moment_s: float) -> None:
    """Sleeps to a moment of the monotonic clock."""
    time.sleep(max(0.0, moment_s - time.monotonic()))
