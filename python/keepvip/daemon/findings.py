"""Findings of a reading of the configuration, as the daemon shows them: in the log, on stderr, through the API."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keepvip.config.diagnostic import Diagnostic, Diagnostics

__all__ = ["as_data", "for_terminal", "log_all", "one_line"]

_log = logging.getLogger("keepvip.config")

_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING}


def one_line(found: Diagnostic) -> str:
    """A finding as one line of a log: place, what is wrong, what would be right."""
    from keepvip.config.render import clean  # noqa: PLC0415  (only when there is something to say)

    place = f"{found.span.place}: " if found.span is not None else ""
    expected = f"; expected {found.expected}" if found.expected else ""
    hint = f" ({found.hint})" if found.hint else ""
    return clean(f"{place}{found.message}{expected}{hint}")


def for_terminal(diagnostics: Diagnostics, *, colour: bool) -> str:
    """All findings with their lines and carets."""
    from keepvip.config.render import render  # noqa: PLC0415

    return render(diagnostics, colour=colour).rstrip("\n")


def log_all(diagnostics: Diagnostics) -> None:
    """Logs every finding."""
    for found in diagnostics:
        _log.log(_LEVELS.get(found.severity, logging.INFO), "%s", one_line(found))
    if diagnostics.dropped:
        _log.warning("%d further findings are not shown", diagnostics.dropped)


def as_data(diagnostics: Diagnostics) -> list[dict[str, Any]]:
    """All findings for the API: the JSON form of `keepvip check`, and `rendered` for people."""
    from keepvip.config.render import render_one, to_objects  # noqa: PLC0415  (only when somebody asks)

    found = list(diagnostics)
    return [data | {"rendered": render_one(one)} for one, data in zip(found, to_objects(found), strict=True)]
