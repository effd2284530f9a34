"""TCP, UDP, DNS, ICMP, SMTP against real servers, good and bad (checkers-and-ipvs.md 4.1, 4.3, 4.4, 4.6, 4.7)."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from dnslib import QTYPE, RCODE, RR, TXT, DNSRecord

from keepvip.check.bulk import question
from keepvip.config.model_check import DnsCheck, PingCheck, SmtpCheck, Target, TcpCheck, UdpCheck

from .servers import Servers, look, reset, target

if TYPE_CHECKING:
    from collections.abc import Iterator


async def test_tcp(servers: Servers, free_port: int) -> None:
    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    verdict = await look(TcpCheck(target=target(await servers.tcp(nothing))))
    assert (verdict.ok, verdict.reason) == (True, "connected")
    verdict = await look(TcpCheck(target=target(free_port)))
    assert (verdict.ok, verdict.reason) == (False, "connection refused")


async def test_what_this_host_cannot_do(free_port: int) -> None:
    assert (await look(TcpCheck(target=target(free_port, bind_address="192.0.2.99")))).ok is None
    six = Target(address="fe80::1", port=1, family=6, bind_if="nosuchif")
    assert (await look(TcpCheck(target=six))).ok is None


# SMTP


@pytest.fixture
def mail_server() -> Iterator[int]:
    with socket.socket() as spare:
        spare.bind(("127.0.0.1", 0))
        port = spare.getsockname()[1]
    controller = Controller(Sink(), hostname="127.0.0.1", port=port)
    controller.start()
    yield port
    controller.stop()


async def test_smtp(mail_server: int) -> None:
    verdict = await look(SmtpCheck(target=target(mail_server)))
    assert (verdict.ok, verdict.reason) == (True, "answers HELO")


def mail(*answers: bytes) -> Any:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for place, answer in enumerate(answers):
            if place:
                await reader.readuntil(b"\n")
            writer.write(answer)
            await writer.drain()

    return talk


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ((b"220 hi\r\n", b"250 ok\r\n", b"221 bye\r\n"), ""),
        ((b"220\r\n", b"250\r\n", b"whatever\n"), ""),
        ((b"220-one\r\n220 two\r\n",), "the greeting was answered with `220-one` instead of 220"),
        ((b"554 go away\r\n",), "the greeting was answered with `554 go away` instead of 220"),
        ((b"2200\r\n",), "the greeting was answered with `2200` instead of 220"),
        ((b"220 hi\r\n", b"250-ok\r\n250 more\r\n"), "HELO was answered with `250-ok` instead of 250"),
        ((b"220 hi\r\n", b"502 no\r\n"), "HELO was answered with `502 no` instead of 250"),
        ((b"",), "the server closed before it answered to the greeting"),
        ((b"220 hi\r\n", b"250 ok\r\n", b""), "the server closed before it answered to QUIT"),
        ((b"\xff\x00" * 300,), "the answer to the greeting is too long"),
    ],
)
async def test_smtp_answers(servers: Servers, answers: Any, reason: str) -> None:
    verdict = await look(SmtpCheck(target=target(await servers.tcp(mail(*answers))), helo_name="me.example"))
    assert (verdict.ok, verdict.reason) == ((True, "answers HELO") if not reason else (False, reason))


async def test_smtp_says_its_name(servers: Servers) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        servers.requests.append(await reader.readuntil(b"\n"))
        writer.write(b"250 ok\r\n")
        servers.requests.append(await reader.readuntil(b"\n"))
        writer.write(b"221 bye\r\n")

    port = await servers.tcp(talk)
    assert (await look(SmtpCheck(target=target(port), helo_name="me.example"))).ok
    assert servers.requests == [b"HELO me.example\r\n", b"QUIT\r\n"]


async def test_smtp_silence_drip_reset(servers: Servers, free_port: int) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(300):
            writer.write(b"2")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reset(writer)

    port = await servers.tcp(drip)
    verdict = await look(SmtpCheck(target=target(port, 0.2), delay_loop_us=500_000))
    assert (verdict.ok, verdict.timed_out) == (False, True)
    verdict = await look(SmtpCheck(target=target(await servers.tcp(hang_up))))
    assert verdict.ok is False
    assert (await look(SmtpCheck(target=target(free_port)))).reason == "connection refused"


# UDP


async def test_udp_silence_is_good_unless_a_reply_is_required(servers: Servers) -> None:
    port = await servers.udp(lambda _: [])
    verdict = await look(UdpCheck(target=target(port, 0.2)))
    assert (verdict.ok, verdict.reason) == (True, "not refused")
    assert verdict.took_us >= 200_000
    verdict = await look(UdpCheck(target=target(port, 0.2), require_reply=True))
    assert (verdict.ok, verdict.timed_out) == (False, True)
    assert len(servers.requests[0]) == 32


async def test_udp_refused(servers: Servers, free_port: int) -> None:
    assert (await look(UdpCheck(target=target(free_port)))).reason == "connection refused"


@pytest.mark.parametrize(
    ("answer", "ok"),
    [
        (b"\x01\x23\x45", True),
        (b"\x01\x2f", True),
        (b"\x01", True),  # the first min(received, pattern) bytes
        (b"\x01\x33\x45", False),
        (b"\x02\x23", False),
        (b"", False),  # too short
        (b"\x01\x23" + b"x" * 20, False),  # too long
    ],
)
async def test_udp_replies(servers: Servers, answer: bytes, ok: bool) -> None:
    port = await servers.udp(lambda _: [answer])
    check = UdpCheck(
        target=target(port),
        payload=b"\x00ask",
        require_reply=True,
        reply=b"\x01\x20",
        mask=b"\xff\xf0",
        min_reply_length=1,
        max_reply_length=10,
    )
    assert (await look(check)).ok == ok
    assert servers.requests == [b"\x00ask"]


async def test_udp_lengths_count_only_with_a_pattern(servers: Servers) -> None:
    port = await servers.udp(lambda _: [b"x" * 500])
    assert (await look(UdpCheck(target=target(port), require_reply=True, max_reply_length=5))).ok


# DNS


def answer_with(rcode: str, *, empty: bool = False) -> Any:
    def answer(data: bytes) -> list[bytes]:
        question = DNSRecord.parse(data)
        reply = question.reply()
        reply.header.rcode = getattr(RCODE, rcode)
        if not empty:
            reply.add_answer(RR(question.q.qname, QTYPE.TXT, rdata=TXT("hi")))
        return [reply.pack()]

    return answer


async def test_dns(servers: Servers) -> None:
    port = await servers.udp(answer_with("NOERROR"))
    assert (await look(DnsCheck(target=target(port), type="MX", name="mail.example."))).ok
    asked = DNSRecord.parse(servers.requests[0])
    assert (str(asked.q.qname), QTYPE[asked.q.qtype], asked.q.qclass) == ("mail.example.", "MX", 1)
    assert asked.header.rd == 1
    assert len(asked.questions) == 1
    assert question(".", "SOA") == b"\0\0\6\0\1"


async def test_dns_codes(servers: Servers) -> None:
    assert (await look(DnsCheck(target=target(await servers.udp(answer_with("NOERROR", empty=True)))))).ok
    verdict = await look(DnsCheck(target=target(await servers.udp(answer_with("SERVFAIL")))))
    assert (verdict.ok, verdict.reason) == (False, "response code SERVFAIL")
    verdict = await look(DnsCheck(target=target(await servers.udp(answer_with("NXDOMAIN")))))
    assert (verdict.ok, verdict.reason) == (False, "response code NXDOMAIN")


async def test_dns_garbage_is_ignored_until_the_timeout(servers: Servers) -> None:
    port = await servers.udp(lambda data: [b"", b"\xff" * 20, data, bytes(60_000)])
    verdict = await look(DnsCheck(target=target(port, 0.2)))
    assert (verdict.ok, verdict.timed_out) == (False, True)
    good = answer_with("NOERROR")
    port = await servers.udp(lambda data: [b"", b"\xff" * 20, data, *good(data)])
    assert (await look(DnsCheck(target=target(port)))).ok


# ICMP


async def test_ping() -> None:
    here = Target(address="127.0.0.1", port=0, family=4, timeout_us=1_000_000)
    verdict = await look(PingCheck(target=here))
    if verdict.ok is None:
        pytest.skip(f"no ICMP socket: {verdict.reason}")
    assert (verdict.ok, verdict.reason) == (True, "answered")
