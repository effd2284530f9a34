"""The daemon as a process: start, pid file, background, signals, and what it answers when it is asked."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from keepvip.admin.client import AdminClient
from keepvip.lab import Daemon, Keepvip, Keepvipd, LabProcess, Node, Pair
from keepvip.lab.configs import down_interval_s, instance, sync_group
from keepvip.lab.process import reaped
from keepvip.lab.waiting import wait_until

pytestmark = pytest.mark.root

INTERVAL_S = 0.2
SCRIPTS = Path(sys.prefix, "bin")


def v3(**options: object) -> str:
    return instance(version=3, interval_s=INTERVAL_S, **options)  # type: ignore[arg-type]


@pytest.fixture
def ours(kind: type[Daemon]) -> type[Daemon]:
    """Only keepvip and its drop-in."""
    if kind.kind == "keepalived":
        pytest.skip("about keepvip only")
    return kind


def ask(node: Node, *words: str) -> dict[str, Any]:
    """The JSON answer of a `keepvip` command in a node."""
    done = run_cli(node, *words, "--json")
    assert done.stdout, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def run_cli(node: Node, *words: str) -> "subprocess.CompletedProcess[str]":
    socket = node.run_directory / "keepvip" / "keepvip.sock"
    return subprocess.run(
        [str(SCRIPTS / "keepvip"), *words, "--socket", str(socket)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_first_advert_within_300_ms_of_exec(pair: Pair, ours: type[Daemon]) -> None:
    """The owner does not wait, so its first advert shows the time to start. The best of a few counts: other work on
    the machine can only make it later."""
    times_ms = [float("inf")]
    while min(times_ms) >= 300 and len(times_ms) <= 10:
        daemon = ours(pair.a, instance(priority=255, state="MASTER"))
        process = daemon.start()
        first = pair.tap.wait_advert("a", 51, timeout_s=5, since_ns=process.started_ns)
        times_ms.append((first.at_ns - process.started_ns) / 1e6)
        assert daemon.stop() == 0
    assert min(times_ms) < 300, times_ms


def test_term_and_int_stop_in_good_order(pair: Pair, kind: type[Daemon]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        daemon = kind(pair.a, v3(priority=255, state="MASTER"))
        process = daemon.start()
        pair.wait_master(pair.a, since_ns=process.started_ns)
        process.signal(number)
        assert process.wait(10) == 0
        assert "10.0.0.1" not in pair.a.addresses()
        assert pair.tap.adverts(node="a")[-1].priority == 0


def test_pid_file_names_the_process_and_goes_with_it(pair: Pair, kind: type[Daemon]) -> None:
    daemon = kind(pair.a, v3())
    process = daemon.start()
    pair.wait_master(pair.a)
    files = {
        "keepvip": ["keepvip/keepvip.pid"],
        "keepvipd": ["keepalived.pid", "vrrp.pid"],
        "keepalived": ["keepalived.pid"],
    }[kind.kind]
    for name in files:
        assert (pair.a.run_directory / name).read_text().strip() == str(process.pid)
    assert daemon.stop() == 0
    for name in files:
        assert not (pair.a.run_directory / name).exists()


def test_second_daemon_is_refused(pair: Pair, kind: type[Daemon]) -> None:
    """keepalived and its drop-in exit with 0 (vrrp-behaviour.md 17), `keepvip run` with 1."""
    kind(pair.a, v3()).start()
    pair.wait_master(pair.a)
    second = kind(pair.a, v3(priority=200), name="second").start()
    assert second.wait(10) == (1 if kind is Keepvip else 0)
    assert "running" in second.log_text()
    assert {advert.priority for advert in pair.tap.adverts(node="a")} == {100}


def test_stale_pid_file_does_not_matter(pair: Pair, kind: type[Daemon]) -> None:
    daemon = kind(pair.a, v3())
    daemon.start()
    pair.wait_master(pair.a)
    killed_ns = daemon.crash()
    daemon.start()
    pair.wait_master(pair.a, since_ns=killed_ns + 1_000_000)


def background(pair: Pair, kind: type[Daemon]) -> tuple[LabProcess, int]:
    """Start the drop-in without -n; gives the process that went and the pid of the one that stays."""
    file = pair.a.write("background.conf", v3())
    program = "keepalived" if kind.kind == "keepalived" else str(SCRIPTS / "keepvipd")
    launched = pair.a.start([program, "-f", str(file)], log="background")
    assert launched.wait(10) == 0, launched.log_text()
    pair.wait_master(pair.a)
    return launched, int((pair.a.run_directory / "keepalived.pid").read_text())


def test_background_mode(pair: Pair, kind: type[Daemon]) -> None:
    if kind is Keepvip:
        pytest.skip("`keepvip run` stays in the foreground")
    launched, pid = background(pair, kind)
    assert pid != launched.pid
    try:
        assert Path(f"/proc/{pid}/cwd").resolve() == Path("/")
        assert os.getsid(pid) != os.getsid(0)
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: reaped(pid), timeout_s=10, what="the daemon to end")
    finally:
        if not reaped(pid) and Path(f"/proc/{pid}").exists():
            os.kill(pid, signal.SIGKILL)
    assert pair.tap.adverts(node="a")[-1].priority == 0
    assert "10.0.0.1" not in pair.a.addresses()
    assert not (pair.a.run_directory / "keepalived.pid").exists()


def test_drop_in_takes_the_options_of_a_unit_file(pair: Pair) -> None:
    """Debian's unit starts ``keepalived --dont-fork $DAEMON_ARGS``; containers add -l -D -f and pid files."""
    if complaint := Keepvipd.missing():
        pytest.skip(complaint)
    options = ("--log-detail", "-P", "-R", "-p", "/run/x.pid", "-r", "/run/y.pid", "-c", "/run/z.pid", "-i", "lab")
    daemon = Keepvipd(pair.a, v3(), options=options)
    process = daemon.start()
    pair.wait_master(pair.a)
    assert (pair.a.run_directory / "x.pid").read_text().strip() == str(process.pid)
    assert daemon.stop() == 0


