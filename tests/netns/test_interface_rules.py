"""What is configured of interfaces as such (config-keywords.md 6): delays, polling, shared paces, kernel settings."""

import itertools
import time

import pytest

from keepvip.lab import Arp, Daemon, Pair
from keepvip.lab.configs import block, global_defs, instance
from keepvip.lab.forge import ForgedAdvert, Forger
from keepvip.lab.waiting import wait_until

pytestmark = pytest.mark.root

INTERVAL_S = 0.5
IGMP = "/proc/sys/net/ipv4/igmp_link_local_mcast_reports"


def v3(name: str = "VI_1", **options: object) -> str:
    return instance(name, version=3, interval_s=INTERVAL_S, **options)  # type: ignore[arg-type]


def test_a_cable_that_comes_back_in_time_was_never_out(pair: Pair, kind: type[Daemon]) -> None:
    # 1 s is cut to just under two intervals
    conf = block("interface_up_down_delays", "eth0 1 0") + v3()
    kind(pair.a, conf).start()
    pair.wait_master(pair.a)
    pair.ext.unplug(pair.a)
    time.sleep(0.5)  # the pause is what is tried
    assert "10.0.0.1" in pair.a.addresses()
    pair.ext.plug(pair.a)
    time.sleep(1.0)
    assert "10.0.0.1" in pair.a.addresses()
    pulled_s = time.monotonic()
    pair.ext.unplug(pair.a)
    pair.wait_released(pair.a)
    assert 0.9 < time.monotonic() - pulled_s < 1.5
    pair.ext.plug(pair.a)
    pair.wait_master(pair.a, since_ns=time.time_ns())


@pytest.mark.parametrize("method", ["", "ETHTOOL", "IOCTL"])
def test_a_polled_link(pair: Pair, kind: type[Daemon], method: str) -> None:
    kind(pair.a, block("linkbeat_interfaces", f"eth0 {method}") + v3()).start()
    pair.wait_master(pair.a)
    pair.ext.unplug(pair.a)
    pair.wait_released(pair.a)
    pair.ext.plug(pair.a)
    pair.wait_master(pair.a, since_ns=time.time_ns())


def test_interfaces_of_a_group_share_one_pace(pair: Pair, kind: type[Daemon]) -> None:
    group = block("garp_group", "garp_interval 0.1", block("interfaces", "eth0", "eth1"))
    second = v3("VI_2", vrid=52, interface="eth1", addresses=["192.168.1.1"])
    kind(pair.a, group + v3() + second).start()

    def ours(arp: Arp) -> bool:
        return arp.gratuitous and arp.node == "a" and arp.target in {"10.0.0.1", "192.168.1.1"}

    found = pair.tap.wait_count(Arp, ours, 10, timeout_s=8)
    gaps_s = [(later.at_ns - sooner.at_ns) / 1e9 for sooner, later in itertools.pairwise(found)]
    assert min(gaps_s) > 0.09
    assert {arp.interface for arp in found[:2]} == {"eth0", "eth1"}


@pytest.mark.ours("the kernel of the tests may lack the setting that keepalived insists on")
def test_local_igmp_and_unknown_virtual_routers(pair: Pair, kind: type[Daemon], forger: Forger) -> None:
    def setting() -> str:
        return pair.a.network.run("cat", IGMP).strip()

    assert setting() == "1"
    daemon = kind(pair.a, global_defs("disable_local_igmp", "log_unknown_vrids") + v3())
    daemon.start()
    pair.wait_master(pair.a)
    assert setting() == "0"
    for _ in range(2):
        forger.send(ForgedAdvert(source="10.0.0.100", vrid=99, version=3, interval=50))
    said = "advert of 10.0.0.100 for VRID 99"
    wait_until(lambda: said in daemon.log_text(), timeout_s=5, what="the unknown virtual router in the log")
    assert daemon.log_text().count(said) == 1
    assert daemon.stop() == 0
    assert setting() == "1"
