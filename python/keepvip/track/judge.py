"""When a series of results makes a thing good or bad. Pure."""

from __future__ import annotations

__all__ = ["BAD", "GOOD", "IGNORED", "UNKNOWN", "Judge"]

GOOD, BAD, UNKNOWN, IGNORED = "good", "bad", "unknown", "ignored"


class Judge:
    """Counts results: `rise` successes in a row make it good, `fall` failures in a row make it bad.

    The very first result decides alone, in either direction (vrrp-behaviour.md 9). With `init_fail` there is no such
    first result: it starts bad and needs its successes.
    """

    def __init__(self, rise: int, fall: int, *, init_fail: bool = False) -> None:
        self.rise = rise
        self.fall = fall
        self.value = BAD if init_fail else UNKNOWN
        self.streak = 0
        """Results in a row that speak against the value."""
        self._first = not init_fail

    def begin_again(self) -> None:
        """What is measured has changed: the value stays until the next result, which decides alone."""
        self.streak = 0
        self._first = True

    def note(self, *, ok: bool) -> str:
        """Takes a result; gives the value that follows."""
        says = GOOD if ok else BAD
        if self._first:
            self._first = False
            self.value, self.streak = says, 0
        elif says == self.value:
            self.streak = 0
        else:
            self.streak += 1
            if self.streak >= (self.rise if ok else self.fall):
                self.value, self.streak = says, 0
        return self.value

    @property
    def progress(self) -> str:
        """What is on its way, in words: `1 of 3 failures`; empty without."""
        if not self.streak:
            return ""
        return (
            f"{self.streak} of {self.fall} failures"
            if self.value == GOOD
            else f"{self.streak} of {self.rise} successes"
        )
