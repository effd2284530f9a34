"""Reload: what did not change misses nothing, what changed changes, a broken file changes nothing."""

import time
from pathlib import Path

import pytest

from keepvip.lab import Advert, Daemon, Lab, Pair
from keepvip.lab.configs import global_defs, instance
from keepvip.lab.measure import gaps_s
from keepvip.lab.waiting import wait_until

pytestmark = pytest.mark.root


def v3(**options: object) -> str:
    return instance(version=3, interval_s=0.2, **options)  # type: ignore[arg-type]


@pytest.mark.ours("it sends extra adverts and was seen to lose time")
def test_unchanged_file_with_200_instances_delays_no_advert(lab: Lab, kind: type[Daemon]) -> None:
    """No advert late by more than 20 ms, no transition: five reloads while 200 masters advertise every 0.5 s."""
    count, interval_s = 200, 0.5
    lan = lab.lan("lan")
    a, b = lab.node("a"), lab.node("b")
    a.attach("eth0", lan, ["10.0.0.11/16"])
    b.attach("eth0", lan, ["10.0.0.12/16"])
    tap = lab.tap()

    def conf(priority: int) -> str:
        return "".join(
            instance(
                f"VI_{vrid}",
                vrid=vrid,
                priority=priority,
                version=3,
                interval_s=interval_s,
                addresses=[f"10.0.1.{vrid}"],
            )
            for vrid in range(1, count + 1)
        )

    daemon = kind(a, conf(100))
    daemon.start()
    for vrid in range(1, count + 1):
        tap.wait_advert("a", vrid, timeout_s=10)
    kind(b, conf(99)).start()
    since_ns = time.time_ns()
    for _ in range(5):
        reloaded_ns = daemon.reload()
        tap.wait_advert("a", count, timeout_s=3, since_ns=reloaded_ns + int(interval_s * 1e9))
    last = tap.wait_advert("a", 1, timeout_s=3, since_ns=time.time_ns() + int(2 * interval_s * 1e9))
    previous: dict[int, int] = {}
    late_ms: list[float] = []
    for advert in tap.adverts(node="a", until_ns=last.at_ns):
        if advert.at_ns >= since_ns and advert.vrid in previous:
            late_ms.append((advert.at_ns - previous[advert.vrid]) / 1e6 - interval_s * 1000)
        assert advert.priority == 100
        previous[advert.vrid] = advert.at_ns
    assert len(late_ms) > 5 * count
    assert not tap.lost
    assert max(late_ms) <= 20, f"late by {sorted(late_ms)[-5:]} ms"
    assert not tap.adverts(node="b")
    assert daemon.running


def test_addresses_are_added_and_removed(pair: Pair, kind: type[Daemon]) -> None:
    daemon = kind(pair.a, v3(addresses=["10.0.0.1", "10.0.0.2"]))
    daemon.start()
    first = pair.wait_master(pair.a, address="10.0.0.2")
    watch = pair.a.watch_addresses()
    reloaded_ns = daemon.reload(v3(addresses=["10.0.0.2", "10.0.0.3"]))
    watch.wait_address("10.0.0.3", timeout_s=3)
    watch.wait_address("10.0.0.1", added=False, timeout_s=3)
    pair.tap.wait_garp("a", "10.0.0.3", timeout_s=3, since_ns=reloaded_ns)
    advert = pair.tap.wait_advert("a", timeout_s=3, wanted=lambda advert: "10.0.0.3" in advert.addresses)
    assert advert.addresses == ("10.0.0.2", "10.0.0.3")
    assert not watch.address_changes("10.0.0.2"), "what stayed was not touched"
    adverts = pair.tap.adverts(node="a", since_ns=first.at_ns)
    assert all(advert.priority == 100 for advert in adverts)
    assert max(gaps_s(adverts)) < 0.25


def test_instances_are_added_and_removed(pair: Pair, kind: type[Daemon]) -> None:
    def conf(*vrids: int) -> str:
        return "".join(v3(name=f"VI_{vrid}", vrid=vrid, addresses=[f"10.0.0.{vrid}"]) for vrid in vrids)

    daemon = kind(pair.a, conf(51, 52))
    daemon.start()
    pair.wait_master(pair.a, 51, address="10.0.0.51")
    pair.wait_master(pair.a, 52, address="10.0.0.52")
    reloaded_ns = daemon.reload(conf(52, 53))
    pair.wait_master(pair.a, 53, address="10.0.0.53", since_ns=reloaded_ns)
    pair.wait_released(pair.a, "10.0.0.51")
    assert pair.tap.adverts(node="a", vrid=51)[-1].priority == 0, "the removed one says goodbye"
    assert "10.0.0.52" in pair.a.addresses()
    adverts = pair.tap.adverts(node="a", vrid=52)
    assert all(advert.priority == 100 for advert in adverts)
    assert max(gaps_s(adverts)) < 0.25


