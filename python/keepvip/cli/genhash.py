"""`keepvip genhash`, `keepvipd --genhash`, and keepvipd under the name genhash: the digest of a page for `digest`.

The options are those of keepalived's genhash; the page is fetched with the code of HTTP_GET and SSL_GET.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING

from keepvip.cli.options import OptionError, describe, flag, parse, value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from keepvip.check.fetch import Page
    from keepvip.config.model_check import HttpCheck

__all__ = ["main"]

OPTIONS = (
    flag("S", "use-ssl", "use TLS"),
    flag("I", "use-sni", "send the virtual host (-V) as server name in TLS"),
    value("s", "server", "ADDRESS", "address or name of the server"),
    value("p", "port", "PORT", "its port (default 80, with TLS 443)"),
    value("u", "url", "PATH", "path of the page"),
    value("V", "use-virtualhost", "NAME", "what the Host header says (default: ADDRESS:PORT)"),
    flag("v", "verbose", "show header and body, too"),
    flag("h", "help", "print this help"),
    value("m", "fwmark", "MARK", "firewall mark of the packets"),
    value("P", "protocol", "VERSION", "1.0, 1.0c (with `Connection: close`) or 1.1"),
    value("t", "timeout", "SECONDS", "how long each answer may take (default 5)"),
)
_PROTOCOLS = {"1.0": "1.0", "1.0c": "1.0C", "1.0C": "1.0C", "1.1": "1.1"}
_ANY_STATUS = ((0, 999),)


def main(arguments: Sequence[str]) -> int:
    """Fetches and prints; the exit status is 1 if there is no digest or the command line makes no sense."""
    try:
        parsed = parse(arguments, OPTIONS)
        given = {option.name: text for option, text in parsed.options}
        if "help" in given or not arguments:
            print(_usage())
            return 0 if "help" in given else 1
        check = _check(given)
    except OptionError as error:
        print(f"genhash: {error}\nTry `genhash --help`.", file=sys.stderr)
        return 1
    from keepvip.check.fetch import fetch  # noqa: PLC0415  (not for --help)

    page = asyncio.run(fetch(check, tls="use-ssl" in given))
    if not page.digest:
        print(f"Connection failed: {page.trouble}", file=sys.stderr)
        return 1
    if "verbose" in given:
        print("\n".join(_shown(page, check.urls[0].path)))
    print(page.digest)
    return 0


def _check(given: dict[str, str | None]) -> HttpCheck:
    """The page as a check. Raises OptionError."""
    from keepvip.config.model_check import HttpCheck, Target, Url  # noqa: PLC0415  (not for --help)

    server, path = given.get("server"), given.get("url")
    if server is None or path is None:
        raise OptionError("a server (-s) and a path (-u) are needed")
    port = _number(given, "port", 443 if "use-ssl" in given else 80, 1, 65_535)
    protocol = _PROTOCOLS.get(given.get("protocol") or "1.0")
    if protocol is None:
        raise OptionError("the protocol (-P) is 1.0, 1.0c or 1.1")
    timeout_s = _number(given, "timeout", 5, 1, 4_294)
    try:
        family, _, _, _, address = socket.getaddrinfo(server, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise OptionError(f"no address for {server}: {error.strerror or error}") from None
    host = given.get("use-virtualhost")
    if "use-sni" in given and host is None:
        raise OptionError("the server name (-I) is the virtual host, and there is none (-V)")
    return HttpCheck(
        target=Target(
            address=str(address[0]),
            port=port,
            family=6 if family == socket.AF_INET6 else 4,
            fwmark=_number(given, "fwmark", 0, 0, 4_294_967_295),
            timeout_us=timeout_s * 1_000_000,
        ),
        urls=(Url(path=path, host=host, sni=host if "use-sni" in given else None, status_codes=_ANY_STATUS),),
        protocol=protocol,
        delay_loop_us=600_000_000,  # a large page may take its time
    )


def _number(given: dict[str, str | None], name: str, default: int, low: int, high: int) -> int:
    text = given.get(name)
    if text is None:
        return default
    try:
        number = int(text)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise OptionError(f"--{name} takes a number {low}..{high}, not {text!r}")
    return number


def _usage() -> str:
    return "\n".join(["Usage: genhash -s ADDRESS -p PORT -u PATH [OPTION...]", "", *describe(OPTIONS)])


def _shown(page: Page, path: str) -> Iterator[str]:
    yield f"Global response time for [{path}] = {page.took_us} usecs"
    yield "-----------------------[    HTTP Header Buffer    ]-----------------------"
    yield from _dump(page.header)
    yield "-----------------------[ HTTP Header Ascii Buffer ]-----------------------"
    yield page.header.decode("ascii", "backslashreplace").replace("\r\n", "\n")
    yield from _dump(page.body)


def _dump(data: bytes) -> Iterator[str]:
    for place in range(0, len(data), 16):
        part = data[place : place + 16]
        left, right = (" ".join(f"{byte:02x}" for byte in half) for half in (part[:8], part[8:]))
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        yield f"{place:04d}  {left:<23} - {right:<23}   {text}"
