"""HTTP_GET and SSL_GET against real servers, good and bad (checkers-and-ipvs.md 4.2)."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from keepvip.check.http import request
from keepvip.config.model_check import HttpCheck, Regex, SslCheck, SslClient, Target, Url

from .servers import Servers, look, page_check, reset, target

if TYPE_CHECKING:
    from pathlib import Path

OK = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n"


async def test_a_good_page(servers: Servers) -> None:
    port = await servers.http(OK + b"hello")
    verdict = await look(page_check(port))
    assert (verdict.ok, verdict.reason) == (True, "status 200")
    assert verdict.took_us > 0
    assert servers.requests == [
        f"GET /x HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    ]


def test_the_request() -> None:
    six = Target(address="2001:db8::1", port=8080, family=6)
    assert b"Host: [2001:db8::1]:8080\r\n\r\n" in request(six, Url(path="/"), "1.0")
    named = request(six, Url(path="/a", host="www.example"), "1.1")
    assert named == (
        b"GET /a HTTP/1.1\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\nHost: www.example\r\n\r\n"
    )
    assert request(six, Url(path="/"), "1.0C").startswith(
        b"GET / HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\n"
    )


@pytest.mark.parametrize(
    ("codes", "ok"), [(((200, 299),), False), (((404, 404),), True), (((200, 200), (400, 499)), True)]
)
async def test_status_codes(servers: Servers, codes: Any, ok: bool) -> None:
    port = await servers.http(b"HTTP/1.1 404 Not Found\r\n\r\n")
    verdict = await look(page_check(port, status_codes=codes))
    assert (verdict.ok, verdict.reason) == (ok, "status 404")


async def test_digest(servers: Servers) -> None:
    body = b"x" * 100_000
    digest = hashlib.md5(body).hexdigest()
    port = await servers.http(OK + body)
    assert (await look(page_check(port, digest=digest))).ok
    verdict = await look(page_check(port, digest="0" * 32))
    assert (verdict.ok, verdict.reason) == (False, f"digest {digest} instead of {'0' * 32}")


async def test_the_digest_ends_at_the_announced_length(servers: Servers) -> None:
    port = await servers.http(b"HTTP/1.0 200 OK\r\ncontent-LENGTH: 5\r\n\r\nhello and more")
    assert (await look(page_check(port, digest=hashlib.md5(b"hello").hexdigest()))).ok
    # Less than announced is no failure by itself.
    port = await servers.http(b"HTTP/1.0 200 OK\r\nContent-Length: 500\r\n\r\nhello")
    assert (await look(page_check(port))).ok


async def test_chunks_are_not_decoded(servers: Servers) -> None:
    body = b"5\r\nhello\r\n0\r\n\r\n"
    port = await servers.http(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert (await look(page_check(port, digest=hashlib.md5(body).hexdigest()))).ok


@pytest.mark.parametrize(
    ("regex", "ok"),
    [
        (Regex(pattern="lo w"), True),
        (Regex(pattern="LO W"), False),
        (Regex(pattern="LO W", options=frozenset({"caseless"})), True),
        (Regex(pattern="lo w", no_match=True), False),
        (Regex(pattern="nothing", no_match=True), True),
        (Regex(pattern="hello", min_offset=1), False),
        (Regex(pattern="(?<=h)ello", min_offset=1), True),
        (Regex(pattern="world$"), True),
        (Regex(pattern="hello.*d"), True),
        (Regex(pattern="^world"), False),
        (Regex(pattern="world", max_offset=5), False),
        (Regex(pattern="world", max_offset=6), True),
        (Regex(pattern="world", stack=(32_768, 65_536)), True),
    ],
)
async def test_regex(servers: Servers, regex: Regex, ok: bool) -> None:
    async def in_pieces(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for place in range(0, 56, 4):
            writer.write((OK + b"hello world")[place : place + 4])
            await writer.drain()
            await asyncio.sleep(0.001)

    assert (await look(page_check(await servers.tcp(in_pieces), regex=regex))).ok == ok


async def test_a_match_far_behind(servers: Servers) -> None:
    port = await servers.http(OK + b"-" * 300_000 + b"needle" + b"-" * 300_000)
    assert (await look(page_check(port, regex=Regex(pattern="n.*e{2}dle")))).ok
    verdict = await look(page_check(port, regex=Regex(pattern="pin")))
    assert (verdict.ok, verdict.reason) == (False, "the page does not match")


async def test_a_pattern_that_explodes_is_a_failure_within_a_moment(servers: Servers) -> None:
    port = await servers.http(OK + b"a" * 3000 + b"b")
    began = time.monotonic()
    verdict = await look(page_check(port, regex=Regex(pattern="^(a+)+$")))
    assert not verdict.ok
    assert time.monotonic() - began < 2


# servers that do not behave


async def test_refused(free_port: int) -> None:
    verdict = await look(page_check(free_port))
    assert (verdict.ok, verdict.reason) == (False, "connection refused")


async def test_reset(servers: Servers) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        reset(writer)

    verdict = await look(page_check(await servers.tcp(talk)))
    assert (verdict.ok, verdict.reason) == (False, "connection reset by peer")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"", "no reply"),
        (b"HTTP/1.0 200 OK\r\n", "the reply has no complete header"),
        (b"\x00\xff garbage\r\n\r\n", "the reply is not HTTP"),
        (b"HTTP/1.0 2000 OK\r\n\r\n", "the reply is not HTTP"),
        (b"220 mail ESMTP\r\n\r\n", "the reply is not HTTP"),
        (b"HTTP/1.0 200 OK\r\nX: " + b"y" * 200_000, "no end of the header within 65536 bytes"),
    ],
)
async def test_garbage(servers: Servers, reply: bytes, reason: str) -> None:
    verdict = await look(page_check(await servers.http(reply)))
    assert (verdict.ok, verdict.reason) == (False, reason)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    for byte in OK * 100:
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0.05)


async def test_silence_ends_after_connect_timeout(servers: Servers) -> None:
    began = time.monotonic()
    verdict = await look(page_check(await servers.tcp(silent), timeout_s=0.3))
    assert (verdict.ok, verdict.timed_out) == (False, True)
    assert verdict.reason == "nothing was heard within 0.3 s"
    assert 0.25 < time.monotonic() - began < 2


async def test_a_drip_ends_when_the_next_check_would_be_due(servers: Servers) -> None:
    port = await servers.tcp(drip)
    began = time.monotonic()
    verdict = await look(page_check(port, timeout_s=0.2, delay_loop_s=0.6))
    assert (verdict.ok, verdict.reason) == (False, "not finished within 0.6 s")
    assert 0.5 < time.monotonic() - began < 3
    # ... but not before two waits.
    assert (await look(page_check(port, timeout_s=0.2, delay_loop_s=0.1))).reason == "not finished within 0.4 s"


async def test_a_huge_page_takes_no_memory(servers: Servers) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        block = b"z" * 65_536
        for _ in range(800):
            writer.write(block)
            await writer.drain()

    digest = hashlib.md5(b"z" * 65_536 * 800).hexdigest()
    regex = Regex(pattern="zy|y", no_match=True)
    check = page_check(await servers.tcp(talk), timeout_s=10, delay_loop_s=30, digest=digest, regex=regex)
    tracemalloc.start()
    try:
        assert (await look(check)).ok
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


# TLS


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_server(authority: trustme.CA, name: str = "real.example") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def ssl_check(port: int, *, timeout_s: float = 2, **url: Any) -> SslCheck:
    return SslCheck(target=target(port, timeout_s), urls=(Url(path="/", **url),), delay_loop_us=1_000_000)


@pytest.mark.parametrize("compliant", [False, True])
async def test_tls_verifies_nobody(servers: Servers, authority: trustme.CA, compliant: bool) -> None:
    """A certificate of an unknown authority, for another name: it is looked at by nobody."""
    port = await servers.http(OK + b"secret", context=tls_server(authority))
    check = ssl_check(port, digest=hashlib.md5(b"secret").hexdigest(), tls_compliant=compliant)
    verdict = await look(check)
    assert (verdict.ok, verdict.reason) == (True, "status 200")


@pytest.mark.parametrize("sni", [None, "other.example"])
async def test_server_name(servers: Servers, authority: trustme.CA, sni: str | None) -> None:
    names: list[str | None] = []
    context = tls_server(authority)
    context.sni_callback = lambda _, name, __: names.append(name)  # type: ignore[assignment,misc]
    port = await servers.http(OK, context=context)
    assert (await look(ssl_check(port, sni=sni))).ok
    assert names == [sni]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_versions(servers: Servers, authority: trustme.CA, version: ssl.TLSVersion) -> None:
    context = tls_server(authority)
    context.minimum_version = context.maximum_version = version
    assert (await look(ssl_check(await servers.http(OK, context=context)))).ok


async def test_client_certificate(servers: Servers, authority: trustme.CA, tmp_path: Path) -> None:
    context = tls_server(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    port = await servers.http(OK, context=context)
    assert not (await look(ssl_check(port))).ok
    mine = authority.issue_cert("checker.example")
    mine.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    mine.private_key_pem.write_to_path(tmp_path / "key.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client = SslClient(
        certificate=str(tmp_path / "cert.pem"), key=str(tmp_path / "key.pem"), ca=str(tmp_path / "ca.pem")
    )
    assert (await look(ssl_check(port), client=client)).ok


async def test_files_that_cannot_be_read_say_nothing_about_the_server(servers: Servers, authority: trustme.CA) -> None:
    port = await servers.http(OK, context=tls_server(authority))
    verdict = await look(ssl_check(port), client=SslClient(certificate="/does/not/exist"))
    assert verdict.ok is None
    assert "SSL block" in verdict.reason


async def test_no_tls_on_the_other_side(servers: Servers) -> None:
    verdict = await look(ssl_check(await servers.http(OK)))
    assert verdict.ok is False
    verdict = await look(ssl_check(await servers.tcp(silent), timeout_s=0.3))
    assert (verdict.ok, verdict.timed_out) == (False, True)


async def test_source_address(servers: Servers) -> None:
    peers: list[Any] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername")[0])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)

    port = await servers.tcp(talk)
    assert (await look(page_check(port, target_more={"bind_address": "127.0.0.9"}))).ok
    assert peers == ["127.0.0.9"]
    here = await look(page_check(port, target_more={"bind_address": "192.0.2.99"}))
    assert here.ok is None


async def test_pages_are_asked_for_by_number(servers: Servers) -> None:
    port = await servers.http(OK)
    check = HttpCheck(target=target(port), urls=(Url(path="/a"), Url(path="/b")), delay_loop_us=1_000_000)
    assert (await look(check, page=1)).ok
    assert servers.requests[0].startswith(b"GET /b ")
