"""255 virtual routers at 100 ms while the same daemon carries out 10,000 checks and half of the servers flap.

Node a is master of all routers and checks 10,000 servers on its loopback network, of which half refuse connections
every other five seconds; node b is backup of all. The wire is the witness: no advert may be missing and the backup may
say nothing. Where the kernel has no IPVS the daemon says so, and checks all the same. Needs root.

    python benches/checks_and_adverts.py [--seconds 30] [--servers 10000] [--period 10] [--count 255] [--json]
"""

import argparse
import json
import sys
import time
from pathlib import Path

from density255 import Watcher, configuration, usage
from keepvip.lab import Keepvip, Lab
from keepvip.lab.waiting import wait_until

GOOD, FLAPPING = 18_080, 18_081
INTERVAL_S = 0.1


def services(servers: int, period: float) -> str:
    """Ten real servers to a virtual server, each an address of the loopback network."""
    found = []
    for first in range(0, servers, 10):
        found.append(
            f"virtual_server 10.1.{first // 2000}.{first // 10 % 200} 80 {{\n delay_loop {period:g}\n protocol TCP\n"
            " lb_algo rr\n lb_kind NAT\n retry 1\n delay_before_retry 1"
        )
        for number in range(first, first + 10):
            port = FLAPPING if number % 2 else GOOD
            found.append(
                f" real_server 127.{1 + number // 62_500}.{number // 250 % 250}.{1 + number % 250} {port} {{\n"
                f"  TCP_CHECK {{\n   connect_timeout 3\n  }}\n }}"
            )
        found.append("}")
    return "\n".join(found)


def main() -> int:
    """Runs and prints; exit status 1 if an advert is missing or the backup spoke."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--servers", type=int, default=10_000)
    parser.add_argument("--period", type=float, default=10)
    parser.add_argument("--count", type=int, default=255)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    watcher = Watcher()
    with Lab() as lab:
        lan = lab.lan("lan")
        a, b = lab.node("a"), lab.node("b")
        a.attach("eth0", lan, ["10.0.0.11/16"])
        b.attach("eth0", lan, ["10.0.0.12/16"])
        tap = lab.tap(keep=False, on_packet=watcher.see)
        serve = [sys.executable, str(Path(__file__).with_name("checks.py")), "--serve", str(GOOD), str(FLAPPING)]
        a.start(serve, log="servers")
        text = configuration(asked.count, INTERVAL_S, 100) + services(asked.servers, asked.period)
        daemon = Keepvip(a, text)
        master = daemon.start()
        wait_until(lambda: len(watcher.last) == asked.count, timeout_s=120, what="all masters on a")
        backup = Keepvip(b, configuration(asked.count, INTERVAL_S, 99)).start()
        warm_s = time.monotonic() + asked.period + 6
        wait_until(lambda: time.monotonic() > warm_s, timeout_s=warm_s, what="all checks have begun", poll_s=0.2)
        before = usage(master.pid)
        watcher.counting.set()
        start_s = time.monotonic()
        wait_until(
            lambda: time.monotonic() - start_s >= asked.seconds,
            timeout_s=asked.seconds + 60,
            what="the end",
            poll_s=0.1,
        )
        watcher.counting.clear()
        elapsed_s = time.monotonic() - start_s
        after = usage(master.pid)
        flaps = daemon.log_text().count("TCP_CHECK ")
        alive = master.running and backup.running
        lost_by_tap = tap.lost
    gaps = sorted(watcher.gaps_ms)
    interval_ms = INTERVAL_S * 1000
    result = {
        "adverts": watcher.count.get("a", 0),
        "expected": round(asked.count * elapsed_s / INTERVAL_S),
        "missing": sum(round(gap / interval_ms) - 1 for gap in gaps if gap > 1.5 * interval_ms),
        "worst_gap_ms": round(gaps[-1], 2),
        "adverts_of_backup": watcher.count.get("b", 0),
        "lost_by_tap": lost_by_tap,
        "changes_of_checks": flaps,
        "cpu_percent": round((after[0] - before[0]) / elapsed_s * 100, 1),
        "rss_mib": round(after[1], 1),
    }
    if asked.json:
        print(json.dumps(result, indent=2))
    else:
        print(
            f"{asked.count} routers at 100 ms, {asked.servers} servers every {asked.period:g} s, half of them flapping"
        )
        for key, value in result.items():
            print(f"  {key:18} {value}")
    return 0 if alive and not result["missing"] and not result["adverts_of_backup"] else 1


if __name__ == "__main__":
    sys.exit(main())
