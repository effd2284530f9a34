"""Findings of a reading of the configuration, as the daemon shows them: in the log, on stderr, through the API."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keepvip.config.diagnostic import Diagnostic, Diagnostics

__all__ = ["as_data", "log_all", "one_line"]

_log = logging.getLogger("keepvip.config")

_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING}


def one_line(found: Diagnostic) -> str:
    """A finding as one line of a log: place, what is wrong, what would be right."""
    place = f"{found.span.file}:{found.span.number}:{found.span.column}: " if found.span is not None else ""
    expected = f"; expected {found.expected}" if found.expected else ""
    hint = f" ({found.hint})" if found.hint else ""
    return f"{place}{found.message}{expected}{hint}"


def log_all(diagnostics: Diagnostics) -> None:
    """Logs every finding."""
    for found in diagnostics:
        _log.log(_LEVELS.get(found.severity, logging.INFO), "%s", one_line(found))
    if diagnostics.dropped:
        _log.warning("%d further findings are not shown", diagnostics.dropped)


def as_data(diagnostics: Diagnostics) -> list[dict[str, Any]]:
    """All findings for the API: the JSON form of `keepvip check`, and `text` for people."""
    return list(_as_data(diagnostics))


def _as_data(diagnostics: Diagnostics) -> Iterator[dict[str, Any]]:
    for found in diagnostics:
        yield {
            "severity": found.severity,
            "code": found.code,
            "file": found.span.file if found.span is not None else None,
            "line": found.span.number if found.span is not None else None,
            "column": found.span.column if found.span is not None else None,
            "message": found.message,
            "expected": found.expected,
            "hint": found.hint,
            "text": f"{found.severity}: {one_line(found)}",
        }
