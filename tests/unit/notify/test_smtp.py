"""Sending mail through real servers: good ones, slow ones, and those that say no."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from keepvip.config.model import GlobalDefs
from keepvip.notify.counters import NotifyCounters
from keepvip.notify.mail_text import MailText, instance_text
from keepvip.notify.smtp import Mailer

from .tools import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

AT_NS = 1_795_375_329_056_140_777


class Server:
    """aiosmtpd; `answers` maps a command, or (command, argument), to what it says instead of yes."""

    def __init__(self) -> None:
        self.answers: dict[Any, Any] = {}
        self.commands: list[tuple[str, str]] = []
        self.mails: list[Envelope] = []
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._smtps: list[SMTP] = []

    async def start(self, port: int = 0) -> None:
        def factory() -> SMTP:
            self.connections += 1
            smtp = SMTP(self, hostname="mx.example.com", ident="test")
            self._smtps.append(smtp)
            return smtp

        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(factory, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            for smtp in self._smtps:
                if smtp.transport is not None:
                    smtp.transport.close()
            self._smtps.clear()

    async def _said(self, command: str, argument: str) -> str | None:
        self.commands.append((command, argument))
        answer = self.answers.get((command, argument)) or self.answers.get(command)
        if isinstance(answer, list):
            answer = answer.pop(0) if answer else None
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            return None
        return answer

    async def handle_HELO(self, server: SMTP, session: Session, envelope: Envelope, hostname: str) -> str:  # noqa: N802
        session.host_name = hostname
        return await self._said("HELO", hostname) or "250 hello"

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        raise AssertionError("keepalived says HELO")

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._said("MAIL", address)
        if answer is None:
            envelope.mail_from = address
        return answer or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._said("RCPT", address)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        answer = await self._said("DATA", "")
        if answer is None:
            self.mails.append(envelope)
        return answer or "250 taken"

    def text(self, number: int) -> bytes:
        return bytes(self.mails[number].original_content or b"")

    @property
    def subjects(self) -> list[str]:
        return [
            line.removeprefix("Subject: ")
            for number in range(len(self.mails))
            for line in self.text(number).decode().split("\r\n")
            if line.startswith("Subject: ")
        ]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    server = Server()
    await server.start()
    yield server
    await server.stop()


class Bench:
    """A mailer for the server, with short times."""

    def __init__(self, port: int, **settings: Any) -> None:
        self.counters = NotifyCounters()
        self.defs = GlobalDefs(
            **{
                "router_id": "lb1",
                "emails": ("admin@example.com",),
                "email_from": "noreply@example.com",
                "smtp_host": "127.0.0.1",
                "smtp_port": port,
                "smtp_helo_name": "lb1.example.com",
                "smtp_connect_timeout_s": 5,
                **settings,
            }
        )
        self.mailer = Mailer(self.defs, self.counters, retry_s=0.2)

    def put(self, *names: str) -> None:
        for name in names:
            self.mailer.put(MailText(subject=name, body=f"=> {name} <="), AT_NS)

    async def idle(self) -> None:
        await until(lambda: self.mailer.idle)


async def test_one_mail(server: Server) -> None:
    bench = Bench(server.port, emails=("admin@example.com", "Second Person <two@example.com>"))
    bench.mailer.put(instance_text("lb1", "VI_1", "MASTER"), AT_NS)
    await bench.idle()
    assert server.commands == [
        ("HELO", "lb1.example.com"),
        ("MAIL", "noreply@example.com"),
        ("RCPT", "admin@example.com"),
        ("RCPT", "two@example.com"),
        ("DATA", ""),
    ]
    assert server.subjects == ["[lb1] VRRP Instance VI_1 - Entering MASTER state"]
    lines = server.text(0).decode().split("\r\n")
    assert [line.partition(":")[0] for line in lines[:5]] == ["Date", "From", "Subject", "X-Mailer", "To"]
    assert lines[1] == "From: noreply@example.com"
    assert lines[4:] == [
        "To: admin@example.com, Second Person <two@example.com>",
        "",
        "=> VRRP Instance is now owning VRRP VIPs <=",
        "",
        "",
    ]
    assert (bench.counters.mails_sent, bench.counters.mails_queued, bench.counters.mails_waiting) == (1, 1, 0)


async def test_order_and_one_connection(server: Server) -> None:
    bench = Bench(server.port)
    names = [f"mail {number}" for number in range(200)]
    bench.put(*names)
    await bench.idle()
    assert server.subjects == names
    assert server.connections == 1
    bench.put("later")
    await bench.idle()
    assert (server.connections, bench.counters.mails_sent) == (2, 201)


async def test_display_name_of_the_sender(server: Server) -> None:
    bench = Bench(server.port, email_from='"Keep. Alive (x)" <noreply@example.com>')
    bench.put("x")
    await bench.idle()
    assert ("MAIL", "noreply@example.com") in server.commands
    assert b'\r\nFrom: "Keep. Alive (x)" <noreply@example.com>\r\n' in server.text(0)


async def test_body_line_that_begins_with_a_dot(server: Server) -> None:
    bench = Bench(server.port)
    bench.mailer.put(MailText(subject="x", body=".\r\n.dot"), AT_NS)
    await bench.idle()
    assert server.text(0).endswith(b"\r\n\r\n.\r\n.dot\r\n\r\n")


async def test_without_server_or_recipients_nothing_is_sent(server: Server) -> None:
    for settings in ({"smtp_host": None}, {"emails": ()}):
        bench = Bench(server.port, **settings)
        bench.put("x")
        assert bench.mailer.idle
        assert bench.counters.mails_queued == 0
    assert server.connections == 0


async def test_names_and_missing_settings(server: Server) -> None:
    """A host name is resolved; without sender and HELO name the host's own are used."""
    bench = Bench(server.port, smtp_host="localhost", smtp_helo_name="", email_from="")
    bench.put("x")
    await bench.idle()
    host = socket.gethostname()
    assert server.commands[:2] == [("HELO", host), ("MAIL", f"root@{host}")]


