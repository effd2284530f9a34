"""Many virtual routers on one interface. ``--soak``: for the issue's minute; benches/density255.py shows the cost."""

import itertools
import time
from collections import defaultdict

import pytest

from keepvip.lab import Advert, Daemon, Lab, Tap
from keepvip.lab.configs import instance

pytestmark = pytest.mark.root

COUNT = 255
INTERVAL_S = 0.1


def conf(priority: int) -> str:
    return "".join(
        instance(
            f"VI_{vrid}",
            vrid=vrid,
            priority=priority,
            version=3,
            interval_s=INTERVAL_S,
            addresses=[f"10.0.1.{vrid}"],
            extra=["garp_master_delay 0", "garp_master_repeat 1"],
        )
        for vrid in range(1, COUNT + 1)
    )


def gaps_by_router(tap: Tap, node: str, since_ns: int, until_ns: int) -> dict[int, list[float]]:
    """The times between the adverts of each virtual router, seconds."""
    times: dict[int, list[int]] = defaultdict(list)
    for advert in tap.adverts(node=node, since_ns=since_ns, until_ns=until_ns):
        times[advert.vrid].append(advert.at_ns)
    return {vrid: [(after - before) / 1e9 for before, after in itertools.pairwise(at)] for vrid, at in times.items()}


def wait_all_masters(tap: Tap, node: str, since_ns: int, timeout_s: float) -> None:
    missing = set(range(1, COUNT + 1))

    def last_one(advert: Advert) -> bool:
        if advert.node == node:
            missing.discard(advert.vrid)
        return not missing

    tap.wait(Advert, last_one, timeout_s=timeout_s, since_ns=since_ns, what=f"all {COUNT} masters on {node}")


@pytest.mark.timeout(240)
@pytest.mark.ours("its timers are seconds late")
def test_255_routers_at_100_ms(lab: Lab, kind: type[Daemon], request: pytest.FixtureRequest) -> None:
    """As master and as backup: no advert lost or late by an interval, no false takeover; then all are taken over."""
    duration_s = 60 if request.config.getoption("--soak") else 8
    lan = lab.lan("lan")
    a, b = lab.node("a"), lab.node("b")
    a.attach("eth0", lan, ["10.0.0.11/16"])
    b.attach("eth0", lan, ["10.0.0.12/16"])
    tap = lab.tap()
    master = kind(a, conf(100))
    process = master.start()
    wait_all_masters(tap, "a", process.started_ns, timeout_s=20)
    kind(b, conf(99)).start()
    since_ns = time.time_ns() + 500_000_000
    until_ns = since_ns + int(duration_s * 1e9)
    tap.wait_advert("a", 1, timeout_s=duration_s + 5, since_ns=until_ns)
    assert not tap.lost, "the tap itself lost frames"
    assert not tap.adverts(node="b"), "a false takeover"
    gaps = gaps_by_router(tap, "a", since_ns, until_ns)
    assert len(gaps) == COUNT
    assert min(len(of_one) for of_one in gaps.values()) >= duration_s / INTERVAL_S - 2
    worst_s = max(max(of_one) for of_one in gaps.values())
    assert worst_s < 2 * INTERVAL_S, f"an advert is missing: gap of {worst_s * 1000:.1f} ms"

    killed_ns = master.crash()
    wait_all_masters(tap, "b", killed_ns, timeout_s=10)
    last = {advert.vrid: advert.at_ns for advert in tap.adverts(node="a")}
    first: dict[int, int] = {}
    for advert in tap.adverts(node="b"):
        first.setdefault(advert.vrid, advert.at_ns)
    took_s = [(first[vrid] - last[vrid]) / 1e9 for vrid in first]
    protocol_s = 3 * INTERVAL_S + (256 - 99) / 256 * INTERVAL_S
    assert min(took_s) >= protocol_s - 0.005
    assert max(took_s) <= protocol_s + 0.5
