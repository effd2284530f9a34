"""What a reload comes to: the difference of two configurations, instance by instance. Pure.

Instances are the same when VRID, family, interface and group (for unicast: source) are the same, whatever they are
called (vrrp-behaviour.md 16): a renamed instance keeps its state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keepvip.config.model import Unicast
from keepvip.config.model_process import ProcessSettings
from keepvip.config.plan_service import ServiceChange, service_changes
from keepvip.config.route_text import route_text, rule_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from keepvip.config.model import Config, InstanceKey, SyncGroup, UnicastPeer, VirtualAddress, VrrpInstance
    from keepvip.config.model_auth import AuthHmac

__all__ = ["FieldChange", "GroupChange", "InstanceChange", "Plan", "plan"]

_SECRET = frozenset({"authentication", "auth_hmac"})
_ADDRESS_FIELDS = frozenset({"addresses", "excluded"})
_ROUTING_FIELDS = frozenset({"routes", "rules"})
_LONG = frozenset({"tracks", "address_vmacs"})


class FieldChange(msgspec.Struct, frozen=True, kw_only=True):
    """One setting that becomes another."""

    field: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.field} {self.old} → {self.new}"


class InstanceChange(msgspec.Struct, frozen=True, kw_only=True):
    """One instance that stays, with what changes in it."""

    name: str
    renamed_from: str | None = None
    fields: tuple[FieldChange, ...] = ()
    addresses_added: tuple[str, ...] = ()
    addresses_removed: tuple[str, ...] = ()
    routing_added: tuple[str, ...] = ()
    """Routes and rules."""
    routing_removed: tuple[str, ...] = ()
    settings_changed: tuple[str, ...] = ()
    """Names of settings whose values are too long or too secret to show."""
    transition: str | None = None
    """Why the change can be followed by a transition, here or at a peer; None: the instance stays what it is."""


class GroupChange(msgspec.Struct, frozen=True, kw_only=True):
    """One sync group that stays, with what changes in it."""

    name: str
    members_added: tuple[str, ...] = ()
    members_removed: tuple[str, ...] = ()
    settings_changed: tuple[str, ...] = ()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a reload does. What is not in it is not touched. `msgspec.to_builtins` gives its JSON form."""

    added: tuple[str, ...] = ()
    """Instances that start, from INIT."""
    removed: tuple[str, ...] = ()
    """Instances that end: priority 0 if MASTER, addresses removed."""
    replaced: tuple[str, ...] = ()
    """Names that stay while the virtual router behind them becomes another: both removed and added."""
    changed: tuple[InstanceChange, ...] = ()
    unchanged: int = 0
    groups_added: tuple[str, ...] = ()
    groups_removed: tuple[str, ...] = ()
    groups_changed: tuple[GroupChange, ...] = ()
    scripts_added: tuple[str, ...] = ()
    """Tracked scripts."""
    scripts_removed: tuple[str, ...] = ()
    scripts_changed: tuple[str, ...] = ()
    tracked_added: tuple[str, ...] = ()
    """Tracked files and processes: `file NAME`, `process NAME`."""
    tracked_removed: tuple[str, ...] = ()
    tracked_changed: tuple[str, ...] = ()
    services_added: tuple[str, ...] = ()
    """Virtual servers."""
    services_removed: tuple[str, ...] = ()
    services_changed: tuple[ServiceChange, ...] = ()
    static_added: tuple[str, ...] = ()
    """Static addresses, routes and rules."""
    static_removed: tuple[str, ...] = ()
    globals_changed: tuple[FieldChange, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing changes."""
        return not any(getattr(self, field) for field in self.__struct_fields__ if field != "unchanged")

    def lines(self) -> list[str]:
        """The plan for people, one step per line; empty when nothing changes."""
        replaced = set(self.replaced)
        found = [f"+ {name}: starts" for name in self.added if name not in replaced]
        found += [f"- {name}: ends, its addresses are removed" for name in self.removed if name not in replaced]
        found += [
            f"± {name}: becomes another virtual router: the old one ends, the new one starts" for name in self.replaced
        ]
        for change in self.changed:
            found.append(f"~ {_title(change)}: {'; '.join(_steps(change)) or 'nothing else changes'}")
        found += [f"+ sync group {name}" for name in self.groups_added]
        found += [f"- sync group {name}" for name in self.groups_removed]
        for group in self.groups_changed:
            found.append(f"~ sync group {group.name}: {'; '.join(_group_steps(group))}")
        found += [f"+ track script {name}" for name in self.scripts_added]
        found += [f"- track script {name}" for name in self.scripts_removed]
        found += [f"~ track script {name}: its settings changed" for name in self.scripts_changed]
        found += [f"+ track {name}" for name in self.tracked_added]
        found += [f"- track {name}" for name in self.tracked_removed]
        found += [f"~ track {name}: its settings changed" for name in self.tracked_changed]
        found += [f"+ virtual server {name}" for name in self.services_added]
        found += [f"- virtual server {name}: its entries in IPVS are removed" for name in self.services_removed]
        found += [
            f"~ virtual server {service.name}: {'; '.join(service.steps) or 'nothing else changes'}"
            for service in self.services_changed
        ]
        found += [f"+ static {item}" for item in self.static_added]
        found += [f"- static {item}" for item in self.static_removed]
        found += [f"~ global {change}" for change in self.globals_changed]
        return found

    def __str__(self) -> str:
        return "\n".join(self.lines()) or "nothing changes"


def plan(old: Config, new: Config) -> Plan:
    """How `old` becomes `new`."""
    before: dict[InstanceKey, VrrpInstance] = {instance.key: instance for instance in old.instances}
    after: dict[InstanceKey, VrrpInstance] = {instance.key: instance for instance in new.instances}
    added = tuple(instance.name for key, instance in after.items() if key not in before)
    removed = tuple(instance.name for key, instance in before.items() if key not in after)
    changed: list[InstanceChange] = []
    unchanged = 0
    for key, instance in after.items():
        was = before.get(key)
        if was is None:
            continue
        change = _instance_change(was, instance)
        if change is None:
            unchanged += 1
        else:
            changed.append(change)
    groups_before = {group.name: group for group in old.sync_groups}
    groups_after = {group.name: group for group in new.sync_groups}
    scripts_before = {script.name: script for script in old.track_scripts}
    scripts_after = {script.name: script for script in new.track_scripts}
    tracked_before, tracked_after = _tracked(old), _tracked(new)
    services_added, services_removed, services_changed = service_changes(old.virtual_servers, new.virtual_servers)
    gone = set(removed)
    return Plan(
        added=added,
        removed=removed,
        replaced=tuple(name for name in added if name in gone),
        changed=tuple(changed),
        unchanged=unchanged,
        groups_added=_only_in(groups_after, groups_before),
        groups_removed=_only_in(groups_before, groups_after),
        groups_changed=tuple(_group_changes(groups_before, groups_after)),
        scripts_added=_only_in(scripts_after, scripts_before),
        scripts_removed=_only_in(scripts_before, scripts_after),
        scripts_changed=tuple(
            name for name, script in scripts_after.items() if name in scripts_before and scripts_before[name] != script
        ),
        tracked_added=_only_in(tracked_after, tracked_before),
        tracked_removed=_only_in(tracked_before, tracked_after),
        tracked_changed=tuple(
            name for name, one in tracked_after.items() if name in tracked_before and tracked_before[name] != one
        ),
        static_added=_only_in(_statics(new), _statics(old)),
        static_removed=_only_in(_statics(old), _statics(new)),
        services_added=services_added,
        services_removed=services_removed,
        services_changed=services_changed,
        globals_changed=(
            *_field_changes(old.global_defs, new.global_defs),
            *_field_changes(old.balancing, new.balancing),
        ),
    )


def _tracked(config: Config) -> dict[str, object]:
    """Tracked files and processes by kind and name."""
    found: dict[str, object] = {f"file {file.name}": file for file in config.track_files}
    return found | {f"process {process.name}": process for process in config.track_processes}


def _instance_change(was: VrrpInstance, now: VrrpInstance) -> InstanceChange | None:
    if was == now:
        return None
    fields: list[FieldChange] = []
    hidden: list[str] = []
    for field in now.__struct_fields__:
        old, new = getattr(was, field), getattr(now, field)
        if field == "name" or field in _ADDRESS_FIELDS | _ROUTING_FIELDS or old == new:
            continue
        if isinstance(old, Unicast) and isinstance(new, Unicast):
            fields += _unicast_changes(old, new)
        elif field in _SECRET | _LONG or isinstance(old, msgspec.Struct) or isinstance(new, msgspec.Struct):
            hidden.append(field)
        else:
            fields.append(_changed(field, old, new))
    addresses_before = _addresses(was)
    addresses_after = _addresses(now)
    added = _only_in(addresses_after, addresses_before)
    removed = _only_in(addresses_before, addresses_after)
    if not added and not removed:
        hidden += [field for field in sorted(_ADDRESS_FIELDS) if getattr(was, field) != getattr(now, field)]
    return InstanceChange(
        name=now.name,
        renamed_from=was.name if was.name != now.name else None,
        fields=tuple(fields),
        addresses_added=added,
        addresses_removed=removed,
        routing_added=_only_in(_routing(now), _routing(was)),
        routing_removed=_only_in(_routing(was), _routing(now)),
        settings_changed=tuple(hidden),
        transition=_transition(was, now),
    )


_UNICAST_KEYWORDS = {
    "peers": "unicast_peer",
    "ttl": "unicast_ttl",
    "check_source": "check_unicast_src",
    "old_checksum": "old_unicast_checksum",
}


def _unicast_changes(old: Unicast, new: Unicast) -> Iterable[FieldChange]:
    for field, keyword in _UNICAST_KEYWORDS.items():
        was, now = getattr(old, field), getattr(new, field)
        if was == now:
            continue
        if field == "peers":
            was, now = (tuple(map(_peer, peers)) for peers in (was, now))
        yield FieldChange(field=keyword, old=_show(was), new=_show(now))


def _peer(peer: UnicastPeer) -> str:
    bounds = "" if (peer.min_ttl, peer.max_ttl) == (0, 255) else f" min_ttl {peer.min_ttl} max_ttl {peer.max_ttl}"
    return peer.address + bounds


def _deserted(was: VrrpInstance, now: VrrpInstance) -> list[str]:
    """Peers that hear nothing more."""
    if was.unicast is None or now.unicast is None:
        return []
    left = {peer.address for peer in now.unicast.peers}
    return [peer.address for peer in was.unicast.peers if peer.address not in left]


_WIRE_FIELDS = ("version", "authentication", "checksum_as_v2")
"""Peers with another value reject the adverts."""


def _transition(was: VrrpInstance, now: VrrpInstance) -> str | None:
    """A reload itself moves nobody (vrrp-behaviour.md 16), but the next adverts may."""
    heard = [field for field in _WIRE_FIELDS if getattr(was, field) != getattr(now, field)]
    if now.version == 2 and was.advert_int_us != now.advert_int_us:
        heard.append("advert_int")
    heard += _signed_otherwise(was.auth_hmac, now.auth_hmac)
    if heard:
        return f"its peers reject its adverts until they have the same {' and '.join(heard)}"
    if deserted := _deserted(was, now):
        return f"it no longer sends to {', '.join(deserted)}, which may become MASTER too"
    if was.priority != now.priority:
        direction = "lowered" if now.priority < was.priority else "raised"
        return f"the priority is {direction}: another node may be MASTER afterwards"
    if was.nopreempt and not now.nopreempt:
        return "from now on it takes over from a MASTER of lower priority"
    return None


def _signed_otherwise(was: AuthHmac | None, now: AuthHmac | None) -> list[str]:
    """Whether peers that have what it had reject what it signs from now on: a key that both sides have may become the
    active one, and a mode changes nothing as long as what is sent stays signed (or unsigned)."""
    signed, signs = (one is not None and one.mode != "receive-only" for one in (was, now))
    if signed is not signs or (was is None) is not (now is None):
        return ["auth_hmac"]
    if was is None or now is None or not signs:
        return []
    known = {key.number: key.secret for key in was.keys}
    active = {key.number: key.secret for key in now.keys}[now.active_key]
    return [] if known.get(now.active_key) == active else ["auth_hmac"]


def _addresses(instance: VrrpInstance) -> dict[str, VirtualAddress]:
    return {
        f"{address.address}/{address.prefix_len}" + (f" dev {address.dev}" if address.dev else ""): address
        for address in (*instance.addresses, *instance.excluded)
    }


def _routing(instance: VrrpInstance) -> dict[str, object]:
    """Routes and rules by what they look like to people."""
    found: dict[str, object] = {f"route {route_text(route)}": route for route in instance.routes}
    return found | {f"rule {rule_text(rule)}": rule for rule in instance.rules}


def _statics(config: Config) -> dict[str, object]:
    found: dict[str, object] = {
        f"address {item.address.address}/{item.address.prefix_len} dev {item.dev}": item
        for item in config.static_addresses
    }
    found |= {f"route {route_text(route)}": route for route in config.static_routes}
    return found | {f"rule {rule_text(rule)}": rule for rule in config.static_rules}


def _group_changes(before: Mapping[str, SyncGroup], after: Mapping[str, SyncGroup]) -> Iterable[GroupChange]:
    for name, group in after.items():
        was = before.get(name)
        if was is None or was == group:
            continue
        yield GroupChange(
            name=name,
            members_added=tuple(member for member in group.members if member not in was.members),
            members_removed=tuple(member for member in was.members if member not in group.members),
            settings_changed=tuple(
                field
                for field in group.__struct_fields__
                if field != "name"
                and getattr(was, field) != getattr(group, field)
                and (field != "members" or set(was.members) == set(group.members))
            ),
        )


def _field_changes(old: msgspec.Struct, new: msgspec.Struct) -> Iterable[FieldChange]:
    for field in new.__struct_fields__:
        was, now = getattr(old, field), getattr(new, field)
        if isinstance(was, ProcessSettings) and isinstance(now, ProcessSettings):
            yield from _field_changes(was, now)
        elif was != now:
            yield _changed(field, was, now)


def _only_in(some: Mapping[str, object], others: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(name for name in some if name not in others)


def _changed(field: str, old: object, new: object) -> FieldChange:
    """Times are shown in seconds and lose the unit in their name."""
    if field.endswith("_us") and isinstance(old, int | None) and isinstance(new, int | None):
        return FieldChange(field=field.removesuffix("_us"), old=_seconds(old), new=_seconds(new))
    return FieldChange(field=field, old=_show(old), new=_show(new))


def _seconds(value_us: int | None) -> str:
    return "none" if value_us is None else f"{value_us / 1_000_000:g} s"


def _show(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None or value in ((), ""):
        return "none"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value)


def _title(change: InstanceChange) -> str:
    return f"{change.renamed_from} → {change.name} (renamed)" if change.renamed_from else change.name


def _steps(change: InstanceChange) -> list[str]:
    steps = [str(field) for field in change.fields]
    if change.addresses_added:
        steps.append(f"adds {', '.join(change.addresses_added)}")
    if change.addresses_removed:
        steps.append(f"removes {', '.join(change.addresses_removed)}")
    steps += [f"adds {item}" for item in change.routing_added]
    steps += [f"removes {item}" for item in change.routing_removed]
    if change.settings_changed:
        steps.append(f"{', '.join(change.settings_changed)} changed")
    if change.transition is not None:
        steps.append(f"transition possible: {change.transition}")
    return steps


def _group_steps(change: GroupChange) -> list[str]:
    steps = []
    if change.members_added:
        steps.append(f"{', '.join(change.members_added)} joins")
    if change.members_removed:
        steps.append(f"{', '.join(change.members_removed)} leaves")
    if change.settings_changed:
        steps.append(f"{', '.join(change.settings_changed)} changed")
    return steps
