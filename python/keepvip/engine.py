"""The engine as Python sees it: configurations in, events and snapshots out.

The only importer of `keepvip._core`. The native side knows slots and numbers; this side knows names. Nothing here waits
for the engine thread, and the thread never waits for anything here: commands and events travel on bounded rings, and a
snapshot is read from memory that the thread publishes to.

Every configuration has a number, its epoch, which the thread stamps on each event: an event that was under way when the
configuration changed is still named by the one that it belongs to.
"""

from __future__ import annotations

import errno
import itertools
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from keepvip import event
from keepvip._core import Engine as CoreEngine
from keepvip.event import EngineSnapshot, InstanceStatus, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from keepvip.config.model import Config, InstanceKey, Track, VrrpInstance
    from keepvip.event import TrackKey, TrackValue

__all__ = ["DEFAULT_RT_PRIORITY", "Engine"]

DEFAULT_RT_PRIORITY = 10
"""SCHED_RR priority of the engine thread: above ordinary work, below the kernel's own threads (50)."""

HANG_GRACE_S = 5.0
"""So long after its own deadline a thread that has not turned counts as hanging."""

INTERFACE = "interface"
"""The kind of tracked things that the engine watches itself."""

ENGINE_FIELDS = (
    "interface",
    "family",
    "version",
    "vrid",
    "priority",
    "initial_master",
    "advert_int_us",
    "nopreempt",
    "preempt_delay_us",
    "down_timer_adverts",
    "skip_check_adv_addr",
    "lower_prio_no_advert",
    "higher_prio_send_advert",
    "owner_ignore_adverts",
    "checksum_as_v2",
    "timer_expired_backup",
    "authentication",
    "source",
    "track_source",
    "mcast_dst",
    "unicast",
    "dont_track_primary",
    "addresses",
    "excluded",
    "garp",
    "tracks",
)
"""What the engine is told of an instance; a change of anything else (a name, a script) does not reach it."""


def _differs(old: VrrpInstance, new: VrrpInstance) -> bool:
    return any(getattr(old, field) != getattr(new, field) for field in ENGINE_FIELDS)


class _Names:
    """What slots and groups were called in one configuration."""

    __slots__ = ("group_of", "groups", "instances", "tracked")

    def __init__(
        self,
        instances: dict[int, VrrpInstance],
        groups: Sequence[tuple[str, Sequence[int]]],
        tracked: dict[int, TrackKey],
    ) -> None:
        self.instances = instances
        self.tracked = tracked
        self.groups = [name for name, _ in groups]
        self.group_of = {slot: name for name, slots in groups for slot in slots}

    def instance(self, slot: int) -> str:
        found = self.instances.get(slot)
        return found.name if found else f"slot {slot}"

    def interface(self, slot: int) -> str | None:
        found = self.instances.get(slot)
        return found.interface if found else None

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