async def test_unresolvable_name(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("keepvip.notify.smtp_session.socket.getaddrinfo", fail)
    bench = Bench(server.port, smtp_host="mx.invalid")
    bench.put("x")
    await bench.idle()
    assert "Mail `x` not sent by mx.invalid port" in caplog.text
    assert "its name cannot be resolved: [Errno -2] Name or service not known" in caplog.text


async def test_name_server_that_does_not_answer(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for the resolver's own time-out, neither the mails nor the end of the daemon."""
    monkeypatch.setattr("keepvip.notify.smtp_session.socket.getaddrinfo", lambda *_, **__: time.sleep(5))
    bench = Bench(server.port, smtp_host="mx.example.com", smtp_connect_timeout_s=0.1)
    bench.put("x")
    started = time.monotonic()
    await bench.idle()
    assert time.monotonic() - started < 3
    assert "its name was not resolved in time" in caplog.text


async def test_refused_sender(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.answers["MAIL"] = ["550 5.7.1 go away"]
    bench = Bench(server.port)
    bench.put("one", "two")
    await bench.idle()
    assert f"Mail `one` not sent by 127.0.0.1 port {server.port}: 550 5.7.1 go away" in caplog.text
    assert server.subjects == ["two"]
    assert (bench.counters.mails_failed, bench.counters.mails_sent, bench.counters.mails_retried) == (1, 1, 0)
    assert server.connections == 1


async def test_refused_recipients(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """The others get it; keepalived gives the whole mail up."""
    server.answers["RCPT", "gone@example.com"] = "550 5.1.1 no such user"
    bench = Bench(server.port, emails=("gone@example.com", "ü@example.com", "admin@example.com"))
    bench.put("x")
    await bench.idle()
    assert server.mails[0].rcpt_tos == ["admin@example.com"]
    assert "refuses the recipient gone@example.com: 550 5.1.1 no such user" in caplog.text
    assert "refuses the recipient ü@example.com" in caplog.text
    assert bench.counters.mails_sent == 1


async def test_all_recipients_refused(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.answers["RCPT"] = "550 5.1.1 no such user"
    bench = Bench(server.port, emails=("a@example.com", "b@example.com"))
    bench.put("x")
    await bench.idle()
    assert "a@example.com: 550 5.1.1 no such user; b@example.com: 550 5.1.1 no such user" in caplog.text
    assert (bench.counters.mails_failed, bench.counters.mails_retried) == (1, 0)


async def test_refused_text(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.answers["DATA"] = ["554 spam"]
    bench = Bench(server.port)
    bench.put("one", "two")
    await bench.idle()
    assert "Mail `one` not sent" in caplog.text
    assert server.subjects == ["two"]


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
async def test_put_off_is_tried_once_more(server: Server, caplog: pytest.LogCaptureFixture, command: str) -> None:
    server.answers[command] = ["451 4.7.1 greylisted"]
    bench = Bench(server.port)
    bench.put("one", "two", "three")
    await bench.idle()
    assert server.subjects == ["one", "two", "three"]
    assert "451 4.7.1 greylisted; 3 mails wait and are tried once more in 0 s" in caplog.text
    assert (bench.counters.mails_sent, bench.counters.mails_retried, bench.counters.mails_failed) == (3, 3, 0)


async def test_put_off_for_good(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Each gets its two tries, and the pause is made once, not for every mail."""
    server.answers["MAIL"] = "451 later"
    bench = Bench(server.port)
    bench.put(*(f"mail {number}" for number in range(5)))
    started = time.monotonic()
    await bench.idle()
    assert time.monotonic() - started < 0.9
    assert (bench.counters.mails_failed, bench.counters.mails_waiting) == (5, 0)
    assert "Mail `mail 4` not sent" in caplog.text


async def test_server_that_comes_back(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    port = server.port
    await server.stop()
    bench = Bench(port)
    bench.mailer = Mailer(bench.defs, bench.counters, retry_s=0.5)
    bench.put("one", "two")
    await until(lambda: "tried once more" in caplog.text)
    assert "Connect call failed" in caplog.text or "refused" in caplog.text
    bench.put("three")
    await server.start(port)
    await bench.idle()
    assert server.subjects == ["one", "two", "three"]


async def test_server_that_does_not_come_back(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    await server.stop()
    bench = Bench(server.port)
    bench.put("one", "two", "three")
    await bench.idle()
    assert bench.counters.mails_failed == 3
    assert all(f"Mail `{name}` not sent" in caplog.text for name in ("one", "two", "three"))


async def raw_server(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


async def test_server_that_never_speaks(caplog: pytest.LogCaptureFixture) -> None:
    connections = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await reader.read()

    async with await raw_server(talk) as silent:
        bench = Bench(silent.sockets[0].getsockname()[1], smtp_connect_timeout_s=0.3)
        started = time.monotonic()
        bench.put(*(f"mail {number}" for number in range(20)))
        await bench.idle()
        assert time.monotonic() - started < 3, "twenty mails wait for one time-out, not for twenty"
    assert len(connections) == 2
    assert bench.counters.mails_failed == 20
    assert "Timed out waiting for server ready message" in caplog.text


async def test_slow_step_times_out(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.answers["RCPT"] = [5.0]
    bench = Bench(server.port, smtp_connect_timeout_s=0.3)
    bench.put("x")
    await bench.idle()
    assert "Timed out waiting for server response" in caplog.text
    assert server.subjects == ["x"], "the second try"


async def test_connection_lost_after_the_text(caplog: pytest.LogCaptureFixture) -> None:
    """It may have been taken, so it is not sent again; those behind it are."""
    texts = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while line := await reader.readline():
            if line.startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                texts.append(await reader.readuntil(b"\r\n.\r\n"))
                if len(texts) == 1:
                    return
            writer.write(b"250 OK\r\n")

    async with await raw_server(talk) as server:
        bench = Bench(server.sockets[0].getsockname()[1], smtp_connect_timeout_s=2)
        bench.put("one", "two")
        await bench.idle()
    assert [b"Subject: one" in texts[0], b"Subject: two" in texts[1], len(texts)] == [True, True, 2]
    assert "Mail `one` not sent" in caplog.text
    assert "it may have been delivered or not" in caplog.text
    assert (bench.counters.mails_failed, bench.counters.mails_sent) == (1, 1)


async def test_server_that_hangs_up_after_some_mails(server: Server) -> None:
    """421 in the middle: a new connection carries the rest, without a pause."""
    server.answers["MAIL"] = [None, None, "421 enough", None, None]
    bench = Bench(server.port)
    bench.mailer = Mailer(bench.defs, bench.counters, retry_s=0.05)
    bench.put("one", "two", "three", "four")
    await bench.idle()
    assert server.subjects == ["one", "two", "three", "four"]


async def test_full_queue_drops_the_oldest(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keepvip.notify.smtp.WAITING_LIMIT", 3)
    server.answers["MAIL"] = [0.3]
    bench = Bench(server.port)
    bench.put("0")
    await until(lambda: server.commands)
    bench.put(*"123456")
    await bench.idle()
    assert server.subjects == ["0", "4", "5", "6"]
    assert bench.counters.mails_dropped == 3
    assert caplog.text.count("the oldest are dropped") == 1


async def test_reload_to_another_server(server: Server) -> None:
    """Mails that wait go to the new server; without one they are dropped."""
    bench = Bench(1)
    bench.mailer = Mailer(bench.defs, bench.counters, retry_s=0.2)
    bench.put("one")
    bench.mailer.reconfigure(Bench(server.port).defs)
    bench.put("two")
    await bench.idle()
    assert server.subjects == ["one", "two"]
    bench.mailer.reconfigure(Bench(1).defs)
    bench.put("three")
    bench.mailer.reconfigure(GlobalDefs())
    await bench.idle()
    assert bench.counters.mails_dropped == 1


async def test_stop_sends_what_waits(server: Server) -> None:
    bench = Bench(server.port)
    bench.put("one", "two")
    await bench.mailer.stop(asyncio.get_running_loop().time() + 10)
    assert server.subjects == ["one", "two"]


async def test_stop_does_not_wait_for_ever(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.answers["MAIL"] = 10.0
    bench = Bench(server.port)
    bench.put("one", "two")
    started = time.monotonic()
    await bench.mailer.stop(asyncio.get_running_loop().time() + 0.4)
    assert time.monotonic() - started < 1.5
    assert (bench.counters.mails_dropped, bench.counters.mails_failed) == (1, 1)
    assert "the daemon stops while it is on its way" in caplog.text
    assert "1 mails not sent: the daemon stops" in caplog.text


async def test_stop_during_the_pause(server: Server) -> None:
    await server.stop()
    bench = Bench(server.port)
    bench.mailer = Mailer(bench.defs, bench.counters, retry_s=30)
    bench.put("one")
    await until(lambda: bench.counters.mails_retried)
    await server.start(server.port)
    started = time.monotonic()
    await bench.mailer.stop(asyncio.get_running_loop().time() + 5)
    assert time.monotonic() - started < 2
    assert server.subjects == ["one"], "the last chance is taken at once"
