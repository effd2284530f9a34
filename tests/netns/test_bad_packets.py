"""Every field of every version wrong, lengths that lie, fragments, replays: nothing moves (vrrp-behaviour.md 4.1).

A master keeps its rhythm and a backup its deadline, both measured on the wire, while all of it comes in, and each
packet is counted for its own reason. keepalived starts the interval of a master anew with whatever comes.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator

import msgspec
import pytest

from keepvip.admin.client import AdminClient
from keepvip.lab import Advert, Daemon, Pair
from keepvip.lab.ah import behind_ah
from keepvip.lab.configs import block, instance, skew_s
from keepvip.lab.decode import internet_checksum
from keepvip.lab.forge import ForgedAdvert, Forger
from keepvip.lab.hmac_trailer import trailer
from keepvip.lab.measure import gaps_s
from keepvip.lab.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.ours("keepalived restarts the timer of a master for whatever comes")]

SECRET = b"0123456789abcdef0123456789abcdef"
PRIORITY = 150
LATE_S = 0.06

Make = Callable[[ForgedAdvert], bytes]
"""A frame that is right as far as the fields of the advert are."""
Bad = Iterator[tuple[str | None, bytes]]
"""The counter, if the kernel hands it over at all, and the frame."""


class Variant(msgspec.Struct, frozen=True):
    """One way to run VRRP."""

    good: ForgedAdvert
    options: dict[str, object]
    hmac: bool = False
    ah: bool = False


V2 = ForgedAdvert(source="10.0.0.100", priority=200)
V3 = ForgedAdvert(source="10.0.0.100", priority=200, version=3, interval=20)
V6 = msgspec.structs.replace(V3, source="fe80::100", destination="ff02::12", addresses=("fe80::51", "fd00::51"))
FAST: dict[str, object] = {"version": 3, "interval_s": 0.2}
SLOW: dict[str, object] = {"version": 2, "interval_s": 1.0}
HMAC = block("auth_hmac", f"key 1 {SECRET.decode()}", "active_key 1")
VARIANTS = {
    "v2": Variant(V2, SLOW),
    "v2 PASS": Variant(msgspec.structs.replace(V2, auth_type=1, password=b"passw123"), SLOW | {"password": "passw123"}),
    "v2 AH": Variant(
        msgspec.structs.replace(V2, auth_type=2),
        SLOW | {"extra": [block("authentication", "auth_type AH", "auth_pass secret")]},
        ah=True,
    ),
    "v3": Variant(V3, FAST),
    "v3 IPv6": Variant(V6, FAST | {"addresses": ["fe80::51", "fd00::51"]}),
    "v3 hmac": Variant(V3, FAST | {"extra": [HMAC]}, hmac=True),
}


def stats(daemon: Daemon) -> dict[str, int]:
    """Its counters."""
    socket = daemon.node.run_directory / "keepvip" / "keepvip.sock"
    found: dict[str, int] = AdminClient(str(socket)).get("/v1/status")["instances"][0]["stats"]
    return found


def maker(variant: Variant, forger: Forger) -> Make:
    """Proves each advert as the variant wants it."""
    number = 100_000

    def make(advert: ForgedAdvert) -> bytes:
        nonlocal number
        number += 1
        if variant.hmac:
            end = trailer(advert.message(), advert.source, SECRET)
            return msgspec.structs.replace(advert, trailer=end).frame(forger.mac)
        frame = advert.frame(forger.mac)
        return behind_ah(frame, b"secret", number) if variant.ah else frame

    return make


def wrong_fields(variant: Variant, make: Make) -> Bad:
    """What any version can have wrong."""

    def one(**fields: object) -> bytes:
        return make(msgspec.structs.replace(variant.good, **fields))

    good = variant.good
    yield "ip_ttl_err", one(ttl=254)
    yield "ip_ttl_err", one(ttl=1)
    for version in (0, 1, 4, 15, 5 - good.version):
        # Whatever its version says, the rest of it has the length that the right one has.
        message = msgspec.structs.replace(good, version=version, password=b"", trailer=b"")
        yield "version_err", make(message)
    for kind in (0, 2, 15):
        yield "invalid_type_rcvd", one(kind=kind)
    for error in (1, 0x100, 0xFFFE):
        yield "checksum_err", one(checksum_error=error)
    yield None, one(vrid=52)
    yield None, one(vrid=0)
    if good.version == 2:
        for interval in (0, 2, 255):
            yield "advert_interval_err", one(interval=interval)
        yield "invalid_authtype", one(auth_type=9)
        for auth_type in {0, 1, 2} - {good.auth_type}:
            yield "authtype_mismatch", one(auth_type=auth_type)
        if good.password:
            for password in (b"", b"passw124", b"passw12"):
                yield "auth_failure", one(password=password)
    else:
        yield "advert_interval_err", one(interval=0)


def lying_lengths(variant: Variant, make: Make) -> Bad:
    """Messages that are shorter or longer than they say."""
    good = variant.good
    behind = "auth_ext_malformed" if variant.hmac else "packet_len_err"
    whole = len(good.message())
    for length in (7, 8, whole - 1):
        if not variant.hmac:  # a trailer would make up for what is missing
            yield "packet_len_err", make(msgspec.structs.replace(good, cut_to=length))
    for count in (len(good.addresses) + 20, 255):
        if not variant.hmac:
            yield "packet_len_err", make(msgspec.structs.replace(good, count=count))
    if not variant.hmac:
        yield behind, make(msgspec.structs.replace(good, count=0))
        yield behind, make(msgspec.structs.replace(good, trailer=b"\0"))
        yield behind, make(msgspec.structs.replace(good, trailer=bytes(1000)))
    if ":" not in good.source:
        yield from lying_headers(make(good))


def lying_headers(frame: bytes) -> Bad:
    """IPv4: what the kernel drops or keeps to itself, without a word."""

    def header(at: int, value: bytes, *, sound: bool = True) -> bytes:
        head = bytearray(frame[14:34])
        head[at : at + len(value)] = value
        head[10:12] = b"\0\0"
        total = internet_checksum(bytes(head)) ^ (0 if sound else 0x5555)
        head[10:12] = total.to_bytes(2, "big")
        return frame[:14] + bytes(head) + frame[34:]

    yield None, header(2, (len(frame) - 14 + 40).to_bytes(2, "big"))  # longer than the frame
    yield None, header(0, b"\x4f")  # options that are the message
    yield None, header(0, b"\x44")  # a header of 16 octets
    yield None, header(6, b"\x20\x00")  # the first of several fragments
    yield None, header(6, b"\x01\x00")  # the last one, after a gap
    yield None, header(8, b"\xff", sound=False)


def wrong_proofs(variant: Variant, make: Make) -> Bad:
    """Of signed adverts: not signed, signed with something else, at another time, twice."""
    good, forge = variant.good, msgspec.structs.replace
    if variant.ah:
        frame = make(good)
        plain = frame[:23] + b"\x70" + frame[24:34] + frame[58:]
        yield "auth_failure", frame[:-1] + bytes([frame[-1] ^ 1])
        yield "auth_failure", frame[:38] + bytes(4) + frame[42:]
        yield None, plain  # the IP length lies
        yield None, frame[:34] + b"\x11" + frame[35:]  # guards something else
    if not variant.hmac:
        return
    message, source, now = good.message(), good.source, time.time()
    mac = make(good)[6:12].hex(":")
    for name, end in (
        ("auth_ext_missing", b""),
        ("auth_ext_malformed", trailer(message, source, SECRET)[:-1]),
        ("auth_ext_malformed", trailer(message, source, SECRET) + b"\0"),
        ("auth_ext_malformed", trailer(message, source, SECRET, scheme=0)),
        ("auth_ext_malformed", trailer(message, source, SECRET, reserved=1)),
        ("auth_ext_unknown_key", trailer(message, source, SECRET, number=2)),
        ("auth_ext_invalid_hmac", trailer(message, source, SECRET[::-1])),
        ("auth_ext_invalid_hmac", trailer(message, "10.0.0.101", SECRET)),
        ("auth_ext_invalid_hmac", trailer(forge(good, priority=1).message(), source, SECRET)),
        ("auth_ext_stale", trailer(message, source, SECRET, at_s=now - 60)),
        ("auth_ext_stale", trailer(message, source, SECRET, at_s=now + 60)),
    ):
        yield name, forge(good, trailer=end).frame(mac)


def all_bad(variant: Variant, make: Make) -> list[tuple[str | None, bytes]]:
    """All of them, in a fixed order."""
    return [*wrong_fields(variant, make), *lying_lengths(variant, make), *wrong_proofs(variant, make)]


@pytest.mark.parametrize("name", VARIANTS)
def test_nothing_moves_and_everything_is_counted(pair: Pair, kind: type[Daemon], forger: Forger, name: str) -> None:
    variant = VARIANTS[name]
    family, vip = (6, "fd00::51") if ":" in variant.good.source else (4, "10.0.0.1")
    options: dict[str, object] = {**variant.options}
    extra = [*options.pop("extra", ()), "down_timer_adverts 2"]  # type: ignore[misc]
    interval_s, version = float(options["interval_s"]), int(options["version"])  # type: ignore[arg-type, call-overload]
    daemon = kind(pair.a, instance(priority=PRIORITY, extra=extra, **options))  # type: ignore[arg-type]
    daemon.start()
    first = pair.wait_master(pair.a, address=vip, family=family)
    make = maker(variant, forger)
    if variant.ah:  # what is right and new makes the numbers of a master jump: one of lower priority comes first
        forger.send_frame(make(msgspec.structs.replace(variant.good, priority=1)))
        first = pair.tap.wait_advert("a", 51, timeout_s=3, since_ns=first.at_ns + 1)

    # a master
    bad = all_bad(variant, make)
    expected = Counter(counter for counter, _ in bad if counter)
    before = Counter(stats(daemon))
    beats = 6 if version == 3 else 3
    for _, frame in bad:
        forger.send_frame(frame)
    pair.tap.wait_count(Advert, lambda sent: sent.node == "a", beats, timeout_s=8, since_ns=first.at_ns)
    rhythm = gaps_s([sent for sent in pair.tap.adverts(node="a") if sent.at_ns >= first.at_ns])
    assert all(abs(gap - interval_s) < LATE_S for gap in rhythm), rhythm

    def counted(since: Counter[str]) -> Counter[str]:
        now = stats(daemon)
        return Counter({key: now[key] - since[key] for key in expected})

    wait_until(lambda: counted(before).total() >= expected.total(), timeout_s=3, what="all to be counted")
    assert counted(before) == expected
    assert stats(daemon)["advert_rcvd"] == before["advert_rcvd"]

    # a backup, whose master falls silent
    for _ in range(2):
        forger.send_frame(make(variant.good))
        pair.wait_released(pair.a, vip)
    before = Counter(stats(daemon))
    bad = all_bad(variant, make)
    replay = make(variant.good)
    sent_ns = time.time_ns()
    forger.send_frame(replay)
    last = pair.tap.wait_advert("c", 51, timeout_s=3, since_ns=sent_ns - 1_000_000, family=family)
    down_s = 2 * interval_s + skew_s(PRIORITY, version=version, interval_s=interval_s)
    again = 0
    while time.time_ns() < last.at_ns + (down_s - 0.1) * 1e9:
        if bad:
            forger.send_frame(bad.pop()[1])
        elif variant.hmac or variant.ah:
            forger.send_frame(replay)
            again += 1
        time.sleep(0.004)
    taken = pair.tap.wait_advert("a", 51, timeout_s=3, since_ns=last.at_ns, family=family)
    assert abs((taken.at_ns - last.at_ns) / 1e9 - down_s) < LATE_S
    assert not bad
    assert counted(before)["ip_ttl_err"] == expected["ip_ttl_err"]
    replays = stats(daemon)["auth_ext_replay" if variant.hmac else "auth_failure"]
    assert replays >= again
    assert stats(daemon)["become_master"] == before["become_master"] + 1
