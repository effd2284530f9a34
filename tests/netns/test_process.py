"""What surrounds the virtual routers: scripts of the start and the end, network namespace, instance name."""

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
