"""The table of features and of the tests that show them: `docs/features.toml` as rows of `docs/compatibility.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Feature", "Section", "features_text", "read_features"]

Status = Literal["pass", "partly", "no"]
STATUSES: tuple[Status, ...] = ("pass", "partly", "no")


class Feature(msgspec.Struct, frozen=True, array_like=True):
    """One row."""

    number: int
    tier: Literal["A", "B", "C"]
    status: Status
    what: str
    tests: tuple[str, ...]
    """Files below `tests/`, or single tests in them: `netns/test_x.py::test_y`."""
    note: str
    """What is missing or different."""


class Section(msgspec.Struct, frozen=True):
    """Rows that belong together."""

    title: str
    rows: tuple[Feature, ...]


class _File(msgspec.Struct, frozen=True):
    section: tuple[Section, ...]


def read_features(path: Path) -> tuple[Section, ...]:
    """All sections. Raises msgspec.ValidationError when a row is not as it should be."""
    import tomllib  # noqa: PLC0415  (the pages only)

    return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File).section


def features_text(sections: tuple[Section, ...]) -> str:
    """The tables, with a summary above them."""
    parts = [
        "Each row is a feature of keepalived; its tests look at the wire, the kernel or files,"
        " not at what keepvip says of itself. Folders are below `tests/`.\n",
        _summary(sections),
    ]
    for section in sections:
        rows = "\n".join(
            f"| {row.number} | {row.tier} | {row.status} | {row.what}{f' ({row.note})' if row.note else ''}"
            f" | {', '.join(f'`{test}`' for test in row.tests)} |"
            for row in section.rows
        )
        parts.append(f"### {section.title}\n\n| # | tier | | feature | tests |\n|---|---|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def _summary(sections: tuple[Section, ...]) -> str:
    lines = ["| section | " + " | ".join(STATUSES) + " |", "|---|" + "---|" * len(STATUSES)]
    total = dict.fromkeys(STATUSES, 0)
    for section in sections:
        counts = {status: sum(row.status == status for row in section.rows) for status in STATUSES}
        total = {status: total[status] + counts[status] for status in STATUSES}
        lines.append(f"| {section.title} | {' | '.join(str(counts[status]) for status in STATUSES)} |")
    lines.append(f"| **all** | {' | '.join(f'**{total[status]}**' for status in STATUSES)} |")
    return "\n".join(lines) + "\n"
