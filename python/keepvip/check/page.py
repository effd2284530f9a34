"""The body of a page as it comes: digest and pattern, in bounded memory (checkers-and-ipvs.md 4.2)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from keepvip.config.pcre2 import MatchError, Pattern

if TYPE_CHECKING:
    from keepvip.config.model_check import Regex

__all__ = ["Digest", "Search", "pattern_of"]

WINDOW = 4096
"""Text that a match may span; a partial match that fills it is dropped, as keepalived does."""
_patterns: dict[tuple[str, frozenset[str], tuple[int, int] | None], Pattern] = {}


def pattern_of(regex: Regex) -> Pattern:
    """The compiled pattern; identical ones share one object. Raises PatternError."""
    key = (regex.pattern, regex.options, regex.stack)
    found = _patterns.get(key)
    if found is None:
        found = _patterns[key] = Pattern(*key)
    return found


class Digest:
    """MD5 over the body, not further than its announced length."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._length = 0

    def feed(self, data: bytes, limit: int | None) -> None:
        """Takes the next part; `limit`: Content-Length, if it is known."""
        if limit is not None:
            data = data[: max(0, limit - self._length)]
        self._length += len(data)
        self._md5.update(data)

    def hex(self) -> str:
        """32 lower-case digits."""
        return self._md5.hexdigest()


class Search:
    """Looks for a pattern across the parts of a body."""

    def __init__(self, regex: Regex) -> None:
        self._pattern = pattern_of(regex)
        self._min = regex.min_offset
        self._max = regex.max_offset
        self._text = b""
        self._rest = b""
        """The beginning of a character whose end is to come."""
        self._at = 0
        """Offset of the kept text in the body."""
        self._start = 0
        """Where in the kept text the search goes on."""
        self.found = False
        self.trouble = ""
        """Why there is no answer."""
        self._over = False

    def feed(self, data: bytes) -> None:
        """Takes the next part of the body."""
        for place in range(0, len(data), WINDOW):
            if self.found or self._over:
                return
            part = self._rest + data[place : place + WINDOW]
            whole = whole_characters(part) if self._pattern.utf else len(part)
            self._rest = part[whole:]
            self._feed(part[:whole])

    def _feed(self, data: bytes) -> None:
        self._text += data
        end = self._at + len(self._text)
        if end <= self._min:  # nothing of it may take part, but lookbehind
            self._keep(len(self._text))
            return
        start = max(self._start, self._min - self._at)
        limit = None if self._max is None else self._max - self._at
        if limit is not None and limit < start:
            self._over = True
            return
        partial = self._search(start, limit, more=True)
        if self.found:
            self._text = b""
        elif partial is None:
            self._keep(len(self._text))
        elif len(self._text) - partial >= WINDOW:
            # Greedy patterns always want more: what they have got so far may do.
            self._search(partial, limit, more=False)
            self._keep(len(self._text))
        else:
            self._keep(partial)

    def finish(self) -> None:
        """The body has ended: what waits for more text is decided."""
        self._text += self._rest
        start = max(self._start, self._min - self._at)
        limit = None if self._max is None else self._max - self._at
        if not self.found and not self._over and start <= len(self._text) and (limit is None or limit >= start):
            self._search(start, limit, more=False)

    def _search(self, start: int, limit: int | None, *, more: bool) -> int | None:
        """Where in the kept text something begins that may become a match."""
        try:
            self.found, at = self._pattern.search(self._text, start, last_start=limit, more=more)
        except MatchError as error:
            self.trouble, self._over = str(error), True
            return None
        return None if self.found else at

    def _keep(self, start: int) -> None:
        """Goes on from `start` in the kept text, with as much before it as the pattern may look back at."""
        # At least one byte stays, so that nothing but the start of the body looks like the start.
        cut = max(0, start - max(1, self._pattern.max_lookbehind))
        while self._pattern.utf and cut and self._text[cut : cut + 1] and self._text[cut] & 0xC0 == 0x80:
            cut -= 1
        self._text = self._text[cut:]
        self._at += cut
        self._start = start - cut


def whole_characters(text: bytes) -> int:
    """Length of UTF-8 text without a last character that is not complete."""
    for back in range(1, min(4, len(text)) + 1):
        byte = text[-back]
        if byte & 0xC0 != 0x80:
            size = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(text) - back if size > back else len(text)
    return len(text)
