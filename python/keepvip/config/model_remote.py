"""What other programs may ask the daemon by SNMP and D-Bus (config-keywords.md 2.5). Neither is served yet."""

from __future__ import annotations

import msgspec

__all__ = ["DbusService", "SnmpAgent"]


class SnmpAgent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The parts of the AgentX subagent."""

    socket: str | None = None
    """Where the master agent listens; None = the default of SNMP."""
    traps: bool = False
    vrrp: bool = False
    """The VRRP part of the keepalived MIB."""
    rfc2787: bool = False
    rfc6527: bool = False
    checker: bool = False
    """The checker part of the keepalived MIB."""
    service_interval_us: int = 5_000_000
    """How old statistics of virtual servers may be."""
    server_interval_us: int = 5_000_000
    """How old statistics of real servers may be."""


class DbusService(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The service on the system bus."""

    bus_name: str = "org.keepalived.Vrrp1"
    no_interface_name: str = "none"
    """Stands in the paths of instances without an interface."""
