"""`genhash` and its twin of keepalived say the same (checkers-and-ipvs.md 4.2)."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from keepvip.cli import genhash, keepvipd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .servers import Servers

THEIRS = shutil.which("genhash")
BODY = b"a page\x00\xff with bytes" * 100


async def run(*command: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def ours(arguments: Sequence[str]) -> tuple[str, ...]:
    return (sys.executable, "-m", "keepvip", "genhash", *arguments)


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
        b"HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n" + BODY,
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
    ],
)
@pytest.mark.parametrize("more", [[], ["-P", "1.1", "-V", "www.example"]])
async def test_the_same_digest_and_request(servers: Servers, reply: bytes, more: list[str]) -> None:
    if THEIRS is None:
        pytest.skip("keepalived's genhash is not installed")
    port = await servers.http(reply)
    arguments = ["-s", "127.0.0.1", "-p", str(port), "-u", "/page?x=1", *more]
    _, theirs, _ = await run(THEIRS, *arguments)
    status, mine, error = await run(*ours(arguments))
    assert (status, mine, error) == (0, theirs, "")
    assert servers.requests[0] == servers.requests[1]


async def test_verbose_shows_what_came(servers: Servers) -> None:
    port = await servers.http(b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\nhello")
    _, out, _ = await run(*ours(["--verbose", "--server=127.0.0.1", f"--port={port}", "--url=/"]))
    assert "Server: x" in out
    assert "68 65 6c 6c 6f" in out
    assert out.splitlines()[-1] == hashlib.md5(b"hello").hexdigest()


async def test_no_server(free_port: int) -> None:
    status, out, error = await run(*ours(["-s", "127.0.0.1", "-p", str(free_port), "-u", "/"]))
    assert (status, out, error) == (1, "", "Connection failed: connection refused\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["-s", "127.0.0.1"],
        ["-u", "/"],
        ["-s", "127.0.0.1", "-u", "/", "-p", "70000"],
        ["-s", "127.0.0.1", "-u", "/", "-P", "2"],
        ["-s", "127.0.0.1", "-u", "/", "-I", "-S"],
        ["--nonsense"],
    ],
)
def test_command_lines_that_make_no_sense(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert genhash.main(arguments) == 1
    assert "genhash: " in capsys.readouterr().err


def test_other_ways_in(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (["-T", "--help"], ["--genhash", "-h"]):
        assert keepvipd.main(words) == 0
        assert "Usage: genhash" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [str(Path("/usr/bin/genhash")), "-h"])
    assert keepvipd.main() == 0
    assert "Usage: genhash" in capsys.readouterr().out
    assert keepvipd.main(["-n", "-T"]) == 1
