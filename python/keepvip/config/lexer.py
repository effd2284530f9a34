"""Words of a statement (config-language.md 2): the ordinary tokenizer and the one of scripts."""

from __future__ import annotations

import msgspec

__all__ = ["Word"]


class Word(msgspec.Struct, frozen=True, gc=False):
    """One word and where it stands. `column` is from 1, in the text or the line that was split."""

    text: str
    """The value: without quotes, with escapes interpreted where the tokenizer does so."""
    column: int
    length: int
    """Characters in the line, quotes and escapes included."""
    quoted: bool = False
