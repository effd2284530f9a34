"""What is wrong with a configuration, where, and how to mend it.

Nothing in `keepvip.config` raises for a mistake of the user: it adds a diagnostic and goes on, so that one run tells
everything. How a diagnostic looks on a screen is `render.py`.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import msgspec

from keepvip.config.source import Span  # noqa: TC001  (msgspec resolves annotations at run time)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ConfigTestClass", "Diagnostic", "Diagnostics", "Related", "Severity", "config_test_exit_code"]

MAX_KEPT = 10_000
"""Diagnostics that are kept; further ones are only counted, so a hostile file cannot fill the memory."""


class Severity(enum.StrEnum):
    """How bad it is."""

    ERROR = "error"
    """Something was refused or has no effect: the configuration does not say what its author meant."""
    WARNING = "warning"
    """It works, and probably not as meant."""
    NOTE = "note"


class ConfigTestClass(enum.IntEnum):
    """What `keepalived --config-test` would record for it, lowest rank first (config-language.md 9)."""

    NONE = 0
    """Nothing: keepalived has no opinion on it."""
    FILE_NOT_FOUND = 1
    BAD_INTERFACE = 2
    FATAL = 3
    MULTIPLE_FILES = 4
    UNKNOWN_KEYWORD = 5
    UNEXPECTED_OPEN = 6
    MISSING_OPEN = 7
    UNEXPECTED_CLOSE = 8
    MISSING_CLOSE = 9
    UNMATCHED_QUOTE = 10
    MISSING_PARAMETER = 11
    INVALID_NUMBER = 12
    GENERAL = 13
    WARNING = 14
    DEPRECATED = 15
    SECURITY = 16
    ABORT = 17
    """A keyword lacks a word: keepalived stops on the spot with exit status 2."""


class Related(msgspec.Struct, frozen=True, gc=False):
    """Another place that belongs to a diagnostic."""

    message: str
    """What is there: `first defined here`."""
    span: Span


class Diagnostic(msgspec.Struct, frozen=True, gc=False):
    """One finding."""

    severity: Severity
    code: str
    """Stable name, kebab-case: `unknown-keyword`."""
    message: str
    """What is wrong, with the words of the file; starts in lower case, no full stop."""
    span: Span | None = None
    """Where. None: it has no place, such as a file that does not exist."""
    expected: str = ""
    """What would be right: `a whole number 1..255`."""
    hint: str = ""
    """How to mend it."""
    kind: ConfigTestClass = ConfigTestClass.NONE
    related: tuple[Related, ...] = ()
    stops_start: bool = False
    """keepalived refuses to start because of it, with exit status 6 (config-language.md 7)."""


_Key = tuple[str, str, str, int, int, int]


class Diagnostics:
    """All findings of one run. Iteration gives them sorted by place, each once."""

    def __init__(self) -> None:
        self._found: dict[_Key, Diagnostic] = {}
        self._files: dict[str, int] = {}
        self._counts = dict.fromkeys(Severity, 0)
        self._classes: set[ConfigTestClass] = set()
        self._stops_start = False

    def error(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        *,
        expected: str = "",
        hint: str = "",
        kind: ConfigTestClass = ConfigTestClass.GENERAL,
        related: Iterable[Related] = (),
        stops_start: bool = False,
    ) -> None:
        """Something was refused or has no effect."""
        self.add(
            Diagnostic(Severity.ERROR, code, message, span, expected, hint, kind, tuple(related), stops_start),
        )

    def warning(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        *,
        expected: str = "",
        hint: str = "",
        kind: ConfigTestClass = ConfigTestClass.NONE,
        related: Iterable[Related] = (),
    ) -> None:
        """It works, and probably not as meant."""
        self.add(Diagnostic(Severity.WARNING, code, message, span, expected, hint, kind, tuple(related)))

    def note(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        *,
        expected: str = "",
        hint: str = "",
        kind: ConfigTestClass = ConfigTestClass.NONE,
        related: Iterable[Related] = (),
    ) -> None:
        """Worth knowing, nothing to mend."""
        self.add(Diagnostic(Severity.NOTE, code, message, span, expected, hint, kind, tuple(related)))

    def add(self, diagnostic: Diagnostic) -> None:
        """Takes one in; the same finding at the same place counts once, whatever way led there."""
        span = diagnostic.span
        place = ("", 0, 0, 0) if span is None else (span.file, span.number, span.column, span.length)
        key = (diagnostic.code, diagnostic.message, *place)
        if key in self._found:
            return
        self._counts[diagnostic.severity] += 1
        self._classes.add(diagnostic.kind)
        self._stops_start |= diagnostic.stops_start
        if len(self._found) < MAX_KEPT:
            self._found[key] = diagnostic

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Takes in many."""
        for diagnostic in diagnostics:
            self.add(diagnostic)

    def saw_file(self, name: str) -> None:
        """Files in the order in which they are read; findings are sorted in that order."""
        self._files.setdefault(name, len(self._files))

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(sorted(self._found.values(), key=self._place))

    def __len__(self) -> int:
        """How many there were, kept or not."""
        return sum(self._counts.values())

    def __bool__(self) -> bool:
        return bool(self._found)

    def __repr__(self) -> str:
        return f"Diagnostics(errors={self.errors}, warnings={self.warnings}, notes={self.notes})"

    @property
    def errors(self) -> int:
        """Number of errors."""
        return self._counts[Severity.ERROR]

    @property
    def warnings(self) -> int:
        """Number of warnings."""
        return self._counts[Severity.WARNING]

    @property
    def notes(self) -> int:
        """Number of notes."""
        return self._counts[Severity.NOTE]

    @property
    def dropped(self) -> int:
        """Findings that were counted but not kept."""
        return len(self) - len(self._found)

    @property
    def classes(self) -> frozenset[ConfigTestClass]:
        """Everything that keepalived would have recorded."""
        return frozenset(self._classes)

    @property
    def stops_start(self) -> bool:
        """Whether keepalived would refuse to start, with exit status 6."""
        return self._stops_start

    def _place(self, diagnostic: Diagnostic) -> tuple[int, str, int, int]:
        span = diagnostic.span
        if span is None:
            return (len(self._files) + 1, "", 0, 0)
        return (self._files.get(span.file, len(self._files)), span.file, span.number, span.column)


def config_test_exit_code(diagnostics: Diagnostics) -> int:
    """The exit status of `keepalived --config-test` for these findings: 0, 2, 4, 5 or 6 (config-language.md 9).

    Only the highest rank counts, so an ordinary error hides a fatal one. A missing word ends the run with 2 before
    anything else can count.
    """
    highest = max(diagnostics.classes, default=ConfigTestClass.NONE)
    if highest is ConfigTestClass.NONE:
        return 0
    if highest is ConfigTestClass.ABORT:
        return 2
    if highest is ConfigTestClass.SECURITY:
        return 6
    return 4 if highest <= ConfigTestClass.FATAL else 5
