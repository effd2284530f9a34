"""The kernel's side: builds the messages that the IPVS module sends, attribute by attribute in its order.

The attributes and their order are those of a dump by Linux 6.1; independent of both codecs, so that a decoder is never
checked against its own encoder.
"""

import struct
from collections.abc import Sequence

from keepvip._ipvs_abi import ConfigRecord, DaemonRecord, DestinationRecord, InfoRecord, ServiceRecord, Stats

FAMILY_ID = 0x1B
AF_INET, AF_INET6 = 2, 10
NLM_F_MULTI = 2


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def message(kind: int, seq: int, body: bytes, flags: int = NLM_F_MULTI) -> bytes:
    raw = struct.pack("=IHHII", 16 + len(body), kind, flags, seq, 4711) + body
    return raw + bytes(-len(raw) % 4)


def generic(command: int, seq: int, attributes: bytes, family_id: int = FAMILY_ID) -> bytes:
    return message(family_id, seq, struct.pack("=BBH", command, 1, 0) + attributes)


def _stats(stats: Stats, *, wide: bool, padded: bool) -> bytes:
    """`padded`: architectures without unaligned access get an empty attribute 11 before every 64 bit number."""
    body = b""
    for number, value in enumerate(stats, 1):
        if wide or number in (4, 5):
            body += attribute(11, b"") if padded else b""
            body += attribute(number, struct.pack("=Q", value))
        else:
            body += attribute(number, struct.pack("=I", min(value, 0xFFFFFFFF)))
    return body


def _both_stats(stats: Stats | None, old: int, new: int, *, padded: bool) -> bytes:
    if stats is None:
        return b""
    narrow = attribute(old | 0x8000, _stats(stats, wide=False, padded=padded))
    return narrow + attribute(new | 0x8000, _stats(stats, wide=True, padded=padded))


def service(record: ServiceRecord, *, padded: bool = False) -> bytes:
    _, seq, family, protocol, address, port, fwmark, scheduler, flags, mask, timeout_s, netmask, engine, stats = record
    body = attribute(1, struct.pack("=H", family))
    if fwmark:
        body += attribute(5, struct.pack("=I", fwmark))
    else:
        body += attribute(2, struct.pack("=H", protocol))
        body += attribute(3, address.ljust(16, b"\0"))
        body += attribute(4, struct.pack(">H", port))
    body += attribute(6, scheduler.encode() + b"\0")
    if engine:
        body += attribute(11, engine.encode() + b"\0")
    body += attribute(7, struct.pack("=II", flags, mask))
    body += attribute(8, struct.pack("=I", timeout_s))
    body += attribute(9, struct.pack(">I" if family == AF_INET else "=I", netmask))
    body += _both_stats(stats, 10, 12, padded=padded)
    return generic(1, seq, attribute(1 | 0x8000, body))


def destination(record: DestinationRecord, *, padded: bool = False) -> bytes:
    (_, seq, family, address, port, method, weight, upper, lower) = record[:9]
    (tun_type, tun_port, tun_flags, active, inactive, persistent, stats) = record[9:]
    body = attribute(1, address.ljust(16, b"\0"))
    body += attribute(2, struct.pack(">H", port))
    body += attribute(3, struct.pack("=I", method))
    body += attribute(4, struct.pack("=I", weight))
    body += attribute(13, struct.pack("=B", tun_type))
    body += attribute(14, struct.pack(">H", tun_port))
    body += attribute(15, struct.pack("=H", tun_flags))
    for kind, value in zip(range(5, 10), (upper, lower, active, inactive, persistent), strict=True):
        body += attribute(kind, struct.pack("=I", value))
    body += attribute(11, struct.pack("=H", family))
    body += _both_stats(stats, 10, 12, padded=padded)
    return generic(5, seq, attribute(2 | 0x8000, body))


def daemon(record: DaemonRecord) -> bytes:
    _, seq, state, interface, sync_id, max_len, group, port, ttl = record
    body = attribute(1, struct.pack("=I", state))
    body += attribute(2, interface.encode() + b"\0")
    body += attribute(3, struct.pack("=I", sync_id))
    body += attribute(4, struct.pack("=H", max_len))
    body += attribute(7, struct.pack("=H", port))
    body += attribute(8, struct.pack("=B", ttl))
    if group:
        body += attribute(5 if len(group) == 4 else 6, group)
    return generic(9, seq, attribute(3 | 0x8000, body))


def config(record: ConfigRecord) -> bytes:
    _, seq, *timeouts_s = record
    return generic(12, seq, numbers(4, timeouts_s))


def info(record: InfoRecord) -> bytes:
    _, seq, *values = record
    return generic(14, seq, numbers(1, values))


def numbers(first: int, values: Sequence[int]) -> bytes:
    return b"".join(attribute(kind, struct.pack("=I", value)) for kind, value in enumerate(values, first))


def ack(seq: int, errno: int, request: bytes = bytes(16)) -> bytes:
    """An NLMSG_ERROR: with 0 the request's header comes back, with an error the whole request."""
    return message(2, seq, struct.pack("=i", -errno) + (request if errno else request[:16]), flags=0)


def done(seq: int, errno: int = 0) -> bytes:
    return message(3, seq, struct.pack("=i", -errno))
