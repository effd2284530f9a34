"""The keyword table as something to look up: entries by name, search, and their texts for people.

`keepvip explain` and the generated pages read the same declarations as the parser.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import msgspec

from keepvip.config.keyword import ACTS
from keepvip.config.keywords import ROOT

if TYPE_CHECKING:
    from keepvip.config.keyword import Arg, Block, Keyword, Support

__all__ = ["Entry", "entries", "find", "search", "support_text", "tier_text"]

TIERS = {"A": "everyday", "B": "serious production use", "C": "rare, legacy or debugging"}


class Entry(msgspec.Struct, frozen=True):
    """One keyword (or option of an entry) with the places where it may stand."""

    keyword: Keyword
    block: Block
    homes: tuple[tuple[str, ...], ...]
    """Paths of blocks, outermost first; an empty path is the file itself. Several where blocks share content."""
    option: bool
    """An option within an entry line, not a statement."""
    support: Support
    """Its own, or that of a block around it that is not supported."""

    @property
    def name(self) -> str:
        """Dotted name: `vrrp_instance.authentication.auth_pass`."""
        return ".".join((*self.homes[0], self.keyword.name))

    @property
    def where(self) -> str:
        """The places for people."""
        found = [" > ".join(home) if home else "the top level" for home in self.homes]
        return f"{', '.join(found[:-1])} and {found[-1]}" if len(found) > 1 else found[0]

    def objects(self) -> dict[str, Any]:
        """Plain data with stable keys."""
        keyword = self.keyword
        return {
            "name": keyword.name,
            "blocks": [".".join(home) for home in self.homes],
            "syntax": keyword.syntax,
            "doc": keyword.doc,
            "arguments": [_argument(arg) for arg in keyword.args],
            "options": [option.syntax for option in keyword.options],
            "default": keyword.default or None,
            "tier": keyword.tier,
            "since": keyword.since or None,
            "support": self.support.kind,
            "support_note": self.support.note or None,
            "consequence": self.support.consequence or None,
            "refuses_instance": self.support.refuses,
            "duplicates": keyword.duplicates,
            "block": _content(keyword.block),
        }


@functools.cache
def entries() -> tuple[Entry, ...]:
    """Every keyword of every block and every option of every entry, in the order of the reference page."""
    seen: dict[int, _Seen] = {}
    _walk(ROOT, (), ACTS, seen)
    return tuple(
        Entry(keyword, found.block, tuple(found.homes), found.block.kind == "entries", _nearer(keyword, found.support))
        for found in seen.values()
        for keyword in found.block.keywords.values()
    )


def find(name: str) -> list[Entry]:
    """Entries by keyword, or by the end of their dotted name: `priority`, `vrrp_instance.priority`.

    Statements come before options.
    """
    *path, word = name.split(".")
    found = [
        entry
        for entry in entries()
        if entry.keyword.name == word and (not path or any(home[-len(path) :] == tuple(path) for home in entry.homes))
    ]
    return sorted(found, key=lambda entry: entry.option)


def search(word: str) -> list[Entry]:
    """Entries whose name, text, argument names or choices contain a word; matches in the name come first."""
    needle = word.lower()
    named, told = [], []
    for entry in entries():
        keyword = entry.keyword
        if needle in keyword.name.lower():
            named.append(entry)
        elif needle in " ".join((keyword.doc, keyword.default, keyword.syntax, keyword.support.note)).lower():
            told.append(entry)
    return named + told


def support_text(support: Support) -> str:
    """What keepvip does with a keyword, in one sentence without full stop."""
    if support.kind == "acts":
        return "supported"
    if support.kind == "deprecated":
        return f"old name of `{support.note}`"
    if support.kind == "no-op":
        return f"accepted, no effect: {support.note}"
    text = f"not supported yet ({support.note})"
    if support.refuses:
        return f"{text}: without it {support.consequence}, so the instance is refused"
    return f"{text}, ignored: {support.consequence}" if support.consequence else f"{text}, ignored"


def tier_text(keyword: Keyword) -> str:
    """How much it is used."""
    return f"tier {keyword.tier}: {TIERS[keyword.tier]}"


class _Seen:
    """A block on the walk, with all ways to it."""

    def __init__(self, block: Block, support: Support) -> None:
        self.block = block
        self.homes: list[tuple[str, ...]] = []
        self.support = support
        """That of the block itself: the best of all ways to it."""


def _walk(block: Block, path: tuple[str, ...], support: Support, seen: dict[int, _Seen]) -> None:
    found = seen.setdefault(id(block), _Seen(block, support))
    found.homes.append(path)
    if support.kind == "acts":
        found.support = support
    for keyword in block.keywords.values():
        if keyword.block is not None:
            _walk(keyword.block, (*path, keyword.name), _nearer(keyword, support), seen)


def _nearer(keyword: Keyword, around: Support) -> Support:
    """The support of a keyword in a block: where the block does nothing, its keywords do nothing."""
    return keyword.support if around.kind == "acts" or keyword.support.kind != "acts" else around


def _argument(arg: Arg) -> dict[str, Any]:
    return {"name": arg.name, "type": arg.type, "range": arg.range_text or None, "optional": arg.optional}


def _content(block: Block | None) -> dict[str, Any] | None:
    if block is None:
        return None
    return {
        "kind": block.kind,
        "entry": " ".join(arg.name for arg in block.args) or None,
        "keywords": list(block.keywords),
    }
