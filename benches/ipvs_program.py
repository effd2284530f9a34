"""Programming IPVS: 1000 virtual servers with 10 real servers each, in a guest kernel, beside keepalived.

    python benches/ipvs_program.py [SERVICES]

Prints, for each daemon on the same file: from exec to a complete table, CPU for that, from SIGHUP to the change that
one edited weight makes, CPU for that reload; then what reading all statistics costs, beside ipvsadm (against pyroute2:
ipvs_codec.py). Needs root and Debian's user-mode-linux, ipvsadm and keepalived; a system call costs 16 µs in the guest,
so compare the rows, not other machines.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVERS = 10
LIMIT_S = 120.0


def configuration(services: int, weight: int = 1) -> str:
    """The file; `weight` is that of one server in the middle."""
    blocks = []
    for number in range(services):
        servers = "".join(
            f" real_server 10.2.{number >> 5 & 255}.{(number & 31) * 7 + at % 7 + 1} {8000 + at} {{ weight"
            f" {weight if (number, at) == (services // 2, 3) else 1} }}\n"
            for at in range(SERVERS)
        )
        address = f"10.1.{number >> 8}.{number & 255}"
        blocks.append(f"virtual_server {address} 80 {{\n protocol TCP\n lb_algo rr\n lb_kind NAT\n{servers}}}\n")
    return "".join(blocks)


def destinations() -> int:
    """How many the kernel has."""
    return Path("/proc/net/ip_vs").read_text().count("\n  ->") - 1


def cpu_s(group: int) -> float:
    """CPU of all processes of a session so far."""
    total = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == group:
            total += sum(map(int, fields[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


def until(condition: object, what: str) -> float:
    """Seconds until a condition holds."""
    start_s = time.monotonic()
    assert callable(condition)
    while not condition():
        if time.monotonic() - start_s > LIMIT_S:
            raise TimeoutError(what)
        time.sleep(0.05)
    return time.monotonic() - start_s


def changed(services: int) -> bool:
    """Whether the edited weight is in the kernel."""
    number = services // 2
    address = f"10.1.{number >> 8}.{number & 255}:80"
    shown = subprocess.run(["ipvsadm", "-Ln", "-t", address], capture_output=True, text=True, check=False)
    return "Masq    7 " in shown.stdout


def measure(name: str, command: list[str], services: int) -> None:
    """One daemon from start to stop."""
    file = Path("/tmp/bench.conf")
    file.write_text(configuration(services))
    process = subprocess.Popen(
        [*command, str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    started_s = until(lambda: destinations() == services * SERVERS, "the table")
    time.sleep(2)
    start_cpu_s = cpu_s(process.pid)
    file.write_text(configuration(services, 7))
    process.send_signal(signal.SIGHUP)
    reloaded_s = until(lambda: changed(services), "the weight")
    time.sleep(2)
    reload_cpu_s = cpu_s(process.pid) - start_cpu_s
    process.terminate()
    stopped_s = until(lambda: process.poll() is not None, "the end")
    print(
        f"{name:12} table complete {started_s:6.2f} s (CPU {start_cpu_s:5.2f} s)"
        f"   reload of one weight {reloaded_s:6.2f} s (CPU {reload_cpu_s:5.2f} s)   stop {stopped_s:5.2f} s",
        flush=True,
    )
    subprocess.run(["ipvsadm", "-C"], check=True)


def inside(services: int) -> None:
    """In the guest."""
    binaries = Path(sys.prefix, "bin")
    measure("keepalived", ["keepalived", "-n", "-C", "-f"], services)
    measure("keepvipd", [str(binaries / "keepvipd"), "-n", "-C", "-f"], services)
    kernel_only(services)


def kernel_only(services: int) -> None:
    """The part that talks to the kernel, and the statistics."""
    import msgspec  # noqa: PLC0415

    from keepvip.config.load import load  # noqa: PLC0415
    from keepvip.ipvs.kernel import Kernel  # noqa: PLC0415
    from keepvip.ipvs.pool import Pool  # noqa: PLC0415
    from keepvip.ipvs.programmer import Programmer  # noqa: PLC0415
    from keepvip.ipvs.table import part_of  # noqa: PLC0415

    config = load(configuration(services).encode()).config
    assert config is not None
    pool = Pool()
    pool.configure(config.virtual_servers, config.balancing)
    programmer = Programmer(Kernel())
    start_s = time.process_time()
    outcome = programmer.apply({key: part_of(state) for key, state in pool.services.items()})
    took_s = time.process_time() - start_s
    print(f"programming alone: {outcome.requests} requests, CPU {took_s:.2f} s")
    first = next(iter(pool.services.values()))
    server = next(iter(first.servers.values()))
    start_s = time.process_time()
    for weight in range(1000):
        server.spec = msgspec.structs.replace(server.spec, weight=weight)
        outcome = programmer.apply({first.spec.key: part_of(first)})
        assert outcome.requests <= 1
    print(f"one weight: {outcome.requests} request, CPU {(time.process_time() - start_s) * 1e3:.0f} µs")
    keys = list(programmer.services())
    start_s = time.process_time()
    count = sum(len(programmer.kernel.destinations(key)) for _ in range(5) for key in keys)
    ours_s = time.process_time() - start_s
    print(f"statistics: {count // 5} destinations, CPU {ours_s / 5:.3f} s, {count / ours_s:,.0f} per second of CPU")
    before = os.times()
    subprocess.run(["ipvsadm", "-Ln", "--stats"], stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    theirs_s = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"ipvsadm:    {count // 5} destinations, CPU {theirs_s:.3f} s, {count / 5 / theirs_s:,.0f} per second of CPU")


def main() -> None:
    services = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    if os.environ.get("GUEST_WORK"):
        inside(services)
        return
    sys.path.insert(0, str(ROOT / "tests" / "guest"))
    from machine import Guest, missing  # type: ignore[import-not-found]  # noqa: PLC0415

    if complaint := missing():
        sys.exit(complaint)
    command = f"export PATH='{os.environ['PATH']}'\n'{sys.executable}' '{Path(__file__).resolve()}' {services}"
    with Guest(command, ROOT) as guest:
        while guest.alive:
            time.sleep(0.1)
        print((guest.work / "output").read_text(errors="replace"), end="")
        if guest.status:
            sys.exit(guest.said())


if __name__ == "__main__":
    main()
