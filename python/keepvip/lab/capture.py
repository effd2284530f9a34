"""The tap: every frame that a node sends into a LAN, with the kernel's time stamp, decoded, kept and waited for."""

import errno
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, TypeVar

from keepvip.lab.bpf import attach_tap_filter
from keepvip.lab.decode import Advert, Arp, NeighbourAdvert, Packet, decode
from keepvip.lab.errors import LabTimeoutError
from keepvip.lab.lan import Lan
from keepvip.lab.namespace import NetworkNamespace
from keepvip.lab.pcap import PcapWriter

_ETH_P_ALL: Final = 0x0003
_SOL_PACKET: Final = 263
_PACKET_STATISTICS: Final = 6
_PACKET_IGNORE_OUTGOING: Final = 23
_SO_TIMESTAMPNS: Final = 35
_TIMESTAMP: Final = (socket.SOL_SOCKET, _SO_TIMESTAMPNS)
_SO_RCVBUFFORCE: Final = 33
_RECEIVE_BUFFER: Final = 64 << 20
_TIMESPEC: Final = struct.Struct("=qq")
_PACKET_OUTGOING: Final = 4

P = TypeVar("P", bound=Packet)


class Tap:
    """Captures from its making to `close`. All methods may be called from any thread."""

    def __init__(
        self,
        network: NetworkNamespace,
        lans: Iterable[Lan],
        *,
        keep: bool = True,
        on_packet: Callable[[Packet], None] | None = None,
        pcap: Path | None = None,
    ) -> None:
        """Start to capture.

        Args: keep: remember the packets; on_packet: called in the tap's thread (for long runs at a high rate);
        pcap: write every frame to this file, too.
        """
        self._network = network
        self._lans: list[Lan] = []
        self._ports: dict[str, tuple[str, str, str]] = {}
        self._keep = keep
        self._on_packet = on_packet
        self._pcap = PcapWriter(pcap) if pcap else None
        self._packets: list[Packet] = []
        self._news = threading.Condition()
        self._lost = 0
        with network.entered():
            self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        try:
            self._sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        except PermissionError:  # a user namespace
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        for lan in lans:
            self._lans.append(lan)
        self._attach_filter()
        self._sock.setblocking(False)
        self._drain()  # what came before the time stamps and the filter were on
        self._stop_fd = os.eventfd(0)
        self._thread = threading.Thread(target=self._capture, name="lab-tap", daemon=True)
        self._thread.start()

    def add(self, lan: Lan) -> None:
        """Watch a further LAN."""
        self._lans.append(lan)
        self._attach_filter()

    def _drain(self) -> None:
        while True:
            try:
                self._sock.recv(65536)
            except BlockingIOError:
                return

    def _attach_filter(self) -> None:
        with self._network.entered():
            bridges = [socket.if_nametoindex(lan.bridge) for lan in self._lans]
        attach_tap_filter(self._sock, ignore_indexes=bridges)

    # -- reading -----------------------------------------------------------------------------------------------------

    @property
    def packets(self) -> list[Packet]:
        """All packets seen so far, in the order of arrival."""
        with self._news:
            return list(self._packets)

    def select(
        self,
        kind: type[P],
        wanted: Callable[[P], object] | None = None,
        *,
        since_ns: int = 0,
        until_ns: int | None = None,
    ) -> list[P]:
        """The packets of a kind in a span of time that satisfy ``wanted``."""
        return [
            packet
            for packet in self.packets
            if isinstance(packet, kind)
            and packet.at_ns >= since_ns
            and (until_ns is None or packet.at_ns <= until_ns)
            and (wanted is None or wanted(packet))
        ]

    def adverts(
        self,
        *,
        node: str | None = None,
        vrid: int | None = None,
        family: int | None = None,
        since_ns: int = 0,
        until_ns: int | None = None,
    ) -> list[Advert]:
        """The adverts of a node and virtual router in a span of time."""
        return self.select(
            Advert,
            lambda advert: (
                (node is None or advert.node == node)
                and (vrid is None or advert.vrid == vrid)
                and (family is None or advert.family == family)
            ),
            since_ns=since_ns,
            until_ns=until_ns,
        )

    def garps(self, address: str, *, node: str | None = None, since_ns: int = 0) -> list[Arp]:
        """The gratuitous ARPs for an address."""
        return self.select(
            Arp,
            lambda arp: arp.gratuitous and arp.target == address and (node is None or arp.node == node),
            since_ns=since_ns,
        )

    def neighbour_adverts(self, address: str, *, node: str | None = None, since_ns: int = 0) -> list[NeighbourAdvert]:
        """The unsolicited neighbour advertisements for an address."""
        return self.select(
            NeighbourAdvert,
            lambda advert: not advert.solicited and advert.target == address and (node is None or advert.node == node),
            since_ns=since_ns,
        )

    # -- waiting -----------------------------------------------------------------------------------------------------

    def wait(
        self, kind: type[P], wanted: Callable[[P], object], *, timeout_s: float, since_ns: int = 0, what: str = ""
    ) -> P:
        """The first packet of a kind since a time that satisfies ``wanted``; raises `LabTimeoutError`."""
        deadline = time.monotonic() + timeout_s
        seen = 0
        with self._news:
            while True:
                for packet in self._packets[seen:]:
                    if isinstance(packet, kind) and packet.at_ns >= since_ns and wanted(packet):
                        return packet
                seen = len(self._packets)
                left = deadline - time.monotonic()
                if left <= 0:
                    raise LabTimeoutError(f"no {what or kind.__name__} within {timeout_s} s\n{self.summary()}")
                self._news.wait(left)

    def wait_advert(
        self,
        node: str | None = None,
        vrid: int | None = None,
        *,
        timeout_s: float,
        since_ns: int = 0,
        family: int | None = None,
        priority: int | None = None,
        wanted: Callable[[Advert], object] | None = None,
    ) -> Advert:
        """The first advert of a node and virtual router since a time."""
        return self.wait(
            Advert,
            lambda advert: (
                (node is None or advert.node == node)
                and (vrid is None or advert.vrid == vrid)
                and (family is None or advert.family == family)
                and (priority is None or advert.priority == priority)
                and (wanted is None or wanted(advert))
            ),
            timeout_s=timeout_s,
            since_ns=since_ns,
            what=f"advert of node {node} vrid {vrid} priority {priority}",
        )

    def wait_count(
        self,
        kind: type[P],
        wanted: Callable[[P], object],
        count: int,
        *,
        timeout_s: float,
        since_ns: int = 0,
        what: str = "",
    ) -> list[P]:
        """Wait until ``count`` packets satisfy ``wanted``; gives exactly those."""
        found: list[P] = []

        def enough(packet: P) -> bool:
            if wanted(packet):
                found.append(packet)
            return len(found) == count

        try:
            self.wait(kind, enough, timeout_s=timeout_s, since_ns=since_ns)
        except LabTimeoutError:
            text = f"only {len(found)} of {count} {what or kind.__name__} within {timeout_s} s"
            raise LabTimeoutError(f"{text}\n{self.summary()}") from None
        return found

    def wait_garp(self, node: str, address: str, *, timeout_s: float, since_ns: int = 0, count: int = 1) -> list[Arp]:
        """Wait for ``count`` gratuitous ARPs of a node for an address."""
        return self.wait_count(
            Arp,
            lambda arp: arp.gratuitous and arp.node == node and arp.target == address,
            count,
            timeout_s=timeout_s,
            since_ns=since_ns,
            what=f"gratuitous ARP for {address} by {node}",
        )

    def silence(self, node: str, *, during_s: float, vrid: int | None = None) -> None:
        """Assert that a node sends no advert for a while (that is the event: the end of the while)."""
        since_ns = time.time_ns()
        try:
            advert = self.wait_advert(node, vrid, timeout_s=during_s, since_ns=since_ns)
        except LabTimeoutError:
            return
        raise AssertionError(f"{node} was to be silent but sent {advert}\n{self.summary()}")

    def summary(self, lines: int = 30) -> str:
        """The last packets in words, for error messages and logs."""
        return "\n".join(describe(packet) for packet in self.packets[-lines:])

    @property
    def lost(self) -> int:
        """Frames the kernel could not give us; a test that counts frames asserts that it is 0."""
        packets_and_drops = self._sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        self._lost += struct.unpack("=II", packets_and_drops)[1]
        return self._lost

    def forget(self) -> None:
        """Drop the packets kept so far (a lab shared by many tests)."""
        with self._news:
            self._packets.clear()

    def close(self) -> None:
        """Stop capturing."""
        os.eventfd_write(self._stop_fd, 1)
        self._thread.join(5.0)
        self._sock.close()
        os.close(self._stop_fd)
        if self._pcap:
            self._pcap.close()

    # -- the thread --------------------------------------------------------------------------------------------------

    def _capture(self) -> None:
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        poll.register(self._stop_fd, select.POLLIN)
        space = socket.CMSG_SPACE(_TIMESPEC.size)
        while True:
            if any(descriptor == self._stop_fd for descriptor, _ in poll.poll()):
                return
            batch: list[Packet] = []
            while len(batch) < 256:
                try:
                    data, ancillary, _flags, address = self._sock.recvmsg(65536, space)
                except BlockingIOError:
                    break
                except OSError as error:
                    if error.errno == errno.ENETDOWN:  # an interface went away, the socket lives on
                        continue
                    raise
                if address[2] == _PACKET_OUTGOING:
                    continue
                packet = self._packet(data, ancillary, address[0])
                if packet is not None:
                    batch.append(packet)
            if batch:
                self._deliver(batch)

    def _packet(self, data: bytes, ancillary: list[tuple[int, int, bytes]], port: str) -> Packet | None:
        stamp = next(value for level, kind, value in ancillary if (level, kind) == _TIMESTAMP)
        seconds, nanoseconds = _TIMESPEC.unpack(stamp)
        owner = self._ports.get(port)
        if owner is None:
            owner = self._find_port(port)
            if owner is None:
                return None
        node, interface, lan = owner
        return decode(data, at_ns=seconds * 1_000_000_000 + nanoseconds, node=node, interface=interface, lan=lan)

    def _find_port(self, port: str) -> tuple[str, str, str] | None:
        for lan in self._lans:
            found = lan.ports.get(port)
            if found:
                self._ports[port] = (*found, lan.name)
                return self._ports[port]
        return None

    def _deliver(self, batch: list[Packet]) -> None:
        if self._pcap:
            for packet in batch:
                self._pcap.write(packet.at_ns, packet.data)
        if self._on_packet:
            for packet in batch:
                self._on_packet(packet)
        if self._keep:
            with self._news:
                self._packets += batch
                self._news.notify_all()


def describe(packet: Packet) -> str:
    """One line about a packet."""
    seconds, microseconds = divmod(packet.at_ns // 1000, 1_000_000)
    when = f"{seconds % 100_000}.{microseconds:06} {packet.node}/{packet.interface}"
    match packet:
        case Advert():
            errors = f" ERRORS {packet.errors}" if packet.errors else ""
            return (
                f"{when} VRRPv{packet.version} {packet.source} vrid {packet.vrid} priority {packet.priority}"
                f" interval {packet.interval_ms} ms {' '.join(packet.addresses[:3])}{errors}"
            )
        case Arp(gratuitous=True):
            return f"{when} gratuitous ARP {packet.target} is at {packet.sender_mac}"
        case Arp():
            return f"{when} ARP {packet.operation} {packet.sender} -> {packet.target}"
        case NeighbourAdvert():
            return f"{when} neighbour advert {packet.target}"
        case _:
            return f"{when} {len(packet.data)} bytes, ethertype {packet.data[12:14].hex()}"
