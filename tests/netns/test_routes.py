"""Routes, rules and static addresses in the kernel: with mastership, after deletion by others, over reloads."""

import json
import select
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from keepvip.lab import Daemon, Keepvip, Keepvipd, Node, Pair
from keepvip.lab.configs import block, instance
from keepvip.lab.waiting import wait_until

pytestmark = pytest.mark.root

ROUTES = block("virtual_routes", "10.77.0.0/24 via 10.0.0.100 dev eth0", "fd77::/64 via fd00::100 dev eth0 metric 7")
RULES = block("virtual_rules", "from 10.77.0.0/24 table 100 preference 300", "from fd77::/64 table 100 preference 301")
_RTM_NEWROUTE, _RTM_NEWRULE, _RTM_NEWADDR = 24, 32, 20


def conf(*extra: str, **options: Any) -> str:
    return instance(version=3, interval_s=0.2, extra=extra, **options)


def routes(node: Node) -> set[str]:
    """Routes of protocol 18 by destination."""
    lines = [
        line
        for family in ("-4", "-6")
        for line in node.network.run("ip", family, "route", "show", "table", "all", "proto", "18").splitlines()
    ]
    return {line.split()[0] for line in lines if not line.startswith("\t")}


def rules(node: Node) -> set[str]:
    lines = node.network.run("ip", "-4", "rule").splitlines() + node.network.run("ip", "-6", "rule").splitlines()
    return {line.partition(":")[0] for line in lines} - {"0", "32766", "32767"}


def wait_routing(node: Node, expected: set[str], numbers: set[str], what: str) -> None:
    wait_until(lambda: routes(node) == expected and rules(node) == numbers, timeout_s=5, what=what)


def news(node: Node) -> socket.socket:
    """A socket that hears of IPv4 addresses, routes and rules of a node."""
    watch = node.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    watch.bind((0, 0x10 | 0x40 | 0x80))
    return watch


def wait_news(watch: socket.socket, kind: int, timeout_s: float = 5.0) -> float:
    """When (monotonic) the next message of a type came."""
    deadline = time.monotonic() + timeout_s
    while select.select([watch], [], [], max(deadline - time.monotonic(), 0))[0]:
        data = watch.recv(65536)
        if int.from_bytes(data[4:6], "little") == kind:
            return time.monotonic()
    raise AssertionError(f"no message of type {kind} within {timeout_s} s")


def test_routes_and_rules_follow_mastership(pair: Pair, kind: type[Daemon]) -> None:
    """vrrp-behaviour.md 1.5, 1.6: there while MASTER, gone as BACKUP, in FAULT and after the end."""
    text = conf(ROUTES, RULES, block("virtual_routes", "10.78.0.0/24 dev eth1"))
    a, b = kind(pair.a, text), kind(pair.b, conf(priority=200))
    a.start()
    pair.wait_master(pair.a)
    wait_routing(pair.a, {"10.77.0.0/24", "fd77::/64", "10.78.0.0/24"}, {"300", "301"}, "routes and rules")
    pair.a.link("eth1", up=False)
    pair.wait_released(pair.a)
    wait_routing(pair.a, set(), set(), "nothing in FAULT: eth1 carries one of the routes")
    pair.a.link("eth1", up=True)
    wait_routing(pair.a, {"10.77.0.0/24", "fd77::/64", "10.78.0.0/24"}, {"300", "301"}, "routes and rules again")
    b.start()
    pair.wait_master(pair.b)
    wait_routing(pair.a, set(), set(), "nothing as BACKUP")
    assert b.stop() == 0
    wait_routing(pair.a, {"10.77.0.0/24", "fd77::/64", "10.78.0.0/24"}, {"300", "301"}, "routes and rules at the end")
    assert a.stop() == 0
    assert routes(pair.a) | rules(pair.a) == set()


