"""How much a takeover costs beyond the protocol's own time: keepvip and keepalived side by side.

Plays the main job (two nodes, sync group, v2, priority 99 on the backup) and kills the master with kill -9. The time
counts from the dead master's last advert to the new master's first advert, address and first gratuitous ARP; packets
carry the kernel's time stamp, the address the moment at which an rtnetlink listener heard of it. Needs root.

    python benches/takeover.py [--runs 5] [--daemons keepvip,keepalived] [--json]
"""

import argparse
import contextlib
import json
import statistics
import sys
import time

from keepvip.lab import Daemon, Keepalived, Keepvip, Keepvipd, LabError, Pair
from keepvip.lab.configs import down_interval_s
from keepvip.lab.demo.files import main_job
from keepvip.lab.measure import Takeover, measure_takeover

KINDS: dict[str, type[Daemon]] = {"keepvip": Keepvip, "keepvipd": Keepvipd, "keepalived": Keepalived}
VIPS = {50: "10.0.0.1", 2: "192.168.1.1"}
PROTOCOL_S = down_interval_s(99)


def one_run(pair: Pair, kind: type[Daemon]) -> dict[str, float]:
    """One takeover; milliseconds beyond the protocol's own time, for the slower member of the group."""
    a, b = kind(pair.a, main_job("master")), kind(pair.b, main_job("backup"))
    watch = pair.b.watch_addresses()
    a.start()
    b.start()
    for vrid, vip in VIPS.items():
        pair.wait_master(pair.a, vrid, address=vip, timeout_s=10)
    for vrid in VIPS:  # b has heard a for a while
        pair.tap.wait_advert("a", vrid, timeout_s=3, since_ns=time.time_ns())
    killed_ns = a.crash()
    takeovers: list[Takeover] = [
        measure_takeover(pair.tap, watch, old="a", new="b", vrid=vrid, address=vip, since_ns=killed_ns, timeout_s=10)
        for vrid, vip in VIPS.items()
    ]
    # The group may move when its last member may: the time counts from the later last advert.
    due_ns = max(takeover.last_advert_ns for takeover in takeovers) + int(PROTOCOL_S * 1e9)

    return {
        "advert": (max(takeover.first_advert_ns for takeover in takeovers) - due_ns) / 1e6,
        "address": (max(takeover.address_ns for takeover in takeovers) - due_ns) / 1e6,
        "garp": (max(takeover.first_announcement_ns for takeover in takeovers) - due_ns) / 1e6,
    }


def main() -> int:
    """Runs and prints; exit status 1 if keepvip's median is more than 1 ms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--daemons", default="keepvip,keepalived")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    sys.setswitchinterval(0.0005)  # the listener threads must not wait for each other
    results: dict[str, list[dict[str, float]]] = {}
    with contextlib.closing(Pair(own_dev=False)) as pair:
        for name in asked.daemons.split(","):
            if complaint := KINDS[name].missing():
                raise LabError(complaint)
            for number in range(asked.runs):
                run = one_run(pair, KINDS[name])
                results.setdefault(name, []).append(run)
                if not asked.json:
                    print(f"{name:10} run {number + 1}: " + "  ".join(f"{k} {v:+.2f} ms" for k, v in run.items()))
                pair.reset()
    medians = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in results.items()
    }
    if asked.json:
        print(json.dumps({"protocol_ms": PROTOCOL_S * 1000, "runs": results, "medians": medians}, indent=2))
    else:
        print(f"\nbeyond the protocol's own {PROTOCOL_S * 1000:.1f} ms, median of {asked.runs}:")
        for name, median in medians.items():
            print(f"{name:10} " + "  ".join(f"{key} {value:+.2f} ms" for key, value in median.items()))
    return 1 if medians.get("keepvip", {}).get("garp", 0.0) > 1.0 else 0


if __name__ == "__main__":
    sys.exit(main())
