"""`no_accept`, strict mode and the settings of the packet filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keepvip.config.model import PacketFilter

from .test_instance import codes, file, one

if TYPE_CHECKING:
    from .conftest import Compile


@pytest.mark.parametrize(
    ("lines", "guarded"),
    [
        ("", False),
        ("no_accept", True),
        ("no_accept\npriority 255", False),
        ("no_accept\naccept", False),
        ("strict_mode on", True),
        ("strict_mode on\npriority 255\nstate MASTER", False),
        ("strict_mode on\nversion 3\naccept", False),
        ("strict_mode on\naccept", True),
    ],
)
def test_who_is_guarded(compiled: Compile, lines: str, guarded: bool) -> None:
    assert one(compiled(file(lines))).guarded is guarded


def test_how_the_filter_is_made(compiled: Compile) -> None:
    defs = "nftables mine\nnftables_priority -300\nnftables_counters\nnftables_ifindex"
    result = compiled(file("no_accept", defs=defs))
    assert result.config is not None
    expected = PacketFilter(table="mine", priority=-300, counters=True, by_index=True)
    assert result.config.global_defs.packet_filter == expected
    assert compiled(file("", defs="nftables")).config.global_defs.packet_filter == PacketFilter()  # type: ignore[union-attr]


def test_iptables_is_answered_with_nftables(compiled: Compile) -> None:
    result = compiled(file("no_accept", defs="vrrp_iptables MYIN MYOUT"))
    assert codes(result) == ["nftables-instead"]
    assert one(result).guarded
