"""Where a piece of configuration was written: files, lines, spans, and the way that a line came to be.

Positions are counted the way editors do: lines from 1, columns from 1, in characters. A place always lies in a file
that somebody can open. Text that came out of a definition has the place of the reference (`$NAME`) and the definition
in its origin; text inside a multi-line definition has its own place in the definition, and the place of use in its
origin.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Line", "Origin", "OriginKind", "Source", "Span"]

OriginKind = Literal["include", "definition", "value", "sequence", "list"]


class Origin(msgspec.Struct, frozen=True, gc=False):
    """One step of the way to a line. A chain of them reads from the outermost step to the innermost."""

    kind: OriginKind
    """`include`: the file of the line was included; `definition`: the line stands in a multi-line definition;
    `value`: the text was inserted from a single-line definition; `sequence`, `list`: one round of `~SEQ` or `~LST`."""
    name: str
    """The pattern of the include, the name of the definition, or the round: `x = 3`."""
    file: str
    """include, definition: where it was asked for. value: where it was defined. sequence, list: where it stands."""
    line: int
    """0: nowhere in a file, for a definition that is built in."""


class Line(msgspec.Struct, frozen=True, gc=False):
    """One physical line, as it is in the file."""

    file: str
    number: int
    text: str
    """Without the line break. Bytes that are not UTF-8 are lone surrogates (PEP 383)."""
    origin: tuple[Origin, ...] = ()


class Span(msgspec.Struct, frozen=True, gc=False):
    """A stretch of one line."""

    line: Line
    column: int
    """From 1, in characters. One more than the length of the line: just behind its end."""
    length: int

    @property
    def file(self) -> str:
        """Name of the file, as it was given or matched."""
        return self.line.file

    @property
    def number(self) -> int:
        """Line number, from 1."""
        return self.line.number

    @property
    def place(self) -> str:
        """`file:line:column`, the form that editors and terminals can jump to."""
        return f"{self.line.file}:{self.line.number}:{self.column}"


class _Text:
    """The text of a file, cut into lines only when somebody asks for one."""

    __slots__ = ("_lines", "whole")

    def __init__(self, whole: str) -> None:
        self.whole = whole
        self._lines: list[str] | None = None

    def line(self, number: int) -> str:
        if self._lines is None:
            self._lines = self.whole.split("\n")
        return self._lines[number - 1].rstrip("\r") if number <= len(self._lines) else ""


class Source:
    """One file that was read, and how it came to be read.

    Logical lines keep a reference to their source and a number; the text of a line is cut out only when somebody asks,
    which is when there is something to complain about.
    """

    __slots__ = ("_text", "file", "origin")

    def __init__(self, file: str, text: str, origin: tuple[Origin, ...] = ()) -> None:
        self.file = file
        self.origin = origin
        self._text = _Text(text)

    def __repr__(self) -> str:
        return f"Source({self.file!r}, {len(self._text.whole)} characters)"

    def derived(self, origin: tuple[Origin, ...]) -> Source:
        """The same file, reached by another way."""
        other = Source(self.file, "", origin)
        other._text = self._text
        return other

    def line_text(self, number: int) -> str:
        """The physical line `number` (from 1) without its line break; empty behind the end of the file."""
        return self._text.line(number)

    def line(self, number: int) -> Line:
        """The physical line `number`."""
        return Line(self.file, number, self._text.line(number), self.origin)
