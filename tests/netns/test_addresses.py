"""Virtual addresses in the kernel: options, residue of a killed daemon, deletion by others, many at once."""

import contextlib
import time
from typing import Any

import pytest

from keepvip.lab import Advert, Daemon, LabError, Pair
from keepvip.lab.configs import block, instance
from keepvip.lab.measure import gaps_s
from keepvip.lab.waiting import wait_until

pytestmark = pytest.mark.root


def v3(**options: Any) -> str:
    return instance(version=3, interval_s=0.2, **options)


def entry(pair: Pair, address: str) -> dict[str, Any]:
    """The kernel's entry of an address on node a; waits for it."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        found[:] = [entry for entry in pair.a.address_entries() if entry["local"] == address]
        return bool(found)

    wait_until(there, timeout_s=5, what=f"{address} on a")
    return found[0]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("10.9.0.1", {"prefixlen": 32, "scope": "global", "ifname": "eth0"}),
        ("10.9.0.1/24", {"prefixlen": 24}),
        ("10.9.0.1/24 dev eth1", {"prefixlen": 24, "ifname": "eth1"}),
        ("10.9.0.1/24 brd 10.9.0.255", {"broadcast": "10.9.0.255"}),
        ("10.9.0.1/24 brd +", {"broadcast": "10.9.0.255"}),
        ("10.9.0.1/24 brd -", {"broadcast": "10.9.0.0"}),
        ("10.9.0.1/24 label eth0:vip", {"label": "eth0:vip"}),
        ("10.9.0.1/24 scope link", {"scope": "link"}),
        ("10.9.0.1/24 scope site", {"scope": "site"}),
        pytest.param(
            "10.9.0.1 peer 10.9.0.2",
            {"address": "10.9.0.2", "prefixlen": 32},
            marks=pytest.mark.ours("2.2.7 leaves it behind at exit"),
        ),
        pytest.param(
            "10.9.0.1 peer 10.9.0.2/30",
            {"address": "10.9.0.2", "prefixlen": 30},
            marks=pytest.mark.ours("2.2.7 knows no prefix length of a peer"),
        ),
        ("10.9.0.1/24 dev eth1 brd + label eth1:x scope site", {"ifname": "eth1", "label": "eth1:x", "scope": "site"}),
    ],
)
def test_ipv4_options_reach_the_kernel(pair: Pair, kind: type[Daemon], line: str, expected: dict[str, object]) -> None:
    daemon = kind(pair.a, v3(priority=255, state="MASTER", addresses=[line]))
    daemon.start()
    found = entry(pair, "10.9.0.1")
    assert {key: found.get(key) for key in expected} == expected
    if "brd" not in line:
        assert "broadcast" not in found
    assert daemon.stop() == 0
    assert "10.9.0.1" not in pair.a.addresses()


def test_ipv6_addresses_skip_duplicate_address_detection(pair: Pair, kind: type[Daemon]) -> None:
    """DAD is on for the interface, and still the address is usable at once."""
    pair.a.network.sysctl("net/ipv6/conf/eth0/accept_dad", 1)
    try:
        watch = pair.a.watch_addresses()
        kind(pair.a, v3(priority=255, state="MASTER", addresses=["fe80::51", "fd09::51/64", "fd09::52"])).start()
        for address, prefix_len in (("fe80::51", 128), ("fd09::51", 64), ("fd09::52", 128)):
            found = entry(pair, address)
            assert found["prefixlen"] == prefix_len
            assert "tentative" not in found
            assert "dadfailed" not in found
            assert watch.wait_address(address, timeout_s=2)
    finally:
        pair.a.network.sysctl("net/ipv6/conf/eth0/accept_dad", 0)


def test_excluded_addresses_are_installed_but_not_advertised(pair: Pair, kind: type[Daemon]) -> None:
    excluded = block("virtual_ipaddress_excluded", "10.9.0.1/24", "fd09::51/64")
    daemon = kind(pair.a, v3(priority=255, state="MASTER", extra=[excluded]))
    daemon.start()
    advert = pair.wait_master(pair.a)
    assert advert.addresses == ("10.0.0.1",)
    entry(pair, "10.9.0.1")
    entry(pair, "fd09::51")
    pair.tap.wait_garp("a", "10.9.0.1", timeout_s=2)
    assert daemon.stop() == 0
    assert not pair.a.addresses() & {"10.0.0.1", "10.9.0.1", "fd09::51"}


def test_residue_of_a_killed_daemon_is_removed_at_start(pair: Pair, kind: type[Daemon]) -> None:
    """vrrp-behaviour.md 1.1: a backup that starts on a host with left-over addresses removes them first."""
    conf = v3(priority=50, addresses=["10.0.0.1/24", "10.9.0.1/24 dev eth1"])
    daemon = kind(pair.a, conf)
    daemon.start()
    pair.wait_master(pair.a)
    entry(pair, "10.9.0.1")
    killed_ns = daemon.crash()
    assert pair.a.addresses() >= {"10.0.0.1", "10.9.0.1"}, "the kernel keeps them"
    kind(pair.b, v3(priority=100, addresses=["10.0.0.1/24", "10.9.0.1/24 dev eth1"])).start()
    pair.wait_master(pair.b)
    watch = pair.a.watch_addresses()
    daemon.start()
    for address in ("10.0.0.1", "10.9.0.1"):
        watch.wait_address(address, added=False, timeout_s=3)
    assert not pair.tap.adverts(node="a", since_ns=killed_ns + 1_000_000)


def test_own_leftovers_are_not_used_as_source(pair: Pair, kind: type[Daemon]) -> None:
    """The virtual address would sort before the real one: it must not become the advert's source."""
    pair.a.add_address("eth0", "10.0.0.1/24")
    kind(pair.a, v3(priority=100)).start()
    assert pair.wait_master(pair.a).source == "10.0.0.11"


