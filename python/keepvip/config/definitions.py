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

    __slots__ = ("anywhere", "body", "name", "text", "where")

    def __init__(self, name: str, where: Fragment, text: str = "", body: list[Fragment] | None = None) -> None:
        self.name = name
        self.where = where
        """The line that defines it, from its `$`."""
        self.text = text
        self.body = body
        self.anywhere = body is None
        """It may stand in the middle of a line: also one that was written over several lines and is only one."""

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
        now, changed, at = fragment, False, 0
        while match := _REFERENCE.search(now.text, at):
            start, end = match.span()
            at = end
            mark = now.marks[start] if now.marks is not None else None
            use = _Use(now, match, mark if isinstance(mark, Ref) else None, self._user.get(match[1] or match[2]))
            definition = use.definition
            if definition is not None and definition.body is not None and multi_line and end == len(now.text):
                return Substituted(now.cut(0, start), changed, definition, use.ref())
            value = self._value(use)
            if value is None:
                continue
            self._budget.spend()
            marks = now.marked()
            marks[start:end] = [use.ref()] * len(value)
            text = now.text[:start] + value + now.text[end:]
            now = Fragment(text, now.source, now.number, now.offset, marks)
            changed, at = True, start
        return Substituted(now, changed)

    def _value(self, use: _Use) -> str | None:
        """What to put in. None: the reference stays as it is, and it has been told why."""
        if use.definition is not None:
            value: str | _Problem = _problem(use, use.definition) or use.definition.text
        elif use.name in BUILT_IN:
            value = self._built_in(use)
        else:
            self._undefined(use)
            return None
        if isinstance(value, str):
            size = byte_length(use.line.text) - byte_length(use.match.group()) + byte_length(value)
            if size <= LINE_BYTES:
                return value
            value = _Problem(
                "definition-too-long",
                f"the value of `{use.name}` makes the line longer than {LINE_BYTES} bytes, so it is not replaced",
                "split it; a definition of several lines has no such limit",
            )
        # The reference stays. In braces that is an error for keepalived too, which trips over the braces.
        kind = ConfigTestClass.UNEXPECTED_OPEN if use.tears else ConfigTestClass.GENERAL
        definition = use.definition
        related = () if definition is None else (Related(f"`{definition.name}` is defined here", definition.span),)
        self._diagnostics.error(value.code, value.message, use.span(), hint=value.hint, kind=kind, related=related)
        return None

    def _built_in(self, use: _Use) -> str | _Problem:
        name, words = use.name, use.arguments.split()
        if use.arguments != use.arguments.rstrip() or (words and name not in {"_RANDOM", "_ENV"}):
            problem = "takes no arguments" if words else "has a blank before its `}`"
            message = f"`{name}` {problem}, so this is not replaced"
            return _Problem("definition-arguments", message, f"write `${{{name}}}`")
        if name == "_ENV":
            if len(words) == 1:
                return self._environ.get(words[0], "").replace("\n", " ").replace("\0", "")
            message = "`_ENV` needs the name of one environment variable"
            return _Problem("definition-arguments", message, "write `${_ENV NAME}`")
        if name == "_RANDOM":
            return self._random_number(use, words)
        values = {"_INSTANCE": self._config_id, "_HASH": "#", "_BANG": "!"}
        return self._directory() if name == "_PWD" else values[name]

    def _random_number(self, use: _Use, words: list[str]) -> str | _Problem:
        if len(words) > 2 or not all(re.fullmatch("[0-9]{1,9}", word) for word in words):
            message = "`_RANDOM` takes a smallest and a largest decimal number, both optional"
            return _Problem("definition-arguments", message, "write `${_RANDOM 1 100}`")
        low = int(words[0]) if words else 0
        high = int(words[1]) if len(words) > 1 else max(RANDOM_HIGH, low)
        if low > high:
            message = f"the smallest value {low} is above the largest {high}; {low} is used"
            self._diagnostics.error("definition-arguments", message, use.span())
            high = low
        return str(self._random.randint(low, high))

    def _undefined(self, use: _Use) -> None:
        """keepalived says nothing; with braces it trips over them afterwards."""
        hint = self._suggest.hint(use.name, [*self._user, *BUILT_IN])
        advice = hint or f"`${use.name}=...` must stand above its first use"
        if use.tears:
            message = f"`{use.name}` is not defined"
            self._diagnostics.error(
                "undefined-definition", message, use.span(), hint=advice, kind=ConfigTestClass.UNEXPECTED_OPEN
            )
        elif hint or not use.quoted:
            message = f"`{use.name}` is not defined, so `{use.match.group()}` stays as it is"
            self._diagnostics.warning("undefined-definition", message, use.span(), hint=advice)


class _Problem(NamedTuple):
    """Why a reference is not replaced."""

    code: str
    message: str
    hint: str = ""


def _problem(use: _Use, definition: Definition) -> _Problem | None:
    """What keeps a definition from being put in at this place."""
    name, outer = use.name, use.outer
    if use.arguments and name not in BUILT_IN:
        message = f"`{name}` is a definition of this configuration and takes no arguments, so this is not replaced"
        return _Problem("definition-arguments", message, f"write `${{{name}}}`")
    if not definition.anywhere:
        message = f"`{name}` has several lines, so it is only replaced at the end of a line"
        return _Problem("definition-not-last", message, "put it on a line of its own, or behind everything else")
    if outer is not None and definition in outer.chain:
        message = f"`{name}` refers to itself{_through(outer, definition)}"
        hint = "a definition is replaced where it is used, not where it is written; give one of them another name"
        return _Problem("circular-definition", message, hint)
    if outer is not None and len(outer.chain) >= MAX_VALUE_DEPTH:
        return _Problem("definition-too-deep", f"more than {MAX_VALUE_DEPTH} definitions inside each other")
    return None


class _Use:
    """One reference, while it is looked at."""

    __slots__ = ("arguments", "definition", "line", "match", "name", "outer")

    def __init__(self, line: Fragment, match: re.Match[str], outer: Ref | None, definition: Definition | None) -> None:
        self.line = line
        self.match = match
        self.outer = outer
        """The reference whose value this one stands in."""
        self.definition = definition
        self.name = match[1] or match[2]
        self.arguments = match[3] or ""

    @property
    def quoted(self) -> bool:
        """It stands in double quotes."""
        return self.line.text.count('"', 0, self.match.start()) % 2 == 1

    @property
    def tears(self) -> bool:
        """Left as it is, its braces would be taken for those of a block."""
        return self.match[2] is not None and not self.quoted

    def span(self) -> Span:
        """Its place."""
        return self.line.span(*self.match.span())

    def ref(self) -> Ref:
        """What the characters of its value are marked with."""
        where = None if self.definition is None else self.definition.where
        origin = Origin("value", self.name, where.source.file if where else "", where.number if where else 0)
        outer = self.outer
        if outer is None:
            span = self.span()
            return Ref(span.column - 1, span.length, (origin,), (self.definition,))
        origins = outer.origins if len(outer.origins) >= MAX_ORIGINS else (*outer.origins, origin)
        return Ref(outer.column, outer.width, origins, (*outer.chain, self.definition))


def _through(outer: Ref, definition: Definition) -> str:
    """The way of a circle: " through `B`"."""
    names = [step.name for step in outer.chain if isinstance(step, Definition) and step is not definition]
    return f" through {', '.join(f'`{name}`' for name in names[:5])}" if names else ""
