"""Just enough HTTP/1.1 for a local API: requests in, JSON or a stream of lines out.

Written on asyncio streams because the alternative costs the daemon 13 MiB of locked memory and 130 ms of a
busy event loop for six routes on a Unix socket. What it does not know (chunked requests, upgrades,
continuation lines) it refuses; every size is limited.
"""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["HEAD_LIMIT", "HttpError", "Request", "Response", "Stream", "json_response", "read_request", "send"]

HEAD_LIMIT = 16 * 1024
BODY_LIMIT = 64 * 1024
READ_TIMEOUT_S = 30.0
"""A request must be complete, and a kept connection used again, within this time."""


class HttpError(Exception):
    """A request that is answered with an error status."""

    def __init__(self, status: HTTPStatus, text: str, **detail: object) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.detail = detail


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A complete request; `query` holds the last value of each parameter."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes = b""
    keep_alive: bool = True

    def number(self, name: str, default: int | None) -> int | None:
        """A query parameter that is a whole number >= 0. Raises HttpError 400 on anything else."""
        text = self.query.get(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise HttpError(HTTPStatus.BAD_REQUEST, f"{name} must be a whole number, not {text!r}")
        return int(text)


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """A complete answer."""

    status: HTTPStatus
    body: bytes
    content_type: str = "application/json"


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that goes on: chunks are sent as they come, until `chunks` ends or the client leaves."""

    chunks: AsyncGenerator[bytes, None]
    content_type: str = "application/x-ndjson"


def json_response(data: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """`data` as JSON with a line end, good for terminals too."""
    return Response(status=status, body=msgspec.json.encode(data) + b"\n")


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None when the client has closed it or let it rest too long.

    Raises HttpError on a request that is not understood; the connection cannot be used after that.
    """
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, version, headers = _parse_head(head)
            body = await reader.readexactly(_body_length(headers))
    except asyncio.LimitOverrunError:
        raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request head is too large") from None
    except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
        return None
    parts = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    keep_alive = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    return Request(method=method, path=unquote(parts.path), query=query, body=body, keep_alive=keep_alive)


def _parse_head(head: bytes) -> tuple[str, str, str, dict[str, str]]:
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or words[2] not in {"HTTP/1.1", "HTTP/1.0"}:
        raise HttpError(HTTPStatus.BAD_REQUEST, "this is not an HTTP/1.1 request")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        if not line:
            break
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise HttpError(HTTPStatus.BAD_REQUEST, f"malformed header line {line!r}")
        headers[name.lower()] = value.strip()
    return words[0], words[1], words[2], headers


def _body_length(headers: dict[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise HttpError(HTTPStatus.NOT_IMPLEMENTED, "send the body with Content-Length")
    text = headers.get("content-length", "0")
    if not text.isascii() or not text.isdigit():
        raise HttpError(HTTPStatus.BAD_REQUEST, "malformed Content-Length")
    if len(text) > 9 or int(text) > BODY_LIMIT:
        raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body may have {BODY_LIMIT} bytes")
    return int(text)


async def send(writer: asyncio.StreamWriter, answer: Response | Stream, *, keep_alive: bool) -> None:
    """Sends an answer. A stream always ends the connection after it. Raises ConnectionError when the client left."""
    if isinstance(answer, Response):
        writer.write(_head(answer.status, answer.content_type, f"Content-Length: {len(answer.body)}", keep_alive))
        writer.write(answer.body)
        await writer.drain()
        return
    writer.write(_head(HTTPStatus.OK, answer.content_type, "Transfer-Encoding: chunked", keep_alive=False))
    await writer.drain()
    async with contextlib.aclosing(answer.chunks) as chunks:
        async for chunk in chunks:
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def _head(status: HTTPStatus, content_type: str, framing: str, keep_alive: bool) -> bytes:
    connection = "keep-alive" if keep_alive else "close"
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {content_type}\r\n{framing}\r\n"
        f"Cache-Control: no-store\r\nConnection: {connection}\r\n\r\n"
    ).encode("ascii")
