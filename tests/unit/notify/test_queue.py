"""The scripts of one owner: never two at once, never out of order, nobody waits for ever."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest

from keepvip.config.model import Script
from keepvip.notify.counters import NotifyCounters
from keepvip.notify.gate import Gate
from keepvip.notify.queue import Batch, Entry, ScriptQueue

from .tools import Scripts, command, until

if TYPE_CHECKING:
    from keepvip.script.command import Command
    from keepvip.script.runner import Runner


class Vetted:
    """Every script may run, but those whose text begins with "disabled"."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.ready.set()

    async def command(self, script: Script) -> Command | None:
        await self.ready.wait()
        if script.text == "broken":
            raise RuntimeError("a mistake of ours")
        return None if script.text.startswith("disabled") else command(*script.argv)


class Bench:
    """A queue and short ways to fill it."""

    def __init__(self, runner: Runner, scripts: Scripts) -> None:
        self.runner = runner
        self.counters = NotifyCounters()
        self.vetted = Vetted()
        self.scripts = scripts
        self.queue = self.make()

    def make(self, **settings: Any) -> ScriptQueue:
        return ScriptQueue("VI_1", self.runner, settings.pop("gate", Gate()), self.counters, **settings)

    def batch(self, *texts: str, **settings: Any) -> Batch:
        entries = []
        for text in texts:
            name, *arguments = text.split()
            path = name if name in {"broken", "disabled"} else str(self.scripts.directory / name)
            script = Script(argv=(path,), text=text)
            entries.append(Entry(keyword="notify", script=script, arguments=tuple(arguments)))
        return Batch(event=settings.pop("event", "MASTER"), entries=tuple(entries), commands=self.vetted, **settings)

    async def idle(self) -> None:
        await until(lambda: self.queue.idle)


@pytest.fixture
async def bench(runner: Runner, scripts: Scripts) -> Bench:
    scripts.write("say", 'echo "+$1" >> $LOG; sleep ${2:-0}; echo "-$1" >> $LOG')
    scripts.write("hang", 'echo "+$1" >> $LOG; sleep 100; echo "-$1" >> $LOG')
    scripts.write("deaf", 'trap "" TERM; echo "+$1" >> $LOG; while :; do sleep 0.1; done')
    return Bench(runner, scripts)


async def test_in_order_and_never_two_at_once(bench: Bench) -> None:
    for number in range(10):
        bench.queue.put(bench.batch(f"say {number}a 0.01", f"say {number}b"))
    await bench.idle()
    expected = [f"{sign}{number}{part}" for number in range(10) for part in "ab" for sign in "+-"]
    assert bench.scripts.lines == expected
    assert (bench.counters.scripts_ok, bench.counters.scripts_queued, bench.counters.scripts_waiting) == (20, 20, 0)


async def test_queues_do_not_wait_for_each_other(bench: Bench) -> None:
    other = bench.make()
    bench.queue.put(bench.batch("hang A"))
    await until(lambda: bench.scripts.lines == ["+A"])
    other.put(bench.batch("say B"))
    await until(lambda: bench.scripts.lines == ["+A", "+B", "-B"])
    await until(lambda: (bench.counters.scripts_running, bench.counters.scripts_ok) == (1, 1))


