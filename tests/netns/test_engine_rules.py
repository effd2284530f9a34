"""The engine's own rules: scheduling, a quiet steady state, asking costs nothing, lost rtnetlink messages."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keepvip.admin.client import AdminClient
from keepvip.lab import Advert, Daemon, Node, Pair
from keepvip.lab.configs import instance
from keepvip.lab.measure import gaps_s
from keepvip.lab.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.ours("about keepvip's engine")]

INTERVAL_S = 0.1


def v3(**options: object) -> str:
    return instance(version=3, interval_s=INTERVAL_S, **options)  # type: ignore[arg-type]


def admin(node: Node) -> AdminClient:
    socket = node.run_directory / "keepvip" / "keepvip.sock"
    wait_until(socket.exists, timeout_s=5, what="the admin socket")
    return AdminClient(str(socket))


def threads(pid: int) -> dict[int, str]:
    """Thread id to thread name."""
    return {int(task.name): (task / "comm").read_text().strip() for task in Path(f"/proc/{pid}/task").iterdir()}


def is_real_time(thread: int) -> bool:
    return os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR


def wake_ups(pid: int, thread: int) -> int:
    """How often a thread went to sleep by itself."""
    text = Path(f"/proc/{pid}/task/{thread}/status").read_text()
    found = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.MULTILINE)
    assert found
    return int(found[1])


def test_engine_alone_is_real_time_and_memory_is_locked(pair: Pair, kind: type[Daemon]) -> None:
    process = kind(pair.a, v3()).start()
    pair.wait_master(pair.a)
    real_time = {name for thread, name in threads(process.pid).items() if is_real_time(thread)}
    assert "keepvip-engine" in real_time
    assert real_time <= {"keepvip-engine", "keepvip-hands"}, "only what moves adverts and addresses"
    assert not is_real_time(process.pid), "Python is not"
    locked = re.search(r"^VmLck:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
    assert locked
    assert int(locked[1]) > 0


def test_steady_state_wakes_nobody(pair: Pair, kind: type[Daemon]) -> None:
    """Twenty routers at 100 ms: Python sleeps, and the engine wakes once for all that is due together."""
    conf = "".join(
        v3(name=f"VI_{vrid}", vrid=vrid, addresses=[f"10.0.0.{vrid}"], extra=["garp_master_delay 0"])
        for vrid in range(151, 171)
    )
    process = kind(pair.a, conf).start()
    pair.wait_master(pair.a, 170, address="10.0.0.170")
    admin(pair.a)
    settled = pair.tap.wait_advert("a", 170, timeout_s=5, since_ns=time.time_ns() + 1_000_000_000)
    engine = next(thread for thread, name in threads(process.pid).items() if name == "keepvip-engine")
    before = {thread: wake_ups(process.pid, thread) for thread in (process.pid, engine)}
    start_ns = time.time_ns()
    pair.tap.wait_advert("a", 170, timeout_s=5, since_ns=settled.at_ns + 3_000_000_000)
    took_s = (time.time_ns() - start_ns) / 1e9
    after = {thread: wake_ups(process.pid, thread) for thread in (process.pid, engine)}
    sent = len(pair.tap.adverts(node="a", since_ns=start_ns))
    assert sent > 20 * (took_s / INTERVAL_S - 2)
    assert after[process.pid] - before[process.pid] <= 5 * took_s, "Python was woken"
    assert after[engine] - before[engine] <= 2.5 * took_s / INTERVAL_S, "the engine was woken for each router"


def test_asking_never_touches_the_timing(pair: Pair, kind: type[Daemon]) -> None:
    kind(pair.a, v3(priority=100)).start()
    first = pair.wait_master(pair.a)
    client = admin(pair.a)
    asked = 0
    start = time.monotonic()
    while time.monotonic() - start < 2:
        client.get("/v1/status")
        client.get("/v1/why", name="VI_1")
        asked += 2
    adverts = pair.tap.adverts(node="a", since_ns=first.at_ns)
    assert asked > 50
    assert len(adverts) >= 19
    assert max(gaps_s(adverts)) < INTERVAL_S + 0.02


def test_busy_processors_delay_no_advert(pair: Pair, kind: type[Daemon]) -> None:
    """Four busy loops per processor at high nice priority: the engine's thread goes first."""
    kind(pair.a, v3(priority=100)).start()
    kind(pair.b, v3(priority=99)).start()
    pair.wait_master(pair.a)
    pair.tap.silence("b", during_s=0.5)
    hogs = [
        subprocess.Popen(["nice", "-n", "-15", sys.executable, "-S", "-c", "while True: pass"])
        for _ in range(4 * (os.cpu_count() or 1))
    ]
    try:
        busy_ns = time.time_ns()
        adverts = pair.tap.wait_count(Advert, lambda advert: advert.node == "a", 40, timeout_s=15, since_ns=busy_ns)
    finally:
        for hog in hogs:
            hog.kill()
        for hog in hogs:
            hog.wait()
    assert max(gaps_s(adverts)) < INTERVAL_S + 0.05
    assert not pair.tap.adverts(node="b", since_ns=busy_ns)


def test_lost_rtnetlink_messages_are_made_good(pair: Pair, kind: type[Daemon]) -> None:
    """So many changes while the process sleeps that the kernel drops some: afterwards the facts are right again."""
    daemon = kind(pair.a, instance(version=3, interval_s=1, priority=100, addresses=["10.0.0.1", "10.0.0.2"]))
    daemon.start()
    pair.wait_master(pair.a, address="10.0.0.2")
    client = admin(pair.a)
    before = resyncs(client)
    daemon.process.pause()
    others = [f"127.1.{number // 250}.{number % 250}/32 dev lo" for number in range(20_000)]
    flood = [f"address {verb} {other}" for other in others for verb in ("add", "delete")]
    pair.a.network.ip(*flood, "address delete 10.0.0.1/32 dev eth0")
    daemon.process.resume()
    wait_until(lambda: resyncs(client) > before, timeout_s=10, what="a resynchronisation")
    wait_until(lambda: "10.0.0.1" in pair.a.addresses(), timeout_s=5, what="the address to be put back")
    # and facts that change afterwards are heard as always
    pair.a.link("eth0", up=False)
    pair.wait_released(pair.a)


def resyncs(client: AdminClient) -> int:
    """The engine's count of resynchronisations, wherever the status has it."""
    found = re.search(r'"netlink_resyncs": (\d+)', json.dumps(client.get("/v1/status")))
    assert found
    return int(found[1])
