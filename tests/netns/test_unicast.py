"""Adverts by unicast (config-keywords.md 7.3): elections, bounds, and what falls back to multicast."""

import ipaddress
import time
from collections.abc import Sequence

import msgspec
import pytest

from keepvip.lab import Advert, Daemon, Pair
from keepvip.lab.configs import block, down_interval_s, global_defs, instance
from keepvip.lab.forge import ForgedAdvert, Forger
from keepvip.lab.measure import measure_takeover
from keepvip.lab.node import Node

pytestmark = pytest.mark.root

INTERVAL_S = 0.2
LATE_S = 0.3
DOWN_S = down_interval_s(100, version=3, interval_s=INTERVAL_S)
HOSTS = {"a": "10.0.0.11", "b": "10.0.0.12", "c": "10.0.0.100"}
FORGED = ForgedAdvert(source=HOSTS["c"], destination=HOSTS["a"], version=3, interval=20)


def unicast(peers: Sequence[str], *, extra: Sequence[str] = (), **options: object) -> str:
    defaults: dict[str, object] = {"version": 3, "interval_s": INTERVAL_S}
    lines = [block("unicast_peer", *peers), *extra]
    return instance(**(defaults | options), extra=lines)  # type: ignore[arg-type]


def pair_of(**options: object) -> tuple[str, str]:
    """Configurations of a and b that name each other."""
    return (
        unicast([HOSTS["b"]], priority=100, **options),  # type: ignore[arg-type]
        unicast([HOSTS["a"]], priority=99, **options),  # type: ignore[arg-type]
    )


VARIANTS: dict[str, dict[str, object]] = {
    "v2 password": {"version": 2, "interval_s": 1.0, "password": "passw123"},
    "v3": {},
    "v3 IPv6": {"addresses": ["fe80::51", "fd00::51"]},
}


def host(node: Node, variant: str) -> str:
    return HOSTS[node.name].replace("10.0.0.", "fd00::") if "IPv6" in variant else HOSTS[node.name]


@pytest.mark.parametrize("variant", VARIANTS)
def test_election_and_takeover_by_unicast_alone(pair: Pair, kind: type[Daemon], variant: str) -> None:
    family, vip = (6, "fd00::51") if "IPv6" in variant else (4, "10.0.0.1")
    options = VARIANTS[variant]
    a, b = (host(node, variant) for node in (pair.a, pair.b))
    sources = ([f"unicast_src_ip {a}"], [f"unicast_src_ip {b}"]) if family == 6 else ([], [])
    master = kind(pair.a, unicast([b], priority=100, extra=sources[0], **options))  # type: ignore[arg-type]
    master.start()
    elected = pair.wait_master(pair.a, address=vip, family=family)
    assert (elected.source, elected.destination, elected.errors) == (a, b, ())
    kind(pair.b, unicast([a], priority=99, extra=sources[1], **options)).start()  # type: ignore[arg-type]
    interval_s = float(options.get("interval_s", INTERVAL_S))  # type: ignore[arg-type]
    version = int(options.get("version", 3))  # type: ignore[call-overload]
    down_s = down_interval_s(99, version=version, interval_s=interval_s)
    pair.tap.silence("b", during_s=1.5 * down_s)

    watch = pair.b.watch_addresses()
    killed_ns = master.crash()
    takeover = measure_takeover(
        pair.tap, watch, old="a", new="b", vrid=51, family=family, address=vip, since_ns=killed_ns, timeout_s=8
    )
    assert down_s - 0.005 <= takeover.advert_s <= down_s + LATE_S
    master.start()
    pair.wait_released(pair.b, vip)
    assert not [sent for sent in pair.tap.adverts() if ipaddress.ip_address(sent.destination).is_multicast]


def test_every_peer_gets_its_copy(pair: Pair, kind: type[Daemon]) -> None:
    kind(pair.a, unicast([HOSTS["b"], HOSTS["c"]])).start()
    first = pair.wait_master(pair.a)
    pair.tap.wait_count(Advert, lambda sent: sent.node == "a", 6, timeout_s=5, since_ns=first.at_ns)
    sent = pair.tap.adverts(node="a")
    assert {advert.destination for advert in sent} == {HOSTS["b"], HOSTS["c"]}
    assert {advert.source for advert in sent} == {HOSTS["a"]}
    counts = [sum(advert.destination == HOSTS[peer] for advert in sent) for peer in "bc"]
    assert abs(counts[0] - counts[1]) <= 1
    assert {advert.ttl for advert in sent} == {255}


