"""Records of the native side as events: slots and numbers in, names and words out."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import TYPE_CHECKING, Any

from keepvip import event
from keepvip.event import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from keepvip.config.model import Track, VrrpInstance
    from keepvip.event import TrackKey

__all__ = ["INTERFACE", "Names", "event_of", "track_target"]

INTERFACE = "interface"
"""The kind of tracked things that the engine watches itself."""


class Names:
    """What slots and groups were called in one configuration."""

    __slots__ = ("group_of", "groups", "instances", "namespaces", "tracked")

    def __init__(
        self,
        instances: dict[int, VrrpInstance],
        groups: Sequence[tuple[str, Sequence[int]]],
        tracked: dict[int, TrackKey],
        namespaces: Mapping[int, str] | None = None,
    ) -> None:
        self.instances = instances
        self.tracked = tracked
        self.namespaces: Mapping[int, str] = {} if namespaces is None else namespaces
        self.groups = [name for name, _ in groups]
        self.group_of = {slot: name for name, slots in groups for slot in slots}

    def instance(self, slot: int) -> str:
        found = self.instances.get(slot)
        return found.name if found else f"slot {slot}"

    def interface(self, slot: int) -> str | None:
        found = self.instances.get(slot)
        return found.interface if found else None

    def net_namespace(self, slot: int) -> str | None:
        found = self.instances.get(slot)
        return found.net_namespace if found else None

    def group(self, index: int | None) -> str | None:
        return self.groups[index] if index is not None and index < len(self.groups) else None

    def track(self, target: tuple[str | None, int | None] | None) -> str | None:
        """What is tracked: `interface eth1`, `script chk`."""
        if target is None:
            return None
        interface, number = target
        if number is None:
            return f"interface {interface}"
        return " ".join(self.tracked.get(number, ("number", str(number))))


def track_target(track: Track, numbers: Mapping[TrackKey, int]) -> str | int:
    return track.name if track.kind == INTERFACE else numbers[track.kind, track.name]


def event_of(kind: str, names: Names, base: dict[str, int], fields: tuple[Any, ...]) -> event.Event:
    """The event of one record: its kind and fields as rust/py/src/event.rs gives them, `base` its number and times.

    `Fatal` is not among them: only the engine knows what the thread died of.
    """
    return _MAKERS[kind](names, base, fields)


# Makers of events: one per kind of record, each with the fields that rust/py/src/event.rs gives it.

_Base = dict[str, int]
_Fields = tuple[Any, ...]


def _transition(names: Names, base: _Base, fields: _Fields) -> event.Event:
    slot, group, old, new, reason, facts, priority, late_us, took_us = fields
    master, master_priority, last_advert_us, deadline_us, master_down_us, skew_us, member, faults, track = facts
    evidence: event.Evidence = {
        "master": master,
        "master_priority": master_priority,
        "own_priority": priority,
        "last_advert_mono_us": last_advert_us,
        "deadline_mono_us": deadline_us,
        "master_down_us": master_down_us or None,
        "skew_us": skew_us or None,
        "late_us": late_us or None,
        "member": names.instance(member) if member is not None else None,
        "interface": names.interface(slot) if faults else None,
        "net_namespace": names.net_namespace(slot) if faults else None,
        "faults": " ".join(faults) or None,
        "track": names.track(track),
    }
    return event.Transition(
        **base,
        instance=names.instance(slot),
        group=names.group(group),
        old=State(old),
        new=State(new),
        reason=reason,
        evidence={key: value for key, value in evidence.items() if value is not None},
        priority=priority,
        late_us=late_us,
        took_us=took_us,
    )


def _group_transition(names: Names, base: _Base, fields: _Fields) -> event.Event:
    group, new = fields
    return event.GroupTransition(**base, group=names.group(group) or f"group {group}", new=State(new))


def _master_rx_lower(names: Names, base: _Base, fields: _Fields) -> event.Event:
    slot, sender, priority = fields
    return event.MasterRxLowerPriority(**base, instance=names.instance(slot), priority=priority, sender=sender)


def _priority_change(names: Names, base: _Base, fields: _Fields) -> event.Event:
    slot, state, priority = fields
    return event.PriorityChange(**base, instance=names.instance(slot), state=State(state), priority=priority)


def _fault_change(names: Names, base: _Base, fields: _Fields) -> event.Event:
    slot, faults = fields
    return event.FaultChange(**base, instance=names.instance(slot), faults=faults)


def _address_restored(names: Names, base: _Base, fields: _Fields) -> event.Event:
    slot, address, interface, count = fields
    return event.AddressRestored(
        **base, instance=names.instance(slot), address=address, interface=interface, count=count
    )


def _address_failed(names: Names, base: _Base, fields: _Fields) -> event.Event:
    slot, address, interface, number, install = fields
    return event.AddressFailed(
        **base,
        instance=names.instance(slot),
        address=address,
        interface=interface or names.interface(slot) or "",
        errno=number,
        action="install" if install else "withdraw",
    )


def _advert_rejected(names: Names, base: _Base, fields: _Fields) -> event.Event:
    slot, sender, cause, got, expected = fields
    detail = f"got {got}, expected {expected}" if got != expected else ""
    return event.AdvertRejected(**base, instance=names.instance(slot), sender=sender, cause=cause, detail=detail)


def _send_failed(names: Names, base: _Base, fields: _Fields) -> event.Event:
    slot, number = fields
    return event.SendFailed(**base, instance=names.instance(slot), errno=number)


def _listen(names: Names, base: _Base, fields: _Fields) -> event.Event:
    slot, late_us = fields
    return event.Late(**base, late_us=late_us, what=f"{names.instance(slot)}: listening before acting")


def _late(_names: Names, base: _Base, fields: _Fields) -> event.Event:
    return event.Late(**base, late_us=fields[0], what="engine thread")


def _deleted(names: Names, base: _Base, fields: _Fields) -> event.Event:
    slot, state = fields
    return event.Deleted(**base, instance=names.instance(slot), state=State(state))


def _unknown_vrid(_names: Names, base: _Base, fields: _Fields) -> event.Event:
    interface, sender, vrid = fields
    return event.Notice(
        **base, level="info", text=f"{interface}: advert of {sender} for VRID {vrid}, which is not configured"
    )


def _resynced(_names: Names, base: _Base, _fields: _Fields) -> event.Event:
    return event.Resynced(**base, cause="rtnetlink lost messages")


def _membership_refused(names: Names, base: _Base, fields: _Fields) -> event.Event:
    netns, ifindex, group, number = fields
    interface = f"interface {ifindex}"
    if netns:
        interface += f" of network namespace {names.namespaces.get(netns, netns)}"
    else:
        with contextlib.suppress(OSError):  # gone: the number must do
            interface = socket.if_indextoname(ifindex)
    text = f"{interface}: cannot join {group}: {os.strerror(number)}; adverts of other routers are not heard there"
    # An interface that goes away in the same moment is told as a fault; everything else needs somebody's attention.
    return event.Notice(**base, level="info" if number == errno.ENODEV else "error", text=text)


def _filter_refused(_names: Names, base: _Base, fields: _Fields) -> event.Event:
    number = fields[0]
    text = f"the packet filter cannot be changed: {os.strerror(number)}; "
    if number in {errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.ENOPROTOOPT, errno.EOPNOTSUPP}:
        text += "this kernel lacks nf_tables; "
    text += "packets to the addresses of instances with no_accept or strict mode may not be dropped"
    return event.Notice(**base, level="error", text=text)


def _namespace_missing(names: Names, base: _Base, fields: _Fields) -> event.Event:
    number, why = fields
    name = names.namespaces.get(number, str(number))
    instances = ", ".join(one.name for one in names.instances.values() if one.net_namespace == name)
    text = f"network namespace {name}"
    text += ": there is none" if why == errno.ENOENT else f" cannot be used: {os.strerror(why)}"
    text += f"; in FAULT until it is there: {instances}" if instances else ""
    return event.Notice(**base, level="warning", text=text)


def _namespace_found(names: Names, base: _Base, fields: _Fields) -> event.Event:
    return event.Notice(
        **base, level="info", text=f"network namespace {names.namespaces.get(fields[0], fields[0])} is there"
    )


def _lost(_names: Names, base: _Base, fields: _Fields) -> event.Event:
    return event.EventsLost(**base, count=fields[0])


def _stopped(_names: Names, base: _Base, _fields: _Fields) -> event.Event:
    return event.Stopped(**base)


_MAKERS: dict[str, Callable[[Names, _Base, _Fields], event.Event]] = {
    "Transition": _transition,
    "GroupTransition": _group_transition,
    "MasterRxLower": _master_rx_lower,
    "PriorityChange": _priority_change,
    "FaultChange": _fault_change,
    "AddressRestored": _address_restored,
    "AddressFailed": _address_failed,
    "AdvertRejected": _advert_rejected,
    "SendFailed": _send_failed,
    "ListenAfterLateWakeup": _listen,
    "Late": _late,
    "Deleted": _deleted,
    "UnknownVrid": _unknown_vrid,
    "Resynced": _resynced,
    "MembershipRefused": _membership_refused,
    "FilterRefused": _filter_refused,
    "NamespaceMissing": _namespace_missing,
    "NamespaceFound": _namespace_found,
    "Lost": _lost,
    "Stopped": _stopped,
}
