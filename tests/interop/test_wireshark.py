"""Wireshark as the second witness: nothing we send is malformed, and it reads the same as our own decoder."""

import time
from pathlib import Path

import pytest

from keepvip.lab import Advert, Arp, Keepvip, NeighbourAdvert, Pair, tshark
from keepvip.lab.configs import instance
from keepvip.lab.pcap import write_pcap

pytestmark = [pytest.mark.root, pytest.mark.interop]

CONF = (
    instance("V2", vrid=1, priority=255, state="MASTER", addresses=["10.0.0.1"])
    + instance("V2_PASS", vrid=2, priority=255, state="MASTER", addresses=["10.0.0.2", "10.0.0.3"], password="passw123")
    + instance("V2_SHORT", vrid=3, priority=255, state="MASTER", addresses=["10.0.0.4"], password="x")
    + instance("V3", vrid=4, priority=255, state="MASTER", version=3, interval_s=0.5, addresses=["10.0.0.5"])
    + instance("V3_SLOW", vrid=5, priority=255, state="MASTER", version=3, interval_s=40.95, addresses=["10.0.0.6"])
    + instance("V3_6", vrid=4, priority=200, version=3, interval_s=0.5, addresses=["fe80::4", "fd00::4", "fd00::5"])
    + instance("V3_MANY", vrid=7, priority=255, state="MASTER", version=3, interval_s=0.5,
               addresses=[f"10.9.0.{number}" for number in range(1, 101)])
)  # fmt: skip


def test_wireshark_finds_no_fault(pair: Pair, tmp_path: Path) -> None:
    if complaint := Keepvip.missing():
        pytest.skip(complaint)
    if not tshark.available():
        pytest.skip("tshark is not installed (apt-get install tshark)")
    daemon = Keepvip(pair.a, CONF)
    daemon.start()
    pair.wait_master(pair.a, 4, family=6, address="fd00::5")
    for vrid in (1, 2, 3, 4, 5, 7):
        pair.tap.wait_advert("a", vrid, family=4, timeout_s=5)
    pair.tap.wait(NeighbourAdvert, lambda advert: advert.target == "fd00::5", timeout_s=5)
    pair.tap.wait_advert("a", 1, family=4, timeout_s=5, since_ns=time.time_ns())
    assert daemon.stop() == 0
    assert not pair.tap.lost

    packets = [packet for packet in pair.tap.packets if packet.node == "a"]
    pcap = write_pcap(tmp_path / "keepvip.pcap", packets)
    assert tshark.complaints(pcap) == []

    adverts = [packet for packet in packets if isinstance(packet, Advert)]
    seen = tshark.fields(
        pcap,
        "vrrp",
        "vrrp.version",
        "vrrp.virt_rtr_id",
        "vrrp.prio",
        "vrrp.addr_count",
        "vrrp.ip_addr",
        "vrrp.ipv6_addr",
        "vrrp.checksum.status",
    )
    assert len(seen) == len(adverts)
    for advert, fields in zip(adverts, seen, strict=True):
        assert advert.errors == ()
        assert fields["vrrp.version"] == [str(advert.version)]
        assert fields["vrrp.virt_rtr_id"] == [str(advert.vrid)]
        assert fields["vrrp.prio"] == [str(advert.priority)]
        assert fields["vrrp.addr_count"] == [str(advert.count)]
        assert tuple(fields["vrrp.ip_addr"] + fields["vrrp.ipv6_addr"]) == advert.addresses
        assert fields["vrrp.checksum.status"] == ["1"], "good, in Wireshark's words"
    assert {advert.priority for advert in adverts} >= {0, 200, 255}

    arps = tshark.fields(pcap, "arp.isgratuitous", "arp.src.proto_ipv4", "arp.dst.proto_ipv4", "arp.opcode")
    ours = [packet for packet in packets if isinstance(packet, Arp) and packet.gratuitous]
    assert len(arps) == len(ours) > 0
    announced = tshark.fields(pcap, "icmpv6.type == 136", "icmpv6.nd.na.target_address", "icmpv6.nd.na.flag.o")
    assert {fields["icmpv6.nd.na.target_address"][0] for fields in announced} >= {"fe80::4", "fd00::4", "fd00::5"}
