"""HTTP_GET and SSL_GET: one page per check (checkers-and-ipvs.md 4.2).

The reply is read as keepalived reads it: a status line, headers up to the first empty line, and then the body as it
comes until the server closes. There is no chunked decoding, because digests and patterns are over the bytes received.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from typing import TYPE_CHECKING

from keepvip.check.stream import Conversation, StreamWay
from keepvip.check.verdict import Verdict, failed, good
from keepvip.script.offload import off_loop

if TYPE_CHECKING:
    from keepvip.check.page import Digest, Search
    from keepvip.check.way import Done
    from keepvip.config.model_check import HttpCheck, SslClient, Target, Url

__all__ = ["Exchange", "HttpWay", "Tls", "make_context", "request"]

log = logging.getLogger(__name__)

MOST_HEADER = 65_536
"""Bytes before the empty line; with more of them it is no reply."""
_END = re.compile(rb"\r\n\r\n|\n\n")
_STATUS = re.compile(rb"[^ \r\n]+ +([0-9]{3})(?![0-9])")
_LENGTH = re.compile(rb"^content-length:[ \t]*([0-9]{1,18})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


def request(target: Target, url: Url, protocol: str) -> bytes:
    """What is sent."""
    host = url.host
    if host is None:
        host = f"[{target.address}]:{target.port}" if target.family == 6 else f"{target.address}:{target.port}"
    close = "Connection: close\r\n" if protocol in {"1.0C", "1.1"} else ""
    version = "1.1" if protocol == "1.1" else "1.0"
    text = f"GET {url.path} HTTP/{version}\r\nUser-Agent: KeepAliveClient\r\n{close}Host: {host}\r\n\r\n"
    return text.encode("utf-8", "surrogateescape")


def make_context(client: SslClient | None) -> ssl.SSLContext:
    """A TLS client that verifies nobody. Raises OSError (also ssl.SSLError) for files that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if client is not None:
        if client.ca is not None:
            context.load_verify_locations(client.ca)
        if client.certificate is not None:
            # Without a pass phrase an encrypted key would make OpenSSL ask on the terminal.
            context.load_cert_chain(client.certificate, client.key, password=client.password or "")
    return context


class Tls:
    """The TLS side of all SSL_GET checks of a configuration; its files are read once, and not on the event loop."""

    def __init__(self, client: SslClient | None) -> None:
        self._client = client
        self._made: asyncio.Task[ssl.SSLContext | str] | None = None

    async def context(self) -> ssl.SSLContext | str:
        """What to connect with, or why the block `SSL` cannot be used."""
        if self._made is None:
            self._made = asyncio.get_running_loop().create_task(self._make(), name="read the files of SSL")
        return await asyncio.shield(self._made)

    async def _make(self) -> ssl.SSLContext | str:
        try:
            return await off_loop(lambda: make_context(self._client), name="read the files of SSL")
        except OSError as error:
            text = f"the files of the SSL block cannot be used: {error.strerror or error}"
            log.error("SSL_GET checks do not run: %s", text)
            return text


class Exchange(Conversation):
    """One request and its reply. `digest` is computed if the page wants one, or with `always_digest`."""

    def __init__(
        self, url: Url, data: bytes, wait_s: float, whole_s: float, done: Done, *, always_digest: bool = False
    ) -> None:
        super().__init__(wait_s, whole_s, done)
        self._url = url
        self._request = data
        self.header = bytearray()
        self._in_body = False
        self.status = 0
        self.length: int | None = None
        """Content-Length."""
        self.received = 0
        """Bytes of the body."""
        self.digest: Digest | None = None
        self._search: Search | None = None
        if always_digest or url.digest is not None:
            from keepvip.check.page import Digest  # noqa: PLC0415  (only where a page is looked at)

            self.digest = Digest()
        if url.regex is not None:
            from keepvip.check.page import Search  # noqa: PLC0415

            self._search = Search(url.regex)

    def greet(self) -> None:
        """Asks for the page."""
        self.say(self._request)

    def data_received(self, data: bytes) -> None:
        """Takes a part of the reply."""
        if self.ended:
            return
        self.heard()
        if self._in_body:
            self.take_body(data)
            return
        header = self.header
        seen = max(0, len(header) - 3)
        header += data
        found = _END.search(header, seen)
        if found is None:
            if len(header) > MOST_HEADER:
                self.finish(failed(f"no end of the header within {MOST_HEADER} bytes"))
            return
        rest = bytes(header[found.end() :])
        del header[found.end() :]
        self._in_body = True
        status = _STATUS.match(header)
        self.status = int(status[1]) if status is not None else 0
        length = _LENGTH.search(header)
        self.length = int(length[1]) if length is not None else None
        self.header_done()
        if rest:
            self.take_body(rest)

    def header_done(self) -> None:
        """The header is complete."""

    def take_body(self, data: bytes) -> None:
        """Takes a part of the body."""
        self.received += len(data)
        if self.digest is not None:
            self.digest.feed(data, self.length)
        if self._search is not None:
            self._search.feed(data)

    def closed(self) -> None:
        """All has come: judges."""
        self.finish(self._judge())

    def _judge(self) -> Verdict:
        url = self._url
        if not self._in_body:
            return failed("no reply" if not self.header else "the reply has no complete header")
        if not any(low <= self.status <= high for low, high in url.status_codes):
            return failed(f"status {self.status}" if self.status else "the reply is not HTTP")
        if url.digest is not None and self.digest is not None and self.digest.hex() != url.digest:
            return failed(f"digest {self.digest.hex()} instead of {url.digest}")
        search = self._search
        if search is not None and url.regex is not None:
            search.finish()
            if search.trouble:
                return failed(f"the pattern gives no answer: {search.trouble}")
            if search.found == url.regex.no_match:
                return failed("the page matches" if search.found else "the page does not match")
        return good(f"status {self.status}")


class HttpWay(StreamWay):
    """Asks for one page after the other."""

    def __init__(self, check: HttpCheck, tls: Tls | None) -> None:
        super().__init__(check, check.target)
        self._check = check
        self._tls = tls
        self._requests = [request(check.target, url, check.protocol) for url in check.urls]
        self._differences = [0] * len(check.urls)

    def begin(self, page: int, done: Done) -> None:
        """Asks for a page."""
        url = self._check.urls[page]

        def judged(verdict: Verdict) -> None:
            self._compare_length(page, talk)
            done(verdict)

        talk = Exchange(url, self._requests[page], self._wait_s, self._whole_s, judged)
        talk.compliant = url.tls_compliant
        self._converse(talk, self._tls, url.sni)

    def _compare_length(self, page: int, talk: Exchange) -> None:
        """A wrong Content-Length is told when it changes, and is no failure."""
        if talk.length is None or not talk.status:
            return
        difference = talk.received - talk.length
        if difference != self._differences[page]:
            self._differences[page] = difference
            if difference:
                log.info(
                    "%s %s%s: Content-Length is %d, %d bytes came",
                    self._check.kind,
                    self._target.text,
                    self._check.urls[page].path,
                    talk.length,
                    talk.received,
                )