def test_broken_file_at_start(pair: Pair) -> None:
    if complaint := Keepvip.missing():
        pytest.skip(complaint)
    process = Keepvip(pair.a, "vrrp_instance VI_1 {\n    state BACKUP\n").start()
    assert process.wait(10) == 2
    assert "keepvip.conf:1" in process.log_text()


def test_status_and_why_agree_with_the_wire(pair: Pair, ours: type[Daemon]) -> None:
    conf = {
        priority: sync_group("VG1", "RH_EXT", "RH_INT")
        + v3(name="RH_EXT", vrid=50, priority=priority)
        + v3(name="RH_INT", vrid=2, priority=priority, interface="eth1", addresses=["192.168.1.1"])
        for priority in (100, 99)
    }
    master = ours(pair.a, conf[100])
    master.start()
    backup = ours(pair.b, conf[99])
    backup.start()
    pair.wait_master(pair.a, 50)
    pair.wait_master(pair.a, 2, address="192.168.1.1")
    wait_until(
        lambda: all(entry["master"] for entry in ask(pair.b, "status")["instances"]), timeout_s=5, what="b to hear a"
    )
    on_a = {entry["name"]: entry for entry in ask(pair.a, "status")["instances"]}
    on_b = {entry["name"]: entry for entry in ask(pair.b, "status")["instances"]}
    assert {entry["state"] for entry in on_a.values()} == {"MASTER"}
    assert {entry["state"] for entry in on_b.values()} == {"BACKUP"}
    assert (on_b["RH_EXT"]["master"], on_b["RH_EXT"]["master_priority"]) == ("10.0.0.11", 100)
    assert (on_b["RH_INT"]["master"], on_b["RH_INT"]["vrid"]) == ("192.168.1.11", 2)
    assert run_cli(pair.a, "status").returncode == 0

    killed_ns = master.crash()
    pair.wait_master(pair.b, 50, since_ns=killed_ns)
    pair.wait_master(pair.b, 2, address="192.168.1.1")
    wait_until(
        lambda: {entry["state"] for entry in ask(pair.b, "status")["instances"]} == {"MASTER"},
        timeout_s=5,
        what="b to say so",
    )
    reasons = {}
    for name in ("RH_EXT", "RH_INT"):
        newest = ask(pair.b, "why", name)["transitions"][0]
        assert (newest["old"], newest["new"]) == ("BACKUP", "MASTER")
        reasons[name] = newest["reason"]
        # Since the crash: the two were started at the same time, so b may have been master for a moment before.
        first = pair.tap.adverts(node="b", vrid=on_b[name]["vrid"], since_ns=killed_ns)[0]
        assert abs(newest["at_ns"] - first.at_ns) < 50e6
    # The member whose timer ran out last moves the group.
    assert "master_down" in reasons.values()
    assert set(reasons.values()) <= {"master_down", "sync_group"}
    down = next(name for name, reason in reasons.items() if reason == "master_down")
    evidence = ask(pair.b, "why", down)["transitions"][0]["evidence"]
    assert evidence["master_down_us"] == pytest.approx(
        down_interval_s(99, version=3, interval_s=INTERVAL_S) * 1e6, abs=2
    )
    assert evidence["master_priority"] == 100
    text = run_cli(pair.b, "why", down).stdout
    assert "BACKUP -> MASTER" in text


def test_events_are_followed(pair: Pair, ours: type[Daemon]) -> None:
    daemon = ours(pair.a, v3())
    daemon.start()
    socket = pair.a.run_directory / "keepvip" / "keepvip.sock"
    wait_until(socket.exists, timeout_s=5, what="the admin socket")
    states = []
    for event in AdminClient(str(socket)).lines("/v1/events", follow=1, since=0):
        if event["kind"] == "Transition":
            states.append(str(event["new"]))
        if len(states) == 2:
            break
    assert states in (["BACKUP", "MASTER"], ["1", "2"])


def test_reload_command_answers_with_the_plan(pair: Pair, ours: type[Daemon]) -> None:
    daemon = ours(pair.a, v3())
    daemon.start()
    pair.wait_master(pair.a)
    daemon.file.write_text(v3(addresses=["10.0.0.1", "10.0.0.7"]))
    assert run_cli(pair.a, "reload").returncode == 0
    wait_until(lambda: "10.0.0.7" in pair.a.addresses(), timeout_s=3, what="the new address")
    daemon.file.write_text("vrrp_instance VI_1 {\n")
    broken = run_cli(pair.a, "reload")
    assert broken.returncode != 0
    since_ns = time.time_ns()
    pair.tap.wait_advert("a", 51, timeout_s=2, since_ns=since_ns)
    status = run_cli(pair.a, "status")
    assert status.returncode == 1, "the configuration in the file is not the one that runs"


def test_socket_is_for_root_only(pair: Pair, ours: type[Daemon]) -> None:
    ours(pair.a, v3()).start()
    socket = pair.a.run_directory / "keepvip" / "keepvip.sock"
    wait_until(socket.exists, timeout_s=5, what="the admin socket")
    assert socket.stat().st_mode & 0o777 == 0o600
