"""What is configured of interfaces as such, whichever instances are on them (config-keywords.md 6)."""

from __future__ import annotations

import msgspec

__all__ = ["InterfaceRule", "Pace"]


class Pace(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Announcements that keep a distance from each other (`garp_group`)."""

    group: int
    """Interfaces with the same number share the distance."""
    garp_interval_us: int = 0
    """0 = that of the instance."""
    gna_interval_us: int = 0


class InterfaceRule(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One interface."""

    name: str
    down_delay_us: int = 0
    """How long it must be down to be believed."""
    up_delay_us: int = 0
    """How long it must be up to be believed, the first time apart."""
    pace: Pace | None = None
    polling: str | None = None
    """Its driver is asked for the state: by `MII`, `ETHTOOL` or `IOCTL` first; empty = in this order."""
