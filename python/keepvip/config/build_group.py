"""Groups of virtual servers: addresses, ranges and firewall marks (config-keywords.md 13)."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import msgspec

from keepvip.config.diagnostic import ConfigTestClass, Related
from keepvip.config.keywords.arguments import OPTIONAL_PORT
from keepvip.config.model_service import Entry, address_number
from keepvip.config.values import Address, read, read_address, read_prefix

if TYPE_CHECKING:
    from keepvip.config.settings import Context, Setting, Settings
    from keepvip.config.tree import Node

__all__ = ["Group", "build_groups"]

MAX_ADDRESSES = 65_536
"""Services that one entry may stand for: each is one in the kernel, and one mistyped length should not be millions."""
_MAX_MARK = 0xFFFFFFFF
_FAMILIES = {"inet": 4, "inet6": 6}


class Group(msgspec.Struct, frozen=True):
    """A group that has entries."""

    name: str
    entries: tuple[Entry, ...]
    """Marks without a family have family 0."""


def build_groups(ctx: Context, root: Settings) -> dict[str, Group]:
    """All usable groups by name."""
    found: dict[str, Group] = {}
    first: dict[str, Setting] = {}
    setting = root.get("virtual_server_group")
    for block in setting.all() if setting is not None else []:
        name = str(block.value)
        if first.setdefault(name, block) is not block:
            ctx.diagnostics.error(
                "duplicate-name",
                f"there is a virtual_server_group `{name}` already: this one is skipped",
                block.span,
                related=[Related("the first one is here", first[name].span)],
            )
            continue
        entries = [entry for node in block.node.children or () if (entry := _entry(ctx, name, node)) is not None]
        if entries:
            found[name] = Group(name, tuple(entries))
        else:
            ctx.diagnostics.error(
                "empty-group", f"virtual_server_group `{name}` has no usable entry and is dropped", block.span
            )
    return found


def _entry(ctx: Context, group: str, node: Node) -> Entry | None:
    words = (node.keyword, *node.args)
    if words[0] == "fwmark":
        return _mark(ctx, group, node, words)
    bounds = _range(words[0])
    if isinstance(bounds, str):
        ctx.diagnostics.error(
            "invalid-value",
            f"virtual_server_group `{group}`: `{words[0]}` {bounds}: the entry is dropped",
            node.span,
            expected="ADDRESS, ADDRESS-LAST or ADDRESS/LENGTH",
        )
        return None
    family, first, last = bounds
    port = 0
    if len(words) > 1:
        value = read(OPTIONAL_PORT, words[1])
        if not isinstance(value, int):
            ctx.diagnostics.error(
                "invalid-number",
                f"virtual_server_group `{group}`: `{words[1]}` is no port: the entry is dropped",
                node.arg_span(0),
                expected="1..65535",
                kind=ConfigTestClass.INVALID_NUMBER,
            )
            return None
        port = value
    if len(words) > 2:
        _extra(ctx, node, 1)
    entry = Entry(family=family, first=first, last=last, port=port)
    if entry.count > MAX_ADDRESSES:
        ctx.diagnostics.error(
            "large-range",
            f"virtual_server_group `{group}`: `{words[0]}` has {entry.count} addresses: the entry is dropped",
            node.span,
            expected=f"at most {MAX_ADDRESSES}",
            hint="use a firewall mark for many addresses",
        )
        return None
    return entry


def _mark(ctx: Context, group: str, node: Node, words: tuple[str, ...]) -> Entry | None:
    if len(words) > 1 and words[1] == "0":
        ctx.diagnostics.warning(
            "adjusted-value",
            f"virtual_server_group `{group}`: `fwmark 0` is what packets without a mark have: the entry is dropped",
            node.statement_span,
            expected=f"1..{_MAX_MARK}",
        )
        return None
    mark = int(words[1]) if len(words) > 1 and words[1].isascii() and words[1].isdigit() and len(words[1]) < 11 else 0
    if not 0 < mark <= _MAX_MARK:
        ctx.diagnostics.error(
            "invalid-number",
            f"virtual_server_group `{group}`: `fwmark` has no usable mark: the entry is dropped",
            node.statement_span,
            expected=f"1..{_MAX_MARK}",
            kind=ConfigTestClass.INVALID_NUMBER,
        )
        return None
    family = 0
    if len(words) > 2:
        family = _FAMILIES.get(words[2], 0)
        if not family:
            _extra(ctx, node, 1)
        elif len(words) > 3:
            _extra(ctx, node, 2)
    return Entry(family=family, fwmark=mark)


def _extra(ctx: Context, node: Node, index: int) -> None:
    ctx.diagnostics.error(
        "unknown-option",
        f"nothing more is expected after `{' '.join((node.keyword, *node.args[:index]))}`: the rest is ignored",
        node.arg_span(index),
        hint="write every entry on a line of its own",
    )


def _range(text: str) -> tuple[int, str, str] | str:
    """Family, first and last address of an entry; or what is wrong with it."""
    head, dash, tail = text.partition("-")
    if not dash:
        return _prefix(text)
    start = read_address(head)
    if start is None:
        return "does not begin with an IPv4 or IPv6 address"
    if "." in tail or ":" in tail:
        end = read_address(tail)
        if end is None or end.family != start.family or address_number(end.text) < address_number(start.text):
            return "has no valid last address"
        return start.family, start.text, end.text
    number = address_number(start.text)
    low = number & (0xFF if start.family == 4 else 0xFFFF)
    try:
        last = int(tail, 10 if start.family == 4 else 16)
    except ValueError:
        return "has no valid end of the range"
    if not low < last <= (0xFF if start.family == 4 else 0xFFFF):
        return "has no valid end of the range"
    return start.family, start.text, _text(number - low + last, start.family)


def _prefix(text: str) -> tuple[int, str, str] | str:
    found = read_prefix(text)
    if not isinstance(found, Address):
        return "is no address" if found is None else found.message
    if found.prefix_len is None:
        return found.family, found.text, found.text
    host_bits = (32 if found.family == 4 else 128) - found.prefix_len
    first = address_number(found.text)
    if first & ((1 << host_bits) - 1):
        return f"has bits set behind its prefix of {found.prefix_len}"
    return found.family, found.text, _text(first | ((1 << host_bits) - 1), found.family)


def _text(number: int, family: int) -> str:
    if family == 4:
        return socket.inet_ntop(socket.AF_INET, number.to_bytes(4))
    return socket.inet_ntop(socket.AF_INET6, number.to_bytes(16))
