"""VRRPv3 for IPv4 and IPv6: what the adverts look like and that they elect (RFC 9568 section 5)."""

import time

import pytest

from keepvip.lab import Daemon, Pair
from keepvip.lab.configs import down_interval_s, instance
from keepvip.lab.measure import measure_takeover

pytestmark = pytest.mark.root

INTERVAL_S = 0.2
LATE_S = 0.3
VIPS6 = ("fe80::51", "fd00::51")


def v3(*, addresses: tuple[str, ...], priority: int, name: str = "VI_1", vrid: int = 51) -> str:
    return instance(name, version=3, interval_s=INTERVAL_S, addresses=addresses, priority=priority, vrid=vrid)


def test_ipv6_advert(pair: Pair, kind: type[Daemon]) -> None:
    kind(pair.a, v3(addresses=VIPS6, priority=100)).start()
    advert = pair.wait_master(pair.a, address="fd00::51", family=6)
    assert (advert.version, advert.vrid, advert.priority, advert.interval_ms) == (3, 51, 100, 200)
    assert advert.addresses == VIPS6
    assert (advert.destination, advert.destination_mac) == ("ff02::12", "33:33:00:00:00:12")
    assert advert.source == pair.a.link_local("eth0") or advert.source.startswith("fe80:")
    assert advert.source != "fe80::51", "a virtual address must not be the source"
    assert advert.ttl == 255
    assert advert.errors == ()


def test_ipv6_takeover_and_return(pair: Pair, kind: type[Daemon]) -> None:
    master = kind(pair.a, v3(addresses=VIPS6, priority=100))
    master.start()
    kind(pair.b, v3(addresses=VIPS6, priority=99)).start()
    pair.wait_master(pair.a, address="fd00::51", family=6)
    watch = pair.b.watch_addresses()
    killed_ns = master.crash()
    takeover = measure_takeover(
        pair.tap, watch, old="a", new="b", vrid=51, family=6, address="fd00::51", since_ns=killed_ns, timeout_s=5
    )
    protocol_s = down_interval_s(99, version=3, interval_s=INTERVAL_S)
    assert protocol_s - 0.005 <= takeover.advert_s <= protocol_s + LATE_S
    assert takeover.complete_s <= protocol_s + LATE_S
    master.start()
    pair.wait_master(pair.a, address="fd00::51", family=6, since_ns=takeover.first_advert_ns)
    pair.wait_released(pair.b, "fd00::51")


def test_the_same_vrid_serves_both_families(pair: Pair, kind: type[Daemon]) -> None:
    """Two virtual routers that share nothing: one node is master for IPv4, the other for IPv6."""
    kind(pair.a, v3(addresses=("10.0.0.1",), priority=200) + v3(addresses=VIPS6, priority=50, name="VI_6")).start()
    kind(pair.b, v3(addresses=("10.0.0.1",), priority=50) + v3(addresses=VIPS6, priority=200, name="VI_6")).start()
    pair.wait_master(pair.a, family=4)
    pair.wait_master(pair.b, address="fd00::51", family=6)
    settled_ns = time.time_ns()
    pair.tap.wait_advert("a", 51, family=4, timeout_s=2, since_ns=settled_ns)
    pair.tap.wait_advert("b", 51, family=6, timeout_s=2, since_ns=settled_ns)
    assert not pair.tap.adverts(node="a", family=6, since_ns=settled_ns)
    assert not pair.tap.adverts(node="b", family=4, since_ns=settled_ns)


def test_backup_learns_the_master_interval(pair: Pair, kind: type[Daemon]) -> None:
    """v3: a backup configured for 2 s counts with the master's 0.2 s (vrrp-behaviour.md 1.2)."""
    master = kind(pair.a, v3(addresses=("10.0.0.1",), priority=100))
    master.start()
    kind(pair.b, instance(version=3, interval_s=2, priority=99)).start()
    pair.wait_master(pair.a)
    pair.tap.wait_advert("a", 51, timeout_s=2, since_ns=time.time_ns())
    watch = pair.b.watch_addresses()
    killed_ns = master.crash()
    takeover = measure_takeover(
        pair.tap, watch, old="a", new="b", vrid=51, address="10.0.0.1", since_ns=killed_ns, timeout_s=8
    )
    assert takeover.advert_s <= down_interval_s(99, version=3, interval_s=INTERVAL_S) + LATE_S
