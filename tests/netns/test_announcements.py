"""Gratuitous ARP and neighbour advertisements: content, batches, pace (vrrp-behaviour.md 2)."""

import time

import pytest

from keepvip.lab import Advert, Arp, Daemon, Packet, Pair
from keepvip.lab.configs import global_defs, instance
from keepvip.lab.decode import BROADCAST, NeighbourAdvert
from keepvip.lab.forge import ForgedAdvert, Forger
from keepvip.lab.measure import gaps_s

pytestmark = pytest.mark.root

V3 = {"version": 3, "interval_s": 0.2}
LATE_S = 0.3


def test_two_batches_of_five_five_seconds_apart(pair: Pair, kind: type[Daemon]) -> None:
    """The defaults. Each round covers all addresses, and nothing more comes."""
    kind(pair.a, instance(addresses=["10.0.0.1", "10.0.0.2"], **V3)).start()  # type: ignore[arg-type]
    first = pair.wait_master(pair.a)
    garps = pair.tap.wait_count(Arp, lambda arp: arp.gratuitous, 20, timeout_s=8)
    mac = pair.a.mac("eth0")
    for garp in garps:
        assert (garp.operation, garp.source_mac, garp.destination_mac) == (1, mac, BROADCAST)
        assert (garp.sender_mac, garp.sender) == (mac, garp.target)
    assert [garp.target for garp in garps] == ["10.0.0.1", "10.0.0.2"] * 10
    assert first.at_ns <= garps[0].at_ns, "the advert comes first"
    assert (garps[9].at_ns - first.at_ns) / 1e9 < LATE_S
    for garp in garps[10:]:
        assert 4.99 <= (garp.at_ns - garps[0].at_ns) / 1e9 <= 5 + LATE_S
    pair.tap.wait_count(Advert, lambda advert: advert.node == "a", 3, timeout_s=3, since_ns=garps[-1].at_ns)
    assert len(pair.tap.garps("10.0.0.1")) == 10


@pytest.mark.ours("2.2.7 refreshes first after `refresh`, 2.4 after delay + refresh")
def test_delay_repeat_and_refresh_are_configurable(pair: Pair, kind: type[Daemon]) -> None:
    extra = [
        "garp_master_delay 1",
        "garp_master_repeat 2",
        "garp_master_refresh 1",
        "garp_master_refresh_repeat 3",
    ]
    kind(pair.a, instance(extra=extra, **V3)).start()  # type: ignore[arg-type]
    garps = pair.tap.wait_garp("a", "10.0.0.1", count=2 + 2 + 3 + 3, timeout_s=8)
    after_s = [(garp.at_ns - garps[0].at_ns) / 1e9 for garp in garps]
    # "the first one delay + refresh after entry", then every refresh
    for position, expected in zip(after_s, [0, 0, 1, 1, 2, 2, 2, 3, 3, 3], strict=True):
        assert expected - 0.01 <= position <= expected + LATE_S


def test_garp_interval_paces_and_never_delays_an_advert(pair: Pair, kind: type[Daemon]) -> None:
    addresses = [f"10.0.0.{number}" for number in range(201, 211)]
    conf = global_defs("vrrp_garp_interval 0.02") + instance(addresses=addresses, **V3)  # type: ignore[arg-type]
    kind(pair.a, conf).start()
    for address in addresses:
        last = pair.tap.wait_garp("a", address, timeout_s=5)[0]
    garps = pair.tap.select(Arp, lambda arp: arp.gratuitous, until_ns=last.at_ns)
    gaps = gaps_s(garps)
    # A late timer may bring two of them closer together; the pace as a whole must hold.
    assert min(gaps) > 0.005
    assert (garps[-1].at_ns - garps[0].at_ns) / 1e9 >= (len(garps) - 1) * 0.02 * 0.95
    adverts = pair.tap.wait_count(Advert, lambda advert: advert.node == "a", 6, timeout_s=5)
    assert max(gaps_s(adverts)) < 0.25


