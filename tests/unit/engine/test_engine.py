"""The Python side of the engine, with the real thread in a namespace."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from keepvip import event
from keepvip.config.model import GlobalDefs, VirtualAddress
from keepvip.event import State

from .conftest import config, instance

if TYPE_CHECKING:
    from .conftest import Running

pytestmark = pytest.mark.root


def master(running: Running, name: str = "VI_1") -> event.Transition:
    return running.wait(event.Transition, lambda told: told.instance == name and told.new is State.MASTER)


def test_a_takeover_is_told_with_its_evidence(running: Running) -> None:
    running.engine.apply(config(instance()))
    first = running.wait(event.Transition)
    assert (first.old, first.new, first.reason, first.instance) == (State.INIT, State.BACKUP, "startup", "VI_1")
    told = master(running)
    assert told.reason == event.Reason.MASTER_DOWN
    assert told.priority == 150
    # Version 3, priority 150: 3 x 100 ms + 106/256 x 100 ms.
    assert told.evidence["master_down_us"] == 341_406
    assert told.evidence["skew_us"] == 41_406
    deadline_us = told.evidence["deadline_mono_us"]
    assert isinstance(deadline_us, int)
    assert told.mono_us - deadline_us == told.late_us
    assert told.took_us is not None
    assert told.took_us >= told.late_us
    assert "10.10.0.51/32" in running.addresses()
    seqs = [told.seq for told in running.events]
    assert seqs == list(range(1, len(seqs) + 1))


def test_a_snapshot_names_everything(running: Running) -> None:
    running.engine.apply(config(instance("A", 1), instance("B", 2), groups={"G": ("A", "B")}))
    told = running.wait(event.GroupTransition, lambda told: told.new is State.MASTER)
    assert told.group == "G"
    snapshot = running.engine.snapshot()
    assert [(one.name, one.group, one.vrid, one.state) for one in snapshot.instances] == [
        ("A", "G", 1, State.MASTER),
        ("B", "G", 2, State.MASTER),
    ]
    one = snapshot.instances[0]
    assert (one.family, one.version, one.interface, one.base_priority, one.priority) == (4, 3, "eth0", 150, 150)
    assert one.addresses_installed
    assert one.stats["become_master"] == 1
    assert one.stats["advert_sent"] >= 1
    assert one.last_transition_ns > 0
    assert one.next_deadline_us is not None
    assert one.next_deadline_us > snapshot.mono_us - 100_000
    assert snapshot.wakeups > 0
    assert sum(snapshot.late_histogram) > 0
    assert not snapshot.realtime


def test_what_did_not_change_notices_nothing(running: Running) -> None:
    running.engine.apply(config(instance("A", 1), instance("B", 2)))
    master(running, "A")
    sent = running.engine.snapshot().instances[0].stats["advert_sent"]
    # Another name, another script: not the engine's business. The other instance changes.
    running.engine.apply(config(instance("renamed", 1, smtp_alert=True), instance("B", 2, priority=200)))
    told = running.wait(event.PriorityChange)
    assert (told.instance, told.priority) == ("B", 200)
    renamed = running.engine.snapshot().instances[0]
    assert (renamed.name, renamed.state) == ("renamed", State.MASTER)
    assert renamed.stats["advert_sent"] >= sent
    running.events += running.engine.drain()
    assert not [told for told in running.events if isinstance(told, event.Transition) and told.instance == "renamed"]


def test_instances_come_and_go(running: Running) -> None:
    running.engine.apply(config(instance("A", 1), instance("B", 2)))
    master(running, "A")
    running.engine.apply(config(instance("B", 2)))
    gone = running.wait(event.Deleted)
    assert (gone.instance, gone.state) == ("A", State.MASTER)
    assert "10.10.0.1/32" not in running.addresses()
    # The slot of A is used again, under another name.
    running.engine.apply(config(instance("B", 2), instance("C", 3)))
    told = master(running, "C")
    assert told.group is None
    assert [one.name for one in sorted(running.engine.snapshot().instances, key=lambda one: one.name)] == ["B", "C"]


@pytest.mark.parametrize(
    "fields",
    [
        {"interface": "x" * 16},
        {"priority": 0},
        {"advert_int_us": 0},
        {"source": "10.0.0"},
        {"mcast_dst": "10.0.0.1"},
        {"addresses": (VirtualAddress(address="10.0.0.1", prefix_len=33, family=4),)},
        {"version": 4},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_value_that_does_not_fit_changes_nothing(running: Running, fields: dict[str, Any]) -> None:
    running.engine.apply(config(instance()))
    master(running)
    with pytest.raises(ValueError, match=next(iter(fields)).removesuffix("es")):
        running.engine.apply(config(instance(**fields), instance("other", 9)))
    assert [one.name for one in running.engine.snapshot().instances] == ["VI_1"]
    running.engine.apply(config(instance(), instance("other", 9)))
    master(running, "other")


def test_the_end_is_told_last(running: Running) -> None:
    running.engine.apply(config(instance()))
    master(running)
    running.engine.stop()
    running.wait(event.Stopped)
    assert running.engine.failure() is None
    assert not running.engine.alive()
    assert running.engine.drain() == []
    assert "10.10.0.51" not in running.addresses()
    with pytest.raises(RuntimeError, match="ended"):
        running.engine.apply(config(instance()))


def test_the_end_may_leave_the_addresses(running: Running) -> None:
    running.engine.apply(config(instance()))
    master(running)
    running.engine.stop(release=False)
    running.wait(event.Stopped)
    assert "10.10.0.51/32" in running.addresses()


def test_a_failure_is_told_and_the_addresses_are_gone(running: Running) -> None:
    running.engine.apply(config(instance()))
    master(running)
    running.engine._core.crash()
    told = running.wait(event.Fatal)
    assert "asked to crash" in told.text
    assert not running.engine.alive()
    assert "10.10.0.51" not in running.addresses()
    assert running.engine.drain() == []


def test_a_busy_engine_is_alive_all_the_time(running: Running) -> None:
    """Work "at once" is no deadline that was missed since the start of the clock."""
    for count in range(100, 110):
        running.engine.apply(config(*(instance(f"VI_{vrid}", vrid) for vrid in range(1, count))))
        until_s = time.monotonic() + 0.2
        while time.monotonic() < until_s:
            assert running.engine.alive()
        running.engine.drain()


def test_faults_are_named(running: Running) -> None:
    running.engine.apply(config(instance(interface="nowhere0")))
    told = running.wait(event.Transition)
    assert (told.new, told.reason) == (State.FAULT, event.Reason.INTERFACE_MISSING)
    assert told.evidence["interface"] == "nowhere0"
    assert running.engine.snapshot().instances[0].faults == ("interface_missing",)


def test_a_startup_delay_holds_everything(running: Running) -> None:
    held = config(instance())
    held = type(held)(instances=held.instances, global_defs=GlobalDefs(startup_delay_us=700_000))
    running.engine.apply(held)
    start = running.wait(event.Transition)
    told = master(running)
    # The delay counts from before the thread takes the configuration over.
    assert told.mono_us - start.mono_us > 700_000 + 341_406 - 10_000
    assert start.evidence["deadline_mono_us"] == told.evidence["deadline_mono_us"]


def test_the_thread_goes_on_while_the_interpreter_is_busy(running: Running) -> None:
    running.engine.apply(config(instance()))
    master(running)
    before = running.engine.snapshot()
    # One long call in C: nobody else gets the interpreter's lock meanwhile.
    deadline = before.mono_us + 1_000_000
    while running.engine.snapshot().mono_us < deadline:
        sum(range(3_000_000))
    after = running.engine.snapshot()
    sent = after.instances[0].stats["advert_sent"] - before.instances[0].stats["advert_sent"]
    assert sent >= 10
    assert after.instances[0].state is State.MASTER


def test_without_privileges_it_says_so() -> None:
    script = "import keepvip.engine as e\ntry: e.Engine()\nexcept PermissionError as error: print(error.errno)"
    argv = ["setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all", sys.executable]
    done = subprocess.run([*argv, "-c", script], capture_output=True, text=True, check=False)
    if "ModuleNotFoundError" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip("the test environment is not readable without root")
    assert done.stdout.strip() == "1", done.stderr
