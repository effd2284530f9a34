"""Which processes count for a `vrrp_track_process`, and what there is to know about one (config-keywords.md 9).

Light: it is imported before the first advert where processes are tracked.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keepvip.config.model_track import TrackProcess

__all__ = ["ProcessFacts", "facts_of", "is_meant", "processes", "within"]

COMM_MAX = 15


class ProcessFacts(msgspec.Struct, frozen=True):
    """One process."""

    comm: bytes
    """Its name, cut to 15 octets by the kernel."""
    argv: tuple[bytes, ...] | None
    """Its command line; None when nobody wanted to know."""


def facts_of(process: int, *, command_line: bool) -> ProcessFacts | None:
    """What /proc says; None for a process that has ended, though its parent may not know yet."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:  # noqa: PTH123  (thousands of times)
            status = file.read(512)
        name, _, rest = status.partition(b"(")[2].rpartition(b")")
        if rest[1:2] in b"ZX":
            return None
        argv = None
        if command_line:
            with open(f"/proc/{process}/cmdline", "rb") as file:  # noqa: PTH123
                argv = tuple(file.read().rstrip(b"\0").split(b"\0"))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return ProcessFacts(name, argv)


def processes() -> Iterator[int]:
    """All processes of the host."""
    return (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208  (thousands)


def is_meant(config: TrackProcess, facts: ProcessFacts) -> bool:
    """Whether the process counts."""
    name = os.fsencode(config.process)
    if not config.command_line:
        return facts.comm == name[:COMM_MAX]
    if facts.argv is None or facts.argv[0] != name:
        return False
    wanted, given = tuple(map(os.fsencode, config.arguments)), facts.argv[1:]
    match config.match:
        case "any":
            return True
        case "exact":
            return given == wanted
        case "partial":
            return given[: len(wanted)] == wanted
        case "initial":
            if not wanted:
                return True
            *first, last = wanted
            return (
                len(given) >= len(wanted) and list(given[: len(first)]) == first and given[len(first)].startswith(last)
            )


def within(config: TrackProcess, count: int) -> bool:
    """Whether this number of processes is a good one."""
    return config.quorum <= count and (config.quorum_max is None or count <= config.quorum_max)