def test_neighbour_advertisements(pair: Pair, kind: type[Daemon]) -> None:
    """IPv6: unsolicited, to all nodes, override set, with our hardware address."""
    vips = ["fe80::51", "fd00::51"]
    kind(pair.a, instance(addresses=vips, extra=["garp_master_delay 1"], **V3)).start()  # type: ignore[arg-type]
    first = pair.wait_master(pair.a, address="fd00::51", family=6)

    def announces(advert: NeighbourAdvert) -> bool:
        return advert.node == "a" and not advert.solicited and advert.target in vips

    adverts = pair.tap.wait_count(NeighbourAdvert, announces, 20, timeout_s=8)
    for advert in adverts:
        assert advert.destination == "ff02::1"
        assert advert.destination_mac == "33:33:00:00:00:01"
        assert (advert.hop_limit, advert.override, advert.router) == (255, True, False)
        assert advert.target_mac == pair.a.mac("eth0")
        assert advert.checksum_ok
        assert advert.at_ns >= first.at_ns
    assert {advert.target for advert in adverts} == set(vips)
    for advert in adverts[10:]:
        assert 0.99 <= (advert.at_ns - adverts[0].at_ns) / 1e9 <= 1 + LATE_S


def test_router_flag_follows_forwarding(pair: Pair, kind: type[Daemon]) -> None:
    pair.a.network.sysctl("net/ipv6/conf/eth0/forwarding", 1)
    try:
        kind(pair.a, instance(addresses=["fe80::51"], **V3)).start()  # type: ignore[arg-type]
        advert = pair.tap.wait(
            NeighbourAdvert, lambda advert: advert.target == "fe80::51" and not advert.solicited, timeout_s=5
        )
        assert advert.router
    finally:
        pair.a.network.sysctl("net/ipv6/conf/eth0/forwarding", 0)


def test_lower_priority_advert_is_answered(pair: Pair, kind: type[Daemon], forger: Forger) -> None:
    """1.4: an advert at once and a batch of gratuitous ARPs, another batch after the delay."""
    extra = ["garp_lower_prio_repeat 3", "garp_lower_prio_delay 1", "garp_master_repeat 1", "garp_master_delay 0"]
    kind(pair.a, instance(priority=100, version=2, state="MASTER", extra=extra)).start()
    master = pair.wait_master(pair.a)
    before = pair.tap.wait_advert("a", timeout_s=3, since_ns=master.at_ns + 1)
    sent_ns = time.time_ns()
    forger.send(ForgedAdvert(source="10.0.0.100", priority=50))
    answer = pair.tap.wait_advert("a", timeout_s=3, since_ns=sent_ns)
    assert (answer.at_ns - sent_ns) / 1e9 < min(LATE_S, 1 - (sent_ns - before.at_ns) / 1e9)
    garps = pair.tap.wait_garp("a", "10.0.0.1", count=6, timeout_s=4, since_ns=sent_ns)
    assert (garps[2].at_ns - sent_ns) / 1e9 < LATE_S
    assert 0.99 <= (garps[3].at_ns - sent_ns) / 1e9 <= 1 + LATE_S
    following = pair.tap.wait_advert("a", timeout_s=3, since_ns=answer.at_ns + 1)
    assert 0.9 <= (following.at_ns - answer.at_ns) / 1e9 <= 1 + LATE_S, "the advert timer restarts"


def test_announcements_stop_with_mastership(pair: Pair, kind: type[Daemon], forger: Forger) -> None:
    kind(pair.a, instance(priority=100, state="MASTER")).start()
    pair.wait_master(pair.a)
    pair.tap.wait_garp("a", "10.0.0.1", count=5, timeout_s=3)
    forger.send(ForgedAdvert(source="10.0.0.100", priority=200))
    pair.wait_released(pair.a)
    yielded_ns = time.time_ns()
    for _ in range(6):  # keep it in BACKUP beyond the moment of the second batch
        forger.send(ForgedAdvert(source="10.0.0.100", priority=200))
        pair.tap.silence("a", during_s=1.0)
    sent = pair.tap.select(Packet, lambda packet: packet.node == "a" and isinstance(packet, Arp), since_ns=yielded_ns)
    assert not [arp for arp in sent if isinstance(arp, Arp) and arp.gratuitous]