@pytest.mark.ours("keepalived gives up and returns")
def test_address_deleted_by_somebody_else_comes_back(pair: Pair, kind: type[Daemon]) -> None:
    kind(pair.a, v3(priority=100, addresses=["10.0.0.1/24", "10.0.0.2/24"])).start()
    kind(pair.b, v3(priority=99, addresses=["10.0.0.1/24", "10.0.0.2/24"])).start()
    pair.wait_master(pair.a)
    entry(pair, "10.0.0.2")
    watch = pair.a.watch_addresses()
    since_ns = time.time_ns()
    for _ in range(3):
        deleted_ns = time.time_ns()
        pair.a.delete_address("eth0", "10.0.0.1/24")
        gone = watch.wait_address("10.0.0.1", added=False, timeout_s=2, since_ns=deleted_ns)
        back = watch.wait_address("10.0.0.1", timeout_s=2, since_ns=gone.at_ns)
        assert (back.at_ns - gone.at_ns) / 1e6 < 50
        pair.tap.wait_garp("a", "10.0.0.1", timeout_s=2, since_ns=deleted_ns)
    assert not [advert for advert in pair.tap.adverts(since_ns=since_ns) if advert.node != "a" or not advert.priority]


@pytest.mark.ours("keepalived gives up and returns")
def test_flushed_interface_gets_all_addresses_back(pair: Pair, kind: type[Daemon]) -> None:
    """`ip address flush` takes the virtual addresses only: the node's own stays, so nothing fails over."""
    addresses = [f"10.9.0.{number}/32" for number in range(1, 41)]
    kind(pair.a, v3(priority=100, addresses=addresses)).start()
    first = pair.wait_master(pair.a, address="10.9.0.40")
    # It gives up after some rounds: the addresses are back before it has looked.
    with contextlib.suppress(LabError):
        pair.a.network.ip("address flush dev eth0 to 10.9.0.0/24")
    expected = {address.partition("/")[0] for address in addresses}
    wait_until(lambda: pair.a.addresses() >= expected, timeout_s=2, what="all addresses to come back")
    adverts = pair.tap.wait_count(Advert, lambda advert: advert.node == "a", 4, timeout_s=3, since_ns=first.at_ns)
    assert all(advert.priority == 100 for advert in adverts)


def test_primary_deletion_takes_no_secondaries_along(pair: Pair, kind: type[Daemon]) -> None:
    """Two addresses of one subnet: the kernel makes the second a secondary of the first; leaving removes both."""
    daemon = kind(pair.a, v3(priority=255, state="MASTER", addresses=["10.9.0.1/24", "10.9.0.2/24"]))
    daemon.start()
    entry(pair, "10.9.0.2")
    assert daemon.stop() == 0
    assert not pair.a.addresses() & {"10.9.0.1", "10.9.0.2"}
    assert "10.0.0.11" in pair.a.addresses()


@pytest.mark.ours("keepalived is silent while it installs many addresses")
def test_200_addresses_do_not_delay_adverts(pair: Pair, kind: type[Daemon]) -> None:
    addresses = [f"10.9.{number // 100}.{number % 100 + 1}" for number in range(200)]
    kind(pair.a, instance(version=3, interval_s=0.1, priority=100, addresses=addresses)).start()
    kind(pair.b, instance(version=3, interval_s=0.1, priority=99, addresses=addresses)).start()
    first = pair.wait_master(pair.a, address=addresses[-1])
    wait_until(lambda: pair.a.addresses() >= set(addresses), timeout_s=3, what="200 addresses")
    adverts = pair.tap.wait_count(Advert, lambda advert: advert.node == "a", 20, timeout_s=5, since_ns=first.at_ns)
    gaps_ms = [1000 * gap for gap in gaps_s(adverts)]
    assert max(gaps_ms) < 120, f"adverts were late: {sorted(gaps_ms)[-3:]} ms"
    assert not pair.tap.adverts(node="b", since_ns=first.at_ns)
    assert len(adverts[0].addresses) == 200
    assert adverts[0].errors == ()
