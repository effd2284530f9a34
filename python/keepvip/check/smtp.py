"""SMTP_CHECK: greeting, HELO, QUIT (checkers-and-ipvs.md 4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepvip.check.stream import Conversation, StreamWay
from keepvip.check.verdict import failed, good

if TYPE_CHECKING:
    from keepvip.check.way import Done
    from keepvip.config.model_check import SmtpCheck

__all__ = ["Dialogue", "SmtpWay"]

MOST_LINE = 512
_STEPS = (("the greeting", 220), ("HELO", 250), ("QUIT", 0))
"""What an answer belongs to, and the status it must have; 0: any."""


class Dialogue(Conversation):
    """One visit."""

    def __init__(self, helo: str, wait_s: float, whole_s: float, done: Done) -> None:
        super().__init__(wait_s, whole_s, done)
        self._words = (f"HELO {helo}\r\n".encode("utf-8", "surrogateescape"), b"QUIT\r\n")
        self._step = 0
        self._line = b""

    def data_received(self, data: bytes) -> None:
        """Takes a part of an answer: a line is judged at its end, what follows it is not looked at."""
        if self.ended:
            return
        self.heard()
        line, end, _ = (self._line + data[: MOST_LINE + 1]).partition(b"\n")
        if not end:
            self._line = line
            if len(line) >= MOST_LINE:
                self.finish(failed(f"the answer to {_STEPS[self._step][0]} is too long"))
            return
        self._line = b""
        self._take(line.rstrip(b"\r"))

    def _take(self, line: bytes) -> None:
        what, wanted = _STEPS[self._step]
        if wanted and status(line) != wanted:
            shown = line[:80].decode("ascii", "backslashreplace")
            self.finish(failed(f"{what} was answered with `{shown}` instead of {wanted}"))
            return
        if self._step == len(self._words):
            self.finish(good("answers HELO"))
            return
        self.say(self._words[self._step])
        self._step += 1

    def closed(self) -> None:
        """The server hangs up."""
        self.finish(failed(f"the server closed before it answered to {_STEPS[self._step][0]}"))


def status(line: bytes) -> int:
    """Three digits and then a blank or nothing; else 0, also for the lines of a longer answer (`250-`)."""
    if len(line) >= 3 and line[:3].isdigit() and line[3:4] in {b"", b" "}:
        return int(line[:3])
    return 0


class SmtpWay(StreamWay):
    """Says hello and goes."""

    def __init__(self, check: SmtpCheck) -> None:
        super().__init__(check, check.target)
        self._helo = check.helo_name

    def begin(self, page: int, done: Done) -> None:
        """Starts a dialogue."""
        self._converse(Dialogue(self._helo, self._wait_s, self._whole_s, done))
