"""Tracked things decide: a weight lets the other node win, no weight means FAULT (vrrp-behaviour.md 9)."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from keepvip.admin.client import AdminClient
from keepvip.lab import Daemon, Keepvip, Pair
from keepvip.lab.configs import block, global_defs, instance, sync_group
from keepvip.lab.decode import Advert
from keepvip.lab.waiting import wait_until

if TYPE_CHECKING:
    from keepvip.lab.node import Node

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


class Check:
    """A `vrrp_script` that succeeds while a file is there; what else it does is `before`."""

    def __init__(self, node: Node, *options: str, name: str = "chk", before: str = "") -> None:
        self.flag: Path = node.directory / f"{name}.ok"
        self.path = node.write(f"{name}.sh", f"#!/bin/sh\n{before}\ntest -e {self.flag}\n", mode=0o755)
        self.name = name
        self.options = options
        self.succeed()

    def succeed(self) -> None:
        self.flag.touch()

    def fail(self) -> None:
        self.flag.unlink()

    @property
    def conf(self) -> str:
        return block(f"vrrp_script {self.name}", f'script "{self.path}"', "user root", *self.options)


def tracking(*checks: Check, line: str = "", **options: Any) -> str:
    """An instance that tracks scripts, after their definitions."""
    lines = block("track_script", *(f"{check.name} {line}" for check in checks))
    return global_defs("script_user root") + "".join(check.conf for check in checks) + v3(extra=[lines], **options)


def ask(node: Node, path: str, **query: str) -> Any:
    """An answer of the daemon's own API."""
    return AdminClient(str(node.run_directory / "keepvip" / "keepvip.sock")).get(path, **query)


def tracked(node: Node) -> dict[str, Any]:
    """What `keepvip status --json` says of the tracked thing."""
    (found,) = ask(node, "/v1/status")["tracked"]
    return dict(found)