class Engine:
    """The running engine thread. Raises OSError when it cannot be started (no privileges, no sockets).

    Its sockets are in the network namespace of the thread that makes the object.
    """

    notices: list[str]
    """What was not granted (real-time scheduling, locked memory, buffers), for people; said once."""

    def __init__(self, *, rt_priority: int | None = DEFAULT_RT_PRIORITY, lock_memory: bool = True) -> None:
        self._core = CoreEngine(rt_priority=rt_priority, lock_memory=lock_memory)
        self.notices = self._core.notices
        self._slots: dict[InstanceKey, int] = {}
        self._instances: dict[int, VrrpInstance] = {}
        self._free: list[int] = []
        self._epoch = 0
        self._names: dict[int, _Names] = {0: _Names({}, [], {})}
        self._tracked: dict[TrackKey, int] = {}
        """Numbers of the tracked things, interfaces apart."""
        self._values: dict[int, TrackValue] = {}
        """What was told last about each of them."""
        self._untold: dict[int, TrackValue] = {}
        """What did not fit onto the ring."""
        self._last_seq = 0
        self._over = False

    def apply(self, config: Config, values: Mapping[TrackKey, TrackValue] | None = None) -> None:
        """Takes over a configuration, the first one or a new one; instances that did not change notice nothing.

        Instances are the same when their key is (VRID, family, interface, group), whatever their name. `values` are
        known of tracked things before anything starts; what the engine was told before it keeps, by kind and name.
        Raises ValueError when a value does not fit the engine, RuntimeError when the thread has ended; no instance
        is changed then.
        """
        first = self._epoch == 0
        slots: dict[InstanceKey, int] = {}
        instances: dict[int, VrrpInstance] = {}
        changes: list[tuple[str, int, VrrpInstance | None]] = []
        free = sorted(self._free, reverse=True)
        top = len(self._instances) + len(free)
        for instance in config.instances:
            slot = self._slots.get(instance.key)
            if slot is None:
                if free:
                    slot = free.pop()
                else:
                    slot, top = top, top + 1
                changes.append(("add", slot, instance))
            elif _differs(self._instances[slot], instance):
                changes.append(("update", slot, instance))
            slots[instance.key] = slot
            instances[slot] = instance
        gone = [slot for slot in self._instances if slot not in instances]
        changes.extend(("remove", slot, None) for slot in gone)
        slot_of = {instance.name: slot for slot, instance in instances.items()}
        groups = [(group.name, [slot_of[member] for member in group.members]) for group in config.sync_groups]
        epoch = self._epoch + 1
        tracked = self._numbers(config)
        for key, value in (values or {}).items():
            if key in tracked:
                self._tell(tracked[key], value)
        self._core.apply(
            changes=changes,
            tracks={
                slot: [(_target(track, tracked), track.weight, track.reverse) for track in changed.tracks]
                for _, slot, changed in changes
                if changed is not None
            },
            groups=[members for _, members in groups],
            epoch=epoch,
            clear_residue=first,
            hold_until_us=_hold_until_us(config) if first else None,
        )
        self._slots = slots
        self._instances = instances
        self._free = free + gone
        self._epoch = epoch
        # A removed instance is still named in the events that tell of its end.
        named = instances | {slot: self._names[epoch - 1].instances[slot] for slot in gone}
        self._names[epoch] = _Names(named, groups, {number: key for key, number in tracked.items()})
        for key in self._tracked.keys() - tracked.keys():
            self._tell(self._tracked[key], "unknown")  # for whoever gets the number next
        self._tracked = tracked

    def track(self, kind: str, name: str, value: TrackValue) -> None:
        """Tells the value of a tracked thing; of one that nobody tracks (any more) it says nothing.

        Never waits: a value that the engine cannot take yet is told later, or replaced by a newer one.
        """
        number = self._tracked.get((kind, name))
        if number is not None and self._values.get(number, "unknown") != value:
            self._tell(number, value)

    def _numbers(self, config: Config) -> dict[TrackKey, int]:
        """A number for everything that is tracked in a configuration; what had one keeps it."""
        wanted = dict.fromkeys(
            (track.kind, track.name)
            for instance in config.instances
            for track in instance.tracks
            if track.kind != INTERFACE
        )
        taken = set(self._tracked.values())
        free = (number for number in itertools.count() if number not in taken)
        return {key: self._tracked[key] if key in self._tracked else next(free) for key in wanted}

    def _tell(self, number: int, value: TrackValue) -> None:
        self._values[number] = value
        self._untold.pop(number, None)  # the newest comes last
        self._untold[number] = value
        self._tell_all()

    def _tell_all(self) -> None:
        try:
            for number in list(self._untold):
                self._core.track(number, self._untold[number])
                del self._untold[number]
        except RuntimeError:
            return  # it ended, or hangs: the rest is told with the next value, or when it speaks again

    def fileno(self) -> int:
        """An eventfd: readable when events wait."""
        return self._core.fileno()

    def drain(self) -> list[event.Event]:
        """All events that wait, oldest first. Ends with `Fatal` once when the thread died without a word."""
        wall_ns = time.time_ns() - time.monotonic_ns()
        events: list[event.Event] = []
        # Asked before the ring is emptied: a thread that has ended adds nothing more.
        ended = self._core.ended
        if self._untold:
            self._tell_all()
        for kind, seq, epoch, mono_us, fields in self._core.drain():
            self._last_seq = seq
            self._forget_names(epoch)
            base = {"seq": seq, "at_ns": wall_ns + mono_us * 1000, "mono_us": mono_us}
            made = _MAKERS[kind](self, self._names[epoch], base, fields)
            self._over |= isinstance(made, event.Stopped | event.Fatal)
            events.append(made)
        if ended and not self._over:
            self._over = True
            now_us = time.monotonic_ns() // 1000
            base = {"seq": self._last_seq + 1, "at_ns": time.time_ns(), "mono_us": now_us}
            events.append(_fatal(self, self._names[self._epoch], base, ()))
        return events

    def snapshot(self) -> EngineSnapshot:
        """The state of everything, from shared memory."""
        (late, wakeups, rx_overruns, resyncs, realtime, locked), routers = self._core.status()
        now_us = time.monotonic_ns() // 1000
        wall_ns = time.time_ns() - now_us * 1000
        names = self._names[self._epoch]
        return EngineSnapshot(
            mono_us=now_us,
            instances=[_status(names, wall_ns, router) for router in routers],
            late_histogram=late,
            rx_overruns=rx_overruns,
            netlink_resyncs=resyncs,
            wakeups=wakeups,
            realtime=realtime,
            memory_locked=locked,
        )

    def alive(self) -> bool:
        """Whether the thread runs and turns: it has neither ended nor slept through its own deadline."""
        if self._core.ended:
            return False
        due_us = self._core.wake_due_us
        return due_us is None or time.monotonic_ns() // 1000 < due_us + int(HANG_GRACE_S * 1e6)

    def stop(self, *, release: bool = True) -> None:
        """Begins the end: priority 0, addresses removed (both only with `release`), then the event `Stopped`.

        Raises RuntimeError when the thread has ended already.
        """
        self._core.stop(release=release)

    def join(self) -> None:
        """Waits until the thread has ended."""
        self._core.join()

    def failure(self) -> str | None:
        """Waits until the thread has ended; what it died of, at the first call."""
        return self._core.join()

    def _forget_names(self, epoch: int) -> None:
        """Events come in order: none of an older configuration follows."""
        for old in [known for known in self._names if known < epoch]:
            del self._names[old]


