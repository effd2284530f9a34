"""A client that pings addresses without pause and says which answers never came."""

import ipaddress
import os
import select
import socket
import struct
import threading
import time
from typing import Final

import msgspec

from keepvip.lab.decode import internet_checksum
from keepvip.lab.node import Node

_ECHO_REQUEST: Final = {4: 8, 6: 128}
_ECHO_REPLY: Final = {4: 0, 6: 129}
_SO_TIMESTAMPNS: Final = 35
_TIMESPEC: Final = struct.Struct("=qq")
_HEADER: Final = struct.Struct("!BBHHHQ")  # type, code, checksum, identifier, target number, probe number


class Outage(msgspec.Struct, frozen=True):
    """Consecutive lost probes of one address. Times (CLOCK_REALTIME, ns) are those of sending."""

    address: str
    first_lost_ns: int
    last_lost_ns: int
    lost: int
    duration_ms: float  # from the last answered probe before to the first answered one after


class _Target:
    def __init__(self, address: str) -> None:
        self.address = address
        self.family = ipaddress.ip_address(address).version
        self.sent: list[int] = []
        self.answered: list[int] = []  # arrival of the answer, 0 = none yet


class Pinger:
    """Sends an echo request to each address every ``interval_ms`` from its making to `stop`, at most ``limit`` each."""

    def __init__(self, node: Node, addresses: list[str], *, interval_ms: float = 10.0, limit: int = 100_000) -> None:
        self._targets = [_Target(address) for address in addresses]
        self._interval_s = interval_ms / 1000
        self._limit = limit
        self._identifier = os.getpid() & 0xFFFF
        self._sockets: dict[int, socket.socket] = {}
        for family in sorted({target.family for target in self._targets}):
            kind = socket.AF_INET if family == 4 else socket.AF_INET6
            protocol = socket.IPPROTO_ICMP if family == 4 else socket.IPPROTO_ICMPV6
            sock = node.socket(kind, socket.SOCK_RAW, protocol)
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            sock.setblocking(False)
            self._sockets[family] = sock
        self._lock = threading.Lock()
        self._stop_fd = os.eventfd(0)
        self._thread = threading.Thread(target=self._run, name="lab-ping", daemon=True)
        self._thread.start()

    def stop(self, *, grace_s: float = 0.25) -> None:
        """Stop sending, wait a moment for the answers under way, and end."""
        self._limit = 0
        self._thread.join(grace_s)
        os.eventfd_write(self._stop_fd, 1)
        self._thread.join(5.0)
        for sock in self._sockets.values():
            sock.close()
        os.close(self._stop_fd)

    def counts(self) -> dict[str, tuple[int, int]]:
        """Address to (sent, answered); the newest probes may still be under way."""
        with self._lock:
            return {
                target.address: (len(target.sent), sum(1 for at in target.answered if at)) for target in self._targets
            }

    def last_answer_ns(self, address: str) -> int:
        """When the newest answer came from an address; 0 if there was none."""
        with self._lock:
            target = next(target for target in self._targets if target.address == address)
            return max(target.answered, default=0)

    def outages(
        self, address: str, *, since_ns: int = 0, until_ns: int | None = None, in_flight_ms: float = 100.0
    ) -> list[Outage]:
        """The gaps in the answers of an address. A probe younger than ``in_flight_ms`` does not count as lost yet."""
        horizon = min(until_ns or 1 << 63, time.time_ns() - int(in_flight_ms * 1e6))
        target = next(target for target in self._targets if target.address == address)
        with self._lock:
            probes = [
                (sent, at) for sent, at in zip(target.sent, target.answered, strict=True) if since_ns <= sent <= horizon
            ]
        found: list[Outage] = []
        lost: list[int] = []
        before = probes[0][0] if probes else 0
        for sent, answered in [*probes, (horizon, 1)]:
            if not answered:
                lost.append(sent)
                continue
            if lost:
                found.append(Outage(address, lost[0], lost[-1], len(lost), (sent - before) / 1e6))
                lost = []
            before = sent
        return found

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._stop_fd, select.POLLIN)
        for sock in self._sockets.values():
            poll.register(sock, select.POLLIN)
        due = time.monotonic()
        while True:
            now = time.monotonic()
            if now >= due:
                self._send_round()
                due = max(due + self._interval_s, now)  # after a pause of ours: no burst
            ready = poll.poll(max(0.0, (due - time.monotonic()) * 1000))
            if any(descriptor == self._stop_fd for descriptor, _ in ready):
                return
            for family, sock in self._sockets.items():
                self._receive(family, sock)

    def _send_round(self) -> None:
        for number, target in enumerate(self._targets):
            if len(target.sent) >= self._limit:
                continue
            with self._lock:
                probe = len(target.sent)
                target.sent.append(time.time_ns())
                target.answered.append(0)
            kind = _ECHO_REQUEST[target.family]
            message = _HEADER.pack(kind, 0, 0, self._identifier, number, probe)
            if target.family == 4:  # the kernel fills the ICMPv6 checksum, not the ICMP one
                message = _HEADER.pack(kind, 0, internet_checksum(message), self._identifier, number, probe)
            try:
                self._sockets[target.family].sendto(message, (target.address, 0))
            except OSError:
                continue  # no route, no neighbour, full buffer: the probe counts as lost

    def _receive(self, family: int, sock: socket.socket) -> None:
        while True:
            try:
                data, ancillary, _flags, _address = sock.recvmsg(2048, socket.CMSG_SPACE(_TIMESPEC.size))
            except BlockingIOError:
                return
            except OSError:
                return  # an ICMP error for an earlier probe
            message = data[(data[0] & 0x0F) * 4 :] if family == 4 else data
            if len(message) < _HEADER.size or message[0] != _ECHO_REPLY[family]:
                continue
            _kind, _code, _checksum, identifier, number, probe = _HEADER.unpack_from(message)
            if identifier != self._identifier or number >= len(self._targets):
                continue
            stamp = next(value for _, kind, value in ancillary if kind == _SO_TIMESTAMPNS)
            seconds, nanoseconds = _TIMESPEC.unpack(stamp)
            with self._lock:
                target = self._targets[number]
                if probe < len(target.answered) and not target.answered[probe]:
                    target.answered[probe] = seconds * 1_000_000_000 + nanoseconds
