"""What surrounds the virtual routers: scripts of the start and the end, network namespace, instance name."""

import os
from pathlib import Path

import pytest

from keepvip.lab import Daemon, Pair
from keepvip.lab.configs import global_defs, instance
from keepvip.lab.waiting import wait_until

pytestmark = pytest.mark.root


def v3(**options: object) -> str:
    return instance(version=3, interval_s=0.2, **options)  # type: ignore[arg-type]


def test_startup_and_shutdown_scripts(pair: Pair, kind: type[Daemon]) -> None:
    """The first script ends before the first advert, the second sees no virtual address any more."""
    log = pair.a.directory / "scripts.log"
    log.write_text("")
    start = pair.a.write("start.sh", f"#!/bin/sh\nsleep 0.3\necho start $1 >> {log}\n", mode=0o755)
    end = pair.a.write("end.sh", f"#!/bin/sh\nip -o address show dev eth0 | grep -c 10.0.0.1/ >> {log}\n", mode=0o755)
    daemon = kind(pair.a, global_defs(f'startup_script "{start} word"', f"shutdown_script {end}") + v3())
    daemon.start()
    advert = pair.wait_master(pair.a)
    assert log.read_text() == "start word\n"
    assert log.stat().st_mtime_ns < advert.at_ns
    assert daemon.stop() == 0
    wait_until(lambda: log.read_text() == "start word\n0\n", timeout_s=5, what="the shutdown script")


def test_startup_script_that_hangs(pair: Pair, kind: type[Daemon]) -> None:
    hang = pair.a.write("hang.sh", "#!/bin/sh\nexec sleep 60\n", mode=0o755)
    kind(pair.a, global_defs(f"startup_script {hang}", "startup_script_timeout 1") + v3()).start()
    pair.wait_master(pair.a)


def allowed_cpus(pid: int) -> set[str]:
    """What the threads of a process may use."""
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        found |= {line.split()[1] for line in lines if line.startswith("Cpus_allowed_list:")}
    return found


@pytest.mark.ours("it is another process there")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_cpu_affinity_is_that_of_the_engine_alone(pair: Pair, kind: type[Daemon]) -> None:
    last = max(os.sched_getaffinity(0))
    daemon = kind(pair.a, global_defs(f"vrrp_cpu_affinity {last}") + v3())
    daemon.start()
    pair.wait_master(pair.a)
    found = allowed_cpus(daemon.process.pid)
    assert str(last) in found
    assert len(found) == 2, "the rest of the daemon may use all"


@pytest.mark.ours("it says something else")
def test_cpu_that_does_not_exist(pair: Pair, kind: type[Daemon]) -> None:
    daemon = kind(pair.a, global_defs("vrrp_cpu_affinity 4095") + v3())
    daemon.start()
    pair.wait_master(pair.a)
    wait_until(lambda: "the engine may run on any CPU" in daemon.log_text(), timeout_s=5, what="the message")


@pytest.mark.parametrize("how", ["keyword", "option"])
def test_network_namespace(pair: Pair, kind: type[Daemon], how: str) -> None:
    """The daemon is started in one namespace and serves an interface of another."""
    if how == "option" and kind.kind == "keepalived":
        pytest.skip("its two forms of -s are the same")
    outer = pair.b
    (outer.run_directory / "netns").mkdir(exist_ok=True)
    keeper = outer.start(
        ["ip", "netns", "attach", "inner", str(pair.a.start(["sleep", "60"], log="sleep").pid)], log="ip"
    )
    assert keeper.wait(5) == 0
    text = v3() if how == "option" else "net_namespace inner\n" + v3()
    daemon = kind(outer, text, options=("-s", "inner") if how == "option" else ())
    daemon.start()
    pair.wait_master(pair.a)
    assert "10.0.0.1" not in outer.addresses()
    assert daemon.stop() == 0
    pair.wait_released(pair.a)
    assert outer.start(["ip", "netns", "delete", "inner"], log="ip").wait(5) == 0