def _target(track: Track, numbers: Mapping[TrackKey, int]) -> str | int:
    return track.name if track.kind == INTERFACE else numbers[track.kind, track.name]


def _hold_until_us(config: Config) -> int | None:
    """When the start-up delays of the configuration end, on CLOCK_MONOTONIC; None without any."""
    defs = config.global_defs
    if not defs.startup_delay_us and not defs.delay_after_boot_us:
        return None
    now_us = time.monotonic_ns() // 1000
    up_us = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
    return now_us + max(defs.startup_delay_us, defs.delay_after_boot_us - up_us, 0)


def _status(names: _Names, wall_ns: int, router: tuple[Any, ...]) -> InstanceStatus:
    (slot, state, faults, base, priority, master, interval_us, deadline_us, changed_us, installed, stats) = router
    instance = names.instances[slot]
    address, master_priority = master or (None, None)
    return InstanceStatus(
        name=instance.name,
        group=names.group_of.get(slot),
        vrid=instance.vrid,
        family=instance.family,
        version=instance.version,
        interface=instance.interface,
        state=State(state),
        faults=faults,
        base_priority=base or instance.priority,
        priority=priority or instance.priority,
        master=address,
        master_priority=master_priority,
        master_advert_int_us=interval_us or instance.advert_int_us,
        next_deadline_us=deadline_us,
        last_transition_ns=wall_ns + changed_us * 1000 if changed_us is not None else 0,
        addresses_installed=installed,
        stats=stats,
    )


# Makers of events: one per kind of record, each with the fields that rust/py/src/event.rs gives it.

_Base = dict[str, int]
_Fields = tuple[Any, ...]


def _transition(_engine: Engine, names: _Names, base: _Base, fields: _Fields) -> event.Event:
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


