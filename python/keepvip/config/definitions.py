"""Definitions: `$NAME=text`, the built-in ones, and their substitution (config-language.md 5)."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, NamedTuple

from keepvip.config.budget import MAX_VALUE_DEPTH, Budget
from keepvip.config.diagnostic import ConfigTestClass, Related
from keepvip.config.fragment import LINE_BYTES, Fragment, Ref, byte_length
from keepvip.config.source import Origin
from keepvip.config.suggest import Suggester

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keepvip.config.diagnostic import Diagnostics
    from keepvip.config.source import Span

__all__ = ["BUILT_IN", "NAME", "Definition", "Definitions", "Substituted"]

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_REFERENCE = re.compile(
    r"\$(?:([A-Za-z_][A-Za-z0-9_]*)(?=[ \t\n\v\f\r,)]|\Z)|\{([A-Za-z_][A-Za-z0-9_]*)((?:[ \t][A-Za-z0-9_ \t]*)?)\})"
)

BUILT_IN = ("_PWD", "_INSTANCE", "_RANDOM", "_ENV", "_HASH", "_BANG")

RANDOM_HIGH = 32767
MAX_ORIGINS = 8
"""Steps of a value that are remembered for messages."""


class Definition:
    """One definition. `body` is None for a single-line one; then `text` is its value."""

    __slots__ = ("body", "name", "text", "where")

    def __init__(self, name: str, where: Fragment, text: str = "", body: list[Fragment] | None = None) -> None:
        self.name = name
        self.where = where
        """The line that defines it, from its `$`."""
        self.text = text
        self.body = body

    @property
    def span(self) -> Span:
        """Where its name stands."""
        return self.where.span(0, len(self.name) + 1)


class Substituted(NamedTuple):
    """A line with its definitions put in."""

    fragment: Fragment
    changed: bool
    last: Definition | None = None
    """The multi-line definition that ends the line; `fragment` is then what stands before it."""
    reference: Ref | None = None
    """What its text is marked with."""


class Definitions:
    """All definitions in force, and what the built-in ones need to know."""

    def __init__(
        self,
        diagnostics: Diagnostics,
        budget: Budget,
        *,
        config_id: str,
        environ: Mapping[str, str],
        directory: Callable[[], str],
    ) -> None:
        """`directory` gives the directory of the file that is being read, for `${_PWD}`."""
        self._user: dict[str, Definition] = {}
        self._diagnostics = diagnostics
        self._budget = budget
        self._config_id = config_id
        self._environ = environ
        self._directory = directory
        self._suggest = Suggester()
        self._random = random.Random()

    def define(self, definition: Definition) -> None:
        """From here on; replaces an older one of the same name, built-in ones too."""
        self._user[definition.name] = definition

    def assign(self, name: str, value: str, where: Fragment) -> None:
        """Sets the variable of a sequence or list."""
        self._user[name] = Definition(name, where, value)

    def seed(self, value: int) -> None:
        """`random_seed`: the values of `${_RANDOM}` repeat from run to run (they are not those of keepalived)."""
        self._random.seed(value)

    def substitute(self, fragment: Fragment, *, multi_line: bool = True) -> Substituted:
        """Puts in the definitions that a line refers to, from left to right, and looks again at what was put in.

        A multi-line definition ends it: only the last reference of a line may be one. With `multi_line` off, those
        stay as they are, as do unknown names, circular ones, and values that would make the line too long.
        """
        text, marks = fragment.text, fragment.marks
        changed, at = False, 0
        while match := _REFERENCE.search(text, at):
            start, end = match.span()
            now = Fragment(text, fragment.source, fragment.number, fragment.offset, marks)
            outer = marks[start] if marks is not None else None
            outer = outer if isinstance(outer, Ref) else None
            at = end
            name, arguments = match[1] or match[2], (match[3] or "")
            definition = self._user.get(name)
            if definition is not None and arguments and name not in BUILT_IN:
                self._refuse(
                    "definition-arguments",
                    f"`{name}` is a definition of this configuration and takes no arguments, so this is not replaced",
                    now,
                    match,
                    f"write `${{{name}}}`",
                )
                continue
            if definition is None:
                value = self._built_in(name, arguments, now, match) if name in BUILT_IN else None
                if name not in BUILT_IN:
                    self._undefined(name, now, match)
                if value is None:
                    continue
            elif definition.body is not None:
                if not multi_line or end < len(text):
                    self._refuse(
                        "definition-not-last",
                        f"`{name}` has several lines, so it is only replaced at the end of a line",
                        now,
                        match,
                        "put it on a line of its own, or behind everything else",
                        definition,
                    )
                    continue
                return Substituted(now.cut(0, start), changed, definition, _ref(now, match, outer, definition))
            else:
                value = definition.text
                if outer is not None and definition in outer.chain:
                    self._refuse(
                        "circular-definition",
                        f"`{name}` refers to itself" + _through(outer, definition),
                        now,
                        match,
                        "a definition is replaced where it is used, not where it is written; "
                        "give one of them another name",
                        definition,
                    )
                    continue
                if outer is not None and len(outer.chain) >= MAX_VALUE_DEPTH:
                    self._refuse(
                        "definition-too-deep",
                        f"more than {MAX_VALUE_DEPTH} definitions inside each other",
                        now,
                        match,
                        "",
                        definition,
                    )
                    continue
            if byte_length(text) - byte_length(match.group()) + byte_length(value) > LINE_BYTES:
                self._refuse(
                    "definition-too-long",
                    f"the value of `{name}` makes the line longer than {LINE_BYTES} bytes, so it is not replaced",
                    now,
                    match,
                    "a definition of several lines has no such limit",
                    definition,
                )
                continue
            self._budget.spend()
            marks = now.marked()
            marks[start:end] = [_ref(now, match, outer, definition)] * len(value)
            text = text[:start] + value + text[end:]
            changed, at = True, start
        return Substituted(Fragment(text, fragment.source, fragment.number, fragment.offset, marks), changed)

    def _built_in(self, name: str, arguments: str, now: Fragment, match: re.Match[str]) -> str | None:
        words = arguments.split()
        if arguments != arguments.rstrip() or (arguments and name not in {"_RANDOM", "_ENV"}):
            problem = "takes no arguments" if arguments.strip() else "has a blank before its `}`"
            self._refuse(
                "definition-arguments",
                f"`{name}` {problem}, so this is not replaced",
                now,
                match,
                f"write `${{{name}}}`",
            )
            return None
        if name == "_ENV":
            if len(words) == 1:
                return self._environ.get(words[0], "").replace("\n", " ").replace("\0", "")
            self._refuse(
                "definition-arguments",
                "`_ENV` needs the name of one environment variable",
                now,
                match,
                "write `${_ENV NAME}`",
            )
            return None
        if name == "_RANDOM":
            return self._random_number(words, now, match)
        values = {"_INSTANCE": self._config_id, "_HASH": "#", "_BANG": "!"}
        return self._directory() if name == "_PWD" else values[name]

    def _random_number(self, words: list[str], now: Fragment, match: re.Match[str]) -> str | None:
        if len(words) > 2 or not all(re.fullmatch("[0-9]{1,9}", word) for word in words):
            self._refuse(
                "definition-arguments",
                "`_RANDOM` takes a smallest and a largest decimal number, both optional",
                now,
                match,
                "write `${_RANDOM 1 100}`",
            )
            return None
        low = int(words[0]) if words else 0
        high = int(words[1]) if len(words) > 1 else max(RANDOM_HIGH, low)
        if low > high:
            self._diagnostics.error(
                "definition-arguments",
                f"the smallest value {low} is above the largest {high}; {low} is used",
                now.span(*match.span()),
                kind=ConfigTestClass.GENERAL,
            )
            high = low
        return str(self._random.randint(low, high))

    def _undefined(self, name: str, now: Fragment, match: re.Match[str]) -> None:
        """keepalived says nothing; with braces it trips over them afterwards."""
        hint = self._suggest.hint(name, [*self._user, *BUILT_IN])
        quoted = now.text.count('"', 0, match.start()) % 2 == 1
        if match[2] and not quoted:
            self._diagnostics.error(
                "undefined-definition",
                f"`{name}` is not defined",
                now.span(*match.span()),
                hint=hint or f"`${name}=...` must stand above its first use",
                kind=ConfigTestClass.UNEXPECTED_OPEN,
            )
        elif hint or not quoted:
            self._diagnostics.warning(
                "undefined-definition",
                f"`{name}` is not defined, so `{match.group()}` stays as it is",
                now.span(*match.span()),
                hint=hint or f"`${name}=...` must stand above its first use",
            )

    def _refuse(
        self,
        code: str,
        message: str,
        now: Fragment,
        match: re.Match[str],
        hint: str,
        definition: Definition | None = None,
    ) -> None:
        """The reference stays as it is. In braces that is an error for keepalived too, which trips over the braces."""
        quoted = now.text.count('"', 0, match.start()) % 2 == 1
        kind = ConfigTestClass.UNEXPECTED_OPEN if match[2] and not quoted else ConfigTestClass.GENERAL
        related = () if definition is None else (Related(f"`{definition.name}` is defined here", definition.span),)
        self._diagnostics.error(code, message, now.span(*match.span()), hint=hint, kind=kind, related=related)


def _ref(now: Fragment, match: re.Match[str], outer: Ref | None, definition: Definition | None) -> Ref:
    """What the characters of a value are marked with."""
    if definition is None:
        origin = Origin("value", match[1] or match[2], "", 0)
    else:
        origin = Origin("value", definition.name, definition.where.source.file, definition.where.number)
    if outer is None:
        span = now.span(*match.span())
        return Ref(span.column - 1, span.length, (origin,), (definition,))
    origins = outer.origins if len(outer.origins) >= MAX_ORIGINS else (*outer.origins, origin)
    return Ref(outer.column, outer.width, origins, (*outer.chain, definition))


def _through(outer: Ref, definition: Definition) -> str:
    """The way of a circle: " through `B`"."""
    names = [step.name for step in outer.chain if isinstance(step, Definition) and step is not definition]
    return f" through {', '.join(f'`{name}`' for name in names[:5])}" if names else ""
