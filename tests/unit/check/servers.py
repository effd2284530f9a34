"""Servers that behave, and servers that do not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Any

from keepvip.check.bulk import Bulk, DnsWay, PingWay, TcpWay, UdpWay
from keepvip.check.http import HttpWay, Tls
from keepvip.check.smtp import SmtpWay
from keepvip.config.model_check import (
    DnsCheck,
    HttpCheck,
    PingCheck,
    SmtpCheck,
    SslCheck,
    SslClient,
    Target,
    TcpCheck,
    UdpCheck,
    Url,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from keepvip.check.verdict import Verdict
    from keepvip.check.way import Way
    from keepvip.config.model_check import Checker

    Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Servers:
    """Listeners of one test."""

    def __init__(self) -> None:
        self._servers: list[asyncio.Server] = []
        self._transports: list[asyncio.BaseTransport] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self.requests: list[bytes] = []

    async def tcp(self, talk: Talk, context: ssl.SSLContext | None = None) -> int:
        """A server with this conversation; its port."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await talk(reader, writer)
            writer.close()
            self._tasks.discard(task)

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def http(self, *replies: bytes, context: ssl.SSLContext | None = None) -> int:
        """A server that gives these replies one after the other, the last one again and again."""
        turn = iter(range(10**9))

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(replies[min(next(turn), len(replies) - 1)])
            await writer.drain()

        return await self.tcp(talk, context)

    async def udp(self, answer: Callable[[bytes], list[bytes]]) -> int:
        """A server that answers each datagram with these."""
        requests = self.requests

        class Answerer(asyncio.DatagramProtocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport: Any = transport

            def datagram_received(self, data: bytes, address: Any) -> None:
                requests.append(data)
                for reply in answer(data):
                    self.transport.sendto(reply, address)

        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Answerer, local_addr=("127.0.0.1", 0))
        self._transports.append(transport)
        port: int = transport.get_extra_info("sockname")[1]
        return port

    async def close(self) -> None:
        for transport in self._transports:
            transport.close()
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.sleep(0)


def reset(writer: asyncio.StreamWriter) -> None:
    """Hangs up with a TCP reset."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def target(port: int, timeout_s: float = 2, **more: Any) -> Target:
    return Target(address="127.0.0.1", port=port, family=4, timeout_us=int(timeout_s * 1e6), **more)


async def look(check: Checker, *, client: SslClient | None = None, page: int = 0) -> Verdict:
    """One probe and its verdict."""
    bulk = Bulk()
    way: Way
    match check:
        case SslCheck():
            way = HttpWay(check, Tls(client))
        case HttpCheck():
            way = HttpWay(check, None)
        case SmtpCheck():
            way = SmtpWay(check)
        case TcpCheck():
            way = TcpWay(bulk, check)
        case UdpCheck():
            way = UdpWay(bulk, check)
        case DnsCheck():
            way = DnsWay(bulk, check)
        case PingCheck():
            way = PingWay(bulk, check)
        case _:
            raise AssertionError(check)
    found: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
    way.begin(page, found.set_result)
    try:
        return await asyncio.wait_for(found, 20)
    finally:
        way.cancel()
        bulk.close()


def page_check(
    port: int, *, timeout_s: float = 2, delay_loop_s: float = 1, target_more: Any = None, **url: Any
) -> HttpCheck:
    return HttpCheck(
        target=target(port, timeout_s, **(target_more or {})),
        urls=(Url(path="/x", **url),),
        delay_loop_us=int(delay_loop_s * 1e6),
    )
