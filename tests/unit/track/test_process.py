"""Tracked processes: who counts, and when a change is believed (vrrp-behaviour.md 9, config-keywords.md 9)."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from keepvip.config.model import Config, GlobalDefs, Track, VrrpInstance
from keepvip.config.model_track import TrackProcess
from keepvip.track.match import ProcessFacts, facts_of, is_meant
from keepvip.track.process import ProcessCounter
from keepvip.track.trackers import Trackers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


def process(**fields: Any) -> TrackProcess:
    return TrackProcess(**({"name": "p", "process": "sleep"} | fields))


SLEEP = ProcessFacts(b"sleep", (b"sleep", b"12", b"345"))


@pytest.mark.parametrize(
    ("fields", "meant"),
    [
        ({}, True),
        ({"process": "sleeping"}, False),
        ({"process": "/bin/sleep"}, False),
        ({"command_line": True}, True),
        ({"command_line": True, "match": "exact"}, False),
        ({"command_line": True, "match": "exact", "arguments": ("12",)}, False),
        ({"command_line": True, "match": "exact", "arguments": ("12", "345")}, True),
        ({"command_line": True, "match": "partial", "arguments": ("12",)}, True),
        ({"command_line": True, "match": "partial", "arguments": ("1",)}, False),
        ({"command_line": True, "match": "partial"}, True),
        ({"command_line": True, "match": "initial", "arguments": ("1",)}, True),
        ({"command_line": True, "match": "initial", "arguments": ("12", "34")}, True),
        ({"command_line": True, "match": "initial", "arguments": ("1", "345")}, False),
        ({"command_line": True, "match": "initial", "arguments": ("12", "345", "")}, False),
        ({"command_line": True, "match": "initial"}, True),
    ],
)
def test_who_counts(fields: dict[str, Any], meant: bool) -> None:
    assert is_meant(process(**fields), SLEEP) is meant


def test_a_name_ends_after_15_octets() -> None:
    assert is_meant(process(process="a-very-long-process-name"), ProcessFacts(b"a-very-long-pro", None))


def test_a_process_that_has_ended_does_not_count() -> None:
    child = subprocess.Popen(["/bin/true"])
    deadline = time.monotonic() + 10
    while facts_of(child.pid, command_line=True) is not None:  # a zombie, until we wait for it
        assert time.monotonic() < deadline
    assert child.wait() == 0
    own = facts_of(os.getpid(), command_line=True)
    assert own is not None
    assert own.argv


class Bench:
    def __init__(self, **fields: Any) -> None:
        self.values: list[str] = []
        self.counter = ProcessCounter(process(**fields), lambda value, _why: self.values.append(value))
        self.counter.replace(set(), at_once=True)


async def test_quorum_and_its_upper_end() -> None:
    bench = Bench(quorum=2, quorum_max=3)
    for number in range(4):
        bench.counter.add(number)
    bench.counter.discard(0)
    bench.counter.discard(99)
    assert bench.values == ["bad", "good", "bad", "good"]
    assert bench.counter.detail == "3 processes, 2 to 3 wanted"


async def test_it_must_not_run() -> None:
    bench = Bench(quorum=0, quorum_max=0)
    bench.counter.add(1)
    assert bench.values == ["good", "bad"]


async def test_a_short_loss_is_not_believed() -> None:
    bench = Bench(terminate_delay_us=150_000)
    bench.counter.add(1)
    bench.counter.discard(1)
    bench.counter.add(2)
    await asyncio.sleep(0.3)
    assert bench.values == ["bad", "good"]
    lost_s = time.monotonic()
    bench.counter.discard(2)
    while bench.values[-1] == "good":
        assert time.monotonic() < lost_s + 10
        await asyncio.sleep(0.005)
    assert time.monotonic() - lost_s > 0.14


async def test_a_gain_is_believed_after_its_delay() -> None:
    bench = Bench(fork_delay_us=100_000)
    bench.counter.add(1)
    assert bench.values == ["bad"]
    assert bench.counter.fork_timer is not None
    deadline = time.monotonic() + 10
    while bench.values[-1] == "bad":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def start(*argv: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(argv)


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[tuple[list[object], Trackers, str]]:
    values: list[object] = []
    trackers = Trackers(lambda _kind, _name, value: values.append(value), lambda _event: None)
    program = tmp_path / "kv-tracked"
    program.symlink_to("/bin/sleep")
    yield values, trackers, str(program)
    await trackers.stop()


async def until(values: list[object], *wanted: object) -> None:
    deadline = time.monotonic() + 10
    while tuple(values) != wanted:
        assert time.monotonic() < deadline, f"{values}, wanted {wanted}"
        await asyncio.sleep(0.005)


def config(one: TrackProcess) -> Config:
    tracks = (Track(kind="process", name="p"),)
    instance = VrrpInstance(name="VI_1", interface="eth0", family=4, version=2, vrid=1, tracks=tracks)
    return Config(instances=(instance,), track_processes=(one,))


@pytest.mark.root
async def test_real_processes(told: tuple[list[object], Trackers, str]) -> None:
    values, trackers, program = told
    trackers.configure(config(process(process="kv-tracked", quorum=2)))
    await until(values, "bad")
    one = start(program, "60")
    two = start(program, "60")
    try:
        await until(values, "bad", "good")
    finally:
        for child in (one, two):
            child.kill()
            child.wait()
    await until(values, "bad", "good", "bad")


@pytest.mark.root
async def test_lost_events_are_made_up_for(told: tuple[list[object], Trackers, str]) -> None:
    """The receive buffer is too small for what happens while nobody reads."""
    values, trackers, program = told
    one = process(process=program, arguments=("61",), match="exact", command_line=True)
    trackers.configure(msgspec.structs.replace(config(one), global_defs=GlobalDefs(process_monitor_rcv_bufs=2048)))
    await until(values, "bad")
    for _ in range(60):
        start("/bin/true").wait()
    child = start(program, "61")
    try:
        await until(values, "bad", "good")
        (status,) = trackers.status()
        assert status.counters["rescans"] > 0
    finally:
        child.kill()
        child.wait()
    await until(values, "bad", "good", "bad")
