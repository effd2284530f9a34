"""What links of our own shall be called, and what makes the kernel's picture of them right (vrrp-behaviour.md 11).

A link is made when it is missing, mended when it differs, and left alone otherwise: carrying out the same plan twice
does nothing the second time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keepvip.net import link_request
from keepvip.net.link_facts import MACVLAN_MODE_PRIVATE, Link, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from keepvip.config.model_vmac import Vmac, VmacKey

__all__ = ["Step", "assign_names", "merge", "parent_settings", "steps", "vmac_settings"]

_MAX_NAME = 15
_LINK_LOCAL_PREFIX_LEN = 64


class Step(msgspec.Struct, frozen=True, gc=False):
    """One request to the kernel, and what it is for."""

    what: str
    """In words, as the object of "cannot": "make vrrp.51 on eth0"."""
    request: bytes


def merge(wishes: Iterable[Vmac]) -> dict[VmacKey, Vmac]:
    """One wish per link: what is wanted of it by several is wanted once."""
    found: dict[VmacKey, Vmac] = {}
    for wish in wishes:
        known = found.get(wish.key)
        found[wish.key] = (
            wish
            if known is None
            else msgspec.structs.replace(
                known,
                name=known.name or wish.name,
                group=known.group if known.group is not None else wish.group,
                ipv6=known.ipv6 or wish.ipv6,
                link_local=known.link_local or wish.link_local,
            )
        )
    return found


def matches(vmac: Vmac, link: Link, snapshot: Snapshot) -> bool:
    """Whether an existing link is what is wanted, whatever it is called."""
    parent = snapshot.by_name.get(vmac.parent)
    if parent is None or link.kind != vmac.kind or link.index == parent.index:
        return False
    if vmac.kind == "ipvlan":
        return link.below == parent.index
    return link.below == snapshot.base(parent).index and link.mac == vmac.mac and link.mode == MACVLAN_MODE_PRIVATE


def assign_names(
    wanted: Mapping[VmacKey, Vmac], snapshot: Snapshot, before: Mapping[VmacKey, str]
) -> dict[VmacKey, str]:
    """The name of each link: that of the link that is there already, the configured one, or the next that is free.

    `before`: what they were called so far; a link that is gone gets its old name again.
    """
    names: dict[VmacKey, str] = {}
    taken: set[str] = set()
    existing = [link for link in snapshot.links.values() if link.kind in {"macvlan", "ipvlan"}]
    by_mac: dict[str, list[Link]] = {}
    for link in existing:
        by_mac.setdefault(link.mac, []).append(link)
    for key, vmac in wanted.items():
        if vmac.kind == "ipvlan":
            # All ipvlans of a parent look alike: only the name tells that one is ours.
            expected = {before.get(key), vmac.name or f"{vmac.prefix}.{vmac.vrid}"}
            candidates = [link for link in existing if link.name in expected]
        else:
            candidates = by_mac.get(vmac.mac, [])
        fitting = [link for link in candidates if link.name not in taken and matches(vmac, link, snapshot)]
        if fitting:
            # Of several the one that it has been, or that the configuration names.
            best = min(fitting, key=lambda link: (link.name != before.get(key), link.name != vmac.name, link.index))
            names[key] = best.name
            taken.add(best.name)
    reserved = {vmac.name for vmac in wanted.values() if vmac.name is not None}
    for key, vmac in wanted.items():
        if key in names:
            continue
        own = [name for name in (before.get(key), vmac.name) if name is not None]
        free = [name for name in own if name not in snapshot.by_name and name not in taken]
        names[key] = free[0] if free else _next_free(vmac, snapshot, taken | reserved)
        taken.add(names[key])
    return names


def _next_free(vmac: Vmac, snapshot: Snapshot, taken: set[str]) -> str:
    """PREFIX.VRID, for IPv6 then PREFIX6.VRID, then PREFIXn.VRID; the prefix gives way, a name has 15 characters."""
    number = 0
    tried6 = vmac.family != 6
    suffix = ""
    while True:
        ending = f"{suffix}.{vmac.vrid}"
        prefix = vmac.prefix.encode()[: _MAX_NAME - len(ending)].decode(errors="ignore")
        name = prefix + ending
        if name not in snapshot.by_name and name not in taken:
            return name
        if not tried6:
            tried6, suffix = True, "6"
            continue
        number += 1
        suffix = str(number)


def vmac_settings(vmac: Vmac) -> dict[str, int]:
    """net.ipv4.conf of a link of our own."""
    if vmac.kind != "macvlan":
        return {}
    settings = {"arp_ignore": 1}
    if vmac.family == 4:
        settings |= {"accept_local": 1, "rp_filter": 0, "promote_secondaries": 1}
    return settings


def parent_settings(wanted: Iterable[Vmac]) -> dict[str, dict[str, int]]:
    """net.ipv4.conf of the interfaces below: they must not answer ARP for what is on the macvlan.

    Nor ask in its name (`arp_announce`, which keepalived leaves to the administrator): the answer of an address on the
    macvlan leaves by the interface below, and a question with that address and the other MAC would spoil the
    neighbours' tables.
    """
    parents = {vmac.parent for vmac in wanted if vmac.kind == "macvlan" and vmac.family == 4}
    return {parent: {"arp_ignore": 1, "arp_filter": 1, "arp_announce": 2} for parent in sorted(parents)}


def steps(vmac: Vmac, name: str, snapshot: Snapshot, *, adopt: bool) -> list[Step]:
    """What is to be done for a link that exists, addresses apart.

    `adopt`: it is wanted since just now, so that a link that is there already is made fit as well; later on, what
    somebody else does to it (takes it down) is a fault and not undone.
    """
    parent, link = snapshot.by_name.get(vmac.parent), snapshot.by_name.get(name)
    if parent is None or link is None or not matches(vmac, link, snapshot):
        return []  # the name was taken meanwhile: the next look gives it another one
    vrf = snapshot.vrf(parent)
    master = vrf if vrf != snapshot.vrf(link) else None
    group, settings, silence = None, {}, False
    if adopt:
        wanted = parent.group if vmac.group is None else vmac.group
        group = None if wanted == link.group else wanted
        settings = {key: value for key, value in vmac_settings(vmac).items() if link.setting(key) not in {value, None}}
        silence = not vmac.makes_own_address and link.address_generation == 0
    if not settings and master is None and group is None and not silence:
        return []
    request = link_request.configure(name, settings=settings, master=master, group=group, no_address_generation=silence)
    return [Step(f"configure {name}", request)]


def address_steps(vmac: Vmac, name: str, snapshot: Snapshot) -> list[Step]:
    """The address that a link sends from: of the parent (IPv6), or its own (ipvlan)."""
    link, parent = snapshot.by_name.get(name), snapshot.by_name.get(vmac.parent)
    if link is None or parent is None or not link.up:
        return []
    has = {address.text for address in snapshot.addresses.get(link.index, ())}
    if vmac.address is not None:
        if vmac.address in has:
            return []
        add = link_request.add_address(link.index, vmac.address, vmac.prefix_len, deprecated=False)
        return [Step(f"add {vmac.address} to {name}", add)]
    source = snapshot.link_local(parent.index) if vmac.link_local else None
    if source is None or source in has:
        return []
    add = link_request.add_address(link.index, source, _LINK_LOCAL_PREFIX_LEN, deprecated=True)
    return [Step(f"add {source} of {vmac.parent} to {name}", add)]
