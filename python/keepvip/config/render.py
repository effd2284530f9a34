"""Diagnostics as text for people and as objects for programs.

Text looks as the Rust compiler's: what, where, the line with carets, what was expected, how to mend it, and the way
through includes and definitions. Nothing that stands in a configuration can move the cursor of a terminal: control
characters, direction marks, blanks that only look like one and bytes that are not UTF-8 are shown as escapes.
"""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any

from keepvip.config.diagnostic import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from keepvip.config.diagnostic import Diagnostic, Diagnostics
    from keepvip.config.source import Origin, Span

__all__ = ["count_line", "render", "render_one", "to_json", "to_objects"]

TAB = 4
MAX_WIDTH = 160
"""Columns of a source line that are shown; of a longer one, the part around the place."""

_RESET = "\x1b[0m"
_BOLD = "\x1b[1m"
_FRAME = "\x1b[1;34m"
_COLOURS = {Severity.ERROR: "\x1b[1;31m", Severity.WARNING: "\x1b[1;33m", Severity.NOTE: "\x1b[1;36m"}


def render(diagnostics: Diagnostics, *, colour: bool = False) -> str:
    """Everything, sorted by place, with the count as the last line."""
    parts = [render_one(diagnostic, colour=colour) for diagnostic in diagnostics]
    if diagnostics.dropped:
        parts.append(f"{diagnostics.dropped} more are not shown\n")
    return "\n".join([*parts, count_line(diagnostics) + "\n"])


def render_one(diagnostic: Diagnostic, *, colour: bool = False) -> str:
    """One diagnostic, several lines, with a line break at the end."""
    pen = _Pen(colour)
    tone = _COLOURS[diagnostic.severity]
    head = pen(tone, f"{diagnostic.severity}[{diagnostic.code}]") + pen(_BOLD, f": {clean(diagnostic.message)}")
    spans = [related.span for related in diagnostic.related]
    if diagnostic.span is not None:
        spans.append(diagnostic.span)
    gutter = max((len(str(span.number)) for span in spans), default=1)
    margin = " " * gutter
    lines = [head]
    if diagnostic.span is not None:
        lines += _excerpt(diagnostic.span, gutter, pen, tone)
    bar = pen(_FRAME, "=")
    if diagnostic.expected:
        lines.append(f"{margin} {bar} {pen(_BOLD, 'expected')}: {clean(diagnostic.expected)}")
    if diagnostic.hint:
        lines.append(f"{margin} {bar} {pen(_BOLD, 'help')}: {clean(diagnostic.hint)}")
    if diagnostic.span is not None:
        lines += [f"{margin} {bar} {clean(_way(step))}" for step in reversed(diagnostic.span.line.origin)]
    for related in diagnostic.related:
        lines.append(pen(_COLOURS[Severity.NOTE], "note") + pen(_BOLD, f": {clean(related.message)}"))
        lines += _excerpt(related.span, gutter, pen, _COLOURS[Severity.NOTE])
    return "\n".join(lines) + "\n"


def count_line(diagnostics: Diagnostics) -> str:
    """`2 errors, 1 warning`, or `no problems found`."""
    counts = ((diagnostics.errors, "error"), (diagnostics.warnings, "warning"), (diagnostics.notes, "note"))
    found = [f"{number} {name}{'s' if number != 1 else ''}" for number, name in counts if number]
    return ", ".join(found) or "no problems found"


def to_objects(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Plain data with stable keys; what is unknown is null, lines and columns count from 1."""
    return [
        {
            "severity": diagnostic.severity.value,
            "code": diagnostic.code,
            "message": _utf8(diagnostic.message),
            **_place(diagnostic.span),
            "text": None if diagnostic.span is None else _utf8(diagnostic.span.line.text),
            "expected": _utf8(diagnostic.expected) or None,
            "hint": _utf8(diagnostic.hint) or None,
            "config_test": diagnostic.kind.name.lower().replace("_", "-"),
            "origin": [
                {
                    "kind": step.kind,
                    "name": _utf8(step.name),
                    "file": _utf8(step.file) or None,
                    "line": step.line or None,
                }
                for step in (diagnostic.span.line.origin if diagnostic.span is not None else ())
            ],
            "related": [{"message": _utf8(related.message), **_place(related.span)} for related in diagnostic.related],
        }
        for diagnostic in diagnostics
    ]


def to_json(diagnostics: Diagnostics) -> str:
    """One JSON object: all diagnostics and their counts."""
    document = {
        "diagnostics": to_objects(diagnostics),
        "errors": diagnostics.errors,
        "warnings": diagnostics.warnings,
        "notes": diagnostics.notes,
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def clean(text: str) -> str:
    """Text that is safe on a terminal."""
    return text if text.isascii() and text.isprintable() else "".join(_shown(char) for char in text)


class _Pen:
    """Colours text, or leaves it alone."""

    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def __call__(self, code: str, text: str) -> str:
        return f"{code}{text}{_RESET}" if self._colour and text else text


def _excerpt(span: Span, gutter: int, pen: _Pen, tone: str) -> Iterator[str]:
    """Where, and the line with carets under the place."""
    margin = " " * gutter
    bar = pen(_FRAME, "|")
    yield f"{margin}{pen(_FRAME, '-->')} {clean(span.place)}"
    text, start, width = _window(span)
    yield f"{margin} {bar}"
    yield f"{pen(_FRAME, str(span.number).rjust(gutter))} {bar} {text}".rstrip()
    yield f"{margin} {bar} {' ' * start}{pen(tone, '^' * width)}"


def _window(span: Span) -> tuple[str, int, int]:
    """The line as it is shown, and start and width of the carets in columns of the screen."""
    first = span.column - 1
    shown: list[str] = []
    columns = [0]
    for char in span.line.text:
        piece = " " * (TAB - columns[-1] % TAB) if char == "\t" else _shown(char)
        shown.append(piece)
        columns.append(columns[-1] + _width(piece))
    start = columns[min(first, len(shown))]
    end = columns[min(first + span.length, len(shown))]
    width = max(end - start, 1)
    if columns[-1] <= MAX_WIDTH:
        return "".join(shown), start, width
    # Too long: the part from a little before the place.
    left = 0
    while left < len(shown) and start - columns[left] > MAX_WIDTH // 4:
        left += 1
    right = left
    while right < len(shown) and columns[right + 1] - columns[left] <= MAX_WIDTH:
        right += 1
    before, after = "..." if left else "", "..." if right < len(shown) else ""
    width = max(min(width, columns[right] - start), 1)
    return before + "".join(shown[left:right]) + after, start - columns[left] + len(before), width


def _shown(char: str) -> str:
    if " " <= char <= "~":
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if char.isprintable():
        return char
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _width(piece: str) -> int:
    if piece.isascii():
        return len(piece)
    if unicodedata.category(piece) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(piece) in {"W", "F"} else 1


def _way(step: Origin) -> str:
    place = f"{step.file}:{step.line}"
    if step.kind == "include":
        return f"included from {place}"
    if step.kind == "definition":
        return f"in the lines of `${step.name}`, put in at {place}"
    if step.kind == "value":
        return f"from `${step.name}`, " + (f"defined at {place}" if step.line else "which is built in")
    return f"in the round {step.name} of the {step.kind} at {place}"


def _place(span: Span | None) -> dict[str, Any]:
    if span is None:
        return {"file": None, "line": None, "column": None, "length": None}
    return {"file": _utf8(span.file), "line": span.number, "column": span.column, "length": span.length}


def _utf8(text: str) -> str:
    """Text that can be written as UTF-8: stray bytes become escapes."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
