"""What the kernel knows of interfaces: rtnetlink(7) RTM_NEWLINK and RTM_NEWADDR, as far as links of our own need it."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

import msgspec

from keepvip.net.wire import NLM_F_DUMP, attributes, request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keepvip.net.requests import Requests

__all__ = ["Address", "Link", "Snapshot", "link_of", "read_snapshot"]

IFF_UP: Final = 1
RTM_NEWLINK: Final = 16
RTM_GETLINK: Final = 18
RTM_NEWADDR: Final = 20
RTM_GETADDR: Final = 22
MACVLAN_MODE_PRIVATE: Final = 1

IFLA_ADDRESS: Final = 1
IFLA_IFNAME: Final = 3
IFLA_LINK: Final = 5
IFLA_MASTER: Final = 10
IFLA_LINKINFO: Final = 18
IFLA_AF_SPEC: Final = 26
IFLA_GROUP: Final = 27
_IFLA_EXT_MASK: Final = 29
IFLA_LINK_NETNSID: Final = 37
IFLA_INFO_KIND: Final = 1
IFLA_INFO_DATA: Final = 2
IFLA_MACVLAN_MODE: Final = 1
IFLA_INET_CONF: Final = 1
_IFLA_INET6_CONF: Final = 2
IFLA_INET6_ADDR_GEN_MODE: Final = 8
_SKIP_STATS: Final = struct.pack("=HHI", 8, _IFLA_EXT_MASK, 1 << 3)
_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2
_IFA_FLAGS: Final = 8
_IFA_F_TENTATIVE: Final = 0x40
_IFA_F_DADFAILED: Final = 0x08
_DISABLE_IPV6: Final = 26
_U32: Final = struct.Struct("=I")
LINK_BODY: Final = struct.Struct("=BxHiII")
ADDRESS_BODY: Final = struct.Struct("=BBBBI")

IPV4_SETTINGS: Final = {
    "rp_filter": 8,
    "arp_filter": 13,
    "arp_announce": 18,
    "arp_ignore": 19,
    "promote_secondaries": 20,
    "accept_local": 23,
}
"""IPV4_DEVCONF_*: the place of each in the kernel's array."""


class Link(msgspec.Struct, frozen=True, gc=False):
    """One interface."""

    index: int
    name: str
    flags: int
    kind: str
    mac: str
    below: int
    """Index of the interface below, in this namespace; 0 without."""
    master: int
    group: int
    mode: int
    """Of a macvlan."""
    ipv4: bytes
    """IPV4_DEVCONF_*, from 1 on."""
    ipv6: bytes
    """DEVCONF_*, from 0 on; empty without IPv6."""
    address_generation: int
    """0 as usual, 1 none."""

    @property
    def up(self) -> bool:
        """Administratively."""
        return bool(self.flags & IFF_UP)

    def setting(self, name: str) -> int | None:
        """The value of net.ipv4.conf.LINK.`name`; None without IPv4."""
        place = (IPV4_SETTINGS[name] - 1) * 4
        return int(_U32.unpack_from(self.ipv4, place)[0]) if len(self.ipv4) >= place + 4 else None

    @property
    def ipv6_disabled(self) -> bool | None:
        """net.ipv6.conf.LINK.disable_ipv6; None where there is no IPv6 at all."""
        values = self.ipv6[_DISABLE_IPV6 * 4 : _DISABLE_IPV6 * 4 + 4]
        return any(values) if values else None


class Address(msgspec.Struct, frozen=True, gc=False):
    """One IPv4 or IPv6 address."""

    index: int
    text: str
    prefix_len: int
    usable: bool
    """Neither tentative nor found to be somebody else's."""


