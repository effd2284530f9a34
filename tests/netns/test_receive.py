"""Which adverts count (vrrp-behaviour.md 4.1), tried with forged ones from a third host on the LAN."""

import time

import msgspec
import pytest

from keepvip.lab import Advert, Daemon, LabTimeoutError, Pair
from keepvip.lab.configs import instance
from keepvip.lab.forge import ForgedAdvert, Forger
from keepvip.lab.measure import gaps_s

pytestmark = pytest.mark.root

LATE_S = 0.3


V2: dict[str, object] = {"version": 2, "interval_s": 1}
V2_PASS: dict[str, object] = {**V2, "password": "passw123"}
V3: dict[str, object] = {"version": 3, "interval_s": 0.2}
GOOD_V2 = ForgedAdvert(source="10.0.0.100")
GOOD_V2_PASS = ForgedAdvert(source="10.0.0.100", auth_type=1, password=b"passw123")
GOOD_V3 = ForgedAdvert(source="10.0.0.100", version=3, interval=20)


def good(options: dict[str, object]) -> ForgedAdvert:
    return GOOD_V3 if options is V3 else GOOD_V2_PASS if options is V2_PASS else GOOD_V2


REJECTED = {
    "ttl": ({"ttl": 254}, V2),
    "checksum": ({"checksum_error": 1}, V2),
    "version 3 for a version 2 router": ({"version": 3}, V2),
    "type": ({"kind": 2}, V2),
    "interval": ({"interval": 2}, V2),
    "truncated": ({"cut_to": 12}, V2),
    "count of addresses": ({"count": 9}, V2),
    "other virtual router": ({"vrid": 52}, V2),
    "authentication where none is configured": ({"auth_type": 1, "password": b"passw123"}, V2),
    "no authentication": ({"auth_type": 0, "password": b""}, V2_PASS),
    "wrong password": ({"password": b"passw124"}, V2_PASS),
    "password with a tail": ({"password": b"passw12"}, V2_PASS),
    "v3 ttl": ({"ttl": 1}, V3),
    "v3 checksum": ({"checksum_error": 1}, V3),
    "version 2 for a version 3 router": ({"version": 2, "interval": 1}, V3),
    "v3 count of addresses": ({"count": 255}, V3),
}


@pytest.mark.parametrize("name", ["v2", "v2 with password", "v3"])
def test_good_advert_of_higher_priority_is_obeyed(pair: Pair, kind: type[Daemon], forger: Forger, name: str) -> None:
    """The control: what the tests below change one thing of does make the master yield."""
    options = {"v2": V2, "v2 with password": V2_PASS, "v3": V3}[name]
    kind(pair.a, instance(priority=100, state="MASTER", **options)).start()  # type: ignore[arg-type]
    pair.wait_master(pair.a)
    forger.send(good(options))
    pair.wait_released(pair.a)


@pytest.mark.parametrize("options", [V2, V2_PASS, V3], ids=["v2", "v2-pass", "v3"])
def test_bad_adverts_do_not_disturb_a_master(
    pair: Pair, kind: type[Daemon], forger: Forger, options: dict[str, object]
) -> None:
    kind(pair.a, instance(priority=100, state="MASTER", **options)).start()  # type: ignore[arg-type]
    pair.wait_master(pair.a)
    since_ns = time.time_ns()
    for change, wanted in REJECTED.values():
        if wanted is options:
            forger.send(msgspec.structs.replace(good(options), **change))
    interval_s = float(options["interval_s"])  # type: ignore[arg-type]
    adverts = pair.tap.wait_count(
        Advert, lambda advert: advert.node == "a", 3, timeout_s=3 * interval_s + 2, since_ns=since_ns
    )
    assert all(advert.priority == 100 for advert in adverts)
    gaps = gaps_s(adverts)
    assert interval_s * 0.5 < min(gaps)
    assert max(gaps) < interval_s + 0.1
    assert "10.0.0.1" in pair.a.addresses()


def test_bad_adverts_do_not_keep_a_backup_quiet(pair: Pair, kind: type[Daemon], forger: Forger) -> None:
    """A backup that hears only rubbish takes over as if it heard nothing."""
    process = kind(pair.a, instance(priority=100, **V3)).start()  # type: ignore[arg-type]
    bad = [msgspec.structs.replace(GOOD_V3, **change) for change, options in REJECTED.values() if options is V3]
    first: Advert | None = None
    while first is None:
        assert time.time_ns() - process.started_ns < 3e9, "rubbish kept the backup quiet"
        for advert in bad:
            forger.send(advert)
        found = pair.tap.adverts(node="a") or _next(pair)
        first = found[0] if found else None
    assert first.priority == 100


def _next(pair: Pair) -> list[Advert]:
    """The next advert of a, if one comes within 50 ms."""
    try:
        return [pair.tap.wait_advert("a", 51, timeout_s=0.05)]
    except LabTimeoutError:
        return []


@pytest.mark.ours("2.2.7 drops it, 2.4 does not")
def test_different_address_list_is_accepted(pair: Pair, kind: type[Daemon], forger: Forger) -> None:
    """Counts and lists of addresses are informational only."""
    kind(pair.a, instance(priority=100, state="MASTER")).start()
    pair.wait_master(pair.a)
    forger.send(msgspec.structs.replace(GOOD_V2, addresses=("10.0.0.7", "10.0.0.8")))
    pair.wait_released(pair.a)


def test_master_answers_priority_zero_at_once(pair: Pair, kind: type[Daemon], forger: Forger) -> None:
    """1.4: somebody else gives up: say that we are here."""
    kind(pair.a, instance(priority=100, state="MASTER")).start()
    first = pair.wait_master(pair.a)
    before = pair.tap.wait_advert("a", timeout_s=3, since_ns=first.at_ns + 1)
    sent_ns = time.time_ns()
    forger.send(msgspec.structs.replace(GOOD_V2, priority=0))
    answer = pair.tap.wait_advert("a", timeout_s=3, since_ns=sent_ns)
    assert (answer.at_ns - before.at_ns) / 1e9 < 0.9
    assert (answer.at_ns - sent_ns) / 1e9 < LATE_S
    assert "10.0.0.1" in pair.a.addresses()


def test_backup_waits_the_skew_after_priority_zero(pair: Pair, kind: type[Daemon], forger: Forger) -> None:
    kind(pair.a, instance(priority=156)).start()
    stop_at = time.monotonic() + 1.5
    while time.monotonic() < stop_at:  # a master the backup believes in
        forger.send(GOOD_V2)
        pair.tap.silence("a", during_s=0.25)
    sent_ns = time.time_ns()
    forger.send(msgspec.structs.replace(GOOD_V2, priority=0))
    first = pair.tap.wait_advert("a", 51, timeout_s=3, since_ns=sent_ns)
    skew_s = (256 - 156) / 256
    assert skew_s - 0.01 <= (first.at_ns - sent_ns) / 1e9 <= skew_s + LATE_S
