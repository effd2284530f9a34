"""One address of an instance, or a static one."""

from __future__ import annotations

import msgspec

__all__ = ["VirtualAddress"]


class VirtualAddress(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One address with its options (config-keywords.md 4.1)."""

    address: str
    """Canonical text form, without prefix length."""
    prefix_len: int
    family: int
    """4 or 6."""
    dev: str | None = None
    """Interface that carries it; None = the interface of the instance."""
    scope: int = 0
    """Kernel scope number: 0 global, 200 site, 253 link, 254 host. IPv4 only."""
    brd: str | None = None
    """Broadcast address; `+` and `-` are resolved already. IPv4 only."""
    label: str | None = None
    peer: str | None = None
    """Point-to-point peer; its prefix length is `peer_prefix_len`."""
    peer_prefix_len: int | None = None
    use_vmac: bool = False
    """It is on a macvlan of its own on `dev`, one of the `address_vmacs` of the instance."""
    no_track: bool = False
    """The state of its interface does not matter, and its removal by somebody else is ignored."""
    nodad: bool = False
    """Skip duplicate address detection; True by default for IPv6, False for IPv4, where there is none."""
    home: bool = False
    mngtmpaddr: bool = False
    noprefixroute: bool = False
    autojoin: bool = False
    preferred_lft_s: int | None = None
    """Seconds; None = forever. 0 marks the address as deprecated, so it is never chosen as a source."""
