"""What many virtual routers cost: keepvip and keepalived side by side, in namespaces of their own. Needs root.

    python benches/density.py [--full] [--only master,backup,failover,start,pressure] [--daemons keepvip,keepalived]
                              [--counts 255,1000] [--intervals-ms 1000,100] [--seconds 8] [--rounds 2]
                              [--json FILE] [--svg FILE]

The daemons take turns (A B A B) and the median counts. Processor time is the scheduler's (schedstat of every thread and
child), adverts are counted by the interfaces, times are the kernel's time stamps. The short form, which `make bench`
runs, takes less than ten minutes; `--full` all counts (50 to 4000), intervals (1 s, 100 ms, 10 ms) and 1000 interfaces
with one router each, about two hours. What a wake-up costs differs by machine: compare the columns, not the days.
"""

import argparse
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from density_lab import (
    KINDS,
    PER_INTERFACE,
    Sniffer,
    Source,
    address_of,
    configuration,
    cpu_ns,
    interfaces_of,
    memory_mib,
    packets_sent,
    two_nodes,
)
from density_picture import picture
from keepvip.lab import LabError, LabTimeoutError, Node
from keepvip.lab.configs import skew_s
from keepvip.lab.waiting import wait_until

Row = dict[str, Any]
SAMPLES_PER_S = 1500
"""Adverts that the sniffer looks at."""


def percentile(values: list[float], part: float) -> float:
    """Of sorted values."""
    return round(values[min(len(values) - 1, int(len(values) * part))], 1) if values else float("nan")


def sampling(count: int, interval_s: float) -> int:
    """Every which VRID is watched."""
    return max(1, round(count / interval_s / SAMPLES_PER_S))


def masters(node: Node, links: int, count: int, interval_s: float) -> Callable[[], bool]:
    """True once the node sends as many adverts as `count` masters do."""
    last = [packets_sent(node, links), time.monotonic()]

    def all_there() -> bool:
        span_s = max(0.3, 2 * interval_s)
        time.sleep(span_s)
        sent, now = packets_sent(node, links), time.monotonic()
        rate = (sent - last[0]) / (now - last[1])
        last[:] = [sent, now]
        return 0.9 * count / interval_s <= rate <= 1.15 * count / interval_s

    return all_there


def master_cost(kind: str, count: int, interval_s: float, seconds: float, per_interface: int = PER_INTERFACE) -> Row:
    """Processor time per advert sent, memory, and how exact the gaps are."""
    links = interfaces_of(count, per_interface)
    with two_nodes(links) as (a, b):
        process = KINDS[kind](a, configuration(count, interval_s, 200, per_interface=per_interface)).start()
        wait_until(masters(a, links, count, interval_s), timeout_s=60, what="all masters")
        sniffer = Sniffer(b, every=sampling(count, interval_s))
        time.sleep(1)
        sniffer.forget()
        cpu, sent, start = cpu_ns(process.pid), packets_sent(a, links), time.monotonic()
        time.sleep(seconds)
        elapsed = time.monotonic() - start
        cpu, sent = cpu_ns(process.pid) - cpu, packets_sent(a, links) - sent
        memory = memory_mib(process.pid)
        sniffer.close()
        errors = sniffer.gap_errors_us(interval_s)
    return {
        "us_per_advert": round(cpu / sent / 1000, 2),
        "core_percent": round(cpu / elapsed / 1e7, 2),
        "missing": max(0, round(count * elapsed / interval_s - sent - count)),
        "gap_p50_us": percentile(errors, 0.5),
        "gap_p99_us": percentile(errors, 0.99),
        "gap_p999_us": percentile(errors, 0.999),
        "gap_max_us": percentile(errors, 1.0),
        **memory,
    }


