"""Diagnostics: order, counts, exit codes, and how they look."""

from __future__ import annotations

import json
from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from keepvip.config.diagnostic import (
    MAX_KEPT,
    ConfigTestClass,
    Diagnostics,
    Related,
    Severity,
    config_test_exit_code,
)
from keepvip.config.render import count_line, render, render_one, to_json, to_objects
from keepvip.config.source import Line, Origin, Span
from keepvip.config.suggest import Suggester, did_you_mean, distance, nearest

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Read


def span(text: str, column: int = 1, length: int = 1, number: int = 1, file: str = "f", *origin: Origin) -> Span:
    return Span(Line(file, number, text, origin), column, length)


class TestCollection:
    def test_sorted_by_place_each_once(self) -> None:
        found = Diagnostics()
        found.saw_file("z")
        found.saw_file("a")
        found.error("e", "no place")
        found.warning("w", "a2", span("", 1, 1, 2, "a"))
        found.error("e", "z9", span("", 1, 1, 9, "z"))
        found.note("n", "z1-5", span("", 5, 1, 1, "z"))
        found.error("e", "z1-2", span("", 2, 1, 1, "z"))
        found.error("e", "z1-2", span("", 2, 1, 1, "z", Origin("include", "z", "q", 1)))
        assert [item.message for item in found] == ["z1-2", "z1-5", "z9", "a2", "no place"]
        assert (found.errors, found.warnings, found.notes, len(found)) == (3, 1, 1, 5)

    def test_only_so_many_are_kept(self) -> None:
        found = Diagnostics()
        for number in range(MAX_KEPT + 5):
            found.error("e", str(number), kind=ConfigTestClass.GENERAL)
        assert len(list(found)) == MAX_KEPT
        assert (found.errors, found.dropped) == (MAX_KEPT + 5, 5)
        assert "5 more are not shown" in render(found)

    def test_empty(self) -> None:
        found = Diagnostics()
        assert not found
        assert count_line(found) == "no problems found"
        assert render(found) == "no problems found\n"


ONE = {
    ConfigTestClass.NONE: 0,
    ConfigTestClass.FILE_NOT_FOUND: 4,
    ConfigTestClass.BAD_INTERFACE: 4,
    ConfigTestClass.FATAL: 4,
    ConfigTestClass.SECURITY: 6,
    ConfigTestClass.ABORT: 2,
}


class TestExitCode:
    @pytest.mark.parametrize("kind", ConfigTestClass)
    def test_one(self, kind: ConfigTestClass) -> None:
        found = Diagnostics()
        found.warning("w", "m", kind=kind)
        assert config_test_exit_code(found) == ONE.get(kind, 5)

    def test_the_highest_rank_counts(self) -> None:
        for low, high in combinations(ConfigTestClass, 2):
            found = Diagnostics()
            found.error("e", "high", kind=high)
            found.error("e", "low", kind=low)
            assert config_test_exit_code(found) == ONE.get(high, 5)

    def test_nothing(self) -> None:
        assert config_test_exit_code(Diagnostics()) == 0


