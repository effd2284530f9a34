"""What health checks cost: CPU per 1000 checks, memory, and how late the event loop gets.

    python benches/checks.py [--servers 10000] [--period 10] [--seconds 25] [--flap] [tcp|http ...]

Every server is an address of the loopback network with one listener behind all of them, in another process. The
checks run as in the daemon: `keepvip.check.Checkers` on uvloop. CPU is that of this process, user and system, without
the warm-up. With `--flap` half of the servers refuse connections every other five seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from keepvip.check import Checkers
from keepvip.config.model import Config
from keepvip.config.model_check import Checker, HttpCheck, Target, TcpCheck, Url
from keepvip.service_event import CheckTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keepvip.service_event import CheckResult

REPLY = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 600\r\n\r\n" + b"x" * 600


def serve(port: int, flapping: int) -> None:
    """Answers on every address of the loopback network; with `flapping` that port is closed every other 5 s."""

    async def main() -> None:
        class Server(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport: asyncio.Transport = transport  # type: ignore[assignment]

            def data_received(self, data: bytes) -> None:
                self.transport.write(REPLY)
                self.transport.close()

        loop = asyncio.get_running_loop()
        await loop.create_server(Server, "0.0.0.0", port, backlog=4096)
        if not flapping:
            await asyncio.Event().wait()
        while True:
            server = await loop.create_server(Server, "0.0.0.0", flapping, backlog=4096, reuse_address=True)
            await asyncio.sleep(5)
            server.close()
            await asyncio.sleep(5)

    uvloop.run(main())


def make(kind: str, number: int, port: int, period_us: int) -> Checker:
    address = f"127.{1 + number // 62_500}.{number // 250 % 250}.{1 + number % 250}"
    target = Target(address=address, port=port, family=4)
    timing = {"delay_loop_us": period_us, "warmup_us": period_us, "retry": 1}
    if kind == "tcp":
        return TcpCheck(target=target, **timing)  # type: ignore[arg-type]
    return HttpCheck(target=target, urls=(Url(path="/health"),), **timing)  # type: ignore[arg-type]


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def measure(kind: str, options: argparse.Namespace, ports: tuple[int, int]) -> None:
    changes = 0

    def report(results: Sequence[CheckResult]) -> None:
        nonlocal changes
        changes += len(results)

    worst_s = 0.0

    async def watch() -> None:
        nonlocal worst_s
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            worst_s = max(worst_s, time.monotonic() - began - 0.01)

    before_mib = rss_mib()
    checkers = Checkers(report)
    tasks = []
    for number in range(options.servers):
        checker = make(kind, number, ports[number % 2 if options.flap else 0], int(options.period * 1e6))
        key = (("address", "tcp", f"vs{number}", 80), (f"rs{number}", 80), checker.identity, 0)
        tasks.append(CheckTask(key=key, checker=checker, service=f"vs{number}", server=f"rs{number}", up=True))
    began = time.monotonic()
    checkers.apply(tasks, Config())
    applied_s = time.monotonic() - began
    watcher = asyncio.create_task(watch())
    await asyncio.sleep(options.period + 2)  # the warm-up
    worst_s = 0.0
    start_cpu_s, start_s, start = cpu_s(), time.monotonic(), checkers.counters()
    await asyncio.sleep(options.seconds)
    spent_s, took_s, end = cpu_s() - start_cpu_s, time.monotonic() - start_s, checkers.counters()
    watcher.cancel()
    done = end["ok"] + end["failed"] - start["ok"] - start["failed"]
    print(
        f"{kind}: {options.servers} servers every {options.period:g} s: {done / took_s:.0f} checks/s,"
        f" {spent_s / done * 1000 * 1000:.1f} ms CPU per 1000 checks ({spent_s / took_s * 100:.1f} % of a core),"
        f" +{rss_mib() - before_mib:.1f} MiB, loop late by at most {worst_s * 1000:.1f} ms,"
        f" apply {applied_s * 1000:.0f} ms; {end['failed'] - start['failed']} failed, {changes} results told",
        flush=True,
    )
    await checkers.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="tcp|http")
    parser.add_argument("--servers", type=int, default=10_000)
    parser.add_argument("--period", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--flap", action="store_true")
    parser.add_argument("--serve", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(*options.serve)
        return
    with socket.socket() as one, socket.socket() as other:
        one.bind(("0.0.0.0", 0))
        other.bind(("0.0.0.0", 0))
        ports = (one.getsockname()[1], other.getsockname()[1])
    server = subprocess.Popen(
        [sys.executable, __file__, "--serve", str(ports[0]), str(ports[1] if options.flap else 0)]
    )
    try:
        time.sleep(1)
        for kind in options.kinds or ["tcp", "http"]:
            uvloop.run(measure(kind, options, ports))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


if __name__ == "__main__":
    main()
