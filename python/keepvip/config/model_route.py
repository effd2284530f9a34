"""Routes, rules and static addresses, with the values that the kernel gets (config-keywords.md 4).

Names of tables, protocols, scopes and realms are numbers already; interfaces stay names, because they come and go.
"""

from __future__ import annotations

import msgspec

from keepvip.config.model_address import VirtualAddress  # noqa: TC001  (msgspec resolves annotations at run time)

__all__ = [
    "DEFAULT_PREFERENCE",
    "PROTOCOL",
    "TABLE_MAIN",
    "Encap",
    "Metric",
    "NextHop",
    "Route",
    "Rule",
    "StaticAddress",
    "TrackGroup",
]

PROTOCOL = 18
"""RTPROT_KEEPALIVED: who installed it, for every tool that looks. Tracked items always have it."""
TABLE_MAIN = 254
DEFAULT_PREFERENCE = 16384
"""Rules without a preference get this one and the ones below it, per family."""


class Metric(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One metric of a route in the kernel's unit: RTAX_RTT counts eighths and RTAX_RTTVAR quarters of milliseconds."""

    name: str
    """`mtu`, `rtt` ... as it is written."""
    value: int | str
    """Text for `congctl` only."""
    lock: bool = False


class Encap(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A light-weight tunnel."""

    kind: str
    """`ip`, `ip6`, `mpls` or `ila`."""
    id: int | None = None
    dst: str | None = None
    src: str | None = None
    tos: int | None = None
    """`tos` of ip, `tc` of ip6."""
    ttl: int | None = None
    """`ttl` of ip, `hoplimit` of ip6."""
    flags: int | None = None
    labels: tuple[int, ...] = ()
    """mpls, outermost first."""
    locator: int | None = None
    """ila: the 64 bits."""


class NextHop(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One path of several."""

    via: str | None = None
    dev: str | None = None
    weight: int | None = None
    """1..256; the kernel's default is 1."""
    onlink: bool = False
    encap: Encap | None = None
    realms: int | None = None


class Route(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One route (config-keywords.md 4.2)."""

    family: int
    """4 or 6."""
    dst: str | None
    """None: the default route."""
    dst_len: int = 0
    type: str = "unicast"
    """Or blackhole, unreachable, prohibit, throw, local, broadcast, anycast, multicast, nat."""
    src_prefix: str | None = None
    """`from`: IPv6 only."""
    src_prefix_len: int = 0
    via: str | None = None
    dev: str | None = None
    prefsrc: str | None = None
    table: int = TABLE_MAIN
    vrf: str | None = None
    """The table is that of this VRF device, whatever it is when the route is installed."""
    metric: int | None = None
    scope: int | None = None
    protocol: int = PROTOCOL
    tos: int = 0
    onlink: bool = False
    metrics: tuple[Metric, ...] = ()
    realms: int | None = None
    pref: int | None = None
    """ICMPv6 router preference as the kernel has it: 0 medium, 1 high, 3 low."""
    expires_s: int | None = None
    ttl_propagate: bool | None = None
    encap: Encap | None = None
    nexthops: tuple[NextHop, ...] = ()
    mode: str = "prepend"
    """`add` (none like it may exist), `append` or `prepend`."""
    no_track: bool = False
    track_group: str | None = None

    @property
    def interfaces(self) -> tuple[str, ...]:
        """Interfaces that it names."""
        named = [self.dev, *(hop.dev for hop in self.nexthops)]
        return tuple(dict.fromkeys(name for name in named if name is not None))


class Rule(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One rule (config-keywords.md 4.3)."""

    family: int
    action: str
    """`table`, `goto`, `nop`, `blackhole`, `unreachable`, `prohibit`, or `l3mdev`: the table of the VRF."""
    preference: int
    table: int | None = None
    goto: int | None = None
    src: str | None = None
    src_len: int = 0
    dst: str | None = None
    dst_len: int = 0
    iif: str | None = None
    oif: str | None = None
    fwmark: int | None = None
    fwmask: int | None = None
    inverted: bool = False
    tos: int = 0
    realms: int | None = None
    suppress_prefixlength: int | None = None
    suppress_ifgroup: int | None = None
    tun_id: int | None = None
    uidrange: tuple[int, int] | None = None
    ip_proto: int | None = None
    sport: tuple[int, int] | None = None
    dport: tuple[int, int] | None = None
    protocol: int = PROTOCOL
    no_track: bool = False
    track_group: str | None = None

    @property
    def interfaces(self) -> tuple[str, ...]:
        """Interfaces that it names."""
        return tuple(dict.fromkeys(name for name in (self.iif, self.oif) if name is not None))


class StaticAddress(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An address that is there while the daemon runs."""

    address: VirtualAddress
    dev: str
    track_group: str | None = None

    @property
    def no_track(self) -> bool:
        """Its removal by somebody else is ignored."""
        return self.address.no_track

    @property
    def interfaces(self) -> tuple[str, ...]:
        """The interface that carries it."""
        return (self.dev,)


class TrackGroup(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Instances that follow the interfaces of the static items which name the group (config-keywords.md 3)."""

    name: str
    members: tuple[str, ...]
