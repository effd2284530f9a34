"""`~SEQ` and `~LST`: one line for many (config-language.md 6)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from keepvip.config.definitions import NAME
from keepvip.config.fragment import BLANKS, Fragment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keepvip.config.definitions import Definitions
    from keepvip.config.diagnostic import Diagnostics
    from keepvip.config.source import OriginKind

__all__ = ["Repetition", "is_repetition", "parse_repetition"]

MAX_NUMBERS = 60
"""Characters between the parentheses of `~SEQ`, after definitions were put in."""

_HEAD = re.compile(r"~(SEQx?|LST)[ \t]*\(")
_NUMBER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
_LIMIT = 1 << 63

_FORM = {
    "SEQ": "~SEQ(NAME, [START, [STEP,]] END) TEXT",
    "LST": "~LST(NAME, VALUE, ...) TEXT, or ~LST({NAME, NAME}, {VALUE, VALUE}, ...) TEXT",
}


class Repetition(msgspec.Struct, frozen=True, gc=False):
    """What a sequence or list asks for."""

    kind: OriginKind
    names: tuple[str, ...]
    """The variables."""
    template: Fragment
    """The rest of the line."""
    rounds: int
    first: int = 0
    step: int = 0
    hexadecimal: bool = False
    lists: tuple[tuple[str, ...], ...] = ()
    """The values of a list, one tuple per round, as long as `names`."""

    def values(self) -> Iterator[tuple[str, ...]]:
        """The values of each round, one per variable."""
        if self.kind == "list":
            yield from self.lists
            return
        for index in range(self.rounds):
            number = self.first + index * self.step
            yield (f"{number:x}" if self.hexadecimal else str(number),)


class _BadError(Exception):
    """The specification is wrong: what, and optionally where."""


def is_repetition(text: str) -> bool:
    """Whether a line is a sequence or list; any other line with a `~` is an ordinary statement."""
    return _HEAD.match(text) is not None


def parse_repetition(fragment: Fragment, definitions: Definitions, diagnostics: Diagnostics) -> Repetition | None:
    """Reads a line for which `is_repetition` holds. None: it is malformed, which has been told."""
    text = fragment.text
    head = _HEAD.match(text)
    kind = "LST" if head is None or head[1] == "LST" else "SEQ"
    start = 0 if head is None else head.end()
    close = text.find(")", start)
    try:
        if close < 0:
            raise _BadError("the `)` is missing")
        inside, template = fragment.cut(start, close), fragment.cut(close + 1).trimmed()
        if kind == "LST":
            found = _list(inside, template)
        else:
            found = _sequence(inside, template, definitions, hexadecimal=text.startswith("~SEQx"))
    except _BadError as problem:
        end = len(text) if close < 0 else close + 1
        diagnostics.error(
            "bad-list" if kind == "LST" else "bad-sequence",
            f"{problem}; the line is dropped",
            fragment.span(0, end),
            expected=_FORM[kind],
        )
        return None
    for name in found.names:
        if NAME.fullmatch(name) is None:
            diagnostics.warning(
                "bad-variable",
                f"`{name}` is no name for a variable, so the line is repeated without it",
                fragment.span(start, close),
                expected="a letter or `_`, then letters, digits and `_`",
                hint=f"write `{name[1:]}`" if name[:1] == "$" and NAME.fullmatch(name[1:]) else "",
            )
    return found


def _sequence(inside: Fragment, template: Fragment, definitions: Definitions, *, hexadecimal: bool) -> Repetition:
    name, comma, numbers = inside.text.partition(",")
    if not comma:
        raise _BadError("a sequence needs a name and at least one number")
    if "$" in numbers:
        numbers = definitions.substitute(inside.cut(len(name) + 1), multi_line=False).fragment.text
    if len(name) + 1 + len(numbers) > MAX_NUMBERS:
        raise _BadError(f"there are more than {MAX_NUMBERS} characters between the parentheses")
    limits = [_number(word.strip(BLANKS)) for word in numbers.split(",")]
    if len(limits) > 3:
        raise _BadError("a sequence takes at most three numbers")
    last = limits[-1]
    first = limits[0] if len(limits) > 1 else (-1 if last < 0 else 1)
    if hexadecimal and (first < 0 or last < 0):
        raise _BadError("a hexadecimal sequence has no negative numbers")
    step = limits[1] if len(limits) == 3 else (1 if last >= first else -1)
    if step == 0:
        raise _BadError("a step of 0 never gets anywhere")
    rounds = (last - first) // step + 1
    if rounds < 1:
        raise _BadError(f"a step of {step} never gets from {first} to {last}")
    names = (name.strip(BLANKS),)
    return Repetition("sequence", names, template, rounds, first=first, step=step, hexadecimal=hexadecimal)


def _number(word: str) -> int:
    """An integer as C reads it: decimal, `0x` hexadecimal, `0` octal, with a sign."""
    if _NUMBER.fullmatch(word) is None:
        raise _BadError(f"`{word}` is not a whole number")
    digits = word.lstrip("+-").lower()
    value = int(digits, 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10)
    value = -value if word[0] == "-" else value
    if not -_LIMIT <= value < _LIMIT:
        raise _BadError(f"`{word}` is too large")
    return value


def _list(inside: Fragment, template: Fragment) -> Repetition:
    names, *items = _items(inside.text)
    if not items:
        raise _BadError("a list needs a name and at least one value")
    lists = []
    for item in items:
        if len(item) > len(names):
            raise _BadError(f"a set has {len(item)} values for {len(names)} name{'s' if len(names) > 1 else ''}")
        if any(blank in value for value in item for blank in BLANKS):
            raise _BadError("a value holds a blank, and values cannot be quoted")
        lists.append(item + ("",) * (len(names) - len(item)))
    return Repetition("list", names, template, len(lists), lists=tuple(lists))


def _items(text: str) -> list[tuple[str, ...]]:
    """The comma-separated items of a list; those in braces have several values."""
    items: list[tuple[str, ...]] = []
    at = 0
    while True:
        at += len(text) - at - len(text[at:].lstrip(BLANKS))
        if text.startswith("{", at):
            close = text.find("}", at)
            if close < 0:
                raise _BadError("a `}` is missing")
            items.append(tuple(value.strip(BLANKS) for value in text[at + 1 : close].split(",")))
            at = len(text) - len(text[close + 1 :].lstrip(BLANKS))
            if at < len(text) and text[at] != ",":
                raise _BadError("a comma is missing behind a `}`")
        else:
            comma = text.find(",", at)
            end = len(text) if comma < 0 else comma
            items.append((text[at:end].strip(BLANKS),))
            at = end
        if at >= len(text):
            return items
        at += 1
