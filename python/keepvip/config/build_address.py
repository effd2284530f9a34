"""Address entries (config-keywords.md 4.1)."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from keepvip.config.diagnostic import ConfigTestClass, Related
from keepvip.config.keywords.addresses import VIRTUAL_ADDRESSES
from keepvip.config.model import VirtualAddress
from keepvip.config.settings import read_options
from keepvip.config.values import Address, Bad, read_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keepvip.config.keyword import Keyword
    from keepvip.config.settings import Context, Setting
    from keepvip.config.tree import Node

__all__ = ["Placed", "build_addresses", "build_entry", "room_for_addresses", "without_duplicates"]

SCOPES = {"global": 0, "universe": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}
MAX_BROADCAST_PREFIX = 30
"""`brd +` and `brd -` need at least two host bits."""
MAX_LABEL = 15
MAX_ADDRESSES = 255
"""The advert counts them in one byte."""
_FLAGS = ("home", "mngtmpaddr", "noprefixroute", "autojoin")
_MAX_U32 = 4_294_967_295

Placed = tuple[VirtualAddress, "Node"]


def build_addresses(ctx: Context, setting: Setting | None) -> tuple[list[Placed], bool]:
    """The usable entries of all blocks of one keyword, in order; True if an entry must not be left to its own.

    The second value says that an entry asks for something that is not supported and without which the instance would
    behave wrongly.
    """
    found: list[Placed] = []
    refuses = False
    if setting is not None:
        for block in setting.all():
            for node in block.node.children or ():
                address = _simple(node) if not node.args else None
                if address is None:
                    address, refused = _entry(ctx, node)
                    refuses |= refused
                if address is not None:
                    found.append((address, node))
    return found, refuses


def _simple(node: Node) -> VirtualAddress | None:
    """An entry without options and without a mistake: nearly all of them."""
    parsed = read_prefix(node.keyword)
    if type(parsed) is not Address:
        return None
    if parsed.family == 4:
        length = 32 if parsed.prefix_len is None else parsed.prefix_len
        return VirtualAddress(address=parsed.text, prefix_len=length, family=4)
    length = 128 if parsed.prefix_len is None else parsed.prefix_len
    return VirtualAddress(
        address=parsed.text,
        prefix_len=length,
        family=6,
        nodad=True,
        preferred_lft_s=0 if length == 128 else None,
    )


def _entry(ctx: Context, node: Node) -> tuple[VirtualAddress | None, bool]:
    built, options = build_entry(ctx, node, VIRTUAL_ADDRESSES.keywords)
    refuses = any(VIRTUAL_ADDRESSES.keywords[name].support.refuses for name in options)
    return built, built is not None and refuses


def build_entry(
    ctx: Context, node: Node, keywords: dict[str, Keyword]
) -> tuple[VirtualAddress | None, dict[str, tuple[object, int]]]:
    """The address of one line with its options; None, with a diagnostic, if it is dropped."""
    address = _address(ctx, node)
    repeated = [index for index, word in enumerate(node.args) if word == "dev"]
    options = read_options(ctx, node, (node.keyword, *node.args), 1, keywords, "address")
    if address is None or options is None:
        return None, {}
    if len(repeated) > 1:
        ctx.diagnostics.error(
            "duplicate", f"`{address.text}` is put on two interfaces and is dropped", node.arg_span(repeated[1])
        )
        return None, {}
    return _Fields(ctx, node, address, options).build(), options


def _address(ctx: Context, node: Node) -> Address | None:
    """The address with a valid prefix length."""
    parsed = read_prefix(node.keyword)
    if parsed is None:
        ctx.diagnostics.error(
            "invalid-value",
            f"`{node.keyword}` is not an address and is dropped",
            node.span,
            expected="ADDRESS[/PREFIX], IPv4 or IPv6",
        )
        return None
    if isinstance(parsed, Bad):
        body = read_prefix(node.keyword.partition("/")[0])
        if not isinstance(body, Address):
            return None
        full = 32 if body.family == 4 else 128
        ctx.diagnostics.error(
            "invalid-number",
            f"`{node.keyword}` {parsed.message}, so /{full} is used",
            node.span,
            expected=f"0..{full}",
            kind=ConfigTestClass.INVALID_NUMBER,
        )
        return Address(body.text, body.family, full)
    if parsed.prefix_len is None:
        return Address(parsed.text, parsed.family, 32 if parsed.family == 4 else 128)
    return parsed


class _Fields:
    """One entry with options, on its way to a `VirtualAddress`."""

    def __init__(self, ctx: Context, node: Node, address: Address, options: dict[str, tuple[object, int]]) -> None:
        self.ctx = ctx
        self.node = node
        self.address = address
        self.options = options

    def build(self) -> VirtualAddress | None:
        """None, with a diagnostic, if the entry is dropped."""
        address, options = self.address, self.options
        v4 = address.family == 4
        prefix_len = address.prefix_len or 0
        peer, peer_sound = self._peer()
        brd, brd_sound = self._broadcast(prefix_len, has_peer="peer" in options)
        label, label_sound = self._label()
        if not (peer_sound and brd_sound and label_sound):
            return None
        dev = options.get("dev")
        if dev is not None and not self.ctx.interface_exists(str(dev[0])):
            self.ctx.diagnostics.error(
                "unknown-interface",
                f"there is no interface `{dev[0]}`: `{address.text}` is dropped",
                self.node.arg_span(dev[1]),
                hint=self.ctx.interface_hint(str(dev[0])),
                kind=ConfigTestClass.WARNING,
            )
            return None
        lifetime = self._lifetime(None if v4 or prefix_len != 128 else 0)
        return VirtualAddress(
            address=address.text,
            prefix_len=prefix_len,
            family=address.family,
            dev=str(dev[0]) if dev is not None else None,
            scope=self._scope(),
            brd=brd,
            label=label,
            peer=peer.text if peer is not None else None,
            peer_prefix_len=peer.prefix_len if peer is not None else None,
            no_track="no_track" in options,
            use_vmac="use_vmac" in options,
            nodad=not v4 and "-nodad" not in options,
            preferred_lft_s=lifetime,
            **{flag: True for flag in _FLAGS if flag in options},
        )

    def _say(self, code: str, message: str, option: str, *, expected: str = "", dropped: bool = True) -> None:
        index = self.options[option][1]
        span = self.node.arg_span(index - 1)
        if dropped:
            self.ctx.diagnostics.error(code, f"{message}: `{self.address.text}` is dropped", span, expected=expected)
        else:
            self.ctx.diagnostics.warning(
                code, f"{message} and is ignored", span, expected=expected, kind=ConfigTestClass.GENERAL
            )

    def _scope(self) -> int:
        given = self.options.get("scope")
        if given is None:
            return 0
        text = str(given[0])
        if self.address.family == 6:
            self._say("not-for-ipv6", "`scope` is for IPv4 only", "scope", dropped=False)
            return 0
        number = SCOPES.get(text, int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else -1)
        if not 0 <= number <= 255:
            self._say(
                "invalid-value",
                f"`{text}` is not a scope",
                "scope",
                expected=f"{', '.join(SCOPES)} or 0..255",
                dropped=False,
            )
            return 0
        return number

    def _broadcast(self, prefix_len: int, *, has_peer: bool) -> tuple[str | None, bool]:
        name = "brd" if "brd" in self.options else "broadcast"
        given = self.options.get(name)
        if given is None:
            return None, True
        text = str(given[0])
        if self.address.family == 6:
            self._say("not-for-ipv6", "an IPv6 address has no broadcast address", name)
        elif has_peer:
            self._say("contradiction", f"`{name}` cannot be combined with `peer`", name)
        elif text in {"+", "-"}:
            if prefix_len <= MAX_BROADCAST_PREFIX:
                return _broadcast_of(self.address.text, prefix_len, ones=text == "+"), True
            self._say(
                "invalid-value", f"`{name} {text}` needs host bits, and the prefix length is {prefix_len}", name,
                expected=f"a prefix length of {MAX_BROADCAST_PREFIX} or less",
            )  # fmt: skip
        else:
            parsed = read_prefix(text)
            if isinstance(parsed, Address) and parsed.family == 4 and parsed.prefix_len is None:
                return parsed.text, True
            self._say("invalid-value", f"`{text}` is not an IPv4 address", name, expected="an IPv4 address, + or -")
        return None, False

    def _label(self) -> tuple[str | None, bool]:
        given = self.options.get("label")
        if given is None:
            return None, True
        text = str(given[0])
        if self.address.family == 6:
            self._say("not-for-ipv6", "`label` is for IPv4 only", "label", dropped=False)
            return None, True
        if len(text.encode("utf-8", "surrogateescape")) > MAX_LABEL:
            self._say("invalid-value", f"the label `{text}` is too long", "label", expected="at most 15 characters")
            return None, False
        return text, True

    def _peer(self) -> tuple[Address | None, bool]:
        given = self.options.get("peer")
        if given is None:
            return None, True
        parsed = given[0]
        if not isinstance(parsed, Address) or parsed.family != self.address.family:
            self._say("family-mismatch", "address and peer are of different families", "peer")
            return None, False
        full = 32 if parsed.family == 4 else 128
        length = full if parsed.prefix_len is None else parsed.prefix_len
        return Address(parsed.text, parsed.family, length), True

    def _lifetime(self, default: int | None) -> int | None:
        given = self.options.get("preferred_lft")
        if given is None:
            return default
        text = str(given[0])
        if text == "forever":
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _MAX_U32):
            self._say(
                "invalid-number", f"`{text}` is not a lifetime", "preferred_lft", expected="seconds or forever",
                dropped=False,
            )  # fmt: skip
            return default
        return int(text)


def _broadcast_of(address: str, prefix_len: int, *, ones: bool) -> str:
    mask = (1 << (32 - prefix_len)) - 1
    number = int.from_bytes(socket.inet_pton(socket.AF_INET, address))
    number = number | mask if ones else number & ~mask
    return socket.inet_ntop(socket.AF_INET, number.to_bytes(4))


def without_duplicates(
    ctx: Context, entries: Sequence[Placed], seen: dict[tuple[str, int, str | None], Node]
) -> list[Placed]:
    """Drops addresses that are already in `seen`, which grows."""
    kept = []
    for address, node in entries:
        key = (address.address, address.prefix_len, address.dev)
        first = seen.setdefault(key, node)
        if first is node:
            kept.append((address, node))
            continue
        ctx.diagnostics.warning(
            "duplicate",
            f"`{address.address}/{address.prefix_len}` is listed twice and the second one dropped",
            node.span,
            kind=ConfigTestClass.GENERAL,
            related=[Related("the first one is here", first.span)],
        )
    return kept


def room_for_addresses(family: int, version: int, mtu: int) -> int:
    """How many addresses one advert can carry.

    Before them: the IP header and 8 bytes of VRRP; in version 2 there are 8 bytes of authentication behind them.
    """
    header = 20 if family == 4 else 40
    authentication = 8 if version == 2 else 0
    return max(min((mtu - header - 8 - authentication) // (4 if family == 4 else 16), MAX_ADDRESSES), 1)
