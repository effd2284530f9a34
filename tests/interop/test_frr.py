"""keepvip beside FRR's vrrpd (VRRPv3, macvlans with virtual MAC addresses), in both roles."""

from collections.abc import Iterator

import pytest

from keepvip.lab import Frr, Keepvip, Pair
from keepvip.lab.configs import down_interval_s, instance
from keepvip.lab.measure import measure_takeover

pytestmark = [pytest.mark.root, pytest.mark.interop]

INTERVAL_S = 0.2
LATE_S = 0.5
VIPS = {4: "10.0.0.1", 6: "fe80::51"}


def keepvip_conf(priority: int) -> str:
    common = {"version": 3, "interval_s": INTERVAL_S, "priority": priority}
    return instance("VI_4", addresses=[VIPS[4]], **common) + instance("VI_6", addresses=[VIPS[6]], **common)  # type: ignore[arg-type]


def frr(pair: Pair, priority: int) -> Frr:
    """FRR on node a."""
    if complaint := Frr.missing() or Keepvip.missing():
        pytest.skip(complaint)
    lines = [
        "log file /run/frr/vrrpd.log",
        "interface eth0",
        " vrrp 51 version 3",
        f" vrrp 51 priority {priority}",
        f" vrrp 51 advertisement-interval {int(INTERVAL_S * 1000)}",
        *(f" vrrp 51 {'ip' if family == 4 else 'ipv6'} {vip}" for family, vip in VIPS.items()),
    ]
    daemon = Frr(pair.a, "\n".join(lines) + "\n")
    for family, vip in VIPS.items():
        daemon.add_macvlan("eth0", 51, f"{vip}/{32 if family == 4 else 64}")
    return daemon


@pytest.fixture
def frr_pair(pair: Pair) -> Iterator[Pair]:
    yield pair
    for family in VIPS:
        pair.a.network.ip(f"link delete dev vrrp{family}-51")


def test_frr_is_master_and_dies(frr_pair: Pair) -> None:
    pair = frr_pair
    master = frr(pair, 200)
    master.start()
    for family in VIPS:
        pair.tap.wait_advert("a", 51, family=family, timeout_s=10)
    watch = pair.b.watch_addresses()
    Keepvip(pair.b, keepvip_conf(100)).start()
    pair.tap.silence("b", during_s=2)
    killed_ns = master.crash()
    for family, vip in VIPS.items():
        takeover = measure_takeover(
            pair.tap, watch, old="a", new="b", vrid=51, family=family, address=vip, since_ns=killed_ns, timeout_s=5
        )
        protocol_s = down_interval_s(100, version=3, interval_s=INTERVAL_S)
        assert protocol_s - 0.005 <= takeover.advert_s <= protocol_s + LATE_S


def test_keepvip_is_master_and_dies(frr_pair: Pair) -> None:
    pair = frr_pair
    master = Keepvip(pair.b, keepvip_conf(200))
    master.start()
    for family in VIPS:
        pair.tap.wait_advert("b", 51, family=family, timeout_s=10)
    frr(pair, 100).start()
    pair.tap.silence("a", during_s=2)
    killed_ns = master.crash()
    for family in VIPS:
        pair.tap.wait_advert("a", 51, family=family, timeout_s=10, since_ns=killed_ns)


def test_keepvip_preempts_frr(frr_pair: Pair) -> None:
    pair = frr_pair
    frr(pair, 100).start()
    for family in VIPS:
        pair.tap.wait_advert("a", 51, family=family, timeout_s=10)
    Keepvip(pair.b, keepvip_conf(200)).start()
    for family, vip in VIPS.items():
        first = pair.wait_master(pair.b, 51, family=family, address=vip)
        pair.tap.wait_advert("b", 51, family=family, timeout_s=3, since_ns=first.at_ns + 600_000_000)
        assert not pair.tap.select(
            type(first), lambda advert, family=family: advert.node == "a" and advert.family == family,  # type: ignore[misc]
            since_ns=first.at_ns + 400_000_000,
        )  # fmt: skip
