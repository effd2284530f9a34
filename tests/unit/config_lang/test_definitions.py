"""Definitions and their substitution (config-language.md 5)."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Read


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("$A=x\nsay $A", ["x"]),
        ("$A=x y # c\nsay $A z", ["x y z"]),
        ("$A=  x\nsay $A", ["x"]),
        ("$_a1=x\nsay $_a1", ["x"]),
        ("$A=\nsay b $A c", ["b c"]),
        ("$A=x\nsay ${A}y", ["xy"]),
        ("$A=x\nsay $A,y $A)z", ["x,y x)z"]),
        ("$A=x\nsay b$A", ["bx"]),
        ('$A=x\nsay "$A b" "$A"', ["x b $A"]),
        ('$A="x y"\nsay $A', ["x y"]),
        ("$A=x\n$A=y\nsay $A", ["y"]),
        ("$A=x\nsay $A\n$A=y\nsay $A", ["x", "y"]),
        ("$A=say x\n$A", ["x"]),
        ("$A=x\nsay $$A", ["$x"]),
        ("$A=x\nsay ${A}${A}", ["xx"]),
        # the name must be followed by a blank, a comma, a parenthesis or the end
        ("$A=x\nsay $A/y", ["$A/y"]),
        ("$A=x\nsay $A$A", ["$Ax"]),
        ('$A=x\nsay "$A"', ["$A"]),
        # lazy: what counts is the value at the point of use
        ("$A=$B\n$B=1\nsay $A\n$B=2\nsay $A", ["1", "2"]),
        ("$A=${B}${C}\n$B=b\n$C=c\nsay $A", ["bc"]),
        ("$P=$\n$A=x\nsay ${P}{A}", ["x"]),
        # a comment that comes out of a definition is a comment
        (r"$A=x\#y" + "\nsay $A", ["x"]),
        ("say a ${_HASH} b", ["a"]),
        ('say "a ${_HASH} b"', ["a # b"]),
        ('say "${_BANG}"', ["!"]),
        ("$A=x#y\nsay $A", ["x"]),
        # a definition is not substituted where it is written
        ("$A=$A x\n$A=y\nsay $A", ["y"]),
    ],
)
def test_single_line(read: Read, text: str, said: list[str]) -> None:
    found = read(text)
    assert found.said == said
    assert [code for code in found.codes if code != "undefined-definition"] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("$A=\\\nsay x \\\nsay y\n$A", ["x", "y"]),
        ("$A=say x \\\nsay y\n$A", ["x", "y"]),
        ("$A=\\\nx \\\nsay y\nsay $A", ["x", "y"]),
        ("$A=x \\\nsay y\nsay z${A}", ["zx", "y"]),
        ("$A=\\\nsay x \\\n\nsay y\n$A", ["y", "x"]),
        ("$A=\\\nsay x \\\n# c \\\nsay y\n$A", ["x", "y"]),
        ("$A=\\\nsay x \\\n\\\nsay y\n$A", ["x", "y"]),
        ("$A=\\\nsay x # c \\\nsay y\n$A", ["x", "y"]),
        ("$A=\\\nsay $X y\n$X=1\n$A\n$X=2\n$A", ["1 y", "2 y"]),
        ("$A=\\\n$B=x \\\nsay $B y\n$A\nsay $B", ["x y", "x"]),
        ("$A=\\\nsay x\n$B=$A\n$B", ["x"]),
        ("$A=\\\nsay a \\\n$B\n$B=\\\nsay b\n$A", ["a", "b"]),
        ("$A=\\\n~SEQ(i,2) say $i\n$A", ["1", "2"]),
        ("$A=\\\n\nsay w$A", ["w"]),
        ("$A=say x \\", []),
        ("$A=\\\nsay x\\\\\nsay y\n$A", ["x\\", "y"]),
        (r"$A=\ # c" + "\nsay x\n$A", ["x"]),
        # one that turns out to have a single line may stand anywhere
        ("$A=\\\nx\nsay $A y", ["x y"]),
        ("$A=\\\n\nsay $A y", ["y"]),
    ],
)
def test_multi_line(read: Read, text: str, said: list[str]) -> None:
    found = read(text)
    assert found.said == said
    assert [code for code in found.codes if code != "stray-backslash"] == []


@pytest.mark.parametrize("line", ["# c", "  ", "  ! c", "\t"])
def test_a_line_of_nothing_ends_it(read: Read, line: str) -> None:
    found = read(f"$A=\\\nsay x \\\n{line}\nsay y\n$A")
    assert found.said == ["y", "x"]
    assert found.codes == ["definition-ends"]
    assert found.exit_code == 0


def test_blocks_in_a_definition(read: Read) -> None:
    found = read(
        "$BODY=\\\n state MASTER \\\n authentication { \\\n auth_type PASS }\n"
        "vrrp_instance A {\n$BODY\n}\nvrrp_instance B {\n$BODY\n}\n"
    )
    body = [("state", "MASTER"), ("authentication", [("auth_type", "PASS")])]
    assert found.tree == [("vrrp_instance", "A", body), ("vrrp_instance", "B", body)]
    assert found.codes == []


def test_several_lines_only_at_the_end(read: Read) -> None:
    found = read("$A=\\\nx \\\nsay y\nsay $A z\n")
    assert found.said == ["$A z"]
    assert found.places == [("definition-not-last", 4, 5, 2)]
    # one line that was to go on counts as several
    assert read("$A=x \\\n\nsay $A y").codes == ["definition-not-last"]


@pytest.mark.parametrize(
    "text",
    [
        "$A=$A\nsay $A",
        "$A=a $A\nsay $A",
        "$A=$B\n$B=$A\nsay $A",
        "$A=${B}x\n$B=${C}x\n$C=${A}x\nsay $A",
        "$A=\\\nsay x \\\n$A\n$A",
        "$A=\\\nsay x \\\n$B\n$B=\\\nsay y \\\n$A\n$A",
        "$P=$\n$A=${P}{A}\nsay ${P}{A}",
    ],
)
def test_circles_end(read: Read, text: str) -> None:
    found = read(text)
    assert "circular-definition" in found.codes
    assert found.exit_code == 5


def test_undefined(read: Read) -> None:
    found = read('$VIPS=x\nsay $VIP\nsay ${VIP} y\nsay "$HOME_DIR x"\n')
    assert found.said == ["$VIP", "${VIP} y", "$HOME_DIR x"]
    assert found.places == [("undefined-definition", 2, 5, 4), ("undefined-definition", 3, 5, 6)]
    assert [bool(found.diagnostics.errors), found.exit_code] == [True, 5]
    assert all(item.hint == "did you mean `VIPS`?" for item in found.diagnostics)


@pytest.mark.parametrize("text", ["$A =x", "$1=x", "${A}=x", "$=x"])
def test_what_is_no_definition(read: Read, text: str) -> None:
    found = read(text)
    assert "unknown-keyword" in found.codes


def test_a_blank_before_the_equals_sign_is_explained(read: Read) -> None:
    (found,) = [item for item in read("$A = x").diagnostics if item.code == "unknown-keyword"]
    assert found.hint == "write the definition without a blank before `=`"


def test_too_long_for_a_line(read: Read) -> None:
    found = read("$A=" + "x" * 1000 + "\nsay $A\nsay ........................ $A\n")
    assert [len(line) for line in found.said] == [1000, 27]
    assert found.codes == ["definition-too-long"]
    assert found.exit_code == 5


def test_quotes_are_part_of_the_text(read: Read) -> None:
    found = read('$A="x\nsay $A y"\n')
    assert found.said == ["x y"]
    assert found.places == [("unterminated-quote", 1, 4, 1), ("unterminated-quote", 2, 9, 1)]


class TestBuiltIn:
    def test_instance_and_redefinition(self, read: Read) -> None:
        assert read("say $_INSTANCE ${_INSTANCE}").said == ["node1 node1"]
        assert read("$_INSTANCE=x\nsay $_INSTANCE").said == ["x"]
        assert read("$_RANDOM=8\nsay ${_RANDOM 9 9}").said == ["8"]

    def test_environment(self, read: Read) -> None:
        assert read("say ${_ENV HOME} ${_ENV NONE}x").said == ["/root x"]

    def test_pwd(self, read: Read, tmp_path: Path) -> None:
        assert read("say ${_PWD}").said == [os.path.realpath(".")]
        (tmp_path / "sub").mkdir()
        (tmp_path / "a.conf").write_text("say $_PWD\ninclude sub/b.conf\nsay $_PWD\n")
        (tmp_path / "sub" / "b.conf").write_text("say $_PWD\n")
        here = os.path.realpath(tmp_path)
        assert read(tmp_path / "a.conf").said == [here, f"{here}/sub", here]

    @pytest.mark.parametrize(
        ("reference", "low", "high"),
        [("_RANDOM", 0, 32767), ("_RANDOM 40000", 40000, 40000), ("_RANDOM 5 6", 5, 6), ("_RANDOM  7  7", 7, 7)],
    )
    def test_random(self, read: Read, reference: str, low: int, high: int) -> None:
        values = [int(line) for line in read(f"~SEQ(i,50) say ${{{reference}}}").said]
        assert len(values) == 50
        assert all(low <= value <= high for value in values)

    def test_random_backwards(self, read: Read) -> None:
        found = read("say ${_RANDOM 9 3}")
        assert found.said == ["9"]
        assert found.codes == ["definition-arguments"]

    def test_a_seed_repeats(self, read: Read) -> None:
        text = "global_defs {\n random_seed 5\n}\n~SEQ(i,5) say ${_RANDOM}"
        assert read(text).said == read(text).said

    @pytest.mark.parametrize(
        "reference",
        ["_RANDOM a", "_RANDOM 1 2 3", "_RANDOM 5 ", "_INSTANCE x", "_PWD ", "_ENV", "_ENV A B", "_HASH x"],
    )
    def test_bad_arguments_leave_the_reference(self, read: Read, reference: str) -> None:
        found = read(f"say ${{{reference}}}")
        assert re.sub(" +", " ", found.said[0]) == f"${{{reference}}}"
        assert found.codes == ["definition-arguments"]
        assert found.exit_code == 5

    def test_own_definitions_take_no_arguments(self, read: Read) -> None:
        assert read("$A=x\nsay ${A y}").codes == ["definition-arguments"]
