"""One page, fetched as HTTP_GET and SSL_GET would: what `genhash` is made of (checkers-and-ipvs.md 4.2)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from keepvip.check.http import Exchange, Tls, request
from keepvip.check.stream import StreamWay

if TYPE_CHECKING:
    from keepvip.check.verdict import Verdict
    from keepvip.config.model_check import HttpCheck

__all__ = ["Page", "fetch"]

MOST_BODY = 1 << 20
"""Bytes of the body that are kept to be shown; the digest is over all of it."""


class Page(msgspec.Struct, kw_only=True):
    """What came."""

    digest: str = ""
    """MD5 of the body; empty: there was no complete reply."""
    header: bytes = b""
    body: bytes = b""
    trouble: str = ""
    """Why there is no digest."""
    took_us: int = 0


class _Recording(Exchange):
    """Keeps the body."""

    body = b""

    def take_body(self, data: bytes) -> None:
        """Takes a part of the body."""
        super().take_body(data)
        if len(self.body) < MOST_BODY:
            self.body += data[: MOST_BODY - len(self.body)]


class _Way(StreamWay):
    """Fetches the first page of a check."""

    async def run(self, check: HttpCheck, tls: Tls | None) -> Page:
        ended: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        url = check.urls[0]
        data = request(check.target, url, check.protocol)
        talk = _Recording(url, data, self._wait_s, self._whole_s, ended.set_result, always_digest=True)
        self._converse(talk, tls, url.sni)
        verdict = await ended
        page = Page(header=bytes(talk.header), body=talk.body, took_us=verdict.took_us)
        if verdict.ok and talk.digest is not None:
            page.digest = talk.digest.hex()
        else:
            page.trouble = verdict.reason
        return page


async def fetch(check: HttpCheck, *, tls: bool) -> Page:
    """The first page of the check; any status will do if the check allows it."""
    return await _Way(check, check.target).run(check, Tls(None) if tls else None)
