"""Rules about the configuration as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keepvip.config.check import RULES
from keepvip.config.diagnostic import Severity, config_test_exit_code
from keepvip.config.facts import HostFacts, Interface, InterfaceAddress

if TYPE_CHECKING:
    from keepvip.config.load import LoadResult

    from .conftest import Compile


def block(name: str, vrid: int, *addresses: str, lines: str = "") -> str:
    entries = "\n".join(addresses)
    return (
        f"vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id {vrid}\n{lines}\n"
        f"virtual_ipaddress {{\n{entries}\n}}\n}}\n"
    )


def host(*addresses: str) -> HostFacts:
    found = []
    for text in addresses:
        address, _, length = text.partition("/")
        found.append(InterfaceAddress(address, int(length), 6 if ":" in address else 4))
    return HostFacts(
        interfaces={"eth0": Interface("eth0")},
        addresses={"eth0": tuple(found)},
        users={},
        groups={},
        files={},
        hostname="h",
    )


def codes(result: LoadResult) -> list[str]:
    return [found.code for found in result.diagnostics]


def test_rules_are_named_and_described() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.doc.endswith(".") for rule in RULES)


def test_a_file_without_instances(compiled: Compile) -> None:
    assert codes(compiled("")) == ["nothing-to-do"]


@pytest.mark.parametrize(
    ("address", "present", "said"),
    [
        ("192.0.2.1", ["192.0.2.9/24"], False),
        ("192.0.3.1", ["192.0.2.9/24"], True),
        ("192.0.3.1", ["192.0.2.9/24", "192.0.3.9/24"], False),
        ("192.0.3.1", [], False),
        ("192.0.3.1", ["2001:db8::1/64"], False),
        ("192.0.3.1", ["192.0.3.1/24", "192.0.2.9/24"], True),
        ("192.0.3.1 peer 192.0.4.1", ["192.0.2.9/24"], False),
        ("fe80::1", ["2001:db8::1/64"], False),
        ("2001:db8:1::1", ["2001:db8::1/64"], True),
        ("2001:db8::9", ["2001:db8::1/64"], False),
    ],
)
def test_an_address_in_no_subnet(compiled: Compile, address: str, present: list[str], *, said: bool) -> None:
    result = compiled(block("a", 1, address), host(*present))
    assert ("address-off-subnet" in codes(result)) is said
    for found in result.diagnostics:
        assert found.severity is Severity.WARNING
        assert found.span is not None
        assert found.span.number == 6


def test_one_address_in_two_instances(compiled: Compile) -> None:
    result = compiled(block("a", 1, "192.0.2.1") + block("b", 2, "192.0.2.2", "192.0.2.1/24"))
    (found,) = result.diagnostics
    assert found.code == "address-in-two-instances"
    assert found.span is not None
    assert (found.span.number, found.related[0].span.number) == (15, 6)
    other = block("b", 2, "192.0.2.1 dev eth1")
    assert not compiled(block("a", 1, "192.0.2.1") + other).diagnostics, "on another interface it is another matter"


def test_mail_without_a_server(compiled: Compile) -> None:
    result = compiled(block("a", 1, "192.0.2.1", lines="smtp_alert"))
    (found,) = result.diagnostics
    assert found.code == "mail-goes-nowhere"
    assert found.span is not None
    assert found.span.number == 4
    assert "smtp_server" in found.hint
    assert "notification_email" in found.hint


def test_mail_without_a_switch(compiled: Compile) -> None:
    defs = "global_defs {\nsmtp_server 192.0.2.25\nnotification_email {\na@b\n}\n}\n"
    result = compiled(defs + block("a", 1, "192.0.2.1"))
    assert [(found.severity, found.code) for found in result.diagnostics] == [(Severity.NOTE, "mail-without-switch")]
    assert result.config is not None
    assert result.config.instances[0].smtp_alert
    assert not compiled(defs + block("a", 1, "192.0.2.1", lines="smtp_alert off")).diagnostics


def test_an_interval_that_cannot_be_kept(compiled: Compile) -> None:
    fast = "version 3\nadvert_int 0.01"
    text = "".join(
        block(f"v{net}-{vrid}", vrid, f"10.{net}.{vrid}.1", lines=fast).replace("eth0", f"eth{net}")
        for net in range(4)
        for vrid in range(1, 252)
    )
    (found,) = compiled(text).diagnostics
    assert found.code == "interval-too-short"
    assert "100,400 adverts a second" in found.message
    assert found.span is not None
    assert found.span.number == 5
    assert not compiled(text.replace("advert_int 0.01", "advert_int 0.02")).diagnostics


def test_a_group_member_that_tracks_nothing(compiled: Compile) -> None:
    blind = block("a", 1, "192.0.2.1", lines="dont_track_primary") + block("b", 2, "192.0.2.2")
    group = "vrrp_sync_group g {\ngroup {\na\nb\n}\n}\n"
    (found,) = compiled(blind + group).diagnostics
    assert (found.code, found.span and found.span.number) == ("group-member-tracks-nothing", 4)
    assert not compiled(blind).diagnostics
    tracked = blind.replace("dont_track_primary", "dont_track_primary\ntrack_interface {\neth1\n}")
    with_group = group.replace("vrrp_sync_group g {", "vrrp_sync_group g {\ntrack_interface {\neth1\n}")
    for text in (tracked + group, blind + with_group):
        assert "group-member-tracks-nothing" not in codes(compiled(text))


@pytest.mark.parametrize(
    ("address", "mtu", "line"),
    [("fe80::1", 1279, 2), ("fe80::1", 1280, None), ("192.0.2.1", 576, None), ("fe80::1 dev eth1", 1279, 6)],
)
def test_an_mtu_without_ipv6(compiled: Compile, address: str, mtu: int, line: int | None) -> None:
    small = "eth1" if "eth1" in address else "eth0"
    interfaces = {"eth0": Interface("eth0"), "eth1": Interface("eth1")} | {small: Interface(small, mtu)}
    facts = HostFacts(interfaces=interfaces, addresses={}, users={}, groups={}, files={}, hostname="h")
    found = [one for one in compiled(block("a", 1, address), facts).diagnostics if one.code == "mtu-too-small"]
    assert [one.span and one.span.number for one in found] == ([] if line is None else [line])


def test_a_source_that_is_not_there(compiled: Compile) -> None:
    text = block("a", 1, "192.0.2.1", lines="mcast_src_ip 192.0.2.77")
    assert codes(compiled(text, host("192.0.2.9/24"))) == ["source-not-here"]
    assert codes(compiled(text, host("192.0.2.77/24"))) == []


def test_strict_mode_without_a_packet_filter(compiled: Compile) -> None:
    result = compiled(block("a", 1, "192.0.2.1", lines="strict_mode"))
    assert [(found.severity, found.code) for found in result.diagnostics] == [(Severity.NOTE, "strict-drops-packets")]


def test_a_sync_group_of_unequals(compiled: Compile) -> None:
    text = block("a", 1, "192.0.2.1", lines="priority 90") + block("b", 2, "192.0.2.2")
    group = "vrrp_sync_group g {\ngroup {\na\nb\n}\n}\n"
    (found,) = compiled(text + group).diagnostics
    assert found.code == "group-of-unequals"
    assert found.span is not None
    assert found.span.number == 4
    assert not compiled(text.replace("priority 90", "") + group).diagnostics


@pytest.mark.parametrize(
    ("comment", "left"),
    [
        ("# keepvip: allow address-off-subnet", []),
        ("! keepvip:allow  other, address-off-subnet", []),
        ("# because of X; keepvip: allow address-off-subnet", []),
        ("# keepvip: allow other", ["address-off-subnet"]),
        ("# allow address-off-subnet", ["address-off-subnet"]),
        ("", ["address-off-subnet"]),
    ],
)
def test_a_comment_on_the_line_silences(compiled: Compile, comment: str, left: list[str]) -> None:
    assert codes(compiled(block("a", 1, f"192.0.3.1 {comment}"), host("192.0.2.9/24"))) == left


def test_errors_cannot_be_silenced(compiled: Compile) -> None:
    text = block("a", 1, "192.0.2.1", lines="priority 999 # keepvip: allow invalid-number")
    assert codes(compiled(text)) == ["invalid-number"]


def test_what_is_silenced_counts_for_the_exit_status_of_the_drop_in(compiled: Compile) -> None:
    text = block("a", 1, "192.0.2.1", lines="state MASTER\npriority 9\nnopreempt # keepvip: allow nopreempt-cleared")
    result = compiled(text)
    assert codes(result) == []
    assert config_test_exit_code(result.diagnostics) == 5
