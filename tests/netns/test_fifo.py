"""Notification FIFOs, as their readers saw them (vrrp-behaviour.md 15)."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from keepvip.lab import Daemon, Node, Pair
from keepvip.lab.configs import global_defs, instance, sync_group
from keepvip.lab.lan import Cut
from keepvip.lab.waiting import wait_until

pytestmark = pytest.mark.root

INTERVAL_S = 0.2


def v3(**options: object) -> str:
    return instance(version=3, interval_s=INTERVAL_S, **options)  # type: ignore[arg-type]


class Fifo:
    """A FIFO of a node, made by the test, and what was read from it."""

    def __init__(self, node: Node, name: str = "fifo") -> None:
        self.path = node.directory / name
        self.path.unlink(missing_ok=True)
        os.mkfifo(self.path)
        self._fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        self._text = b""

    def lines(self) -> list[str]:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._text += os.read(self._fd, 65536)
        return self._text.decode().splitlines()

    def wait(self, line: str, *, count: int = 1) -> list[str]:
        wait_until(lambda: self.lines().count(line) >= count, timeout_s=8, what=f"{line} in {self.path.name}")
        return self.lines()

    def close(self) -> None:
        os.close(self._fd)
        self.path.unlink()


@pytest.fixture
def fifo(pair: Pair) -> Iterator[Fifo]:
    with contextlib.closing(Fifo(pair.a)) as fifo:
        yield fifo


def test_lines_of_instances_and_groups(pair: Pair, kind: type[Daemon], fifo: Fifo) -> None:
    conf = (
        global_defs(f"vrrp_notify_fifo {fifo.path}")
        + sync_group("VG1", "VI_1", "VI_2")
        + v3(name="VI_1", vrid=51)
        + v3(name="VI_2", vrid=52, interface="eth1", addresses=["192.168.1.1"], priority=120)
    )
    daemon = kind(pair.a, conf)
    daemon.start()
    fifo.wait('GROUP "VG1" MASTER 0')
    pair.a.link("eth1", up=False)
    lines = fifo.wait('GROUP "VG1" FAULT 0')
    assert daemon.stop() == 0
    fifo.wait('INSTANCE "VI_1" STOP 100')
    lines = fifo.wait('GROUP "VG1" STOP 0')
    for name, priority in (("VI_1", 100), ("VI_2", 120)):
        expected = [f'INSTANCE "{name}" {state} {priority}' for state in ("BACKUP", "MASTER", "FAULT", "STOP")]
        assert [line for line in lines if f'"{name}"' in line] == expected
    states = ("BACKUP", "MASTER", "FAULT", "STOP")
    assert [line for line in lines if "GROUP" in line] == [f'GROUP "VG1" {state} 0' for state in states]
    assert fifo.path.exists(), "it was there before"


def test_lower_priority_advert(pair: Pair, kind: type[Daemon], fifo: Fifo) -> None:
    daemon = kind(pair.a, global_defs(f"notify_fifo {fifo.path}") + v3(priority=150))
    daemon.start()
    pair.wait_master(pair.a)
    pair.ext.cut(pair.a, Cut.SENDING)
    kind(pair.b, v3(priority=100)).start()
    pair.wait_master(pair.b)
    fifo.wait('INSTANCE "VI_1" MASTER_RX_LOWER_PRI 150')


def test_made_with_its_reader_and_removed(pair: Pair, kind: type[Daemon]) -> None:
    path, log = pair.a.directory / "made", pair.a.directory / "reader.log"
    log.write_text("")
    log.chmod(0o666)
    pair.a.directory.chmod(0o755)
    reader = pair.a.write(
        "reader.sh",
        f'#!/bin/sh\necho "$# $1 $2" >> {log}\nwhile read -r l; do echo "$l" >> {log}; done < "$2"\n',
        mode=0o755,
    )
    daemon = kind(
        pair.a,
        global_defs("umask 022", f"vrrp_notify_fifo {path} nobody", f'vrrp_notify_fifo_script "{reader} word" nobody')
        + v3(),
    )
    daemon.start()
    wait_until(lambda: 'INSTANCE "VI_1" MASTER 100' in log.read_text(), timeout_s=8, what="the reader's log")
    found = path.stat()
    assert stat.S_ISFIFO(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o644
    assert found.st_uid == 65534
    assert log.read_text().splitlines()[0] == f"2 word {path}"
    assert daemon.stop() == 0
    assert not path.exists()


@pytest.mark.ours("it replaces what is in the file")
def test_existing_file_is_left_alone(pair: Pair, kind: type[Daemon]) -> None:
    path = pair.a.write("file", "precious\n")
    kind(pair.a, global_defs(f"vrrp_notify_fifo {path}") + v3()).start()
    pair.wait_master(pair.a)
    assert path.read_text() == "precious\n"


@pytest.mark.ours("its reader is ended on every reload, and lines in between can be lost")
def test_reload_leaves_the_reader_alone_and_tells_the_states(pair: Pair, kind: type[Daemon]) -> None:
    path, log = pair.a.directory / "made", pair.a.directory / "reader.log"
    log.write_text("")
    reader = pair.a.write(
        "reader.sh",
        f'#!/bin/sh\necho start >> {log}\nwhile read -r l; do echo "$l" >> {log}; done < "$1"\n',
        mode=0o755,
    )
    conf = global_defs(f"notify_fifo {path}", f"notify_fifo_script {reader}", "fifo_write_vrrp_states_on_reload") + v3()
    daemon = kind(pair.a, conf)
    daemon.start()
    text = lambda: Path(log).read_text()  # noqa: E731
    wait_until(lambda: 'INSTANCE "VI_1" MASTER 100' in text(), timeout_s=8, what="MASTER")
    daemon.reload()
    wait_until(lambda: text().count('INSTANCE "VI_1" MASTER 100') == 2, timeout_s=8, what="the state after the reload")
    assert text().count("start") == 1


def test_full_fifo_delays_nothing(pair: Pair, kind: type[Daemon], fifo: Fifo) -> None:
    """Nobody reads and it is full: no advert is late."""
    filler = os.open(fifo.path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(filler, b"x" * 512)
    finally:
        os.close(filler)
    daemon = kind(pair.a, global_defs(f"notify_fifo {fifo.path}") + v3())
    daemon.start()
    pair.wait_master(pair.a)
    assert daemon.stop() == 0
