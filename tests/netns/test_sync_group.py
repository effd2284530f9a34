"""All members of a sync group move together (vrrp-behaviour.md 10)."""

import time
from collections.abc import Callable

import pytest

from keepvip.lab import Advert, Daemon, Lan, Node, Pair
from keepvip.lab.configs import down_interval_s, instance, sync_group
from keepvip.lab.measure import measure_takeover
from keepvip.lab.waiting import wait_until

pytestmark = pytest.mark.root

INTERVAL_S = 0.2
LATE_S = 0.3
VIPS = {"10.0.0.1", "192.168.1.1"}


def group(priority: int, *, state: str = "BACKUP", version: int = 3, interval_s: float = INTERVAL_S) -> str:
    common = {"priority": priority, "state": state, "version": version, "interval_s": interval_s}
    return (
        sync_group("VG1", "RH_EXT", "RH_INT")
        + instance("RH_EXT", vrid=50, interface="eth0", addresses=["10.0.0.1"], **common)  # type: ignore[arg-type]
        + instance("RH_INT", vrid=2, interface="eth1", addresses=["192.168.1.1"], **common)  # type: ignore[arg-type]
    )


def wait_group_master(pair: Pair, node: Node, *, since_ns: int = 0) -> int:
    """Wait until a node is master of both instances with both addresses; the time of the later first advert."""
    firsts = [
        pair.tap.wait_advert(
            node.name, vrid, timeout_s=10, since_ns=since_ns, wanted=lambda advert: advert.priority > 0
        )
        for vrid in (50, 2)
    ]
    wait_until(lambda: node.addresses() >= VIPS, timeout_s=2, what=f"both addresses on {node.name}")
    return max(first.at_ns for first in firsts)


def wait_group_released(node: Node) -> None:
    wait_until(lambda: not node.addresses() & VIPS, timeout_s=2, what=f"both addresses to leave {node.name}")


def masters(pair: Pair, vrid: int, since_ns: int) -> list[str]:
    """Who advertised a virtual router since a time, repeated senders only once; goodbyes do not count."""
    senders: list[str] = []
    for advert in pair.tap.adverts(vrid=vrid, since_ns=since_ns):
        if advert.priority and (not senders or senders[-1] != advert.node):
            senders.append(advert.node)
    return senders


def test_group_takeover_v2_takes_the_down_interval(pair: Pair, kind: type[Daemon]) -> None:
    """The main job: kill -9, both instances move after 3.61 s."""
    master = kind(pair.a, group(100, state="MASTER", version=2, interval_s=1.0))
    master.start()
    kind(pair.b, group(99, version=2, interval_s=1.0)).start()
    wait_group_master(pair, pair.a)
    watch = pair.b.watch_addresses()
    pair.tap.wait_advert("a", 2, timeout_s=3, since_ns=time.time_ns())
    pair.tap.wait_advert("a", 50, timeout_s=3, since_ns=time.time_ns())
    killed_ns = master.crash()
    for vrid, address in ((50, "10.0.0.1"), (2, "192.168.1.1")):
        takeover = measure_takeover(
            pair.tap, watch, old="a", new="b", vrid=vrid, address=address, since_ns=killed_ns, timeout_s=8
        )
        # The members' adverts need not leave in the same moment: the group waits for the later one.
        assert down_interval_s(99) - 0.005 <= takeover.advert_s <= down_interval_s(99) + 1.0 + LATE_S
        assert takeover.complete_s - takeover.advert_s < LATE_S


def unplug(lan: Lan, node: Node, interface: str) -> Callable[[], None]:
    lan.unplug(node, interface)
    return lambda: lan.plug(node, interface)


def set_down(_lan: Lan, node: Node, interface: str) -> Callable[[], None]:
    node.link(interface, up=False)
    return lambda: node.link(interface, up=True)


@pytest.mark.parametrize("lose", [unplug, set_down])
def test_one_interface_down_moves_both(
    pair: Pair, kind: type[Daemon], lose: Callable[[Lan, Node, str], Callable[[], None]]
) -> None:
    kind(pair.a, group(100)).start()
    kind(pair.b, group(99)).start()
    wait_group_master(pair, pair.a)

    since_ns = time.time_ns()
    restore = lose(pair.int, pair.a, "eth1")
    moved_ns = wait_group_master(pair, pair.b, since_ns=since_ns)
    assert (moved_ns - since_ns) / 1e9 <= down_interval_s(99, version=3, interval_s=INTERVAL_S) + LATE_S
    wait_group_released(pair.a)
    goodbye = pair.tap.adverts(node="a", vrid=50, since_ns=since_ns)
    assert goodbye[-1].priority == 0, "the member whose interface is up says goodbye"
    pair.tap.wait_count(
        Advert, lambda advert: advert.node == "b" and advert.vrid == 50, 3, timeout_s=3, since_ns=moved_ns
    )
    assert masters(pair, 50, since_ns)[-1:] == ["b"]

    back_ns = time.time_ns()
    restore()
    wait_group_master(pair, pair.a, since_ns=back_ns)
    wait_group_released(pair.b)
    assert masters(pair, 50, back_ns) == ["b", "a"]
    assert masters(pair, 2, back_ns) == ["b", "a"]


def test_backup_group_takes_over_only_as_a_whole(pair: Pair, kind: type[Daemon]) -> None:
    """One LAN is cut: the backup loses the master of one member only, so it moves nothing."""
    kind(pair.a, group(100)).start()
    kind(pair.b, group(99)).start()
    wait_group_master(pair, pair.a)
    pair.int.cut(pair.b)
    pair.tap.silence("b", during_s=3 * down_interval_s(99, version=3, interval_s=INTERVAL_S))
    assert not pair.b.addresses() & VIPS


def test_group_with_a_faulty_member_stays_out(pair: Pair, kind: type[Daemon]) -> None:
    pair.a.link("eth1", up=False)
    kind(pair.a, group(100)).start()
    kind(pair.b, group(99)).start()
    wait_group_master(pair, pair.b)
    assert not pair.tap.adverts(node="a")
    assert not pair.a.addresses() & VIPS
