"""The packet filter: addresses that are held but not accepted do not answer; witnesses are nft and a client's pings."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from keepvip.lab import Daemon, Node, Pair
from keepvip.lab.configs import block, global_defs, instance
from keepvip.lab.ping import Pinger
from keepvip.lab.waiting import wait_until

pytestmark = pytest.mark.root


def master(**options: Any) -> str:
    extra = options.pop("extra", ())
    return instance(version=3, interval_s=0.2, priority=options.pop("priority", 200), extra=extra, **options)


@pytest.fixture(autouse=True)
def no_tables(pair: Pair) -> Iterator[None]:
    """What keepalived leaves behind when it is killed would drop packets of the next test."""
    yield
    pair.reset()
    pair.a.network.run("nft", "flush", "ruleset")


def tables(node: Node) -> list[str]:
    """Families and names of all tables."""
    listed = json.loads(node.network.run("nft", "-j", "list", "tables"))["nftables"]
    return [f"{entry['table']['family']} {entry['table']['name']}" for entry in listed if "table" in entry]


def elements(node: Node, family: str, name: str, table: str = "keepalived") -> list[Any]:
    """What is in a set; empty without the set."""
    listed = json.loads(node.network.run("nft", "-j", "list", "ruleset"))["nftables"]
    for entry in listed:
        found = entry.get("set", {})
        if (found.get("family"), found.get("table"), found.get("name")) == (family, table, name):
            return sorted(found.get("elem", []), key=str)
    return []


def wait_elements(node: Node, family: str, name: str, expected: list[Any], table: str = "keepalived") -> None:
    wait_until(
        lambda: elements(node, family, name, table) == expected, timeout_s=5, what=f"{expected} in {family} {name}"
    )


def answers(pair: Pair, answering: list[str], silent: list[str]) -> None:
    """A client pings until every answering address has answered five times; the silent ones never."""
    pinger = Pinger(pair.client, answering + silent, interval_ms=20, limit=400)
    try:
        wait_until(
            lambda: (
                all(pinger.counts()[address][1] >= 5 for address in answering)
                and all(pinger.counts()[address][0] >= 10 for address in silent)
            ),
            timeout_s=5,
            what="five answers each",
        )
    finally:
        pinger.stop()
    for address in silent:
        assert pinger.counts()[address][1] == 0, f"{address} has answered"


def test_no_accept_drops_what_is_sent_to_the_addresses(pair: Pair, kind: type[Daemon]) -> None:
    """The advertised address and the excluded one, not those of another instance and of the host; nothing is left."""
    configuration = master(
        addresses=["10.0.0.1/24"], extra=["no_accept", block("virtual_ipaddress_excluded", "10.0.0.3/24")]
    ) + master(name="OPEN", vrid=52, addresses=["10.0.0.2/24"])
    daemon = kind(pair.a, configuration)
    daemon.start()
    wait_elements(pair.a, "ip", "vips", ["10.0.0.1", "10.0.0.3"])
    pair.wait_master(pair.a, 52, address="10.0.0.2")
    answers(pair, ["10.0.0.2"], ["10.0.0.1", "10.0.0.3"])
    chains = json.loads(pair.a.network.run("nft", "-j", "list", "table", "ip", "keepalived"))["nftables"]
    hooks = {(c["chain"]["hook"], c["chain"]["prio"], c["chain"]["policy"]) for c in chains if "chain" in c}
    assert hooks == {("input", -1, "accept"), ("output", -1, "accept")}
    assert daemon.stop() == 0
    assert tables(pair.a) == []


def test_ipv6_link_local_and_global_addresses(pair: Pair, kind: type[Daemon]) -> None:
    """Neighbours still find the addresses; the table has the name that was asked for."""
    pair.a.add_address("eth0", "fd09::2/64")
    pair.client.add_address("eth0", "fd09::1/64")
    try:
        daemon = kind(
            pair.a,
            global_defs("nftables mine", "nftables_ifindex")
            + master(addresses=["fe80::51", "fd09::51/64"], extra=["no_accept"]),
        )
        daemon.start()
        wait_elements(pair.a, "ip6", "vips", ["fd09::51"], "mine")
        wait_elements(pair.a, "ip6", "vips_link_local", [{"concat": ["fe80::51", "eth0"]}], "mine")
        answers(pair, ["fd09::2"], ["fd09::51"])
        neighbours = json.loads(pair.client.network.run("ip", "-j", "-6", "neighbour", "show", "fd09::51"))
        assert [entry.get("lladdr") for entry in neighbours] == [pair.a.mac("eth0")]
        assert daemon.stop() == 0
        assert tables(pair.a) == []
    finally:
        pair.a.delete_address("eth0", "fd09::2/64")
        pair.client.delete_address("eth0", "fd09::1/64")


@pytest.mark.parametrize(
    ("lines", "priority", "dropped"),
    [
        (["strict_mode on"], 200, True),
        (["strict_mode on", "accept"], 200, False),
        (["strict_mode on"], 255, False),
        (["no_accept"], 255, False),
    ],
)
def test_who_is_guarded(pair: Pair, kind: type[Daemon], lines: list[str], priority: int, dropped: bool) -> None:
    """Strict mode guards unless told not to; an owner accepts in any case."""
    kind(pair.a, master(priority=priority, addresses=["10.0.0.1/24"], extra=lines)).start()
    pair.wait_master(pair.a)
    if dropped:
        wait_elements(pair.a, "ip", "vips", ["10.0.0.1"])
        answers(pair, [], ["10.0.0.1"])
    else:
        answers(pair, ["10.0.0.1"], [])
        assert elements(pair.a, "ip", "vips") == []


@pytest.mark.ours("it forgets an address that becomes a guarded one")
def test_a_reload_guards_and_releases_without_a_transition(pair: Pair, kind: type[Daemon]) -> None:
    plain = master(addresses=["10.0.0.1/24"])
    daemon = kind(pair.a, plain)
    daemon.start()
    pair.wait_master(pair.a)
    watch = pair.a.watch_addresses()
    answers(pair, ["10.0.0.1"], [])
    daemon.reload(master(addresses=["10.0.0.1/24"], extra=["no_accept"]))
    wait_elements(pair.a, "ip", "vips", ["10.0.0.1"])
    answers(pair, [], ["10.0.0.1"])
    daemon.reload(plain)
    wait_elements(pair.a, "ip", "vips", [])
    answers(pair, ["10.0.0.1"], [])
    assert watch.address_changes("10.0.0.1") == []


@pytest.mark.ours("its rules are gone then")
def test_nobody_else_can_flush_the_tables(pair: Pair, kind: type[Daemon]) -> None:
    """A restart of the nftables service flushes everything that is not somebody's own."""
    kind(pair.a, master(addresses=["10.0.0.1/24"], extra=["no_accept"])).start()
    wait_elements(pair.a, "ip", "vips", ["10.0.0.1"])
    pair.a.network.run("nft", "flush", "ruleset")
    assert elements(pair.a, "ip", "vips") == ["10.0.0.1"]
    answers(pair, [], ["10.0.0.1"])


@pytest.mark.ours("its tables stay until it starts again")
def test_a_killed_daemon_leaves_no_filter_behind(pair: Pair, kind: type[Daemon]) -> None:
    daemon = kind(pair.a, master(addresses=["10.0.0.1/24"], extra=["no_accept"]))
    daemon.start()
    wait_elements(pair.a, "ip", "vips", ["10.0.0.1"])
    daemon.crash()
    wait_until(lambda: tables(pair.a) == [], timeout_s=5, what="no table")


def test_what_a_killed_daemon_left_behind_is_replaced(pair: Pair, kind: type[Daemon]) -> None:
    first = kind(pair.a, master(addresses=["10.0.0.1/24", "10.0.0.9/24"], extra=["no_accept"]))
    first.start()
    wait_elements(pair.a, "ip", "vips", ["10.0.0.1", "10.0.0.9"])
    first.crash()
    second = kind(pair.a, master(addresses=["10.0.0.1/24"], extra=["no_accept"]))
    second.start()
    wait_elements(pair.a, "ip", "vips", ["10.0.0.1"])
    assert second.stop() == 0
    assert tables(pair.a) == []
