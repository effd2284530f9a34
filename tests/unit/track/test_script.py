"""Tracked scripts as real processes: pace, time-outs, what a reload keeps, what becomes of those that cannot run."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

import pytest

from keepvip.config.model import Config, GlobalDefs, Script, Track, TrackScript, VrrpInstance
from keepvip.event import Tracked
from keepvip.track.trackers import Trackers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from keepvip.event import Event, TrackedStatus, TrackKey, TrackValue


class Bench:
    """Trackers, and what they told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, TrackValue]] = []
        self.events: list[Event] = []
        self.trackers = Trackers(lambda _, name, value: self.told.append((name, value)), self.events.append)

    def status(self, name: str = "chk") -> TrackedStatus:
        return next(found for found in self.trackers.status() if found.name == name)

    def configure(self, *scripts: TrackScript) -> dict[TrackKey, TrackValue]:
        tracks = tuple(Track(kind="script", name=script.name) for script in scripts)
        instance = VrrpInstance(name="VI_1", interface="eth0", family=4, version=2, vrid=1, tracks=tracks)
        config = Config(instances=(instance,), track_scripts=scripts, global_defs=GlobalDefs(umask=0o27))
        values = self.trackers.new_values(config)
        self.trackers.configure(config)
        return values


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.trackers.stop()


def script(path: Path, body: str, name: str = "chk", *, interval_s: float = 0.05, **fields: object) -> TrackScript:
    path = path / f"{name}.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    interval_us = int(interval_s * 1e6)
    values = {"name": name, "interval_us": interval_us, "timeout_us": interval_us} | fields
    return TrackScript(script=Script(argv=(str(path),), text=str(path)), **values)  # type: ignore[arg-type]


async def until(predicate: Callable[[], object], *, timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not predicate():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.005)


