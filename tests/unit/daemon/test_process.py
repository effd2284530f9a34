"""systemd messages, going to the background, kernel settings, loop lag."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from keepvip.daemon import watchdog
from keepvip.daemon.lag import LagMeter
from keepvip.daemon.sysctl import PromoteSecondaries
from keepvip.daemon.systemd import Systemd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["path", "abstract"])
def notify_socket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    if request.param == "path":
        name = str(tmp_path / "notify")
        server.bind(name)
    else:
        name = f"@keepvip-test-{os.getpid()}"
        server.bind("\0" + name[1:])
    server.settimeout(10)
    with server:
        yield server, name


def test_systemd_messages(notify_socket: tuple[socket.socket, str]) -> None:
    server, name = notify_socket
    systemd = Systemd({"NOTIFY_SOCKET": name})
    systemd.ready("2 virtual routers")
    assert server.recv(4096).decode() == f"READY=1\nMAINPID={os.getpid()}\nSTATUS=2 virtual routers"
    before_us = time.monotonic_ns() // 1000
    systemd.reloading()
    first, second = server.recv(4096).decode().split("\n")
    assert first == "RELOADING=1"
    assert before_us <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    systemd.status("fine")
    systemd.stopping()
    systemd.watchdog()
    assert [server.recv(4096) for _ in range(3)] == [b"STATUS=fine", b"STOPPING=1", b"WATCHDOG=1"]


def test_no_systemd_is_no_problem(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    Systemd({}).ready("x")
    assert not caplog.records
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("x")
    assert "Cannot tell systemd 'READY'" in caplog.text


@pytest.mark.parametrize(
    ("environ", "limit_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "x"}, None),
    ],
)
def test_watchdog_time(environ: dict[str, str], limit_s: float | None) -> None:
    assert Systemd(environ).watchdog_s == limit_s


async def test_watchdog_is_silent_for_a_dead_engine(
    notify_socket: tuple[socket.socket, str], caplog: pytest.LogCaptureFixture
) -> None:
    server, name = notify_socket
    server.setblocking(False)
    systemd = Systemd({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "3000"})
    answers = [True, True]
    asked = asyncio.Semaphore(0)

    def alive() -> bool:
        asked.release()
        return answers.pop(0) if answers else False

    task = asyncio.create_task(watchdog.watch(systemd, alive))
    async with asyncio.timeout(10):
        for _ in range(5):
            await asked.acquire()
    task.cancel()
    assert [server.recv(100) for _ in range(2)] == [b"WATCHDOG=1"] * 2
    with pytest.raises(BlockingIOError):
        server.recv(100)
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]


async def test_watchdog_not_wanted() -> None:
    await watchdog.watch(Systemd({}), lambda: True)


DAEMON = """
import os, sys
from keepvip.daemon.background import detach
launch = detach()
with open(sys.argv[1], "w") as file:
    file.write(f"{os.getpid()} {os.getppid()} {os.getsid(0)} {os.getcwd()} {os.readlink('/proc/self/fd/2')}")
if sys.argv[2] != "die":
    launch.report(int(sys.argv[2]), "why" if sys.argv[2] != "0" else "")
    launch.report(99)
"""


@pytest.mark.parametrize(("word", "status"), [("0", 0), ("6", 6), ("die", 1)])
def test_background(tmp_path: Path, word: str, status: int) -> None:
    path = tmp_path / "told"
    parent = subprocess.run(
        [sys.executable, "-c", DAEMON, str(path), word], timeout=30, check=False, stderr=subprocess.PIPE
    )
    assert parent.returncode == status
    assert parent.stderr == (b"why\n" if word == "6" else b"")
    pid, _ppid, sid, cwd, stderr = path.read_text().split()
    assert pid != sid
    assert cwd == "/"
    assert stderr == "/dev/null"


def conf_tree(root: Path, **values: str) -> Path:
    for interface, value in values.items():
        (root / interface).mkdir()
        (root / interface / "promote_secondaries").write_text(f"{value}\n")
    return root


def test_promote_secondaries_is_set_and_put_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = conf_tree(tmp_path, eth0="0", eth1="0", eth2="1")

    def value(interface: str) -> str:
        return (root / interface / "promote_secondaries").read_text().strip()

    setting = PromoteSecondaries(root)
    setting.apply({"eth0", "eth2", "missing"})
    assert "missing" in caplog.text
    assert [value("eth0"), value("eth1"), value("eth2")] == ["1", "0", "1"]
    setting.apply({"eth1", "eth2"})
    assert [value("eth0"), value("eth1"), value("eth2")] == ["0", "1", "1"]
    setting.restore()
    assert [value("eth0"), value("eth1"), value("eth2")] == ["0", "0", "1"]


async def test_lag_is_measured_and_alarms(caplog: pytest.LogCaptureFixture) -> None:
    meter = LagMeter(period_s=0.001, alarm_s=0.05)
    meter.start()
    async with asyncio.timeout(10):
        while sum(meter.report().histogram) < 3:  # noqa: ASYNC110  (a counter has no event)
            await asyncio.sleep(0)
        assert meter.report().alarms == 0
        time.sleep(0.1)  # noqa: ASYNC251  (a blocked loop is what is to be measured)
        while meter.report().alarms == 0:  # noqa: ASYNC110
            await asyncio.sleep(0)
    report = meter.report()
    assert report.max_us >= 50_000
    assert "held up" in caplog.text
    meter.stop()


START = """
import sys
from keepvip.daemon import signals
signals.hold_reload()
print("reading", flush=True)
sys.stdin.read()
"""


def test_a_start_can_be_ended_but_not_by_a_reload() -> None:
    """If SIGHUP got through it would be the one that ends the process: the lowest number is delivered first."""
    for number in (signal.SIGTERM, signal.SIGINT):
        with subprocess.Popen(
            [sys.executable, "-c", START], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == b"reading\n"
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGUSR1)
            process.send_signal(number)
            assert process.wait(30) == -number
            assert process.stderr.read() == b""