def test_priority_change_moves_mastership(pair: Pair, kind: type[Daemon]) -> None:
    daemon = kind(pair.a, v3(priority=100))
    daemon.start()
    kind(pair.b, v3(priority=99)).start()
    pair.wait_master(pair.a)
    reloaded_ns = daemon.reload(v3(priority=50))
    pair.wait_master(pair.b, since_ns=reloaded_ns)
    pair.wait_released(pair.a)


def test_rename_keeps_the_state(pair: Pair, kind: type[Daemon]) -> None:
    """Instances are matched by what they are on the wire, not by name (vrrp-behaviour.md 16)."""
    daemon = kind(pair.a, v3(name="OLD"))
    daemon.start()
    pair.wait_master(pair.a)
    watch = pair.a.watch_addresses()
    reloaded_ns = daemon.reload(v3(name="NEW"))
    adverts = pair.tap.wait_count(Advert, lambda advert: advert.node == "a", 6, timeout_s=4, since_ns=reloaded_ns)
    assert all(advert.priority == 100 for advert in adverts)
    assert max(gaps_s(adverts)) < 0.25
    assert not watch.address_changes("10.0.0.1")


@pytest.mark.ours("it stops on an error in a reload")
@pytest.mark.parametrize(
    "broken",
    [
        "vrrp_instance VI_1 {\n    state BACKUP\n    interface eth0\n",
        v3(vrid=51) + v3(name="VI_2", vrid=51),
        v3().replace("virtual_router_id 51", "virtual_router_id 999"),
    ],
    ids=["unclosed block", "duplicate vrid", "range"],
)
def test_broken_file_changes_nothing(pair: Pair, kind: type[Daemon], broken: str) -> None:
    daemon = kind(pair.a, v3())
    daemon.start()
    first = pair.wait_master(pair.a)
    watch = pair.a.watch_addresses()
    before = len(daemon.log_text())
    daemon.reload(broken)
    wait_until(lambda: len(daemon.log_text()) > before, timeout_s=5, what="word about the broken file")
    pair.tap.wait_count(Advert, lambda advert: advert.node == "a", 6, timeout_s=4, since_ns=time.time_ns())
    adverts = pair.tap.adverts(node="a", since_ns=first.at_ns)
    assert all(advert.priority == 100 for advert in adverts)
    assert max(gaps_s(adverts)) < 0.25
    assert not watch.address_changes("10.0.0.1")
    assert str(daemon.file) in daemon.log_text()[before:]
    # and a good file is taken again
    daemon.reload(v3(addresses=["10.0.0.1", "10.0.0.9"]))
    watch.wait_address("10.0.0.9", timeout_s=3)


def test_reload_check_config_and_a_reload_at_a_set_time(pair: Pair, kind: type[Daemon]) -> None:
    """What --config-test would not pass changes nothing, and its findings are in the log; the clock reloads, too."""
    log, when = pair.a.directory / "check.log", pair.a.directory / "when"
    when.unlink(missing_ok=True)
    settings = global_defs(f"reload_check_config {log}", f"reload_time_file {when}", "vrrp_process_name kv_vrrp")
    daemon = kind(pair.a, settings + v3(priority=100))
    daemon.start()
    first = pair.wait_master(pair.a)
    assert first.priority == 100
    since_ns = daemon.reload(settings + v3(priority=120) + "vrrp_instence V {\n}\n")
    wait_until(lambda: log.exists() and "vrrp_instence" in log.read_text(), timeout_s=5, what="findings in the log")
    pair.tap.wait_count(Advert, lambda advert: advert.node == "a", 5, timeout_s=5, since_ns=since_ns)
    assert {advert.priority for advert in pair.tap.adverts(node="a", since_ns=since_ns)} == {100}
    daemon.file.write_text(settings + v3(priority=130))
    when.write_text(time.strftime("%H:%M:%S", time.localtime(time.time() + 2)))
    pair.tap.wait_advert("a", 51, priority=130, timeout_s=6)
    wait_until(lambda: not when.exists(), timeout_s=2, what="the end of the time file")
    names = {path.read_text().strip() for pid in daemon.process.family() for path in tasks(pid)}
    assert "kv_vrrp" in names


def tasks(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").glob("*/comm"))


def test_reload_check_config_forbids_a_start_with_findings(pair: Pair, kind: type[Daemon]) -> None:
    """A script without script security is one: status 2, at once."""
    conf = global_defs("reload_check_config", "script_user root") + v3(extra=["notify /bin/true"])
    daemon = kind(pair.a, conf)
    daemon.start()
    assert daemon.process.wait(5) == 2
