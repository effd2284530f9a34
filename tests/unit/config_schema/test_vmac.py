"""`use_vmac`, `use_ipvlan` and where each address goes."""

import pytest

from keepvip.config.facts import HostFacts, Interface
from keepvip.config.model import VrrpInstance
from keepvip.config.model_vmac import Vmac

from .conftest import Compile
from .test_instance import codes, one

V4 = "virtual_ipaddress {\n192.0.2.1\n}\n"


def file(lines: str, addresses: str = V4) -> str:
    return f"vrrp_instance a {{\ninterface eth0\nvirtual_router_id 5\n{addresses}{lines}\n}}\n"


def vmac(instance: VrrpInstance) -> Vmac:
    assert instance.vmac is not None
    return instance.vmac


@pytest.mark.parametrize(
    ("words", "name", "mac", "group"),
    [
        ("", None, "00:00:5e:00:01:05", None),
        ("vip0", "vip0", "00:00:5e:00:01:05", None),
        ("name vip0", "vip0", "00:00:5e:00:01:05", None),
        ("02:00:00:00:00:09 vip0", "vip0", "02:00:00:00:00:09", None),
        ("2:0:0:0:A", None, "02:00:00:00:0a:05", None),
        ("group 7 netlink_notify_msg", None, "00:00:5e:00:01:05", 7),
        ("group default", None, "00:00:5e:00:01:05", 0),
    ],
)
def test_use_vmac(compiled: Compile, words: str, name: str | None, mac: str, group: int | None) -> None:
    result = compiled(file(f"use_vmac {words}"))
    found = vmac(one(result))
    assert (found.name, found.mac, found.group, codes(result)) == (name, mac, group, [])
    assert (found.parent, found.kind, found.ipv6, found.link_local) == ("eth0", "macvlan", False, False)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("01:00:00:00:00:09", "contradiction"),
        ("00:00:5e:00:01:09", "contradiction"),
        ("00:00:00:00:00:00", "contradiction"),
    ],
)
def test_a_mac_that_cannot_be_used(compiled: Compile, words: str, code: str) -> None:
    result = compiled(file(f"use_vmac {words}"))
    assert (vmac(one(result)).mac, codes(result)) == ("00:00:5e:00:01:05", [code])


@pytest.mark.parametrize("words", ["a-name-of-sixteen", "one two", "group", "group nobody", "name"])
def test_words_that_make_no_sense_refuse_the_instance(compiled: Compile, words: str) -> None:
    result = compiled(file(f"use_vmac {words}"))
    assert result.config is None or not result.config.instances
    assert not result.clean


def test_ipv6_has_the_other_mac_and_the_address_of_its_parent(compiled: Compile) -> None:
    instance = one(compiled(file("use_vmac", "virtual_ipaddress {\nfe80::5\n}\n")))
    found = vmac(instance)
    assert (found.mac, found.ipv6, found.link_local) == ("00:00:5e:00:02:05", True, True)
    assert instance.key[3] == "ff02::12 macvlan"
    base = one(compiled(file("use_vmac\nvmac_xmit_base", "virtual_ipaddress {\nfe80::5\n}\n")))
    assert (base.vmac_xmit_base, vmac(base).link_local) == (True, False)


def test_unicast_leaves_by_the_interface(compiled: Compile) -> None:
    result = compiled(file("use_vmac\nunicast_peer {\n192.0.2.9\n}"))
    assert (one(result).vmac_xmit_base, codes(result)) == (True, ["contradiction"])


def test_strict_mode_has_neither_another_mac_nor_another_way(compiled: Compile) -> None:
    result = compiled(file("strict_mode\nuse_vmac 02:00:00:00:00:09\nvmac_xmit_base"))
    instance = one(result)
    assert (vmac(instance).mac, instance.vmac_xmit_base) == ("00:00:5e:00:01:05", False)
    assert codes(result).count("contradiction") == 2


def test_xmit_base_alone_is_reported(compiled: Compile) -> None:
    assert codes(compiled(file("vmac_xmit_base"))) == ["contradiction"]


PLACES = """virtual_ipaddress_excluded {
192.0.2.2 dev eth0
192.0.2.3 dev eth1
2001:db8::1
192.0.2.4 dev eth1 use_vmac
}
"""


def test_where_addresses_go(compiled: Compile) -> None:
    plain = one(compiled(file("use_vmac\n" + PLACES)))
    assert [(address.dev, address.use_vmac) for address in (*plain.addresses, *plain.excluded)] == [
        (None, False), (None, False), ("eth1", False), ("eth0", False), ("eth1", True),
    ]  # fmt: skip
    assert [(link.parent, link.mac) for link in plain.address_vmacs] == [("eth1", "00:00:5e:00:01:05")]
    every = one(compiled(file("use_vmac\nuse_vmac_addr\n" + PLACES)))
    assert [(address.dev, address.use_vmac) for address in (*every.addresses, *every.excluded)] == [
        (None, False), (None, False), ("eth1", True), ("eth0", True), ("eth1", True),
    ]  # fmt: skip
    assert [(link.parent, link.mac, link.ipv6) for link in every.address_vmacs] == [
        ("eth1", "00:00:5e:00:01:05", False), ("eth0", "00:00:5e:00:02:05", True),
    ]  # fmt: skip
    # With a MAC of its own an instance has one link for both families.
    own = one(compiled(file("use_vmac 02:00:00:00:00:09\nuse_vmac_addr\n" + PLACES)))
    assert [link.parent for link in own.address_vmacs] == ["eth1"]
    assert vmac(own).ipv6


def test_prefixes(compiled: Compile) -> None:
    defs = "global_defs {\nvmac_prefix p\nvmac_addr_prefix q\n}\n"
    instance = one(compiled(defs + file("use_vmac\n" + PLACES)))
    assert [link.prefix for link in instance.own_links] == ["p", "q"]


def test_ipvlan(compiled: Compile) -> None:
    instance = one(compiled(file("use_ipvlan ipv0 192.0.2.77/24 vepa group 3")))
    found = vmac(instance)
    assert (found.kind, found.name, found.address, found.prefix_len, found.mode, found.group) == (
        "ipvlan", "ipv0", "192.0.2.77", 24, "vepa", 3,
    )  # fmt: skip
    assert (instance.source, instance.key[3]) == ("192.0.2.77", "224.0.0.18 ipvlan")
    missing = compiled(file("use_ipvlan ipv0"))
    assert codes(missing) == ["missing-argument"]


@pytest.mark.parametrize("name", ["garp_extra_if", "vmac_garp_intvl"])
def test_garp_extra_if(compiled: Compile, name: str) -> None:
    own = one(compiled(file(f"{name} 30"))).garp
    assert (own.extra_s, own.extra_all) == (30, False)
    everywhere = one(compiled(f"global_defs {{\nvrrp_{name} all 7\n}}\n" + file(""))).garp
    assert (everywhere.extra_s, everywhere.extra_all) == (7, True)


def test_other_lines_may_name_a_link_that_does_not_exist_yet(compiled: Compile) -> None:
    facts = HostFacts(interfaces={"eth0": Interface("eth0")}, addresses={})
    for words, name in (("", "vrrp.5"), ("", "vrrp6.5"), ("name vip0", "vip0")):
        tracked = f"track_interface {{\n{name}\n}}"
        assert codes(compiled(file(f"use_vmac {words}\n{tracked}"), facts)) == []
        assert "unknown-interface" in codes(compiled(file(tracked), facts))
