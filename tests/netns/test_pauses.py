"""Pauses: the whole process, the Python side alone, a log that nobody reads. The promise of the design.

A healthy master never misses an advertisement and a backup never takes over falsely.
"""

import contextlib
import fcntl
import itertools
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from keepvip.lab import Advert, Daemon, LabTimeoutError, Pair
from keepvip.lab.configs import down_interval_s, instance
from keepvip.lab.freeze import FrozenThread
from keepvip.lab.measure import measure_takeover
from keepvip.lab.waiting import wait_until

pytestmark = pytest.mark.root

INTERVAL_S = 0.1
LATE_S = 0.3


def v3(**options: object) -> str:
    return instance(version=3, interval_s=INTERVAL_S, **options)  # type: ignore[arg-type]


def longest_gap_s(pair: Pair, node: str, since_ns: int, until_ns: int) -> float:
    """The longest time without an advert of a node between two moments, the edges included."""
    times = [since_ns, *(a.at_ns for a in pair.tap.adverts(node=node, since_ns=since_ns, until_ns=until_ns)), until_ns]
    return max(after - before for before, after in itertools.pairwise(times)) / 1e9


def sender_changes(pair: Pair, since_ns: int) -> list[str]:
    """Who advertised since a time, repeated senders only once."""
    senders: list[str] = []
    for advert in pair.tap.adverts(since_ns=since_ns):
        if not senders or senders[-1] != advert.node:
            senders.append(advert.node)
    return senders


def test_paused_master_returns_without_a_flap(pair: Pair, kind: type[Daemon]) -> None:
    """SIGSTOP for 5 s: b takes over; after SIGCONT mastership changes once at most, back to a by the rules."""
    a = kind(pair.a, v3(priority=100))
    a.start()
    kind(pair.b, v3(priority=99)).start()
    pair.wait_master(pair.a)
    stopped_ns = a.process.pause()
    pair.wait_master(pair.b, since_ns=stopped_ns)
    pair.tap.wait_advert("b", timeout_s=6, since_ns=stopped_ns + 5_000_000_000)
    resumed_ns = a.process.resume()
    back = pair.tap.wait_advert("a", 51, timeout_s=5, since_ns=resumed_ns)
    pair.wait_released(pair.b)
    pair.tap.wait_count(Advert, lambda advert: advert.node == "a", 15, timeout_s=5, since_ns=back.at_ns)
    assert sender_changes(pair, resumed_ns) in (["a"], ["b", "a"])
    overlap = pair.tap.adverts(node="b", since_ns=back.at_ns)
    assert len(overlap) <= 1, "two masters"
    assert "10.0.0.1" in pair.a.addresses()


@pytest.mark.ours("keepalived speaks first")
def test_paused_master_yields_and_preempts_by_the_rules(pair: Pair, kind: type[Daemon]) -> None:
    """Late by more than its own down time it hears the new master first, yields, and preempts a down interval later."""
    a = kind(pair.a, v3(priority=100))
    a.start()
    pair.wait_master(pair.a)
    kind(pair.b, v3(priority=99)).start()
    pair.wait_listening(pair.b)
    pair.tap.silence("b", during_s=1.0)
    stopped_ns = a.process.pause()
    pair.wait_master(pair.b, since_ns=stopped_ns)
    pair.tap.wait_advert("b", timeout_s=3, since_ns=stopped_ns + 2_000_000_000)
    resumed_ns = a.process.resume()
    pair.wait_released(pair.a, timeout_s=0.3)
    back = pair.tap.wait_advert("a", 51, timeout_s=5, since_ns=resumed_ns)
    own_s = down_interval_s(100, version=3, interval_s=INTERVAL_S)
    assert own_s - 0.05 <= (back.at_ns - resumed_ns) / 1e9 <= own_s + LATE_S
    pair.wait_released(pair.b)
    assert sender_changes(pair, resumed_ns) == ["b", "a"]


