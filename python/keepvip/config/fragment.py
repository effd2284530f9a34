"""A logical line on its way through the stages, and the map from its characters back to the file.

Most lines stay as they were written: then character `i` stands in column `offset + i` and nothing needs to be kept.
Once a definition was inserted or a backslash was dropped, every character carries a mark: the column that it came from,
or the reference (`$NAME`) that it was inserted for.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING

import msgspec

from keepvip.config.source import Span

if TYPE_CHECKING:
    from keepvip.config.source import Origin, Source

__all__ = ["BLANKS", "LINE_BYTES", "Chart", "Fragment", "Logical", "Ref", "byte_length", "find_special"]

BLANKS = " \t\n\v\f\r"
"""What separates words; other Unicode spaces do not."""

LINE_BYTES = 1023
"""Longest line, in bytes, line break included: keepalived reads into a buffer of 1024 (config-language.md 1)."""

find_special = re.compile(r"[^ \t\v\f\r%&'()*+,\-./0-9:;<=>?A-Z\[\]^_`a-z|]").search
"""First character that needs a closer look: comment, quote, brace, backslash, `$ @ ~`, control or not ASCII."""


def byte_length(text: str) -> int:
    """Bytes that a text has in the file."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


class Ref(msgspec.Struct, frozen=True, gc=False):
    """The reference that a stretch of text was inserted for."""

    column: int
    """Of the reference in the file, from 0."""
    width: int
    origins: tuple[Origin, ...]
    """The definitions that the text came through, outermost first."""
    chain: tuple[object, ...]
    """The same definitions as objects: a reference to one of them would never end."""


Mark = int | Ref
"""Column from 0, or the reference."""


class Chart:
    """Text of a line that is not as it was written, with the way back to its columns."""

    __slots__ = ("_marks", "_starts", "text")

    def __init__(self, text: str, marks: list[Mark] | None, offset: int) -> None:
        self.text = text
        # Runs of marks: _starts[k] is where run k begins, _marks[k] the mark of its first character.
        self._starts = [0]
        self._marks: list[Mark] = [offset]
        if marks:
            self._starts.clear()
            self._marks.clear()
            before: Mark | None = None
            for index, mark in enumerate(marks):
                if mark is not before and not (
                    isinstance(mark, int) and isinstance(before, int) and mark == before + 1
                ):
                    self._starts.append(index)
                    self._marks.append(mark)
                before = mark

    def place(self, start: int, end: int) -> tuple[int, int, tuple[Origin, ...]]:
        """Column (from 0) and width in the file of text[start:end], and the definitions that its start came through."""
        column, origins = self._left(start)
        right = self._right(max(end - 1, start)) if end > start else column
        return column, max(right - column, 0), origins

    def _run(self, index: int) -> tuple[int, Mark]:
        run = max(bisect_right(self._starts, index) - 1, 0)
        return index - self._starts[run], self._marks[run]

    def _left(self, index: int) -> tuple[int, tuple[Origin, ...]]:
        if index >= len(self.text) > 0:
            return self._right(len(self.text) - 1), ()
        distance, mark = self._run(index)
        return (mark + distance, ()) if isinstance(mark, int) else (mark.column, mark.origins)

    def _right(self, index: int) -> int:
        distance, mark = self._run(index)
        return mark + distance + 1 if isinstance(mark, int) else mark.column + mark.width


Logical = tuple[str, "Source", int, int, Chart | None]
"""One statement or brace, ready for the tree: text, source, line number, offset, chart.

Without a chart the text is plain: it stands in the line as it is, `offset` characters from the left, holds neither
quotes nor escapes, and a `{` at its end or a `}` alone is structural. With a chart no brace is structural, and the
offset means nothing."""


class Fragment:
    """Text of (a part of) one line, with its place."""

    __slots__ = ("marks", "number", "offset", "source", "text")

    def __init__(self, text: str, source: Source, number: int, offset: int, marks: list[Mark] | None = None) -> None:
        self.text = text
        self.source = source
        self.number = number
        self.offset = offset
        """Column of the first character, from 0; means nothing once there are marks."""
        self.marks = marks

    def cut(self, start: int, end: int | None = None) -> Fragment:
        """The part text[start:end]."""
        marks = None if self.marks is None else self.marks[start:end]
        return Fragment(self.text[start:end], self.source, self.number, self.offset + start, marks)

    def moved(self, source: Source) -> Fragment:
        """The same text as a line of another source (the same file with another origin)."""
        return Fragment(self.text, source, self.number, self.offset, self.marks)

    def joined(self, other: Fragment, ref: Ref) -> Fragment:
        """This text with another behind it that stands for a reference on this line."""
        marks: list[Mark] = [*self.marked(), *[ref] * len(other.text)]
        return Fragment(self.text + other.text, self.source, self.number, self.offset, marks)

    def marked(self) -> list[Mark]:
        """A mark for every character."""
        return list(self.marks) if self.marks is not None else list(range(self.offset, self.offset + len(self.text)))

    def span(self, start: int = 0, end: int | None = None) -> Span:
        """Place of text[start:end]."""
        end = len(self.text) if end is None else end
        column, width, origins = Chart(self.text, self.marks, self.offset).place(start, end)
        line = self.source.line(self.number)
        if origins:
            line = msgspec.structs.replace(line, origin=line.origin + origins)
        return Span(line, column + 1, width)

    def logical(self) -> Logical:
        """What the tree gets."""
        if self.marks is None and find_special(self.text) is None:
            return self.text, self.source, self.number, self.offset, None
        return self.text, self.source, self.number, 0, Chart(self.text, self.marks, self.offset)

    def brace(self) -> Logical:
        """The same for a structural brace."""
        column = Chart(self.text, self.marks, self.offset).place(0, 1)[0]
        return self.text, self.source, self.number, column, None

    def trimmed(self) -> Fragment:
        """Without blanks at both ends."""
        text = self.text.lstrip(BLANKS)
        start = len(self.text) - len(text)
        return self.cut(start, start + len(text.rstrip(BLANKS)))
