"""What checking a configuration costs: `keepvip check` next to `keepalived -t` on the same file.

Each instance has a VRID of its own per multicast group, a password and two addresses, so one interface is enough.
Wall time and peak memory are those of the whole process; `load` is the compiler alone, in a process that runs already,
which is what a reload costs.

    python benches/config_check.py [--sizes 200,1000,4000] [--runs 5] [--interface eth0] [--json]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Nothing of keepvip is imported here: a child's peak memory begins with that of its parent.
GOAL_TIMES = 2.0
"""At most so many times keepalived's time at the largest size ..."""
GOAL_MIB = 60
"""... and so much memory."""


def configuration(count: int, interface: str) -> str:
    """`count` instances on one interface, 255 to a multicast group."""
    blocks = [
        f"""vrrp_instance VI_{number} {{
    state BACKUP
    interface {interface}
    virtual_router_id {number % 255 + 1}
    mcast_dst_ip 224.0.1.{number // 255 + 1}
    priority 100
    advert_int 1
    authentication {{
        auth_type PASS
        auth_pass secret
    }}
    virtual_ipaddress {{
        10.{number >> 8}.{number & 255}.1/24
        10.{number >> 8}.{number & 255}.2
    }}
}}
"""
        for number in range(count)
    ]
    return "global_defs {\n    router_id bench\n}\n" + "".join(blocks)


def environment(folder: str) -> None:
    """Lets the children keep their byte code, as an installed package has it."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = folder


def of_process(command: list[str], runs: int) -> dict[str, float]:
    """Best wall time (ms) and largest peak memory (MiB) of several runs."""
    best, peak = float("inf"), 0.0
    for _ in range(runs):
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        best = min(best, time.perf_counter() - start)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
        peak = max(peak, usage.ru_maxrss / 1024)
    return {"ms": best * 1000, "mib": peak}


LOAD = """
import sys, time
from keepvip.config.facts import HostFacts
from keepvip.config.load import load
best = float("inf")
for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    result = load(sys.argv[1], config_id="bench", facts=HostFacts())
    best = min(best, time.perf_counter() - start)
    assert result.config is not None, list(result.diagnostics)
print(best * 1000)
"""

MULTICAST = """
import socket
from keepvip.config.facts import HostFacts
facts = HostFacts()
found = [facts.interface(name) for _, name in socket.if_nameindex()]
print(*[one.name for one in found if one.multicast and not one.loopback])
"""


def ask(script: str, *args: str) -> str:
    """What a script prints that runs in a Python of its own."""
    return subprocess.run([sys.executable, "-c", script, *args], check=True, capture_output=True, text=True).stdout


def multicast_interface() -> str:
    """An interface that keepalived accepts."""
    names = ask(MULTICAST).split()
    if not names:
        raise SystemExit("no interface here can multicast; name one with --interface")
    return names[0]


def main() -> int:
    """Runs and prints; exit status 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="200,1000,4000")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--interface")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    keepalived = shutil.which("keepalived")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        environment(folder)
        interface = asked.interface or multicast_interface()
        for size in map(int, asked.sizes.split(",")):
            path = Path(folder) / f"{size}.conf"
            path.write_text(configuration(size, interface))
            row: dict[str, object] = {"instances": size, "load_ms": float(ask(LOAD, str(path), str(asked.runs)))}
            row["keepvip"] = of_process([sys.executable, "-m", "keepvip", "check", str(path)], asked.runs)
            if keepalived is not None:
                row["keepalived"] = of_process([keepalived, "-t", "-f", str(path)], asked.runs)
            results.append(row)
    if asked.json:
        print(json.dumps(results, indent=2))
    else:
        print(f"{'instances':>9}  {'load':>8}  {'keepvip check':>18}  {'keepalived -t':>18}")
        for row in results:
            theirs = row.get("keepalived")
            print(f"{row['instances']:>9}  {row['load_ms']:>5.0f} ms  {cell(row['keepvip'])}  {cell(theirs)}")
    last = results[-1]
    ours, theirs = last["keepvip"], last.get("keepalived")
    slow = isinstance(theirs, dict) and isinstance(ours, dict) and ours["ms"] > GOAL_TIMES * theirs["ms"]
    large = isinstance(ours, dict) and ours["mib"] > GOAL_MIB
    return int(slow or large)


def cell(value: object) -> str:
    """Time and memory of one process."""
    return f"{value['ms']:>6.0f} ms {value['mib']:>4.0f} MiB" if isinstance(value, dict) else f"{'-':>18}"


if __name__ == "__main__":
    sys.exit(main())
