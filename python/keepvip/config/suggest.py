"""Did you mean ...? The nearest known name to a mistyped one, by Damerau-Levenshtein distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["Suggester", "did_you_mean", "distance", "nearest"]

MAX_COMPARISONS = 50_000
"""Names that one `Suggester` compares before it gives up: a file of nothing but mistakes must not take minutes."""

MAX_WORD = 64
"""Longer words get no suggestion: nobody mistypes them, and the work grows with the square of the length."""


def distance(left: str, right: str, limit: int) -> int:
    """Edits (insert, delete, replace, swap of neighbours) from `left` to `right`; `limit + 1` if there are more."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, char in enumerate(left, 1):
        older, before, row = before, row, [i]
        for j, other in enumerate(right, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (char != other))
            if i > 1 and j > 1 and char == right[j - 2] and left[i - 2] == other:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
    return row[-1]


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` most probably stands for; None if none is near enough to be more than a guess.

    Near enough is one edit per three characters. Case and the choice between `-` and `_` count as nothing.
    """
    if not word or len(word) > MAX_WORD:
        return None
    folded = _fold(word)
    limit = max(1, (len(folded) + 1) // 3)
    best: str | None = None
    for candidate in candidates:
        if candidate == word:
            continue
        edits = distance(folded, _fold(candidate), limit)
        if edits <= limit:
            best, limit = candidate, edits - 1
            if limit < 0:
                break
    if best is not None and len(folded) < 3 and _fold(best)[:1] != folded[:1]:
        return None
    return best


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """A hint such as "did you mean `priority`?", or an empty string."""
    found = nearest(word, candidates)
    return f"did you mean `{found}`?" if found is not None else ""


class Suggester:
    """`did_you_mean` for a whole run, with bounded work."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MAX_COMPARISONS

    def hint(self, word: str, candidates: Collection[str]) -> str:
        """A hint, or an empty string: nothing is near, or too much was asked already."""
        self._left -= len(candidates)
        return did_you_mean(word, candidates) if self._left >= 0 else ""


def _fold(word: str) -> str:
    return word.lower().replace("-", "_")
