"""FIFOs of a configuration, from events to the lines that a reader gets (vrrp-behaviour.md 15)."""

from __future__ import annotations

import asyncio
import os
import select
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from keepvip import event
from keepvip.config.model import Config, Fifo, GlobalDefs, NotifyScripts, Script, SyncGroup, VrrpInstance
from keepvip.event import Reason, State
from keepvip.notify import Notifier

from .tools import Scripts, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

COMMON: dict[str, Any] = {"seq": 1, "at_ns": 1_795_375_329_000_000_000, "mono_us": 0}
NO_FIFO: dict[str, Any] = {"notify_fifo": None, "vrrp_notify_fifo": None}


class Bench:
    """A notifier with two FIFOs; the first is read by a script, the second by the test."""

    def __init__(self, scripts: Scripts) -> None:
        self.scripts = scripts
        scripts.write("reader", 'echo "start $*" >> $LOG\nwhile read -r line; do echo "$line" >> $LOG; done < "$2"')
        self.notifiers: list[Notifier] = []
        self._fds: list[int] = []

    @property
    def common(self) -> Fifo:
        path = str(self.scripts.directory / "reader")
        script = Script(argv=(path, "first"), text=f"{path} first")
        return Fifo(path=str(self.scripts.directory / "common"), script=script)

    @property
    def vrrp(self) -> Fifo:
        return Fifo(path=str(self.scripts.directory / "vrrp"))

    def config(self, **defs: Any) -> Config:
        usual = {"notify_fifo": self.common, "vrrp_notify_fifo": self.vrrp}
        common: dict[str, Any] = {"interface": "eth0", "family": 4, "version": 2}
        return Config(
            global_defs=GlobalDefs(**(usual | defs)),
            instances=(
                VrrpInstance(name="VI 1", vrid=1, notify_priority_changes=True, **common),
                VrrpInstance(name="VI_2", vrid=2, notify=NotifyScripts(deleted=True), **common),
            ),
            sync_groups=(SyncGroup(name="VG", members=("VI 1", "VI_2")),),
        )

    def use(self, config: Config) -> Notifier:
        notifier = Notifier(config)
        self.notifiers.append(notifier)
        notifier.start()
        return notifier

    async def open(self, fifo: Fifo) -> int:
        """The reader's end of a FIFO, as soon as it exists."""
        await until(Path(fifo.path).exists)
        fd = os.open(fifo.path, os.O_RDONLY | os.O_NONBLOCK)
        self._fds.append(fd)
        return fd

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)


def exists(path: str) -> bool:
    return Path(path).exists()


def put(path: str, text: str) -> None:
    Path(path).write_text(text)


def got(path: str) -> str:
    return Path(path).read_text()


async def lines(fd: int, count: int) -> list[str]:
    """So many lines from a FIFO."""
    found = b""

    def enough() -> bool:
        nonlocal found
        while select.select([fd], [], [], 0)[0]:
            piece = os.read(fd, 4096)
            if not piece:
                break
            found += piece
        return found.count(b"\n") >= count

    await until(enough)
    return found.decode().splitlines()


@pytest.fixture
async def bench(scripts: Scripts) -> AsyncIterator[Bench]:
    bench = Bench(scripts)
    yield bench
    for notifier in bench.notifiers:
        await notifier.stop(0.5)
    bench.close()


def transition(name: str, new: State, priority: int = 100, reason: Reason = Reason.MASTER_DOWN) -> event.Transition:
    return event.Transition(
        **COMMON, instance=name, group=None, old=State.BACKUP, new=new, reason=reason, evidence={}, priority=priority,
        late_us=0, took_us=None,
    )  # fmt: skip


def everything(notifier: Notifier) -> list[str]:
    """All kinds of events, and the lines that they come to."""
    notifier.handle(transition("VI 1", State.BACKUP))
    notifier.handle(event.PriorityChange(**COMMON, instance="VI 1", state=State.BACKUP, priority=120))
    notifier.handle(event.PriorityChange(**COMMON, instance="VI_2", state=State.BACKUP, priority=7))
    notifier.handle(transition("VI 1", State.MASTER, 120))
    notifier.handle(event.GroupTransition(**COMMON, group="VG", new=State.MASTER))
    notifier.handle(event.PriorityChange(**COMMON, instance="VI 1", state=State.MASTER, priority=90))
    notifier.handle(event.MasterRxLowerPriority(**COMMON, instance="VI 1", priority=50, sender="10.0.0.2"))
    notifier.handle(transition("VI 1", State.FAULT, 90))
    notifier.handle(event.PriorityChange(**COMMON, instance="VI 1", state=State.FAULT, priority=91))
    notifier.handle(event.Deleted(**COMMON, instance="VI_2", state=State.MASTER))
    return [
        'INSTANCE "VI 1" BACKUP 100',
        'INSTANCE "VI 1" BACKUP_PRIORITY 120',
        'INSTANCE "VI 1" MASTER 120',
        'GROUP "VG" MASTER 0',
        'INSTANCE "VI 1" MASTER_PRIORITY 90',
        'INSTANCE "VI 1" MASTER_RX_LOWER_PRI 90',
        'INSTANCE "VI 1" FAULT 90',
        'INSTANCE "VI_2" DELETED 7',
    ]


