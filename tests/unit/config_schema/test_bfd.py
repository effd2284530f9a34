"""BFD sessions, SNMP and D-Bus: read, checked and typed, although nothing serves them yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keepvip.config.model_bfd import BfdSession, BfdTrack
from keepvip.config.model_remote import DbusService, SnmpAgent

from .test_instance import BASE, V4, codes, file

if TYPE_CHECKING:
    from keepvip.config.load import LoadResult

    from .conftest import Compile


def sessions(result: LoadResult) -> tuple[BfdSession, ...]:
    assert result.config is not None
    return result.config.bfd_sessions


def test_a_session_has_every_value(compiled: Compile) -> None:
    full = """bfd_instance far {
neighbor_ip 2001:db8::2
source_ip 2001:db8::1
min_rx 50
min_tx 62.5
idle_tx 2000
multiplier 3
passive
hoplimit 200
max_hops -1
multihop on
weight -20 reverse
checker
}
bfd_instance near {
neighbour_ip 192.0.2.2
}
"""
    far, near = sessions(compiled(full + file("")))
    assert far == BfdSession(
        name="far",
        neighbour="2001:db8::2",
        family=6,
        source="2001:db8::1",
        min_rx_us=50_000,
        min_tx_us=62_500,
        idle_tx_us=2_000_000,
        multiplier=3,
        passive=True,
        ttl=200,
        max_hops=-1,
        multihop=True,
        weight=-20,
        reverse=True,
        vrrp=False,
        checker=True,
    )
    assert near == BfdSession(name="near", neighbour="192.0.2.2", family=4)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("bfd_instance a {\nneighbor_ip 192.0.2.2\nsource_ip 2001:db8::1\n}\n", "family-mismatch"),
        ("bfd_instance a {\nmin_rx 10\n}\n", "missing-keyword"),
    ],
)
def test_a_session_that_could_not_be_is_dropped(compiled: Compile, text: str, code: str) -> None:
    result = compiled(text + file(""))
    assert sessions(result) == ()
    assert code in codes(result)


def test_the_first_of_two_sessions_counts(compiled: Compile) -> None:
    text = "".join(f"bfd_instance a {{\nneighbor_ip 192.0.2.{host}\n}}\n" for host in (2, 3))
    result = compiled(text + file(""))
    assert [session.neighbour for session in sessions(result)] == ["192.0.2.2"]
    assert "duplicate-name" in codes(result)


def test_who_tracks_sessions(compiled: Compile) -> None:
    session = "bfd_instance peer {\nneighbor_ip 192.0.2.2\nweight 5\n}\n"
    group = "vrrp_sync_group G {\ngroup {\na\n}\ntrack_bfd {\npeer weight -7 reverse\n}\n}\n"
    result = compiled(session + group + file("track_bfd {\npeer\nper\n}"))
    assert result.config is not None
    assert result.config.bfd_tracks == (
        BfdTrack(owner="a", of_group=False, session="peer", weight=5),
        BfdTrack(owner="G", of_group=True, session="peer", weight=-7, reverse=True),
    )
    (unknown,) = [found for found in result.diagnostics if found.code == "unknown-tracker"]
    assert "peer" in (unknown.hint or "")


def test_snmp_and_dbus(compiled: Compile) -> None:
    defs = "enable_snmp_rfcv3\nsnmp_socket udp:localhost:705\nsnmp_vs_stats_update_interval 2.5\nenable_dbus"
    result = compiled(file("", defs=defs))
    assert result.config is not None
    assert result.config.global_defs.snmp == SnmpAgent(
        socket="udp:localhost:705", rfc6527=True, service_interval_us=2_500_000, server_interval_us=2_500_000
    )
    assert result.config.global_defs.dbus == DbusService()
    assert set(codes(result)) == {"not-supported-yet"}
    plain = compiled(f"vrrp_instance a {{\n{BASE}{V4}}}\n")
    assert plain.config is not None
    assert plain.config.global_defs.snmp is None
    assert plain.config.global_defs.dbus is None