def contents(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it ended while we looked
        return b""


def test_script_with_a_weight_moves_the_master(pair: Pair, kind: type[Daemon]) -> None:
    check = Check(pair.a, "interval 0.1", "weight -20")
    kind(pair.a, tracking(check, priority=110)).start()
    pair.wait_master(pair.a)
    Keepvip(pair.b, v3(priority=100)).start()
    check.fail()
    taken = pair.wait_master(pair.b)
    pair.wait_released(pair.a)
    check.succeed()
    assert pair.wait_master(pair.a, since_ns=taken.at_ns).priority == 110


def test_script_without_a_weight_is_a_fault(pair: Pair, kind: type[Daemon]) -> None:
    check = Check(pair.a, "interval 0.1", "fall 2", "rise 2")
    kind(pair.a, tracking(check)).start()
    pair.wait_master(pair.a)
    check.fail()
    pair.tap.wait_advert("a", 51, priority=0, timeout_s=4)
    pair.wait_released(pair.a)
    back_ns = time.time_ns()
    check.succeed()
    pair.wait_master(pair.a, since_ns=back_ns)


def test_nobody_is_master_before_the_first_result(pair: Pair, kind: type[Daemon]) -> None:
    """A script that has no result yet holds the instance back; `init_fail` as well, and it wants `rise` successes."""
    gate = pair.a.directory / "gate"
    gate.unlink(missing_ok=True)
    check = Check(pair.a, "interval 1", "timeout 20", before=f"until test -e {gate}; do sleep 0.05; done")
    kind(pair.a, tracking(check, state="MASTER")).start()
    pair.tap.silence("a", during_s=2)
    gate.touch()
    pair.wait_master(pair.a)


def test_script_that_hangs_is_a_failure(pair: Pair, kind: type[Daemon]) -> None:
    hang = pair.a.directory / "hang"
    hang.unlink(missing_ok=True)
    check = Check(pair.a, "interval 1", "timeout 1", before=f"test -e {hang} && exec sleep 60")
    kind(pair.a, tracking(check)).start()
    first = pair.wait_master(pair.a)
    hang.touch()
    pair.tap.wait_advert("a", 51, priority=0, timeout_s=8, since_ns=first.at_ns)
    pair.wait_released(pair.a)
    hang.unlink()
    pair.wait_master(pair.a, since_ns=time.time_ns())


def test_file_that_can_be_opened(pair: Pair, kind: type[Daemon]) -> None:
    path = pair.a.directory / "opened"
    path.touch()
    conf = block("vrrp_script chk", f'script "<{path}"', "interval 0.1") + v3(extra=[block("track_script", "chk")])
    kind(pair.a, conf).start()
    pair.wait_master(pair.a)
    path.unlink()
    pair.wait_released(pair.a)


@pytest.mark.ours("what is known of a tracked thing can be asked")
def test_status_and_why_tell_a_time_out_from_a_failure(pair: Pair, kind: type[Daemon]) -> None:
    """A script that ignores SIGTERM: one run at a time, nothing piles up, and everybody can see why."""
    hang = pair.a.directory / "hang"
    hang.unlink(missing_ok=True)
    body = f"test -e {hang} && trap '' TERM && while :; do sleep 0.05; done"
    check = Check(pair.a, "interval 0.2", "timeout 0.3", before=body)
    kind(pair.a, tracking(check)).start()
    first = pair.wait_master(pair.a)
    assert tracked(pair.a)["value"] == "good"
    hang.touch()
    pair.tap.wait_advert("a", 51, priority=0, timeout_s=5, since_ns=first.at_ns)
    found = tracked(pair.a)
    assert (found["value"], found["detail"]) == ("bad", "timed out after 0.300 s")
    assert found["counters"]["timed_out"] == 1
    assert found["counters"]["failed"] == 0
    wait_until(lambda: tracked(pair.a)["counters"]["skipped"] > 3, timeout_s=5, what="skipped runs")
    alive = [entry for entry in Path("/proc").glob("[0-9]*/cmdline") if str(check.path).encode() in contents(entry)]
    assert len(alive) == 1
    (last, *_) = ask(pair.a, "/v1/why", name="VI_1")["transitions"]
    assert (last["reason"], last["evidence"]["track"]) == ("track_failed", "script chk")
    assert last["why"] == "its tracked script chk has failed"
    hang.unlink()
    wait_until(lambda: tracked(pair.a)["value"] == "good", timeout_s=8, what="a good result")


def test_reload_keeps_results(pair: Pair, kind: type[Daemon]) -> None:
    """Neither an unchanged script nor one that changed makes the reload itself move anything."""
    check = Check(pair.a, "interval 0.1", "weight 30")
    daemon = kind(pair.a, tracking(check, priority=100))
    daemon.start()
    pair.tap.wait_advert("a", 51, priority=130, timeout_s=8)
    gate = pair.a.directory / "gate"
    gate.unlink(missing_ok=True)
    slow = Check(pair.a, "interval 1", "timeout 20", "weight 30", before=f"until test -e {gate}; do sleep 0.05; done")
    slow.path = slow.path.rename(slow.path.with_name("other.sh"))
    since_ns = time.time_ns()
    daemon.reload(tracking(slow, priority=100))
    pair.tap.wait_count(Advert, lambda advert: advert.node == "a", 6, timeout_s=5, since_ns=since_ns)
    assert {advert.priority for advert in pair.tap.adverts(node="a", since_ns=since_ns)} == {130}
    slow.fail()
    gate.touch()
    pair.tap.wait_advert("a", 51, priority=100, timeout_s=5, since_ns=since_ns)


def test_script_that_cannot_run_is_not_tracked(pair: Pair, kind: type[Daemon]) -> None:
    check = Check(pair.a, "interval 0.1")
    check.path.chmod(0o644)
    kind(pair.a, tracking(check)).start()
    pair.wait_master(pair.a)


def test_number_in_a_file_is_added(pair: Pair, kind: type[Daemon]) -> None:
    """Times the weight, read at the start and at every change; -254 is a fault; without a file it is 0."""
    path = pair.a.write("offset", "5\n")
    conf = block("track_file off", f'file "{path}"', "weight 2") + v3(extra=[block("track_file", "off")])
    kind(pair.a, conf).start()
    pair.wait_master(pair.a)
    assert {advert.priority for advert in pair.tap.adverts(node="a")} == {110}
    path.write_text("-0x14 and more\n")
    pair.tap.wait_advert("a", 51, priority=60, timeout_s=3)
    path.with_name("new").write_text("20")
    path.with_name("new").rename(path)
    pair.tap.wait_advert("a", 51, priority=140, timeout_s=3)
    path.unlink()
    pair.tap.wait_advert("a", 51, priority=100, timeout_s=3)
    path.write_text("-127")
    pair.tap.wait_advert("a", 51, priority=0, timeout_s=3)
    pair.wait_released(pair.a)
    path.write_text("0")
    pair.wait_master(pair.a, since_ns=time.time_ns())


def test_file_without_a_weight_is_a_fault_while_it_is_not_0(pair: Pair, kind: type[Daemon]) -> None:
    path = pair.a.directory / "maintenance"
    path.unlink(missing_ok=True)
    conf = block("track_file off", f'file "{path}"', "weight 0", "init_file 1") + v3(extra=[block("track_file", "off")])
    kind(pair.a, conf).start()
    wait_until(lambda: path.exists() and path.read_text().strip() == "1", timeout_s=5, what="init_file")
    pair.tap.silence("a", during_s=1.5)
    path.write_text("0")
    pair.wait_master(pair.a)


@pytest.mark.ours("keepalived hears of processes only in the first network namespace, and cannot be started in another")
def test_processes_are_counted(pair: Pair, kind: type[Daemon]) -> None:
    """With a weight and without one, a short absence that does not count, and what the JSON dump says."""
    program = pair.a.directory / "kv-counted"
    program.unlink(missing_ok=True)
    program.symlink_to("/bin/sleep")
    conf = (
        global_defs("json_version 2", f"json_dump_file {pair.a.directory}/dump.json")
        + block("vrrp_track_process one", f"process {program} 300", "weight 20", "terminate_delay 0.5")
        + block("vrrp_track_process none", "process kv-forbidden", "quorum_max 0")
        + v3(extra=[block("track_process", "one", "none")])
    )
    daemon = kind(pair.a, conf)
    daemon.start()
    pair.wait_master(pair.a)
    first = subprocess.Popen([program, "300"])
    found = pair.tap.wait_advert("a", 51, priority=120, timeout_s=3)
    since_ns = found.at_ns
    first.kill()
    first.wait()
    second = subprocess.Popen([program, "300"])
    pair.tap.wait_count(Advert, lambda advert: advert.node == "a", 4, timeout_s=5, since_ns=since_ns)
    assert {advert.priority for advert in pair.tap.adverts(node="a", since_ns=since_ns)} == {120}
    daemon.process.signal(signal.SIGRTMIN + 2)
    dump = pair.a.directory / "dump.json"
    wait_until(dump.exists, timeout_s=5, what="the dump")
    document = json.loads(dump.read_text())
    assert document["vrrp"][0]["data"]["track_process"] == ["one", "none"]
    (one, none) = document["track_process"]
    assert (one["process"], one["parameters"], one["current_processes"], one["have_quorum"]) == (
        str(program), "300", 1, True,
    )  # fmt: skip
    assert (none["process"], none["max_processes"], none["full_command"]) == ("kv-forbidden", 0, False)
    second.kill()
    second.wait()
    pair.tap.wait_advert("a", 51, priority=100, timeout_s=3)
    forbidden = program.rename(program.with_name("kv-forbidden"))
    third = subprocess.Popen([forbidden, "300"])
    try:
        pair.tap.wait_advert("a", 51, priority=0, timeout_s=3)
        pair.wait_released(pair.a)
    finally:
        third.kill()
        third.wait()
    pair.wait_master(pair.a, since_ns=time.time_ns())
