"""What a keyword declaration is made of. Data only: reading the values is `values.py`, the meaning is `build.py`.

A keyword is declared once, in `keywords/`. The declaration drives the parser, the range checks, `keepvip explain`, the
reference page and the tests, so what is documented is what happens.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["ACTS", "REQUIRED", "Arg", "Block", "Keyword", "Support", "deprecated", "no_op", "not_yet", "table"]

ArgType = Literal[
    "int",  # decimal integer
    "seconds",  # decimal seconds; the value is in microseconds
    "milliseconds",  # decimal milliseconds; the value is in microseconds
    "bool",  # true on yes false off no
    "word",  # one word, taken as it is
    "choice",  # one of `choices`
    "interface",  # name of a network interface
    "address",  # an IPv4 or IPv6 address; a mask after it is tolerated and ignored
    "prefix",  # address[/length]
    "service",  # address of a virtual server, or one of `choices`
    "range",  # address, address-last or address/length, of a virtual server group
    "port",  # 1..65535
    "user",  # name of a user
    "group",  # name of a group
    "script",  # a command, read by the script tokenizer, with user and group after it
    "command",  # the same without user and group
    "regex",  # a pattern, read by the script tokenizer
    "hex",  # hexadecimal digits
    "mac",  # hardware address
    "umask",  # number or names joined by |
    "codes",  # status codes: N or N-M
    "span",  # two integers joined by -
    "mask",  # IPv4 mask or IPv6 prefix length
    "rest",  # everything up to the end of the line; checked by its owner
]

SupportKind = Literal["acts", "no-op", "not-yet", "deprecated"]
Duplicates = Literal["last", "first", "replaced", "add"]
BlockKind = Literal["keywords", "entries", "words"]
Tier = Literal["A", "B", "C"]


REQUIRED = "required"
"""The default of a keyword that a block cannot do without."""


class Arg(msgspec.Struct, frozen=True, gc=False):
    """One argument of a keyword."""

    type: ArgType
    name: str
    """Placeholder in texts: SECONDS, IFNAME ..."""
    low: int | None = None
    """Smallest legal value, in the unit that reading gives (microseconds for times)."""
    high: int | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    optional: bool = False
    repeat: bool = False
    """Takes all remaining words; the value is a tuple."""
    strict: bool = False
    """Characters after a number reject it; otherwise they are ignored with a warning (config-language.md 8)."""
    clamp_low: bool = False
    """A value below the range becomes `low`; otherwise it is refused and the setting stays as it was."""
    clamp_high: bool = False
    max_len: int | None = None
    """A longer word is cut, with a message."""
    any_base: bool = False
    """C notation: 0x.. and 0.. are read as hexadecimal and octal."""
    any_case: bool = False
    """`choices` match in any case; the value is the spelling in `choices`."""
    decimals: int = 6
    """Decimals that a time may have; more are rounded half up, with a message."""

    @property
    def range_text(self) -> str:
        """The legal values for people: `1..255`, `PASS or AH`, `0.01..255 seconds`."""
        if self.choices and self.type in {"int", "service"}:
            return f"{', '.join(self.choices)} or {self._bounds}"
        if self.choices:
            return f"{', '.join(self.choices[:-1])} or {self.choices[-1]}" if len(self.choices) > 1 else self.choices[0]
        if self.type == "bool":
            return "true, on, yes, false, off or no"
        return self._bounds

    @property
    def _bounds(self) -> str:
        low, high = self._shown(self.low), self._shown(self.high)
        if low is None and high is None:
            text = _TYPE_TEXT.get(self.type, "")
        elif high is None:
            text = f"{low} or more"
        elif low is None:
            text = f"at most {high}"
        else:
            text = f"{low}..{high}"
        return f"{text} {self.unit}".strip()

    def _shown(self, value: int | None) -> str | None:
        if value is None:
            return None
        if self.type == "seconds":
            return f"{value / 1_000_000:.6f}".rstrip("0").rstrip(".")
        if self.type == "milliseconds":
            return f"{value / 1_000:.3f}".rstrip("0").rstrip(".")
        return str(value)


_TYPE_TEXT: dict[str, str] = {
    "int": "a whole number",
    "seconds": "a number of",
    "milliseconds": "a number of",
    "address": "an IPv4 or IPv6 address",
    "prefix": "an address with an optional /length",
    "service": "an address, fwmark or group",
    "range": "ADDRESS, ADDRESS-LAST or ADDRESS/LENGTH",
    "port": "1..65535",
    "interface": "a name of 1 to 15 characters",
    "script": "a command in quotes, optionally followed by user and group",
    "command": "a command in quotes",
    "regex": "a quoted regular expression",
    "hex": "hexadecimal digits",
    "mac": "a hardware address such as 00:00:5e:00:01:0a",
    "umask": "a number, or names such as IRWXG joined by |",
    "codes": "N or N-M, 100..599",
    "span": "N-M",
    "mask": "an IPv4 mask or an IPv6 prefix length",
}


class Support(msgspec.Struct, frozen=True, gc=False):
    """Whether keepvip acts on a keyword."""

    kind: SupportKind
    note: str = ""
    """no-op: the reason. not-yet: the feature it belongs to. deprecated: the keyword to write instead."""
    consequence: str = ""
    """not-yet: what is different because it is ignored, for the person who wrote it."""
    refuses: bool = False
    """not-yet: the instance would behave wrongly on the wire without it, so the instance is refused, not run."""
    recorded: bool = False
    """keepalived itself calls it deprecated, which counts for the exit status of `--config-test`."""


ACTS = Support("acts")


def no_op(reason: str) -> Support:
    """The keyword is accepted and does nothing, on purpose."""
    return Support("no-op", reason)


def not_yet(feature: str, consequence: str = "", *, refuses: bool = False, recorded: bool = False) -> Support:
    """The keyword is known and checked, but nothing acts on it."""
    return Support("not-yet", feature, consequence, refuses, recorded)


def deprecated(instead: str, *, recorded: bool = False) -> Support:
    """An old spelling: means exactly the same as `instead`."""
    return Support("deprecated", instead, recorded=recorded)


class Keyword(msgspec.Struct, frozen=True, gc=False):
    """The declaration of one keyword within one block (or of one option of an entry)."""

    name: str
    args: tuple[Arg, ...] = ()
    doc: str = ""
    """What it does, in one or two sentences."""
    default: str = ""
    """What holds without it, for people; the values themselves are the defaults of the model."""
    tier: Tier = "C"
    since: str = ""
    """First keepalived release that knows it, where known; empty: older than anybody remembers."""
    support: Support = ACTS
    duplicates: Duplicates = "last"
    """What a second occurrence in the same block does (config-language.md 8)."""
    block: Block | None = None
    options: tuple[Keyword, ...] = ()
    """Words with own arguments that may follow the positional ones, in any order."""
    missing_ignored: bool = False
    """A missing argument is reported and the line ignored; otherwise the configuration is refused."""

    @property
    def syntax(self) -> str:
        """How it is written: `advert_int SECONDS`."""
        words = [self.name, *(_placeholder(arg) for arg in self.args)]
        words += [f"[{option.syntax}]" for option in self.options]
        if self.block is not None:
            words.append("{ ... }")
        return " ".join(words)


class Block(msgspec.Struct, frozen=True, gc=False):
    """What may stand between the braces after a keyword."""

    name: str
    kind: BlockKind
    keywords: dict[str, Keyword] = {}
    """kind `keywords`: what may stand in it. kind `entries`: the options of one entry line."""
    args: tuple[Arg, ...] = ()
    """kinds `entries` and `words`: the leading words of an entry."""
    entry_name: str = ""
    """What one entry is called in messages: address, member ..."""


def table(*keywords: Keyword) -> dict[str, Keyword]:
    """Keywords by name, in the order declared (the order of the reference page)."""
    found = {keyword.name: keyword for keyword in keywords}
    if len(found) != len(keywords):
        raise ValueError("a keyword is declared twice in one block")
    return found


def _placeholder(arg: Arg) -> str:
    text = "|".join(arg.choices) if arg.choices and len(arg.choices) <= 4 else arg.name
    text = f"{text}..." if arg.repeat else text
    return f"[{text}]" if arg.optional else text
