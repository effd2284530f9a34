"""Hypothesis strategies for the tuples of the codec."""

import struct
from typing import cast

from hypothesis import strategies as st

from keepvip import _ipvs_abi as abi
from keepvip._ipvs_abi import Daemon, DaemonRecord, Destination, DestinationRecord, ServiceRecord, Stats

from . import kernel

u8, u16, u32, u64 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64))
seqs = u32
families = st.sampled_from([kernel.AF_INET, kernel.AF_INET6])
names = st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=abi.NAME_MAX)


def addresses(family: int) -> st.SearchStrategy[bytes]:
    size = 4 if family == kernel.AF_INET else 16
    return st.binary(min_size=size, max_size=size)


stats = st.none() | st.tuples(*[u64] * 10).map(lambda values: cast("Stats", values))


@st.composite
def services(draw: st.DrawFn) -> ServiceRecord:
    family = draw(families)
    fwmark = draw(st.just(0) | st.integers(1, 0xFFFFFFFF))
    protocol, address, port = (0, b"", 0) if fwmark else (draw(u16), draw(addresses(family)), draw(u16))
    return (
        abi.CMD_NEW_SERVICE,
        draw(seqs),
        family,
        protocol,
        address,
        port,
        fwmark,
        draw(names),
        draw(u32),
        draw(u32),
        draw(u32),
        draw(u32),
        draw(st.just("") | names),
        draw(stats),
    )


@st.composite
def destinations(draw: st.DrawFn) -> Destination:
    family = draw(families)
    numbers = draw(st.tuples(u32, u32, u32, u32, u8, u16, u16))
    return (family, draw(addresses(family)), draw(u16), *numbers)


@st.composite
def destination_records(draw: st.DrawFn) -> DestinationRecord:
    counters = draw(st.tuples(u32, u32, u32))
    return (abi.CMD_NEW_DEST, draw(seqs), *draw(destinations()), *counters, draw(stats))


@st.composite
def daemons(draw: st.DrawFn) -> Daemon:
    group = draw(st.just(b"") | addresses(kernel.AF_INET) | addresses(kernel.AF_INET6))
    return (draw(u32), draw(names), draw(u32), draw(u16), group, draw(u16), draw(u8))


@st.composite
def daemon_records(draw: st.DrawFn) -> DaemonRecord:
    return (abi.CMD_NEW_DAEMON, draw(seqs), *draw(daemons()))


@st.composite
def garbage(draw: st.DrawFn) -> bytes:
    """Bytes that reach deep: a well-formed message with some of its bytes overwritten, cut somewhere or not."""
    raw = bytearray(
        draw(
            st.builds(kernel.destination, destination_records(), padded=st.booleans())
            | st.builds(kernel.service, services(), padded=st.booleans())
            | st.builds(kernel.daemon, daemon_records())
            | st.builds(kernel.ack, seqs, st.integers(0, 132))
        )
    )
    for _ in range(draw(st.integers(0, 4))):
        # Lengths and types are 16 bits wide: hit whole halves as well as single bytes.
        place = draw(st.integers(0, len(raw) // 2 - 1)) * 2
        raw[place : place + 2] = draw(
            st.binary(min_size=2, max_size=2) | st.integers(0, 40).map(struct.Struct("=H").pack)
        )
    return bytes(raw[: draw(st.just(len(raw)) | st.integers(0, len(raw)))])
