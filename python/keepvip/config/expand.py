"""From files to statements: the stages of config-language.md 1, steps 1 to 10.

The expander is pulled by the tree line by line, as keepalived pulls: what the tree finds in one line (`include_check`)
is in force for the next. Files, multi-line definitions and sequences being read lie on one stack, so no depth of
nesting costs recursion.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from keepvip.config.budget import MAX_DEPTH, MAX_STEPS, MAX_TOTAL_BYTES, Budget, BudgetExceededError
from keepvip.config.definitions import Definition, Definitions
from keepvip.config.diagnostic import ConfigTestClass, Related
from keepvip.config.fragment import BLANKS, LINE_BYTES, Fragment, byte_length, find_special
from keepvip.config.frame import FileFrame, FilesFrame, LinesFrame
from keepvip.config.include import ALL_CHECKS, DIRECTIVE, Checks, Request, checks_of, complain, find, read
from keepvip.config.lexer import split_braces, strip_comment
from keepvip.config.sequence import is_repetition, parse_repetition
from keepvip.config.source import Origin, Source, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from keepvip.config.definitions import Substituted
    from keepvip.config.diagnostic import Diagnostics
    from keepvip.config.fragment import Logical
    from keepvip.config.sequence import Repetition

__all__ = ["Expander"]

MAIN_CHECKS: Checks = frozenset({"read", "match", "wildcard_match"})
FILE_STEPS = 8
"""What reading a file once more costs, compared with a line."""

_CONDITION = re.compile(r"@(\^?)([^ \t\n\v\f\r]*)[ \t\n\v\f\r]*")
_DEFINITION = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)=")


class Expander:
    """Reads a configuration into logical lines."""

    def __init__(
        self,
        diagnostics: Diagnostics,
        *,
        config_id: str,
        environ: Mapping[str, str],
        strict_includes: bool = False,
    ) -> None:
        """`config_id` is what `@id` is compared with; `strict_includes` puts all checks on every include (`-e`)."""
        self.files: dict[str, None] = {}
        """Every file that was read, in order."""
        self._diagnostics = diagnostics
        self._config_id = config_id
        self._budget = Budget()
        self._definitions = Definitions(
            diagnostics, self._budget, config_id=config_id, environ=environ, directory=self._working_directory
        )
        self._checks = ALL_CHECKS if strict_includes else frozenset[str]()
        self._always = self._checks
        self._stack: list[FilesFrame | FileFrame | LinesFrame] = []
        self._reading: list[FileFrame] = []
        self._known: set[tuple[int, int]] = set()
        self._bytes_left = MAX_TOTAL_BYTES
        self._collecting: Definition | None = None
        self._last: Fragment | None = None
        """The line in hand, for messages."""

    def open(self, pattern: str) -> None:
        """Begins with the configuration file; it may be a pattern that matches several."""
        request = Request(pattern, "", None, MAIN_CHECKS)
        self._stack.append(FilesFrame(find(request, self._diagnostics, self._budget), request, None))

    def open_bytes(self, data: bytes, name: str) -> None:
        """Begins with text that is not in a file; includes are relative to the current directory."""
        self._push_file(name, data, None, None, "")

    def set_checks(self, update: Checks) -> None:
        """`include_check`: from here to the end of the file."""
        if self._reading:
            self._reading[-1].checks = update | self._always

    @property
    def checks(self) -> Checks:
        """The strictness of includes in force."""
        return self._reading[-1].checks if self._reading else self._checks

    def seed(self, value: int) -> None:
        """`random_seed`."""
        self._definitions.seed(value)

    def lines(self) -> Iterator[Logical]:
        """All statements and braces in order."""
        try:
            while self._stack:
                top = self._stack[-1]
                if isinstance(top, FileFrame):
                    yield from self._physical(top)
                elif isinstance(top, FilesFrame):
                    self._next_file(top)
                else:
                    yield from self._replayed(top)
        except BudgetExceededError:
            self._diagnostics.error(
                "too-much",
                f"definitions, sequences and includes make too much of this (more than {MAX_STEPS} lines and "
                "substitutions); nothing is read from here on",
                None if self._last is None else self._last.span(),
                hint="look for definitions or includes that multiply each other",
            )
        if self._collecting is not None:
            self._finish_definition()

    # Step 1 and 2, and the short way for lines in which nothing is special.

    def _physical(self, file: FileFrame) -> Iterator[Logical]:
        source, stack = file.source, self._stack
        for number, line in file.rows:
            found = find_special(line)
            if found is None or (found[0] in "{}" and not line[found.end() :].strip(BLANKS)):
                text = line.strip(BLANKS)
                plain = found is None or found[0] == "{" or text == "}"
                if plain and self._collecting is None and len(line) < LINE_BYTES and text[:7] != "include":
                    if text:
                        yield text, source, number, line.index(text[0]), None
                    continue
            for fragment in self._split(source, number, line):
                yield from self._line(fragment)
            if stack[-1] is not file:
                return
        stack.pop()
        self._reading.pop()

    def _split(self, source: Source, number: int, line: str) -> Iterable[Fragment]:
        """The line as keepalived's buffer sees it: nothing of a line that is too long, except for what is left over."""
        whole = Fragment(line, source, number, 0)
        fits = len(line) * 4 < LINE_BYTES or byte_length(line) < LINE_BYTES
        for piece in (whole.cut(0, len(line.rstrip("\r"))),) if fits else self._left_over(whole):
            if "\0" in piece.text:
                at = piece.text.index("\0")
                self._diagnostics.error(
                    "nul-byte",
                    "the line holds a NUL byte and is dropped",
                    piece.span(at, at + 1),
                    hint="is this a text file?",
                )
            else:
                yield piece

    def _left_over(self, whole: Fragment) -> list[Fragment]:
        data = whole.text.encode("utf-8", "surrogateescape")
        start = len(data) - len(data) % LINE_BYTES
        end = len(whole.text.rstrip("\r"))
        rest = f"; its last {len(data) - start} bytes are read as a line of their own" if start < len(data) else ""
        self._diagnostics.error(
            "line-too-long",
            f"the line has {len(data)} bytes, and {LINE_BYTES - 1} is the most, so it is dropped{rest}",
            whole.span(min(LINE_BYTES - 1, end) if whole.text.isascii() else 0, end),
            hint="split it; a definition of several lines can hold what belongs together",
        )
        before = len(data[:start].decode("utf-8", "surrogateescape"))
        return [
            Fragment(data[start:].decode("utf-8", "surrogateescape").rstrip("\r"), whole.source, whole.number, before)
        ]

    # Steps 3 and 4.

    def _line(self, fragment: Fragment) -> Iterable[Logical]:
        whole, fragment = fragment, self._stripped(fragment)
        if not fragment.text:
            if self._collecting is not None:
                self._blank_in_definition(whole, self._collecting)
                self._finish_definition()
            return ()
        if self._collecting is not None:
            self._collect(fragment)
            return ()
        return self._statement(fragment)

    def _blank_in_definition(self, line: Fragment, definition: Definition) -> None:
        """keepalived's parent overlooks comments in a definition; for its children, who do the work, they end it."""
        if line.text:
            self._diagnostics.warning(
                "definition-ends",
                f"this line ends the definition of `{definition.name}`",
                line.trimmed().span(),
                hint="put a backslash at its end if the definition goes on",
            )

    def _stripped(self, fragment: Fragment) -> Fragment:
        stripped = strip_comment(fragment)
        if stripped.quote >= 0:
            self._unterminated(fragment, stripped.quote)
        return stripped.fragment

    def _unterminated(self, fragment: Fragment, at: int) -> None:
        self._diagnostics.error(
            "unterminated-quote",
            "this quote is never closed",
            fragment.span(at, at + 1),
            expected='a closing `"` on the same line',
            kind=ConfigTestClass.UNMATCHED_QUOTE,
        )

    def _collect(self, fragment: Fragment) -> None:
        definition = self._collecting
        if definition is None or definition.body is None:
            return
        goes_on = fragment.text.endswith("\\")
        kept = fragment.cut(0, -1).trimmed() if goes_on else fragment
        if kept.text:
            definition.body.append(kept)
        if not goes_on:
            # A single line that does not go on is a single-line definition, however it was written.
            definition.anywhere = len(definition.body) == 1
            self._finish_definition()

    def _finish_definition(self) -> None:
        definition, self._collecting = self._collecting, None
        if definition is None or definition.body is None:
            return
        definition.anywhere |= not definition.body
        definition.text = definition.body[0].text if definition.body else ""
        self._definitions.define(definition)

    # Steps 5 to 9.

    def _statement(self, fragment: Fragment) -> Iterable[Logical]:
        self._last = fragment
        first = fragment.text[0]
        if first == "@":
            condition = _CONDITION.match(fragment.text)
            if condition is None or condition.end() == len(fragment.text):
                return ()
            if (condition[2] == self._config_id) == bool(condition[1]):
                return ()
            fragment = fragment.cut(condition.end())
            first = fragment.text[0]
        if first == "$" and (found := _DEFINITION.match(fragment.text)):
            self._define(found[1], fragment, found.end())
            return ()
        if first == "~" and is_repetition(fragment.text):
            repetition = parse_repetition(fragment, self._definitions, self._diagnostics)
            if repetition is not None:
                self._repeat(repetition, fragment)
            return ()
        if "$" in fragment.text:
            substituted = self._definitions.substitute(fragment)
            if substituted.last is not None:
                self._insert(substituted, fragment)
                return ()
            if substituted.changed:
                fragment = self._stripped(substituted.fragment)
                if not fragment.text:
                    return ()
        if fragment.text.startswith("include") and self._include(fragment):
            return ()
        return self._cut(fragment)

    def _define(self, name: str, fragment: Fragment, end: int) -> None:
        text = fragment.text[end:].lstrip(BLANKS)
        if not text.endswith("\\"):
            self._definitions.define(Definition(name, fragment, text))
            return
        self._collecting = Definition(name, fragment, body=[])
        first = fragment.cut(end, -1).trimmed()
        if first.text and self._collecting.body is not None:
            self._collecting.body.append(first)

    def _insert(self, substituted: Substituted, line: Fragment) -> None:
        """Puts the lines of a definition on the stack; what stands before the reference goes before the first."""
        before, _, definition, reference = substituted
        if definition is None or definition.body is None or reference is None:
            return
        if any(isinstance(frame, LinesFrame) and frame.definition is definition for frame in self._stack):
            self._diagnostics.error(
                "circular-definition",
                f"`{definition.name}` is used inside itself",
                Span(line.source.line(line.number), reference.column + 1, reference.width),
                hint="a definition is replaced where it is used, not where it is written",
                related=(Related(f"`{definition.name}` is defined here", definition.span),),
            )
            return
        if not self._may_nest(line):
            return
        self._budget.spend(len(definition.body) + 1)
        origin = Origin("definition", definition.name, line.source.file, line.number)
        source = definition.where.source.derived((*line.source.origin, origin))
        lines = [row.moved(source) for row in definition.body]
        if before.text.strip(BLANKS) or not lines:
            lines[:1] = [before.joined(lines[0], reference) if lines else before]
        lines[0] = self._stripped(lines[0])  # the line of the reference, as after any substitution; may be empty now
        self._stack.append(LinesFrame(iter(lines if lines[0].text else lines[1:]), definition))

    def _repeat(self, repetition: Repetition, fragment: Fragment) -> None:
        if not self._may_nest(fragment):
            return
        self._budget.spend(repetition.rounds + 1 + len(fragment.text) // 128)
        self._stack.append(LinesFrame(self._rounds(repetition, fragment)))

    def _rounds(self, repetition: Repetition, fragment: Fragment) -> Iterator[Fragment]:
        source = fragment.source
        for values in repetition.values():
            for name, value in zip(repetition.names, values, strict=True):
                self._definitions.assign(name, value, fragment)
            if not repetition.template.text:
                continue
            text = ", ".join(f"{name} = {value}" for name, value in zip(repetition.names, values, strict=True))
            origin = Origin(repetition.kind, text, source.file, fragment.number)
            yield repetition.template.moved(source.derived((*source.origin, origin)))

    def _may_nest(self, fragment: Fragment) -> bool:
        if len(self._stack) < MAX_DEPTH:
            return True
        self._diagnostics.error(
            "too-deep",
            f"includes, definitions and sequences are nested more than {MAX_DEPTH} deep; this one is left out",
            fragment.span(),
        )
        return False

    def _replayed(self, lines: LinesFrame) -> Iterator[Logical]:
        stack = self._stack
        for fragment in lines.rows:
            if lines.ready:
                if fragment.text in {"{", "}"}:
                    yield fragment.brace()
                elif not (fragment.text.startswith("include") and self._include(fragment)):
                    yield fragment.logical()
            elif self._collecting is not None:
                self._collect(fragment)
            else:
                yield from self._statement(fragment)
            if stack[-1] is not lines:
                return
        stack.pop()

    # Step 10.

    def _cut(self, fragment: Fragment) -> Iterable[Logical]:
        text = fragment.text
        if text.endswith("\\"):
            self._stray_backslash(fragment)
        if "{" not in text and "}" not in text:
            return (fragment.logical(),)
        pieces = [fragment.cut(start, end) for start, end in split_braces(text)]
        done: list[Logical] = []
        for index, piece in enumerate(pieces):
            if piece.text in {"{", "}"}:
                done.append(piece.brace())
            elif piece.text.startswith("include") and DIRECTIVE.fullmatch(piece.text):
                self._stack.append(LinesFrame(iter(pieces[index:]), ready=True))
                break
            else:
                done.append(piece.logical())
        return done

    def _stray_backslash(self, fragment: Fragment) -> None:
        end = len(fragment.text)
        self._diagnostics.warning(
            "stray-backslash",
            "a backslash at the end joins lines only inside a definition; here it is part of the last word",
            fragment.span(end - 1, end),
            hint="remove it, and put everything on one line",
        )

    # Files.

    def _include(self, fragment: Fragment) -> bool:
        """Takes an include up, if the line is one."""
        directive = DIRECTIVE.fullmatch(fragment.text)
        if directive is None:
            return False
        if self._may_nest(fragment):
            pattern = fragment.cut(directive.start(2)).trimmed()
            here = self._reading[-1]
            request = Request(pattern.text, here.directory, pattern.span(), checks_of(directive[1], here.checks))
            paths = find(request, self._diagnostics, self._budget)
            self._stack.append(FilesFrame(paths, request, fragment.source))
        return True

    def _next_file(self, files: FilesFrame) -> None:
        path = next(files.paths, None)
        if path is None:
            self._stack.pop()
            return
        found = read(path, files.request, self._diagnostics)
        if found is None:
            return
        if any(file.identity == found.identity for file in self._reading):
            self._diagnostics.error(
                "include-loop",
                f"`{path}` includes itself",
                files.request.span,
                hint="remove this include; keepalived would go round until it runs out of file descriptors",
                kind=ConfigTestClass.FILE_NOT_FOUND,
                stops_start="read" in files.request.checks,
            )
            return
        if len(found.data) > self._bytes_left:
            complain(
                files.request,
                self._diagnostics,
                "include-too-much",
                f"`{path}` is left out: all files together have more than {MAX_TOTAL_BYTES >> 20} MiB",
                "read",
            )
            return
        self._bytes_left -= len(found.data)
        if found.identity in self._known:
            self._budget.spend(found.data.count(b"\n") + FILE_STEPS)
        self._known.add(found.identity)
        self._push_file(path, found.data, files, found.identity, os.path.dirname(path))  # noqa: PTH120  (keeps it as written)

    def _push_file(
        self, name: str, data: bytes, files: FilesFrame | None, identity: tuple[int, int] | None, directory: str
    ) -> None:
        self.files.setdefault(name)
        self._diagnostics.saw_file(name)
        origin: tuple[Origin, ...] = ()
        if files is not None and files.source is not None and files.request.span is not None:
            span = files.request.span
            origin = (*files.source.origin, Origin("include", files.request.pattern, span.file, span.number))
        text = data.decode("utf-8", "surrogateescape")
        body = text.removeprefix("\ufeff")
        source = Source(name, body, origin)
        if body is not text:
            self._diagnostics.error(
                "byte-order-mark",
                "the file begins with a byte order mark, which keepalived takes for a part of the first word",
                Fragment("", source, 1, 0).span(),
                hint="save it as UTF-8 without a byte order mark",
                kind=ConfigTestClass.UNKNOWN_KEYWORD,
            )
        rows = body.split("\n")
        if not rows[-1]:
            rows.pop()
        file = FileFrame(source, enumerate(rows, 1), directory, identity, self.checks)
        self._reading.append(file)
        self._stack.append(file)

    def _working_directory(self) -> str:
        """`${_PWD}`: that of the file being read."""
        return os.path.realpath(self._reading[-1].directory if self._reading else "")
