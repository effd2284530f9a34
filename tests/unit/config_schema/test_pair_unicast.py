"""Two nodes that send by unicast."""

from __future__ import annotations

import pytest

from keepvip.config.diagnostic import Diagnostic, Severity
from keepvip.config.load import load
from keepvip.config.pair import Node, compare


def node(priority: int, own: str | None, *peers: str, lines: str = "", name: str = "a") -> str:
    source = f"unicast_src_ip {own}\n" if own else ""
    listed = "\n".join(peers)
    block = f"unicast_peer {{\n{listed}\n}}\n" if peers else ""
    return (
        f"vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id 5\npriority {priority}\n{source}{block}{lines}\n"
        "virtual_ipaddress {\n192.0.2.1\n}\n}\n"
    )


def between(*texts: str) -> list[Diagnostic]:
    names = [f"n{number}" for number in range(1, len(texts) + 1)]
    return list(
        compare(
            [Node(name, load(text.encode(), config_id="x", name=name)) for name, text in zip(names, texts, strict=True)]
        )
    )


A, B, C = "192.0.2.11", "192.0.2.12", "192.0.2.13"


def test_peers_of_each_other() -> None:
    assert not between(node(100, A, B), node(90, B, A))
    assert not between(node(100, None, B), node(90, None, A))
    assert not between(node(100, A, B, C), node(90, B, A, C), node(80, C, A, B))
    assert not between(node(100, A, f"{B} min_ttl 250"), node(90, B, A, lines="unicast_ttl 250"))


@pytest.mark.parametrize(
    ("left", "right", "code", "file"),
    [
        (node(100, A, C), node(90, B, A), "not-a-peer", "n1"),
        (node(100, A, B), node(90, B, C), "not-a-peer", "n2"),
        (node(100, A, B), node(90, A, B), "same-source", "n1"),
        (node(100, None, B), node(90, None, B), "same-peers", "n1"),
        (node(100, A, B), node(90, None), "transport-differs", "n1"),
        (node(100, A, f"{B} min_ttl 250"), node(90, B, A, lines="unicast_ttl 249"), "ttl-too-small", "n2"),
        (
            node(100, A, B, lines="version 3\nold_unicast_checksum"),
            node(90, B, A, lines="version 3\nold_unicast_checksum never"),
            "checksum-differs",
            "n1",
        ),
    ],
)
def test_what_does_not_fit(left: str, right: str, code: str, file: str) -> None:
    found = [one for one in between(left, right) if one.code != "only-on-one-node"]
    assert [one.code for one in found] == [code]
    assert found[0].span is not None
    assert found[0].span.line.file == file
    assert found[0].severity is (Severity.WARNING if code == "same-peers" else Severity.ERROR)


def test_one_vrid_for_two_pairs_is_matched_by_peers() -> None:
    here = node(100, A, B, name="x") + node(100, C, "192.0.2.14", name="y")
    there = node(90, "192.0.2.14", C, name="x") + node(90, B, A, name="y")
    assert not between(here, there)