def test_what_others_remove_is_put_back_at_once(pair: Pair) -> None:
    """Issue 4: back within 50 ms, no fail-over, and the log names it."""
    static = (
        block("static_ipaddress", "10.79.0.1/24 dev eth1")
        + block("static_routes", "10.80.0.0/24 via 10.0.0.100 dev eth0")
        + block("static_rules", "from 10.80.0.0/24 table 100 preference 302")
    )
    daemon = Keepvip(pair.a, static + conf(ROUTES, RULES))
    daemon.start()
    elected = pair.wait_master(pair.a)
    wait_routing(pair.a, {"10.77.0.0/24", "fd77::/64", "10.80.0.0/24"}, {"300", "301", "302"}, "routes and rules")
    took_s = []
    with news(pair.a) as watch:
        for command, kind in (
            ("route del 10.77.0.0/24", _RTM_NEWROUTE),
            ("rule del preference 300", _RTM_NEWRULE),
            ("address del 10.79.0.1/24 dev eth1", _RTM_NEWADDR),
            ("route del 10.80.0.0/24", _RTM_NEWROUTE),
            ("rule del preference 302", _RTM_NEWRULE),
        ):
            pair.a.network.ip(command)
            began_s = time.monotonic()
            took_s.append(wait_news(watch, kind) - began_s)
    wait_routing(pair.a, {"10.77.0.0/24", "fd77::/64", "10.80.0.0/24"}, {"300", "301", "302"}, "all of it")
    assert max(took_s) < 0.05
    said = daemon.log_text()
    for words in (
        "(VI_1) Somebody removed the route 10.77.0.0/24",
        "(VI_1) Somebody removed the rule from 10.77.0.0/24",
        "Somebody removed the static address 10.79.0.1",
        "Somebody removed the static route 10.80.0.0/24",
        "Somebody removed the static rule from 10.80.0.0/24",
    ):
        assert words in said
    why = json.loads(pair.a.network.run(str(Path(sys.prefix, "bin", "keepvip")), "why", "VI_1", "--json",
                                        "--socket", str(daemon.socket_path)))  # fmt: skip
    assert any("Somebody removed the route 10.77.0.0/24" in incident["text"] for incident in why["incidents"])
    assert all(advert.priority for advert in pair.tap.adverts(node="a") if advert.at_ns > elected.at_ns)
    assert daemon.stop() == 0
    assert routes(pair.a) | rules(pair.a) == set()
    assert "10.79.0.1" not in pair.a.addresses()


@pytest.mark.ours("2.2.7 removes the rules only")
def test_residue_of_a_killed_daemon_is_removed_at_start(pair: Pair, kind: type[Daemon]) -> None:
    """vrrp-behaviour.md 1.1; what somebody else set stays."""
    daemon = kind(pair.a, conf(ROUTES, RULES, priority=50))
    daemon.start()
    wait_routing(pair.a, {"10.77.0.0/24", "fd77::/64"}, {"300", "301"}, "routes and rules")
    daemon.crash()
    pair.a.network.ip("route add 10.77.0.0/24 via 10.0.0.100 dev eth0 proto static metric 5")
    kind(pair.b, conf(priority=100)).start()
    pair.wait_master(pair.b)
    assert routes(pair.a) == {"10.77.0.0/24", "fd77::/64"}
    daemon.start()
    wait_routing(pair.a, set(), set(), "the residue to go")
    assert "10.77.0.0/24" in pair.a.network.run("ip", "route", "show", "proto", "static")
    pair.a.network.ip("route del 10.77.0.0/24 proto static")


def test_static_items_outlive_their_interface(pair: Pair, kind: type[Daemon]) -> None:
    text = block("static_ipaddress", "10.79.0.1/24 dev eth1", "fd79::1/64 dev eth1") + block(
        "static_routes", "10.80.0.0/24 dev eth1", "fd80::/64 dev eth1"
    )
    daemon = kind(pair.a, text + conf())
    daemon.start()
    wait_routing(pair.a, {"10.80.0.0/24", "fd80::/64"}, set(), "static routes")
    pair.a.link("eth1", up=False)
    wait_until(lambda: "10.80.0.0/24" not in routes(pair.a), timeout_s=3, what="the kernel to drop the route")
    pair.a.link("eth1", up=True)
    wait_routing(pair.a, {"10.80.0.0/24", "fd80::/64"}, set(), "static routes again")
    wait_until(lambda: pair.a.addresses() >= {"10.79.0.1", "fd79::1"}, timeout_s=3, what="static addresses again")
    assert daemon.stop() == 0
    assert routes(pair.a) == set()
    assert not pair.a.addresses() & {"10.79.0.1", "fd79::1"}


