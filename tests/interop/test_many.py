"""A hundred virtual routers on one LAN, keepvip and Debian's keepalived as each other's peers."""

import itertools
import time

import pytest

from keepvip.lab import Advert, Daemon, Keepalived, Keepvip, Lab
from keepvip.lab.configs import instance
from keepvip.lab.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.interop]

COUNT = 100
VRIDS = range(1, COUNT + 1)
INTERVAL_S = 0.5
DOWN_S = 3 * INTERVAL_S + INTERVAL_S * (256 - 100) / 256
ROLES = [pytest.param(Keepvip, Keepalived, id="keepvip-master"), pytest.param(Keepalived, Keepvip, id="keepvip-backup")]
LATE_S = 0.5
"""What a hundred transitions at once may cost either of them on a busy machine."""


def conf(priority: int) -> str:
    return "".join(
        instance(
            f"VI_{vrid}",
            vrid=vrid,
            priority=priority,
            version=3,
            interval_s=INTERVAL_S,
            addresses=[f"10.0.1.{vrid}/16"],
            extra=["garp_master_delay 0", "garp_master_repeat 1"],
        )
        for vrid in VRIDS
    )


def first_of_each(lab: Lab, node: str, since_ns: int, timeout_s: float) -> dict[int, int]:
    """When a node first advertised each virtual router."""
    found: dict[int, int] = {}

    def last_one(advert: Advert) -> bool:
        if advert.node == node and advert.priority > 0:
            found.setdefault(advert.vrid, advert.at_ns)
        return len(found) == COUNT

    lab.taps[0].wait(Advert, last_one, timeout_s=timeout_s, since_ns=since_ns, what=f"{COUNT} masters on {node}")
    return found


@pytest.mark.parametrize(("master", "backup"), ROLES)
def test_a_hundred_routers_and_the_takeover_of_all(master: type[Daemon], backup: type[Daemon]) -> None:
    """One master each, no false takeover; kill -9: the other is master of all, with all addresses, and tells so."""
    if complaint := Keepalived.missing():
        pytest.skip(complaint)
    with Lab() as lab:
        lan = lab.lan("lan")
        a, b = lab.node("a"), lab.node("b")
        a.attach("eth0", lan, ["10.0.0.11/16"])
        b.attach("eth0", lan, ["10.0.0.12/16"])
        tap = lab.tap()
        first = master(a, conf(150))
        process = first.start()
        first_of_each(lab, "a", process.started_ns, timeout_s=15)
        backup(b, conf(100)).start()
        wait_until(
            lambda: "224.0.0.18" in b.network.run("ip", "maddress", "show", "dev", "eth0"),
            timeout_s=10,
            what="b to listen",
        )
        since_ns = time.time_ns()
        tap.wait_advert("a", COUNT, timeout_s=10, since_ns=since_ns + int(1.5 * DOWN_S * 1e9))
        assert not tap.adverts(node="b"), "a false takeover"
        for vrid in VRIDS:
            times = [advert.at_ns for advert in tap.adverts(node="a", vrid=vrid, since_ns=since_ns)]
            assert max(later - one for one, later in itertools.pairwise(times)) < (INTERVAL_S + LATE_S) * 1e9
        killed_ns = first.crash()
        last_ns = {vrid: tap.adverts(node="a", vrid=vrid)[-1].at_ns for vrid in VRIDS}
        taken = first_of_each(lab, "b", killed_ns, timeout_s=DOWN_S + 10)
        waits = {vrid: (taken[vrid] - last_ns[vrid]) / 1e9 for vrid in VRIDS}
        assert min(waits.values()) > DOWN_S - 0.02, "before the master was down"
        assert max(waits.values()) < DOWN_S + LATE_S
        wanted = {f"10.0.1.{vrid}" for vrid in VRIDS}
        wait_until(lambda: wanted <= b.addresses("eth0"), timeout_s=5, what="all addresses on b")
        announced = {arp.sender for vrid in VRIDS for arp in tap.garps(f"10.0.1.{vrid}", node="b", since_ns=killed_ns)}
        assert announced == wanted
        assert not tap.lost, "the tap itself lost frames"
