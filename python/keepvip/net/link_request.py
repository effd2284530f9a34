"""Requests about interfaces: make, configure, name, delete. Bytes only; `Requests` sends them."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

from keepvip.net import link_facts as facts
from keepvip.net.wire import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, attribute, nested, request, u8, u16, u32

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keepvip.config.model_vmac import Vmac

__all__ = ["add_address", "bring_up", "configure", "delete", "delete_group", "make", "set_group"]

_RTM_DELLINK: Final = 17
_AF_INET: Final = socket.AF_INET
_AF_INET6: Final = socket.AF_INET6
_IFLA_IPVLAN_MODE: Final = 1
_IFLA_IPVLAN_FLAGS: Final = 2
_IPVLAN_L2: Final = 0
_IPVLAN_FLAGS: Final = {"bridge": 0, "private": 1, "vepa": 2}
_ADDRESS_GENERATION_NONE: Final = 1
_IFA_F_NODAD: Final = 0x02
_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2
_IFA_CACHEINFO: Final = 6
_NO_LIMIT: Final = 0xFFFF_FFFF


def _name(name: str) -> bytes:
    return attribute(facts.IFLA_IFNAME, name.encode("utf-8", "surrogateescape") + b"\0")


def _set(name: str, *more: bytes, flags: int = 0, change: int = 0) -> bytes:
    body = facts.LINK_BODY.pack(0, 0, 0, flags, change) + _name(name) + b"".join(more)
    return request(facts.RTM_NEWLINK, NLM_F_ACK, body)


def make(name: str, vmac: Vmac, parent_index: int) -> bytes:
    """A link that is down and has nothing but its identity."""
    if vmac.kind == "macvlan":
        data = u32(facts.IFLA_MACVLAN_MODE, facts.MACVLAN_MODE_PRIVATE)
        mac = attribute(facts.IFLA_ADDRESS, bytes.fromhex(vmac.mac.replace(":", "")))
    else:
        data = u16(_IFLA_IPVLAN_MODE, _IPVLAN_L2) + u16(_IFLA_IPVLAN_FLAGS, _IPVLAN_FLAGS[vmac.mode])
        mac = b""
    info = nested(
        facts.IFLA_LINKINFO,
        attribute(facts.IFLA_INFO_KIND, vmac.kind.encode() + b"\0"),
        nested(facts.IFLA_INFO_DATA, data),
    )
    body = facts.LINK_BODY.pack(0, 0, 0, 0, 0) + _name(name) + mac + u32(facts.IFLA_LINK, parent_index) + info
    return request(facts.RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, body)


def configure(
    name: str,
    *,
    settings: Mapping[str, int],
    master: int | None = None,
    group: int | None = None,
    no_address_generation: bool = False,
) -> bytes:
    """Sets net.ipv4.conf values, the VRF (0: none), the interface group; None leaves a thing as it is."""
    more = []
    if master is not None:
        more.append(u32(facts.IFLA_MASTER, master))
    if group is not None:
        more.append(u32(facts.IFLA_GROUP, group))
    families = []
    if settings:
        values = [u32(facts.IPV4_SETTINGS[setting], value) for setting, value in settings.items()]
        families.append(nested(_AF_INET, nested(facts.IFLA_INET_CONF, *values)))
    if no_address_generation:
        families.append(nested(_AF_INET6, u8(facts.IFLA_INET6_ADDR_GEN_MODE, _ADDRESS_GENERATION_NONE)))
    if families:
        more.append(nested(facts.IFLA_AF_SPEC, *families))
    return _set(name, *more)


def bring_up(name: str) -> bytes:
    """Administratively up."""
    return _set(name, flags=facts.IFF_UP, change=facts.IFF_UP)


def set_group(name: str, group: int) -> bytes:
    """Another interface group."""
    return _set(name, u32(facts.IFLA_GROUP, group))


def delete(name: str) -> bytes:
    """Ends a link."""
    return request(_RTM_DELLINK, NLM_F_ACK, facts.LINK_BODY.pack(0, 0, 0, 0, 0) + _name(name))


def delete_group(group: int) -> bytes:
    """Ends all links of an interface group in one step: one after the other costs some 20 ms each."""
    return request(_RTM_DELLINK, NLM_F_ACK, facts.LINK_BODY.pack(0, 0, 0, 0, 0) + u32(facts.IFLA_GROUP, group))


def add_address(index: int, text: str, prefix_len: int, *, deprecated: bool) -> bytes:
    """An address without duplicate detection. `deprecated`: never chosen as a source by itself (IPv6)."""
    family = _AF_INET6 if ":" in text else _AF_INET
    packed = socket.inet_pton(family, text)
    flags = _IFA_F_NODAD if family == _AF_INET6 else 0
    body = facts.ADDRESS_BODY.pack(family, prefix_len, flags, 0, index)
    body += attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)
    if deprecated and family == _AF_INET6:
        body += attribute(_IFA_CACHEINFO, struct.pack("=IIII", 0, _NO_LIMIT, 0, 0))
    return request(facts.RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, body)
