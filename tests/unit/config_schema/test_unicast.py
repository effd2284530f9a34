"""Unicast (config-keywords.md 7.3, vrrp-behaviour.md 7 and 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keepvip.config.facts import HostFacts, Interface, InterfaceAddress
from keepvip.config.model import Unicast, UnicastPeer

if TYPE_CHECKING:
    from keepvip.config.load import LoadResult
    from keepvip.config.model import VrrpInstance

    from .conftest import Compile

PEERS = "unicast_peer {\n192.0.2.12\n}"


def file(lines: str, *, name: str = "a", interface: str | None = "eth0", address: str = "192.0.2.1") -> str:
    where = f"interface {interface}\n" if interface is not None else ""
    return f"vrrp_instance {name} {{\n{where}virtual_router_id 5\n{lines}\nvirtual_ipaddress {{\n{address}\n}}\n}}\n"


def host(*, multicast: bool = True) -> HostFacts:
    return HostFacts(
        interfaces={"eth0": Interface("eth0", multicast=multicast), "eth1": Interface("eth1")},
        addresses={"eth0": (InterfaceAddress("192.0.2.11", 24, 4),), "eth1": (InterfaceAddress("10.0.0.1", 24, 4),)},
        users={},
        groups={},
        files={},
        hostname="h",
    )


def one(result: LoadResult) -> VrrpInstance:
    assert result.config is not None, list(result.diagnostics)
    (instance,) = result.config.instances
    return instance


def unicast(result: LoadResult) -> Unicast:
    found = one(result).unicast
    assert found is not None
    return found


def codes(result: LoadResult) -> list[str]:
    return [found.code for found in result.diagnostics]


def test_peers_and_source(compiled: Compile) -> None:
    result = compiled(file(f"unicast_src_ip 192.0.2.11\n{PEERS}"), host())
    assert unicast(result) == Unicast(peers=(UnicastPeer(address="192.0.2.12"),))
    assert one(result).source == "192.0.2.11"
    assert not result.diagnostics


def test_several_blocks_and_bounds(compiled: Compile) -> None:
    blocks = "unicast_peer {\n192.0.2.12 min_ttl 250 max_ttl 254\n}\nunicast_peer {\n192.0.2.13\n}"
    found = unicast(compiled(file(blocks)))
    assert found.peers == (
        UnicastPeer(address="192.0.2.12", min_ttl=250, max_ttl=254),
        UnicastPeer(address="192.0.2.13"),
    )
    assert found.check_source, "bounds turn the check on"


@pytest.mark.parametrize(
    ("lines", "field", "value"),
    [
        ("", "ttl", None),
        ("unicast_ttl 64", "ttl", 64),
        ("", "check_source", False),
        ("check_unicast_src", "check_source", True),
        ("", "old_checksum", "detect"),
        ("old_unicast_checksum", "old_checksum", "always"),
        ("old_unicast_checksum never", "old_checksum", "never"),
    ],
)
def test_settings(compiled: Compile, lines: str, field: str, value: object) -> None:
    result = compiled(file(f"{PEERS}\n{lines}"))
    assert getattr(unicast(result), field) == value
    assert not result.diagnostics


def test_the_check_may_come_from_global_defs(compiled: Compile) -> None:
    assert unicast(compiled("global_defs {\nvrrp_check_unicast_src\n}\n" + file(PEERS))).check_source


@pytest.mark.parametrize(
    ("entries", "left", "said"),
    [
        ("192.0.2.12\n192.0.2.12", ["192.0.2.12"], ["duplicate-peer"]),
        ("192.0.2.12\nfe80::1", ["192.0.2.12"], ["family-mismatch"]),
        ("192.0.2.12\n224.0.0.18", ["192.0.2.12"], ["invalid-peer"]),
        ("192.0.2.12\n192.0.2.300", ["192.0.2.12"], ["invalid-peer"]),
        ("192.0.2.12 min_ttl 256\n192.0.2.13", ["192.0.2.13"], ["invalid-number"]),
        ("192.0.2.12 min_ttl 9 max_ttl 8", ["192.0.2.12"], ["empty-range"]),
    ],
)
def test_peers_that_are_none(compiled: Compile, entries: str, left: list[str], said: list[str]) -> None:
    result = compiled(file(f"unicast_peer {{\n{entries}\n}}"))
    assert [peer.address for peer in unicast(result).peers] == left
    assert codes(result) == said
    assert all(found.span is not None for found in result.diagnostics)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("unicast_peer {\n}", ["empty-block", "unicast-without-peers"]),
        ("unicast_src_ip 192.0.2.11", ["unicast-without-peers"]),
        ("unicast_src_ip 192.0.2.11\nunicast_ttl 9", ["unicast-without-peers"] * 2),
        ("check_unicast_src", ["unicast-without-peers"]),
    ],
)
def test_without_peers_it_is_multicast(compiled: Compile, lines: str, said: list[str]) -> None:
    result = compiled(file(lines))
    assert one(result).unicast is None
    assert codes(result) == said


def test_without_peers_it_may_be_a_fault(compiled: Compile) -> None:
    assert unicast(compiled(file("unicast_fault_no_peer"))).peers == ()


def test_a_peer_fixes_the_family(compiled: Compile) -> None:
    result = compiled(file("unicast_peer {\nfd00::2\n}", address="fd00::9"))
    assert one(result).family == 6
    assert not result.diagnostics


def test_a_group_means_nothing(compiled: Compile) -> None:
    assert codes(compiled(file(f"{PEERS}\nmcast_dst_ip 224.0.0.19"))) == ["contradiction"]


def test_without_interface(compiled: Compile) -> None:
    lines = f"unicast_src_ip 192.0.2.11\n{PEERS}"
    result = compiled(file(lines, interface=None, address="192.0.2.1 dev eth0"), host())
    assert one(result).interface is None
    assert not result.diagnostics
    result = compiled(file(lines, interface=None, address="192.0.2.1\n192.0.2.2 dev eth0"))
    assert [address.address for address in one(result).addresses] == ["192.0.2.2"]
    assert codes(result) == ["address-without-interface"]


@pytest.mark.parametrize(
    "lines", [PEERS, "unicast_src_ip 192.0.2.11", "unicast_src_ip fe80::1\nunicast_peer {\nfe80::2\n}"]
)
def test_who_needs_an_interface(compiled: Compile, lines: str) -> None:
    address = "fe80::9 dev eth0" if "fe80" in lines else "192.0.2.1 dev eth0"
    result = compiled(file(lines, interface=None, address=address))
    assert result.config is None
    assert "missing-interface" in codes(result)


def test_an_interface_without_multicast_will_do(compiled: Compile) -> None:
    assert not compiled(file(PEERS), host(multicast=False)).diagnostics
    assert codes(compiled(file(""), host(multicast=False))) == ["no-multicast"]


@pytest.mark.parametrize(("multicast", "said"), [(True, True), (False, False)])
def test_strict_mode_has_no_unicast(compiled: Compile, *, multicast: bool, said: bool) -> None:
    result = compiled(file(f"strict_mode\n{PEERS}"), host(multicast=multicast))
    assert ("strict-unicast" in codes(result)) is said
    assert (result.config is None) is said


@pytest.mark.parametrize(
    ("lines", "interface", "tracked", "said"),
    [
        (f"unicast_src_ip 192.0.2.11\n{PEERS}\ntrack_src_ip", "eth0", True, []),
        ("mcast_src_ip 192.0.2.11\ntrack_src_ip", "eth0", True, []),
        (f"{PEERS}\ntrack_src_ip", "eth0", False, ["contradiction"]),
        (f"unicast_src_ip 192.0.2.11\n{PEERS}\ntrack_src_ip", None, False, ["contradiction"]),
    ],
)
def test_tracked_source(
    compiled: Compile, lines: str, interface: str | None, said: list[str], *, tracked: bool
) -> None:
    result = compiled(file(lines, interface=interface, address="192.0.2.1 dev eth0"))
    assert one(result).track_source is tracked
    assert codes(result) == said


OTHER = "unicast_peer {\n192.0.2.13\n}"


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [
        ("", PEERS, False),
        (PEERS, PEERS, True),
        (PEERS, OTHER, False),
        (PEERS, f"{OTHER}\n{PEERS}", True),
        (f"unicast_src_ip 192.0.2.11\n{PEERS}", f"unicast_src_ip 192.0.2.14\n{PEERS}", False),
        ("mcast_dst_ip 224.0.0.19", "", False),
        ("", "", True),
    ],
)
def test_one_vrid_twice(compiled: Compile, first: str, second: str, *, clash: bool) -> None:
    result = compiled(file(first) + file(second, name="b", address="192.0.2.2"))
    assert ("duplicate-vrid" in codes(result)) is clash
    if not clash:
        assert result.config is not None
        assert len({instance.key for instance in result.config.instances}) == 2


def test_identity_is_the_source_and_not_the_peers(compiled: Compile) -> None:
    source = "unicast_src_ip 192.0.2.11\n"
    before, after, moved = (
        one(compiled(file(lines))) for lines in (source + PEERS, source + OTHER, f"unicast_src_ip 192.0.2.14\n{PEERS}")
    )
    assert before.key == after.key != moved.key


def test_a_peer_that_is_this_node(compiled: Compile) -> None:
    result = compiled(file("unicast_peer {\n192.0.2.11\n192.0.2.12\n}"), host())
    (found,) = result.diagnostics
    assert (found.code, found.span and found.span.number) == ("peer-is-self", 5)
    lines = "unicast_src_ip 192.0.2.12\n"
    assert "peer-is-self" in codes(compiled(file(lines + PEERS)))


def test_a_source_that_is_not_there(compiled: Compile) -> None:
    result = compiled(file(f"unicast_src_ip 192.0.2.99\n{PEERS}"), host())
    (found,) = result.diagnostics
    assert (found.code, found.span and found.span.number) == ("source-not-here", 4)
    lines = f"unicast_src_ip 10.0.0.1\n{PEERS}"
    assert not compiled(file(lines, interface=None, address="192.0.2.1 dev eth0"), host()).diagnostics
