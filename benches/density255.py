"""255 virtual routers on one interface at 100 ms (VRRPv3): what a master and a backup cost, and what gets lost.

Two nodes; node a is master of all, node b backup of all. Measures for a minute: lost and late adverts on the wire
(kernel time stamps), false takeovers, processor time and memory of both daemons. Needs root.

    python benches/density255.py [--seconds 60] [--count 255] [--interval-ms 100] [--daemons keepvip,...] [--json]
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keepvip.lab import Advert, Daemon, Keepalived, Keepvip, Keepvipd, Lab, LabError, Packet
from keepvip.lab.configs import instance
from keepvip.lab.process import descendants
from keepvip.lab.waiting import wait_until

KINDS: dict[str, type[Daemon]] = {"keepvip": Keepvip, "keepvipd": Keepvipd, "keepalived": Keepalived}
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Watcher:
    """Keeps the last advert of each router and node, and the gaps since a moment; fed by the tap's thread."""

    def __init__(self) -> None:
        self.last: dict[tuple[str, int], int] = {}
        self.count: dict[str, int] = {}
        self.gaps_ms: list[float] = []
        self.counting = threading.Event()

    def see(self, packet: Packet) -> None:
        """A packet from the tap."""
        if not isinstance(packet, Advert):
            return
        key = packet.node, packet.vrid
        if self.counting.is_set():
            self.count[packet.node] = self.count.get(packet.node, 0) + 1
            if key in self.last:
                self.gaps_ms.append((packet.at_ns - self.last[key]) / 1e6)
        self.last[key] = packet.at_ns


def configuration(count: int, interval_s: float, priority: int) -> str:
    """``count`` instances on eth0."""
    return "".join(
        instance(
            f"VI_{vrid}", vrid=vrid, priority=priority, version=3, interval_s=interval_s, addresses=[f"10.0.1.{vrid}"]
        )
        for vrid in range(1, count + 1)
    )


def usage(pid: int) -> tuple[float, float, float]:
    """(user + system seconds, resident MiB, proportional MiB) of a process and its children."""
    seconds = resident = proportional = 0.0
    for each in descendants(pid):
        stat = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        seconds += (int(stat[11]) + int(stat[12])) * TICK_S
        rollup = dict(_kib(Path(f"/proc/{each}/smaps_rollup")))
        resident += rollup.get("Rss", 0) / 1024
        proportional += rollup.get("Pss", 0) / 1024
    return seconds, resident, proportional


def _kib(path: Path) -> Iterator[tuple[str, int]]:
    for line in path.read_text().splitlines()[1:]:
        name, value, *_ = line.split()
        yield name.rstrip(":"), int(value)


def measure(kind: type[Daemon], count: int, interval_s: float, seconds: float) -> dict[str, Any]:
    """Run one daemon in both roles."""
    watcher = Watcher()
    with Lab() as lab:
        lan = lab.lan("lan")
        a, b = lab.node("a"), lab.node("b")
        a.attach("eth0", lan, ["10.0.0.11/16"])
        b.attach("eth0", lan, ["10.0.0.12/16"])
        tap = lab.tap(keep=False, on_packet=watcher.see)
        master = kind(a, configuration(count, interval_s, 100)).start()
        wait_until(lambda: len(watcher.last) == count or not master.running, timeout_s=120, what="all masters on a")
        if not master.running:
            raise LabError(a.last_words())
        backup = kind(b, configuration(count, interval_s, 99)).start()
        settled_ns = time.time_ns() + int((12 if kind is Keepalived else 6) * 1e9)  # second batch of announcements over
        wait_until(lambda: time.time_ns() > settled_ns, timeout_s=30, what="quiet", poll_s=0.1)
        before = {name: usage(process.pid) for name, process in (("master", master), ("backup", backup))}
        watcher.counting.set()
        start = time.monotonic()
        wait_until(lambda: time.monotonic() - start >= seconds, timeout_s=seconds + 60, what="the end", poll_s=0.1)
        watcher.counting.clear()
        elapsed = time.monotonic() - start
        after = {name: usage(process.pid) for name, process in (("master", master), ("backup", backup))}
        lost_by_tap = tap.lost
    gaps = sorted(watcher.gaps_ms)
    interval_ms = interval_s * 1000
    return {
        "adverts": watcher.count.get("a", 0),
        "expected": round(count * elapsed / interval_s),
        "missing": sum(round(gap / interval_ms) - 1 for gap in gaps if gap > 1.5 * interval_ms),
        "worst_gap_ms": round(gaps[-1], 2),
        "p999_gap_ms": round(gaps[int(len(gaps) * 0.999)], 2),
        "adverts_of_backup": watcher.count.get("b", 0),
        "lost_by_tap": lost_by_tap,
        **{
            name: {
                "cpu_percent": round((after[name][0] - before[name][0]) / elapsed * 100, 2),
                "rss_mib": round(after[name][1], 1),
                "pss_mib": round(after[name][2], 1),
            }
            for name in ("master", "backup")
        },
    }


def main() -> int:
    """Runs and prints; exit status 1 if keepvip lost an advert or took over falsely."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--count", type=int, default=255)
    parser.add_argument("--interval-ms", type=int, default=100)
    parser.add_argument("--daemons", default="keepvip")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    results = {}
    for name in asked.daemons.split(","):
        if complaint := KINDS[name].missing():
            raise LabError(complaint)
        results[name] = measure(KINDS[name], asked.count, asked.interval_ms / 1000, asked.seconds)
        if not asked.json:
            print(f"{name}: {asked.count} routers at {asked.interval_ms} ms for {asked.seconds:.0f} s")
            for key, value in results[name].items():
                print(f"  {key:18} {value}")
    if asked.json:
        print(json.dumps(results, indent=2))
    ours = [result for name, result in results.items() if name != "keepalived"]
    return 1 if any(result["missing"] or result["adverts_of_backup"] for result in ours) else 0


if __name__ == "__main__":
    sys.exit(main())
