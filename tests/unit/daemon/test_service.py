"""The wiring: events to everybody, reloads, the stop, with an engine that only pretends."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from keepvip.admin.client import AdminClient, AnswerError
from keepvip.config.model import GlobalDefs, PacketFilter
from keepvip.config.plan import plan
from keepvip.daemon import signals
from keepvip.daemon.eventlog import EventLog
from keepvip.daemon.service import Service
from keepvip.daemon.settings import ExitStatus, Settings
from keepvip.daemon.sysctl import PromoteSecondaries
from keepvip.daemon.systemd import Systemd
from keepvip.event import AddressRestored, EventsLost, Stopped, Transition

from . import make
from .fakes import FakeEngine, FakeNotifier, config, loaded, now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from keepvip.config.model import Config
    from keepvip.daemon.loading import Loaded
    from keepvip.daemon.reload import Outcome


class Files:
    """The configuration on "disk": what the next reading gives."""

    def __init__(self) -> None:
        self.next: Loaded | Exception = loaded(config("VI_1"))
        self.reads = 0
        self.gate = threading.Event()
        self.gate.set()

    def read(self) -> Loaded:
        self.reads += 1
        assert self.gate.wait(30)
        if isinstance(self.next, Exception):
            raise self.next
        return self.next


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    engine = FakeEngine()
    yield engine
    engine.close()


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[tuple[Systemd, socket.socket]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "notify"))
        server.setblocking(False)
        yield Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify")}), server


class Running:
    """A service, its task, and what it works with."""

    def __init__(self, service: Service, task: asyncio.Task[int], engine: FakeEngine, files: Files) -> None:
        self.service = service
        self.task = task
        self.engine = engine
        self.files = files
        self.client = AdminClient(str(service.socket))

    @property
    def notifier(self) -> FakeNotifier:
        assert isinstance(self.service._notifier, FakeNotifier)
        return self.service._notifier

    async def ask(self, path: str, /, **query: Any) -> dict[str, Any]:
        return await asyncio.to_thread(self.client.get, path, **query)

    async def reload(self) -> Outcome:
        return await self.service.reloader.request()


async def until(condition: Callable[[], bool]) -> None:
    """Turns the loop until something holds."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  (conditions of many kinds)
            await asyncio.sleep(0)


@pytest.fixture
async def running(
    engine: FakeEngine, files: Files, tmp_path: Path, systemd: tuple[Systemd, socket.socket]
) -> AsyncIterator[Running]:
    service = Service(
        Settings(config_path="/etc/k.conf"),
        engine,
        loaded(config("VI_1")),
        read=files.read,
        plan=lambda old, new: plan(old, new).lines(),
        notifier=FakeNotifier,
        socket=tmp_path / "admin.sock",
        systemd=systemd[0],
        sysctl=PromoteSecondaries(tmp_path),
    )
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    signals.block()
    task = asyncio.create_task(service.run())
    await until(service.socket.exists)
    yield Running(service, task, engine, files)
    files.gate.set()
    service.request_stop("end of the test")
    await task
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def test_events_reach_everybody(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "keepvip")
    running.engine.happen(make.transition(**now()), EventsLost(**now(), count=2))
    await until(lambda: running.service.feed.seq == 2)
    assert [type(event) for event in running.notifier.events] == [Transition, EventsLost]
    assert running.notifier.resynced == [running.engine.shot]
    assert running.notifier.started
    assert [event.seq for event in running.service.feed.since(0)] == [1, 2]
    assert (await running.ask("/v1/why", name="VI_1"))["transitions"][0]["reason"] == "master_down"
    lines = [record for record in caplog.records if record.name == "keepvip.vrrp"]
    assert lines[0].getMessage().startswith("(VI_1) Entering MASTER STATE")
    assert lines[0].__dict__["fields"] == {"EVENT": "Transition", "INSTANCE": "VI_1", "VRID": "1"}
    assert lines[1].levelno == logging.ERROR


async def test_no_consumer_keeps_an_event_from_the_others(
    running: Running, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_event: object) -> None:
        msg = "a bug"
        raise RuntimeError(msg)

    monkeypatch.setattr(running.service.journal, "record", fail)
    running.engine.happen(make.transition(**now()), make.transition(**now()))
    await until(lambda: len(running.notifier.events) == 2)
    assert caplog.text.count("Cannot handle Transition") == 2


