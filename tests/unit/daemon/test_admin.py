"""The API over a real Unix socket: routes, refusals, streams, broken clients."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from typing import TYPE_CHECKING, Any

import pytest

from keepvip.admin import views
from keepvip.admin.api import Api
from keepvip.admin.client import AdminClient, AnswerError, UnreachableError
from keepvip.admin.http import BODY_LIMIT, HEAD_LIMIT
from keepvip.admin.model import (
    ConfigView,
    DaemonView,
    EngineView,
    Health,
    LogView,
    LoopView,
    PlanAnswer,
    ReloadAnswer,
    ServerAnswer,
    Status,
    WhyAnswer,
)
from keepvip.admin.model_service import ServicesView
from keepvip.admin.server import MAX_CONNECTIONS, AdminServer, SocketInUseError
from keepvip.config.model import Config, SyncGroup, Unicast, UnicastPeer, VirtualAddress, VrrpInstance
from keepvip.event import Notice, State, TrackedStatus
from keepvip.observe.feed import Feed
from keepvip.observe.journal import Journal

from . import make

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CONFIG = Config(
    instances=(
        VrrpInstance(
            name="VI_2", interface="eth1", family=4, version=2, vrid=2,
            addresses=(VirtualAddress(address="192.168.1.1", prefix_len=24, family=4, dev="br0"),),
        ),
        VrrpInstance(name="VI_1", interface="eth0", family=4, version=2, vrid=50),
        VrrpInstance(
            name="VI_3", interface=None, family=4, version=2, vrid=3,
            source="10.0.0.11", unicast=Unicast(peers=(UnicastPeer(address="10.0.0.12"),)),
        ),
    ),
    sync_groups=(SyncGroup(name="VG1", members=("VI_1", "VI_2")),),
)  # fmt: skip


class FakeSubject:
    """Answers from made-up facts."""

    def __init__(self) -> None:
        self.feed = Feed()
        self.journal = Journal()
        self.snapshot = make.snapshot(make.status("VI_1"), make.status("VI_2", vrid=2))
        self.reload_ok = True
        self.broken = False
        self.tracked: list[TrackedStatus] = []
        self.services = ServicesView()
        self.refreshed = 0

    def status(self) -> Status:
        if self.broken:
            msg = "a bug"
            raise RuntimeError(msg)
        return Status(
            health=self.health(),
            daemon=DaemonView(version="0", pid=1, started_ns=0, now_ns=0, router_id="node1"),
            config=self.config(),
            engine=EngineView(
                alive=True, late_histogram=[], rx_overruns=0, netlink_resyncs=0, wakeups=0, realtime=True,
                memory_locked=True, receive="filter", send="auto", notices=[],
            ),
            loop=LoopView(lag_last_us=0, lag_max_us=0, lag_alarms=0, lag_histogram=[]),
            log=LogView(dropped=0, failed=0),
            notify={},
            groups=views.groups(self.snapshot, CONFIG),
            instances=views.instances(self.snapshot, CONFIG, self.journal),
            tracked=self.tracked,
            services=self.services,
        )  # fmt: skip

    async def refresh(self) -> None:
        self.refreshed += 1

    async def server(
        self, service: str, server: str, action: str, weight: int | None, for_s: int | None
    ) -> ServerAnswer:
        if service != "VS":
            raise LookupError("no such service")
        if action == "weight" and weight is None:
            raise ValueError("which weight")
        return ServerAnswer(message=f"{service} {server} {action} {weight} {for_s}")

    async def reconcile(self) -> ServerAnswer:
        return ServerAnswer(message="as it should be")

    def health(self) -> Health:
        problems = views.problems(self.snapshot, 0)
        return Health(ok=not problems, problems=tuple(problems))

    def why(self, name: str, limit: int) -> WhyAnswer | None:
        return views.why(name, self.snapshot, CONFIG, self.journal, limit)

    def names(self) -> list[str]:
        return ["VI_1", "VI_2", "VG1"]

    def config(self) -> ConfigView:
        return ConfigView(path="/c", files=("/c",), stale=False, loaded_ns=0, tried_ns=0, errors=0, warnings=0)

    async def reload(self) -> ReloadAnswer:
        return ReloadAnswer(
            ok=self.reload_ok, message="m", steps=("s",), errors=0, warnings=0, diagnostics=[], took_ms=1.0
        )

    async def plan(self, path: str | None) -> PlanAnswer:
        return PlanAnswer(
            ok=self.reload_ok, message="m", path=path or "/c", steps=("s",), plan={}, errors=0, warnings=0,
            diagnostics=[],
        )  # fmt: skip


@pytest.fixture
def subject() -> FakeSubject:
    return FakeSubject()


@pytest.fixture
async def server(subject: FakeSubject, tmp_path: Path) -> AsyncIterator[AdminServer]:
    server = AdminServer(str(tmp_path / "run" / "admin.sock"), Api(subject))
    await server.start()
    yield server
    subject.feed.close()
    await server.stop()
    assert not server.path.exists()


async def get(server: AdminServer, path: str, **query: str | int) -> dict[str, Any]:
    return await asyncio.to_thread(AdminClient(str(server.path)).get, path, **query)


async def raw(server: AdminServer, request: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(server.path))
    writer.write(request)
    writer.write_eof()
    answer = await reader.read()
    await close(writer)
    return answer


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def test_socket_is_for_its_owner_only(server: AdminServer) -> None:
    mode = server.path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


async def test_status(server: AdminServer, subject: FakeSubject) -> None:
    subject.journal.record(make.transition("VI_2"))
    answer = await get(server, "/v1/status")
    assert [instance["name"] for instance in answer["instances"]] == ["VI_2", "VI_1"]  # as configured
    first = answer["instances"][0]
    assert first["state"] == "MASTER"
    assert first["why"] == "no advert from 10.0.0.2 (priority 100) for 3.61 s"
    assert first["addresses"] == ["192.168.1.1/24 dev br0"]
    assert first["next_deadline_in_us"] == 1_000_000
    assert answer["groups"] == [{"name": "VG1", "state": "MASTER", "members": ["VI_1", "VI_2"]}]
    assert answer["health"] == {"ok": True, "problems": []}
    assert subject.refreshed == 1  # the counters of IPVS are those of now


async def test_operators_change_servers(server: AdminServer) -> None:
    post = AdminClient(str(server.path)).post
    said = await asyncio.to_thread(
        post, "/v1/server", service="VS", server="[10.0.0.11]:tcp:80", action="weight", weight=3, for_s=60
    )  # type: ignore[call-arg]
    assert said == {"message": "VS [10.0.0.11]:tcp:80 weight 3 60"}
    assert (await asyncio.to_thread(post, "/v1/reconcile")) == {"message": "as it should be"}
    with pytest.raises(AnswerError, match="no such service"):
        await asyncio.to_thread(post, "/v1/server", service="other", server="x", action="drain")
    with pytest.raises(AnswerError, match="which weight"):
        await asyncio.to_thread(post, "/v1/server", service="VS", server="x", action="weight")


async def test_health_names_the_problem(server: AdminServer, subject: FakeSubject) -> None:
    assert (await get(server, "/v1/health"))["ok"]
    subject.snapshot = make.snapshot(make.status("VI_1", State.FAULT, faults=("interface_down",)))
    with pytest.raises(AnswerError) as caught:
        await get(server, "/v1/health")
    assert caught.value.status == 503
    assert caught.value.data["problems"] == ["VI_1 is in FAULT on eth0: interface down"]


def test_master_without_addresses_is_a_problem_after_a_while() -> None:
    status = make.status(addresses_installed=False, last_transition_ns=0)
    assert views.problems(make.snapshot(status), 1_000_000_000) == []
    assert views.problems(make.snapshot(status), 3_000_000_000) == ["VI_1 is MASTER but its addresses are not in place"]


async def test_why(server: AdminServer, subject: FakeSubject) -> None:
    for seq, name in enumerate(["VI_1", "VI_2", "VI_1", "GONE"], start=1):
        subject.journal.record(make.transition(name, seq=seq))
    answer = await get(server, "/v1/why", name="VI_1", limit=1)
    assert (answer["kind"], answer["state"]) == ("instance", "MASTER")
    assert [transition["seq"] for transition in answer["transitions"]] == [3]
    assert answer["transitions"][0]["evidence"]["master_priority"] == 100
    group = await get(server, "/v1/why", name="VG1")
    assert (group["kind"], group["members"]) == ("group", ["VI_1", "VI_2"])
    assert [(t["seq"], t["instance"]) for t in group["transitions"]] == [(3, "VI_1"), (2, "VI_2"), (1, "VI_1")]
    assert (await get(server, "/v1/why", name="GONE"))["state"] == "REMOVED"


async def test_why_of_a_name_that_nobody_has(server: AdminServer) -> None:
    with pytest.raises(AnswerError, match="did you mean VI_1") as caught:
        await get(server, "/v1/why", name="VI1")
    assert caught.value.status == 404
    with pytest.raises(AnswerError, match="say which") as caught:
        await get(server, "/v1/why")
    assert caught.value.data["names"] == ["VI_1", "VI_2", "VG1"]
    with pytest.raises(AnswerError, match="limit must be a whole number"):
        await get(server, "/v1/why", name="VI_1", limit="-3")


async def test_plan_wants_an_absolute_path(server: AdminServer) -> None:
    client = AdminClient(str(server.path))
    assert (await asyncio.to_thread(lambda: client.get("/v1/plan", path="/new")))["path"] == "/new"
    with pytest.raises(AnswerError, match="path must be absolute"):
        await asyncio.to_thread(lambda: client.get("/v1/plan", path="new"))


async def test_reload(server: AdminServer, subject: FakeSubject) -> None:
    client = AdminClient(str(server.path))
    assert (await asyncio.to_thread(client.post, "/v1/reload"))["steps"] == ["s"]
    subject.reload_ok = False
    with pytest.raises(AnswerError) as caught:
        await asyncio.to_thread(client.post, "/v1/reload")
    assert caught.value.status == 409
    assert not (await asyncio.to_thread(lambda: client.post("/v1/reload", accept=(409,))))["ok"]


async def test_log_levels(server: AdminServer) -> None:
    client = AdminClient(str(server.path))
    before = (await get(server, "/v1/log"))["keepvip.vrrp"]
    changed = await asyncio.to_thread(lambda: client.post("/v1/log", name="vrrp", level="error"))
    assert changed["keepvip.vrrp"] == "error"
    await asyncio.to_thread(lambda: client.post("/v1/log", name="vrrp", level=before))
    with pytest.raises(AnswerError, match="must be one of"):
        await asyncio.to_thread(client.post, "/v1/log")


async def test_kept_events(server: AdminServer, subject: FakeSubject) -> None:
    subject.feed.publish(make.transition())
    subject.feed.publish(Notice(seq=0, at_ns=0, mono_us=0, level="info", text="hello"))
    client = AdminClient(str(server.path))
    lines = await asyncio.to_thread(lambda: list(client.lines("/v1/events")))
    assert [line["kind"] for line in lines] == ["Transition", "Notice"]
    assert lines[1]["text"] == "hello"
    lines = await asyncio.to_thread(lambda: list(client.lines("/v1/events", since=1)))
    assert [line["seq"] for line in lines] == [2]


async def test_followed_events_end_with_the_daemon(server: AdminServer, subject: FakeSubject) -> None:
    subject.feed.publish(make.transition())
    client = AdminClient(str(server.path))
    stream = client.lines("/v1/events", follow=1, since=0)
    assert (await asyncio.to_thread(next, stream))["seq"] == 1
    waiting = asyncio.create_task(asyncio.to_thread(next, stream))
    subject.feed.publish(make.transition())
    assert (await waiting)["seq"] == 2
    ending = asyncio.create_task(asyncio.to_thread(list, stream))
    subject.feed.close()
    assert await ending == []


async def test_a_follower_that_leaves_is_forgotten(server: AdminServer, subject: FakeSubject) -> None:
    reader, writer = await asyncio.open_unix_connection(str(server.path))
    writer.write(b"GET /v1/events?follow=1 HTTP/1.1\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    assert len(subject.feed._subscriptions) == 1
    await close(writer)
    async with asyncio.timeout(10):
        while subject.feed._subscriptions:  # noqa: ASYNC110  (a set has no event)
            await asyncio.sleep(0)


async def test_connection_is_kept(server: AdminServer) -> None:
    answer = await raw(server, b"GET /v1/config HTTP/1.1\r\n\r\nGET /v1/health HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.count(b"Connection: keep-alive") == 1
    assert (await raw(server, b"GET /v1/config HTTP/1.0\r\n\r\n")).count(b"Connection: close") == 1


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /v1/status HTTP/2\r\n\r\n", 400),
        (b"GET /v1/status HTTP/1.1\r\nbroken\r\n\r\n", 400),
        (b"GET /v1/status HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"GET /v1/status HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /v1/reload HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (BODY_LIMIT + 1), 413),
        (b"POST /v1/reload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        (b"GET /" + b"x" * HEAD_LIMIT + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET /v2 HTTP/1.1\r\nConnection: close\r\n\r\n", 404),
        (b"POST /v1/status HTTP/1.1\r\nConnection: close\r\n\r\n", 405),
        (b"POST /v1/reload HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", 200),
    ],
)
async def test_odd_requests(server: AdminServer, request_bytes: bytes, status: int) -> None:
    answer = await raw(server, request_bytes)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    json.loads(body)


async def test_half_a_request_is_no_answer(server: AdminServer) -> None:
    assert await raw(server, b"GET /v1/status HTTP/1.1\r\n") == b""


async def test_a_bug_is_an_answer_and_a_log_line(
    server: AdminServer, subject: FakeSubject, caplog: pytest.LogCaptureFixture
) -> None:
    subject.broken = True
    with pytest.raises(AnswerError, match="internal error") as caught:
        await get(server, "/v1/status")
    assert caught.value.status == 500
    assert "a bug" in caplog.text
    assert (await get(server, "/v1/config"))["path"] == "/c"


async def test_other_users_are_refused(subject: FakeSubject, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = AdminServer(str(tmp_path / "s"), Api(subject), allowed_uids=frozenset({os.geteuid() + 1}))
    await server.start()
    with pytest.raises(AnswerError, match="only root"):
        await get(server, "/v1/status")
    assert f"Refused user id {os.geteuid()}" in caplog.text
    await server.stop()


async def test_too_many_connections(server: AdminServer) -> None:
    writers = []
    for _ in range(MAX_CONNECTIONS):
        reader, writer = await asyncio.open_unix_connection(str(server.path))
        writer.write(b"GET /v1/config HTTP/1.1\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writers.append(writer)
    with pytest.raises(AnswerError, match="connections are open already"):
        await get(server, "/v1/status")
    for writer in writers:
        await close(writer)


async def test_a_living_socket_is_not_stolen_and_a_dead_one_is_replaced(server: AdminServer, tmp_path: Path) -> None:
    second = AdminServer(str(server.path), Api(FakeSubject()))
    with pytest.raises(SocketInUseError):
        await second.start()
    dead = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(dead))
    third = AdminServer(str(dead), Api(FakeSubject()))
    await third.start()
    await third.stop()
    precious = tmp_path / "file"
    precious.write_text("x")
    with pytest.raises(SocketInUseError, match="not a socket"):
        await AdminServer(str(precious), Api(FakeSubject())).start()
    assert precious.read_text() == "x"


def test_client_says_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEPVIP_SOCKET", str(tmp_path / "none"))
    with pytest.raises(UnreachableError, match="does not exist"):
        AdminClient().get("/v1/status")
    dead = tmp_path / "dead"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(dead))
    with pytest.raises(UnreachableError, match="nobody listens"):
        AdminClient(str(dead)).get("/v1/status")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent"))
        silent.listen()
        with pytest.raises(UnreachableError, match="does not answer"):
            AdminClient(str(tmp_path / "silent"), timeout_s=0.05).get("/v1/status")
