"""Source and group of multicast adverts: `mcast_src_ip`, `mcast_dst_ip`, several groups on one interface."""

import pytest

from keepvip.lab import Advert, Daemon, Pair
from keepvip.lab.configs import down_interval_s, global_defs, instance
from keepvip.lab.forge import ForgedAdvert, Forger

pytestmark = pytest.mark.root

INTERVAL_S = 0.2
DOWN_S = down_interval_s(100, version=3, interval_s=INTERVAL_S)


def v3(**options: object) -> str:
    return instance(version=3, interval_s=INTERVAL_S, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("family", "source", "vip"), [(4, "10.0.0.77", "10.0.0.1"), (6, "fd00::11", "fe80::51")])
def test_source_of_adverts(pair: Pair, kind: type[Daemon], family: int, source: str, vip: str) -> None:
    kind(pair.a, v3(addresses=[vip], extra=[f"mcast_src_ip {source}"])).start()
    assert pair.wait_master(pair.a, address=vip, family=family).source == source


@pytest.mark.ours("2.2.7 goes on as master")
def test_a_source_that_is_tracked(pair: Pair, kind: type[Daemon]) -> None:
    kind(pair.a, v3(extra=["mcast_src_ip 10.0.0.77", "track_src_ip"])).start()
    pair.tap.silence("a", during_s=2 * DOWN_S)
    pair.a.add_address("eth0", "10.0.0.77/24")
    assert pair.wait_master(pair.a).source == "10.0.0.77"


@pytest.mark.parametrize(
    ("family", "group", "vip"), [(4, "224.0.0.99", "10.0.0.1"), (6, "ff02::99", "fe80::51")], ids=["v4", "v6"]
)
def test_two_nodes_meet_in_their_group(pair: Pair, kind: type[Daemon], family: int, group: str, vip: str) -> None:
    extra = [f"mcast_dst_ip {group}"]
    kind(pair.a, v3(addresses=[vip], extra=extra)).start()
    assert pair.wait_master(pair.a, address=vip, family=family).destination == group
    kind(pair.b, v3(addresses=[vip], priority=99, extra=extra)).start()
    pair.tap.silence("b", during_s=2 * DOWN_S)


def test_the_group_of_global_defs(pair: Pair, kind: type[Daemon]) -> None:
    kind(pair.a, global_defs("vrrp_mcast_group4 224.0.0.88") + v3()).start()
    assert pair.wait_master(pair.a).destination == "224.0.0.88"


def test_one_vrid_in_two_groups(pair: Pair, kind: type[Daemon], forger: Forger) -> None:
    """Each hears its own group only."""
    config = v3() + v3(name="VI_2", addresses=["10.0.0.2"], extra=["mcast_dst_ip 224.0.0.99"])
    kind(pair.a, config).start()
    for address in ("10.0.0.1", "10.0.0.2"):
        pair.wait_master(pair.a, address=address)
    sent = ForgedAdvert(source="10.0.0.100", version=3, interval=20, destination="224.0.0.99", addresses=["10.0.0.2"])
    first = pair.tap.adverts(node="a")[-1]
    forger.send(sent, to="01:00:5e:00:00:63")
    pair.wait_released(pair.a, "10.0.0.2")
    pair.tap.wait_count(
        Advert,
        lambda advert: advert.node == "a" and advert.destination == "224.0.0.18",
        4,
        timeout_s=5,
        since_ns=first.at_ns,
    )
    assert "10.0.0.1" in pair.a.addresses()
