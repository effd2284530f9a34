"""From events to scripts and mails, through real scripts and a real mail server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiosmtpd.smtp import SMTP

from keepvip import event
from keepvip.config.model import Config, GlobalDefs, NotifyScripts, Script, SyncGroup, TrackScript, VrrpInstance
from keepvip.event import EngineSnapshot, InstanceStatus, Reason, State
from keepvip.notify import Notifier

from .tools import Scripts, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ALL = ("master", "backup", "fault", "stop", "any", "rx_lower")
COMMON: dict[str, Any] = {"at_ns": 1_795_375_329_000_000_000, "mono_us": 0}


class Bench:
    """Scripts that log their keyword and arguments; configurations that use them; events."""

    def __init__(self, scripts: Scripts) -> None:
        self.scripts = scripts
        for name in (*ALL, "deleted", "new"):
            scripts.write(name, f'echo "$(basename $0)${{1:+ $*}}" >> {scripts.log}')
        self.mails: list[str] = []
        self.made: Notifier | None = None
        self.smtp_port = 0

    def script(self, name: str) -> Script:
        path = str(self.scripts.directory / name.split(maxsplit=1)[0])
        return Script(argv=(path, *name.split()[1:]), text=name)

    def notify(self, *fields: str, **settings: Any) -> NotifyScripts:
        return NotifyScripts(**{field: self.script(field) for field in fields}, **settings)

    def instance(self, name: str = "VI_1", **settings: Any) -> VrrpInstance:
        usual: dict[str, Any] = {"interface": "eth0", "family": 4, "version": 2, "vrid": 1, "notify": self.notify(*ALL)}
        return VrrpInstance(name=name, **(usual | settings))

    def config(self, *owners: VrrpInstance | SyncGroup, **defs: Any) -> Config:
        usual: dict[str, Any] = {
            "router_id": "lb1",
            "emails": ("a@example.com",),
            "smtp_host": "127.0.0.1",
            "smtp_port": self.smtp_port,
        }
        return Config(
            global_defs=GlobalDefs(**(usual | defs)),
            instances=tuple(owner for owner in owners if isinstance(owner, VrrpInstance)),
            sync_groups=tuple(owner for owner in owners if isinstance(owner, SyncGroup)),
        )

    def use(self, config: Config, **settings: Any) -> Notifier:
        self.made = Notifier(config, mail_retry_s=0.1, **settings)
        return self.made

    @property
    def notifier(self) -> Notifier:
        """The one in use."""
        assert self.made is not None
        return self.made

    async def idle(self) -> list[str]:
        """What the scripts wrote since the last time, once everything is done."""
        notifier = self.notifier
        await until(lambda: notifier.idle)
        lines = self.scripts.lines
        self.scripts.log.write_text("")
        return lines


@pytest.fixture
async def bench(scripts: Scripts) -> AsyncIterator[Bench]:
    bench = Bench(scripts)

    class Handler:
        async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802
            lines = envelope.original_content.decode().split("\r\n")
            bench.mails.append(next(line[9:] for line in lines if line.startswith("Subject: ")))
            return "250 OK"

    server = await asyncio.get_running_loop().create_server(lambda: SMTP(Handler()), "127.0.0.1", 0)
    bench.smtp_port = server.sockets[0].getsockname()[1]
    yield bench
    if bench.made is not None:
        await bench.notifier.stop(0.2)
    server.close()


def transition(
    name: str, new: State, *, old: State = State.BACKUP, priority: int = 100, reason: Reason = Reason.MASTER_DOWN
) -> event.Transition:
    return event.Transition(
        seq=1,
        **COMMON,
        instance=name,
        group=None,
        old=old,
        new=new,
        reason=reason,
        evidence={},
        priority=priority,
        late_us=0,
        took_us=None,
    )


def group_transition(name: str, new: State) -> event.GroupTransition:
    return event.GroupTransition(seq=1, **COMMON, group=name, new=new)


def deleted(name: str, state: State = State.MASTER) -> event.Deleted:
    return event.Deleted(seq=1, **COMMON, instance=name, state=state)


async def test_specific_then_generic_with_arguments(bench: Bench) -> None:
    notifier = bench.use(bench.config(bench.instance()))
    notifier.handle(transition("VI_1", State.BACKUP, old=State.INIT, priority=100))
    notifier.handle(transition("VI_1", State.MASTER, priority=150))
    notifier.handle(transition("VI_1", State.FAULT, old=State.MASTER, priority=150))
    assert await bench.idle() == [
        "backup",
        "any INSTANCE VI_1 BACKUP 100",
        "master",
        "any INSTANCE VI_1 MASTER 150",
        "fault",
        "any INSTANCE VI_1 FAULT 150",
    ]
    assert notifier.counters().scripts_ok == 6


async def test_arguments_of_the_configuration_come_first(bench: Bench) -> None:
    notify = NotifyScripts(master=bench.script("master one two"), any=bench.script("any x"))
    bench.use(bench.config(bench.instance("name with blanks", notify=notify)))
    bench.notifier.handle(transition("name with blanks", State.MASTER))
    assert await bench.idle() == ["master one two", "any x INSTANCE name with blanks MASTER 100"]


async def test_group(bench: Bench) -> None:
    group = SyncGroup(name="VG1", members=("VI_1",), notify=bench.notify("master", "backup", "fault", "any"))
    bench.use(bench.config(bench.instance(notify=NotifyScripts()), group))
    for state in (State.BACKUP, State.MASTER, State.FAULT):
        bench.notifier.handle(group_transition("VG1", state))
    assert await bench.idle() == [
        "backup",
        "any GROUP VG1 BACKUP 0",
        "master",
        "any GROUP VG1 MASTER 0",
        "fault",
        "any GROUP VG1 FAULT 0",
    ]


async def test_lower_priority_received(bench: Bench) -> None:
    bench.use(bench.config(bench.instance()))
    bench.notifier.handle(event.MasterRxLowerPriority(seq=1, **COMMON, instance="VI_1", priority=50, sender="10.0.0.2"))
    assert await bench.idle() == ["rx_lower"]


async def test_what_nobody_asked_for(bench: Bench) -> None:
    """Unknown names, other events, instances without scripts: nothing happens, and no process is made."""
    bench.use(bench.config(bench.instance(notify=NotifyScripts())))
    bench.notifier.handle(transition("VI_1", State.MASTER))
    bench.notifier.handle(transition("unknown", State.MASTER))
    bench.notifier.handle(group_transition("unknown", State.MASTER))
    bench.notifier.handle(deleted("unknown"))
    bench.notifier.handle(event.Late(seq=1, **COMMON, late_us=5, what="advert"))
    bench.notifier.handle(event.MasterRxLowerPriority(seq=1, **COMMON, instance="VI_1", priority=50, sender="10.0.0.2"))
    assert await bench.idle() == []
    assert bench.notifier._runner._spawner.pid is None


async def test_priority_changes_reach_the_next_report(bench: Bench) -> None:
    bench.use(bench.config(bench.instance(notify=bench.notify("any"))))
    bench.notifier.handle(transition("VI_1", State.BACKUP, old=State.INIT))
    bench.notifier.handle(event.PriorityChange(seq=1, **COMMON, instance="VI_1", state=State.BACKUP, priority=42))
    await bench.notifier.stop(5)
    assert bench.scripts.lines[-1:] == ["any INSTANCE VI_1 STOP 42"]


async def test_stop(bench: Bench) -> None:
    group = SyncGroup(name="VG1", members=("VI_1",), notify=bench.notify("stop", "any"), smtp_alert=True)
    bench.use(bench.config(bench.instance(smtp_alert=True), group))
    bench.notifier.handle(transition("VI_1", State.MASTER))
    await bench.idle()
    bench.notifier.handle(transition("VI_1", State.INIT, old=State.MASTER, reason=Reason.SHUTDOWN, priority=99))
    await bench.notifier.stop(10)
    assert sorted(bench.scripts.lines) == ["any GROUP VG1 STOP 0", "any INSTANCE VI_1 STOP 99", "stop", "stop"]
    assert bench.mails[1:] == ["[lb1] VRRP Instance VI_1 - Stopping", "[lb1] VRRP Group VG1 - Stopping"]
    bench.notifier.handle(transition("VI_1", State.MASTER))
    assert bench.notifier.idle


async def test_stop_waits_as_long_as_it_may_and_no_longer(bench: Bench, scripts: Scripts) -> None:
    """Fifty instances whose stop scripts hang: the end is not fifty seconds later."""
    scripts.write("stop", "echo up >> $LOG; sleep 100")
    bench.use(bench.config(*(bench.instance(f"VI_{n}", vrid=n, notify=bench.notify("stop")) for n in range(1, 51))))
    bench.notifier.start()
    started = time.monotonic()
    await bench.notifier.stop(3.0)
    assert 2.9 < time.monotonic() - started < 10
    assert len(bench.scripts.lines) == 50


async def test_mails(bench: Bench) -> None:
    bench.use(bench.config(bench.instance(smtp_alert=True, notify=NotifyScripts()), bench.instance("quiet", vrid=2)))
    for state in (State.BACKUP, State.BACKUP, State.MASTER, State.FAULT, State.BACKUP):
        bench.notifier.handle(transition("VI_1", state))
    bench.notifier.handle(transition("quiet", State.MASTER))
    await bench.idle()
    assert bench.mails == [
        f"[lb1] VRRP Instance VI_1 - Entering {state} state" for state in ("BACKUP", "MASTER", "FAULT", "BACKUP")
    ]


async def test_no_email_faults(bench: Bench) -> None:
    """A fault and its end are not mentioned; what else happens is."""
    bench.use(bench.config(bench.instance(smtp_alert=True, notify=NotifyScripts()), no_email_faults=True))
    for state in (State.BACKUP, State.FAULT, State.BACKUP, State.MASTER, State.FAULT, State.BACKUP):
        bench.notifier.handle(transition("VI_1", state))
    await bench.idle()
    assert [mail.split()[-2] for mail in bench.mails] == ["BACKUP", "MASTER", "BACKUP"]


async def test_mails_of_groups_and_members_in_order(bench: Bench) -> None:
    group = SyncGroup(name="VG1", members=("A", "B"), smtp_alert=True)
    none = NotifyScripts()
    bench.use(
        bench.config(
            bench.instance("A", smtp_alert=True, notify=none),
            bench.instance("B", vrid=2, smtp_alert=True, notify=none),
            group,
        )
    )
    bench.notifier.handle(transition("A", State.MASTER))
    bench.notifier.handle(transition("B", State.MASTER))
    bench.notifier.handle(group_transition("VG1", State.MASTER))
    await bench.idle()
    assert [mail.split()[2:4] for mail in bench.mails] == [["Instance", "A"], ["Instance", "B"], ["Group", "VG1"]]


@pytest.mark.parametrize("reload_first", [True, False])
@pytest.mark.parametrize(
    ("deleted_script", "expected", "mail"),
    [
        (False, ["fault", "any INSTANCE VI_1 FAULT 100"], "Entering FAULT state"),
        (True, ["any INSTANCE VI_1 DELETED 100"], "Deleted"),
        ("deleted", ["deleted", "any INSTANCE VI_1 DELETED 100"], "Deleted"),
    ],
)
async def test_removed_by_reload(
    bench: Bench, deleted_script: str | bool, expected: list[str], mail: str, reload_first: bool
) -> None:
    script = bench.script(deleted_script) if isinstance(deleted_script, str) else deleted_script
    notify = bench.notify("master", "backup", "fault", "any", deleted=script)
    bench.use(bench.config(bench.instance(notify=notify, smtp_alert=True)))
    bench.notifier.handle(transition("VI_1", State.MASTER))
    await bench.idle()
    if reload_first:
        bench.notifier.reconfigure(bench.config())
    bench.notifier.handle(transition("VI_1", State.INIT, old=State.MASTER, reason=Reason.REMOVED))
    bench.notifier.handle(deleted("VI_1"))
    bench.notifier.handle(deleted("VI_1"))
    if not reload_first:
        bench.notifier.reconfigure(bench.config())
    assert await bench.idle() == expected
    assert bench.mails[-1] == f"[lb1] VRRP Instance VI_1 - {mail}"
    await bench.notifier.stop(1)
    assert await bench.idle() == [], "what is gone does not stop"


async def test_same_name_another_router(bench: Bench) -> None:
    """The VRID changed: the old one goes, a new one comes, and their scripts do not overlap."""
    bench.scripts.write("fault", "echo fault begins >> $LOG; sleep 0.2; echo fault ends >> $LOG")
    bench.use(bench.config(bench.instance()))
    bench.notifier.handle(transition("VI_1", State.MASTER))
    await bench.idle()
    bench.notifier.reconfigure(bench.config(bench.instance(vrid=2, priority=7)))
    bench.notifier.handle(deleted("VI_1"))
    bench.notifier.handle(transition("VI_1", State.BACKUP, old=State.INIT, priority=7))
    assert await bench.idle() == [
        "fault begins",
        "fault ends",
        "any INSTANCE VI_1 FAULT 100",
        "backup",
        "any INSTANCE VI_1 BACKUP 7",
    ]


async def test_renamed_keeps_queue_and_history(bench: Bench) -> None:
    bench.scripts.write("master", "sleep 0.2; echo old >> $LOG")
    bench.use(bench.config(bench.instance(smtp_alert=True)))
    bench.notifier.handle(transition("VI_1", State.MASTER))
    renamed = bench.instance(
        "NEW", smtp_alert=True, notify=NotifyScripts(backup=bench.script("new"), any=bench.script("any"))
    )
    bench.notifier.reconfigure(bench.config(renamed))
    bench.notifier.handle(transition("NEW", State.BACKUP))
    bench.notifier.handle(transition("VI_1", State.FAULT))
    assert await bench.idle() == [
        "old",
        "any INSTANCE VI_1 MASTER 100",  # queued before the reload: bound to what was configured then
        "new",
        "any INSTANCE NEW BACKUP 100",
    ]
    bench.notifier.handle(transition("NEW", State.BACKUP))
    await bench.idle()
    assert len(bench.mails) == 2, "not repeated for the same state"


async def test_reload_that_is_taken_back(bench: Bench) -> None:
    """The engine refuses the new configuration, the old one goes on: nothing was lost."""
    old = bench.config(bench.instance(smtp_alert=True))
    bench.use(old)
    bench.notifier.handle(transition("VI_1", State.MASTER, priority=77))
    await bench.idle()
    bench.notifier.reconfigure(bench.config())
    bench.notifier.reconfigure(old)
    bench.notifier.handle(transition("VI_1", State.MASTER, priority=77))
    await bench.idle()
    assert len(bench.mails) == 1
    await bench.notifier.stop(5)
    assert bench.scripts.lines == ["stop", "any INSTANCE VI_1 STOP 77"]


async def test_groups_over_a_reload(bench: Bench) -> None:
    def group(*fields: str) -> SyncGroup:
        return SyncGroup(name="VG1", members=("VI_1",), notify=bench.notify(*fields))

    quiet = bench.instance(notify=NotifyScripts())
    bench.use(bench.config(quiet, group("master")))
    bench.notifier.handle(group_transition("VG1", State.MASTER))
    bench.notifier.reconfigure(bench.config(quiet, group("any")))
    bench.notifier.handle(group_transition("VG1", State.BACKUP))
    assert await bench.idle() == ["master", "any GROUP VG1 BACKUP 0"]
    bench.notifier.reconfigure(bench.config(quiet))
    bench.notifier.handle(group_transition("VG1", State.MASTER))
    assert await bench.idle() == []


def status(name: str, state: State, priority: int = 100) -> InstanceStatus:
    return InstanceStatus(
        name=name,
        group=None,
        vrid=1,
        family=4,
        version=2,
        interface="eth0",
        state=state,
        faults=(),
        base_priority=100,
        priority=priority,
        master=None,
        master_priority=None,
        master_advert_int_us=1_000_000,
        next_deadline_us=None,
        last_transition_ns=0,
        addresses_installed=False,
        stats={},
    )


def snapshot(*instances: InstanceStatus) -> EngineSnapshot:
    return EngineSnapshot(
        mono_us=0,
        instances=list(instances),
        late_histogram=[],
        rx_overruns=0,
        netlink_resyncs=0,
        wakeups=0,
        realtime=True,
        memory_locked=True,
    )


async def test_resync_after_lost_events(bench: Bench) -> None:
    """What was missed is reported once, as it is now; what was not missed is not repeated."""
    group = SyncGroup(name="VG1", members=("A", "B"), notify=bench.notify("any"))
    one, two = (bench.instance(name, vrid=n, notify=bench.notify("any")) for n, name in enumerate(("A", "B"), 1))
    bench.use(bench.config(one, two, group))
    for name in ("A", "B"):
        bench.notifier.handle(transition(name, State.BACKUP, old=State.INIT))
    bench.notifier.handle(group_transition("VG1", State.BACKUP))
    bench.notifier.handle(transition("A", State.MASTER))
    await bench.idle()
    bench.notifier.resync(
        snapshot(status("A", State.MASTER), status("B", State.MASTER, 120), status("C", State.MASTER))
    )
    assert sorted(await bench.idle()) == ["any GROUP VG1 MASTER 0", "any INSTANCE B MASTER 120"]
    bench.notifier.resync(snapshot(status("A", State.MASTER), status("B", State.MASTER)))
    assert await bench.idle() == []
    bench.notifier.resync(snapshot(status("A", State.FAULT), status("B", State.BACKUP)))
    assert sorted(await bench.idle()) == [
        "any GROUP VG1 FAULT 0",
        "any INSTANCE A FAULT 100",
        "any INSTANCE B BACKUP 100",
    ]
    bench.notifier.resync(snapshot(status("A", State.INIT), status("B", State.BACKUP)))
    assert await bench.idle() == []


async def test_findings_are_logged_before_the_first_event(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    config = bench.config(bench.instance(notify=NotifyScripts(master=bench.script("missing"), any=bench.script("any"))))
    bench.use(config)
    bench.notifier.start()
    await until(lambda: "SECURITY VIOLATION" in caplog.text)
    assert "notify_master of VI_1: `missing` (" in caplog.text
    assert "does not exist; not run" in caplog.text
    bench.notifier.handle(transition("VI_1", State.MASTER))
    assert await bench.idle() == ["any INSTANCE VI_1 MASTER 100"]
    await until(lambda: bench.notifier._runner._spawner.pid)  # made ready before anything is to run
    caplog.clear()
    bench.notifier.reconfigure(config)
    await until(lambda: "does not exist; not run" in caplog.text)
    assert "SECURITY VIOLATION" not in caplog.text, "once per process"


async def test_scripts_that_cannot_be_looked_at(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Any:
        raise RuntimeError("no host")

    bench.use(bench.config(bench.instance()), make_host=broken)
    bench.notifier.handle(transition("VI_1", State.MASTER))
    assert await bench.idle() == []
    assert "could not be looked at, so none of them is run" in caplog.text
    assert bench.notifier.counters().scripts_dropped == 2


async def test_many_instances_at_once(bench: Bench) -> None:
    """255 routers move in one moment, one hangs: the others get their scripts in order, and the loop stays free."""
    bench.scripts.write("any", 'test "$2" = VI_7 && sleep 100; echo $2 $3 >> $LOG')
    config = bench.config(*(bench.instance(f"VI_{n}", vrid=n, notify=bench.notify("any")) for n in range(1, 256)))
    bench.use(config)
    for state in (State.BACKUP, State.MASTER):
        for number in range(1, 256):
            bench.notifier.handle(transition(f"VI_{number}", state))
    worst = 0.0
    async with asyncio.timeout(60):
        while len(bench.scripts.lines) < 2 * 254:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            worst = max(worst, time.monotonic() - before)
    seen: dict[str, list[str]] = {}
    for line in bench.scripts.lines:
        name, reached = line.split()
        seen.setdefault(name, []).append(reached)
    assert set(map(tuple, seen.values())) == {("BACKUP", "MASTER")}
    assert worst < 2.0
    await until(lambda: bench.notifier.counters().scripts_running == 1)


def test_nothing_heavy_is_imported_before_the_first_mail() -> None:
    """Budget of the first advert: notify itself may be imported early, what it may need later may not."""
    code = (
        "import sys, keepvip.notify;"
        "print([m for m in ('aiosmtplib', 'email', 'ssl', 'http', 'ctypes', 'pwd') if m in sys.modules])"
    )
    bare = subprocess.run(
        [sys.executable, "-c", code.replace("keepvip.notify", "asyncio, msgspec, logging")],
        capture_output=True,
        check=True,
    )
    ours = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert ours.stdout == bare.stdout


async def test_scripts_of_master_run_again_after_a_clash_that_was_won(bench: Bench) -> None:
    """Once, when the other master has been silent for three intervals, and not where a script for it exists."""
    mine = bench.instance(notify=bench.notify("master", "any"), advert_int_us=100_000)
    own_hook = bench.instance("VI_2", vrid=2, advert_int_us=100_000)
    bench.use(bench.config(mine, own_hook))
    lower = {"priority": 50, "sender": "10.0.0.2"}
    for name in ("VI_1", "VI_2"):
        bench.notifier.handle(transition(name, State.MASTER))
    assert len(await bench.idle()) == 4
    for _ in range(3):
        for name in ("VI_1", "VI_2"):
            bench.notifier.handle(event.MasterRxLowerPriority(seq=1, **COMMON, instance=name, **lower))  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
    assert set(await bench.idle()) == {"rx_lower"}
    await until(lambda: len(bench.scripts.lines) == 2)
    assert await bench.idle() == ["master", "any INSTANCE VI_1 MASTER 100"]
    bench.notifier.handle(event.MasterRxLowerPriority(seq=1, **COMMON, instance="VI_1", **lower))  # type: ignore[arg-type]
    bench.notifier.handle(transition("VI_1", State.BACKUP))
    assert await bench.idle() == ["any INSTANCE VI_1 BACKUP 100"]
    await asyncio.sleep(0.4)
    assert bench.scripts.lines == []


async def test_scripts_that_are_only_tracked_are_a_security_finding_too(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    tracked = TrackScript(name="chk", script=bench.script("any"))
    config = msgspec.structs.replace(bench.config(bench.instance(notify=NotifyScripts())), track_scripts=(tracked,))
    bench.use(config).start()
    await until(lambda: "SECURITY VIOLATION" in caplog.text)
