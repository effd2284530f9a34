"""CPU of health checks beside keepalived: the same file, the same kernel (the guest of tests/guest, which has IPVS).

The guest's system calls cost about ten times those of its host, so the figures are for comparison only; what a check
costs on a real kernel is in benches/checks.py. Needs root and user-mode-linux.

    python benches/checks_beside_keepalived.py [--servers 500] [--period 2] [--seconds 10] [tcp|http ...]
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PORT = 18_082
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
CHECKS = {"tcp": "TCP_CHECK { connect_timeout 3 }", "http": "HTTP_GET {\n url {\n path /health\n }\n }"}


def configuration(kind: str, servers: int, period: float) -> str:
    found = []
    check = CHECKS[kind].replace("{ ", "{\n ").replace(" }", "\n }")
    for number in range(servers):
        if number % 10 == 0:
            found.append(
                f"{'}' if number else ''}\nvirtual_server 10.1.{number // 2000}.{number // 10 % 200} 80 {{\n"
                f" delay_loop {period:g}\n protocol TCP\n lb_algo rr\n lb_kind NAT"
            )
        found.append(f" real_server 127.1.{number // 250}.{1 + number % 250} {PORT} {{\n {check}\n }}")
    return "\n".join([*found, "}\n"])


def cpu_s(pid: int) -> float:
    """Of a process and its children."""
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        words = stat.read_text().rpartition(")")[2].split()
        if stat.parent.name == str(pid) or words[1] == str(pid):
            total += (int(words[11]) + int(words[12])) * TICK_S
    return total


def inside(options: argparse.Namespace) -> None:
    """In the guest."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    server = subprocess.Popen([sys.executable, str(ROOT / "benches" / "checks.py"), "--serve", str(PORT), "0"])
    time.sleep(4)
    for kind in options.kinds or ["tcp", "http"]:
        file = Path(f"/tmp/{kind}.conf")
        file.write_text(configuration(kind, options.servers, options.period))
        for name, command in (
            ("keepalived", ["keepalived", "-n", "-l", "-C", "-f", str(file)]),
            ("keepvipd", [str(Path(sys.prefix, "bin", "keepvipd")), "-n", "-l", "-C", "-f", str(file)]),
        ):
            with Path(f"/tmp/{name}.log").open("w") as log:
                daemon = subprocess.Popen(command, stdout=log, stderr=log)
            time.sleep(options.period + 8)
            before, start_s = cpu_s(daemon.pid), time.monotonic()
            time.sleep(options.seconds)
            spent_s, took_s = cpu_s(daemon.pid) - before, time.monotonic() - start_s
            table = Path("/proc/net/ip_vs").read_text().count(" -> ") - 1
            done = options.servers * took_s / options.period
            print(
                f"{kind} {name}: {spent_s / done * 1e6:.0f} ms CPU per 1000 checks"
                f" ({options.servers} servers every {options.period:g} s, {table} in the table)",
                flush=True,
            )
            daemon.terminate()
            daemon.wait()
    server.terminate()
    server.wait()


def main() -> int:
    """Starts the guest and shows what it says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="tcp|http")
    parser.add_argument("--servers", type=int, default=500)
    parser.add_argument("--period", type=float, default=2.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options)
        return 0
    sys.path.insert(0, str(ROOT))
    from tests.guest.machine import Guest, missing  # noqa: PLC0415  (only on the host)

    if complaint := missing():
        print(complaint, file=sys.stderr)
        return 1
    words = [sys.executable, __file__, "--inside", *sys.argv[1:]]
    with Guest(" ".join(f"'{word}'" for word in words), ROOT) as guest:
        while guest.alive:
            time.sleep(0.2)
        print("\n".join(line for line in guest.said(10_000).splitlines() if "CPU per" in line or "Error" in line))
        return guest.status or 0


if __name__ == "__main__":
    sys.exit(main())
