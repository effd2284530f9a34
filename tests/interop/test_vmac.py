"""Virtual MACs beside keepalived and FRR, in both roles: the client keeps one MAC through every change of masters."""

import time

import pytest

from keepvip.lab import Daemon, Frr, Keepalived, Keepvip, Pair
from keepvip.lab.configs import instance
from keepvip.lab.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.interop]

INTERVAL_S = 0.2
MACS = {4: "00:00:5e:00:01:33", 6: "00:00:5e:00:02:33"}
VIPS = {4: ["10.0.0.1"], 6: ["fe80::51"]}


def both(priority: int) -> str:
    """An IPv4 and an IPv6 instance with the same VRID."""
    return "".join(
        instance(f"V{family}", version=3, interval_s=INTERVAL_S, priority=priority, addresses=vips, extra=["use_vmac"])
        for family, vips in VIPS.items()
    )


def check_macs(pair: Pair, node: str, since_ns: int = 0) -> None:
    for family, mac in MACS.items():
        advert = pair.tap.wait_advert(node, 51, family=family, timeout_s=10, since_ns=since_ns)
        assert advert.source_mac == mac
        assert advert.errors == ()


@pytest.mark.parametrize("ours", ["master", "backup"])
def test_keepalived(pair: Pair, ours: str) -> None:
    kinds: tuple[type[Daemon], type[Daemon]] = (Keepvip, Keepalived) if ours == "master" else (Keepalived, Keepvip)
    for kind in kinds:
        if complaint := kind.missing():
            pytest.skip(complaint)
    a, b = kinds[0](pair.a, both(200)), kinds[1](pair.b, both(100))
    a.start()
    check_macs(pair, "a")
    b.start()
    pair.tap.silence("b", during_s=2)
    killed_ns = a.crash()
    check_macs(pair, "b", killed_ns)
    for vips in VIPS.values():
        wait_until(lambda vips=vips: set(vips) <= pair.b.addresses(), timeout_s=3, what=f"{vips} on b")  # type: ignore[misc]
    a.start()
    check_macs(pair, "a", killed_ns)
    wait_until(lambda: VIPS[4][0] not in pair.b.addresses(), timeout_s=5, what="b to yield")
    stopped_ns = time.time_ns()
    assert a.stop() == 0
    check_macs(pair, "b", stopped_ns)


@pytest.fixture
def frr(pair: Pair) -> Frr:
    """FRR on node a, which needs its macvlans made by hand."""
    if complaint := Frr.missing() or Keepvip.missing():
        pytest.skip(complaint)
    lines = [
        "log file /run/frr/vrrpd.log",
        "interface eth0",
        " vrrp 51 version 3",
        " vrrp 51 priority 100",
        f" vrrp 51 advertisement-interval {int(INTERVAL_S * 1000)}",
        *(f" vrrp 51 {'ip' if family == 4 else 'ipv6'} {vip}" for family, (vip,) in VIPS.items()),
    ]
    daemon = Frr(pair.a, "\n".join(lines) + "\n")
    for family, (vip,) in VIPS.items():
        daemon.add_macvlan("eth0", 51, f"{vip}/{32 if family == 4 else 64}")
    return daemon


def test_frr(pair: Pair, frr: Frr) -> None:
    ours = Keepvip(pair.b, both(200))
    ours.start()
    check_macs(pair, "b")
    frr.start()
    pair.tap.silence("a", during_s=2)
    killed_ns = ours.crash()
    check_macs(pair, "a", killed_ns)
    back_ns = time.time_ns()
    ours.start()
    check_macs(pair, "b", back_ns)
    last_ns = time.time_ns()
    pair.tap.wait_advert("b", 51, timeout_s=3, since_ns=last_ns + 600_000_000)
    assert not pair.tap.adverts(node="a", since_ns=last_ns + 400_000_000)
