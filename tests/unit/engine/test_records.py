"""Every kind of record becomes an event with names. No thread, no privileges: the native side is played."""

from __future__ import annotations

from typing import Any, cast

import pytest

from keepvip import engine, event
from keepvip.config.model import PacketFilter, Track, VrrpInstance
from keepvip.event import State

from .conftest import config, instance


class FakeCore:
    """Plays `keepvip._core.Engine`."""

    def __init__(self, *, rt_priority: int | None, lock_memory: bool, packet_filter: PacketFilter) -> None:
        self.options = (rt_priority, lock_memory, packet_filter)
        self.notices = ["no real-time scheduling"]
        self.modes = ("filter", "auto")
        self.applied: list[dict[str, Any]] = []
        self.records: list[tuple[Any, ...]] = []
        self.ended = False
        self.wake_due_us: int | None = None
        self.death: str | None = None
        self.told: list[tuple[int, str | int]] = []
        self.full = False

    def apply(self, **command: Any) -> None:
        self.applied.append(command)

    def track(self, number: int, value: str | int) -> None:
        if self.full:
            raise RuntimeError("the engine does not take commands")
        self.told.append((number, value))

    def drain(self) -> list[tuple[Any, ...]]:
        records, self.records = self.records, []
        return records

    def join(self) -> str | None:
        return self.death


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> engine.Engine:
    monkeypatch.setattr(engine, "CoreEngine", FakeCore)
    played = engine.Engine()
    played.apply(config(instance("A", 1), instance("B", 2), groups={"G": ("A", "B")}))
    return played


def core(played: engine.Engine) -> FakeCore:
    return cast("FakeCore", played._core)


def told(played: engine.Engine, kind: str, *fields: object, epoch: int = 1, seq: int = 1) -> event.Event:
    core(played).records.append((kind, seq, epoch, 5_000_000, fields))
    (made,) = played.drain()
    return made


BASE = {"seq": 1, "mono_us": 5_000_000}

KINDS = [
    ("GroupTransition", (0, 2), event.GroupTransition, {"group": "G", "new": State.MASTER}),
    (
        "MasterRxLower",
        (1, "10.0.0.2", 90),
        event.MasterRxLowerPriority,
        {"instance": "B", "sender": "10.0.0.2", "priority": 90},
    ),
    ("PriorityChange", (0, 1, 120), event.PriorityChange, {"instance": "A", "state": State.BACKUP, "priority": 120}),
    ("FaultChange", (0, ("interface_down",)), event.FaultChange, {"instance": "A", "faults": ("interface_down",)}),
    (
        "AddressRestored",
        (0, "10.0.0.1", "eth0", 3),
        event.AddressRestored,
        {"instance": "A", "address": "10.0.0.1", "interface": "eth0", "count": 3},
    ),
    (
        "AddressFailed",
        (0, "10.0.0.1", "", 99, False),
        event.AddressFailed,
        {"instance": "A", "interface": "eth0", "errno": 99, "action": "withdraw"},
    ),
    (
        "AdvertRejected",
        (0, "10.0.0.2", "ttl", 254, 255),
        event.AdvertRejected,
        {"instance": "A", "sender": "10.0.0.2", "cause": "ttl", "detail": "got 254, expected 255"},
    ),
    ("AdvertRejected", (0, "10.0.0.2", "auth_failure", 0, 0), event.AdvertRejected, {"detail": ""}),
    ("SendFailed", (0, 100), event.SendFailed, {"instance": "A", "errno": 100}),
    ("ListenAfterLateWakeup", (0, 5_000_000), event.Late, {"late_us": 5_000_000}),
    ("Late", (20_000,), event.Late, {"late_us": 20_000, "what": "engine thread"}),
    ("Deleted", (1, 2), event.Deleted, {"instance": "B", "state": State.MASTER}),
    ("Resynced", (), event.Resynced, {}),
    ("MembershipRefused", (0, 1, "224.0.0.18", 105), event.Notice, {"level": "error"}),
    ("FilterRefused", (93,), event.Notice, {"level": "error"}),
    ("MembershipRefused", (3, 999_999, "224.0.0.18", 19), event.Notice, {"level": "info"}),
    ("NamespaceMissing", (3, 2), event.Notice, {"level": "warning", "text": "network namespace 3: there is none"}),
    ("NamespaceFound", (3,), event.Notice, {"level": "info", "text": "network namespace 3 is there"}),
    ("Lost", (7,), event.EventsLost, {"count": 7}),
    ("Stopped", (), event.Stopped, {}),
]


@pytest.mark.parametrize(("kind", "fields", "wanted", "values"), KINDS, ids=[kind for kind, *_ in KINDS])
def test_a_record_becomes_an_event(
    played: engine.Engine,
    kind: str,
    fields: tuple[object, ...],
    wanted: type[event.EventBase],
    values: dict[str, object],
) -> None:
    made = told(played, kind, *fields)
    assert type(made) is wanted
    found = {name: getattr(made, name) for name in BASE | values}
    assert found == BASE | values
    assert made.at_ns > 1_600_000_000_000_000_000


