"""Builds answers from what is there: the engine's snapshot, the configuration, the journal. No IO."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepvip.admin.model import GroupView, IncidentView, InstanceView, TransitionView, WhyAnswer
from keepvip.event import EngineSnapshot, InstanceStatus, State, Transition
from keepvip.observe import text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keepvip.config.model import Config, VirtualAddress, VrrpInstance
    from keepvip.observe.journal import Incident, Journal

__all__ = ["groups", "instances", "problems", "why"]

STUCK_US = 2_000_000
"""A master whose addresses are not in place this long after its transition is reported."""


def _address(address: VirtualAddress) -> str:
    words = [f"{address.address}/{address.prefix_len}"]
    if address.dev is not None:
        words += ["dev", address.dev]
    return " ".join(words)


def instances(snapshot: EngineSnapshot, config: Config, journal: Journal) -> list[InstanceView]:
    """All virtual routers in the order of the configuration."""
    configured = {instance.name: instance for instance in config.instances}
    order = {name: index for index, name in enumerate(configured)}
    ordered = sorted(snapshot.instances, key=lambda status: order.get(status.name, len(order)))
    return [_instance(status, configured.get(status.name), snapshot.mono_us, journal) for status in ordered]


def _instance(status: InstanceStatus, configured: VrrpInstance | None, mono_us: int, journal: Journal) -> InstanceView:
    last = journal.instance(status.name, limit=1)
    addresses = configured.addresses + configured.excluded if configured is not None else ()
    deadline_us = status.next_deadline_us
    unicast = configured.unicast if configured is not None else None
    return InstanceView(
        name=status.name,
        group=status.group,
        state=status.state.name,
        why=text.reason(last[0].reason, last[0].evidence) if last else None,
        faults=status.faults,
        interface=status.interface,
        vmac=status.vmac,
        net_namespace=status.net_namespace,
        vrid=status.vrid,
        family=status.family,
        version=status.version,
        base_priority=status.base_priority,
        priority=status.priority,
        master=status.master,
        master_priority=status.master_priority,
        master_advert_int_us=status.master_advert_int_us,
        next_deadline_in_us=None if deadline_us is None else deadline_us - mono_us,
        last_transition_ns=status.last_transition_ns,
        addresses=tuple(_address(address) for address in addresses),
        addresses_installed=status.addresses_installed,
        peers=tuple(peer.address for peer in unicast.peers) if unicast is not None else None,
        stats=status.stats,
    )


def groups(snapshot: EngineSnapshot, config: Config) -> list[GroupView]:
    """All sync groups, each with the state that its members share."""
    states = {status.name: status.state for status in snapshot.instances}
    return [
        GroupView(name=group.name, state=_common([states.get(name) for name in group.members]), members=group.members)
        for group in config.sync_groups
    ]


def _common(states: list[State | None]) -> str:
    distinct = set(states)
    if len(distinct) != 1:
        return "MIXED"
    state = distinct.pop()
    return "UNKNOWN" if state is None else state.name


def problems(snapshot: EngineSnapshot, now_ns: int) -> list[str]:
    """What is wrong with the virtual routers, one sentence each."""
    found: list[str] = []
    for status in snapshot.instances:
        if status.state is State.FAULT:
            faults = ", ".join(fault.replace("_", " ") for fault in status.faults) or "unknown cause"
            where = f" on {status.interface}" if status.interface is not None else ""
            where += f" in network namespace {status.net_namespace}" if status.net_namespace is not None else ""
            found.append(f"{status.name} is in FAULT{where}: {faults}")
        elif status.state is State.MASTER and not status.addresses_installed:
            age_us = (now_ns - status.last_transition_ns) // 1000
            if age_us > STUCK_US:
                found.append(f"{status.name} is MASTER but its addresses are not in place")
    return found


def why(name: str, snapshot: EngineSnapshot, config: Config, journal: Journal, limit: int) -> WhyAnswer | None:
    """The transitions of an instance or of a sync group's members; None when nobody has that name."""
    states = {status.name: status.state for status in snapshot.instances}
    history = journal.instance(name, limit)
    if name in states or history:
        state = states.get(name)
        return WhyAnswer(
            name=name,
            kind="instance",
            state="REMOVED" if state is None else state.name,
            members=(),
            transitions=_transitions(history),
            incidents=_incidents(journal.incidents(name, limit)),
        )
    for group in config.sync_groups:
        if group.name == name:
            merged = [event for member in group.members for event in journal.instance(member, limit)]
            merged.sort(key=lambda event: event.seq, reverse=True)
            incidents = [event for member in group.members for event in journal.incidents(member, limit)]
            incidents.sort(key=lambda event: event.seq, reverse=True)
            return WhyAnswer(
                name=name,
                kind="group",
                state=_common([states.get(member) for member in group.members]),
                members=group.members,
                transitions=_transitions(merged[:limit]),
                incidents=_incidents(incidents[:limit]),
            )
    return None


def _incidents(events: Iterable[Incident]) -> list[IncidentView]:
    return [
        IncidentView(seq=event.seq, at_ns=event.at_ns, instance=event.instance or "", text=text.sentence(event))
        for event in events
    ]


def _transitions(events: Iterable[Transition]) -> list[TransitionView]:
    return [
        TransitionView(
            seq=event.seq,
            at_ns=event.at_ns,
            instance=event.instance,
            old=event.old.name,
            new=event.new.name,
            reason=event.reason,
            why=text.reason(event.reason, event.evidence),
            evidence=event.evidence,
            priority=event.priority,
            late_us=event.late_us,
            took_us=event.took_us,
        )
        for event in events
    ]
