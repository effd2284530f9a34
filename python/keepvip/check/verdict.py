"""What one probe found, and the words for it (checkers-and-ipvs.md 8.3)."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from keepvip.config.model_check import Checker

__all__ = ["Verdict", "error_text", "failed", "from_error", "good", "local", "mail_body"]


class Verdict(NamedTuple):
    """The end of one probe."""

    ok: bool | None
    """None: this host could not ask, which says nothing about the server."""
    reason: str
    """For people: `connection refused`."""
    took_us: int = 0
    timed_out: bool = False
    weight_delta: int | None = None
    """What the check adds to the weight of the server from now on; None: what it added before."""


def good(reason: str, took_us: int = 0, *, weight_delta: int | None = None) -> Verdict:
    """The server works."""
    return Verdict(True, reason, took_us, weight_delta=weight_delta)


def failed(reason: str, took_us: int = 0, *, timed_out: bool = False) -> Verdict:
    """It does not."""
    return Verdict(False, reason, took_us, timed_out)


def local(reason: str) -> Verdict:
    """A problem of this host."""
    return Verdict(None, reason)


def error_text(number: int) -> str:
    """`connection refused` for ECONNREFUSED."""
    text = os.strerror(number)
    return text[:1].lower() + text[1:]


_FAILURES = frozenset({
    errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ETIMEDOUT, errno.EHOSTUNREACH,
    errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN,
})  # fmt: skip


def from_error(error: OSError, took_us: int = 0) -> Verdict:
    """A failure if the other side or the network is to blame, else a problem of this host."""
    text = error_text(error.errno) if error.errno else str(error)
    return failed(text, took_us) if error.errno in _FAILURES else local(text)


_PLAIN = {"TCP_CHECK": "TCP", "UDP_CHECK": "UDP", "PING_CHECK": "ICMP"}


def mail_body(checker: Checker, verdict: Verdict) -> str:
    """The text of the mail about a change; empty for checks that send none."""
    kind, ok = checker.kind, bool(verdict.ok)
    if kind in _PLAIN:
        return f"=> {_PLAIN[kind]} CHECK {'succeed' if ok else 'failed'} on service <="
    if kind in {"HTTP_GET", "SSL_GET"}:
        return "=> CHECK succeed on service <=" if ok else "=> CHECK failed on service : HTTP/SSL request failed <="
    if kind == "SMTP_CHECK":
        return "=> CHECK succeed on service <=" if ok else f"=> CHECK failed on service : {verdict.reason} <="
    if kind == "DNS_CHECK":
        return f"=> DNS_CHECK: {'succeed' if ok else 'failed'} on service <="
    if kind == "MISC_CHECK":
        if ok:
            return "=> MISC CHECK succeeded on service <="
        return f"=> MISC CHECK {'timed out' if verdict.timed_out else 'failed'} on service <="
    return ""
