"""`encap` of routes and next hops: a type and its parameters, up to the first word that is none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keepvip.config.keyword import Arg
from keepvip.config.model_route import Encap

if TYPE_CHECKING:
    from keepvip.config.words import Words

__all__ = ["read_encap"]

_U64: Final = Arg("int", "ID", low=0, high=0xFFFFFFFFFFFFFFFF, strict=True)
_U8: Final = Arg("int", "NUMBER", low=0, high=255, strict=True, any_base=True)
_FLAGS: Final = Arg("int", "FLAGS", low=0, high=0xFFFF, strict=True, any_base=True)
_LABEL: Final = (1 << 20) - 1
_KINDS: Final = ("ip", "ip6", "mpls", "ila")
_NUMBERS: Final = {
    "ip": {"id": ("id", _U64), "tos": ("tos", _U8), "ttl": ("ttl", _U8), "flags": ("flags", _FLAGS)},
    "ip6": {"id": ("id", _U64), "tc": ("tos", _U8), "hoplimit": ("ttl", _U8), "flags": ("flags", _FLAGS)},
}


def read_encap(words: Words) -> Encap:
    """Reads what follows `encap`."""
    kind = words.take("encap", " ".join(_KINDS))
    if kind == "mpls":
        return Encap(kind=kind, labels=_labels(words))
    if kind == "ila":
        return Encap(kind=kind, locator=_locator(words))
    if kind not in _NUMBERS:
        words.fail("invalid-value", f"`encap`: `{kind}` is not known", words.here, expected=", ".join(_KINDS))
    numbers: dict[str, int] = {}
    ends: dict[str, str] = {}
    while (option := words.peek()) in {"dst", "src", *_NUMBERS[kind]}:
        words.take()
        if option in {"dst", "src"}:
            ends[option] = words.address(option, 4 if kind == "ip" else 6).text
        else:
            field, arg = _NUMBERS[kind][option]
            numbers[field] = words.integer(option, arg)
    return Encap(
        kind=kind,
        id=numbers.get("id"),
        dst=ends.get("dst"),
        src=ends.get("src"),
        tos=numbers.get("tos"),
        ttl=numbers.get("ttl"),
        flags=numbers.get("flags"),
    )


def _labels(words: Words) -> tuple[int, ...]:
    text = words.take("encap mpls", "labels such as 100/200")
    found = []
    for part in text.split("/"):
        if not (part.isascii() and part.isdecimal() and len(part) <= 7 and int(part) <= _LABEL):
            words.fail("invalid-value", f"`encap mpls`: `{part}` is not a label", words.here, expected=f"0..{_LABEL}")
        found.append(int(part))
    return tuple(found)


def _locator(words: Words) -> int:
    """Four groups of hexadecimal digits: the upper half of an IPv6 address."""
    text = words.take("encap ila", "a locator such as 2001:db8:0:1")
    groups = text.split(":")
    legal = "0123456789abcdefABCDEF"
    if len(groups) != 4 or any(not 1 <= len(group) <= 4 or group.strip(legal) for group in groups):
        words.fail("invalid-value", f"`encap ila`: `{text}` is not a locator", words.here,
                   expected="four groups of hexadecimal digits, such as 2001:db8:0:1")  # fmt: skip
    number = 0
    for group in groups:
        number = number << 16 | int(group, 16)
    return number