def test_stopped_master_tells_its_peers(pair: Pair, kind: type[Daemon]) -> None:
    config_a, config_b = pair_of()
    master = kind(pair.a, config_a)
    master.start()
    kind(pair.b, config_b).start()
    pair.wait_master(pair.a)
    pair.tap.silence("b", during_s=DOWN_S)
    assert master.stop() == 0
    pair.wait_master(pair.b)
    assert pair.tap.adverts(node="a")[-1].priority == 0


def test_ttl_on_the_wire_and_its_bounds(pair: Pair, kind: type[Daemon]) -> None:
    """A peer whose adverts come from farther away than they may is not heard: both are master."""
    kind(pair.a, unicast([HOSTS["b"]], priority=100, extra=["unicast_ttl 61"])).start()
    first = pair.wait_master(pair.a)
    assert first.ttl == 61
    b = kind(pair.b, unicast([f"{HOSTS['a']} min_ttl 60 max_ttl 62"], priority=99))
    b.start()
    pair.tap.silence("b", during_s=2 * DOWN_S)
    b.stop()
    since_ns = time.time_ns()
    kind(pair.b, unicast([f"{HOSTS['a']} min_ttl 62"], priority=99)).start()
    pair.wait_master(pair.b, since_ns=since_ns)


def test_ttl_of_ipv6(pair: Pair, kind: type[Daemon]) -> None:
    extra = ["unicast_src_ip fd00::11", "unicast_ttl 61"]
    kind(pair.a, unicast(["fd00::12"], addresses=["fe80::51"], extra=extra)).start()
    assert pair.wait_master(pair.a, address="fe80::51", family=6).ttl == 61


@pytest.mark.parametrize("where", ["instance", "global", "bounds"])
def test_who_is_no_peer_is_not_heard(pair: Pair, kind: type[Daemon], forger: Forger, where: str) -> None:
    peer = f"{HOSTS['b']} max_ttl 255" if where == "bounds" else HOSTS["b"]
    config = unicast([peer], extra=["check_unicast_src"] if where == "instance" else [])
    if where == "global":
        config = global_defs("vrrp_check_unicast_src") + config
    kind(pair.a, config).start()
    first = pair.wait_master(pair.a)
    forger.send(FORGED, to=pair.a.mac("eth0"))
    since_ns = time.time_ns()
    pair.tap.wait_count(Advert, lambda sent: sent.node == "a", 5, timeout_s=5, since_ns=since_ns)
    assert "10.0.0.1" in pair.a.addresses()
    forger.send(msgspec.structs.replace(FORGED, source=HOSTS["b"]), to=pair.a.mac("eth0"))
    pair.wait_released(pair.a)
    assert first.priority == 100


def test_without_the_check_anybody_is_heard(pair: Pair, kind: type[Daemon], forger: Forger) -> None:
    kind(pair.a, unicast([HOSTS["b"]])).start()
    pair.wait_master(pair.a)
    forger.send(FORGED, to=pair.a.mac("eth0"))
    pair.wait_released(pair.a)


def test_multicast_does_not_reach_a_unicast_instance(pair: Pair, kind: type[Daemon], forger: Forger) -> None:
    kind(pair.a, unicast([HOSTS["b"]])).start()
    pair.wait_master(pair.a)
    forger.send(msgspec.structs.replace(FORGED, destination="224.0.0.18"))
    since_ns = time.time_ns()
    pair.tap.wait_count(Advert, lambda sent: sent.node == "a", 5, timeout_s=5, since_ns=since_ns)
    assert "10.0.0.1" in pair.a.addresses()


def test_no_peers_means_multicast(pair: Pair, kind: type[Daemon]) -> None:
    kind(pair.a, instance(version=3, interval_s=INTERVAL_S, extra=[f"unicast_src_ip {HOSTS['a']}"])).start()
    first = pair.wait_master(pair.a)
    assert (first.source, first.destination) == (HOSTS["a"], "224.0.0.18")


def test_no_peers_may_mean_fault(pair: Pair, kind: type[Daemon]) -> None:
    extra = [f"unicast_src_ip {HOSTS['a']}", "unicast_fault_no_peer"]
    daemon = kind(pair.a, instance(version=3, interval_s=INTERVAL_S, extra=extra))
    daemon.start()
    pair.tap.silence("a", during_s=2 * DOWN_S)
    assert "10.0.0.1" not in pair.a.addresses()
    daemon.reload(unicast([HOSTS["b"]], extra=extra))
    pair.wait_master(pair.a)


