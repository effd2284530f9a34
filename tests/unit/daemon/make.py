"""Builders of events and snapshots for the tests of this folder."""

from __future__ import annotations

from typing import Any

from keepvip.event import EngineSnapshot, InstanceStatus, State, Transition


def transition(instance: str = "VI_1", new: State = State.MASTER, **fields: Any) -> Transition:
    values: dict[str, Any] = {
        "seq": 1,
        "at_ns": 1_700_000_000_000_000_000,
        "mono_us": 5_000_000,
        "instance": instance,
        "group": None,
        "old": State.BACKUP,
        "new": new,
        "reason": "master_down",
        "evidence": {"master": "10.0.0.2", "master_priority": 100, "master_down_us": 3_609_375},
        "priority": 99,
        "late_us": 120,
        "took_us": 400,
    }
    return Transition(**(values | fields))


def status(name: str = "VI_1", state: State = State.MASTER, **fields: Any) -> InstanceStatus:
    values: dict[str, Any] = {
        "name": name,
        "group": None,
        "vrid": 50,
        "family": 4,
        "version": 2,
        "interface": "eth0",
        "state": state,
        "faults": (),
        "base_priority": 100,
        "priority": 100,
        "master": "10.0.0.9",
        "master_priority": 100,
        "master_advert_int_us": 1_000_000,
        "next_deadline_us": 6_000_000,
        "last_transition_ns": 1_700_000_000_000_000_000,
        "addresses_installed": state is State.MASTER,
        "stats": {"advert_sent": 3, "advert_rcvd": 0},
    }
    return InstanceStatus(**(values | fields))


def snapshot(*instances: InstanceStatus, **fields: Any) -> EngineSnapshot:
    values: dict[str, Any] = {
        "mono_us": 5_000_000,
        "instances": list(instances),
        "late_histogram": [0] * 24,
        "rx_overruns": 0,
        "netlink_resyncs": 0,
        "wakeups": 7,
        "realtime": True,
        "memory_locked": True,
    }
    return EngineSnapshot(**(values | fields))