class Snapshot:
    """All interfaces of a network namespace at one moment, and the addresses that were asked for."""

    def __init__(self, links: Iterable[Link], addresses: Iterable[Address] = ()) -> None:
        self.links = {link.index: link for link in links}
        self.by_name = {link.name: link for link in self.links.values()}
        self.addresses: dict[int, list[Address]] = {}
        for address in addresses:
            self.addresses.setdefault(address.index, []).append(address)

    def base(self, parent: Link) -> Link:
        """What the kernel puts a macvlan on when asked for one on `parent`: on a macvlan it stands beside it."""
        if parent.kind == "macvlan":
            return self.links.get(parent.below, parent)
        return parent

    def vrf(self, link: Link) -> int:
        """Index of the VRF that an interface belongs to; 0 without."""
        master = self.links.get(link.master)
        return master.index if master is not None and master.kind == "vrf" else 0

    def link_local(self, index: int) -> str | None:
        """The IPv6 link-local address of an interface, usable ones first."""
        found = [address for address in self.addresses.get(index, ()) if address.text.startswith("fe80:")]
        return min(found, key=lambda address: not address.usable).text if found else None


def link_of(body: bytes) -> Link | None:
    """An interface out of the body of RTM_NEWLINK or RTM_DELLINK; None: it is about something else (a bridge port)."""
    family, _, index, flags, _ = LINK_BODY.unpack_from(body)
    if family != socket.AF_UNSPEC:
        return None
    found = attributes(body, LINK_BODY.size)
    info = attributes(found.get(IFLA_LINKINFO, b""))
    kind = info.get(IFLA_INFO_KIND, b"").rstrip(b"\0").decode("ascii", "replace")
    mode = attributes(info.get(IFLA_INFO_DATA, b"")).get(IFLA_MACVLAN_MODE, b"") if kind == "macvlan" else b""
    families = attributes(found.get(IFLA_AF_SPEC, b""))
    inet = attributes(families.get(socket.AF_INET, b""))
    inet6 = attributes(families.get(socket.AF_INET6, b""))
    return Link(
        index=index,
        name=found.get(IFLA_IFNAME, b"").rstrip(b"\0").decode("utf-8", "surrogateescape"),
        flags=flags,
        kind=kind,
        mac=found.get(IFLA_ADDRESS, b"").hex(":"),
        below=_number(found.get(IFLA_LINK)) if IFLA_LINK_NETNSID not in found else 0,
        master=_number(found.get(IFLA_MASTER)),
        group=_number(found.get(IFLA_GROUP)),
        mode=_number(mode),
        ipv4=inet.get(IFLA_INET_CONF, b""),
        ipv6=inet6.get(_IFLA_INET6_CONF, b""),
        address_generation=(inet6.get(IFLA_INET6_ADDR_GEN_MODE) or b"\0")[0],
    )


def address_of(body: bytes) -> Address | None:
    """An address out of the body of RTM_NEWADDR; None: of neither IPv4 nor IPv6."""
    family, prefix_len, flags, _, index = ADDRESS_BODY.unpack_from(body)
    found = attributes(body, ADDRESS_BODY.size)
    packed = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS) or b""
    if (family, len(packed)) not in {(socket.AF_INET, 4), (socket.AF_INET6, 16)}:
        return None
    flags |= _number(found.get(_IFA_FLAGS))
    usable = not flags & (_IFA_F_TENTATIVE | _IFA_F_DADFAILED)
    return Address(index, socket.inet_ntop(family, packed), prefix_len, usable)


def _number(value: bytes | None) -> int:
    return int(_U32.unpack(value)[0]) if value is not None and len(value) == 4 else 0


def read_snapshot(requests: Requests, *, addresses: bool) -> Snapshot:
    """Asks the kernel. Raises OSError."""
    dump = request(RTM_GETLINK, NLM_F_DUMP, LINK_BODY.pack(0, 0, 0, 0, 0) + _SKIP_STATS)
    links = [link for kind, body in requests.dump(dump) if kind == RTM_NEWLINK and (link := link_of(body)) is not None]
    if not addresses:
        return Snapshot(links)
    ask = request(RTM_GETADDR, NLM_F_DUMP, ADDRESS_BODY.pack(0, 0, 0, 0, 0))
    answer = requests.dump(ask)
    return Snapshot(
        links,
        [found for kind, body in answer if kind == RTM_NEWADDR and (found := address_of(body)) is not None],
    )
