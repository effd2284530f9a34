"""What is being read: the frames on the expander's stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keepvip.config.definitions import Definition
    from keepvip.config.fragment import Fragment
    from keepvip.config.include import Checks, Request
    from keepvip.config.source import Source

__all__ = ["FileFrame", "FilesFrame", "LinesFrame"]


class FilesFrame:
    """Files that one include matched, still to be read."""

    __slots__ = ("paths", "request", "source")

    def __init__(self, paths: list[str], request: Request, source: Source | None) -> None:
        self.paths = iter(paths)
        self.request = request
        self.source = source
        """The one that asked."""


class FileFrame:
    """A file being read."""

    __slots__ = ("checks", "directory", "identity", "rows", "source")

    def __init__(
        self,
        source: Source,
        rows: Iterator[tuple[int, str]],
        directory: str,
        identity: tuple[int, int] | None,
        checks: Checks,
    ) -> None:
        self.source = source
        self.rows = rows
        """Physical lines with their numbers."""
        self.directory = directory
        self.identity = identity
        self.checks = checks
        """The strictness of includes in force."""


class LinesFrame:
    """Lines of a multi-line definition or of a sequence, or what is left of a line behind an include."""

    __slots__ = ("definition", "ready", "rows")

    def __init__(self, rows: Iterator[Fragment], definition: Definition | None = None, *, ready: bool = False) -> None:
        self.rows = rows
        self.definition = definition
        self.ready = ready
        """They have been through all stages and are cut at their braces."""