class TestText:
    def test_everything(self, read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "main").write_text("$P=priorty 50\n\ninclude sub.conf\n")
        (tmp_path / "sub.conf").write_text("vrrp_instance A {\n\t$P\n")
        found = read(tmp_path.joinpath("main").relative_to(tmp_path))
        assert render(found.diagnostics) == (
            "error[missing-close-brace]: the block of `vrrp_instance A` is never closed\n"
            " --> sub.conf:1:1\n"
            "  |\n"
            "1 | vrrp_instance A {\n"
            "  | ^^^^^^^^^^^^^^^\n"
            "  = expected: `}`\n"
            "  = included from main:3\n"
            "\n"
            "error[unknown-keyword]: `priorty` is not a keyword of `vrrp_instance`; the line is ignored\n"
            " --> sub.conf:2:2\n"
            "  |\n"
            "2 |     $P\n"
            "  |     ^^\n"
            "  = help: did you mean `priority`?\n"
            "  = from `$P`, defined at main:1\n"
            "  = included from main:3\n"
            "\n"
            "2 errors\n"
        )

    def test_related(self) -> None:
        found = Diagnostics()
        found.warning("twice", "again", span("  bc", 3, 2, 12), related=[Related("first here", span("a", 1, 1, 7))])
        assert render_one(*found) == (
            "warning[twice]: again\n"
            "  --> f:12:3\n"
            "   |\n"
            "12 |   bc\n"
            "   |   ^^\n"
            "note: first here\n"
            "  --> f:7:1\n"
            "   |\n"
            " 7 | a\n"
            "   | ^\n"
        )

    @pytest.mark.parametrize(
        ("text", "column", "length", "line", "carets"),
        [
            ("a\tb", 3, 1, "a   b", "    ^"),
            ("\t\tb", 3, 1, "        b", "        ^"),
            ("abc\tb", 4, 1, "abc b", "   ^"),
            ("日本 x", 1, 2, "日本 x", "^^^^"),
            ("日本 x", 4, 1, "日本 x", "     ^"),
            ("e\u0301x y", 3, 1, "e\u0301x y", " ^"),
            ("a\x1b[31mb", 2, 1, "a\\x1b[31mb", " ^^^^"),
            ("\udcffx", 2, 1, "\\xffx", "    ^"),
            ("a\u202eb", 3, 1, "a\\u202eb", "       ^"),
            ("ab", 3, 0, "ab", "  ^"),
            ("ab", 9, 4, "ab", "  ^"),
            ("", 1, 0, "", "^"),
        ],
    )
    def test_carets(self, text: str, column: int, length: int, line: str, carets: str) -> None:
        found = Diagnostics()
        found.error("e", "m", span(text, column, length))
        rows = render_one(*found).split("\n")
        assert rows[3] == f"1 | {line}".rstrip()
        assert rows[4] == f"  | {carets}"

    @pytest.mark.parametrize("column", [1, 50, 500, 999_000, 1_000_000])
    def test_long_lines_are_cut(self, column: int) -> None:
        text = "ab" * 500_000
        found = Diagnostics()
        found.error("e", "m", span(text, column, 5))
        rows = render_one(*found).split("\n")
        assert len(rows[3]) < 180
        at = rows[4].index("^")
        assert rows[3][at] == text[column - 1]

    def test_nothing_reaches_the_terminal(self, read: Read) -> None:
        text = render(read("\x1b]0;x\x07 \x9b \u202e\n").diagnostics)
        assert all(char == "\n" or char.isprintable() for char in text)

    def test_colours_only_if_asked(self, read: Read) -> None:
        found = read("bogus").diagnostics
        assert "\x1b" not in render(found)
        assert "\x1b[1;31m" in render(found, colour=True)

    def test_counts(self) -> None:
        found = Diagnostics()
        found.error("e", "1")
        found.error("e", "2")
        found.warning("w", "1")
        found.note("n", "1")
        assert count_line(found) == "2 errors, 1 warning, 1 note"


class TestObjects:
    def test_keys(self) -> None:
        found = Diagnostics()
        origin = Origin("value", "A", "", 0)
        found.error(
            "e",
            "m",
            span("text", 2, 3, 4, "g", origin),
            expected="x",
            related=[Related("r", span("o"))],
            kind=ConfigTestClass.UNKNOWN_KEYWORD,
        )
        assert to_objects(found) == [
            {
                "severity": "error",
                "code": "e",
                "message": "m",
                "file": "g",
                "line": 4,
                "column": 2,
                "length": 3,
                "text": "text",
                "expected": "x",
                "hint": None,
                "config_test": "unknown-keyword",
                "origin": [{"kind": "value", "name": "A", "file": None, "line": None}],
                "related": [{"message": "r", "file": "f", "line": 1, "column": 1, "length": 1}],
            }
        ]

    def test_json(self, read: Read) -> None:
        document = json.loads(to_json(read(b"bog\xffus\nsay x {").diagnostics).encode("utf-8"))
        assert (document["errors"], document["warnings"], document["notes"]) == (3, 0, 0)
        assert document["diagnostics"][0]["text"] == "bog\\xffus"

    def test_without_a_place(self) -> None:
        found = Diagnostics()
        found.note("n", "m")
        (item,) = to_objects(found)
        assert (item["file"], item["line"], item["text"], item["severity"]) == (None, None, None, Severity.NOTE.value)


class TestSuggestions:
    @pytest.mark.parametrize(
        ("word", "expected"),
        [
            ("priorty", "priority"),
            ("prioirty", "priority"),
            ("Priority", "priority"),
            ("advert-int", "advert_int"),
            ("sate", "state"),
            ("virtual_route_id", "virtual_router_id"),
            ("xyzzy", None),
            ("", None),
            ("priority", None),
            ("x" * 200, None),
        ],
    )
    def test_nearest(self, word: str, expected: str | None) -> None:
        assert nearest(word, ["state", "priority", "advert_int", "virtual_router_id"]) == expected

    @pytest.mark.parametrize(
        ("left", "right", "edits"),
        [("", "", 0), ("a", "", 1), ("ab", "ba", 1), ("abc", "acb", 1), ("abcd", "abxd", 1), ("kitten", "sitting", 3)],
    )
    def test_distance(self, left: str, right: str, edits: int) -> None:
        assert distance(left, right, 5) == distance(right, left, 5) == edits
        assert distance(left, right, edits - 1) == edits

    def test_hint(self) -> None:
        assert did_you_mean("stat", ["state"]) == "did you mean `state`?"
        assert did_you_mean("foo", ["state"]) == ""

    def test_work_is_bounded(self) -> None:
        suggester = Suggester()
        candidates = [f"name{number}" for number in range(20_000)]
        hints = [suggester.hint("nameX", candidates) for _ in range(5)]
        assert [bool(hint) for hint in hints] == [True, True, False, False, False]
