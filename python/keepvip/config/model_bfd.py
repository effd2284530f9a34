"""BFD sessions and who depends on them (config-keywords.md 11). Nothing sets them up yet; the start says so."""

from __future__ import annotations

import msgspec

__all__ = ["BfdSession", "BfdTrack"]


class BfdSession(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A `bfd_instance`: one session with one peer (RFC 5880, RFC 5881)."""

    name: str
    neighbour: str
    """Canonical text form."""
    family: int
    """4 or 6."""
    source: str | None = None
    """Local address, of the same family; None = as the routes say."""
    min_rx_us: int = 10_000
    """Required minimum receive interval."""
    min_tx_us: int = 10_000
    """Desired transmit interval, once up."""
    idle_tx_us: int = 1_000_000
    """Transmit interval while not up."""
    multiplier: int = 5
    passive: bool = False
    """Says nothing before the peer does."""
    ttl: int = 255
    """TTL or hop limit of what is sent."""
    max_hops: int = 0
    """By how much the received TTL may be below `ttl`; -1 = no limit."""
    multihop: bool = False
    """RFC 5883: port 4784 instead of 3784."""
    weight: int = 0
    """Where a tracker gives none."""
    reverse: bool = False
    vrrp: bool = True
    """Virtual routers may depend on it."""
    checker: bool = True
    """Health checks may depend on it."""


class BfdTrack(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A line of a `track_bfd` block."""

    owner: str
    """Name of the instance or sync group."""
    of_group: bool
    session: str
    """Name of an existing session."""
    weight: int = 0
    """0: FAULT while the session is down."""
    reverse: bool = False
