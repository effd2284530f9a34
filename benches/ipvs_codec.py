"""What decoding the statistics of many real servers costs: the Cython codec, its Python twin, pyroute2.

    python benches/ipvs_codec.py [DESTINATIONS]

Prints µs per destination (a GET_DEST dump message of 332 bytes with STATS64, all fields read), the best of seven runs.
Wall time on a shared machine: compare the rows of one run, not runs.
"""

import struct
import sys
import time
from collections.abc import Callable

from pyroute2.netlink.generic.ipvs import ipvsmsg

from keepvip import _ipvs, _ipvs_py

FAMILY_ID = 27
RUNS = 7
PER_DATAGRAM = 24  # what fits into the 8 KiB that the kernel fills per recv() of a dump


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def destination(number: int) -> bytes:
    """Build what Linux 6.1 sends for one destination."""
    narrow = b"".join(attribute(kind, struct.pack("=Q" if kind in (4, 5) else "=I", kind)) for kind in range(1, 11))
    wide = b"".join(attribute(kind, struct.pack("=Q", 1_000_000 * kind + number)) for kind in range(1, 11))
    body = attribute(1, struct.pack(">I", 0x0A000000 + number) + bytes(12)) + attribute(2, struct.pack(">H", 8080))
    body += attribute(3, struct.pack("=I", 3)) + attribute(4, struct.pack("=I", 1))
    body += attribute(13, b"\0") + attribute(14, b"\0\0") + attribute(15, b"\0\0")
    body += b"".join(attribute(kind, struct.pack("=I", kind * 1000)) for kind in range(5, 10))
    body += attribute(11, struct.pack("=H", 2)) + attribute(10, narrow) + attribute(12, wide)
    payload = struct.pack("=BBH", 5, 1, 0) + attribute(2, body)
    return struct.pack("=IHHII", 16 + len(payload), FAMILY_ID, 2, 1, 0) + payload


def with_pyroute2(datagram: bytes) -> None:
    """Read every field, as a user of statistics would."""
    offset = 0
    while offset < len(datagram):
        message = ipvsmsg(datagram, offset=offset)
        message.decode()
        found = message.get_attr("IPVS_CMD_ATTR_DEST")
        for name, value in found["attrs"]:
            if name == "IPVS_DEST_ATTR_STATS64":
                for _ in value["attrs"]:
                    pass
        offset += message["header"]["length"]


def best_us(decode: Callable[[bytes], object], datagrams: list[bytes], count: int) -> float:
    """Return the best time of RUNS, in µs per destination."""
    best_s = float("inf")
    for _ in range(RUNS):
        start_s = time.perf_counter()
        for datagram in datagrams:
            decode(datagram)
        best_s = min(best_s, time.perf_counter() - start_s)
    return best_s / count * 1e6


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    messages = [destination(number) for number in range(count)]
    datagrams = [b"".join(messages[i : i + PER_DATAGRAM]) for i in range(0, count, PER_DATAGRAM)]
    assert _ipvs.decode(datagrams[0], FAMILY_ID) == _ipvs_py.decode(datagrams[0], FAMILY_ID)
    print(f"{count} destinations, {len(messages[0])} bytes each")
    tenth = datagrams[: max(1, len(datagrams) // 10)]
    for name, decode, data in (
        ("Cython (keepvip._ipvs)", lambda raw: _ipvs.decode(raw, FAMILY_ID), datagrams),
        ("Python (keepvip._ipvs_py)", lambda raw: _ipvs_py.decode(raw, FAMILY_ID), datagrams),
        ("pyroute2", with_pyroute2, tenth),
    ):
        us = best_us(decode, data, min(count, len(data) * PER_DATAGRAM))
        print(f"{name:28} {us:9.3f} µs per destination, {us * count / 1000:9.1f} ms for all")
    key = (2, 6, b"\x0a\0\0\1", 80, 0)
    target = (2, b"\x0a\0\0\2", 80, 0, 1, 0, 0, 0, 0, 0)
    for name, encode in (("Cython encode NEW_DEST", _ipvs.encode), ("Python encode NEW_DEST", _ipvs_py.encode)):
        best_s = float("inf")
        for _ in range(RUNS):
            start_s = time.perf_counter()
            for seq in range(count):
                encode(5, FAMILY_ID, seq, 5, key, None, target)
            best_s = min(best_s, time.perf_counter() - start_s)
        print(f"{name:28} {best_s / count * 1e6:9.3f} µs per destination")


if __name__ == "__main__":
    main()
