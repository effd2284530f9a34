"""The lab itself: cuts, captures, and that nothing outlives it."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keepvip.lab import Advert, Lab, LabError, LabTimeoutError, Pair
from keepvip.lab.demo.files import main_job
from keepvip.lab.forge import ForgedAdvert, Forger
from keepvip.lab.freeze import FrozenThread
from keepvip.lab.janitor import processes_of, sweep
from keepvip.lab.lan import Cut
from keepvip.lab.ping import Pinger
from keepvip.lab.waiting import wait_until

pytestmark = pytest.mark.root

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("role", ["master", "backup"])
def test_demo_plays_the_shipped_example(role: str) -> None:
    example = ROOT / "examples" / "main-job" / f"{role}.conf"
    assert main_job(role).read_bytes() == example.read_bytes()


def test_tap_sees_who_sent_what(pair: Pair, forger: Forger) -> None:
    sent_ns = time.time_ns()
    forger.send(ForgedAdvert(source="10.0.0.100", vrid=77, priority=123, addresses=("10.0.0.5", "10.0.0.6")))
    seen = pair.tap.wait_advert("c", 77, timeout_s=2)
    assert (seen.node, seen.interface, seen.lan) == ("c", "eth0", "ext")
    assert 0 <= seen.at_ns - sent_ns < 50_000_000
    assert (seen.priority, seen.addresses, seen.errors) == (123, ("10.0.0.5", "10.0.0.6"), ())
    assert len(pair.tap.adverts(vrid=77)) == 1, "seen once, not once per port"


def test_tap_names_what_is_wrong(pair: Pair, forger: Forger) -> None:
    forger.send(ForgedAdvert(source="10.0.0.100", vrid=78, checksum_error=5, count=3))
    seen = pair.tap.wait_advert("c", 78, timeout_s=2)
    assert "VRRP checksum" in seen.errors
    assert any("authentication data" in error for error in seen.errors)


@pytest.mark.parametrize(
    ("directions", "hears", "is_heard"),
    [((Cut.SENDING,), True, False), ((Cut.RECEIVING,), False, True), ((), False, False)],
    ids=["mute", "deaf", "both"],
)
def test_cuts_are_one_way(pair: Pair, directions: tuple[Cut, ...], hears: bool, is_heard: bool) -> None:
    """What arrives is told by sniffers inside the nodes."""
    pair.ext.cut(pair.a, *directions)
    ears = {node.name: node.socket(17, 3, 0x0800 >> 8 | (0x0800 & 0xFF) << 8) for node in (pair.a, pair.b)}
    forgers = {node.name: Forger(node, "eth0") for node in (pair.a, pair.b)}
    try:
        for name, forger in forgers.items():
            forger.send(ForgedAdvert(source=f"10.0.0.{11 if name == 'a' else 12}", vrid=90))
            pair.tap.wait_advert(name, 90, timeout_s=2)
        for name, expected in (("a", hears), ("b", is_heard)):
            ears[name].settimeout(0.3)
            assert _hears_vrid(ears[name], 90, sender=12 if name == "a" else 11) == expected
    finally:
        for closable in (*ears.values(), *forgers.values()):
            closable.close()


def _hears_vrid(ear: object, vrid: int, *, sender: int) -> bool:
    """Whether an advert of 10.0.0.``sender`` arrives within the socket's time-out."""
    try:
        while True:
            frame = ear.recv(2048)  # type: ignore[attr-defined]
            if len(frame) > 35 and frame[23] == 112 and frame[35] == vrid and frame[29] == sender:
                return True
    except TimeoutError:
        return False


def test_pinger_counts_what_is_lost(pair: Pair) -> None:
    pinger = Pinger(pair.client, ["10.0.0.11"], interval_ms=10)
    try:
        wait_until(lambda: pinger.counts()["10.0.0.11"][1] > 5, timeout_s=3, what="answers")
        cut_ns = time.time_ns()
        pair.ext.cut(pair.a)
        wait_until(lambda: time.time_ns() - pinger.last_answer_ns("10.0.0.11") > 300e6, timeout_s=3, what="silence")
        pair.ext.heal()
        healed_ns = time.time_ns()
        wait_until(lambda: pinger.last_answer_ns("10.0.0.11") > healed_ns, timeout_s=3, what="answers again")
    finally:
        pinger.stop()
    (outage,) = pinger.outages("10.0.0.11", since_ns=cut_ns - 50_000_000)
    assert outage.lost >= 20
    assert 300 <= outage.duration_ms <= (healed_ns - cut_ns) / 1e6 + 200