async def test_every_line_in_both(bench: Bench) -> None:
    """What happens before the FIFOs are open is not lost either, and the stop is told to the end."""
    notifier = bench.use(bench.config())
    expected = everything(notifier)
    fd = await bench.open(bench.vrrp)
    assert await lines(fd, len(expected)) == expected
    await notifier.stop(5)
    end = ['INSTANCE "VI 1" STOP 91', 'INSTANCE "VI_2" STOP 7', 'GROUP "VG" STOP 0']
    assert await lines(fd, 3) == end
    assert bench.scripts.lines == [f"start first {bench.common.path}", *expected, *end]
    assert notifier.counters().fifo_lines == 2 * len(expected + end)
    assert not exists(bench.common.path)
    assert not exists(bench.vrrp.path)


async def test_reload(bench: Bench) -> None:
    """What stays the same is left alone, what changed is made anew; the states are told if that is asked for."""
    notifier = bench.use(bench.config())
    notifier.handle(transition("VI 1", State.MASTER, 120))
    fd = await bench.open(bench.vrrp)
    await lines(fd, 1)
    await until(lambda: len(bench.scripts.lines) == 2)
    notifier.reconfigure(bench.config(fifo_states_on_reload=True))
    assert await lines(fd, 1) == ['INSTANCE "VI 1" MASTER 120']
    moved = Fifo(path=bench.vrrp.path + "2")
    notifier.reconfigure(bench.config(vrrp_notify_fifo=moved))
    notifier.handle(transition("VI 1", State.FAULT, 120))
    assert await lines(await bench.open(moved), 1) == ['INSTANCE "VI 1" FAULT 120']
    await until(lambda: not exists(bench.vrrp.path))
    await until(lambda: len(bench.scripts.lines) == 4)
    assert bench.scripts.lines[0].startswith("start")
    assert not any(line.startswith("start") for line in bench.scripts.lines[1:]), "the reader was left alone"
    notifier.reconfigure(bench.config(**NO_FIFO))
    await until(lambda: not exists(bench.common.path) and not Path(moved.path).exists())


async def test_reader_changes_its_owner(bench: Bench) -> None:
    """The same path with another script: the old reader ends before the new one begins."""
    notifier = bench.use(bench.config())
    await until(lambda: bench.scripts.lines)
    other = bench.scripts.write("other", 'echo "other $*" >> $LOG\nread -r line < "$1"; echo "got $line" >> $LOG')
    setting = Fifo(path=bench.common.path, script=Script(argv=(str(other),), text=str(other)))
    notifier.reconfigure(bench.config(notify_fifo=setting))
    notifier.handle(transition("VI 1", State.MASTER))
    await until(lambda: len(bench.scripts.lines) == 3)
    assert bench.scripts.lines[1:] == [f"other {setting.path}", 'got INSTANCE "VI 1" MASTER 100']


async def test_reader_that_ends_is_started_by_the_next_reload(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    once = bench.scripts.write("once", 'read -r line < "$1"; echo "got $line" >> $LOG; exit 3')
    setting = Fifo(path=bench.common.path, script=Script(argv=(str(once),), text="once"))
    notifier = bench.use(bench.config(notify_fifo=setting))
    notifier.handle(transition("VI 1", State.MASTER))
    await until(lambda: "notify_fifo_script `once`: exit status 3" in caplog.text)
    notifier.reconfigure(bench.config(notify_fifo=setting))
    notifier.handle(transition("VI 1", State.FAULT))
    await until(lambda: bench.scripts.lines == ['got INSTANCE "VI 1" MASTER 100', 'got INSTANCE "VI 1" FAULT 100'])


async def test_full_fifo_is_told_once_and_counted(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    notifier = bench.use(bench.config(notify_fifo=None))
    await until(Path(bench.vrrp.path).exists)
    for _ in range(4000):
        notifier.handle(transition("VI 1", State.MASTER))
    await until(lambda: notifier.counters().fifo_lost > 0)
    notifier.handle(transition("VI 1", State.BACKUP))
    assert caplog.text.count("lines are lost") == 1
    counters = notifier.counters()
    assert counters.fifo_lines + counters.fifo_lost == 4001


async def test_path_that_is_no_fifo(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    put(bench.vrrp.path, "precious")
    notifier = bench.use(bench.config(notify_fifo=None))
    await until(lambda: "is not a FIFO; nothing is written to it" in caplog.text)
    notifier.handle(transition("VI 1", State.MASTER))
    assert notifier.counters().fifo_lost == 1
    await notifier.stop(1)
    assert got(bench.vrrp.path) == "precious"


async def test_reader_that_does_not_leave_is_ended(bench: Bench) -> None:
    stubborn = bench.scripts.write("stubborn", "echo $$ >> $LOG; exec sleep 60")
    setting = Fifo(path=bench.common.path, script=Script(argv=(str(stubborn),), text="stubborn"))
    notifier = bench.use(bench.config(notify_fifo=setting))
    await until(lambda: bench.scripts.lines)
    began = asyncio.get_running_loop().time()
    await notifier.stop(0.5)
    assert asyncio.get_running_loop().time() - began < 2
    assert not exists(f"/proc/{bench.scripts.lines[0]}")
