"""The health checks of real servers: final values, every inheritance applied (config-keywords.md 12, 16).

What a check looks at is its *target*: where it goes and what it asks there. When it does so, and how often it may fail,
is its *timing*. Over a reload a check is the same if the target is (checkers-and-ipvs.md 10), whatever became of the
timing; `identity` says so.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from keepvip.config.model_script import Script  # noqa: TC001  (msgspec resolves annotations at run time)

__all__ = [
    "Checker",
    "DnsCheck",
    "FileCheck",
    "HttpCheck",
    "MiscCheck",
    "PingCheck",
    "Regex",
    "SmtpCheck",
    "SslClient",
    "Target",
    "TcpCheck",
    "UdpCheck",
    "Url",
]

CONNECT_TIMEOUT_US = 5_000_000
SMTP_HELO = "smtpchecker.keepalived.org"


class Target(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a check goes, and from where."""

    address: str
    """Canonical text form."""
    port: int
    """0 for checks without ports."""
    family: int
    """4 or 6."""
    bind_address: str | None = None
    bind_port: int = 0
    """0 = any."""
    bind_if: str | None = None
    fwmark: int = 0
    timeout_us: int = CONNECT_TIMEOUT_US
    """`connect_timeout`: how long each wait for the network may take."""

    @property
    def text(self) -> str:
        """`[ADDRESS]:PORT`, as keepalived writes it in its log."""
        return f"[{self.address}]:{self.port}" if self.port else f"[{self.address}]"


class SslClient(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The block `SSL`: what SSL_GET presents to servers. Servers are not verified (config-keywords.md 12)."""

    password: str | None = None
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    def __repr__(self) -> str:
        password = "None" if self.password is None else "<hidden>"
        return f"SslClient(password={password}, ca={self.ca!r}, certificate={self.certificate!r}, key={self.key!r})"


class Checker(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What every check has."""

    kind: ClassVar[str] = ""
    """The keyword of its block."""

    alpha: bool = False
    """The server is down until the first success."""
    retry: int = 1
    """Failures tolerated after the first."""
    delay_loop_us: int = 60_000_000
    """From one check to the next."""
    delay_before_retry_us: int = 1_000_000
    warmup_us: int = 60_000_000
    """Upper limit of the random part of the delay before the first check."""
    log_all_failures: bool = False

    @property
    def identity(self) -> tuple[Any, ...]:
        """Who the check *is* over a reload: its type and everything that matters for the target."""
        timing = Checker.__struct_fields__
        return (self.kind, *(getattr(self, field) for field in self.__struct_fields__ if field not in timing))


class TcpCheck(Checker, frozen=True, kw_only=True, gc=False):
    """Good if a connection can be made."""

    kind: ClassVar[str] = "TCP_CHECK"
    target: Target


class Regex(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a page must match, or must not."""

    pattern: str
    """As PCRE2 gets it."""
    options: frozenset[str] = frozenset()
    """Names of `regex_options`."""
    no_match: bool = False
    min_offset: int = 0
    """Where the search begins, in bytes of the body."""
    max_offset: int | None = None
    """Last place where a match may begin."""
    stack: tuple[int, int] | None = None
    """Start and maximum of the matcher's stack, in bytes."""


class Url(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One page of HTTP_GET or SSL_GET."""

    path: str
    host: str | None = None
    """Host header; None = the target as ADDRESS:PORT."""
    sni: str | None = None
    """Server name sent in TLS; None = none is sent."""
    digest: str | None = None
    """MD5 of the body, 32 lower-case digits."""
    status_codes: tuple[tuple[int, int], ...] = ((200, 299),)
    """Inclusive ranges."""
    regex: Regex | None = None
    tls_compliant: bool = False


class HttpCheck(Checker, frozen=True, kw_only=True, gc=False):
    """HTTP_GET, and SSL_GET with `tls`."""

    kind: ClassVar[str] = "HTTP_GET"
    target: Target
    urls: tuple[Url, ...]
    """At least one."""
    protocol: str = "1.0"
    """`1.0`, `1.0C` or `1.1`."""
    fast_recovery: bool = False


class SslCheck(HttpCheck, frozen=True, kw_only=True, gc=False):
    """The same over TLS."""

    kind: ClassVar[str] = "SSL_GET"


class SmtpCheck(Checker, frozen=True, kw_only=True, gc=False):
    """Good if a mail server answers HELO."""

    kind: ClassVar[str] = "SMTP_CHECK"
    target: Target
    helo_name: str = SMTP_HELO


class DnsCheck(Checker, frozen=True, kw_only=True, gc=False):
    """Good if a name server answers without an error."""

    kind: ClassVar[str] = "DNS_CHECK"
    target: Target
    type: str = "SOA"
    name: str = "."


class MiscCheck(Checker, frozen=True, kw_only=True, gc=False):
    """Good if a command succeeds."""

    kind: ClassVar[str] = "MISC_CHECK"
    script: Script
    timeout_us: int
    dynamic: bool = False
    """Exit status 2..255 is good and sets the weight to two less."""


class PingCheck(Checker, frozen=True, kw_only=True, gc=False):
    """Good if it answers an ICMP echo request."""

    kind: ClassVar[str] = "PING_CHECK"
    target: Target


class UdpCheck(Checker, frozen=True, kw_only=True, gc=False):
    """Good if UDP is not refused, or is answered as expected."""

    kind: ClassVar[str] = "UDP_CHECK"
    target: Target
    payload: bytes | None = None
    """None = the default text of 32 bytes."""
    require_reply: bool = False
    reply: bytes | None = None
    """What the reply must begin with; None = any reply."""
    mask: bytes = b""
    """As long as `reply`: the bits that count."""
    min_reply_length: int = 0
    max_reply_length: int = 255


class FileCheck(Checker, frozen=True, kw_only=True, gc=False):
    """Follows the number in a file that a `track_file` names."""

    kind: ClassVar[str] = "FILE_CHECK"
    track_file: str
    weight: int = 0
    """Factor of the number; 0: a number other than 0 is a failure."""
    reverse: bool = False
