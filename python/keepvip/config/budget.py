"""Bounds on what a configuration may cost to read, far above anything real.

keepalived has none: an include loop runs until the files run out, two definitions that name each other run for ever.
Here the work is linear in the size of the files, plus what definitions and sequences blow up, which is counted.
"""

from __future__ import annotations

__all__ = [
    "MAX_ALTERNATIVES",
    "MAX_DEPTH",
    "MAX_FILE_BYTES",
    "MAX_SCANNED",
    "MAX_STEPS",
    "MAX_TOTAL_BYTES",
    "MAX_VALUE_DEPTH",
    "Budget",
    "BudgetExceededError",
]

MAX_STEPS = 400_000
"""Work that definitions, sequences and repeated includes may make: about one step for every line that they bring forth
and for every substitution, a few for a file read again. 4000 instances of 20 lines out of a template take 100,000."""

MAX_DEPTH = 200
"""Includes, multi-line definitions and sequences inside each other."""

MAX_VALUE_DEPTH = 100
"""Single-line definitions inside each other."""

MAX_FILE_BYTES = 64 << 20
MAX_TOTAL_BYTES = 256 << 20

MAX_ALTERNATIVES = 1_000
"""Patterns that the `{a,b}` of one include may stand for."""

MAX_SCANNED = 100_000
"""Directory entries looked at for one include."""


class BudgetExceededError(Exception):
    """The configuration makes more work than allowed; turned into a diagnostic by the expander."""


class Budget:
    """Counts down."""

    __slots__ = ("steps",)

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.steps = steps

    def spend(self, steps: int = 1) -> None:
        """Raises `BudgetExceededError` when nothing is left."""
        self.steps -= steps
        if self.steps < 0:
            raise BudgetExceededError
