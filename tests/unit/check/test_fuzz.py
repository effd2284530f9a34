"""Whatever a server sends: one verdict, bounded memory, no exception."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepvip.check.bulk import Bulk, DnsWay, UdpWay
from keepvip.check.http import MOST_HEADER, Exchange
from keepvip.check.page import WINDOW
from keepvip.check.smtp import MOST_LINE, Dialogue
from keepvip.config.model_check import DnsCheck, Regex, UdpCheck, Url

from .servers import target

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepvip.check.stream import Conversation
    from keepvip.check.verdict import Verdict

PIECES = st.lists(
    st.one_of(
        st.binary(max_size=200),
        st.sampled_from(
            [
                b"HTTP/1.0 200 OK\r\n",
                b"HTTP/1.1 503 \n",
                b"Content-Length: 5\r\n",
                b"content-length: 99999999999999999999\r\n",
                b"Content-Length: -1\r\n",
                b"\r\n\r\n",
                b"\n\n",
                b"\r\n",
                b"220 hi\r\n",
                b"250 ok\n",
                b"250-more\r\n",
                b"x" * 5000,
                b"needle",
                b"\xc3\xa4\xff",
            ]
        ),
    ),
    max_size=25,
)


class Wire:
    """Takes what is written."""

    def __init__(self) -> None:
        self.closed = False
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def get_extra_info(self, name: str) -> Any:
        return None


async def talk(
    make: Callable[[Callable[[Verdict], None]], Conversation], pieces: list[bytes], end: str
) -> list[Verdict]:
    verdicts: list[Verdict] = []
    conversation: Any = make(verdicts.append)
    wire = Wire()
    conversation.connection_made(wire)
    for piece in pieces:
        if wire.closed:
            break
        conversation.data_received(piece)
        assert held(conversation) <= MOST_HEADER + 5000 + 4 * WINDOW
    if not wire.closed:
        conversation.connection_lost({"eof": None, "reset": ConnectionResetError(104, "reset")}.get(end))
    assert conversation.ended
    return verdicts


def held(conversation: Any) -> int:
    """Bytes that it keeps."""
    search = getattr(conversation, "_search", None)
    kept = len(getattr(conversation, "header", b"")) + len(getattr(conversation, "_line", b""))
    return kept + (len(search._text) + len(search._rest) if search is not None else 0)


PAGES = [
    Url(path="/"),
    Url(path="/", digest="0" * 32),
    Url(path="/", regex=Regex(pattern="needle")),
    Url(path="/", regex=Regex(pattern="ä.*n", options=frozenset({"utf"}), no_match=True)),
]


@settings(max_examples=300, deadline=None)
@given(pieces=PIECES, page=st.sampled_from(PAGES), end=st.sampled_from(["eof", "reset"]))
def test_http(pieces: list[bytes], page: Url, end: str) -> None:
    verdicts = asyncio.run(talk(lambda done: Exchange(page, b"GET", 5, 10, done), pieces, end))
    assert len(verdicts) == 1
    if verdicts[0].ok:
        data = b"".join(pieces)
        assert data.lstrip()[:1]
        assert b" 2" in data
        assert end == "eof"


@settings(max_examples=300, deadline=None)
@given(pieces=PIECES, end=st.sampled_from(["eof", "reset"]))
def test_smtp(pieces: list[bytes], end: str) -> None:
    verdicts = asyncio.run(talk(lambda done: Dialogue("me", 5, 10, done), pieces, end))
    assert len(verdicts) == 1
    if verdicts[0].ok:
        assert b"".join(pieces).startswith(b"220")
    assert MOST_LINE == 512


@pytest.mark.parametrize("kind", ["dns", "udp"])
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(0, 70_000), reply=st.one_of(st.none(), st.binary(max_size=64)))
def test_datagrams(kind: str, size: int, reply: bytes | None) -> None:
    bulk = Bulk()
    way = (
        DnsWay(bulk, DnsCheck(target=target(53)))
        if kind == "dns"
        else UdpWay(
            bulk, UdpCheck(target=target(53), require_reply=True, reply=b"abc", mask=b"\xff\x00\xff", payload=b"")
        )
    )
    if kind == "dns" and reply is not None and len(reply) < 4:
        reply += bytes(4)  # the engine gives nothing shorter
    verdict = way._judge(2, 5, size, reply)
    assert verdict.ok in {True, False}
