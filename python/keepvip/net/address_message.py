"""Static addresses as rtnetlink messages (linux/if_addr.h)."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

from keepvip.net.wire import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, attribute, attributes, request, u32

if TYPE_CHECKING:
    from keepvip.config.model_route import StaticAddress
    from keepvip.net.links import Links

__all__ = ["AddressKey", "address_key", "address_key_of", "address_message"]

RTM_NEWADDR: Final = 20
RTM_DELADDR: Final = 21

_ADDRESS, _LOCAL, _LABEL, _BROADCAST, _CACHEINFO, _FLAGS = 1, 2, 3, 4, 6, 8
_BODY: Final = struct.Struct("=BBBBI")
_FLAG_BITS: Final = {"nodad": 0x02, "home": 0x10, "mngtmpaddr": 0x100, "noprefixroute": 0x200, "autojoin": 0x400}
_FOREVER: Final = 0xFFFFFFFF

AddressKey = tuple[int, bytes, int]
"""Interface, address, prefix length."""


def address_message(item: StaticAddress, links: Links, *, add: bool) -> bytes:
    """The request to add or to remove an address. Raises OSError for an interface that does not exist."""
    address = item.address
    local = _packed(address.address)
    flags = sum(bit for name, bit in _FLAG_BITS.items() if getattr(address, name))
    body = _BODY.pack(
        socket.AF_INET if address.family == 4 else socket.AF_INET6, _prefix_len(item), flags & 0xFF, address.scope,
        links.index(item.dev),
    )  # fmt: skip
    parts = [
        body,
        attribute(_LOCAL, local),
        attribute(_ADDRESS, _packed(address.peer) if address.peer is not None else local),
    ]
    if address.brd is not None:
        parts.append(attribute(_BROADCAST, _packed(address.brd)))
    if address.label is not None:
        parts.append(attribute(_LABEL, address.label.encode("utf-8", "surrogateescape") + b"\0"))
    if not add:
        return request(RTM_DELADDR, NLM_F_ACK, b"".join(parts))
    if flags:
        parts.append(u32(_FLAGS, flags))
    if address.family == 6 and address.preferred_lft_s is not None:
        parts.append(attribute(_CACHEINFO, struct.pack("=IIII", address.preferred_lft_s, _FOREVER, 0, 0)))
    return request(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, b"".join(parts))


def address_key(item: StaticAddress, links: Links) -> AddressKey:
    """By what a notification about the address is recognized. Raises OSError for an interface that does not exist."""
    return (links.index(item.dev), _packed(item.address.address), _prefix_len(item))


def address_key_of(body: bytes) -> AddressKey | None:
    """The key of the address that a notification is about; None if it names none."""
    if len(body) < _BODY.size:
        return None
    _, prefix_len, _, _, index = _BODY.unpack_from(body)
    found = attributes(body, _BODY.size)
    local = found.get(_LOCAL) or found.get(_ADDRESS)
    return None if local is None else (index, local, prefix_len)


def _prefix_len(item: StaticAddress) -> int:
    """With a peer the kernel's prefix length is the peer's."""
    address = item.address
    return address.prefix_len if address.peer is None or address.peer_prefix_len is None else address.peer_prefix_len


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
