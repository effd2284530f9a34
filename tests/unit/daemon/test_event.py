"""The event structs and their JSON form."""

from __future__ import annotations

import json

import msgspec

from keepvip import event
from keepvip.event import State

from . import make


def test_round_trip_keeps_the_kind() -> None:
    made = make.transition()
    decoded = msgspec.json.decode(msgspec.json.encode(made), type=event.Event)
    assert decoded == made


def test_jsonable_names_states_and_begins_with_the_kind() -> None:
    data = event.to_jsonable(make.transition(old=State.FAULT))
    assert next(iter(data.items())) == ("kind", "Transition")
    assert (data["old"], data["new"]) == ("FAULT", "MASTER")
    json.dumps(data)
