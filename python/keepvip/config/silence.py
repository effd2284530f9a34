"""Comments that silence a finding: `192.0.2.1  # keepvip: allow address-off-subnet`.

Warnings and notes can be silenced by their code, on the line that they point at; errors cannot.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keepvip.config.diagnostic import Diagnostics, Severity

if TYPE_CHECKING:
    from keepvip.config.diagnostic import Diagnostic

__all__ = ["SilencedDiagnostics", "allowed"]

_MARK = "keepvip:"
_COMMENT = re.compile(r"[#!].*?\bkeepvip:\s*allow\s+([a-z0-9, -]+)")


class SilencedDiagnostics(Diagnostics):
    """Findings of one run without those that a comment allows."""

    def __init__(self) -> None:
        super().__init__()
        self.silenced = 0
        """How many there were."""

    def add(self, diagnostic: Diagnostic) -> None:
        """Takes one in, unless a comment on its line allows it."""
        if diagnostic.severity is not Severity.ERROR and diagnostic.span is not None:
            text = diagnostic.span.line.text
            if _MARK in text and diagnostic.code in allowed(text):
                self.silenced += 1
                self._classes.add(diagnostic.kind)  # `--config-test` counts as keepalived does, which reads no comments
                return
        super().add(diagnostic)


def allowed(line: str) -> frozenset[str]:
    """Codes that the comment of a line allows."""
    found = _COMMENT.search(line)
    return frozenset(re.split(r"[, ]+", found[1].strip())) if found is not None else frozenset()