def test_frozen_thread_stands_still(lab: Lab) -> None:
    node = lab.node("a")
    process = node.start(
        [sys.executable, "-c", "import time\nwhile True: print(time.monotonic(), flush=True); time.sleep(0.01)"],
        log="clock",
    )
    wait_until(lambda: process.log_text().count("\n") > 3, timeout_s=5, what="the clock to tick")
    with FrozenThread(process.pid):
        before = process.log_text()
        with pytest.raises(LabTimeoutError):
            wait_until(lambda: process.log_text() != before, timeout_s=0.3, what="a tick")
    wait_until(lambda: process.log_text() != before, timeout_s=5, what="the clock to go on")


def test_everything_ends_with_the_lab() -> None:
    with Lab() as lab:
        node = lab.node("a")
        process = node.start(["sleep", "1000"], log="sleep")
        daemon = node.start(["setsid", "-f", "sleep", "1001"], log="daemon")
        assert daemon.wait(5) == 0
        directory, run_id = lab.directory, lab.run_id
        assert len(processes_of(run_id)) == 2
    assert not process.running
    assert not processes_of(run_id)
    assert not directory.exists()


def test_a_killed_lab_leaves_nothing_after_the_next_sweep() -> None:
    """kill -9 of the owner: its children die with it, what had left the family and the directory go with the sweep."""
    code = (
        "from keepvip.lab import Lab\nimport time\nlab = Lab()\nnode = lab.node('a')\n"
        "node.start(['sleep', '1000'], log='s')\nnode.start(['setsid', '-f', 'sleep', '1001'], log='d').wait(5)\n"
        "print(lab.run_id, lab.directory, flush=True)\ntime.sleep(1000)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        run_id, directory = owner.stdout.readline().split()
        before = processes_of(run_id)
        owner.kill()
    assert len(before) == 2
    assert run_id in sweep()
    assert not processes_of(run_id)
    assert not Path(directory).exists()


def test_sweep_leaves_living_runs_alone(lab: Lab) -> None:
    process = lab.node("a").start(["sleep", "1000"], log="sleep")
    assert lab.run_id not in sweep()
    assert process.running
    assert lab.directory.exists()


def test_node_errors_name_the_command(lab: Lab) -> None:
    node = lab.node("a")
    with pytest.raises(LabError, match="address add nonsense"):
        node.network.ip("address add nonsense dev lo")
    with pytest.raises(LabError, match="there is a node a already"):
        lab.node("a")


def test_crash_takes_the_whole_family(lab: Lab) -> None:
    process = lab.node("a").start(["sh", "-c", "sleep 1000 & sleep 1001"], log="family")
    wait_until(lambda: len(list(process.family())) == 3, timeout_s=5, what="the children")
    family = list(process.family())
    process.crash()
    assert not any(Path(f"/proc/{pid}").exists() for pid in family)


@pytest.mark.skipif(shutil.which("keepalived") is None, reason="keepalived is not installed")
def test_lab_without_root() -> None:
    """`keepvip lab` as an ordinary user makes its own user namespace."""
    script = Path(sys.prefix, "bin", "keepvip")
    if not script.exists():
        pytest.skip("the console script is not installed")
    as_user = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if subprocess.run([*as_user, "unshare", "--user", "--map-root-user", "true"], check=False).returncode:
        pytest.skip("this system forbids user namespaces")
    done = subprocess.run(
        [*as_user, str(script), "lab", "--program", "keepalived", "--for", "5", "--plain"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "RH_EXT MASTER: first advert, priority 100" in done.stdout


def test_wait_count_gives_exactly_what_was_asked(pair: Pair, forger: Forger) -> None:
    for _ in range(3):
        forger.send(ForgedAdvert(source="10.0.0.100", vrid=91))
    assert len(pair.tap.wait_count(Advert, lambda advert: advert.vrid == 91, 3, timeout_s=2)) == 3
    with pytest.raises(LabTimeoutError, match="only 3 of 4"):
        pair.tap.wait_count(Advert, lambda advert: advert.vrid == 91, 4, timeout_s=0.1)
