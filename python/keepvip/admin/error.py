"""How asking a daemon can fail. A module of its own, because every command may meet these and few ask a daemon."""

from __future__ import annotations

from typing import Any

__all__ = ["AnswerError", "UnreachableError"]


class UnreachableError(Exception):
    """No daemon answers on the socket; the text says what to do."""


class AnswerError(Exception):
    """The daemon answered with an error. `data` is the JSON of the answer."""

    def __init__(self, status: int, data: dict[str, Any]) -> None:
        super().__init__(str(data.get("error", f"status {status}")))
        self.status = status
        self.data = data
