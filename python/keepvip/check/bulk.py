"""TCP, UDP, DNS and ICMP: single packets or connections, all carried out by one probe engine (checkers-and-ipvs.md 4.1,
4.4, 4.6, 4.7).
"""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
import struct
from typing import TYPE_CHECKING

from keepvip import _probe
from keepvip.check import address
from keepvip.check.verdict import Verdict, error_text, failed, from_error, good, local

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepvip._probe import Ask, Result
    from keepvip.check.way import Done
    from keepvip.config.model_check import DnsCheck, PingCheck, Target, TcpCheck, UdpCheck

__all__ = ["Bulk", "DnsWay", "PingWay", "TcpWay", "UdpWay"]

UDP_TEXT = b"keepvip UDP_CHECK: please ignore"
"""The default payload: 32 bytes."""
PING_BYTES = 128
DNS_TYPES = {
    "A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28, "RRSIG": 46, "DNSKEY": 48,
}  # fmt: skip
DNS_CODES = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
_DNS_RECURSION = 0x0100
_DNS_CLASS_IN = 1


class Bulk:
    """The probe engine on the event loop. Requests are gathered and start together with `flush`."""

    def __init__(self) -> None:
        self._probes: _probe.Probes | None = None
        self._asks: list[Ask] = []
        self._takers: dict[int, Callable[[Result], None]] = {}
        self._token = 0
        self._flush: asyncio.Handle | None = None

    @property
    def pending(self) -> int:
        """Probes under way."""
        return len(self._takers)

    def ask(
        self,
        kind: int,
        target: Target,
        take: Callable[[Result], None],
        *,
        payload: bytes = b"",
        want: int = 0,
        sequence: int = 0,
        fd: int = -1,
    ) -> int:
        """Starts a probe at the next flush, which comes by itself in this turn of the loop. Raises OSError."""
        self._token += 1
        token = self._token
        device = (target.bind_if or "").encode()
        self._asks.append(
            (token, kind, address.target(target), target.timeout_us, address.source(target), target.fwmark, device,
             payload, want, sequence, fd)
        )  # fmt: skip
        self._takers[token] = take
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_soon(self.flush)
        return token

    def flush(self) -> None:
        """Starts what was asked for."""
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        if not self._asks:
            return
        asks, self._asks = self._asks, []
        try:
            if self._probes is None:
                self._probes = _probe.Probes()
                asyncio.get_running_loop().add_reader(self._probes.fileno(), self._collect)
            self._probes.start(asks)
        except (OSError, MemoryError) as error:  # no descriptors left, such things
            number = error.errno if isinstance(error, OSError) and error.errno else errno.ENOMEM
            for ask in asks:
                self._give((ask[0], _probe.LOCAL, number, 0, 0, None))

    def cancel(self, token: int) -> None:
        """No verdict will come; the probe itself goes on to its deadline, which harms nobody."""
        self._takers.pop(token, None)

    def cancel_borrowed(self, token: int) -> None:
        """The same for a probe on the caller's socket, which ends now."""
        self.cancel(token)
        self.flush()
        if self._probes is not None:
            self._probes.cancel(token)

    def close(self) -> None:
        """Ends everything without verdicts."""
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        self._asks.clear()
        self._takers.clear()
        if self._probes is not None:
            asyncio.get_running_loop().remove_reader(self._probes.fileno())
            self._probes.close()
            self._probes = None

    def _collect(self) -> None:
        if self._probes is None:
            return
        for result in self._probes.collect():
            self._give(result)

    def _give(self, result: Result) -> None:
        take = self._takers.pop(result[0], None)
        if take is not None:
            take(result)


class _BulkWay:
    """One probe at a time."""

    def __init__(self, bulk: Bulk, target: Target) -> None:
        self._bulk = bulk
        self._target = target
        self._token: int | None = None
        self._done: Done | None = None

    def begin(self, page: int, done: Done) -> None:
        """Starts a probe."""
        self._done = done
        try:
            self._token = self._ask()
        except OSError as error:
            done(from_error(error))

    def cancel(self) -> None:
        """Ends it."""
        self._done = None
        if self._token is not None:
            self._bulk.cancel(self._token)
            self._token = None

    def _ask(self) -> int:
        raise NotImplementedError

    def _judge(self, verdict: int, took_us: int, size: int, reply: bytes | None) -> Verdict:
        raise NotImplementedError

    def _take(self, result: Result) -> None:
        _, verdict, error, took_us, size, reply = result
        self._token = None
        done, self._done = self._done, None
        if done is None:
            return
        if verdict == _probe.LOCAL:
            done(local(error_text(error)))
        elif verdict == _probe.FAILED:
            done(failed(error_text(error), took_us))
        else:
            done(self._judge(verdict, took_us, size, reply))

    def _late(self, took_us: int) -> Verdict:
        return failed(f"no answer within {self._target.timeout_us / 1e6:g} s", took_us, timed_out=True)