def test_the_group_of_a_static_item_goes_into_fault_with_it(pair: Pair, kind: type[Daemon]) -> None:
    text = block("track_group g", block("group", "VI_1")) + block(
        "static_routes", "10.80.0.0/24 dev eth1 track_group g"
    )
    daemon = kind(pair.a, text + conf())
    daemon.start()
    pair.wait_master(pair.a)
    pair.a.link("eth1", up=False)
    pair.wait_released(pair.a)
    pair.a.link("eth1", up=True)
    pair.wait_master(pair.a, since_ns=time.time_ns())
    wait_routing(pair.a, {"10.80.0.0/24"}, set(), "the static route")
    assert daemon.stop() == 0
    assert routes(pair.a) == set()


def two(first: str, second: str, static: str = "") -> str:
    return (
        block("static_routes", static)
        + conf(block("virtual_routes", "10.76.0.0/24 dev eth0", first))
        + conf(block("virtual_routes", second), name="VI_2", vrid=52, addresses=["10.0.0.2"])
    )


def test_a_reload_touches_only_what_differs(pair: Pair, kind: type[Daemon]) -> None:
    """A route that moves between two masters stays where it is."""
    daemon = kind(pair.a, two("10.77.0.0/24 dev eth0", "10.78.0.0/24 dev eth0", "10.80.0.0/24 dev eth0"))
    daemon.start()
    wait_routing(pair.a, {"10.76.0.0/24", "10.77.0.0/24", "10.78.0.0/24", "10.80.0.0/24"}, set(), "all routes")
    with news(pair.a) as watch:
        daemon.reload(two("10.79.0.0/24 dev eth0", "10.77.0.0/24 dev eth0", "10.81.0.0/24 dev eth0"))
        wait_routing(pair.a, {"10.76.0.0/24", "10.77.0.0/24", "10.79.0.0/24", "10.81.0.0/24"}, set(), "the new routes")
        told = []
        while select.select([watch], [], [], 0)[0]:
            data = watch.recv(65536)
            told.append((int.from_bytes(data[4:6], "little"), bytes(data[32:36])))
    touched = {address for kind_, address in told if kind_ in {24, 25}}
    assert bytes([10, 76, 0, 0]) not in touched
    if daemon.kind != "keepalived":
        assert bytes([10, 77, 0, 0]) not in touched
    assert daemon.stop() == 0
    assert routes(pair.a) == set()


def test_dont_release_leaves_what_instances_hold(pair: Pair) -> None:
    text = block("static_routes", "10.80.0.0/24 dev eth0") + conf(ROUTES, RULES)
    daemon = Keepvipd(pair.a, text, options=("-V",))
    daemon.start()
    wait_routing(pair.a, {"10.77.0.0/24", "fd77::/64", "10.80.0.0/24"}, {"300", "301"}, "routes and rules")
    assert daemon.stop() == 0
    assert (routes(pair.a), rules(pair.a)) == ({"10.77.0.0/24", "fd77::/64"}, {"300", "301"})
    again = Keepvipd(pair.a, conf(ROUTES, RULES))
    started_ns = time.time_ns()
    again.start()
    pair.wait_master(pair.a, since_ns=started_ns)
    wait_routing(pair.a, {"10.77.0.0/24", "fd77::/64"}, {"300", "301"}, "routes and rules")
    assert again.stop() == 0
    assert routes(pair.a) | rules(pair.a) == set()
