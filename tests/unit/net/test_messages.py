"""Messages to the kernel, read by pyroute2; the kernel itself reads them in tests/netns/test_routes.py."""

from __future__ import annotations

import errno
import struct
from typing import Any

import pytest
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from keepvip.config.model_address import VirtualAddress
from keepvip.config.model_route import Encap, Metric, NextHop, Route, Rule, StaticAddress
from keepvip.net.item import key_of_item, message_of
from keepvip.net.route_message import route_key_of
from keepvip.net.rule_message import rule_key_of
from keepvip.net.wire import NLM_F_ACK, attribute, attributes, messages, numbered, request


class FakeLinks:
    def index(self, name: str) -> int:
        if name == "gone":
            raise OSError(errno.ENODEV, "gone")
        return {"eth0": 2, "eth1": 3}[name]

    def vrf_table(self, _name: str) -> int:
        return 1001


LINKS = FakeLinks()


def decoded(message: bytes, kind: type) -> Any:
    found = kind(message)
    found.decode()
    return found


def route(**fields: Any) -> Route:
    return Route(**{"family": 4, "dst": "10.1.0.0", "dst_len": 24, **fields})


def test_a_route_as_another_library_reads_it() -> None:
    one = route(
        via="10.0.0.2", dev="eth1", prefsrc="10.0.0.1", table=1000, metric=7, scope=253, tos=16, onlink=True,
        realms=1 << 16 | 2,
        metrics=(Metric(name="mtu", value=1400, lock=True), Metric(name="congctl", value="cubic")),
    )  # fmt: skip
    found = decoded(message_of(one, LINKS, add=True), rtmsg)
    assert (found["dst_len"], found["tos"], found["proto"], found["scope"], found["flags"]) == (24, 16, 18, 253, 4)
    assert found["header"]["type"] == 24
    assert found["header"]["flags"] == 0x405, "request, ack, create"
    expected = {
        "RTA_DST": "10.1.0.0", "RTA_GATEWAY": "10.0.0.2", "RTA_OIF": 3, "RTA_PREFSRC": "10.0.0.1", "RTA_TABLE": 1000,
        "RTA_PRIORITY": 7, "RTA_FLOW": 65538,
    }  # fmt: skip
    assert {name: found.get_attr(name) for name in expected} == expected
    metrics = found.get_attr("RTA_METRICS")
    assert metrics.get_attr("RTAX_MTU") == 1400
    assert metrics.get_attr("RTAX_LOCK") == 1 << 2
    assert attributes(attributes(message_of(one, LINKS, add=True), 28)[8])[16] == b"cubic\0"


def test_ways_of_adding_and_removing() -> None:
    for fields, add, kind, flags in (
        ({"mode": "prepend"}, True, 24, 0x405),
        ({"mode": "add"}, True, 24, 0x605),
        ({"mode": "append"}, True, 24, 0xC05),
        ({}, False, 25, 0x005),
    ):
        ((found_kind, found_flags, _, _),) = messages(message_of(route(dev="eth0", **fields), LINKS, add=add))
        assert (found_kind, found_flags) == (kind, flags)


def test_several_paths_and_gateways_of_the_other_family() -> None:
    one = route(
        nexthops=(
            NextHop(via="10.0.0.2", weight=3),
            NextHop(via="fd00::2", dev="eth1", onlink=True, encap=Encap(kind="mpls", labels=(100, 200))),
        )
    )
    first, second = decoded(message_of(one, LINKS, add=True), rtmsg).get_attr("RTA_MULTIPATH")
    assert (first["hops"], first["oif"], first["flags"], first.get_attr("RTA_GATEWAY")) == (2, 0, 0, "10.0.0.2")
    assert (second["hops"], second["oif"], second["flags"]) == (0, 3, 4)
    assert second.get_attr("RTA_VIA") == {"family": 10, "addr": "fd00::2"}
    assert second.get_attr("RTA_ENCAP_TYPE") == 1
    labels = attributes(attributes(message_of(one, LINKS, add=True), 28)[9][16 + 8 :])[22]
    assert attributes(labels)[1] == struct.pack(">II", 100 << 12, 200 << 12 | 0x100)


def test_tunnels() -> None:
    for encap, kind, inner in (
        (
            Encap(kind="ip", id=5, dst="10.0.0.9", tos=4, ttl=9, flags=4),
            2,
            {1: struct.pack(">Q", 5), 2: bytes([10, 0, 0, 9]), 4: b"\x09", 5: b"\x04", 6: b"\x00\x04"},
        ),
        (Encap(kind="ip6", src="::1", tos=4, ttl=9), 4, {3: bytes(15) + b"\x01", 4: b"\x09", 5: b"\x04"}),
        (Encap(kind="ila", locator=0x0001000200030004), 3, {1: bytes.fromhex("0001000200030004")}),
    ):
        found = attributes(message_of(route(dev="eth0", encap=encap), LINKS, add=True), 28)
        assert found[21] == struct.pack("=H", kind)
        assert attributes(found[22]) == inner


