"""keepvip beside Debian's keepalived, each in both roles: they elect, take over and yield as two of a kind would."""

import time

import pytest

from keepvip.lab import Daemon, Keepalived, Keepvip, Pair
from keepvip.lab.configs import block, down_interval_s, instance, skew_s
from keepvip.lab.demo.files import main_job
from keepvip.lab.measure import measure_takeover
from keepvip.lab.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.interop]

LATE_S = 0.3
VARIANTS = {
    "v2 PASS": {"version": 2, "interval_s": 1.0, "password": "passw123"},
    "v2 AH": {
        "version": 2,
        "interval_s": 1.0,
        "extra": [block("authentication", "auth_type AH", "auth_pass secret")],
    },
    "v2": {"version": 2, "interval_s": 1.0},
    "v3 IPv4": {"version": 3, "interval_s": 0.2},
    "v3 IPv6": {"version": 3, "interval_s": 0.2, "addresses": ["fe80::51", "fd00::51"]},
}
ROLES = [pytest.param(Keepvip, Keepalived, id="keepvip-master"), pytest.param(Keepalived, Keepvip, id="keepvip-backup")]


def require_both() -> None:
    for kind in (Keepvip, Keepalived):
        if complaint := kind.missing():
            pytest.skip(complaint)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("master_kind", "backup_kind"), ROLES)
def test_takeover_and_return(pair: Pair, master_kind: type[Daemon], backup_kind: type[Daemon], variant: str) -> None:
    require_both()
    options = VARIANTS[variant]
    version, interval_s = int(options["version"]), float(options["interval_s"])  # type: ignore[call-overload, arg-type]
    family, address = (6, "fd00::51") if "IPv6" in variant else (4, "10.0.0.1")
    a = master_kind(pair.a, instance(priority=100, **options))  # type: ignore[arg-type]
    b = backup_kind(pair.b, instance(priority=99, **options))  # type: ignore[arg-type]
    a.start()
    b.start()
    watch = pair.b.watch_addresses()
    elected = pair.wait_master(pair.a, address=address, family=family)
    pair.tap.wait_advert("a", 51, family=family, timeout_s=3, since_ns=elected.at_ns + 1)
    assert not [advert for advert in pair.tap.adverts(node="b") if advert.at_ns > elected.at_ns + 100_000_000]

    killed_ns = a.crash()
    takeover = measure_takeover(
        pair.tap, watch, old="a", new="b", vrid=51, family=family, address=address, since_ns=killed_ns, timeout_s=8
    )
    protocol_s = down_interval_s(99, version=version, interval_s=interval_s)
    assert protocol_s - 0.005 <= takeover.advert_s <= protocol_s + LATE_S

    a.start()
    back = pair.wait_master(pair.a, address=address, family=family, since_ns=takeover.first_advert_ns)
    pair.wait_released(pair.b, address)
    assert not [advert for advert in pair.tap.adverts(node="b") if advert.at_ns > back.at_ns + 100_000_000]

    since_ns = time.time_ns()
    assert a.stop() == 0
    takeover = measure_takeover(
        pair.tap, watch, old="a", new="b", vrid=51, family=family, address=address, since_ns=since_ns, timeout_s=8
    )
    skew = skew_s(99, version=version, interval_s=interval_s)
    assert skew - 0.005 <= takeover.advert_s <= skew + LATE_S
    assert all(advert.errors == () for advert in pair.tap.adverts())


@pytest.mark.parametrize(("master_kind", "backup_kind"), ROLES)
def test_main_job(pair: Pair, master_kind: type[Daemon], backup_kind: type[Daemon]) -> None:
    """The shipped configuration, unchanged: kill -9, return, a cable out; both instances move each time."""
    require_both()
    vips = {50: "10.0.0.1", 2: "192.168.1.1"}
    a, b = master_kind(pair.a, main_job("master")), backup_kind(pair.b, main_job("backup"))

    def wait_group(name: str, since_ns: int) -> None:
        node = {"a": pair.a, "b": pair.b}[name]
        for vrid in vips:
            pair.tap.wait_advert(name, vrid, timeout_s=10, since_ns=since_ns, wanted=lambda advert: advert.priority)
        wait_until(lambda: node.addresses() >= set(vips.values()), timeout_s=3, what=f"both addresses on {name}")

    def wait_free(name: str) -> None:
        node = {"a": pair.a, "b": pair.b}[name]
        wait_until(lambda: not node.addresses() & set(vips.values()), timeout_s=3, what=f"{name} to let go")

    started_ns = time.time_ns()
    a.start()
    b.start()
    wait_group("a", started_ns)
    killed_ns = a.crash()
    wait_group("b", killed_ns)
    a.start()
    wait_group("a", killed_ns + 1_000_000)
    wait_free("b")
    pulled_ns = time.time_ns()
    pair.int.unplug(pair.a)
    wait_group("b", pulled_ns)
    wait_free("a")
    plugged_ns = time.time_ns()
    pair.int.plug(pair.a)
    wait_group("a", plugged_ns)
    wait_free("b")
    assert a.stop() == 0
    assert b.stop() == 0
    assert all(advert.errors == () for advert in pair.tap.adverts())


ADDRESS_LINES = [
    "10.9.0.1",
    "10.9.1.1/24",
    "10.9.2.1/24 dev eth1",
    "10.9.3.1/24 brd 10.9.3.255",
    "10.9.4.1/24 brd +",
    "10.9.5.1/24 brd -",
    "10.9.6.1/24 label eth0:vip",
    "10.9.7.1/24 scope link",
    "10.9.8.1/24 scope site brd + label eth0:8",
    "10.9.9.1 peer 10.9.9.2",
    "10.9.10.1/24 scope host",
]


def test_addresses_look_the_same_in_the_kernel(pair: Pair) -> None:
    """Every option, entry by entry, as `ip -d address` shows it."""
    require_both()

    def entries(kind: type[Daemon]) -> dict[str, dict[str, object]]:
        conf = instance(version=3, interval_s=0.2, priority=255, state="MASTER", addresses=ADDRESS_LINES)
        conf += instance(
            "VI_6", version=3, interval_s=0.2, priority=254, addresses=["fe80::51", "fd09::1/64", "fd09:1::1"]
        )
        daemon = kind(pair.a, conf)
        daemon.start()
        pair.wait_master(pair.a, address="10.9.10.1", family=4)
        wait_until(lambda: "fd09:1::1" in pair.a.addresses(), timeout_s=5, what="the IPv6 addresses")
        found = {
            str(entry["local"]): entry
            for entry in pair.a.address_entries()
            if str(entry["local"]).startswith(("10.9.", "fd09:", "fe80::51"))
        }
        assert daemon.stop() == 0
        return found

    ours, theirs = entries(Keepvip), entries(Keepalived)
    assert ours.keys() == theirs.keys()
    for address, entry in theirs.items():
        assert ours[address] == entry
