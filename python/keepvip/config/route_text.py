"""Routes and rules in one line, in the words of keepalived's dumps and log (vrrp-behaviour.md 14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepvip.config.model_route import PROTOCOL, TABLE_MAIN

if TYPE_CHECKING:
    from keepvip.config.model_route import Encap, Metric, NextHop, Route, Rule

__all__ = ["route_text", "rule_text"]

_PREFERENCES = {0: "medium", 1: "high", 3: "low"}
_PER_MS = {"rtt": 8, "rttvar": 4, "rto_min": 1}


def route_text(route: Route) -> str:
    """`prepend 10.1.0.0/24 via inet 10.0.0.2 dev eth0 proto 18`."""
    words = [route.mode]
    if route.type != "unicast":
        words.append(route.type)
    words.append(_prefix(route.dst, route.dst_len, route.family))
    if route.src_prefix is not None:
        words += ["from", _prefix(route.src_prefix, route.src_prefix_len, route.family)]
    if route.prefsrc is not None:
        words += ["src", route.prefsrc]
    if route.tos:
        words += ["tos", str(route.tos)]
    if route.encap is not None:
        words += _encap(route.encap)
    if route.via is not None:
        words += _via(route.via)
    if route.dev is not None:
        words += ["dev", route.dev]
    if route.vrf is not None:
        words += ["vrf", route.vrf]
    elif route.table != TABLE_MAIN:
        words += ["table", str(route.table)]
    if not route.no_track or route.protocol != PROTOCOL:
        words += ["proto", str(route.protocol)]
    for name, number in (("scope", route.scope), ("metric", route.metric)):
        if number is not None:
            words += [name, str(number)]
    if route.onlink:
        words.append("onlink")
    if route.realms is not None:
        words += ["realms", _realms(route.realms)]
    for metric in route.metrics:
        words += _metric(metric)
    if route.expires_s is not None:
        words += ["expires", f"{route.expires_s}sec"]
    if route.pref is not None:
        words += ["pref", _PREFERENCES[route.pref]]
    if route.ttl_propagate is not None:
        words += ["ttl-propagate", "enabled" if route.ttl_propagate else "disabled"]
    for hop in route.nexthops:
        words += _hop(hop)
    if route.no_track or route.dev is None:  # without `dev` there is no interface to follow
        words.append("no_track")
    if route.track_group is not None:
        words += ["track_group", route.track_group]
    return " ".join(words)


def rule_text(rule: Rule) -> str:
    """`from 10.1.0.0/24 priority 100 tos 0x0 protocol 18 lookup 100`."""
    words = ["not"] if rule.inverted else []
    if rule.src is not None or rule.dst is None:
        words += ["from", _prefix(rule.src, rule.src_len, rule.family) if rule.src is not None else "all"]
    if rule.dst is not None:
        words += ["to", _prefix(rule.dst, rule.dst_len, rule.family)]
    words += ["priority", str(rule.preference), "tos", hex(rule.tos)]
    if rule.fwmark is not None or rule.fwmask is not None:
        mask = f"/{rule.fwmask:#x}" if rule.fwmask is not None else ""
        words += ["fwmark", f"{rule.fwmark or 0:#x}{mask}"]
    for name, interface in (("iif", rule.iif), ("oif", rule.oif)):
        if interface is not None:
            words += [name, interface]
    numbers = (
        ("suppress_prefixlen", rule.suppress_prefixlength),
        ("suppress_ifgroup", rule.suppress_ifgroup),
        ("tunnel-id", rule.tun_id),
    )
    for name, number in numbers:
        if number is not None:
            words += [name, str(number)]
    if rule.uidrange is not None:
        words += ["uidrange", _span(rule.uidrange)]
    if rule.action == "l3mdev":
        words.append("l3mdev")
    if not rule.no_track or rule.protocol != PROTOCOL:
        words += ["protocol", str(rule.protocol)]
    if rule.ip_proto is not None:
        words += ["ipproto", str(rule.ip_proto)]
    for name, ports in (("sport", rule.sport), ("dport", rule.dport)):
        if ports is not None:
            words += [name, _span(ports)]
    if rule.realms is not None:
        words += ["realms", _realms(rule.realms)]
    words += _action(rule)
    if rule.no_track:
        words.append("no_track")
    if rule.track_group is not None:
        words += ["track_group", rule.track_group]
    return " ".join(words)


def _action(rule: Rule) -> list[str]:
    if rule.action in {"table", "l3mdev"}:
        return ["lookup", str(rule.table or 0)]
    if rule.action == "goto":
        return ["goto", str(rule.goto)]
    return ["type", rule.action]


def _prefix(address: str | None, length: int, family: int) -> str:
    if address is None:
        return "default"
    return address if length == (32 if family == 4 else 128) else f"{address}/{length}"


def _via(address: str) -> list[str]:
    return ["via", "inet6" if ":" in address else "inet", address]


def _realms(realms: int) -> str:
    return f"{realms >> 16}/{realms & 0xFFFF}" if realms >> 16 else str(realms)


def _span(span: tuple[int, int]) -> str:
    return f"{span[0]}-{span[1]}"


def _hop(hop: NextHop) -> list[str]:
    words = ["nexthop"]
    if hop.via is not None:
        words += _via(hop.via)
    if hop.dev is not None:
        words += ["dev", hop.dev]
    if hop.weight is not None:
        words += ["weight", str(hop.weight)]
    if hop.onlink:
        words.append("onlink")
    if hop.encap is not None:
        words += _encap(hop.encap)
    if hop.realms is not None:
        words += ["realms", _realms(hop.realms)]
    return words


def _metric(metric: Metric) -> list[str]:
    words = [metric.name, *(["lock"] if metric.lock else [])]
    if metric.name in _PER_MS and isinstance(metric.value, int):
        ms = metric.value / _PER_MS[metric.name]
        words.append(f"{ms / 1000:g}s" if ms >= 1000 else f"{ms:g}ms")
    else:
        words.append("ecn" if metric.name == "features" else str(metric.value))
    return words


def _encap(encap: Encap) -> list[str]:
    words = ["encap", encap.kind]
    if encap.kind == "mpls":
        return [*words, "/".join(map(str, encap.labels))]
    if encap.kind == "ila":
        groups = [f"{(encap.locator or 0) >> shift & 0xFFFF:x}" for shift in (48, 32, 16, 0)]
        return [*words, ":".join(groups)]
    names = ("tos", "ttl") if encap.kind == "ip" else ("tc", "hoplimit")
    parts = (
        ("id", encap.id), ("dst", encap.dst), ("src", encap.src), (names[0], encap.tos), (names[1], encap.ttl),
        ("flags", encap.flags),
    )  # fmt: skip
    for name, value in parts:
        if value is not None:
            words += [name, str(value)]
    return words
