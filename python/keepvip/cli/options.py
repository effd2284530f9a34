"""getopt_long for keepalived's options: the rules its users' scripts rely on, which argparse does not follow.

Short options can be joined (`-nlD`), a value can be attached (`-f/etc/x`) or be the next word, an *optional*
value only counts when attached (`-t/tmp/log`, `--config-test=/tmp/log`; `-t FILE` is not a value), long names
can be shortened while they stay unique, and words that are no options may stand anywhere.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Effect", "Option", "OptionError", "Parsed", "Value", "describe", "flag", "parse", "value"]


_HELP_COLUMN = 34


class Value(enum.Enum):
    """Whether an option takes a value."""

    NONE = enum.auto()
    REQUIRED = enum.auto()
    OPTIONAL = enum.auto()


class Effect(enum.Enum):
    """What the option does in keepvip."""

    ACTS = enum.auto()
    NOTHING = enum.auto()
    """Accepted and without effect on purpose; the help says why."""
    NOT_YET = enum.auto()
    """Accepted with a message: its subject is not supported yet."""
    REFUSED = enum.auto()
    """Stops the start: going on would not do what was asked."""


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One option."""

    name: str
    """Long name, without dashes."""
    short: str = ""
    value: Value = Value.NONE
    metavar: str = "FILE"
    effect: Effect = Effect.ACTS
    help: str
    """One line: what it does, or why it does nothing."""


def flag(short: str, name: str, help_text: str, effect: Effect = Effect.ACTS) -> Option:
    """An option without a value."""
    return Option(name=name, short=short, help=help_text, effect=effect)


def value(short: str, name: str, metavar: str, help_text: str, effect: Effect = Effect.ACTS) -> Option:
    """An option with a value; an optional one is written `[FILE]`."""
    kind = Value.OPTIONAL if metavar.startswith("[") else Value.REQUIRED
    return Option(name=name, short=short, value=kind, metavar=metavar.strip("[]"), help=help_text, effect=effect)


def describe(table: Sequence[Option]) -> list[str]:
    """The lines of a `--help`."""
    lines: list[str] = []
    for option in table:
        short = f"-{option.short}, " if option.short else "    "
        shown = {Value.NONE: "", Value.REQUIRED: f"={option.metavar}", Value.OPTIONAL: f"[={option.metavar}]"}
        head = f"  {short}--{option.name}{shown[option.value]}"
        mark = "(no effect) " if option.effect is Effect.NOTHING else ""
        gap = f"\n{'':{_HELP_COLUMN}}" if len(head) >= _HELP_COLUMN else " " * (_HELP_COLUMN - len(head))
        lines.append(f"{head}{gap}{mark}{option.help}")
    return lines


class Parsed(msgspec.Struct, frozen=True, kw_only=True):
    """Options in the order given (with their value, if any) and the other words."""

    options: list[tuple[Option, str | None]]
    words: list[str]


class OptionError(Exception):
    """The command line cannot be understood; the text says which part."""


def parse(arguments: Sequence[str], table: Sequence[Option]) -> Parsed:
    """Reads a command line (without the program name). Raises `OptionError`."""
    shorts = {option.short: option for option in table if option.short}
    longs = {option.name: option for option in table}
    found: list[tuple[Option, str | None]] = []
    words: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            words.extend(rest)
            break
        if argument.startswith("--"):
            found.append(_long(argument[2:], longs, rest))
        elif argument.startswith("-") and argument != "-":
            found.extend(_shorts(argument[1:], shorts, rest))
        else:
            words.append(argument)
    return Parsed(options=found, words=words)


def _long(text: str, longs: dict[str, Option], rest: list[str]) -> tuple[Option, str | None]:
    name, equals, given = text.partition("=")
    option = longs.get(name)
    if option is None:
        candidates = sorted(known for known in longs if known.startswith(name))
        if not candidates:
            raise OptionError(f"unknown option --{name}")
        if len(candidates) > 1:
            raise OptionError(f"option --{name} is ambiguous: --{', --'.join(candidates)}")
        option = longs[candidates[0]]
    if option.value is Value.NONE:
        if equals:
            raise OptionError(f"option --{option.name} takes no value")
        return option, None
    if equals:
        return option, given
    if option.value is Value.OPTIONAL:
        return option, None
    if not rest:
        raise OptionError(f"option --{option.name} needs a value ({option.metavar})")
    return option, rest.pop(0)


def _shorts(letters: str, shorts: dict[str, Option], rest: list[str]) -> list[tuple[Option, str | None]]:
    found: list[tuple[Option, str | None]] = []
    while letters:
        letter, letters = letters[0], letters[1:]
        option = shorts.get(letter)
        if option is None:
            raise OptionError(f"unknown option -{letter}")
        if option.value is Value.NONE:
            found.append((option, None))
            continue
        if letters:
            found.append((option, letters))
        elif option.value is Value.OPTIONAL:
            found.append((option, None))
        elif rest:
            found.append((option, rest.pop(0)))
        else:
            raise OptionError(f"option -{letter} needs a value ({option.metavar})")
        break
    return found