@pytest.mark.ours("keepalived speaks first")
def test_paused_master_with_nopreempt_yields_for_good(pair: Pair, kind: type[Daemon]) -> None:
    a = kind(pair.a, v3(priority=100, extra=["nopreempt"]))
    a.start()
    pair.wait_master(pair.a)
    kind(pair.b, v3(priority=99)).start()
    pair.wait_listening(pair.b)
    pair.tap.silence("b", during_s=1.0)
    stopped_ns = a.process.pause()
    pair.wait_master(pair.b, since_ns=stopped_ns)
    pair.tap.wait_advert("b", timeout_s=3, since_ns=stopped_ns + 2_000_000_000)
    resumed_ns = a.process.resume()
    pair.wait_released(pair.a)
    pair.tap.silence("a", during_s=1.5)
    assert sender_changes(pair, resumed_ns) == ["b"]


@pytest.mark.ours("keepalived speaks first")
def test_paused_master_of_lower_priority_yields_without_a_word(pair: Pair, kind: type[Daemon]) -> None:
    """Design: it hears the new master first. Its own advert, due for seconds, must not leave."""
    a = kind(pair.a, v3(priority=99))
    a.start()
    pair.wait_master(pair.a)
    kind(pair.b, v3(priority=100, extra=["nopreempt"])).start()
    pair.wait_listening(pair.b)
    pair.tap.silence("b", during_s=1.0)
    stopped_ns = a.process.pause()
    pair.wait_master(pair.b, since_ns=stopped_ns)
    pair.tap.wait_advert("b", timeout_s=3, since_ns=stopped_ns + 2_000_000_000)
    resumed_ns = a.process.resume()
    pair.wait_released(pair.a)
    pair.tap.silence("a", during_s=1.5)
    assert sender_changes(pair, resumed_ns) == ["b"]


@pytest.mark.ours("keepalived speaks first")
def test_paused_master_that_hears_nothing_listens_first(pair: Pair, kind: type[Daemon]) -> None:
    """It slept longer than its down interval and may have been replaced: it listens for an advert interval at least."""
    a = kind(pair.a, v3(priority=100))
    a.start()
    pair.wait_master(pair.a)
    stopped_ns = a.process.pause()
    with pytest.raises(LabTimeoutError):
        pair.tap.wait_advert("a", timeout_s=2, since_ns=stopped_ns + 10_000_000)
    resumed_ns = a.process.resume()
    back = pair.tap.wait_advert("a", 51, timeout_s=5, since_ns=resumed_ns)
    own_s = down_interval_s(100, version=3, interval_s=INTERVAL_S)
    assert INTERVAL_S - 0.01 <= (back.at_ns - resumed_ns) / 1e9 <= own_s + LATE_S


def test_paused_backup_does_not_take_over(pair: Pair, kind: type[Daemon]) -> None:
    """Its deadline passed while it slept, but the adverts that prove the master alive wait in its socket."""
    kind(pair.a, v3(priority=100)).start()
    pair.wait_master(pair.a)
    b = kind(pair.b, v3(priority=99))
    b.start()
    pair.wait_listening(pair.b)
    pair.tap.silence("b", during_s=1.0)
    paused_ns = b.process.pause()
    pair.tap.wait_advert("a", timeout_s=5, since_ns=paused_ns + 3_000_000_000)
    b.process.resume()
    pair.tap.silence("b", during_s=1.5)


@pytest.mark.ours("it has no Python")
def test_frozen_python_misses_no_advert(pair: Pair, kind: type[Daemon]) -> None:
    """Both nodes' Python stands still for 10 s, as under a debugger: nothing happens on the wire."""
    a, b = kind(pair.a, v3(priority=100)), kind(pair.b, v3(priority=99))
    a.start()
    pair.wait_master(pair.a)
    b.start()
    pair.wait_listening(pair.b)
    pair.tap.silence("b", during_s=1.0)
    with FrozenThread(a.process.pid), FrozenThread(b.process.pid):
        frozen_ns = time.time_ns()
        pair.tap.wait_advert("a", 51, timeout_s=12, since_ns=frozen_ns + 10_000_000_000)
        gap_s = longest_gap_s(pair, "a", frozen_ns, frozen_ns + 10_000_000_000)
    assert gap_s < INTERVAL_S + 0.05
    assert not pair.tap.adverts(node="b")
    assert not pair.tap.lost