async def test_floods_are_counted_and_transitions_never(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "keepvip")
    log = EventLog(period_s=0.001, lines=2)
    log.configure(config("VI_1"))
    for count in range(50):
        log.write(AddressRestored(**now(), instance="VI_1", address="10.0.0.1", interface="eth0", count=count))
        log.write(make.transition())
    await until(lambda: "more" in caplog.text)
    lines = [record.getMessage() for record in caplog.records]
    assert sum("put it back" in line for line in lines) == 2
    assert sum("Entering MASTER" in line for line in lines) == 50
    assert lines[-1] == "(VI_1) 48 more AddressRestored events in 0 s (see `keepvip events`)"
    assert caplog.records[-1].__dict__["fields"]["VRID"] == "1"
    log.write(AddressRestored(**now(), instance="VI_1", address="10.0.0.1", interface="eth0", count=51))
    assert "put it back" in caplog.records[-1].getMessage()


async def test_status(running: Running) -> None:
    answer = await running.ask("/v1/status")
    assert answer["daemon"]["pid"] == os.getpid()
    assert answer["notify"]["mails_sent"] == 3
    assert answer["engine"]["notices"] == ["no real-time scheduling"]
    assert answer["health"] == {"ok": True, "problems": []}
    running.engine.is_alive = False
    with pytest.raises(AnswerError) as caught:
        await running.ask("/v1/health")
    assert caught.value.data["problems"] == ["the engine does not answer"]


async def test_reload_by_plan(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "keepvip")
    running.files.next = loaded(config("VI_1", "VI_2"))
    answer = await asyncio.to_thread(running.client.post, "/v1/reload")
    assert answer["ok"]
    assert answer["steps"] == ["+ VI_2: starts"]
    assert answer["message"] == "Reloaded: 1 change"
    assert [len(applied.instances) for applied in running.engine.applied] == [2]
    assert [len(seen.instances) for seen in running.notifier.configs] == [1, 2]
    assert "+ VI_2: starts" in caplog.text
    assert (await running.reload()).message == "Reloaded: nothing has changed"


async def test_plan_changes_nothing(running: Running, tmp_path: Path) -> None:
    path = tmp_path / "new.conf"
    path.write_text("vrrp_instance b {\ninterface lo0\nvirtual_router_id 9\nvirtual_ipaddress {\n192.0.2.1\n}\n}\n")
    answer = await running.ask("/v1/plan", path=str(path))
    assert not answer["ok"]
    assert answer["message"] == "A reload would be refused: 1 error in the configuration"
    assert [found["code"] for found in answer["diagnostics"]] == ["unknown-interface"]
    path.write_text("global_defs {\ndynamic_interfaces\n}\n" + path.read_text())
    answer = await running.ask("/v1/plan", path=str(path))
    assert answer["ok"], answer
    assert answer["steps"][:2] == ["+ b: starts", "- VI_1: ends, its addresses are removed"]
    assert answer["plan"]["added"] == ["b"]
    assert answer["message"].startswith("A reload would make ")
    assert running.engine.applied == []
    assert not (await running.ask("/v1/config"))["stale"]
    assert not (await running.ask("/v1/plan", path="/no/such/file"))["ok"]


async def test_broken_file_changes_nothing_and_says_so(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    running.files.next = loaded(config("VI_9"), "first slip", "second slip")
    with pytest.raises(AnswerError) as caught:
        await asyncio.to_thread(running.client.post, "/v1/reload")
    assert caught.value.status == 409
    assert (
        caught.value.data["message"] == "Reload refused: 2 errors in the configuration; the old configuration goes on"
    )
    assert running.engine.applied == []
    assert [instance.name for instance in running.service.config.instances] == ["VI_1"]
    assert "first slip" in caplog.text
    assert "second slip" in caplog.text
    view = await running.ask("/v1/config")
    assert view["stale"]
    assert [found["message"] for found in view["diagnostics"]] == ["first slip", "second slip"]
    assert any(
        "last reload was refused" in problem for problem in (await running.ask("/v1/status"))["health"]["problems"]
    )
    running.files.next = loaded(config("VI_1"))
    assert (await running.reload()).ok
    assert not (await running.ask("/v1/config"))["stale"]


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (config("VI_1", net_namespace="blue"), "net_namespace cannot change without a restart"),
        (config("VI_1", instance_name="blue"), "instance cannot change without a restart"),
        (
            config("VI_1", global_defs=GlobalDefs(packet_filter=PacketFilter(table="mine"))),
            "nftables cannot change without a restart",
        ),
    ],
)
async def test_what_cannot_change_is_refused(running: Running, made: Config, why: str) -> None:
    running.files.next = loaded(made)
    outcome = await running.reload()
    assert not outcome.ok
    assert why in outcome.message
    assert running.engine.applied == []