def _group_transition(_engine: Engine, names: _Names, base: _Base, fields: _Fields) -> event.Event:
    group, new = fields
    return event.GroupTransition(**base, group=names.group(group) or f"group {group}", new=State(new))


def _master_rx_lower(_engine: Engine, names: _Names, base: _Base, fields: _Fields) -> event.Event:
    slot, sender, priority = fields
    return event.MasterRxLowerPriority(**base, instance=names.instance(slot), priority=priority, sender=sender)


def _priority_change(_engine: Engine, names: _Names, base: _Base, fields: _Fields) -> event.Event:
    slot, state, priority = fields
    return event.PriorityChange(**base, instance=names.instance(slot), state=State(state), priority=priority)


def _fault_change(_engine: Engine, names: _Names, base: _Base, fields: _Fields) -> event.Event:
    slot, faults = fields
    return event.FaultChange(**base, instance=names.instance(slot), faults=faults)


def _address_restored(_engine: Engine, names: _Names, base: _Base, fields: _Fields) -> event.Event:
    slot, address, interface, count = fields
    return event.AddressRestored(
        **base, instance=names.instance(slot), address=address, interface=interface, count=count
    )


def _address_failed(_engine: Engine, names: _Names, base: _Base, fields: _Fields) -> event.Event:
    slot, address, interface, number, install = fields
    return event.AddressFailed(
        **base,
        instance=names.instance(slot),
        address=address,
        interface=interface or names.interface(slot) or "",
        errno=number,
        action="install" if install else "withdraw",
    )


def _advert_rejected(_engine: Engine, names: _Names, base: _Base, fields: _Fields) -> event.Event:
    slot, sender, cause, got, expected = fields
    detail = f"got {got}, expected {expected}" if got != expected else ""
    return event.AdvertRejected(**base, instance=names.instance(slot), sender=sender, cause=cause, detail=detail)


def _send_failed(_engine: Engine, names: _Names, base: _Base, fields: _Fields) -> event.Event:
    slot, number = fields
    return event.SendFailed(**base, instance=names.instance(slot), errno=number)


def _listen(_engine: Engine, names: _Names, base: _Base, fields: _Fields) -> event.Event:
    slot, late_us = fields
    return event.Late(**base, late_us=late_us, what=f"{names.instance(slot)}: listening before acting")


def _late(_engine: Engine, _names: _Names, base: _Base, fields: _Fields) -> event.Event:
    return event.Late(**base, late_us=fields[0], what="engine thread")


def _deleted(_engine: Engine, names: _Names, base: _Base, fields: _Fields) -> event.Event:
    slot, state = fields
    return event.Deleted(**base, instance=names.instance(slot), state=State(state))


def _resynced(_engine: Engine, _names: _Names, base: _Base, _fields: _Fields) -> event.Event:
    return event.Resynced(**base, cause="rtnetlink lost messages")


def _membership_refused(_engine: Engine, _names: _Names, base: _Base, fields: _Fields) -> event.Event:
    ifindex, group, number = fields
    try:
        interface = socket.if_indextoname(ifindex)
    except OSError:
        interface = f"interface {ifindex}"
    text = f"{interface}: cannot join {group}: {os.strerror(number)}; adverts of other routers are not heard there"
    # An interface that goes away in the same moment is told as a fault; everything else needs somebody's attention.
    return event.Notice(**base, level="info" if number == errno.ENODEV else "error", text=text)


def _lost(_engine: Engine, _names: _Names, base: _Base, fields: _Fields) -> event.Event:
    return event.EventsLost(**base, count=fields[0])


def _fatal(engine: Engine, _names: _Names, base: _Base, _fields: _Fields) -> event.Event:
    return event.Fatal(**base, text=engine.failure() or "the engine thread has ended")


def _stopped(_engine: Engine, _names: _Names, base: _Base, _fields: _Fields) -> event.Event:
    return event.Stopped(**base)


_MAKERS: dict[str, Callable[[Engine, _Names, _Base, _Fields], event.Event]] = {
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
    "Resynced": _resynced,
    "MembershipRefused": _membership_refused,
    "Lost": _lost,
    "Fatal": _fatal,
    "Stopped": _stopped,
}
