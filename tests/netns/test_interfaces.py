"""Interfaces that go down, vanish, come late or have no address; more of them than one socket may join."""

import time

import pytest

from keepvip.lab import Daemon, Lab, Pair
from keepvip.lab.configs import down_interval_s, global_defs, instance
from keepvip.lab.measure import measure_takeover
from keepvip.lab.waiting import wait_until

pytestmark = pytest.mark.root

INTERVAL_S = 0.2
LATE_S = 0.3
DYNAMIC = global_defs("dynamic_interfaces")


def v3(**options: object) -> str:
    return instance(version=3, interval_s=INTERVAL_S, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("carrier", [False, True], ids=["set-down", "cable-pulled"])
def test_interface_down_and_up_again(pair: Pair, kind: type[Daemon], carrier: bool) -> None:
    kind(pair.a, v3(priority=100)).start()
    kind(pair.b, v3(priority=99)).start()
    pair.wait_master(pair.a)
    watch = pair.b.watch_addresses()
    down_ns = time.time_ns()
    pair.ext.unplug(pair.a) if carrier else pair.a.link("eth0", up=False)
    takeover = measure_takeover(
        pair.tap, watch, old="a", new="b", vrid=51, address="10.0.0.1", since_ns=down_ns, timeout_s=5
    )
    assert takeover.advert_s <= down_interval_s(99, version=3, interval_s=INTERVAL_S) + LATE_S
    pair.wait_released(pair.a)
    up_ns = time.time_ns()
    pair.ext.plug(pair.a) if carrier else pair.a.link("eth0", up=True)
    back = pair.wait_master(pair.a, since_ns=up_ns)
    pair.wait_released(pair.b)
    waited_s = (back.at_ns - up_ns) / 1e9
    own_s = down_interval_s(100, version=3, interval_s=INTERVAL_S)
    assert own_s - 0.05 <= waited_s <= own_s + LATE_S, "FAULT ends in BACKUP with a full down interval"


def test_interface_down_at_start_then_up(pair: Pair, kind: type[Daemon]) -> None:
    pair.a.link("eth0", up=False)
    kind(pair.a, v3(priority=100)).start()
    pair.tap.silence("a", during_s=2)
    up_ns = time.time_ns()
    pair.a.link("eth0", up=True)
    pair.wait_master(pair.a, since_ns=up_ns)


def test_interface_deleted_and_created_again(lab: Lab, kind: type[Daemon]) -> None:
    lan = lab.lan("lan")
    a, b = lab.node("a"), lab.node("b")
    a.attach("eth0", lan, ["10.0.0.11/24"])
    b.attach("eth0", lan, ["10.0.0.12/24"])
    tap = lab.tap()
    kind(a, DYNAMIC + v3(priority=100)).start()
    kind(b, DYNAMIC + v3(priority=99)).start()
    tap.wait_advert("a", 51, timeout_s=5)
    for _ in range(2):
        deleted_ns = time.time_ns()
        a.delete_interface("eth0")
        tap.wait_advert("b", 51, timeout_s=5, since_ns=deleted_ns)
        created_ns = time.time_ns()
        a.attach("eth0", lan, ["10.0.0.11/24"])
        back = tap.wait_advert("a", 51, timeout_s=5, since_ns=created_ns)
        assert back.source_mac == a.mac("eth0")
        wait_until(lambda: "10.0.0.1" in a.addresses("eth0"), timeout_s=2, what="the address on the new eth0")
        wait_until(lambda: "10.0.0.1" not in b.addresses("eth0"), timeout_s=2, what="b to yield")


def test_interface_that_comes_after_the_start(lab: Lab, kind: type[Daemon]) -> None:
    lan = lab.lan("lan")
    a = lab.node("a")
    tap = lab.tap()
    daemon = kind(a, DYNAMIC + v3(priority=100))
    daemon.start()
    wait_until(daemon.log_text, timeout_s=5, what="the daemon to run")
    created_ns = time.time_ns()
    a.attach("eth0", lan, ["10.0.0.11/24"])
    tap.wait_advert("a", 51, timeout_s=5, since_ns=created_ns)
    wait_until(lambda: "10.0.0.1" in a.addresses("eth0"), timeout_s=2, what="the address on eth0")


def test_no_source_address_yet(lab: Lab, kind: type[Daemon]) -> None:
    """vrrp-behaviour.md 3: no usable address is FAULT; the state follows the facts in both directions."""
    lan = lab.lan("lan")
    a = lab.node("a")
    a.attach("eth0", lan)
    tap = lab.tap()
    daemon = kind(a, v3(priority=100, addresses=["10.9.0.1"]))
    daemon.start()
    tap.silence("a", during_s=1.5)
    a.add_address("eth0", "10.0.0.11/24")
    first = tap.wait_advert("a", 51, timeout_s=5)
    assert first.source == "10.0.0.11"
    assert daemon.running


@pytest.mark.ours("2.2.7 keeps sending from the address it had")
def test_source_address_lost_and_replaced(lab: Lab, kind: type[Daemon]) -> None:
    lan = lab.lan("lan")
    a = lab.node("a")
    a.attach("eth0", lan, ["10.0.0.11/24"])
    tap = lab.tap()
    kind(a, v3(priority=100, addresses=["10.9.0.1"])).start()
    tap.wait_advert("a", 51, timeout_s=5)
    a.delete_address("eth0", "10.0.0.11/24")
    wait_until(lambda: "10.9.0.1" not in a.addresses("eth0"), timeout_s=3, what="FAULT without a source address")
    added_ns = time.time_ns()
    a.add_address("eth0", "10.0.0.77/24")
    again = tap.wait_advert("a", 51, timeout_s=5, since_ns=added_ns)
    assert again.source == "10.0.0.77"


def test_ipv6_waits_for_a_link_local_address(lab: Lab, kind: type[Daemon]) -> None:
    lan = lab.lan("lan")
    a = lab.node("a")
    a.attach("eth0", lan, ["10.0.0.11/24"], ipv6=False)
    tap = lab.tap()
    kind(a, v3(priority=100, addresses=["fe80::51"])).start()
    tap.silence("a", during_s=1.5)
    a.network.sysctl("net/ipv6/conf/eth0/disable_ipv6", 0)
    first = tap.wait_advert("a", 51, family=6, timeout_s=5)
    assert first.source == a.link_local("eth0") or first.source.startswith("fe80:")


def test_25_interfaces(lab: Lab, kind: type[Daemon]) -> None:
    """One socket may join 20 groups (igmp_max_memberships); a backup that is deaf on the rest would take over there."""
    count = 25
    assert int(lab.wires.read_sysctl("net/ipv4/igmp_max_memberships")) < count
    a, b = lab.node("a"), lab.node("b")
    numbers = range(1, count + 1)
    for number in numbers:
        lan = lab.lan(f"lan{number}")
        a.attach(f"eth{number}", lan, [f"10.1.{number}.11/24"])
        b.attach(f"eth{number}", lan, [f"10.1.{number}.12/24"])
    tap = lab.tap()

    def conf(priority: int) -> str:
        return "".join(
            v3(
                name=f"VI_{number}",
                interface=f"eth{number}",
                vrid=number,
                priority=priority,
                addresses=[f"10.1.{number}.1"],
            )
            for number in numbers
        )

    master = kind(a, conf(100))
    master.start()
    for number in numbers:
        tap.wait_advert("a", number, timeout_s=8)
    kind(b, conf(99)).start()
    tap.silence("b", during_s=3 * down_interval_s(99, version=3, interval_s=INTERVAL_S))
    killed_ns = master.crash()
    for number in numbers:
        first = tap.wait_advert("b", number, timeout_s=5, since_ns=killed_ns)
        last = tap.adverts(node="a", vrid=number)[-1]
        took_s = (first.at_ns - last.at_ns) / 1e9
        assert took_s <= down_interval_s(99, version=3, interval_s=INTERVAL_S) + 2 * LATE_S
    wait_until(
        lambda: b.addresses() >= {f"10.1.{number}.1" for number in numbers}, timeout_s=3, what="25 addresses on b"
    )