async def test_alone_it_may_run_long(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Past its time, but nothing waits: it is mentioned and left to run."""
    bench.queue = bench.make(patience_s=0.2)
    bench.queue.put(bench.batch("say A 0.8"))
    await bench.idle()
    assert bench.scripts.lines == ["+A", "-A"]
    assert "VI_1: notify `say A 0.8` still runs after 0 s; it may, as long as nothing waits behind it" in caplog.text
    assert (bench.counters.scripts_ok, bench.counters.scripts_timed_out) == (1, 0)


async def test_time_out_when_something_waits(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Its time counts from when something came to wait behind it."""
    bench.queue = bench.make(patience_s=0.5)
    bench.queue.put(bench.batch("hang A"))
    await until(lambda: "still runs" in caplog.text)
    waits_since = time.monotonic()
    bench.queue.put(bench.batch("say B"))
    await bench.idle()
    assert time.monotonic() - waits_since > 0.5
    assert bench.scripts.lines == ["+A", "+B", "-B"]
    assert (bench.counters.scripts_timed_out, bench.counters.scripts_ok) == (1, 1)
    assert "has kept others waiting for 0 s: it is ended (waiting: 1 changes)" in caplog.text
    assert "for MASTER: timed out and was ended after" in caplog.text


async def test_time_out_of_the_specific_script_lets_the_generic_one_run(bench: Bench) -> None:
    bench.queue = bench.make(patience_s=0.2)
    bench.queue.put(bench.batch("hang A", "say B"))
    await bench.idle()
    assert bench.scripts.lines == ["+A", "+B", "-B"]


async def test_failures_are_told_and_do_not_stop_the_queue(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.scripts.write("fail", "exit 7")
    bench.scripts.write("suicide", "kill -9 $$")
    bench.queue.put(bench.batch("fail", "suicide", "missing", "say A"))
    await bench.idle()
    counters = bench.counters
    assert (counters.scripts_failed, counters.scripts_not_started, counters.scripts_ok) == (2, 1, 1)
    assert "VI_1: notify `fail` for MASTER: exit status 7 after 0." in caplog.text
    assert "VI_1: notify `suicide` for MASTER: killed by SIGKILL after 0." in caplog.text
    assert "VI_1: notify `missing` for MASTER: could not be started: No such file or directory" in caplog.text


async def test_disabled_and_broken(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.queue.put(bench.batch("disabled x", "say A"))
    bench.queue.put(bench.batch("broken", "say B"))
    await bench.idle()
    assert bench.scripts.lines == ["+A", "-A", "+B", "-B"]
    assert "notify `disabled x` is disabled and was not run" in caplog.text
    assert "a mistake of ours" in caplog.text
    assert (bench.counters.scripts_dropped, bench.counters.scripts_not_started) == (1, 1)
    assert bench.counters.scripts_waiting == 0


async def test_waits_for_vetting(bench: Bench) -> None:
    bench.vetted.ready.clear()
    bench.queue.put(bench.batch("say A"))
    bench.queue.put(bench.batch("say B"))
    await asyncio.sleep(0)
    assert not bench.queue.idle
    bench.vetted.ready.set()
    await bench.idle()
    assert bench.scripts.lines == ["+A", "-A", "+B", "-B"]


async def test_too_many_waiting_drops_the_oldest(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.queue = bench.make(limit=3)
    bench.queue.put(bench.batch("say first 0.3"))
    await until(lambda: bench.scripts.lines)
    for number in range(6):
        bench.queue.put(bench.batch(f"say {number}", event=f"E{number}"))
    await bench.idle()
    assert bench.scripts.lines[2:] == ["+3", "-3", "+4", "-4", "+5", "-5"]
    assert bench.counters.scripts_dropped == 3
    assert "notify `say 0` for E0 not run: more than 3 changes wait behind notify `say first 0.3`" in caplog.text


async def test_mergeable_batches(bench: Bench) -> None:
    bench.queue.put(bench.batch("say first 0.2"))
    await until(lambda: bench.scripts.lines)
    for _ in range(5):
        bench.queue.put(bench.batch("say low", mergeable=True))
    bench.queue.put(bench.batch("say backup"))
    bench.queue.put(bench.batch("say low", mergeable=True))
    await bench.idle()
    assert bench.scripts.lines[2::2] == ["+low", "+backup", "+low"]
    assert bench.counters.scripts_merged == 4


async def stop(bench: Bench, batch: Batch | None, timeout_s: float) -> float:
    started = time.monotonic()
    await bench.queue.stop(batch, asyncio.get_running_loop().time() + timeout_s)
    return time.monotonic() - started


async def test_stop_runs_the_stop_script_last(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """What runs may finish, what waits is dropped."""
    bench.queue.put(bench.batch("say A 0.2", "say generic"))
    bench.queue.put(bench.batch("say B", event="BACKUP"))
    await until(lambda: bench.scripts.lines)
    assert await stop(bench, bench.batch("say stop", "say generic-stop", event="STOP", final=True), 5) < 4
    assert bench.scripts.lines == ["+A", "-A", "+stop", "-stop", "+generic-stop", "-generic-stop"]
    assert "notify `say B` for BACKUP not run: the daemon stops" in caplog.text
    assert bench.counters.scripts_dropped == 2
    assert bench.counters.scripts_waiting == 0


async def test_stop_makes_room_for_the_stop_script(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.queue.put(bench.batch("deaf A"))
    await until(lambda: bench.scripts.lines)
    assert await stop(bench, bench.batch("say stop", event="STOP", final=True), 3.0) < 6
    assert bench.scripts.lines == ["+A", "+stop", "-stop"]
    assert "for MASTER: ended by the stop of the daemon after" in caplog.text
    assert bench.counters.scripts_stopped == 1


async def test_stop_scripts_that_hang(bench: Bench) -> None:
    """Each gets a share of the time, so the generic one runs although the specific one hangs."""
    assert await stop(bench, bench.batch("hang stop", "say generic", event="STOP", final=True), 2.0) < 5
    assert bench.scripts.lines == ["+stop", "+generic", "-generic"]
    bench.queue = bench.make()
    assert await stop(bench, bench.batch("deaf one", "deaf two", "deaf three", event="STOP", final=True), 0.6) < 4
    assert bench.counters.scripts_running == bench.counters.scripts_waiting == 0


async def test_stop_without_a_stop_script(bench: Bench) -> None:
    """What runs and what waits get the time that there is."""
    bench.queue.put(bench.batch("say A 0.2"))
    bench.queue.put(bench.batch("say B", "deaf C", "say D"))
    await until(lambda: bench.scripts.lines)
    assert await stop(bench, None, 2.0) < 5
    assert bench.scripts.lines == ["+A", "-A", "+B", "-B", "+C"]
    assert bench.counters.scripts_dropped == 1


async def test_stop_of_an_idle_queue(bench: Bench) -> None:
    assert await stop(bench, None, 5) < 1
    assert await stop(bench, bench.batch(event="STOP", final=True), 5) < 1


async def test_stop_before_the_scripts_were_looked_at(bench: Bench) -> None:
    bench.vetted.ready.clear()
    bench.queue.put(bench.batch("say A"))
    asyncio.get_running_loop().call_later(0.1, bench.vetted.ready.set)
    assert await stop(bench, bench.batch("say stop", event="STOP", final=True), 5) < 4
    assert bench.scripts.lines == ["+stop", "-stop"]
    assert bench.counters.scripts_dropped == 1


async def test_stop_while_vetting_never_ends(bench: Bench) -> None:
    bench.vetted.ready.clear()
    assert await stop(bench, bench.batch("say stop", event="STOP", final=True), 0.2) < 1.2
    assert bench.scripts.lines == []


async def test_gate_paces_starts_but_never_blocks(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Two places: two hanging scripts keep the third waiting for the holding time and no longer."""
    caplog.set_level(logging.DEBUG)
    gate = Gate(limit=2, hold_s=0.4)
    queues = [bench.make(gate=gate) for _ in range(3)]
    started = time.monotonic()
    for queue in queues[:2]:
        queue.put(bench.batch("hang A"))
    queues[2].put(bench.batch("say B"))
    await until(lambda: "-B" in bench.scripts.lines)
    assert time.monotonic() - started > 0.4
    assert bench.scripts.lines == ["+A", "+A", "+B", "-B"]
