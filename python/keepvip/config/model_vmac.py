"""Links that keepvip makes itself to put addresses on: macvlans with a virtual MAC, ipvlans (vrrp-behaviour.md 11)."""

from __future__ import annotations

import msgspec

__all__ = ["Vmac", "VmacKey"]

VmacKey = tuple[str, str, str]
"""(kind, parent, MAC of a macvlan or name of an ipvlan): what makes two wishes the same link."""


class Vmac(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One link that shall exist. What it is called in the end depends on what exists already."""

    parent: str
    """Interface below."""
    vrid: int
    family: int
    """4 or 6: what it is for in the first place, and what a name that is taken is replaced by."""
    kind: str = "macvlan"
    """`macvlan` or `ipvlan`."""
    mac: str = ""
    """Of a macvlan: six octets in lower case."""
    name: str | None = None
    """As configured; None: PREFIX.VRID."""
    prefix: str = "vrrp"
    group: int | None = None
    """Interface group; None: that of the parent."""
    ipv6: bool = False
    """It has IPv6 addresses; otherwise IPv6 is turned off on it."""
    link_local: bool = False
    """It has the link-local address of the parent, to send from."""
    mode: str = "private"
    """Of an ipvlan: `bridge`, `private` or `vepa`. A macvlan is always private."""
    address: str | None = None
    """Of an ipvlan: its own address, where adverts come from."""
    prefix_len: int = 0

    @property
    def usual_name(self) -> str:
        """What it is called where nothing stands in the way."""
        return self.name or f"{self.prefix[: 15 - len(f'.{self.vrid}')]}.{self.vrid}"

    @property
    def makes_own_address(self) -> bool:
        """The kernel gives it the link-local address that it sends from."""
        return self.kind == "ipvlan" and self.ipv6 and self.address is None

    @property
    def key(self) -> VmacKey:
        """Wishes with the same key are served by one link."""
        return (self.kind, self.parent, self.mac or self.name or str(self.vrid))