class TcpWay(_BulkWay):
    """Success at connection; closed straight away."""

    def __init__(self, bulk: Bulk, check: TcpCheck) -> None:
        super().__init__(bulk, check.target)

    def _ask(self) -> int:
        return self._bulk.ask(_probe.TCP, self._target, self._take)

    def _judge(self, verdict: int, took_us: int, size: int, reply: bytes | None) -> Verdict:
        return good("connected", took_us) if verdict == _probe.CONNECTED else self._late(took_us)


class UdpWay(_BulkWay):
    """Success if nothing says that the port is closed, or by what comes back."""

    def __init__(self, bulk: Bulk, check: UdpCheck) -> None:
        super().__init__(bulk, check.target)
        self._check = check

    def _ask(self) -> int:
        check = self._check
        payload = UDP_TEXT if check.payload is None else check.payload
        want = len(check.reply) if check.reply is not None else 0
        return self._bulk.ask(_probe.UDP, self._target, self._take, payload=payload, want=want)

    def _judge(self, verdict: int, took_us: int, size: int, reply: bytes | None) -> Verdict:
        check = self._check
        if verdict == _probe.TIMED_OUT:
            return self._late(took_us) if check.require_reply else good("not refused", took_us)
        if check.require_reply and check.reply is not None:
            if not check.min_reply_length <= size <= check.max_reply_length:
                span = f"{check.min_reply_length} to {check.max_reply_length}"
                return failed(f"the reply has {size} bytes instead of {span}", took_us)
            wanted = zip(reply or b"", check.reply, check.mask, strict=False)
            if any((byte ^ expected) & mask for byte, expected, mask in wanted):
                return failed("the reply does not match", took_us)
        return good("answered", took_us)


class DnsWay(_BulkWay):
    """Success if the response code is 0, whatever the answer holds."""

    def __init__(self, bulk: Bulk, check: DnsCheck) -> None:
        super().__init__(bulk, check.target)
        self._question = question(check.name, check.type)

    def _ask(self) -> int:
        number = secrets.randbelow(0x10000)
        header = struct.pack("!HHHHHH", number, _DNS_RECURSION, 1, 0, 0, 0)
        return self._bulk.ask(
            _probe.DNS, self._target, self._take, payload=header + self._question, want=4, sequence=number
        )

    def _judge(self, verdict: int, took_us: int, size: int, reply: bytes | None) -> Verdict:
        if verdict == _probe.TIMED_OUT or reply is None:
            return self._late(took_us)
        code = reply[3] & 0xF
        if code:
            return failed(f"response code {DNS_CODES.get(code, code)}", took_us)
        return good("answered", took_us)


def question(name: str, kind: str) -> bytes:
    """The question section of a DNS message (RFC 1035 4.1.2)."""
    labels = [label.encode("utf-8", "surrogateescape") for label in name.rstrip(".").split(".") if label]
    packed = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    return packed + struct.pack("!HH", DNS_TYPES[kind], _DNS_CLASS_IN)


class PingWay(_BulkWay):
    """ICMP echo on an unprivileged socket, which stays open so that the kernel keeps the identifier."""

    def __init__(self, bulk: Bulk, check: PingCheck) -> None:
        super().__init__(bulk, check.target)
        self._socket: socket.socket | None = None
        self._sequence = 0

    def cancel(self) -> None:
        """Ends it and closes the socket."""
        token = self._token
        super().cancel()
        if token is not None:
            self._bulk.cancel_borrowed(token)
        self._close()

    def _ask(self) -> int:
        if self._socket is None:
            self._socket = self._open()
        self._sequence = (self._sequence + 1) & 0xFFFF
        kind = 128 if self._target.family == 6 else 8
        # The kernel fills in identifier and checksum.
        packet = struct.pack("!BBHHH", kind, 0, 0, 0, self._sequence) + bytes(PING_BYTES)
        return self._bulk.ask(
            _probe.PING, self._target, self._take, payload=packet, sequence=self._sequence, fd=self._socket.fileno()
        )

    def _open(self) -> socket.socket:
        protocol = socket.IPPROTO_ICMPV6 if self._target.family == 6 else socket.IPPROTO_ICMP
        sock = address.make_socket(self._target, socket.SOCK_DGRAM, protocol)
        try:
            sock.connect(address.tuple_of(self._target))
        except OSError:
            sock.close()
            raise
        return sock

    def _close(self) -> None:
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()

    def _take(self, result: Result) -> None:
        if result[1] != _probe.REPLIED:
            self._close()
        super()._take(result)

    def _judge(self, verdict: int, took_us: int, size: int, reply: bytes | None) -> Verdict:
        return good("answered", took_us) if verdict == _probe.REPLIED else self._late(took_us)
