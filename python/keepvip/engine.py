"""The engine as Python sees it: configurations in, events and snapshots out.

The only importer of `keepvip._core`. The native side knows slots and numbers; this side knows names. Nothing here waits
for the engine thread, and the thread never waits for anything here: commands and events travel on bounded rings, and a
snapshot is read from memory that the thread publishes to.

Every configuration has a number, its epoch, which the thread stamps on each event: an event that was under way when the
configuration changed is still named by the one that it belongs to.
"""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

import msgspec

from keepvip import event
from keepvip._core import Engine as CoreEngine
from keepvip.config.model import PacketFilter
from keepvip.event import EngineSnapshot, InstanceStatus, State
from keepvip.record import INTERFACE, Names, event_of, track_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keepvip.config.model import Config, InstanceKey, VirtualAddress, VrrpInstance
    from keepvip.config.model_interface import InterfaceRule
    from keepvip.config.model_vmac import Vmac, VmacKey
    from keepvip.event import TrackKey, TrackValue

__all__ = ["DEFAULT_RT_PRIORITY", "Engine"]

LINKBEAT = "linkbeat"
"""The kind of tracked things that are the state of an interface."""

DEFAULT_RT_PRIORITY = 10
"""SCHED_RR priority of the engine thread: above ordinary work, below the kernel's own threads (50)."""

HANG_GRACE_S = 5.0
"""So long after its own deadline a thread that has not turned counts as hanging."""

ENGINE_FIELDS = (
    "interface",
    "vrf",
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
    "auth_hmac",
    "source",
    "track_source",
    "mcast_dst",
    "unicast",
    "dont_track_primary",
    "addresses",
    "excluded",
    "guarded",
    "garp",
    "tracks",
)
"""What the engine is told of an instance; a change of anything else (a name, a script) does not reach it."""


_Links = tuple[tuple[str, bool, bool] | None, tuple[str, ...]]
"""The link of an instance (name, whether adverts use it, whether their source is on it), and those of addresses."""


def _differs(old: VrrpInstance, new: VrrpInstance) -> bool:
    return any(getattr(old, field) != getattr(new, field) for field in ENGINE_FIELDS)


def _on_links(instance: VrrpInstance, names: Mapping[VmacKey, str]) -> tuple[VrrpInstance, _Links]:
    """The instance with the names of the links that its addresses are on, as the engine is told."""
    main = instance.vmac
    own = None
    if main is not None:
        own = (_name(main, names), not instance.vmac_xmit_base, main.kind == "ipvlan" and not instance.vmac_xmit_base)
    if instance.address_vmacs:
        instance = msgspec.structs.replace(
            instance,
            addresses=tuple(_on_link(instance, address, names) for address in instance.addresses),
            excluded=tuple(_on_link(instance, address, names) for address in instance.excluded),
        )
    return instance, (own, tuple(_name(vmac, names) for vmac in instance.address_vmacs))


def _name(vmac: Vmac, names: Mapping[VmacKey, str]) -> str:
    return names.get(vmac.key) or vmac.usual_name


def _on_link(instance: VrrpInstance, address: VirtualAddress, names: Mapping[VmacKey, str]) -> VirtualAddress:
    link = instance.link_of(address) if address.dev is not None else None
    return address if link is None else msgspec.structs.replace(address, dev=_name(link, names))


