"""Tracked things decide: a weight lets the other node win, no weight means FAULT (vrrp-behaviour.md 9)."""

import time

import pytest

from keepvip.lab import Daemon, Keepvip, Pair
from keepvip.lab.configs import block, instance, sync_group

pytestmark = pytest.mark.root

INTERVAL_S = 0.2


def v3(**options: object) -> str:
    return instance(version=3, interval_s=INTERVAL_S, **options)  # type: ignore[arg-type]


def test_interface_without_a_weight_is_a_fault(pair: Pair, kind: type[Daemon]) -> None:
    """The master gives up at once: priority 0 on the wire, the address gone; `reverse` is the opposite."""
    conf = v3(priority=110, extra=[block("track_interface", "eth1")])
    kind(pair.a, conf).start()
    pair.wait_master(pair.a)
    pair.a.link("eth1", up=False)
    pair.tap.wait_advert("a", 51, priority=0, timeout_s=3)
    pair.wait_released(pair.a)
    up_ns = time.time_ns()
    pair.a.link("eth1", up=True)
    pair.wait_master(pair.a, since_ns=up_ns)


@pytest.mark.ours("2.2.7 does not mind an interface that is up when it starts, reverse or not")
def test_reversed_interface_is_a_fault_while_it_is_up(pair: Pair, kind: type[Daemon]) -> None:
    kind(pair.a, v3(extra=[block("track_interface", "eth1 weight 0 reverse")])).start()
    pair.tap.silence("a", during_s=1.5)
    pair.a.link("eth1", up=False)
    pair.wait_master(pair.a)


def test_tracker_of_a_group_is_one_of_every_member(pair: Pair, kind: type[Daemon]) -> None:
    conf = (
        sync_group("VG1", "VI_1", "VI_2", extra=[block("track_interface", "eth1 weight -30")])
        + v3(name="VI_1", vrid=51, priority=110)
        + v3(name="VI_2", vrid=52, priority=110, addresses=["10.0.0.2"])
    )
    kind(pair.a, conf).start()
    pair.wait_master(pair.a, 52, address="10.0.0.2")
    pair.a.link("eth1", up=False)
    for vrid in (51, 52):
        pair.tap.wait_advert("a", vrid, priority=80, timeout_s=3)


def test_interface_with_a_weight_moves_the_master(pair: Pair, kind: type[Daemon]) -> None:
    """Down: 20 less, so the other node wins; up again: back."""
    conf = v3(priority=110, extra=[block("track_interface", "eth1 weight -20")])
    kind(pair.a, conf).start()
    pair.wait_master(pair.a)
    Keepvip(pair.b, v3(priority=100)).start()
    pair.a.link("eth1", up=False)
    taken = pair.wait_master(pair.b)
    pair.wait_released(pair.a)
    assert taken.priority == 100
    pair.a.link("eth1", up=True)
    back = pair.wait_master(pair.a, since_ns=taken.at_ns)
    assert back.priority == 110
    pair.wait_released(pair.b)