async def test_results_are_told_when_they_change_the_value(bench: Bench, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    bench.configure(script(tmp_path, f"test -e {flag} || exit 3", fall=2, timeout_us=5_000_000))
    await until(lambda: bench.told == [("chk", "bad")])
    flag.touch()
    await until(lambda: len(bench.told) == 2)
    await until(lambda: bench.status().counters["ok"] > 2)
    flag.unlink()
    await until(lambda: len(bench.told) == 3)
    assert bench.told == [("chk", "bad"), ("chk", "good"), ("chk", "bad")]
    first, _, last = bench.events
    assert isinstance(first, Tracked)
    assert isinstance(last, Tracked)
    assert (first.old, first.value, last.old, last.value) == ("unknown", "bad", "good", "bad")
    assert first.why.startswith("exit status 3 after")
    assert (last.what, last.name, last.instances) == ("script", "chk", ("VI_1",))
    found = bench.status()
    assert (found.value, found.ok, found.instances) == ("bad", False, ("VI_1",))
    assert found.result_ns is not None
    assert abs(time.time_ns() - found.result_ns) < 10e9


async def test_starts_keep_their_pace(bench: Bench, tmp_path: Path) -> None:
    """From start to start, whatever a run takes."""
    log = tmp_path / "starts"
    bench.configure(script(tmp_path, f"date +%s%N >> {log}; sleep 0.1", interval_s=0.25))
    await until(lambda: bench.status().counters["started"] >= 7)
    starts = [int(line) / 1e9 for line in log.read_text().split()][:6]
    assert abs((starts[5] - starts[0]) / 5 - 0.25) < 0.05


async def test_a_run_that_hangs_fails_in_time_and_is_never_joined_by_another(bench: Bench, tmp_path: Path) -> None:
    log = tmp_path / "starts"
    body = f"echo x >> {log}; trap '' TERM; for _ in $(seq 200); do sleep 0.05; done"
    began = time.monotonic()
    bench.configure(script(tmp_path, body, interval_s=0.1, timeout_us=300_000))
    await until(lambda: bench.told == [("chk", "bad")])
    assert time.monotonic() - began < 1.5  # not the 2 s until SIGKILL
    await until(lambda: bench.status().counters["skipped"] >= 5)
    found = bench.status()
    assert (found.detail, found.counters["timed_out"], found.counters["failed"]) == ("timed out after 0.300 s", 1, 0)
    assert found.running_us is not None
    assert log.read_text() == "x\n"
    await until(lambda: bench.status().counters["started"] >= 2)  # SIGKILL has ended the first


async def test_a_script_that_cannot_run_counts_as_not_tracked(bench: Bench, tmp_path: Path) -> None:
    broken = script(tmp_path, "exit 1")
    os.chmod(broken.script.argv[0], 0o644)  # noqa: PTH101
    bench.configure(broken)
    await until(lambda: bench.told == [("chk", "ignored")])
    assert "is not executable" in bench.status().detail
    os.chmod(broken.script.argv[0], 0o755)  # noqa: PTH101
    bench.configure(broken)
    await until(lambda: bench.told == [("chk", "ignored"), ("chk", "bad")])


async def test_init_fail_is_bad_from_the_start(bench: Bench, tmp_path: Path) -> None:
    checked = script(tmp_path, "exit 0", init_fail=True, rise=2, timeout_us=5_000_000)
    assert bench.configure(checked) == {("script", "chk"): "bad"}
    assert bench.configure(checked) == {}
    await until(lambda: bench.told == [("chk", "good")])
    assert bench.status().counters["ok"] >= 2


async def test_a_file_that_can_be_opened(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "opened"
    command = Script(argv=(f"<{path}",), text=f"<{path}")
    bench.configure(TrackScript(name="chk", script=command, opens=str(path), interval_us=50_000, timeout_us=5_000_000))
    await until(lambda: bench.told == [("chk", "bad")])
    assert bench.status().detail.endswith("cannot be opened: No such file or directory")
    path.touch()
    await until(lambda: bench.told == [("chk", "bad"), ("chk", "good")])


async def test_a_reload_keeps_what_did_not_change(bench: Bench, tmp_path: Path) -> None:
    """Same script, another interval: value and counts stay. Another script: the value stays until its first result."""
    one = script(tmp_path, "exit 0", timeout_us=5_000_000)
    bench.configure(one)
    await until(lambda: bench.status().counters["ok"] >= 2)
    bench.configure(script(tmp_path, "exit 0", interval_s=60, timeout_us=5_000_000))
    assert bench.status().counters["ok"] >= 2
    assert bench.status().value == "good"
    gate = tmp_path / "gate"
    other = script(tmp_path, f"until test -e {gate}; do sleep 0.02; done; exit 1", "other", timeout_us=20_000_000)
    bench.configure(TrackScript(name="chk", script=other.script, interval_us=60_000_000, timeout_us=20_000_000, fall=9))
    await until(lambda: bench.status().running_us)
    assert (bench.status().value, bench.told) == ("good", [("chk", "good")])
    gate.touch()
    await until(lambda: bench.told == [("chk", "good"), ("chk", "bad")])


async def test_what_a_reload_removes_is_ended(bench: Bench, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    bench.configure(script(tmp_path, f"echo $$ > {pid}.part; mv {pid}.part {pid}; exec sleep 60", interval_s=60))
    await until(pid.exists)
    bench.configure()
    assert bench.trackers.status() == []
    await until(lambda: not alive(int(pid.read_text())))
    assert bench.told == []


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_the_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    bench = Bench()
    pid = tmp_path / "pid"
    bench.configure(script(tmp_path, f"echo $$ > {pid}.part; mv {pid}.part {pid}; exec sleep 60", interval_s=60))
    await until(pid.exists)
    await bench.trackers.stop()
    await until(lambda: not alive(int(pid.read_text())))
    assert bench.told == []


async def test_an_end_that_is_not_its_own_says_nothing(bench: Bench, tmp_path: Path) -> None:
    """The process that runs scripts was killed: no result, no change, and the next run is tried in turn."""
    bench.configure(script(tmp_path, "sleep 0.2", interval_s=0.3, timeout_us=5_000_000))
    await until(lambda: bench.told == [("chk", "good")])
    await until(lambda: bench.status().running_us)
    spawner = bench.trackers._runner._spawner
    assert spawner.pid is not None
    os.kill(spawner.pid, 9)
    await until(lambda: bench.status().counters["no_result"] == 1)
    ok = bench.status().counters["ok"]
    await until(lambda: bench.status().counters["ok"] > ok)
    assert bench.told == [("chk", "good")]
