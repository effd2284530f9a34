"""File name patterns as glob(3) with braces reads them (config-language.md 7).

Not the standard library's: `[^a]`, backslash escapes and brace alternatives differ, and its matching by regular
expression takes exponential time on patterns made for that.
"""

# ruff: noqa: PTH118
# Patterns keep every slash as written; Path would tidy them up.

from __future__ import annotations

import os
from itertools import islice
from typing import NamedTuple

from keepvip.config.budget import MAX_ALTERNATIVES, MAX_SCANNED

__all__ = ["Matches", "PatternError", "expand_braces", "glob", "has_wildcard"]


Item = str | tuple[bool, list[tuple[str, str]]]
"""`*`, `?`, a literal character (`\\*` for a star), or a set: negated, ranges."""


class PatternError(Exception):
    """A pattern that stands for too much; the text says why."""


class Matches(NamedTuple):
    """What a pattern matched."""

    paths: list[str]
    """Alternatives in the order written, each one's matches sorted."""
    braces: bool
    """It has `{a,b}` alternatives."""
    wildcard: bool
    missing: list[str]
    """Alternatives without wildcard that do not exist."""
    looked_at: int
    """Directory entries and alternatives that it took."""


def glob(pattern: str, directory: str) -> Matches:
    """Matches a pattern; relative ones from `directory`, and what comes back is relative to it as well."""
    alternatives = expand_braces(pattern)
    paths: list[str] = []
    missing: list[str] = []
    scanned = 0
    for alternative in alternatives:
        if has_wildcard(alternative):
            found, seen = _walk(alternative, directory, MAX_SCANNED - scanned)
            scanned += seen
            paths += found
        elif (plain := _unescaped(alternative)) and os.path.lexists(os.path.join(directory, plain)):
            paths.append(plain)
        else:
            missing.append(plain)
    braces = alternatives != [pattern]
    return Matches(paths, braces, not braces and has_wildcard(pattern), missing, scanned + len(alternatives))


def has_wildcard(pattern: str) -> bool:
    """Whether `*`, `?` or `[` stand in it without a backslash."""
    return any(char in "*?[" for char, escaped in _chars(pattern) if not escaped)


def expand_braces(pattern: str) -> list[str]:
    """The patterns that `{a,b}` alternatives stand for, in order. Braces without a partner are literal.

    Raises `PatternError` if there are too many.
    """
    done: list[str] = []
    todo = [pattern]
    while todo:
        first = todo.pop()
        parts = _first_braces(first)
        if parts is None:
            done.append(first)
        else:
            todo += reversed(parts)
        if len(done) + len(todo) > MAX_ALTERNATIVES:
            raise PatternError(f"the braces stand for more than {MAX_ALTERNATIVES} patterns")
    return done


def _first_braces(pattern: str) -> list[str] | None:
    """The pattern with its first pair of braces replaced by each alternative; None: it has none, or half a pair."""
    start = begin = depth = 0
    pieces: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            at += 1
        elif char == "{":
            if depth == 0:
                start, begin = at, at + 1
            depth += 1
        elif depth and char == "}":
            depth -= 1
            if depth == 0:
                pieces.append(pattern[begin:at])
                return [pattern[:start] + piece + pattern[at + 1 :] for piece in pieces]
        elif depth == 1 and char == ",":
            pieces.append(pattern[begin:at])
            begin = at + 1
        at += 1
    return None


def _chars(pattern: str) -> list[tuple[str, bool]]:
    """Characters with whether a backslash stands before them; that backslash is gone."""
    chars: list[tuple[str, bool]] = []
    at = 0
    while at < len(pattern):
        escaped = pattern[at] == "\\" and at + 1 < len(pattern)
        at += escaped
        chars.append((pattern[at], escaped))
        at += 1
    return chars


def _unescaped(pattern: str) -> str:
    return "".join(char for char, _ in _chars(pattern))


def _walk(pattern: str, directory: str, budget: int) -> tuple[list[str], int]:
    """Matches one pattern with wildcards, component by component."""
    absolute = pattern.startswith("/")
    components = pattern.lstrip("/").split("/") if absolute else pattern.split("/")
    found = ["/" if absolute else ""]
    seen = 0
    for index, component in enumerate(components):
        last = index == len(components) - 1
        after: list[str] = []
        wildcard, items = has_wildcard(component), _compiled(component)
        for base in found:
            names = _names(os.path.join(directory, base), budget - seen) if wildcard else []
            seen += len(names) + 1
            if seen > budget:
                raise PatternError(f"it makes us look at more than {MAX_SCANNED} files")
            if wildcard:
                after += [base + name if last else f"{base}{name}/" for name in names if _matches(name, items)]
            elif os.path.lexists(os.path.join(directory, path := base + _unescaped(component))):
                after.append(path if last else f"{path}/")
        found = after
    return sorted(found, key=os.fsencode), seen


def _names(directory: str, limit: int) -> list[str]:
    """The entries of a directory, its own two dots as well, and no more than tell that the limit is passed."""
    try:
        with os.scandir(directory or ".") as entries:
            return [".", "..", *(entry.name for entry in islice(entries, limit + 1))]
    except (OSError, ValueError):
        return []  # like glob(3): what cannot be listed has no matches


def _matches(name: str, items: list[Item]) -> bool:
    """fnmatch(3) with a leading dot special, in time O(name x pattern)."""
    if name.startswith(".") and items[:1] not in (["."], ["\\."]):
        return False
    at, item = 0, 0
    star, resume = -1, 0
    while at < len(name):
        if item < len(items) and items[item] == "*":
            star, resume = item, at
            item += 1
        elif item < len(items) and _fits(name[at], items[item]):
            at, item = at + 1, item + 1
        elif star >= 0:
            resume += 1
            at, item = resume, star + 1
        else:
            return False
    return all(rest == "*" for rest in items[item:])


def _compiled(pattern: str) -> list[Item]:
    items: list[Item] = []
    at = 0
    closed = True  # once a bracket is not closed, no later one is
    while at < len(pattern):
        char = pattern[at]
        if char == "\\" and at + 1 < len(pattern):
            items.append(f"\\{pattern[at + 1]}")
            at += 2
            continue
        if char == "[" and closed:
            found = _set(pattern, at)
            if found is not None:
                items.append(found[0])
                at = found[1]
                continue
            closed = False
        items.append(char)
        at += 1
    return items


def _set(pattern: str, start: int) -> tuple[Item, int] | None:
    """The `[...]` at `start` and where it ends; None: it is not closed, so the bracket is literal."""
    at = start + 1
    negated = pattern[at : at + 1] in {"!", "^"}
    at += negated
    ranges: list[tuple[str, str]] = []
    first = True
    while at < len(pattern):
        char = pattern[at]
        if char == "]" and not first:
            return (negated, ranges), at + 1
        if char == "\\" and at + 1 < len(pattern):
            at += 1
            char = pattern[at]
        if pattern[at + 1 : at + 2] == "-" and pattern[at + 2 : at + 3] not in {"", "]"}:
            ranges.append((char, pattern[at + 2]))
            at += 3
        else:
            ranges.append((char, char))
            at += 1
        first = False
    return None


def _fits(char: str, item: Item) -> bool:
    if isinstance(item, tuple):
        negated, ranges = item
        return any(low <= char <= high for low, high in ranges) != negated
    return item in {"?", char} if len(item) == 1 else item[1] == char