def backup_cost(kind: str, count: int, interval_s: float, seconds: float, per_interface: int = PER_INTERFACE) -> Row:
    """Processor time per advert received from an evenly spread source, and false takeovers."""
    links = interfaces_of(count, per_interface)
    with two_nodes(links) as (a, b):
        source = Source(a, count, interval_s, per_interface=per_interface)
        source.start()
        try:
            process = KINDS[kind](b, configuration(count, interval_s, 100, per_interface=per_interface)).start()
            time.sleep(4 + 4 * interval_s)
            claims = Sniffer(a)
            cpu, heard, start = cpu_ns(process.pid), packets_sent(a, links), time.monotonic()
            time.sleep(seconds)
            elapsed = time.monotonic() - start
            cpu, heard = cpu_ns(process.pid) - cpu, packets_sent(a, links) - heard
            memory = memory_mib(process.pid)
            claims.close()
            own = {f"192.168.{n % 250}.{2 + 2 * (n // 250)}" for n in range(links)}
            false = sum(len(times) for (_, _, sender), times in claims.sources.items() if sender in own)
        finally:
            source.stop()
    return {
        "us_per_advert": round(cpu / heard / 1000, 2),
        "core_percent": round(cpu / elapsed / 1e7, 2),
        "adverts_per_s": round(heard / elapsed),
        "adverts_of_the_backup": false,
        **memory,
    }


