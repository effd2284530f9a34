"""Routes as rtnetlink messages (linux/rtnetlink.h, linux/lwtunnel.h)."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

from keepvip.net.wire import (
    NLM_F_ACK,
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_EXCL,
    attribute,
    attributes,
    nested,
    request,
    u8,
    u16,
    u32,
)

if TYPE_CHECKING:
    from keepvip.config.model_route import Encap, NextHop, Route
    from keepvip.net.links import Links

__all__ = ["RouteKey", "route_key", "route_key_of", "route_message"]

RTM_NEWROUTE: Final = 24
RTM_DELROUTE: Final = 25

_DST, _SRC, _OIF, _GATEWAY, _PRIORITY, _PREFSRC, _METRICS, _MULTIPATH = 1, 2, 4, 5, 6, 7, 8, 9
_FLOW, _TABLE, _VIA, _PREF, _ENCAP_TYPE, _ENCAP, _EXPIRES, _TTL_PROPAGATE = 11, 15, 18, 20, 21, 22, 23, 26
_RTNH_F_ONLINK: Final = 4
_BODY: Final = struct.Struct("=BBBBBBBBI")
_HOP: Final = struct.Struct("=HBBi")
_TABLE_COMPAT: Final = 252
"""What the header says of tables that do not fit into its byte."""
_IPV6_METRIC: Final = 1024
"""What the kernel makes of an IPv6 route without metric."""

_TYPES: Final = {
    "unicast": 1, "local": 2, "broadcast": 3, "anycast": 4, "multicast": 5, "blackhole": 6, "unreachable": 7,
    "prohibit": 8, "throw": 9, "nat": 10,
}  # fmt: skip
_SCOPES: Final = {"local": 254, "nat": 254, "broadcast": 253, "anycast": 253}
"""Types that the kernel does not take with the global scope, and the scope that they have without being told one."""
_METRIC_KINDS: Final = {
    "mtu": 2, "window": 3, "rtt": 4, "rttvar": 5, "ssthresh": 6, "cwnd": 7, "advmss": 8, "reordering": 9,
    "hoplimit": 10, "initcwnd": 11, "features": 12, "rto_min": 13, "initrwnd": 14, "quickack": 15, "congctl": 16,
    "fastopen_no_cookie": 17,
}  # fmt: skip
_RTAX_LOCK: Final = 1
_ENCAP_KINDS: Final = {"mpls": 1, "ip": 2, "ila": 3, "ip6": 4}
_MODES: Final = {
    "add": NLM_F_CREATE | NLM_F_EXCL,
    "append": NLM_F_CREATE | NLM_F_APPEND,
    "prepend": NLM_F_CREATE,
}

RouteKey = tuple[int, int, bytes, int, bytes, int, int, int]
"""Family, table, destination, its length, source, its length, TOS, metric: what the kernel tells routes apart by.
Several routes of ours may share one."""


def route_message(route: Route, links: Links, *, add: bool) -> bytes:
    """The request to add or to remove a route. Raises OSError for an interface that does not exist."""
    family = _family(route.family)
    table = _table(route, links)
    scope = route.scope if route.scope is not None else _SCOPES.get(route.type, 0) if route.family == 4 else 0
    header = _BODY.pack(
        family, route.dst_len, route.src_prefix_len, route.tos, table if table < 256 else _TABLE_COMPAT,
        route.protocol, scope, _TYPES[route.type], _RTNH_F_ONLINK if route.onlink else 0,
    )  # fmt: skip
    parts = [header]
    if route.dst is not None and route.dst_len:
        parts.append(attribute(_DST, _packed(route.dst)))
    if route.src_prefix is not None and route.src_prefix_len:
        parts.append(attribute(_SRC, _packed(route.src_prefix)))
    if route.prefsrc is not None:
        parts.append(attribute(_PREFSRC, _packed(route.prefsrc)))
    if route.via is not None:
        parts.append(_gateway(route.via, route.family))
    if table > 255:
        parts.append(u32(_TABLE, table))
    if route.dev is not None:
        parts.append(u32(_OIF, links.index(route.dev)))
    if (metric := _metric(route)) and (route.metric is not None or not add):
        parts.append(u32(_PRIORITY, metric))
    if route.encap is not None:
        parts += _encap(route.encap)
    if route.metrics:
        parts.append(_metrics(route))
    if route.realms is not None:
        parts.append(u32(_FLOW, route.realms))
    if route.pref is not None:
        parts.append(u8(_PREF, route.pref))
    if route.expires_s is not None and add:
        parts.append(u32(_EXPIRES, route.expires_s))
    if route.ttl_propagate is not None:
        parts.append(u8(_TTL_PROPAGATE, route.ttl_propagate))
    if route.nexthops:
        parts.append(attribute(_MULTIPATH, b"".join(_hop(hop, route.family, links) for hop in route.nexthops)))
    kind, flags = (RTM_NEWROUTE, _MODES[route.mode]) if add else (RTM_DELROUTE, 0)
    return request(kind, NLM_F_ACK | flags, b"".join(parts))


def route_key(route: Route, links: Links) -> RouteKey:
    """By what a notification about the route is recognized. Raises OSError for a VRF device that does not exist."""
    dst = _masked(route.dst, route.dst_len)
    src = _masked(route.src_prefix, route.src_prefix_len)
    return (
        _family(route.family), _table(route, links), dst, route.dst_len, src, route.src_prefix_len, route.tos,
        _metric(route),
    )  # fmt: skip


def route_key_of(body: bytes) -> RouteKey | None:
    """The key of the route that a notification is about; None if it is too short."""
    if len(body) < _BODY.size:
        return None
    family, dst_len, src_len, tos, table = _BODY.unpack_from(body)[:5]
    found = attributes(body, _BODY.size)
    if len(found.get(_TABLE, b"")) == 4:
        (table,) = struct.unpack("=I", found[_TABLE])
    metric = struct.unpack("=I", found[_PRIORITY])[0] if len(found.get(_PRIORITY, b"")) == 4 else 0
    return (family, table, found.get(_DST, b""), dst_len, found.get(_SRC, b""), src_len, tos, metric)


def _table(route: Route, links: Links) -> int:
    return route.table if route.vrf is None else links.vrf_table(route.vrf)


def _metric(route: Route) -> int:
    return route.metric or (_IPV6_METRIC if route.family == 6 else 0)


def _family(family: int) -> int:
    return socket.AF_INET if family == 4 else socket.AF_INET6


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _masked(address: str | None, length: int) -> bytes:
    """As the kernel tells it: without host bits, and nothing at all without any bits."""
    if address is None or not length:
        return b""
    packed = _packed(address)
    host_bits = len(packed) * 8 - length
    return (int.from_bytes(packed) >> host_bits << host_bits).to_bytes(len(packed))


def _gateway(via: str, family: int) -> bytes:
    """RTA_VIA where the gateway is of another family than the route."""
    packed = _packed(via)
    if len(packed) == (4 if family == 4 else 16):
        return attribute(_GATEWAY, packed)
    return attribute(_VIA, struct.pack("=H", socket.AF_INET6 if len(packed) == 16 else socket.AF_INET) + packed)


def _metrics(route: Route) -> bytes:
    parts = []
    locks = 0
    for metric in route.metrics:
        kind = _METRIC_KINDS[metric.name]
        if metric.lock:
            locks |= 1 << kind
        if isinstance(metric.value, str):
            parts.append(attribute(kind, metric.value.encode() + b"\0"))
        else:
            parts.append(u32(kind, metric.value))
    if locks:
        parts.append(u32(_RTAX_LOCK, locks))
    return nested(_METRICS, *parts)


def _hop(hop: NextHop, family: int, links: Links) -> bytes:
    parts = []
    if hop.via is not None:
        parts.append(_gateway(hop.via, family))
    if hop.encap is not None:
        parts += _encap(hop.encap)
    if hop.realms is not None:
        parts.append(u32(_FLOW, hop.realms))
    inner = b"".join(parts)
    flags = _RTNH_F_ONLINK if hop.onlink else 0
    index = links.index(hop.dev) if hop.dev is not None else 0
    return _HOP.pack(_HOP.size + len(inner), flags, (hop.weight or 1) - 1, index) + inner


def _encap(encap: Encap) -> list[bytes]:
    """RTA_ENCAP with the parameters, then RTA_ENCAP_TYPE."""
    if encap.kind == "mpls":
        inner = attribute(1, b"".join(_label(encap.labels, index) for index in range(len(encap.labels))))
    elif encap.kind == "ila":
        inner = attribute(1, struct.pack(">Q", encap.locator or 0))
    else:
        inner = _ip_encap(encap)
    return [attribute(_ENCAP, inner), u16(_ENCAP_TYPE, _ENCAP_KINDS[encap.kind])]


def _ip_encap(encap: Encap) -> bytes:
    """LWTUNNEL_IP_* and LWTUNNEL_IP6_*, which have the same numbers."""
    ttl, tos = 4, 5
    parts = []
    if encap.id is not None:
        parts.append(attribute(1, struct.pack(">Q", encap.id)))
    if encap.dst is not None:
        parts.append(attribute(2, _packed(encap.dst)))
    if encap.src is not None:
        parts.append(attribute(3, _packed(encap.src)))
    if encap.tos is not None:
        parts.append(u8(tos, encap.tos))
    if encap.ttl is not None:
        parts.append(u8(ttl, encap.ttl))
    if encap.flags is not None:
        parts.append(attribute(6, struct.pack(">H", encap.flags)))
    return b"".join(parts)


def _label(labels: tuple[int, ...], index: int) -> bytes:
    """RFC 3032: label, bottom of stack at the last one."""
    return struct.pack(">I", labels[index] << 12 | (0x100 if index == len(labels) - 1 else 0))
