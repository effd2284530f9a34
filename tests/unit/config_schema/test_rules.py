"""Rules: every option, what is dropped and why, and how those without a preference are numbered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keepvip.config.diagnostic import Severity
from keepvip.config.facts import HostFacts, Interface
from keepvip.config.keywords.routes import RULES
from keepvip.config.route_text import rule_text

if TYPE_CHECKING:
    from conftest import Compile
    from keepvip.config.model_route import Rule

HOST = HostFacts(
    interfaces={name: Interface(name) for name in ("eth0", "eth1")},
    texts={"/etc/iproute2/rt_tables": "100 lan\n", "/etc/iproute2/group": "4 lab\n"},
)


def file(*lines: str, static: str = "") -> str:
    body = "\n".join(lines)
    return (
        f"{static}\nvrrp_instance a {{\ninterface eth0\nvirtual_router_id 5\n"
        f"virtual_ipaddress {{\n192.0.2.1\n}}\nvirtual_rules {{\n{body}\n}}\n}}\n"
    )


def rules(compiled: Compile, *lines: str) -> tuple[Rule, ...]:
    result = compiled(file(*lines), HOST)
    assert result.config is not None
    return result.config.instances[0].rules


LEGAL: list[tuple[str, dict[str, object]]] = [
    ("from 10.1.0.0/24 table lan", {"src": "10.1.0.0", "src_len": 24, "action": "table", "table": 100, "family": 4}),
    ("inet to fd10::/64 lookup 1000", {}),
    ("inet6 to fd10::/64 lookup 1000", {"dst": "fd10::", "dst_len": 64, "table": 1000, "family": 6}),
    ("from all table 5 preference 010", {"src": None, "preference": 8}),
    ("from any table 5 order 0x10", {"preference": 16}),
    ("table 5 priority 17", {"preference": 17}),
    ("table 5 iif eth1 oif eth0", {"iif": "eth1", "oif": "eth0"}),
    ("table 5 dev eth1", {"iif": "eth1"}),
    ("table 5 fwmark 7", {"fwmark": 7, "fwmask": None}),
    ("table 5 fwmark 0x5/0xff", {"fwmark": 5, "fwmask": 255}),
    ("not from 10.1.0.0/24 table 5", {"inverted": True}),
    ("table 5 tos 0x10", {"tos": 16}),
    ("table 5 dsfield 4", {"tos": 4}),
    ("table 5 realms 3/4", {"realms": 3 << 16 | 4}),
    ("table 5 suppress_prefixlength 8", {"suppress_prefixlength": 8}),
    ("table 5 sup_pl 0", {"suppress_prefixlength": 0}),
    ("table 5 suppress_ifgroup lab", {"suppress_ifgroup": 4}),
    ("table 5 sup_group default", {"suppress_ifgroup": 0}),
    ("table 5 tunnel-id 77", {"tun_id": 77}),
    ("table 5 uidrange 100-200", {"uidrange": (100, 200)}),
    ("table 5 ipproto tcp sport 10-20 dport 30-40", {"ip_proto": 6, "sport": (10, 20), "dport": (30, 40)}),
    ("table 5 ipproto 17", {"ip_proto": 17}),
    ("from 10.1.0.0/24 l3mdev", {"action": "l3mdev"}),
    ("table 5 no_track protocol 77", {"protocol": 77, "no_track": True}),
    ("type goto 32000 preference 5", {"action": "goto", "goto": 32000}),
    ("nop", {"action": "nop"}),
    ("type blackhole", {"action": "blackhole"}),
    ("unreachable", {"action": "unreachable"}),
    ("prohibit", {"action": "prohibit"}),
]


@pytest.mark.parametrize(("line", "expected"), LEGAL[:1] + LEGAL[2:], ids=[line for line, _ in LEGAL[:1] + LEGAL[2:]])
def test_what_an_option_means(compiled: Compile, line: str, expected: dict[str, object]) -> None:
    (rule,) = rules(compiled, line)
    assert {field: getattr(rule, field) for field in expected} == expected
    assert rule_text(rule)


def test_every_option_is_among_them() -> None:
    written = {word for line, _ in LEGAL for word in line.split()}
    assert set(RULES.keywords) - written == {"track_group"}


@pytest.mark.parametrize(
    ("line", "code", "word"),
    [
        (LEGAL[1][0], "family-mismatch", "fd10::/64"),
        ("from 10.1.0.0/24", "missing-parameter", "from 10.1.0.0/24"),
        ("from 10.1.0.0/24 to fd10::/64 table 5", "family-mismatch", "fd10::/64"),
        ("table 0", "invalid-value", "0"),
        ("table nosuch", "invalid-value", "nosuch"),
        ("table 5 blackhole", "contradiction", "blackhole"),
        ("nop realms 3", "contradiction", "nop realms 3"),
        ("goto 100", "contradiction", "goto 100"),
        ("goto 100 preference 100", "contradiction", "goto 100 preference 100"),
        ("table 5 sport 10", "invalid-number", "10"),
        ("table 5 fwmark x", "invalid-number", "x"),
        ("table 5 ipproto nosuch", "invalid-value", "nosuch"),
        ("table 5 iif eth9", "unknown-interface", "eth9"),
        ("table 5 bogus", "unknown-option", "bogus"),
        ("table 5 track_group g", "unknown-option", "track_group"),
        ("table 5 preference", "missing-parameter", ""),
        ("type table", "unknown-option", "table"),
    ],
)
def test_what_cannot_be_read_drops_the_rule_with_its_place(compiled: Compile, line: str, code: str, word: str) -> None:
    result = compiled(file(line, "table 9 preference 9"), HOST)
    assert result.config is not None
    assert [rule.table for rule in result.config.instances[0].rules] == [9]
    about = next(found for found in result.diagnostics if found.code == code)
    assert about.severity is Severity.ERROR
    assert about.span is not None
    assert line[about.span.column - 1 :][: about.span.length] == word


def test_rules_are_numbered_downwards_in_the_order_of_the_file(compiled: Compile) -> None:
    static = "static_rules {\ntable 1\ntable 2 preference 7\ninet6 table 3\n}\n"
    result = compiled(file("table 4", "no-such-option", "from fd10::/64 table 5", static=static), HOST)
    assert result.config is not None
    found = (*result.config.static_rules, *result.config.instances[0].rules)
    assert [(rule.family, rule.table, rule.preference) for rule in found] == [
        (4, 1, 16384), (4, 2, 7), (6, 3, 16384), (4, 4, 16383), (6, 5, 16383),
    ]  # fmt: skip
    assert [one.code for one in result.diagnostics if one.severity is Severity.WARNING] == ["no-preference"] * 4


def test_an_instance_follows_the_interfaces_of_its_rules(compiled: Compile) -> None:
    for line, expected in (
        ("iif eth1 table 5", ["eth1"]),
        ("oif eth1 table 5", ["eth1"]),
        ("iif eth1 table 5 no_track", []),
        ("iif eth0 table 5", []),
    ):
        result = compiled(file(line), HOST)
        assert result.config is not None
        assert [track.name for track in result.config.instances[0].tracks] == expected