async def test_engine_may_refuse(running: Running) -> None:
    running.engine.refuse = "vrid out of range"
    outcome = await running.reload()
    assert not outcome.ok
    assert "the engine refuses it: vrid out of range" in outcome.message
    assert running.service.reloader.stale


async def test_a_bug_in_the_compiler_changes_nothing(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    running.files.next = RuntimeError("a bug")
    outcome = await running.reload()
    assert outcome.message == "Reload refused: internal error, see the log; the old configuration goes on"
    assert "a bug" in caplog.text
    assert not running.task.done()


async def test_reloads_never_overlap_and_are_never_lost(running: Running) -> None:
    running.files.gate.clear()
    first = running.service.reloader.request()
    await until(lambda: running.files.reads == 1)
    waiting = {running.service.reloader.request() for _ in range(5)}
    assert len(waiting) == 1
    running.files.next = loaded(config("VI_1", "VI_2"))
    running.files.gate.set()
    await first
    await waiting.pop()
    assert running.files.reads == 2
    assert len(running.service.config.instances) == 2


async def test_loop_turns_while_files_are_read(running: Running) -> None:
    running.files.gate.clear()
    task = running.service.reloader.request()
    assert (await running.ask("/v1/health"))["ok"]
    running.files.gate.set()
    await task


async def test_sighup_reloads_and_sigterm_stops(
    running: Running,
    systemd: tuple[Systemd, socket.socket],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    caplog.set_level(logging.INFO, "keepvip")
    os.kill(os.getpid(), signal.SIGHUP)
    await until(lambda: running.files.reads == 1 and "Reloaded" in caplog.text)
    os.kill(os.getpid(), signal.SIGUSR1)
    await until(lambda: f"Written: {tmp_path}/keepalived.data" in caplog.text)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running.task == ExitStatus.OK
    assert running.engine.calls == ["stop release=True", "join"]
    assert running.notifier.stopped_after_s == 1.0
    assert isinstance(running.notifier.events[-1], Stopped)
    assert not running.service.socket.exists()
    told = []
    while True:
        try:
            told.append(systemd[1].recv(4096).decode().split("\n")[0])
        except BlockingIOError:
            break
    assert told == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]


async def test_stop_does_not_wait_for_a_hanging_reload(running: Running) -> None:
    running.files.gate.clear()
    task = running.service.reloader.request()
    await until(lambda: running.files.reads == 1)
    running.service.request_stop("test")
    assert await running.task == ExitStatus.OK
    assert task.cancelled()


async def test_engine_that_dies_ends_the_daemon_with_a_failure(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.engine.die()
    assert await running.task == ExitStatus.SOFTWARE
    assert "The engine has failed: a panic" in caplog.text
    assert running.engine.calls == ["stop release=True", "join"]


async def test_engine_that_hangs_does_not_hold_the_stop(
    running: Running, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keepvip.daemon.service.ENGINE_STOP_S", 0.01)
    running.engine.hangs = True
    running.service.request_stop("test")
    assert await running.task == ExitStatus.SOFTWARE
    assert "addresses may be left behind" in caplog.text
    assert running.engine.calls == ["stop release=True"]


async def test_daemon_lives_without_its_socket(
    engine: FakeEngine, files: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    service = Service(
        Settings(), engine, loaded(config("VI_1")), read=files.read, plan=lambda _old, _new: [], notifier=FakeNotifier,
        socket=tmp_path / "file" / "x.sock", systemd=Systemd({}), sysctl=PromoteSecondaries(tmp_path),
    )  # fmt: skip
    task = asyncio.create_task(service.run())
    await until(lambda: "No admin socket" in caplog.text)
    assert not task.done()
    service.request_stop("test")
    assert await task == ExitStatus.OK
