"""Checkers of real servers, typed (config-keywords.md 16; checkers-and-ipvs.md 3 and 4)."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Checker"]


class Checker(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What all checkers have."""

    kind: str
    """The keyword: `TCP_CHECK` and so on."""
    alpha: bool = False
    retry: int = 1
    delay_loop_us: int = 60_000_000

    @property
    def identity(self) -> tuple[Any, ...]:
        """Checkers with the same are the same over a reload (checkers-and-ipvs.md 10)."""
        return (self.kind,)