class Engine:
    """The running engine thread. Raises OSError when it cannot be started (no privileges, no sockets).

    Its sockets are in the network namespace of the thread that makes the object.
    """

    notices: list[str]
    """What was not granted (real-time scheduling, locked memory, buffers), for people; said once."""
    modes: tuple[str, str]
    """How adverts are received ("filter", "wake") and how multicast ones are sent ("auto", "packet", "raw")."""

    def __init__(
        self,
        *,
        rt_priority: int | None = DEFAULT_RT_PRIORITY,
        lock_memory: bool = True,
        packet_filter: PacketFilter = PacketFilter(),  # noqa: B008  (frozen)
    ) -> None:
        self._core = CoreEngine(rt_priority=rt_priority, lock_memory=lock_memory, packet_filter=packet_filter)
        self.notices = self._core.notices
        self.modes = self._core.modes
        self._slots: dict[InstanceKey, int] = {}
        self._instances: dict[int, VrrpInstance] = {}
        self._told: dict[int, tuple[VrrpInstance, _Links]] = {}
        """The same as the engine was told, with the names of links."""
        self._link_names: Mapping[VmacKey, str] = {}
        self._free: list[int] = []
        self._epoch = 0
        self._namespaces: dict[str, int] = {}
        """Numbers of network namespaces. A name keeps its number for good, 0 is the engine's own."""
        self._namespace_names: dict[int, str] = {}
        """The other way round; one for all epochs, since a namespace is looked for before its configuration counts."""
        self._names: dict[int, Names] = {0: Names({}, [], {}, self._namespace_names)}
        self._tracked: dict[TrackKey, int] = {}
        """Numbers of the tracked things, interfaces apart."""
        self._values: dict[int, TrackValue] = {}
        """What was told last about each of them."""
        self._untold: dict[int, TrackValue] = {}
        """What did not fit onto the ring."""
        self._last_seq = 0
        self._over = False

    def apply(
        self,
        config: Config,
        values: Mapping[TrackKey, TrackValue] | None = None,
        links: Mapping[VmacKey, str] | None = None,
    ) -> None:
        """Takes over a configuration, the first one or a new one; instances that did not change notice nothing.

        Instances are the same when their key is (VRID, family, interface, group), whatever their name. `values` are
        known of tracked things before anything starts; what the engine was told before it keeps, by kind and name.
        `links` are the names of the macvlans and ipvlans that the configuration wants.
        Raises ValueError when a value does not fit the engine, RuntimeError when the thread has ended; no instance
        is changed then.
        """
        first = self._epoch == 0
        slots: dict[InstanceKey, int] = {}
        instances: dict[int, VrrpInstance] = {}
        told: dict[int, tuple[VrrpInstance, _Links]] = {}
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
                verb = "add"
            else:
                verb = "update"
            told[slot] = new = _on_links(instance, links or {})
            before = self._told.get(slot) if verb == "update" else None
            if before is None or before[1] != new[1] or _differs(before[0], new[0]):
                changes.append((verb, slot, new[0]))
            slots[instance.key] = slot
            instances[slot] = instance
        gone = [slot for slot in self._instances if slot not in instances]
        changes.extend(("remove", slot, None) for slot in gone)
        slot_of = {instance.name: slot for slot, instance in instances.items()}
        groups = [(group.name, [slot_of[member] for member in group.members]) for group in config.sync_groups]
        epoch = self._epoch + 1
        wanted = config.namespaces
        for name in wanted:
            number = self._namespaces.setdefault(name, len(self._namespaces) + 1)
            self._namespace_names[number] = name
        tracked = self._numbers(config)
        for key, value in (values or {}).items():
            if key in tracked:
                self._tell(tracked[key], value)
        self._core.apply(
            changes=changes,
            tracks={
                slot: [(track_target(track, tracked), track.weight, track.reverse) for track in changed.tracks]
                for _, slot, changed in changes
                if changed is not None
            },
            links={slot: told[slot][1] for _, slot, changed in changes if changed is not None},
            groups=[members for _, members in groups],
            namespaces={name: self._namespaces[name] for name in wanted},
            epoch=epoch,
            clear_residue=first,
            hold_until_us=_hold_until_us(config) if first else None,
            interfaces=[_link_config(rule, tracked) for rule in config.interfaces],
            tell_unknown=config.global_defs.log_unknown_vrids,
        )
        self._slots = slots
        self._instances = instances
        self._told = told
        self._link_names = links or {}
        self._free = free + gone
        self._epoch = epoch
        # A removed instance is still named in the events that tell of its end.
        named = instances | {slot: self._names[epoch - 1].instances[slot] for slot in gone}
        self._names[epoch] = Names(
            named,
            groups,
            {number: key for key, number in tracked.items()},
            self._namespace_names,
        )
        for key in self._tracked.keys() - tracked.keys():
            self._tell(self._tracked[key], "unknown")  # for whoever gets the number next
        self._tracked = tracked

    def filter_vmac(self, *, index: int, parent: int, family: int, there: bool) -> None:
        """Tells the packet filter of a virtual MAC on an interface, before it is up, and when it is gone.

        What it would tell multicast routers (IGMP, MLD) leaves by its parent, so that the network knows the virtual
        MAC from the master only (vrrp-behaviour.md 11). `index`, `parent`: of the interfaces; `family`: 4 or 6. Raises
        RuntimeError when the engine takes no commands.
        """
        self._core.filter_vmac(index=index, parent=parent, v6=family == 6, there=there)

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
        wanted |= dict.fromkeys((LINKBEAT, rule.name) for rule in config.interfaces if rule.polling is not None)
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
            made = self._fatal(base) if kind == "Fatal" else event_of(kind, self._names[epoch], base, fields)
            self._over |= isinstance(made, event.Stopped | event.Fatal)
            events.append(made)
        if ended and not self._over:
            self._over = True
            now_us = time.monotonic_ns() // 1000
            base = {"seq": self._last_seq + 1, "at_ns": time.time_ns(), "mono_us": now_us}
            events.append(self._fatal(base))
        return events

    def _fatal(self, base: dict[str, int]) -> event.Fatal:
        return event.Fatal(**base, text=self.failure() or "the engine thread has ended")

    def snapshot(self) -> EngineSnapshot:
        """The state of everything, from shared memory."""
        (late, wakeups, rx_overruns, resyncs, realtime, locked), routers = self._core.status()
        now_us = time.monotonic_ns() // 1000
        wall_ns = time.time_ns() - now_us * 1000
        names = self._names[self._epoch]
        return EngineSnapshot(
            mono_us=now_us,
            instances=[_status(names, wall_ns, router, self._link_names) for router in routers],
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


_LinkConfig = tuple[str, int, int, tuple[int, int, int] | None, int | None]


def _link_config(rule: InterfaceRule, tracked: Mapping[TrackKey, int]) -> _LinkConfig:
    """What the engine is told of an interface, in the order of rust/py/src/config.rs."""
    pace = rule.pace
    return (
        rule.name,
        rule.down_delay_us,
        rule.up_delay_us,
        None if pace is None else (pace.group, pace.garp_interval_us, pace.gna_interval_us),
        None if rule.polling is None else tracked[LINKBEAT, rule.name],
    )


def _hold_until_us(config: Config) -> int | None:
    """When the start-up delays of the configuration end, on CLOCK_MONOTONIC; None without any."""
    defs = config.global_defs
    if not defs.startup_delay_us and not defs.delay_after_boot_us:
        return None
    now_us = time.monotonic_ns() // 1000
    up_us = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
    return now_us + max(defs.startup_delay_us, defs.delay_after_boot_us - up_us, 0)


def _status(names: Names, wall_ns: int, router: tuple[Any, ...], links: Mapping[VmacKey, str]) -> InstanceStatus:
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
        links={vmac.key: links.get(vmac.key, "") for vmac in instance.own_links},
        vmac=links.get(instance.vmac.key) if instance.vmac is not None else None,
        net_namespace=instance.net_namespace,
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
