"""Sentences: the words that users search for, the reason, the evidence."""

from __future__ import annotations

import logging
from typing import Any, get_args

import pytest

from keepvip import event
from keepvip.event import Reason, State
from keepvip.observe import text

from . import make

BASE: dict[str, Any] = {"seq": 1, "at_ns": 0, "mono_us": 0}


@pytest.mark.parametrize(
    ("us", "shown"),
    [
        (0, "0.00 ms"),
        (420, "0.42 ms"),
        (36_100, "36.1 ms"),
        (999_999, "1 s"),
        (3_609_375, "3.61 s"),
        (95_000_000, "95 s"),
        (125_000_000, "125 s"),
    ],
)
def test_duration(us: int, shown: str) -> None:
    assert text.duration(us) == shown


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"evidence": {"master": "10.0.0.2", "master_priority": 100, "master_down_us": 3_609_375}},
            "(VI_1) Entering MASTER STATE: no advert from 10.0.0.2 (priority 100) for 3.61 s,"
            " addresses in place after 0.40 ms",
        ),
        (
            {"evidence": {"last_advert_mono_us": 1_000_000, "deadline_mono_us": 1_500_000, "master": "fe80::1"}},
            "(VI_1) Entering MASTER STATE: no advert from fe80::1 for 500 ms, addresses in place after 0.40 ms",
        ),
        (
            {"evidence": {}, "late_us": 12_000, "took_us": None},
            "(VI_1) Entering MASTER STATE: no advert heard, 12 ms late",
        ),
        (
            {
                "old": State.MASTER,
                "new": State.BACKUP,
                "reason": "higher_priority_advert",
                "evidence": {"master": "10.0.0.2", "master_priority": 150, "own_priority": 99},
            },
            "(VI_1) Entering BACKUP STATE: 10.0.0.2 (priority 150) outranks us (priority 99)",
        ),
        (
            {"old": State.INIT, "new": State.BACKUP, "reason": "startup", "evidence": {}},
            "(VI_1) Entering BACKUP STATE (init): start",
        ),
        (
            {"new": State.FAULT, "reason": "interface_down", "evidence": {"interface": "eth0"}},
            "(VI_1) Entering FAULT STATE: interface eth0 is down",
        ),
        (
            {"new": State.FAULT, "reason": "sync_group", "group": "VG1", "evidence": {"member": "RH_EXT"}},
            "(VI_1) Entering FAULT STATE: follows RH_EXT of its sync group",
        ),
        (
            {"old": State.MASTER, "new": State.INIT, "reason": "shutdown", "evidence": {}},
            "(VI_1) Leaving MASTER STATE: keepvip is stopping",
        ),
    ],
)
def test_transition(fields: dict[str, Any], line: str) -> None:
    assert text.sentence(make.transition(**fields)) == line


@pytest.mark.parametrize("slug", list(Reason))
def test_every_reason_has_words_with_and_without_evidence(slug: Reason) -> None:
    full: event.Evidence = {
        "master": "10.0.0.2", "master_priority": 9, "own_priority": 8, "interface": "eth7", "member": "B",
        "late_us": 7000, "master_down_us": 3_000_000,
    }  # fmt: skip
    for evidence in ({}, full):
        words = text.reason(slug, evidence)
        assert words
        assert words != slug.replace("_", " ")
        assert "None" not in words


def test_unknown_reason_is_shown() -> None:
    assert text.reason("moon_phase", {}) == "moon phase"


EVENTS: list[event.Event] = [
    make.transition(),
    event.GroupTransition(**BASE, group="VG1", new=State.MASTER),
    event.MasterRxLowerPriority(**BASE, instance="VI_1", priority=9, sender="10.0.0.3"),
    event.PriorityChange(**BASE, instance="VI_1", state=State.BACKUP, priority=80),
    event.Tracked(
        **BASE, what="script", name="chk", value="bad", old="good", why="exit status 1", instances=("VI_1", "VI_2")
    ),
    event.AddressRestored(**BASE, instance="VI_1", address="10.0.0.1/32", interface="eth0", count=2),
    event.AddressFailed(**BASE, instance="VI_1", address="10.0.0.1/32", interface="eth0", errno=13, action="install"),
    event.AdvertRejected(**BASE, instance=None, sender="10.0.0.3", cause="bad_checksum", detail="0x1234"),
    event.SendFailed(**BASE, instance="VI_1", errno=101),
    event.FaultChange(**BASE, instance="VI_1", faults=("interface_down",)),
    event.Deleted(**BASE, instance="VI_1", state=State.BACKUP),
    event.Late(**BASE, late_us=80_000, what="advert"),
    event.Resynced(**BASE, cause="netlink_overrun"),
    event.EventsLost(**BASE, count=3),
    event.Notice(**BASE, level="error", text="no real-time scheduling"),
    event.Stopped(**BASE),
    event.Fatal(**BASE, text="a panic"),
    event.RoutingSet(**BASE, instance="VI_1", routes=2, rules=1, took_us=900),
    event.RoutingRestored(**BASE, instance="VI_1", what="route", item="10.1.0.0/24 dev eth1", count=2),
    event.RoutingFailed(
        **BASE, instance=None, what="rule", item="from all", errno=95, detail="not in this kernel", action="install"
    ),
]


def test_every_kind_is_covered() -> None:
    assert {type(made) for made in EVENTS} == set(get_args(event.Event))


@pytest.mark.parametrize("made", EVENTS, ids=lambda made: type(made).__name__)
def test_every_event_is_one_line(made: event.Event) -> None:
    line = text.sentence(made)
    assert line
    assert "\n" not in line
    assert text.level(made) in {logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL}


@pytest.mark.parametrize(
    ("cause", "line"),
    [
        ("auth_failure", "(VI_1) Advert from 10.0.0.3 ignored: wrong password"),
        ("ttl", "(VI_1) Advert from 10.0.0.3 ignored: wrong TTL, it was not sent on this LAN (got 1, expected 255)"),
        (
            "address_list",
            "(VI_1) Advert from 10.0.0.3 accepted, but its list of addresses differs from ours (got 1, expected 255)",
        ),
        ("unknown_peer", "(VI_1) Advert from 10.0.0.3 ignored: the sender is no unicast_peer"),
        (
            "old_checksum",
            "(VI_1) Advert from 10.0.0.3 has the checksum of keepalived 1.3.6 and older: from now on ours too",
        ),
        ("new_cause", "(VI_1) Advert from 10.0.0.3 ignored: new cause (got 1, expected 255)"),
    ],
)
def test_rejected_adverts(cause: str, line: str) -> None:
    made = event.AdvertRejected(**BASE, instance="VI_1", sender="10.0.0.3", cause=cause, detail="got 1, expected 255")
    assert text.sentence(made) == line


def test_errno_is_explained() -> None:
    assert "Network is unreachable (errno 101)" in text.sentence(EVENTS[8])


def test_a_fault_is_a_warning() -> None:
    assert text.level(make.transition(new=State.FAULT)) == logging.WARNING
    assert text.level(make.transition()) == logging.INFO