def failover(kind: str, count: int, interval_s: float, how: str) -> Row:
    """From each router's own deadline to its first advert and its first announcement by the new master, ms."""
    links = interfaces_of(count)
    with two_nodes(links) as (a, b):
        old = KINDS[kind](a, configuration(count, interval_s, 200))
        process = old.start()
        wait_until(masters(a, links, count, interval_s), timeout_s=60, what="all masters")
        KINDS[kind](b, configuration(count, interval_s, 100)).start()
        time.sleep(4 + 3 * interval_s)
        sniffer = Sniffer(b)
        time.sleep(1 + 2 * interval_s)
        if how == "kill":
            old.crash()
        else:
            os.kill(process.pid, signal.SIGTERM)
        ours = {(n // PER_INTERFACE, n % PER_INTERFACE + 1): address_of(n) for n in range(count)}

        def of(key: tuple[int, int], last: int) -> list[int]:
            return sniffer.sources.get((*key, f"192.168.{key[0] % 250}.{last}"), [])

        wait_until(lambda: all(of(key, 2) for key in ours), timeout_s=30, what="all taken over", poll_s=0.2)
        wait_until(
            lambda: all(vip in sniffer.announced for vip in ours.values()),
            timeout_s=30,
            what="all announced",
            poll_s=0.2,
        )
        skew = skew_s(100, version=3, interval_s=interval_s)
        late: dict[str, list[float]] = {"advert": [], "garp": []}
        for key, vip in ours.items():
            if how == "kill":
                due_ns = of(key, 1)[-1] + round((3 * interval_s + skew) * 1e9)
            else:
                due_ns = sniffer.zero[key] + round(skew * 1e9)
            late["advert"].append((of(key, 2)[0] - due_ns) / 1e6)
            late["garp"].append((sniffer.announced[vip] - due_ns) / 1e6)
        sniffer.close()
    row: Row = {}
    for name, values in late.items():
        row |= {
            f"{name}_first_ms": round(min(values), 2),
            f"{name}_median_ms": round(statistics.median(values), 2),
            f"{name}_last_ms": round(max(values), 2),
        }
    return row


def start_and_reload(kind: str, count: int) -> Row:
    """Start to the last first advert (priority 255), config test, and two reloads at 100 ms."""
    links = interfaces_of(count)
    with two_nodes(links) as (a, b):
        text = configuration(count, 0.1, 255).replace("state BACKUP", "state MASTER")
        sniffer = Sniffer(b)
        daemon = KINDS[kind](a, text)
        process = daemon.start()
        wait_until(lambda: len(sniffer.times) >= count, timeout_s=60, what="all first adverts", poll_s=0.05)
        first = max(times[0] for times in sniffer.times.values()) - process.started_ns
        time.sleep(3)
        rows: Row = {"last_first_advert_ms": round(first / 1e6)}
        for name, new in (("same", text), ("changed", text.replace("priority 255", "priority 254", 1))):
            sniffer.forget()
            time.sleep(0.5)
            cpu = cpu_ns(process.pid)
            daemon.reload(new)
            time.sleep(4)
            rows[f"reload_{name}_cpu_ms"] = round((cpu_ns(process.pid) - cpu) / 1e6)
            longest = max(
                after - before for times in sniffer.times.values() for before, after in itertools.pairwise(times)
            )
            rows[f"reload_{name}_gap_ms"] = round(longest / 1e6, 1)
        rows |= memory_mib(process.pid)
        sniffer.close()
        file = str(daemon.file)
        check = (
            [sys.executable, "-m", "keepvip", "check", file]
            if kind != "keepalived"
            else ["keepalived", "-t", "-f", file]
        )
        start = time.monotonic()
        with a.network.entered():
            subprocess.run(check, check=False, capture_output=True)
        rows["config_test_ms"] = round((time.monotonic() - start) * 1000)
    return rows


def pressure(kind: str, count: int, interval_s: float, seconds: float) -> Row:
    """Gap errors of a master under two busy loops per core."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        return master_cost(kind, count, interval_s, seconds)
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def median_row(rows: list[Row]) -> Row:
    """The median of each figure."""
    return {key: round(statistics.median(row[key] for row in rows), 2) for key in rows[0]}


def measure(name: str, kinds: list[str], rounds: int, one: Callable[[str], Row]) -> dict[str, Row]:
    """A B A B."""
    found: dict[str, list[Row]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            try:
                found[kind].append(one(kind))
            except (LabTimeoutError, LabError, KeyError) as error:
                print(f"{name}: {kind}: {str(error).splitlines()[0]}", file=sys.stderr)
    medians = {kind: median_row(rows) for kind, rows in found.items() if rows}
    print(f"\n### {name}\n\n{table(medians)}", flush=True)
    return medians


def table(rows: dict[str, Row]) -> str:
    """As Markdown."""
    if not rows:
        return "(nothing measured)\n"
    keys = list(next(iter(rows.values())))
    lines = ["| | " + " | ".join(rows) + " |", "|---|" + "---|" * len(rows)]
    lines += [f"| {key} | " + " | ".join(str(row.get(key, "")) for row in rows.values()) + " |" for key in keys]
    return "\n".join(lines) + "\n"


def numbers(text: str) -> list[int]:
    """Of a list with commas."""
    return [int(part) for part in text.split(",")]


def main() -> int:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", default="master,backup,failover,start,pressure")
    parser.add_argument("--daemons", default="keepvip,keepvip-wake,keepalived")
    parser.add_argument("--counts", type=numbers)
    parser.add_argument("--intervals-ms", type=numbers)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--svg", type=Path)
    asked = parser.parse_args()
    full = asked.full
    counts = asked.counts or ([50, 255, 1000, 2000, 4000] if full else [255, 1000])
    intervals_s = [ms / 1000 for ms in asked.intervals_ms or ([1000, 100, 10] if full else [1000, 100])]
    seconds = asked.seconds or (30 if full else 6)
    rounds = asked.rounds or (3 if full else 1)
    kinds = asked.daemons.split(",")
    for kind in kinds:
        if complaint := KINDS[kind].missing():
            raise LabError(complaint)
    two = [kind for kind in kinds if kind != "keepvip-wake"]
    groups = asked.only.split(",")
    results: dict[str, dict[str, Row]] = {}

    def run(name: str, of: list[str], one: Callable[[str], Row]) -> None:
        results[name] = measure(name, of, rounds, one)

    for interval_s in intervals_s:
        for count in counts:
            what = f"{count} routers at {interval_s * 1000:.0f} ms"
            if "master" in groups:
                run(f"master, {what}", two, lambda kind, c=count, i=interval_s: master_cost(kind, c, i, seconds))
            if "backup" in groups:
                run(f"backup, {what}", kinds, lambda kind, c=count, i=interval_s: backup_cost(kind, c, i, seconds))
    if full:
        run("master, 1000 interfaces at 1000 ms", two, lambda kind: master_cost(kind, 1000, 1.0, seconds, 1))
        run("backup, 1000 interfaces at 1000 ms", kinds, lambda kind: backup_cost(kind, 1000, 1.0, seconds, 1))
    if "failover" in groups:
        for count in [1, 100, 255, 1000] if full else [1, *counts[-1:]]:
            for interval_s, how in ((1.0, "kill"), (0.1, "kill"), (1.0, "term")):
                name = f"failover by {how}, {count} routers at {interval_s * 1000:.0f} ms"
                run(name, two, lambda kind, c=count, i=interval_s, h=how: failover(kind, c, i, h))
    if "start" in groups:
        for count in [1, 1000, 4000] if full else counts[-1:]:
            run(f"start and reload, {count} routers", two, lambda kind, c=count: start_and_reload(kind, c))
    if "pressure" in groups:
        run("pressure, 255 routers at 100 ms", two, lambda kind: pressure(kind, 255, 0.1, seconds))
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=2) + "\n")
    if asked.svg:
        asked.svg.write_text(picture(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
