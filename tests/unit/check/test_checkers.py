"""All checks together: warm-up, sharing, reload, suspension, scripts, files."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from typing import TYPE_CHECKING, Any

import pytest

from keepvip.check import Checkers, run
from keepvip.check.files import judge
from keepvip.check.ping_range import PingRange
from keepvip.config.model import Config, Script
from keepvip.config.model_check import Checker, FileCheck, HttpCheck, MiscCheck, TcpCheck, Url
from keepvip.service_event import CheckResult, CheckTask

from .servers import Servers, target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

MS = 1000


def tcp(port: int, **more: Any) -> TcpCheck:
    given: dict[str, Any] = {"delay_loop_us": 50 * MS, "delay_before_retry_us": 20 * MS, "warmup_us": 0, "retry": 1}
    return TcpCheck(target=target(port), **(given | more))


def task(checker: Checker, name: str = "a", **more: Any) -> CheckTask:
    key = (("address", "tcp", name, 80), ("192.0.2.1", 80), checker.identity, 0)
    given: dict[str, Any] = {"up": not checker.alpha, "first": True, "service": f"VS {name}", "server": "RS"}
    return CheckTask(key=key, checker=checker, **(given | more))


class Pool:
    """What the pool of servers hears."""

    def __init__(self) -> None:
        self.heard: list[CheckResult] = []
        self.values: dict[str, int | str] = {}
        self.checkers = Checkers(self._take, file_value=lambda name: self.values.get(name, 0))

    def _take(self, results: Sequence[CheckResult]) -> None:
        self.heard += results

    async def until(self, fact: Callable[[], Any], limit_s: float = 10) -> None:
        end_s = time.monotonic() + limit_s
        while not fact():
            assert time.monotonic() < end_s, f"it did not come to pass; heard: {self.heard}"
            await asyncio.sleep(0.005)

    def apply(self, tasks: Sequence[CheckTask]) -> None:
        self.checkers.apply(tasks, Config())

    def says(self, name: str = "a") -> list[bool]:
        return [result.up for result in self.heard if result.key[0][2] == name]


@pytest.fixture
async def pool(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    monkeypatch.setattr(run, "FIRST_S", 0.01)
    made = Pool()
    yield made
    await made.checkers.stop()


class Switch:
    """A server that can be turned off and on at the same port."""

    def __init__(self) -> None:
        self.port = 0
        self.accepted = 0
        self._server: asyncio.Server | None = None

    async def on(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        await reader.read()
        writer.close()

    async def off(self) -> None:
        if self._server is not None:
            self._server.close()
            await asyncio.sleep(0)


@pytest.fixture
async def switch() -> AsyncIterator[Switch]:
    made = Switch()
    await made.on()
    yield made
    await made.off()


async def test_down_and_up_again(pool: Pool, switch: Switch) -> None:
    """Told are the first result and changes, and nothing else."""
    check = tcp(switch.port)
    pool.apply([task(check)])
    await pool.until(lambda: switch.accepted > 3)
    assert pool.says() == [True]
    await switch.off()
    await pool.until(lambda: pool.says() == [True, False])
    down = pool.heard[-1]
    assert (down.reason, down.mail) == ("connection refused", "=> TCP CHECK failed on service <=")
    status = pool.checkers.status(task(check).key)
    assert status is not None
    assert (status.up, status.ran, status.reason) == (False, True, "connection refused")
    assert status.since == pytest.approx(time.time(), abs=5)
    await switch.on()
    await pool.until(lambda: pool.says() == [True, False, True])
    assert pool.heard[-1].mail == "=> TCP CHECK succeed on service <="
    counters = pool.checkers.counters()
    assert counters["changes"] == 2
    assert counters["started"] >= counters["ok"] + counters["failed"]


async def test_alpha_hears_of_its_first_failure(pool: Pool, free_port: int) -> None:
    pool.apply([task(tcp(free_port, alpha=True))])
    await pool.until(lambda: pool.says() == [False])
    await pool.until(lambda: pool.checkers.counters()["failed"] > 3)
    assert pool.says() == [False]


async def test_warmup_spreads_the_first_checks(pool: Pool, switch: Switch) -> None:
    tasks = [task(tcp(switch.port, warmup_us=600 * MS, retry=number), str(number)) for number in range(100)]
    began = time.monotonic()
    at: dict[str, float] = {}
    pool.apply(tasks)

    def all_heard() -> bool:
        for result in pool.heard:
            at.setdefault(result.key[0][2], time.monotonic() - began)
        return len(at) == 100

    await pool.until(all_heard)
    thirds = [sum(low <= when < low + 0.2 for when in at.values()) for low in (0.0, 0.2, 0.4)]
    assert all(count > 10 for count in thirds), thirds


async def test_the_same_check_is_carried_out_once(pool: Pool, switch: Switch) -> None:
    check = tcp(switch.port)
    pool.apply([task(check, str(number)) for number in range(50)])
    await pool.until(lambda: len(pool.heard) == 50)
    assert {result.key[0][2] for result in pool.heard} == {str(number) for number in range(50)}
    assert (pool.checkers.counters()["checkers"], pool.checkers.counters()["probed"]) == (50, 1)
    assert pool.checkers.counters()["started"] < 10
    await switch.off()
    await pool.until(lambda: len(pool.heard) == 100)
    # A server that joins by a reload hears at once what is known.
    pool.apply([task(check, "new"), task(check, "0")])
    await pool.until(lambda: pool.says("new") == [False])
    assert pool.says("0") == [True, False]


async def test_a_reload_keeps_what_is_known(pool: Pool, switch: Switch) -> None:
    check = tcp(switch.port, retry=3, delay_before_retry_us=30 * MS)
    pool.apply([task(check)])
    await pool.until(lambda: pool.says() == [True])
    await switch.off()
    await pool.until(lambda: pool.says() == [True, False])
    # Another timing is the same check: it stays down and does not tell so again.
    slower = tcp(switch.port, retry=1, delay_loop_us=40 * MS)
    assert slower.identity == check.identity
    before = pool.checkers.counters()["failed"]
    pool.apply([task(slower, up=False, first=False)])
    await pool.until(lambda: pool.checkers.counters()["failed"] > before + 2)
    assert pool.says() == [True, False]
    # Another target is another check, which starts as the pool says.
    pool.apply([task(tcp(switch.port, log_all_failures=True), "b")])
    await pool.until(lambda: pool.says("b") == [False])
    assert pool.says("a") == [True, False]


async def test_suspended_checks_keep_their_result(pool: Pool, switch: Switch) -> None:
    check = tcp(switch.port)
    pool.apply([task(check)])
    await pool.until(lambda: pool.says() == [True])
    service = task(check).key[0]
    pool.checkers.suspend(service, True)
    await asyncio.sleep(0.1)
    accepted = switch.accepted
    await switch.off()
    await asyncio.sleep(0.3)
    assert pool.says() == [True]
    await switch.on()
    await asyncio.sleep(0.1)
    assert switch.accepted == accepted
    await switch.off()
    pool.checkers.suspend(service, False)
    await pool.until(lambda: pool.says() == [True, False])


async def test_one_of_two_is_suspended(pool: Pool, switch: Switch) -> None:
    check = tcp(switch.port)
    pool.apply([task(check, "a"), task(check, "b", suspended=True)])
    await pool.until(lambda: pool.says("a") == [True])
    await switch.off()
    await pool.until(lambda: pool.says("a") == [True, False])
    assert pool.says("b") == []
    pool.checkers.suspend(task(check, "b").key[0], False)
    await pool.until(lambda: pool.says("b") == [False])


async def test_a_problem_of_this_host_says_nothing(
    pool: Pool, switch: Switch, caplog: pytest.LogCaptureFixture
) -> None:
    here = target(switch.port, bind_address="192.0.2.99")
    check = TcpCheck(target=here, delay_loop_us=20 * MS, warmup_us=0)
    pool.apply([task(check)])
    await pool.until(lambda: pool.checkers.counters()["not_possible"] >= 3)
    assert pool.heard == []
    told = [record.message for record in caplog.records if "cannot be carried out" in record.message]
    assert told == ["TCP_CHECK RS of VS a cannot be carried out: cannot assign requested address"]


async def test_all_pages_in_turn(pool: Pool, servers: Servers) -> None:
    port = await servers.http(b"HTTP/1.0 200 OK\r\n\r\n")
    check = HttpCheck(
        target=target(port),
        urls=(Url(path="/a"), Url(path="/b"), Url(path="/c")),
        alpha=True,
        delay_loop_us=20 * MS,
        warmup_us=0,
    )
    pool.apply([task(check)])
    await pool.until(lambda: pool.says() == [True])
    assert [request.split()[1] for request in servers.requests[:3]] == [b"/a", b"/b", b"/c"]


async def test_log_all_failures(pool: Pool, switch: Switch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    pool.apply([task(tcp(switch.port, retry=2, log_all_failures=True))])
    await pool.until(lambda: pool.says() == [True])
    await switch.off()
    await pool.until(lambda: pool.says() == [True, False])
    told = [record.message for record in caplog.records if "TCP_CHECK" in record.message]
    assert told == [
        "TCP_CHECK RS of VS a failed (1 of 2 retries): connection refused",
        "TCP_CHECK RS of VS a failed (2 of 2 retries): connection refused",
        "TCP_CHECK RS of VS a failed: connection refused",
    ]


# scripts


def script(path: Path, text: str) -> Script:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Script(argv=(str(path),), text=str(path))


def misc(command: Script, **more: Any) -> MiscCheck:
    given: dict[str, Any] = {
        "delay_loop_us": 200 * MS,
        "delay_before_retry_us": 100 * MS,
        "warmup_us": 0,
        "retry": 0,
        "timeout_us": 5000 * MS,
    }
    return MiscCheck(script=command, **(given | more))


async def test_exit_statuses_and_dynamic_weight(pool: Pool, tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("0")
    check = misc(script(tmp_path / "check", f"exit $(cat {status})"), dynamic=True)
    pool.apply([task(check, weight=10)])
    heard = pool.heard
    await pool.until(lambda: [(r.up, r.weight_delta) for r in heard] == [(True, 0)])
    status.write_text("17")
    await pool.until(lambda: (heard[-1].up, heard[-1].weight_delta) == (True, 5))
    status.write_text("0")
    await pool.until(lambda: (heard[-1].up, heard[-1].weight_delta) == (True, 0))
    status.write_text("1")
    await pool.until(lambda: (heard[-1].up, heard[-1].weight_delta) == (False, 0))
    assert heard[-1].mail == "=> MISC CHECK failed on service <="
    status.write_text("2")
    await pool.until(lambda: (heard[-1].up, heard[-1].weight_delta) == (True, -10))
    assert len(heard) == 5


async def test_without_dynamic_everything_but_0_is_a_failure(pool: Pool, tmp_path: Path) -> None:
    pool.apply([task(misc(script(tmp_path / "check", "exit 2")))])
    await pool.until(lambda: pool.says() == [False])


async def test_a_script_that_takes_too_long(pool: Pool, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    check = misc(script(tmp_path / "check", f"echo $$ > {pid}; exec sleep 60"), timeout_us=300 * MS)
    pool.apply([task(check)])
    await pool.until(lambda: pool.says() == [False])
    assert pool.heard[0].mail == "=> MISC CHECK timed out on service <="
    pool.apply([])
    number = int(pid.read_text())
    await pool.until(lambda: not alive(number))


async def test_a_reload_ends_scripts(pool: Pool, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    pool.apply([task(misc(script(tmp_path / "check", f"echo $$ > {pid}; exec sleep 60"), timeout_us=10**8))])
    await pool.until(lambda: pid.exists() and pid.read_text().strip())
    number = int(pid.read_text())
    pool.apply([])
    await pool.until(lambda: not alive(number))
    assert pool.heard == []


async def test_the_stop_ends_scripts_that_do_not_want_to(pool: Pool, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    stubborn = script(tmp_path / "check", f"trap '' TERM; echo $$ > {pid}; while :; do sleep 0.05; done")
    pool.apply([task(misc(stubborn, timeout_us=10**8))])
    await pool.until(lambda: pid.exists() and pid.read_text().strip())
    number = int(pid.read_text())
    await pool.checkers.stop()
    assert not alive(number)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_script_that_cannot_run_says_nothing_against_the_server(pool: Pool, tmp_path: Path) -> None:
    missing = Script(argv=(str(tmp_path / "missing"),), text="missing")
    pool.apply([task(misc(missing, alpha=True))])
    await pool.until(lambda: pool.says() == [True])
    assert "does not exist" in pool.heard[0].reason


# files


@pytest.mark.parametrize(
    ("value", "weight", "reverse", "expected"),
    [
        (0, 0, False, (True, 0)),
        (1, 0, False, (False, 0)),
        (-1, 0, False, (False, 0)),
        (0, 0, True, (False, 0)),
        (5, 0, True, (True, 0)),
        (5, 3, False, (True, 15)),
        (5, 3, True, (True, -15)),
        (-5, 3, False, (True, -15)),
        (-2_147_483_648, 1, False, (False, 0)),
        (2_147_483_647, -2, False, (False, 0)),
        (-2_147_483_647, 1, False, (True, -2_147_483_647)),
    ],
)
def test_what_a_number_means(value: int, weight: int, reverse: bool, expected: tuple[bool, int]) -> None:
    assert judge(value, weight, reverse=reverse) == expected


async def test_file_check(pool: Pool) -> None:
    pool.values["load"] = 3
    check = FileCheck(track_file="load", weight=2)
    failing = FileCheck(track_file="load", weight=0)
    pool.apply([task(check, "a"), task(failing, "b")])
    await pool.until(lambda: len(pool.heard) == 2)
    assert [(result.up, result.weight_delta) for result in pool.heard] == [(True, 6), (False, 0)]
    assert pool.heard[0].mail == ""
    pool.checkers.file_changed("load", 0)
    pool.checkers.file_changed("other", 9)
    await pool.until(lambda: len(pool.heard) == 4)
    assert [(result.up, result.weight_delta) for result in pool.heard[2:]] == [(True, 0), (True, 0)]
    status = pool.checkers.status(task(check, "a").key)
    assert status is not None
    assert status.reason == "load is 0"


# the host


def test_ping_group_range(tmp_path: Path) -> None:
    path = tmp_path / "range"
    path.write_text("1\t0\n")
    widened = PingRange(path)
    widened.widen()
    assert path.read_text() == "0 0"
    widened.widen()
    widened.restore()
    assert path.read_text() == "1\t0\n"
    path.write_text("0\t2147483647\n")
    widened.widen()
    widened.restore()
    assert path.read_text() == "0\t2147483647\n"


async def test_a_thousand_checks_hold_up_nothing(pool: Pool, switch: Switch, free_port: int) -> None:
    """All due at the same moment: the loop takes them in turns. Its own work counts, not what others take from it."""
    tasks = [task(tcp(switch.port if number % 2 else free_port, retry=number), str(number)) for number in range(1000)]
    worst = 0.0

    async def watch() -> None:
        nonlocal worst
        while True:
            began = time.thread_time()
            await asyncio.sleep(0.01)
            worst = max(worst, time.thread_time() - began)

    watcher = asyncio.create_task(watch())
    pool.apply(tasks)
    await pool.until(lambda: len({result.key for result in pool.heard}) == 1000)
    watcher.cancel()
    assert {result.up for result in pool.heard if int(result.key[0][2]) % 2 == 0} == {False}
    assert worst < 1.0
