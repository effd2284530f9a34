"""Which files an include means, and what is wrong with them (config-language.md 7)."""

# ruff: noqa: PTH116, PTH118
# Paths keep the form in which they were written; descriptors are opened with flags.

from __future__ import annotations

import errno
import os
import re
import stat
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from keepvip.config.budget import MAX_FILE_BYTES
from keepvip.config.diagnostic import ConfigTestClass
from keepvip.config.glob import PatternError, glob
from keepvip.config.suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keepvip.config.budget import Budget
    from keepvip.config.diagnostic import Diagnostics
    from keepvip.config.source import Span

__all__ = ["ALL_CHECKS", "DIRECTIVE", "Checks", "FileText", "Request", "checks_of", "find", "read", "updated_checks"]

Checks = frozenset[str]
"""What makes a problem an error: any of `read`, `match`, `wildcard_match`, `brace_match`."""

ALL_CHECKS: Checks = frozenset({"read", "match", "wildcard_match", "brace_match"})

DIRECTIVE = re.compile(r"(include[rmwba]?)[ \t\v\f\r]+(.+)")

PATTERN_ERROR_STEPS = 10_000
LOOKS_PER_STEP = 4

_VARIANTS: dict[str, Checks] = {
    "include": frozenset(),
    "includer": frozenset({"read"}),
    "includem": frozenset({"read", "match"}),
    "includew": frozenset({"read", "match", "wildcard_match"}),
    "includeb": frozenset({"read", "brace_match"}),
    "includea": ALL_CHECKS,
}


def checks_of(directive: str, level: Checks) -> Checks:
    """The checks of one include: those of its variant and those in force."""
    return _VARIANTS[directive] | level


def updated_checks(level: Checks, words: Sequence[str]) -> tuple[Checks, list[int]]:
    """What `include_check WORDS` makes of the checks in force, and the indices of the words that mean nothing.

    No word at all is all of them. A bare word in front starts anew, from `read`; `+` adds and `-` takes away.
    """
    if not words:
        return ALL_CHECKS, []
    result = set(level) if words[0][:1] in {"+", "-"} else {"read"}
    wrong = []
    for index, word in enumerate(words):
        name = word.lstrip("+-") if word[:1] in {"+", "-"} else word
        if name not in ALL_CHECKS:
            wrong.append(index)
        elif word.startswith("-"):
            result.discard(name)
        else:
            result.add(name)
    return frozenset(result), wrong


class Request(NamedTuple):
    """What was asked for, where, and how strictly."""

    pattern: str
    directory: str
    """Of the file that asks; "" is the current one."""
    span: Span | None
    """Of the pattern; None for the configuration file itself."""
    checks: Checks

    @property
    def is_main(self) -> bool:
        """It is the configuration file, not an include."""
        return self.span is None


class FileText(NamedTuple):
    """A file that was read."""

    data: bytes
    identity: tuple[int, int]
    """Device and inode: the same file under any name."""


def find(request: Request, diagnostics: Diagnostics, budget: Budget) -> list[str]:
    """The files that a pattern means, as paths that can be opened from here."""
    if request.is_main and os.path.lexists(request.pattern):
        return [request.pattern]  # whatever `[` or `*` its name may hold
    try:
        found = glob(request.pattern, request.directory)
    except PatternError as problem:
        complain(request, diagnostics, "include-pattern", f"`{request.pattern}`: {problem}", "read")
        budget.spend(PATTERN_ERROR_STEPS)
        return []
    budget.spend(found.looked_at // LOOKS_PER_STEP)
    pattern = request.pattern
    if found.missing and found.paths:
        missing = ", ".join(f"`{name}`" for name in found.missing[:5])
        complain(
            request,
            diagnostics,
            "include-not-found",
            f"`{pattern}` names files that do not exist: {missing}",
            "brace_match",
        )
    elif not found.paths and found.braces:
        complain(request, diagnostics, "include-not-found", f"no file matches `{pattern}`", "brace_match")
    elif not found.paths and found.wildcard:
        complain(request, diagnostics, "include-no-match", f"no file matches `{pattern}`", "wildcard_match")
    elif not found.paths:
        complain(
            request,
            diagnostics,
            "include-not-found",
            f"`{pattern}` does not exist",
            "match",
            hint=_similar_file(os.path.join(request.directory, pattern)),
        )
    if request.is_main and len(found.paths) > 1:
        diagnostics.warning(
            "several-files",
            f"`{pattern}` matches {len(found.paths)} files; all are read, beginning with `{found.paths[0]}`",
            kind=ConfigTestClass.MULTIPLE_FILES,
        )
    return [os.path.join(request.directory, path) for path in found.paths]


def read(path: str, request: Request, diagnostics: Diagnostics) -> FileText | None:
    """The content of one file: regular and without execute bits, or it is refused."""
    try:
        if (problem := _unfit(os.stat(path))) is None:  # before opening: opening a device may already do something
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
            with os.fdopen(descriptor, "rb") as file:
                found = os.fstat(file.fileno())
                if (problem := _unfit(found)) is None:
                    return FileText(file.read(MAX_FILE_BYTES), (found.st_dev, found.st_ino))
    except OSError as error:
        problem = os.strerror(error.errno or errno.EIO)
    except ValueError as error:
        problem = str(error)  # a NUL in the name
    hint = f"chmod a-x {path}" if "executable" in problem else ""
    complain(request, diagnostics, "include-unreadable", f"`{path}` {problem}", "read", hint=hint)
    return None


def _unfit(found: os.stat_result) -> str | None:
    mode = found.st_mode
    if stat.S_ISDIR(mode):
        return "is a directory"
    if not stat.S_ISREG(mode):
        return "is not a regular file"
    if mode & 0o111:
        return "is executable, and a configuration file must not be"
    return f"is larger than {MAX_FILE_BYTES >> 20} MiB" if found.st_size > MAX_FILE_BYTES else None


def complain(
    request: Request, diagnostics: Diagnostics, code: str, message: str, check: str, *, hint: str = ""
) -> None:
    """Tells of a problem; how bad it is depends on the checks in force.

    The configuration file itself is opened with all checks of `includew`, but keepalived's test forgets what it found.
    """
    if request.is_main:
        diagnostics.error(code, message, hint=hint, kind=ConfigTestClass.NONE, stops_start=True)
    elif check in request.checks:
        diagnostics.error(code, message, request.span, hint=hint, kind=ConfigTestClass.FILE_NOT_FOUND, stops_start=True)
    elif check == "wildcard_match":
        diagnostics.note(code, message, request.span)
    else:
        diagnostics.warning(code, message, request.span, hint=hint)


def _similar_file(path: str) -> str:
    """A name in the same directory that may have been meant."""
    directory, name = os.path.split(path)
    try:
        with os.scandir(directory or ".") as entries:
            names = [entry.name for entry in islice(entries, 1_000)]
    except (OSError, ValueError):
        return f"the directory `{directory}` cannot be read" if directory else ""
    found = nearest(name, names)
    return f"did you mean `{os.path.join(directory, found)}`?" if found is not None else ""
