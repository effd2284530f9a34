"""One master, the takeover when it dies or leaves, and its return (RFC 3768 section 6; vrrp-behaviour.md 1.1-1.4)."""

import time

import pytest

from keepvip.lab import Advert, Daemon, Pair
from keepvip.lab.configs import down_interval_s, instance, skew_s
from keepvip.lab.lan import Cut
from keepvip.lab.measure import gaps_s, measure_takeover

pytestmark = pytest.mark.root

INTERVAL_S = 0.2  # v3 in most tests: the protocol's own times become short
LATE_S = 0.3  # what a busy CI machine may add; benches/takeover.py looks at the milliseconds


def v3(**options: object) -> str:
    return instance(version=3, interval_s=INTERVAL_S, **options)  # type: ignore[arg-type]


def test_election_ends_with_one_master_that_has_the_address(pair: Pair, kind: type[Daemon]) -> None:
    kind(pair.b, v3(priority=99)).start()
    kind(pair.a, v3(priority=100)).start()
    first = pair.wait_master(pair.a)
    pair.tap.wait_count(Advert, lambda advert: advert.node == "a", 5, timeout_s=5, since_ns=first.at_ns + 1)
    assert not pair.tap.adverts(node="b", since_ns=first.at_ns + 250_000_000), "two masters"
    assert "10.0.0.1" not in pair.b.addresses()
    assert (first.version, first.priority, first.addresses, first.interval_ms) == (3, 100, ("10.0.0.1",), 200)
    assert (first.source, first.destination, first.ttl, first.tos) == ("10.0.0.11", "224.0.0.18", 255, 0xC0)
    assert first.destination_mac == "01:00:5e:00:00:12"
    assert first.ip_id != 0
    assert first.errors == ()
    assert not pair.tap.lost


def test_adverts_keep_their_interval(pair: Pair, kind: type[Daemon]) -> None:
    kind(pair.a, v3(priority=100)).start()
    first = pair.wait_master(pair.a)
    adverts = pair.tap.wait_count(Advert, lambda advert: advert.node == "a", 12, timeout_s=10, since_ns=first.at_ns)
    gaps = gaps_s(adverts)
    assert max(gaps) < INTERVAL_S + 0.05
    # Adverts of many routers may be placed earlier to leave together, but never by more than a part of the interval.
    assert min(gaps) > INTERVAL_S * 0.5


def test_killed_master_is_replaced_after_the_down_interval_v2(pair: Pair, kind: type[Daemon]) -> None:
    """The issue's number: v2, priority 99: 3.61 s after the dead master's last advert."""
    master = kind(pair.a, instance(priority=100, state="MASTER", password="passw123"))
    master.start()
    kind(pair.b, instance(priority=99, password="passw123")).start()
    advert = pair.wait_master(pair.a)
    assert (advert.version, advert.auth_type, advert.auth_data, advert.errors) == (2, 1, b"passw123", ())
    pair.tap.wait_advert("a", 51, timeout_s=3, since_ns=advert.at_ns + 1)
    watch = pair.b.watch_addresses()
    killed_ns = master.crash()
    takeover = measure_takeover(
        pair.tap, watch, old="a", new="b", vrid=51, address="10.0.0.1", since_ns=killed_ns, timeout_s=6
    )
    protocol_s = down_interval_s(99)
    assert protocol_s == pytest.approx(3.613, abs=0.001)
    assert protocol_s - 0.005 <= takeover.advert_s <= protocol_s + LATE_S
    assert takeover.complete_s <= protocol_s + LATE_S
    assert takeover.first_advert_ns <= takeover.first_announcement_ns, "announced before the advert"


def test_killed_master_is_replaced_after_the_down_interval_v3(pair: Pair, kind: type[Daemon]) -> None:
    master = kind(pair.a, v3(priority=200))
    master.start()
    kind(pair.b, v3(priority=56)).start()
    pair.wait_master(pair.a)
    watch = pair.b.watch_addresses()
    killed_ns = master.crash()
    takeover = measure_takeover(
        pair.tap, watch, old="a", new="b", vrid=51, address="10.0.0.1", since_ns=killed_ns, timeout_s=5
    )
    protocol_s = down_interval_s(56, version=3, interval_s=INTERVAL_S)
    assert protocol_s - 0.005 <= takeover.advert_s <= protocol_s + LATE_S


@pytest.mark.parametrize(("version", "interval_s"), [(2, 1.0), (3, INTERVAL_S)])
def test_stopped_master_is_replaced_after_the_skew(
    pair: Pair, kind: type[Daemon], version: int, interval_s: float
) -> None:
    """SIGTERM: priority 0, address removed, exit status 0; the backup waits for its skew only."""
    master = kind(pair.a, instance(priority=101, state="MASTER", version=version, interval_s=interval_s))
    master.start()
    kind(pair.b, instance(priority=100, version=version, interval_s=interval_s)).start()
    pair.wait_master(pair.a)
    watch = pair.b.watch_addresses()
    since_ns = time.time_ns()
    assert master.stop() == 0
    takeover = measure_takeover(
        pair.tap, watch, old="a", new="b", vrid=51, address="10.0.0.1", since_ns=since_ns, timeout_s=5
    )
    assert pair.tap.adverts(node="a")[-1].priority == 0
    skew = skew_s(100, version=version, interval_s=interval_s)
    assert skew - 0.005 <= takeover.advert_s <= skew + LATE_S
    assert "10.0.0.1" not in pair.a.addresses()


