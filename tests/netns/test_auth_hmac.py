"""Signed adverts (vrrp-behaviour.md 6), checked with Python's hmac and forged with it."""

import time

import msgspec
import pytest

from keepvip.admin.client import AdminClient
from keepvip.lab import Advert, Daemon, Pair
from keepvip.lab.configs import block, instance
from keepvip.lab.forge import ForgedAdvert, Forger
from keepvip.lab.hmac_trailer import sequence_of, trailer, verifies
from keepvip.lab.measure import gaps_s
from keepvip.lab.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.ours("keepalived 2.2.7 has no auth_hmac")]

ONE, TWO = b"0123456789abcdef0123456789abcdef", bytes.fromhex("c3" * 48)
KEYS = (f"key 1 {ONE.decode()}", f"key 2 hex:{TWO.hex()}")
FORGED = ForgedAdvert(source="10.0.0.100", version=3, interval=20)
INTERVAL_S = 0.2


def signed(*lines: str, active: int = 1, priority: int = 100, **options: object) -> str:
    defaults: dict[str, object] = {"version": 3, "interval_s": INTERVAL_S}
    return instance(
        priority=priority,
        extra=[block("auth_hmac", *KEYS, f"active_key {active}", *lines)],
        **(defaults | options),  # type: ignore[arg-type]
    )


def stats(daemon: Daemon) -> dict[str, int]:
    """Its counters."""
    socket = daemon.node.run_directory / "keepvip" / "keepvip.sock"
    found: dict[str, int] = AdminClient(str(socket)).get("/v1/status")["instances"][0]["stats"]
    return found


VARIANTS: dict[str, dict[str, object]] = {
    "v2": {"version": 2, "interval_s": 1.0},
    "v3": {},
    "v3 IPv6": {"addresses": ["fe80::51", "fd00::51"]},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_nodes_believe_each_other(pair: Pair, kind: type[Daemon], variant: str) -> None:
    options, family = VARIANTS[variant], 6 if "IPv6" in variant else 4
    vip = "fd00::51" if family == 6 else "10.0.0.1"
    a = kind(pair.a, signed(**options))
    a.start()
    pair.wait_master(pair.a, address=vip, family=family)
    b = kind(pair.b, signed(active=2, priority=200, **options))
    b.start()
    pair.wait_master(pair.b, address=vip, family=family)
    pair.wait_released(pair.a, vip)
    sent = {node: pair.tap.adverts(node=node) for node in "ab"}
    assert not [advert.errors for advert in sent["a"] + sent["b"] if advert.errors]
    assert all(verifies(advert, ONE) and advert.trailer[1] == 1 for advert in sent["a"])
    assert all(verifies(advert, TWO) and advert.trailer[1] == 2 for advert in sent["b"])
    for adverts in sent.values():
        sequences = [sequence_of(advert) for advert in adverts]
        assert sequences == sorted(set(sequences))
        off_s = [sequence / (1 << 32) - advert.at_ns / 1e9 for sequence, advert in zip(sequences, adverts, strict=True)]
        assert max(map(abs, off_s)) < 0.5
    b.stop()
    assert verifies(pair.tap.adverts(node="b")[-1], TWO)


def test_forged_adverts_move_nothing_and_have_their_counters(pair: Pair, kind: type[Daemon], forger: Forger) -> None:
    a = kind(pair.a, signed("time_window 5"))
    a.start()
    first = pair.wait_master(pair.a)
    message, now = FORGED.message(), time.time()
    wrong = {
        "auth_ext_missing": b"",
        "auth_ext_malformed": trailer(message, FORGED.source, ONE, scheme=2),
        "auth_ext_unknown_key": trailer(message, FORGED.source, ONE, number=3),
        "auth_ext_invalid_hmac": trailer(message, FORGED.source, TWO),
        "auth_ext_stale": trailer(message, FORGED.source, ONE, at_s=now - 30),
    }
    for end in wrong.values():
        forger.send(msgspec.structs.replace(FORGED, trailer=end))
    wait_until(lambda: stats(a)["auth_ext_stale"] == 1, timeout_s=5, what="the last of them")
    assert {name: stats(a)[name] for name in wrong} == dict.fromkeys(wrong, 1)
    pair.tap.wait_count(Advert, lambda sent: sent.node == "a", 8, timeout_s=5, since_ns=first.at_ns)
    assert max(gaps_s(pair.tap.adverts(node="a"))) < INTERVAL_S + 0.1
    assert min(gaps_s(pair.tap.adverts(node="a"))) > INTERVAL_S - 0.1
    # One with a lower priority that is right is answered at once; what it said, said again, is not.
    lower = msgspec.structs.replace(FORGED, priority=50)
    right = msgspec.structs.replace(lower, trailer=trailer(lower.message(), lower.source, ONE))
    for _ in range(3):
        forger.send(right)
    wait_until(lambda: stats(a)["auth_ext_replay"] == 2, timeout_s=5, what="the replays")
    assert stats(a)["advert_rcvd"] == 1
    good = msgspec.structs.replace(FORGED, trailer=trailer(message, FORGED.source, TWO, number=2))
    forger.send(good)
    pair.wait_released(pair.a)


def test_signing_is_introduced_and_a_key_replaced_without_a_change_of_masters(pair: Pair, kind: type[Daemon]) -> None:
    plain = instance(priority=99, version=3, interval_s=INTERVAL_S)
    a, b = kind(pair.a, instance(version=3, interval_s=INTERVAL_S)), kind(pair.b, plain)
    a.start()
    pair.wait_master(pair.a)
    b.start()
    pair.wait_listening(pair.b)

    def goes_on(daemon: Daemon, conf: str, *, trailer_of: bytes | None) -> None:
        since_ns = daemon.reload(conf)
        pair.tap.wait(
            Advert,
            lambda sent: sent.node == "a" and (verifies(sent, trailer_of) if trailer_of else not sent.trailer),
            timeout_s=5,
            since_ns=since_ns,
        )

    goes_on(b, signed("mode receive-only", priority=99), trailer_of=None)
    goes_on(a, signed("mode permissive"), trailer_of=ONE)
    goes_on(b, signed(priority=99), trailer_of=ONE)
    goes_on(a, signed(), trailer_of=ONE)
    goes_on(a, signed(active=2), trailer_of=TWO)
    pair.tap.silence("b", during_s=4 * INTERVAL_S)
    assert not pair.tap.adverts(node="b")
