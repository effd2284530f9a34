"""Includes: which files, how strictly, and what goes wrong (config-language.md 7)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from keepvip.config.include import ALL_CHECKS, updated_checks

if TYPE_CHECKING:
    from .conftest import Read


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a few files, which is the current one."""
    for name in ("a", "b", ".hidden"):
        (tmp_path / f"{name}.conf").write_text(f"say {name}\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.conf").write_text("say c\n")
    (tmp_path / "sub" / "up.conf").write_text("include ../a.conf\nsay up\ninclude c.conf\n")
    script = tmp_path / "script"
    script.write_text("say script\n")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("include a.conf", ["a"]),
        ("  include\ta.conf  # c", ["a"]),
        ("include ./a.conf", ["a"]),
        ("include *.conf", ["a", "b"]),
        ("include [ab].conf", ["a", "b"]),
        ("include [^a].conf", ["b"]),
        ("include [\\!a].conf", ["b"]),
        ("include ?.conf", ["a", "b"]),
        ("include .h*", [".hidden"]),
        ("include {b,a}.conf", ["b", "a"]),
        ("include {[ab],sub/c}.conf", ["a", "b", "c"]),
        ("include \\a.conf", ["a"]),
        ("include s*/c.conf", ["c"]),
        ("include sub/up.conf", ["a", "up", "c"]),
        ("say 1\ninclude a.conf\nsay 2", ["1", "a", "2"]),
        ("@node1 include a.conf", ["a"]),
        ("@node2 include a.conf", []),
        ("$F=a\ninclude ${F}.conf", ["a"]),
        ("$I=include a.conf\n$I", ["a"]),
        ("$I=\\\ninclude a.conf \\\nsay x\n$I", ["a", "x"]),
        ("~LST(f,a,b) include ${f}.conf", ["a", "b"]),
        ("global_defs { }  include a.conf", ["a"]),
        ("global_defs {\n} include a.conf", ["a"]),
    ],
)
def test_files(read: Read, files: Path, text: str, said: list[str]) -> None:
    found = read(text)
    assert found.said == said
    assert found.codes == []


def test_an_include_in_the_middle_of_a_line(read: Read, files: Path) -> None:
    (files / "r.conf").write_text("router_id x\n")
    found = read("global_defs { include r.conf\n notification_email { a b } }\nsay x")
    assert found.tree == [("global_defs", [("router_id", "x"), ("notification_email", [("a",), ("b",)])]), ("say", "x")]


def test_absolute_names_and_the_files_read(read: Read, files: Path) -> None:
    (files / "main").write_text(f"include {files}/a.conf\ninclude sub/up.conf\n")
    found = read(files / "main")
    assert found.said == ["a", "a", "up", "c"]
    assert found.files == tuple(
        f"{files}/{name}" for name in ("main", "a.conf", "sub/up.conf", "sub/../a.conf", "sub/c.conf")
    )


def test_places_name_the_file_and_the_way(read: Read, files: Path) -> None:
    (files / "sub" / "bad.conf").write_text("\nbogus x\n")
    (files / "main").write_text("say 1\ninclude sub/bad.conf\n")
    (found,) = read(Path("main")).diagnostics
    assert found.span is not None
    assert found.span.place == "sub/bad.conf:2:1"
    (step,) = found.span.line.origin
    assert (step.kind, step.name, step.file, step.line) == ("include", "sub/bad.conf", "main", 2)


def test_definitions_outlive_their_file(read: Read, files: Path) -> None:
    (files / "d.conf").write_text("$A=x\n$B=y \\\n")
    assert read("include d.conf\n\nsay $A\nsay $B").said == ["x", "y"]


def test_blocks_may_begin_and_end_in_different_files(read: Read, files: Path) -> None:
    (files / "begin").write_text("vrrp_instance A {\n")
    (files / "end").write_text("}\n")
    found = read("include begin\npriority 5\ninclude end\n")
    assert (found.tree, found.codes) == ([("vrrp_instance", "A", [("priority", "5")])], [])


# What makes a problem an error, by the table of config-language.md 7: nothing, r, m, w, b, a.
MATRIX = {
    "sub": "rmwba",
    "script": "rmwba",
    "/dev/null": "rmwba",
    "nosuch": "mwa",
    "nosuch*": "wa",
    "{a.conf,nosuch}": "ba",
    "{nosuch,neither}": "ba",
}


@pytest.mark.parametrize("variant", ["", "r", "m", "w", "b", "a"])
@pytest.mark.parametrize("pattern", MATRIX)
def test_strictness(read: Read, files: Path, pattern: str, variant: str) -> None:
    found = read(f"include{variant} {pattern}\nsay x")
    assert found.said[-1] == "x"
    strict = variant != "" and variant in MATRIX[pattern]
    assert found.diagnostics.stops_start == strict
    assert found.exit_code == (4 if strict else 0)
    assert len(found.codes) == 1
    assert found.diagnostics.errors == strict
    (item,) = found.diagnostics
    assert item.span is not None
    assert (item.span.column, item.span.length) == (len(f"include{variant} ") + 1, len(pattern))


def test_all_config_is_the_strictest(read: Read, files: Path) -> None:
    assert read("include nosuch*", strict_includes=True).exit_code == 4
    assert read("global_defs {\n include_check -match\n}\ninclude nosuch", strict_includes=True).exit_code == 4