@pytest.mark.ours("it has no Python")
def test_frozen_python_takes_over_in_time(pair: Pair, kind: type[Daemon]) -> None:
    """The master dies while the backup's Python stands still: addresses and announcements come all the same."""
    a, b = kind(pair.a, v3(priority=100)), kind(pair.b, v3(priority=99))
    a.start()
    pair.wait_master(pair.a)
    b.start()
    pair.wait_listening(pair.b)
    pair.tap.silence("b", during_s=1.0)
    watch = pair.b.watch_addresses()
    with FrozenThread(b.process.pid):
        killed_ns = a.crash()
        takeover = measure_takeover(
            pair.tap, watch, old="a", new="b", vrid=51, address="10.0.0.1", since_ns=killed_ns, timeout_s=5
        )
    protocol_s = down_interval_s(99, version=3, interval_s=INTERVAL_S)
    assert protocol_s - 0.005 <= takeover.complete_s <= protocol_s + LATE_S


@contextlib.contextmanager
def full_pipe() -> Iterator[int]:
    """The write end of a pipe that is full and that nobody reads."""
    read_end, write_end = os.pipe()
    try:
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(write_end, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(write_end, b"x")
        os.set_blocking(write_end, True)
        yield write_end
    finally:
        os.close(read_end)
        os.close(write_end)


@contextlib.contextmanager
def stuck_file(path: Path) -> Iterator[Path]:
    """A log file on which writing blocks, as on a dead disk: a FIFO that is full and that nobody reads."""
    os.mkfifo(path)
    end = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(end, b"x" * 4096)
        yield path
    finally:
        os.close(end)
        path.unlink()


@contextlib.contextmanager
def deaf_syslog(path: Path) -> Iterator[None]:
    """A ``/dev/log`` whose queue is full and that is never read."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(str(path))
    client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    client.setblocking(False)
    try:
        with contextlib.suppress(BlockingIOError):
            while True:
                client.sendto(b"<30>full", str(path))
        yield
    finally:
        client.close()
        server.close()
        path.unlink()


def provoke_transitions(pair: Pair) -> None:
    """Three partitions, each healed: every node logs, notifies and changes state several times."""
    for _ in range(3):
        pair.ext.cut(pair.b)
        cut_ns = time.time_ns()
        pair.wait_master(pair.b, since_ns=cut_ns)
        pair.ext.heal()
        pair.wait_released(pair.b)


@pytest.mark.ours("its log blocks it")
@pytest.mark.parametrize("where", ["stderr", "syslog", "file"])
def test_blocked_log_disturbs_nothing(pair: Pair, kind: type[Daemon], where: str) -> None:
    with contextlib.ExitStack() as stack:
        stderr: int | None = None
        options: tuple[str, ...] = ()
        if where == "stderr":
            stderr = stack.enter_context(full_pipe())
        elif where == "file":
            options = ("--log-file", str(stack.enter_context(stuck_file(pair.a.directory / "stuck.log"))))
        else:
            for node in (pair.a, pair.b):
                assert node.dev_directory is not None
                stack.enter_context(deaf_syslog(node.dev_directory / "log"))
            options = ("--syslog",) if kind.kind == "keepvip" else ()
        a = kind(pair.a, v3(priority=100), stderr=stderr, options=options)
        b = kind(pair.b, v3(priority=99), stderr=stderr, options=options)
        a.start()
        first = pair.wait_master(pair.a)
        b.start()
        sockets = [node.run_directory / "keepvip" / "keepvip.sock" for node in (pair.a, pair.b)]
        wait_until(lambda: all(path.exists() for path in sockets), timeout_s=5, what="both daemons to be up")
        for _ in range(50):  # reloads log, too
            a.reload()
            b.reload()
        provoke_transitions(pair)
        last = pair.tap.wait_advert("a", 51, timeout_s=3, since_ns=time.time_ns())
        assert longest_gap_s(pair, "a", first.at_ns, last.at_ns) < INTERVAL_S + 0.05
        assert sender_changes(pair, last.at_ns) == ["a"]
        watch = pair.b.watch_addresses()
        killed_ns = a.crash()
        takeover = measure_takeover(
            pair.tap, watch, old="a", new="b", vrid=51, address="10.0.0.1", since_ns=killed_ns, timeout_s=5
        )
        assert takeover.complete_s <= down_interval_s(99, version=3, interval_s=INTERVAL_S) + LATE_S
        # The addresses go at SIGTERM even if the last words cannot be said.
        b.process.signal(15)
        pair.wait_released(pair.b)
