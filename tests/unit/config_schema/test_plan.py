"""What a reload comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from keepvip.config.load import load
from keepvip.config.plan import Plan, plan

if TYPE_CHECKING:
    from keepvip.config.model import Config


def config(text: str) -> Config:
    result = load(text.encode(), config_id="x", name="t.conf")
    assert result.config is not None, list(result.diagnostics)
    return result.config


def block(name: str, vrid: int, lines: str = "", addresses: str = "192.0.2.1", interface: str = "eth0") -> str:
    return (
        f"vrrp_instance {name} {{\ninterface {interface}\nvirtual_router_id {vrid}\n{lines}\n"
        f"virtual_ipaddress {{\n{addresses}\n}}\n}}\n"
    )


def _without_transition(line: str) -> str:
    return line.partition("; transition possible")[0]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("", "garp_master_delay 1", None),
        ("", "nopreempt", None),
        ("", "priority 150", "the priority is raised: another node may be MASTER afterwards"),
        ("nopreempt", "", "from now on it takes over from a MASTER of lower priority"),
        ("", "advert_int 2", "its peers reject its adverts until they have the same advert_int"),
        ("version 3", "version 3\nadvert_int 2", None),
        ("", "version 3", "its peers reject its adverts until they have the same version"),
    ],
)
def test_changes_that_can_be_followed_by_a_transition(old: str, new: str, why: str | None) -> None:
    (change,) = step(block("a", 1, old), block("a", 1, new)).changed
    assert change.transition == why


def test_peers_are_shown_one_by_one() -> None:
    def peers(*entries: str) -> str:
        listed = "\n".join(entries)
        return f"unicast_src_ip 192.0.2.11\nunicast_peer {{\n{listed}\n}}"

    one, two = peers("192.0.2.12"), peers("192.0.2.12", "192.0.2.13 max_ttl 9")
    assert step(block("a", 1, one), block("a", 1, two)).lines() == [
        "~ a: unicast_peer 192.0.2.12 → 192.0.2.12, 192.0.2.13 min_ttl 0 max_ttl 9; check_unicast_src off → on"
    ]
    (change,) = step(block("a", 1, two), block("a", 1, one)).changed
    assert change.transition == "it no longer sends to 192.0.2.13, which may become MASTER too"
    assert step(A, block("a", 1, one)).replaced == ("a",), "from multicast to unicast it is another virtual router"


def step(old: str, new: str) -> Plan:
    return plan(config(old), config(new))


A, B = block("a", 1), block("b", 2, addresses="192.0.2.2")


def test_nothing() -> None:
    found = step(A + B, "# moved\n\n" + B + A)
    assert found.empty
    assert found.unchanged == 2
    assert found.lines() == []
    assert str(found) == "nothing changes"


def test_added_and_removed() -> None:
    assert step(A, A + B).lines() == ["+ b: starts"]
    assert step(A + B, A).lines() == ["- b: ends, its addresses are removed"]


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ("priority 150", "~ a: priority 100 → 150"),
        ("advert_int 2", "~ a: advert_int 1 s → 2 s"),
        ("nopreempt", "~ a: nopreempt off → on"),
        ("mcast_src_ip 192.0.2.9", "~ a: source none → 192.0.2.9"),
        ("garp_master_delay 1", "~ a: garp changed"),
        ("authentication {\nauth_type PASS\nauth_pass hush\n}", "~ a: authentication changed"),
        ("notify /bin/true", "~ a: notify changed"),
        ("priority 1\nnopreempt", "~ a: priority 100 → 1; nopreempt off → on"),
    ],
)
def test_a_setting_changes_in_place(lines: str, shown: str) -> None:
    assert [_without_transition(line) for line in step(A, block("a", 1, lines)).lines()] == [shown]


def test_the_password_is_never_shown() -> None:
    secret = "authentication {\nauth_type PASS\nauth_pass hush\n}"
    found = step(A, block("a", 1, secret))
    assert "hush" not in str(found)
    assert b"hush" not in msgspec.json.encode(found)


def test_addresses_change_in_place() -> None:
    found = step(A, block("a", 1, addresses="192.0.2.2/24\n192.0.2.3 dev eth1"))
    (change,) = found.changed
    assert change.addresses_added == ("192.0.2.2/24", "192.0.2.3/32 dev eth1")
    assert change.addresses_removed == ("192.0.2.1/32",)
    assert found.lines() == ["~ a: adds 192.0.2.2/24, 192.0.2.3/32 dev eth1; removes 192.0.2.1/32"]


def test_order_and_options_of_addresses() -> None:
    two = block("a", 1, addresses="192.0.2.1\n192.0.2.2")
    assert step(two, block("a", 1, addresses="192.0.2.2\n192.0.2.1")).lines() == ["~ a: addresses changed"]
    assert step(A, block("a", 1, addresses="192.0.2.1 scope link")).lines() == ["~ a: addresses changed"]


def test_a_new_name_is_no_new_router() -> None:
    found = step(A, block("z", 1))
    assert found.lines() == ["~ a → z (renamed): nothing else changes"]
    assert (found.added, found.removed) == ((), ())


@pytest.mark.parametrize(
    "new", [block("a", 9), block("a", 1, interface="eth1"), block("a", 1, "mcast_dst_ip 224.0.0.99")]
)
def test_another_router_under_the_old_name(new: str) -> None:
    found = step(A, new)
    assert found.replaced == ("a",)
    assert found.lines() == ["± a: becomes another virtual router: the old one ends, the new one starts"]


def test_an_address_moves_between_instances_in_one_reload() -> None:
    found = step(A + B, block("a", 1, addresses="192.0.2.9") + block("b", 2, addresses="192.0.2.2\n192.0.2.1"))
    assert found.lines() == ["~ a: adds 192.0.2.9/32; removes 192.0.2.1/32", "~ b: adds 192.0.2.1/32"]


def test_sync_groups() -> None:
    def group(name: str, members: str, lines: str = "") -> str:
        return f"vrrp_sync_group {name} {{\ngroup {{\n{members}\n}}\n{lines}\n}}\n"

    c = block("c", 3, addresses="192.0.2.3")
    base = A + B + c
    assert step(base, base + group("g", "a b")).lines() == ["+ sync group g"]
    assert step(base + group("g", "a b"), base).lines() == ["- sync group g"]
    assert step(base + group("g", "a b"), base + group("g", "a c")).lines() == ["~ sync group g: c joins; b leaves"]
    assert step(base + group("g", "a b"), base + group("g", "b a")).lines() == ["~ sync group g: members changed"]
    assert step(base + group("g", "a b"), base + group("g", "a b", "smtp_alert")).lines() == [
        "~ sync group g: smtp_alert changed"
    ]


def test_global_settings() -> None:
    found = step(A, "global_defs {\nrouter_id R9\nvrrp_startup_delay 2\n}\n" + A)
    assert found.lines() == ["~ global router_id none → R9", "~ global startup_delay 0 s → 2 s"]


def test_global_defaults_show_where_they_act() -> None:
    (line,) = step(A, "global_defs {\nvrrp_version 3\n}\n" + A).lines()
    assert _without_transition(line) == "~ a: version 2 → 3"


def test_json_form() -> None:
    found = msgspec.to_builtins(step(A, block("a", 1, "priority 150") + B))
    assert found["added"] == ["b"] or found["added"] == ("b",)
    assert found["changed"][0]["fields"][0] == {"field": "priority", "old": "100", "new": "150"}