def test_returning_master_preempts(pair: Pair, kind: type[Daemon]) -> None:
    kind(pair.b, v3(priority=99)).start()
    pair.wait_master(pair.b)
    kind(pair.a, v3(priority=100)).start()
    first = pair.wait_master(pair.a)
    pair.wait_released(pair.b)
    pair.tap.wait_count(Advert, lambda advert: advert.node == "a", 4, timeout_s=5, since_ns=first.at_ns)
    assert not pair.tap.adverts(node="b", since_ns=first.at_ns + 100_000_000), "b did not yield"
    assert pair.tap.adverts(node="b")[-1].priority == 99, "yielding is silent: no priority 0 (vrrp-behaviour.md 1.4)"


def test_nopreempt_leaves_the_master_alone(pair: Pair, kind: type[Daemon]) -> None:
    kind(pair.b, v3(priority=99)).start()
    pair.wait_master(pair.b)
    kind(pair.a, v3(priority=100, extra=["nopreempt"])).start()
    pair.tap.silence("a", during_s=4 * down_interval_s(100, version=3, interval_s=INTERVAL_S))
    assert "10.0.0.1" in pair.b.addresses()


def test_preempt_delay_waits_and_then_preempts(pair: Pair, kind: type[Daemon]) -> None:
    kind(pair.b, v3(priority=99)).start()
    pair.wait_master(pair.b)
    kind(pair.a, v3(priority=100, extra=["preempt_delay 2"])).start()
    pair.tap.silence("a", during_s=1.9)
    pair.wait_master(pair.a)
    pair.wait_released(pair.b)


@pytest.mark.ours("2.2.7 waits for the whole down interval, 2.4 does not")
@pytest.mark.parametrize("version", [2, 3])
def test_state_master_shortens_the_first_wait(pair: Pair, kind: type[Daemon], version: int) -> None:
    """vrrp-behaviour.md 1.1: one interval and 1/256 instead of the down interval; the time to start comes on top."""
    process = kind(pair.a, instance(state="MASTER", version=version)).start()
    first = pair.wait_master(pair.a)
    assert 1 + 1 / 256 <= (first.at_ns - process.started_ns) / 1e9 <= 1 + 1 / 256 + 0.3 + LATE_S


def test_owner_is_master_at_once(pair: Pair, kind: type[Daemon]) -> None:
    process = kind(pair.a, instance(priority=255, state="MASTER")).start()
    first = pair.wait_master(pair.a)
    assert first.priority == 255
    assert (first.at_ns - process.started_ns) / 1e9 < 0.3 + LATE_S


@pytest.mark.parametrize("directions", [(Cut.SENDING, Cut.RECEIVING), (Cut.RECEIVING,)], ids=["both", "deaf"])
def test_partition_heals_to_one_master(pair: Pair, kind: type[Daemon], directions: tuple[Cut, ...]) -> None:
    """A backup that no longer hears the master takes over; when it hears again, it yields at once and for good."""
    kind(pair.a, v3(priority=100)).start()
    kind(pair.b, v3(priority=99)).start()
    pair.wait_master(pair.a)
    pair.ext.cut(pair.b, *directions)
    since_ns = time.time_ns()
    pair.wait_master(pair.b, since_ns=since_ns)
    assert "10.0.0.1" in pair.a.addresses(), "a has no reason to yield"
    pair.ext.heal()
    healed_ns = time.time_ns()
    pair.wait_released(pair.b)
    pair.tap.wait_count(Advert, lambda advert: advert.node == "a", 5, timeout_s=5, since_ns=healed_ns)
    late = pair.tap.adverts(node="b", since_ns=healed_ns + int(2 * INTERVAL_S * 1e9))
    assert not late, "b goes on as master although it hears a higher priority"
    assert "10.0.0.1" in pair.a.addresses()


def test_equal_priority_the_higher_address_stays_master(pair: Pair, kind: type[Daemon]) -> None:
    for node in (pair.a, pair.b):
        kind(node, v3(priority=100)).start()
    pair.ext.cut(pair.b)
    pair.wait_master(pair.a)
    pair.wait_master(pair.b)
    pair.ext.heal()
    healed_ns = time.time_ns()
    pair.wait_released(pair.a)
    pair.tap.wait_count(Advert, lambda advert: advert.node == "b", 4, timeout_s=5, since_ns=healed_ns)
    assert not pair.tap.adverts(node="a", since_ns=healed_ns + int(2 * INTERVAL_S * 1e9))
    assert "10.0.0.1" in pair.b.addresses()
