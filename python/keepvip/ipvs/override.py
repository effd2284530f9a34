"""What an operator says about a real server at run time; it holds over reloads."""

from __future__ import annotations

import msgspec

__all__ = ["Override"]


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """One wish about one server."""

    kind: str
    """`drain`, `disable` or `weight`."""
    weight: int | None = None
    """Instead of the configured one and of what checkers make of it; 0 for `drain`."""
    until: float | None = None
    """Seconds since the epoch; None = until it is taken back."""

    @property
    def disabled(self) -> bool:
        """Out of service, whatever the checks say."""
        return self.kind == "disable"

    @property
    def text(self) -> str:
        """For people."""
        return {"drain": "drained by an operator", "disable": "disabled by an operator"}.get(
            self.kind, f"weight {self.weight} set by an operator"
        )
