"""Commands and the pipes that feed them, typed."""

from __future__ import annotations

import msgspec

from keepvip.config.source import Span  # noqa: TC001  (msgspec resolves annotations at run time when it decodes)

__all__ = ["Fifo", "Script"]


class Script(msgspec.Struct, frozen=True, kw_only=True, gc=False, eq=False):
    """A command to run. `argv` is final: split and unescaped by the script tokenizer (config-language.md 2)."""

    argv: tuple[str, ...]
    text: str
    """The command as written, for messages and for `system()` of scripts without an interpreter line."""
    user: str | None = None
    """Who runs it: its own user word, else the default of `script_user`; None = the daemon's own user."""
    group: str | None = None
    """None = the primary group of `user`."""
    supplementary_groups: bool = False
    """Run with the supplementary groups of the user (`set_supplementary_groups`, or a group written `:GROUP`)."""
    span: Span | None = None
    """Where it was written; no part of comparisons."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Script) and self._meaning == other._meaning

    def __hash__(self) -> int:
        return hash(self._meaning)

    @property
    def _meaning(self) -> tuple[object, ...]:
        return (self.argv, self.text, self.user, self.group, self.supplementary_groups)


class Fifo(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A named pipe that gets one line per event (vrrp-behaviour.md 15), and the script that reads it."""

    path: str
    user: str | None = None
    """Who owns it when it has to be made: its own user word, else that of scripts; None = the daemon's own user."""
    group: str | None = None
    """None = the primary group of `user`."""
    script: Script | None = None
    """Started with `path` as its last argument."""
