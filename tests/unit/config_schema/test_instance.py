"""Rules of `vrrp_instance`: what contradicts is put right with a message, what cannot run is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from keepvip.config.diagnostic import Severity
from keepvip.config.facts import HostFacts, Interface
from keepvip.config.model import Authentication

if TYPE_CHECKING:
    from keepvip.config.load import LoadResult
    from keepvip.config.model import VrrpInstance

    from .conftest import Compile

BASE = "interface eth0\nvirtual_router_id 5\n"
V4 = "virtual_ipaddress {\n192.0.2.1\n}\n"
V6 = "virtual_ipaddress {\nfe80::1\n2001:db8::1\n}\n"


def file(lines: str, *, addresses: str = V4, defs: str = "") -> str:
    return f"global_defs {{\n{defs}\n}}\nvrrp_instance a {{\n{BASE}{lines}\n{addresses}}}\n"


def one(result: LoadResult) -> VrrpInstance:
    assert result.config is not None
    (instance,) = result.config.instances
    return instance


def codes(result: LoadResult) -> list[str]:
    return [found.code for found in result.diagnostics]


def test_defaults(compiled: Compile) -> None:
    result = compiled(file(""))
    instance = one(result)
    assert not result.diagnostics
    assert (instance.priority, instance.initial_master, instance.version, instance.family) == (100, False, 2, 4)
    assert (instance.advert_int_us, instance.down_timer_adverts, instance.accept) == (1_000_000, 3, True)
    assert (instance.mcast_dst, instance.source, instance.authentication) == ("224.0.0.18", None, None)
    assert instance.key == (5, 4, "eth0", "224.0.0.18")


@pytest.mark.parametrize(
    ("lines", "priority", "master"),
    [
        ("state MASTER\npriority 100", 100, True),
        ("state BACKUP\npriority 100", 100, False),
        ("state MASTER", 255, True),
        ("priority 255", 255, True),
        ("state BACKUP\npriority 255", 255, False),
        ("state BACKUP\nstate MASTER\npriority 9", 9, True),
        ("state MASTER\nstate BACKUP\npriority 9", 9, True),
        ("state NONSENSE\npriority 255", 255, False),
        ("state MASTER\npriority 300", 100, True),
    ],
)
def test_role(compiled: Compile, lines: str, priority: int, *, master: bool) -> None:
    instance = one(compiled(file(lines)))
    assert (instance.priority, instance.initial_master) == (priority, master)


@pytest.mark.parametrize(
    ("lines", "interval", "said"),
    [
        ("advert_int 3", 3_000_000, []),
        ("advert_int 1.4", 1_000_000, ["contradiction"]),
        ("advert_int 1.5", 2_000_000, ["contradiction"]),
        ("advert_int 0.01", 1_000_000, ["contradiction"]),
        ("advert_int 255", 255_000_000, []),
        ("version 3\nadvert_int 0.01", 10_000, []),
        ("version 3\nadvert_int 0.123", 120_000, ["contradiction"]),
        ("version 3\nadvert_int 0.125", 130_000, ["contradiction"]),
        ("version 3\nadvert_int 40.95", 40_950_000, []),
        ("version 3\nadvert_int 41", 40_950_000, ["contradiction"]),
        ("advert_int 1x", 1_000_000, ["adjusted-value"]),
        ("advert_int 256", 1_000_000, ["invalid-number"]),
    ],
)
def test_interval(compiled: Compile, lines: str, interval: int, said: list[str]) -> None:
    result = compiled(file(lines))
    assert one(result).advert_int_us == interval
    assert codes(result) == said


@pytest.mark.parametrize(
    ("lines", "addresses", "defs", "family", "version", "said"),
    [
        ("", V4, "", 4, 2, []),
        ("", V4, "vrrp_version 3", 4, 3, []),
        ("version 3", V4, "", 4, 3, []),
        ("version 2", V4, "vrrp_version 3", 4, 2, []),
        ("version 2\nversion 3", V4, "", 4, 2, ["contradiction"]),
        ("", V6, "vrrp_version 2", 6, 3, []),
        ("version 2", V6, "", 6, 2, []),
        ("strict_mode\nversion 2", V6, "", 6, 3, ["contradiction"]),
        ("native_ipv6", V6, "", 6, 3, []),
        ("native_ipv6\nversion 2", V6, "", 6, 3, ["contradiction"]),
        ("version 2\nnative_ipv6", V6, "", 6, 2, []),
        ("mcast_src_ip 2001:db8::9", V6, "", 6, 3, []),
        ("mcast_dst_ip ff02::99", V6, "", 6, 3, []),
    ],
)
def test_family_and_version(
    compiled: Compile, lines: str, addresses: str, defs: str, family: int, version: int, said: list[str]
) -> None:
    result = compiled(file(lines, addresses=addresses, defs=defs))
    instance = one(result)
    assert (instance.family, instance.version) == (family, version)
    assert [code for code in codes(result) if code != "strict-drops-packets"] == said


def test_first_address_decides_the_family(compiled: Compile) -> None:
    result = compiled(file("", addresses="virtual_ipaddress {\n192.0.2.1\nfe80::1\n192.0.2.2\n}\n"))
    assert [address.address for address in one(result).addresses] == ["192.0.2.1", "192.0.2.2"]
    (found,) = result.diagnostics
    assert (found.code, found.span.number if found.span else 0) == ("family-mismatch", 10)
    assert "virtual_ipaddress_excluded" in found.hint


def test_excluded_addresses_may_be_of_either_family(compiled: Compile) -> None:
    result = compiled(file("virtual_ipaddress_excluded {\nfe80::1\n192.0.2.9\n}"))
    assert [address.address for address in one(result).excluded] == ["fe80::1", "192.0.2.9"]
    assert not result.diagnostics


def test_a_source_of_another_family_is_ignored(compiled: Compile) -> None:
    text = f"vrrp_instance a {{\n{BASE}{V4}mcast_src_ip fe80::9\nmcast_dst_ip ff02::9\n}}\n"
    result = compiled(text)
    assert (one(result).source, one(result).mcast_dst) == (None, "224.0.0.18")
    assert codes(result) == ["family-mismatch", "family-mismatch"]


def test_source_and_destination(compiled: Compile) -> None:
    instance = one(compiled(file("mcast_src_ip 192.0.2.9/24\nmcast_dst_ip 224.0.0.19")))
    assert (instance.source, instance.mcast_dst) == ("192.0.2.9", "224.0.0.19")
    assert codes(compiled(file("mcast_dst_ip 192.0.2.1"))) == ["invalid-value"]
    assert codes(compiled(file("mcast_dst_ip ff05::1", addresses=V6))) == ["invalid-value"]


def test_groups_come_from_the_global_settings(compiled: Compile) -> None:
    defs = "vrrp_mcast_group4 224.0.0.88\nvrrp_mcast_group6 ff02::88"
    assert one(compiled(file("", defs=defs))).mcast_dst == "224.0.0.88"
    assert one(compiled(file("", defs=defs, addresses=V6))).mcast_dst == "ff02::88"


NOPREEMPT_CASES = [
    ("nopreempt", True, []),
    ("nopreempt\npreempt", False, []),
    ("preempt\nnopreempt", True, []),
    ("state MASTER\npriority 100\nnopreempt", False, ["nopreempt-cleared"]),
    ("priority 255\nnopreempt", False, ["nopreempt-cleared"]),
    ("state MASTER\nnopreempt", False, ["nopreempt-cleared"]),
]


@pytest.mark.parametrize(("lines", "nopreempt", "said"), NOPREEMPT_CASES)
def test_nopreempt(compiled: Compile, lines: str, said: list[str], *, nopreempt: bool) -> None:
    result = compiled(file(lines))
    assert one(result).nopreempt is nopreempt
    assert codes(result) == said


def test_nopreempt_with_master_and_no_priority_says_where_255_comes_from(compiled: Compile) -> None:
    (found,) = compiled(file("state MASTER\nnopreempt")).diagnostics
    assert "priority 255" in found.message
    assert "without a priority" in found.hint


@pytest.mark.parametrize(
    ("lines", "delay", "said"),
    [
        ("preempt_delay 5.5", 5_500_000, []),
        ("preempt_delay 0", 0, []),
        ("preempt_delay 5\nstate MASTER\npriority 9", 0, ["contradiction"]),
        ("preempt_delay 5\nnopreempt", 0, ["contradiction"]),
        ("preempt_delay 5\nstrict_mode", 0, ["contradiction"]),
        ("preempt_delay 1000.1", 0, ["invalid-number"]),
        ("preempt_delay 1.1234567", 1_123_457, ["adjusted-value"]),
    ],
)
def test_preempt_delay(compiled: Compile, lines: str, delay: int, said: list[str]) -> None:
    result = compiled(file(lines))
    assert one(result).preempt_delay_us == delay
    assert [code for code in codes(result) if code != "strict-drops-packets"] == said


@pytest.mark.parametrize(
    ("lines", "value", "said"),
    [
        ("nopreempt\ntimer_expired_backup", 254, []),
        ("nopreempt\ntimer_expired_backup 90", 90, []),
        ("timer_expired_backup 90", None, ["contradiction"]),
        ("nopreempt\nthread_timer_expired 90", 90, ["deprecated"]),
        ("nopreempt\ntimer_expired_backup 255", None, ["invalid-number"]),
    ],
)
def test_timer_expired_backup(compiled: Compile, lines: str, value: int | None, said: list[str]) -> None:
    result = compiled(file(lines))
    assert one(result).timer_expired_backup == value
    assert codes(result) == said


STRICT: list[tuple[str, str, dict[str, Any], int]] = [
    ("", V4, {"accept": False, "lower_prio_no_advert": True, "higher_prio_send_advert": False}, 0),
    ("state MASTER\npriority 100", V4, {"initial_master": False}, 1),
    ("state MASTER\npriority 255", V4, {"initial_master": True, "owner_ignore_adverts": True}, 0),
    ("authentication {\nauth_type PASS\nauth_pass x\n}", V4, {"authentication": None}, 1),
    ("down_timer_adverts 5", V4, {"down_timer_adverts": 3}, 1),
    ("lower_prio_no_advert off", V4, {"lower_prio_no_advert": True}, 1),
    ("higher_prio_send_advert", V4, {"higher_prio_send_advert": False}, 1),
    ("accept", V4, {"accept": False}, 1),
    ("accept\nversion 3", V4, {"accept": True}, 0),
    ("version 3", V4, {"accept": False}, 0),
    ("version 3\npriority 255", V4, {"accept": True}, 0),
    ("priority 255", V4, {"accept": False}, 0),
    ("garp_lower_prio_repeat 3", V4, {}, 1),
]


@pytest.mark.parametrize(("lines", "addresses", "fields", "corrections"), STRICT)
@pytest.mark.parametrize("switch", ["instance", "global"])
def test_strict_mode(
    compiled: Compile, switch: str, lines: str, addresses: str, fields: dict[str, Any], corrections: int
) -> None:
    own, defs = ("strict_mode\n", "") if switch == "instance" else ("", "vrrp_strict")
    result = compiled(file(own + lines, addresses=addresses, defs=defs))
    instance = one(result)
    assert instance.strict
    assert {name: getattr(instance, name) for name in fields} == fields
    assert (instance.garp.lower_prio_delay_s, instance.garp.lower_prio_repeat) == (0, 0)
    warnings = [found for found in result.diagnostics if found.severity is Severity.WARNING]
    assert len(warnings) == corrections


def test_strict_ipv6_begins_with_a_link_local_address(compiled: Compile) -> None:
    assert codes(compiled(file("strict_mode", addresses="virtual_ipaddress {\n2001:db8::1\n}\n"))) == [
        "first-not-link-local"
    ]
    assert compiled(file("strict_mode", addresses=V6)).config is not None


@pytest.mark.parametrize(
    ("lines", "usable", "said"),
    [
        ("", True, ["no-address"]),
        ("version 3", False, ["no-address"]),
        ("strict_mode", False, ["no-address"]),
        ("version 3\nno_virtual_ipaddress", True, []),
        ("no_virtual_ipaddress", True, []),
        ("strict_mode\nno_virtual_ipaddress", False, ["no-address"]),
        ("version 3\nvirtual_ipaddress {\n}", False, ["empty-block", "no-address"]),
    ],
)
def test_an_instance_without_addresses(compiled: Compile, lines: str, said: list[str], *, usable: bool) -> None:
    result = compiled(file(lines, addresses=""))
    assert (result.config is not None) is usable
    assert sorted(codes(result)) == said


@pytest.mark.parametrize(
    ("lines", "password", "said"),
    [
        ("auth_type PASS\nauth_pass abc", b"abc\0\0\0\0\0", []),
        ("auth_type PASS\nauth_pass 12345678", b"12345678", []),
        ("auth_type PASS\nauth_pass 123456789", b"12345678", ["password-cut"]),
        ('auth_type PASS\nauth_pass "a b"', b"a b\0\0\0\0\0", []),
        ("auth_type PASS", None, ["no-authentication"]),
        ("auth_pass abc", None, ["no-authentication"]),
        ("auth_type NONE\nauth_pass abc", None, ["invalid-value"]),
        ("", None, ["no-authentication"]),
    ],
)
def test_authentication(compiled: Compile, lines: str, password: bytes | None, said: list[str]) -> None:
    result = compiled(file(f"authentication {{\n{lines}\n}}"))
    found = one(result).authentication
    assert (found.password if found else None) == password
    assert codes(result) == said


@pytest.mark.parametrize("kind", ["PASS", "AH"])
def test_version_3_has_no_authentication(compiled: Compile, kind: str) -> None:
    result = compiled(file(f"version 3\nauthentication {{\nauth_type {kind}\nauth_pass abc\n}}"))
    assert one(result).authentication is None
    assert codes(result) == ["authentication-ignored"]


def test_authentication_header(compiled: Compile) -> None:
    block = "authentication {\nauth_type AH\nauth_pass abc\n}"
    result = compiled(file(f"state MASTER\npriority 100\n{block}"))
    instance = one(result)
    assert instance.authentication == Authentication(kind="AH", password=b"abc\0\0\0\0\0")
    assert (instance.initial_master, codes(result)) == (False, ["contradiction"])
    over_ipv6 = compiled(file(f"version 2\n{block}", addresses="virtual_ipaddress {\nfe80::1\n}"))
    assert one(over_ipv6).authentication is None
    assert "authentication-ignored" in codes(over_ipv6)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"vrrp_instance a {{\nvirtual_router_id 5\n{V4}}}\n", "missing-interface"),
        (f"vrrp_instance a {{\ninterface eth0\n{V4}}}\n", "missing-vrid"),
        (f"vrrp_instance a {{\ninterface eth0\nvirtual_router_id 0\n{V4}}}\n", "missing-vrid"),
        (f"vrrp_instance a {{\ninterface lo\nvirtual_router_id 1\n{V4}}}\n", "loopback"),
        (file("") + file("").replace("instance a", "instance b"), "duplicate-vrid"),
    ],
)
def test_what_makes_the_whole_configuration_unusable(compiled: Compile, text: str, code: str) -> None:
    result = compiled(text)
    assert result.config is None
    assert code in codes(result)


def test_two_instances_may_share_a_vrid_if_something_tells_them_apart(compiled: Compile) -> None:
    def block(name: str, lines: str, addresses: str) -> str:
        return f"vrrp_instance {name} {{\nvirtual_router_id 5\n{lines}\n{addresses}}}\n"

    text = (
        block("a", "interface eth0", V4)
        + block("b", "interface eth0", V6)
        + block("c", "interface eth1", V4.replace(".1\n", ".2\n"))
        + block("d", "interface eth0\nmcast_dst_ip 224.0.0.19", V4.replace(".1\n", ".3\n"))
    )
    result = compiled(text)
    assert result.config is not None
    assert len({instance.key for instance in result.config.instances}) == 4


def test_a_duplicate_vrid_shows_both_places_and_a_free_number(compiled: Compile) -> None:
    other = file("").replace("instance a", "instance b").replace("192.0.2.1", "192.0.2.2")
    (found,) = compiled(file("") + other).diagnostics
    assert [related.span.number for related in found.related] == [6]
    assert "such as 6" in found.hint


def test_a_used_name_skips_the_second_block(compiled: Compile) -> None:
    result = compiled(file("priority 1") + file("priority 2\nvirtual_router_id 9"))
    assert one(result).priority == 1
    assert codes(result) == ["duplicate-name"]


HOST = HostFacts(
    interfaces={"eth0": Interface("eth0", mtu=1500), "tun0": Interface("tun0", multicast=False)},
    addresses={},
    users={},
    groups={},
    files={},
    hostname="h",
)


def test_an_interface_that_does_not_exist(compiled: Compile) -> None:
    result = compiled(file("").replace("eth0", "eht0"), HOST)
    assert result.config is None
    (found,) = result.diagnostics
    assert (found.code, found.hint) == ("unknown-interface", "did you mean `eth0`?")
    assert found.span is not None
    assert (found.span.column, found.span.length) == (11, 4)
    relaxed = compiled(file("", defs="dynamic_interfaces").replace("eth0", "eht0"), HOST)
    assert relaxed.config is not None
    assert not relaxed.diagnostics


def test_an_interface_without_multicast(compiled: Compile) -> None:
    result = compiled(file("").replace("eth0", "tun0"), HOST)
    assert result.config is not None
    assert result.config.instances == ()
    assert codes(result) == ["no-multicast"]


def test_more_addresses_than_one_advert_can_carry(compiled: Compile) -> None:
    lines = "".join(f"10.1.{n // 250}.{n % 250 + 1}\n" for n in range(300))
    result = compiled(file("", addresses=f"virtual_ipaddress {{\n{lines}}}\n"), HOST)
    instance = one(result)
    assert (len(instance.addresses), len(instance.excluded)) == (255, 45)
    assert instance.excluded[0].address == "10.1.1.6"
    assert codes(result) == ["too-many-addresses"]


def test_the_mtu_limits_ipv6(compiled: Compile) -> None:
    lines = "fe80::1\n" + "".join(f"2001:db8::{n:x}\n" for n in range(1, 100))
    instance = one(compiled(file("", addresses=f"virtual_ipaddress {{\n{lines}}}\n"), HOST))
    assert (len(instance.addresses), len(instance.excluded)) == (90, 10)


def test_garp_settings(compiled: Compile) -> None:
    names = ("master_delay", "master_repeat", "master_refresh", "master_refresh_repeat", "lower_prio_delay")
    lines = "".join(f"garp_{name} {value}\n" for value, name in enumerate(names, 1))
    garp = one(compiled(file(lines + "garp_lower_prio_repeat 6"))).garp
    assert (garp.delay_s, garp.repeat, garp.refresh_s, garp.refresh_repeat) == (1, 2, 3, 4)
    assert (garp.lower_prio_delay_s, garp.lower_prio_repeat) == (5, 6)


def test_repeat_zero_becomes_one(compiled: Compile) -> None:
    result = compiled(file("garp_master_repeat 0"))
    assert one(result).garp.repeat == 1
    assert codes(result) == ["adjusted-value"]


def test_flags_and_oddities(compiled: Compile) -> None:
    result = compiled(file("dont_track_primary\npromote_secondaries\nskip_check_adv_addr off\nv3_checksum_as_v2"))
    instance = one(result)
    assert (instance.dont_track_primary, instance.promote_secondaries, instance.checksum_as_v2) == (True, True, True)
    assert instance.skip_check_adv_addr, "as keepalived reads it"
    assert codes(result) == ["contradiction"]


@pytest.mark.parametrize(
    ("lines", "value", "said"),
    [
        ("owner_ignore_adverts", False, ["contradiction"]),
        ("priority 255\nowner_ignore_adverts", True, []),
        ("priority 255\nowner_ignore_adverts off", True, ["contradiction"]),
        ("priority 255", False, []),
    ],
)
def test_owner_ignore_adverts(compiled: Compile, lines: str, said: list[str], *, value: bool) -> None:
    result = compiled(file(lines))
    assert one(result).owner_ignore_adverts is value
    assert codes(result) == said


def test_accept_can_be_taken_back(compiled: Compile) -> None:
    assert one(compiled(file("no_accept\naccept"))).accept
    assert not one(compiled(file("accept\nno_accept"))).accept


@pytest.mark.parametrize("where", ["before", "behind"])
def test_global_defaults_count_wherever_they_stand(compiled: Compile, where: str) -> None:
    defs = """global_defs {
vrrp_version 3
vrrp_skip_check_adv_addr
vrrp_lower_prio_no_advert
vrrp_higher_prio_send_advert
vrrp_down_timer_adverts 5
vrrp_notify_priority_changes
smtp_alert_vrrp
v3_checksum_as_v2
vrrp_garp_master_delay 7
}
"""
    block = f"vrrp_instance a {{\n{BASE}{V4}}}\n"
    instance = one(compiled(defs + block if where == "before" else block + defs))
    assert instance.version == 3
    assert instance.skip_check_adv_addr
    assert instance.lower_prio_no_advert
    assert instance.higher_prio_send_advert
    assert instance.down_timer_adverts == 5
    assert instance.notify_priority_changes
    assert instance.smtp_alert
    assert instance.checksum_as_v2
    assert (instance.garp.delay_s, instance.garp.lower_prio_delay_s) == (7, 7)


def test_a_missing_argument_is_fatal_and_the_rest_is_still_read(compiled: Compile) -> None:
    result = compiled(file("priority\nadvert_int 0.001"))
    assert result.config is None
    assert codes(result) == ["missing-parameter", "invalid-number"]