@pytest.mark.ours("2.2.7 wants an interface")
def test_without_an_interface(pair: Pair, kind: type[Daemon]) -> None:
    """Adverts leave by the way that the routes say; the address is where `dev` says."""

    def config(node: Node, peer: Node, priority: int) -> str:
        source, other = (f"192.168.1.{HOSTS[one.name].rpartition('.')[2]}" for one in (node, peer))
        text = unicast([other], priority=priority, addresses=["10.0.0.1 dev eth0"], extra=[f"unicast_src_ip {source}"])
        return text.replace("    interface eth0\n", "")

    master = kind(pair.a, config(pair.a, pair.b, 100))
    master.start()
    first = pair.wait_master(pair.a)
    assert (first.lan, first.source, first.destination) == ("int", "192.168.1.11", "192.168.1.12")
    kind(pair.b, config(pair.b, pair.a, 99)).start()
    pair.tap.silence("b", during_s=1.5 * DOWN_S)
    master.crash()
    pair.wait_master(pair.b)
    assert "10.0.0.1" in pair.b.addresses("eth0")


@pytest.mark.ours("2.2.7 goes on as master")
def test_a_source_address_that_goes_away(pair: Pair, kind: type[Daemon]) -> None:
    pair.a.add_address("eth0", "10.0.0.77/24")
    extra = ["unicast_src_ip 10.0.0.77", "track_src_ip"]
    kind(pair.a, unicast([HOSTS["b"]], extra=extra)).start()
    assert pair.wait_master(pair.a).source == "10.0.0.77"
    pair.a.delete_address("eth0", "10.0.0.77/24")
    pair.wait_released(pair.a)
    since_ns = time.time_ns()
    pair.tap.silence("a", during_s=2 * DOWN_S)
    pair.a.add_address("eth0", "10.0.0.77/24")
    pair.wait_master(pair.a, since_ns=since_ns)


@pytest.mark.ours("2.2.7 lets one of the two have all packets")
def test_one_vrid_twice(pair: Pair, kind: type[Daemon], forger: Forger) -> None:
    """Beside multicast, and with other peers: each hears its own (vrrp-behaviour.md 7)."""
    config = "".join(
        (
            instance(version=3, interval_s=INTERVAL_S, addresses=["10.0.0.1"]),
            unicast([HOSTS["b"]], name="VI_2", addresses=["10.0.0.2"], extra=["check_unicast_src"]),
            unicast([HOSTS["c"]], name="VI_3", addresses=["10.0.0.3"], extra=["check_unicast_src"]),
        )
    )
    kind(pair.a, config).start()
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
        pair.wait_master(pair.a, address=address)
    forger.send(FORGED, to=pair.a.mac("eth0"))
    pair.wait_released(pair.a, "10.0.0.3")
    assert {"10.0.0.1", "10.0.0.2"} <= pair.a.addresses()


@pytest.mark.ours("a reload of keepalived sends further adverts")
def test_a_peer_more_by_reload(pair: Pair, kind: type[Daemon]) -> None:
    daemon = kind(pair.a, unicast([HOSTS["b"]]))
    daemon.start()
    pair.wait_master(pair.a)
    watch = pair.a.watch_addresses()
    daemon.reload(unicast([HOSTS["b"], HOSTS["c"]]))
    pair.tap.wait(Advert, lambda sent: sent.destination == HOSTS["c"], timeout_s=5, what="an advert to the new peer")
    assert not watch.address_changes("10.0.0.1")
    assert all(advert.priority for advert in pair.tap.adverts(node="a"))


def test_its_own_address_is_told_when_a_fault_is_over(pair: Pair, kind: type[Daemon]) -> None:
    """So that what the peers know of it is fresh (vrrp-behaviour.md 1.7)."""
    kind(pair.a, unicast([HOSTS["b"]])).start()
    pair.wait_master(pair.a)
    assert not pair.tap.garps(HOSTS["a"], node="a")
    pair.a.link("eth0", up=False)
    pair.wait_released(pair.a)
    since_ns = time.time_ns()
    pair.a.link("eth0", up=True)
    pair.tap.wait_garp("a", HOSTS["a"], timeout_s=5, since_ns=since_ns)
    pair.wait_master(pair.a, since_ns=since_ns)


def test_old_checksum(pair: Pair, kind: type[Daemon]) -> None:
    """With the multicast group in the pseudo header, as keepalived 1.3.6 and older had it."""
    kind(pair.a, unicast([HOSTS["b"]], extra=["old_unicast_checksum"])).start()
    first = pair.wait_master(pair.a)
    assert first.errors == ("VRRP checksum",)
    kind(pair.b, unicast([HOSTS["a"]], priority=99)).start()
    pair.tap.silence("b", during_s=2 * DOWN_S)