def test_ipv6_and_vrf() -> None:
    one = Route(
        family=6, dst="fd10::", dst_len=64, src_prefix="fd20::", src_prefix_len=48, dev="eth0", vrf="red", pref=3,
        expires_s=100,
    )  # fmt: skip
    added = decoded(message_of(one, LINKS, add=True), rtmsg)
    assert (added["src_len"], added.get_attr("RTA_SRC"), added.get_attr("RTA_TABLE")) == (48, "fd20::", 1001)
    assert (added.get_attr("RTA_PREF"), attributes(message_of(one, LINKS, add=True), 28)[23]) == (
        3,
        struct.pack("=I", 100),
    )
    assert added.get_attr("RTA_PRIORITY") is None
    removed = decoded(message_of(one, LINKS, add=False), rtmsg)
    assert removed.get_attr("RTA_PRIORITY") == 1024, "a removal without metric would take any"
    assert removed.get_attr("RTA_EXPIRES") is None


def test_a_rule_as_another_library_reads_it() -> None:
    rule = Rule(
        family=4, action="table", preference=100, table=1000, src="10.1.0.0", src_len=24, dst="10.2.0.0", dst_len=16,
        iif="eth0", oif="eth1", fwmark=5, fwmask=255, inverted=True, tos=16, realms=3, suppress_prefixlength=8,
        suppress_ifgroup=2, tun_id=77, uidrange=(100, 200), ip_proto=6, sport=(10, 20), dport=(30, 40),
    )  # fmt: skip
    found = decoded(message_of(rule, LINKS, add=True), fibmsg)
    assert (found["src_len"], found["dst_len"], found["tos"], found["action"], found["flags"]) == (24, 16, 16, 1, 2)
    assert found["header"]["flags"] == 0x605, "request, ack, create, exclusive"
    expected = {
        "FRA_SRC": "10.1.0.0", "FRA_DST": "10.2.0.0", "FRA_PRIORITY": 100, "FRA_TABLE": 1000, "FRA_IIFNAME": "eth0",
        "FRA_OIFNAME": "eth1", "FRA_FWMARK": 5, "FRA_FWMASK": 255, "FRA_FLOW": 3, "FRA_SUPPRESS_PREFIXLEN": 8,
        "FRA_SUPPRESS_IFGROUP": 2, "FRA_IP_PROTO": 6, "FRA_PROTOCOL": 18,
    }  # fmt: skip
    assert {name: found.get_attr(name) for name in expected} == expected
    raw = attributes(message_of(rule, LINKS, add=True), 28)
    assert (raw[12], raw[20]) == (struct.pack(">Q", 77), struct.pack("=II", 100, 200))
    assert (raw[23], raw[24]) == (struct.pack("=HH", 10, 20), struct.pack("=HH", 30, 40))


@pytest.mark.parametrize(
    ("action", "number"),
    [("goto", 2), ("nop", 3), ("blackhole", 6), ("unreachable", 7), ("prohibit", 8), ("l3mdev", 1)],
)
def test_actions(action: str, number: int) -> None:
    rule = Rule(family=6, action=action, preference=5, goto=9 if action == "goto" else None)
    found = decoded(message_of(rule, LINKS, add=True), fibmsg)
    assert (found["family"], found["action"], found["table"]) == (10, number, 0)
    assert found.get_attr("FRA_GOTO") == (9 if action == "goto" else None)
    assert found.get_attr("FRA_L3MDEV") == (1 if action == "l3mdev" else None)


def test_an_address_as_another_library_reads_it() -> None:
    address = VirtualAddress(
        address="10.0.0.1", prefix_len=32, family=4, dev="eth1", label="eth1:x", peer="10.0.0.2", peer_prefix_len=30,
        scope=253, noprefixroute=True,
    )  # fmt: skip
    found = decoded(message_of(StaticAddress(address=address, dev="eth1"), LINKS, add=True), ifaddrmsg)
    assert (found["index"], found["prefixlen"], found["scope"]) == (3, 30, 253)
    assert (found.get_attr("IFA_LOCAL"), found.get_attr("IFA_ADDRESS")) == ("10.0.0.1", "10.0.0.2")
    assert (found.get_attr("IFA_LABEL"), found.get_attr("IFA_FLAGS")) == ("eth1:x", 0x200)


def test_what_stands_on_a_missing_interface_has_no_message() -> None:
    with pytest.raises(OSError, match="gone") as failure:
        message_of(route(dev="gone"), LINKS, add=True)
    assert failure.value.errno == errno.ENODEV


def test_a_notification_is_recognized() -> None:
    for one in (route(dev="eth0", tos=4, metric=3, dst="10.1.0.9"), route(dst=None, dst_len=0, table=1000)):
        key = key_of_item(one, LINKS)
        told = route(dst=one.dst and "10.1.0.0", dst_len=one.dst_len, table=one.table, tos=one.tos, metric=one.metric)
        assert key == ("route", *(route_key_of(message_of(told, LINKS, add=True)[16:]) or ()))
    rule = Rule(family=6, action="nop", preference=0)
    body = message_of(rule, LINKS, add=True)[16:]
    assert key_of_item(rule, LINKS) == ("rule", *(rule_key_of(body) or ()))
    # The kernel leaves a preference of 0 out.
    assert rule_key_of(body[:12]) == (10, 0)


def test_damaged_messages_are_cut_off() -> None:
    whole = numbered(request(24, NLM_F_ACK, attribute(1, b"abcde")), 7)
    assert [seq for _, _, seq, _ in messages(whole + whole[:20])] == [7]
    assert list(messages(b"\x05" + bytes(15))) == []
    assert attributes(b"\x03\x00\x01\x00") == {}
    assert attributes(b"\x40\x00\x01\x00abc") == {}
