"""One clear sentence per event: what happened, and why.

The first words of a transition are the ones keepalived's users search their logs for
(``(NAME) Entering MASTER STATE``); the reason and its evidence follow on the same line.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from keepvip import event
from keepvip.event import Evidence, Reason, State

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["duration", "level", "reason", "sentence"]

_SECOND_US = 1_000_000


def duration(us: float) -> str:
    """A span of time for people: three digits, "0.42 ms", "36.1 ms", "3.61 s", "95 s"."""
    if abs(us) >= 100 * _SECOND_US:
        return f"{us / _SECOND_US:.0f} s"
    if abs(us) >= _SECOND_US - 500:  # not "1e+03 ms"
        return f"{us / _SECOND_US:.3g} s"
    if abs(us) >= 1000:
        return f"{us / 1000:.3g} ms"
    return f"{us / 1000:.2f} ms"


def _router(evidence: Evidence) -> str:
    """Names the other router: "10.0.0.2 (priority 100)"."""
    master = evidence.get("master")
    priority = evidence.get("master_priority")
    name = str(master) if master is not None else "the master"
    return name if priority is None else f"{name} (priority {priority})"


def _master_down(evidence: Evidence) -> str:
    silent_us = evidence.get("master_down_us")
    last = evidence.get("last_advert_mono_us")
    deadline = evidence.get("deadline_mono_us")
    if isinstance(last, int) and isinstance(deadline, int) and deadline > last:
        silent_us = deadline - last
    span = f" for {duration(float(silent_us))}" if isinstance(silent_us, int | float) else ""
    if evidence.get("master") is None:
        return f"no advert heard{span}"
    return f"no advert from {_router(evidence)}{span}"


def _namespace(evidence: Evidence) -> str:
    namespace = evidence.get("net_namespace")
    return f"network namespace {namespace}" if namespace is not None else "its network namespace"


def _interface(evidence: Evidence) -> str:
    interface = evidence.get("interface")
    namespace = evidence.get("net_namespace")
    where = f" in network namespace {namespace}" if namespace is not None else ""
    return f"interface {interface}{where}" if interface is not None else f"its interface{where}"


def _higher(evidence: Evidence) -> str:
    own = evidence.get("own_priority")
    lowered = f", lowered by {evidence['lowered_by']}" if evidence.get("lowered_by") else ""
    return f"{_router(evidence)} outranks us" + (f" (priority {own}{lowered})" if own is not None else "")


def _preempt(evidence: Evidence) -> str:
    own = evidence.get("own_priority")
    return f"takes over from {_router(evidence)}" + (f" with priority {own}" if own is not None else "")


def _late(evidence: Evidence) -> str:
    late_us = evidence.get("late_us")
    span = f" by {duration(float(late_us))}" if isinstance(late_us, int | float) else ""
    return f"this host slept and woke up late{span}"


_REASONS: dict[str, Callable[[Evidence], str]] = {
    Reason.STARTUP: lambda _e: "start",
    Reason.OWNER: lambda _e: "owner of the addresses (priority 255)",
    Reason.MASTER_DOWN: _master_down,
    Reason.MASTER_DOWN_SHORTENED: lambda _e: "configured as master, and no better router was heard",
    Reason.PREEMPT: _preempt,
    Reason.PRIORITY_ZERO: lambda e: f"{e.get('master') or 'the master'} gave up (sent priority 0)",
    Reason.HIGHER_PRIORITY_ADVERT: _higher,
    Reason.EQUAL_PRIORITY_HIGHER_ADDRESS: lambda e: f"{_router(e)} has our priority and the higher address",
    Reason.SYNC_GROUP: lambda e: f"follows {e.get('member') or 'another member'} of its sync group",
    Reason.INTERFACE_DOWN: lambda e: f"{_interface(e)} is down",
    Reason.INTERFACE_MISSING: lambda e: f"{_interface(e)} does not exist",
    Reason.NAMESPACE_MISSING: lambda e: f"{_namespace(e)} does not exist, or cannot be used",
    Reason.NO_SOURCE_ADDRESS: lambda e: f"{_interface(e)} has no address to send from",
    Reason.TRACK_FAILED: lambda e: f"its tracked {e.get('track') or 'thing'} has failed",
    Reason.NO_PEER: lambda _e: "it has no unicast_peer",
    Reason.VMAC_UNUSABLE: lambda e: f"its own link on {_interface(e)} does not exist or is down",
    Reason.FAULT_CLEARED: lambda _e: "no fault left",
    Reason.LATE_WAKEUP: lambda e: f"{_late(e)}, so another router may be master by now",
    Reason.CONFIG_CHANGE: lambda _e: "the configuration changed",
    Reason.REMOVED: lambda _e: "a reload removed it",
    Reason.SHUTDOWN: lambda _e: "keepvip is stopping",
    Reason.DUPLICATE_OWNER: lambda e: f"{_router(e)} claims to own the addresses as well",
}


def reason(slug: str, evidence: Evidence) -> str:
    """The reason of a transition in words; an unknown slug is shown as it is."""
    words = _REASONS.get(slug)
    return words(evidence) if words is not None else slug.replace("_", " ")


def _transition(e: event.Transition) -> str:
    if e.new is State.INIT:
        text = f"({e.instance}) Leaving {e.old.name} STATE"
    elif e.old is State.INIT and e.new is State.BACKUP:
        text = f"({e.instance}) Entering BACKUP STATE (init)"
    else:
        text = f"({e.instance}) Entering {e.new.name} STATE"
    text += f": {reason(e.reason, e.evidence)}"
    if e.late_us >= 1000:
        text += f", {duration(e.late_us)} late"
    if e.took_us is not None and e.new is State.MASTER:
        text += f", addresses in place after {duration(e.took_us)}"
    return text


def _error(number: int) -> str:
    return f"{os.strerror(number)} (errno {number})" if number else "unknown error"


def _fault_change(e: event.FaultChange) -> str:
    if not e.faults:
        return f"({e.instance}) No fault left"
    return f"({e.instance}) Faults: {', '.join(fault.replace('_', ' ') for fault in e.faults)}"


def _tracked(e: event.Tracked) -> str:
    match e.value:
        case int():
            state = f"says {e.value}"
        case "good":
            state = "has its quorum" if e.what == "process" else "succeeds"
        case "bad":
            state = "has lost its quorum" if e.what == "process" else "has failed"
        case "ignored":
            state = "is not tracked"
        case _:
            state = "is not known"
    users = f" ({', '.join(e.instances)})" if e.instances else ""
    return f"Tracked {e.what} {e.name} {state}: {e.why}{users}"


def _address_restored(e: event.AddressRestored) -> str:
    times = "" if e.count <= 1 else f" ({e.count} times so far)"
    return f"({e.instance}) Somebody removed {e.address} from {e.interface}: put it back{times}"


def _routing_set(e: event.RoutingSet) -> str:
    parts = [
        f"{count} {what}{'' if count == 1 else 's'}"
        for count, what in ((e.routes, "route"), (e.rules, "rule"))
        if count
    ]
    return f"({e.instance}) {' and '.join(parts)} set {duration(e.took_us)} after the transition"


def _routing_restored(e: event.RoutingRestored) -> str:
    who = f"({e.instance}) " if e.instance is not None else ""
    static = "" if e.instance is not None else "static "
    times = "" if e.count <= 1 else f" ({e.count} times so far)"
    return f"{who}Somebody removed the {static}{e.what} {e.item}: put it back{times}"


def _routing_failed(e: event.RoutingFailed) -> str:
    who = f"({e.instance}) " if e.instance is not None else ""
    static = "" if e.instance is not None else "static "
    detail = f": {e.detail}" if e.detail else ""
    return f"{who}Cannot {e.action} the {static}{e.what} {e.item}: {_error(e.errno)}{detail}"


# Causes of AdvertRejected: what is said, and whether the numbers of the detail mean anything to a reader.
_CAUSES: dict[str, tuple[str, bool]] = {
    "packet_length": ("ignored: wrong length", True),
    "ttl": ("ignored: wrong TTL, it was not sent on this LAN", True),
    "version": ("ignored: another VRRP version", True),
    "type": ("ignored: not an advertisement", True),
    "advert_interval": ("ignored: another advert interval", True),
    "checksum": ("ignored: wrong checksum", False),
    "auth_type_invalid": ("ignored: unknown authentication type", True),
    "auth_type_mismatch": ("ignored: another authentication type", True),
    "auth_failure": ("ignored: wrong password", False),
    "auth_sequence": ("ignored: heard before, so it may be a replay (auth_type AH)", True),
    "auth_ext_missing": ("ignored: not signed (auth_hmac)", False),
    "auth_ext_malformed": ("ignored: what follows the message is no auth_hmac trailer", False),
    "auth_ext_unknown_key": ("ignored: signed with a key that is not configured", True),
    "auth_ext_invalid_hmac": ("ignored: wrong signature (auth_hmac)", False),
    "auth_ext_stale": ("ignored: signed too long ago, or the clocks differ", True),
    "auth_ext_replay": ("ignored: heard before, so it may be a replay (auth_hmac)", False),
    "clock_skew": ("accepted, but its clock and ours differ by more than half of time_window", True),
    "destination": ("ignored: sent to a unicast address", False),
    "address_list": ("accepted, but its list of addresses differs from ours", True),
    "interval_differs": ("accepted, but its interval differs from ours", True),
    "unknown_peer": ("ignored: the sender is no unicast_peer", False),
    "old_checksum": ("has the checksum of keepalived 1.3.6 and older: from now on ours too", False),
    "own_address": ("has our own source address: a second router uses it, or the network loops", False),
}


def _advert_rejected(e: event.AdvertRejected) -> str:
    words, with_detail = _CAUSES.get(e.cause, (f"ignored: {e.cause.replace('_', ' ')}", True))
    detail = f" ({e.detail})" if e.detail and with_detail else ""
    who = f"({e.instance}) " if e.instance is not None else ""
    return f"{who}Advert from {e.sender} {words}{detail}"


def sentence(e: event.Event) -> str:
    """The event in one line of plain text, without time and without a line end."""
    match e:
        case event.Transition():
            return _transition(e)
        case event.GroupTransition():
            return f"VRRP_Group({e.group}) Syncing instances to {e.new.name} state"
        case event.MasterRxLowerPriority():
            return f"({e.instance}) {e.sender} is master too, with lower priority {e.priority}: it should yield"
        case event.PriorityChange():
            return f"({e.instance}) Changing effective priority to {e.priority} ({e.state.name})"
        case event.Tracked():
            return _tracked(e)
        case event.AddressRestored():
            return _address_restored(e)
        case event.AddressFailed():
            return f"({e.instance}) Cannot {e.action} {e.address} on {e.interface}: {_error(e.errno)}"
        case event.RoutingSet():
            return _routing_set(e)
        case event.RoutingRestored():
            return _routing_restored(e)
        case event.RoutingFailed():
            return _routing_failed(e)
        case event.AdvertRejected():
            return _advert_rejected(e)
        case event.SendFailed():
            return f"({e.instance}) Cannot send adverts: {_error(e.errno)}"
        case event.FaultChange():
            return _fault_change(e)
        case event.Deleted():
            return f"({e.instance}) Deleted by a reload (was {e.state.name})"
        case event.Late():
            return f"The engine was late by {duration(e.late_us)} ({e.what})"
        case event.Resynced():
            return f"Read all links and addresses again: {e.cause.replace('_', ' ')}"
        case event.EventsLost():
            return f"{e.count} engine events are lost: they came faster than they were read"
        case event.Notice():
            return e.text
        case event.Stopped():
            return "The engine has stopped"
        case event.Fatal():
            return f"The engine has failed: {e.text}"


_LEVELS: dict[type, int] = {
    event.MasterRxLowerPriority: logging.WARNING,
    event.AddressRestored: logging.WARNING,
    event.AddressFailed: logging.ERROR,
    event.RoutingRestored: logging.WARNING,
    event.RoutingFailed: logging.ERROR,
    event.AdvertRejected: logging.WARNING,
    event.SendFailed: logging.WARNING,
    event.Late: logging.WARNING,
    event.Resynced: logging.WARNING,
    event.EventsLost: logging.ERROR,
    event.FaultChange: logging.DEBUG,
    event.Stopped: logging.DEBUG,
    event.Fatal: logging.CRITICAL,
}
_NAMED_LEVELS = {"debug": logging.DEBUG, "warning": logging.WARNING, "error": logging.ERROR}


def level(e: event.Event) -> int:
    """How important the event is, as a level of `logging`."""
    if isinstance(e, event.Notice):
        return _NAMED_LEVELS.get(e.level, logging.INFO)
    if isinstance(e, event.Transition) and e.new is State.FAULT:
        return logging.WARNING
    return _LEVELS.get(type(e), logging.INFO)