def test_a_transition_has_only_the_evidence_that_there_is(played: engine.Engine) -> None:
    facts = (None, None, None, 4_999_000, 3_609_375, 609_375, 1, (), None)
    made = told(played, "Transition", 0, 0, 1, 2, "sync_group", facts, 100, 0, 250)
    assert isinstance(made, event.Transition)
    assert (made.instance, made.group, made.old, made.new) == ("A", "G", State.BACKUP, State.MASTER)
    assert made.evidence == {
        "own_priority": 100,
        "deadline_mono_us": 4_999_000,
        "master_down_us": 3_609_375,
        "skew_us": 609_375,
        "member": "B",
    }


def test_an_event_is_named_by_its_own_configuration(played: engine.Engine) -> None:
    played.apply(config(instance("renamed", 1), instance("C", 3), groups={"H": ("renamed", "C")}))
    old = told(played, "SendFailed", 0, 100, epoch=1)
    assert isinstance(old, event.SendFailed)
    assert old.instance == "A"
    new = told(played, "GroupTransition", 0, 2, epoch=2)
    assert isinstance(new, event.GroupTransition)
    assert new.group == "H"
    gone = told(played, "Deleted", 1, 1, epoch=2)
    assert isinstance(gone, event.Deleted)
    assert gone.instance == "B"


def test_slots_stay_and_are_used_again(played: engine.Engine) -> None:
    def changes() -> list[tuple[str, int]]:
        return [(kind, slot) for kind, slot, _ in core(played).applied[-1]["changes"]]

    assert changes() == [("add", 0), ("add", 1)]
    assert core(played).applied[-1]["clear_residue"]
    played.apply(config(instance("C", 3), instance("A", 1)))
    # B's slot is free for the next configuration, not for this one.
    assert changes() == [("add", 2), ("remove", 1)]
    assert not core(played).applied[-1]["clear_residue"]
    played.apply(config(instance("A", 1, priority=7), instance("C", 3), instance("D", 4)))
    assert changes() == [("update", 0), ("add", 1)]
    assert [command["epoch"] for command in core(played).applied] == [1, 2, 3]
    played.apply(config(instance("D", 4), instance("C", 3), instance("A", 1, priority=7)))
    assert changes() == []


def test_a_thread_that_dies_without_a_word_is_told_once(played: engine.Engine) -> None:
    core(played).ended = True
    core(played).death = "killed"
    (made,) = played.drain()
    assert isinstance(made, event.Fatal)
    assert made.text == "killed"
    assert played.drain() == []


def test_a_thread_that_does_not_turn_is_not_alive(played: engine.Engine) -> None:
    assert played.alive()
    core(played).wake_due_us = 1
    assert not played.alive()


def tracking(*scripts: str, name: str = "A", vrid: int = 1) -> VrrpInstance:
    tracks = [Track(kind="interface", name="eth1", weight=-20)]
    tracks += [Track(kind="script", name=script, reverse=True) for script in scripts]
    return instance(name, vrid, tracks=tuple(tracks))


def test_tracked_things_have_numbers_that_stay(played: engine.Engine) -> None:
    played.apply(config(tracking("x", "y")), {("script", "y"): "bad", ("script", "unused"): "good"})
    eth1 = ("eth1", -20, False)
    assert core(played).applied[-1]["tracks"] == {0: [eth1, (0, 0, True), (1, 0, True)]}
    assert core(played).told == [(1, "bad")]
    played.track("script", "x", "good")
    played.track("script", "x", "good")
    played.track("script", "nobody tracks this", "good")
    assert core(played).told == [(1, "bad"), (0, "good")]
    # y keeps its number and value; z gets a new number, as that of x is in use until the configuration is.
    played.apply(config(tracking("y", "z")))
    assert core(played).applied[-1]["tracks"] == {0: [eth1, (1, 0, True), (2, 0, True)]}
    assert core(played).told[2:] == [(0, "unknown")]
    played.apply(config(tracking("y", "z", "x")))
    assert core(played).applied[-1]["tracks"] == {0: [eth1, (1, 0, True), (2, 0, True), (0, 0, True)]}


def test_what_does_not_fit_on_the_ring_is_told_later_and_only_the_newest(played: engine.Engine) -> None:
    played.apply(config(tracking("x", "y")))
    core(played).full = True
    played.track("script", "x", "good")
    played.track("script", "y", "good")
    played.track("script", "x", "bad")
    assert core(played).told == []
    core(played).full = False
    played.drain()
    assert core(played).told == [(1, "good"), (0, "bad")]


@pytest.mark.parametrize(
    ("target", "name"), [((None, 0), "script x"), (("eth1", None), "interface eth1"), ((None, 77), "number 77")]
)
def test_a_transition_names_the_tracked_thing_that_failed(
    played: engine.Engine, target: tuple[str | None, int | None], name: str
) -> None:
    played.apply(config(tracking("x")))
    facts = (None, None, None, None, 0, 0, None, ("track_failed",), target)
    made = told(played, "Transition", 0, None, 2, 3, "track_failed", facts, 100, 0, 250, epoch=2)
    assert isinstance(made, event.Transition)
    assert made.evidence["track"] == name
