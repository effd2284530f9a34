"""Routing rules as rtnetlink messages (linux/fib_rules.h)."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

from keepvip.net.wire import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, attribute, attributes, request, u8, u32

if TYPE_CHECKING:
    from keepvip.config.model_route import Rule

__all__ = ["RuleKey", "rule_key", "rule_key_of", "rule_message"]

RTM_NEWRULE: Final = 32
RTM_DELRULE: Final = 33

_DST, _SRC, _IIFNAME, _GOTO, _PRIORITY, _FWMARK, _FLOW, _TUN_ID = 1, 2, 3, 4, 6, 10, 11, 12
_SUPPRESS_IFGROUP, _SUPPRESS_PREFIXLEN, _TABLE, _FWMASK, _OIFNAME = 13, 14, 15, 16, 17
_L3MDEV, _UID_RANGE, _PROTOCOL, _IP_PROTO, _SPORT_RANGE, _DPORT_RANGE = 19, 20, 21, 22, 23, 24
_BODY: Final = struct.Struct("=BBBBBBBBI")
_INVERT: Final = 2
_ACTIONS: Final = {"table": 1, "l3mdev": 1, "goto": 2, "nop": 3, "blackhole": 6, "unreachable": 7, "prohibit": 8}
_TABLE_COMPAT: Final = 252

RuleKey = tuple[int, int]
"""Family and preference: a change concerns all rules of ours that share them."""


def rule_message(rule: Rule, *, add: bool) -> bytes:
    """The request to add or to remove a rule. Interfaces of rules are names in the kernel too and need not exist."""
    table = rule.table or 0
    body = _BODY.pack(
        _family(rule), rule.dst_len, rule.src_len, rule.tos, table if table < 256 else _TABLE_COMPAT, 0, 0,
        _ACTIONS[rule.action], _INVERT if rule.inverted else 0,
    )  # fmt: skip
    parts = [body, u32(_PRIORITY, rule.preference)]
    for kind, address in ((_SRC, rule.src), (_DST, rule.dst)):
        if address is not None:
            parts.append(attribute(kind, socket.inet_pton(_family(rule), address)))
    for kind, name in ((_IIFNAME, rule.iif), (_OIFNAME, rule.oif)):
        if name is not None:
            parts.append(attribute(kind, name.encode() + b"\0"))
    numbers = (
        (_FWMARK, rule.fwmark), (_FWMASK, rule.fwmask), (_GOTO, rule.goto), (_FLOW, rule.realms),
        (_SUPPRESS_PREFIXLEN, rule.suppress_prefixlength), (_SUPPRESS_IFGROUP, rule.suppress_ifgroup),
    )  # fmt: skip
    parts += [u32(kind, number) for kind, number in numbers if number is not None]
    if table > 255:
        parts.append(u32(_TABLE, table))
    if rule.tun_id is not None:
        parts.append(attribute(_TUN_ID, struct.pack(">Q", rule.tun_id)))
    if rule.uidrange is not None:
        parts.append(attribute(_UID_RANGE, struct.pack("=II", *rule.uidrange)))
    if rule.ip_proto is not None:
        parts.append(u8(_IP_PROTO, rule.ip_proto))
    for kind, ports in ((_SPORT_RANGE, rule.sport), (_DPORT_RANGE, rule.dport)):
        if ports is not None:
            parts.append(attribute(kind, struct.pack("=HH", *ports)))
    if rule.action == "l3mdev":
        parts.append(u8(_L3MDEV, 1))
    parts.append(u8(_PROTOCOL, rule.protocol))
    kind, flags = (RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL) if add else (RTM_DELRULE, 0)
    return request(kind, NLM_F_ACK | flags, b"".join(parts))


def rule_key(rule: Rule) -> RuleKey:
    """By what a notification about the rule is recognized."""
    return (_family(rule), rule.preference)


def rule_key_of(body: bytes) -> RuleKey | None:
    """The key of the rule that a notification is about; None if it is too short."""
    if len(body) < _BODY.size:
        return None
    priority = attributes(body, _BODY.size).get(_PRIORITY, b"")
    return (body[0], struct.unpack("=I", priority)[0] if len(priority) == 4 else 0)


def _family(rule: Rule) -> int:
    return socket.AF_INET if rule.family == 4 else socket.AF_INET6