@pytest.mark.parametrize(
    ("words", "pattern", "strict"),
    [
        ("", "nosuch*", True),
        ("match", "nosuch", True),
        ("match", "nosuch*", False),
        ("match", "sub", True),
        ("match -read", "sub", False),
        ("+match", "sub", False),
        ("+match", "nosuch", True),
        ("+match wildcard_match", "nosuch", True),
        ("wildcard_match", "nosuch", False),
        ("wildcard_match", "nosuch*", True),
        ("brace_match", "{a.conf,nosuch}", True),
        ("-read", "sub", False),
        ("foo", "nosuch", False),
    ],
)
def test_include_check(read: Read, files: Path, words: str, pattern: str, strict: bool) -> None:
    text = f"global_defs {{\n include_check {words}\n}}\ninclude {pattern}\n"
    assert read(text).diagnostics.stops_start == strict
    assert not read(f"include {pattern}\nglobal_defs {{ include_check {words} }}\n").diagnostics.stops_start


def test_include_check_ends_with_its_file(read: Read, files: Path) -> None:
    (files / "strict").write_text("global_defs { include_check }\ninclude nosuch1\n")
    found = read("include strict\ninclude nosuch2\n")
    assert [item.severity.value for item in found.diagnostics] == ["warning", "error"]
    (files / "strict").write_text("include nosuch1\n")
    found = read("global_defs { include_check }\ninclude strict\n")
    assert found.diagnostics.stops_start


def test_words_of_include_check() -> None:
    assert updated_checks(frozenset(), []) == (ALL_CHECKS, [])
    assert updated_checks(ALL_CHECKS, ["match"]) == (frozenset({"read", "match"}), [])
    assert updated_checks(frozenset({"match"}), ["+brace_match", "-match"]) == (frozenset({"brace_match"}), [])
    assert updated_checks(frozenset(), ["read", "x", "+", "+y"]) == (frozenset({"read"}), [1, 2, 3])


@pytest.mark.parametrize("text", ["include", "includer", "includez a.conf", "include{a}", '"include" a.conf'])
def test_what_is_no_include(read: Read, files: Path, text: str) -> None:
    found = read(text)
    assert found.codes[0] == "unknown-keyword"
    assert found.exit_code == 5


def test_an_unreadable_file(read: Read, files: Path) -> None:
    (files / "dangling").symlink_to("nowhere")
    found = read("includer dangling")
    assert found.codes == ["include-unreadable"]
    (item,) = found.diagnostics
    assert "No such file" in item.message


def test_a_pipe_is_not_waited_for(read: Read, files: Path) -> None:
    os.mkfifo(files / "pipe")
    assert read("includer pipe").codes == ["include-unreadable"]


def test_quotes_are_part_of_the_name(read: Read, files: Path) -> None:
    assert read('include "a.conf"').codes == ["include-not-found"]


def test_a_similar_name_is_offered(read: Read, files: Path) -> None:
    (item,) = read("include sub/cc.conf").diagnostics
    assert item.hint == "did you mean `sub/c.conf`?"


class TestLoops:
    def test_itself(self, read: Read, files: Path) -> None:
        (files / "main").write_text("say 1\ninclude main\nsay 2\n")
        found = read(Path("main"))
        assert found.said == ["1", "2"]
        assert found.places == [("include-loop", 2, 9, 4)]

    def test_by_another_name(self, read: Read, files: Path) -> None:
        (files / "other").symlink_to("main")
        os.link(files / "a.conf", files / "hard")
        (files / "main").write_text("include other\n")
        assert read(Path("main")).codes == ["include-loop"]
        (files / "a.conf").write_text("include hard\n")
        assert read(Path("a.conf")).codes == ["include-loop"]

    def test_a_circle(self, read: Read, files: Path) -> None:
        (files / "x").write_text("include y\nsay x\n")
        (files / "y").write_text("include sub/../z\nsay y\n")
        (files / "z").write_text("include x\nsay z\n")
        found = read(Path("x"))
        assert found.said == ["z", "y", "x"]
        assert found.codes == ["include-loop"]
        (item,) = found.diagnostics
        assert item.span is not None
        assert [step.file for step in item.span.line.origin] == ["x", "y"]

    def test_twice_is_no_loop(self, read: Read, files: Path) -> None:
        assert read("include a.conf\ninclude a.conf").said == ["a", "a"]


class TestMainFile:
    def test_missing(self, read: Read, files: Path) -> None:
        found = read(Path("nosuch"))
        assert (found.tree, found.codes, found.exit_code) == ([], ["include-not-found"], 0)
        assert found.diagnostics.stops_start
        assert found.diagnostics.errors == 1

    @pytest.mark.parametrize("name", ["sub", "script", "nosuch*", "/dev/null"])
    def test_unfit(self, read: Read, files: Path, name: str) -> None:
        found = read(Path(name))
        assert (len(found.codes), found.exit_code, found.diagnostics.stops_start) == (1, 0, True)

    def test_several(self, read: Read, files: Path) -> None:
        found = read(Path("[ab].conf"))
        assert (found.said, found.codes, found.exit_code) == (["a", "b"], ["several-files"], 5)

    def test_a_name_with_special_characters(self, read: Read, files: Path) -> None:
        (files / "x[1].conf").write_text("say x\n")
        assert read(Path("x[1].conf")).said == ["x"]
