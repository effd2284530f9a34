"""What the timeline makes of facts."""

import struct

import msgspec

from keepvip.lab.decode import Advert, Arp, decode
from keepvip.lab.forge import ForgedAdvert
from keepvip.lab.timeline import Timeline
from keepvip.lab.watch import AddressChange, LinkChange, parse

SECOND_NS = 1_000_000_000


def advert(node: str, at_s: float, priority: int = 100) -> Advert:
    frame = ForgedAdvert(source="10.0.0.1", vrid=50, priority=priority).frame("02:00:00:00:00:01")
    packet = decode(frame, at_ns=int(at_s * SECOND_NS), node=node, interface="eth0", lan="ext")
    assert isinstance(packet, Advert)
    return packet


def story(timeline: Timeline) -> list[tuple[str, str]]:
    return [(entry.node, entry.text) for entry in timeline.entries]


def test_mastership_is_told_once() -> None:
    timeline = Timeline({(50, "ext"): "RH_EXT"})
    for second in range(5):
        timeline.on_packet(advert("a", second))
    assert story(timeline) == [("a", "RH_EXT MASTER: first advert, priority 100")]


def test_takeover_goodbye_and_return() -> None:
    timeline = Timeline({(50, "ext"): "RH_EXT"})
    timeline.on_packet(advert("a", 0))
    timeline.on_packet(advert("a", 1, priority=0))
    timeline.on_packet(advert("b", 1.6, priority=99))
    timeline.on_packet(advert("b", 2.6, priority=99))
    timeline.on_packet(advert("a", 3))
    timeline.on_packet(advert("a", 4))
    assert story(timeline) == [
        ("a", "RH_EXT MASTER: first advert, priority 100"),
        ("a", "RH_EXT gives up: priority 0"),
        ("b", "RH_EXT MASTER: first advert, priority 99"),
        ("a", "RH_EXT MASTER: first advert, priority 100, instead of b"),
    ]


def test_two_masters_are_named_as_such() -> None:
    timeline = Timeline({(50, "ext"): "RH_EXT"})
    for second in range(4):
        timeline.on_packet(advert("a", second))
        if second:
            timeline.on_packet(advert("b", second + 0.5, priority=99))
    assert story(timeline) == [
        ("a", "RH_EXT MASTER: first advert, priority 100"),
        ("b", "RH_EXT MASTER: first advert, priority 99, instead of a"),
        ("a", "RH_EXT goes on as MASTER: there are two"),
    ]
    assert sorted(timeline.routers[50, 4, "ext"].current(int(3.6 * SECOND_NS))) == ["a", "b"]


def test_announcements_are_told_by_the_batch() -> None:
    timeline = Timeline()
    frame = bytes.fromhex("ffffffffffff02000000000108060001080006040001020000000001") + bytes(
        [10, 0, 0, 1, 255, 255, 255, 255, 255, 255, 10, 0, 0, 1]
    )
    arp = decode(frame, at_ns=0, node="a", interface="eth0", lan="ext")
    assert isinstance(arp, Arp)
    for at_s in (0, 0.001, 0.002, 5, 5.001):
        timeline.on_packet(msgspec.structs.replace(arp, at_ns=int(at_s * SECOND_NS)))
    assert len(timeline.entries) == 2
    assert len(timeline.announcements["a", "10.0.0.1"]) == 5


def test_router_without_a_name_says_what_it_is() -> None:
    assert Timeline().name((50, 6, "int")) == "VRID 50 (IPv6) on int"


def test_rtnetlink_messages_are_parsed() -> None:
    """An address message and a link message in one read, as the kernel batches them."""
    address = (
        struct.pack("=BBBBI", 2, 32, 0x80, 0, 2)
        + struct.pack("=HH4s", 8, 1, bytes([10, 0, 0, 1]))
        + struct.pack("=HH4s", 8, 2, bytes([10, 0, 0, 1]))
    )
    link = struct.pack("=BxHiII", 0, 1, 2, 0x1 | 0x40, 0) + struct.pack("=HH8s", 9, 3, b"eth0\0")
    data = b"".join(
        struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body for kind, body in ((20, address), (16, link))
    )
    assert parse(data, 7) == [
        AddressChange(7, True, "10.0.0.1", 32, 2),
        LinkChange(7, True, "eth0", 2, up=True, running=True),
    ]
