"""~SEQ and ~LST (config-language.md 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Read


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("~SEQ(i, 3) say $i", ["1", "2", "3"]),
        ("~SEQ(i,2)say a$i", ["a1", "a2"]),
        ("~SEQ (i,2) say $i", ["1", "2"]),
        ("~SEQ( i , 1 , 2 , 5 ) say $i", ["1", "3", "5"]),
        ("~SEQ(i,5,3) say $i", ["5", "4", "3"]),
        ("~SEQ(i,5,-2,1) say $i", ["5", "3", "1"]),
        ("~SEQ(i,-2) say $i", ["-1", "-2"]),
        ("~SEQ(i,0) say $i", ["1", "0"]),
        ("~SEQ(i,4,4) say $i", ["4"]),
        ("~SEQ(i,1,2,4) say $i", ["1", "3"]),
        ("~SEQ(i,0x10,0x11) say $i", ["16", "17"]),
        ("~SEQ(i,010,+9) say $i", ["8", "9"]),
        ("~SEQx(i,8,11) say $i", ["8", "9", "a", "b"]),
        ("$N=2\n~SEQ(i,$N) say $i", ["1", "2"]),
        ("$N=2\n~SEQ(i,${N},3) say $i", ["2", "3"]),
        ("~SEQ(i,2) ~SEQ(j,2) say ${i}x$j", ["1x1", "1x2", "2x1", "2x2"]),
        ("~SEQ(i,2) ~SEQ(j,$i) say ${i}x$j", ["1x1", "2x1", "2x2"]),
        ("~SEQ(i,2) say x\nsay $i", ["x", "x", "2"]),
        ("~SEQ(i,2)\nsay $i", ["2"]),
        ("~SEQ(i,2) # say", []),
        ("~SEQ(i,2) @node1 say $i", ["1", "2"]),
        ("~SEQ(i,2) $Z=$i\nsay $Z", ["2"]),
        ("~LST(i,a, b ,c) say $i", ["a", "b", "c"]),
        ('~LST(i,"a) say $i x"', ["a x"]),
        ("~LST(i,a,,b) say ${i}z", ["az", "z", "bz"]),
        ("~LST(i,) say ${i}z", ["z"]),
        ("~LST({i,j},{a,b},{c},{d,e}) say ${i}-$j", ["a-b", "c-", "d-e"]),
        ("~LST({i,j}, {a, b} , c) say ${i}-$j", ["a-b", "c-"]),
        ("~LST(i,{a},b) say $i", ["a", "b"]),
        ("$L=x,y\n~LST(i,$L) say $i", ["x,y"]),
        ("~LST(i,a,b) ~SEQ(j,2) say $i$j ${i}$j", ["$i1 a1", "$i2 a2", "$i1 b1", "$i2 b2"]),
    ],
)
def test_rounds(read: Read, text: str, said: list[str]) -> None:
    found = read(text)
    assert found.said == said
    assert set(found.codes) <= {"unterminated-quote"}


@pytest.mark.parametrize(
    "text",
    [
        "~SEQ() x",
        "~SEQ(i) x",
        "~SEQ(i,) x",
        "~SEQ(i,1x) x",
        "~SEQ(i,08) x",
        "~SEQ(i,1,2,3,4) x",
        "~SEQ(i,2 x",
        "~SEQ(i,5,0,1) x",
        "~SEQ(i,5,2,1) x",
        "~SEQ(i,1,-1,2) x",
        "~SEQ(i,1 2) x",
        "~SEQx(i,-1,2) x",
        "~SEQx(i,-2) x",
        "~SEQ(i,99999999999999999999) x",
        f"~SEQ(i,{'1' * 60}) x",
        "~SEQ(i,$M) x",
    ],
)
def test_bad_sequences_are_dropped(read: Read, text: str) -> None:
    found = read(text)
    assert found.tree == []
    assert [code for code in found.codes if code != "undefined-definition"] == ["bad-sequence"]
    assert found.exit_code == 5


@pytest.mark.parametrize(
    "text",
    [
        "~LST(i) x",
        "~LST() x",
        "~LST(i,a b) x",
        "~LST({i,j},{a,b,c}) x",
        "~LST(i,{a,b}) x",
        "~LST({i,j} {a,b}) x",
        "~LST({i,j,{a,b}) x",
        "~LST({i,j},{a x",
        "~LST(i,a",
    ],
)
def test_bad_lists_are_dropped(read: Read, text: str) -> None:
    found = read(text)
    assert found.tree == []
    assert found.codes == ["bad-list"]
    assert found.exit_code == 5


def test_limits_are_single_line_definitions(read: Read) -> None:
    assert set(read("$M=\\\n1 \\\n2\n~SEQ(i,$M) x").codes) == {"bad-sequence", "definition-not-last"}


@pytest.mark.parametrize("text", ["~foo", "~seq(i,1) x", "~SEQ", "~SEQy(i,1) x", "~"])
def test_other_tildes_are_unknown_keywords(read: Read, text: str) -> None:
    assert read(text).codes == ["unknown-keyword"]


def test_it_must_be_the_first_thing(read: Read) -> None:
    assert read("say ~SEQ(i,2) x").said == ["~SEQ(i,2) x"]


def test_a_variable_that_is_no_name(read: Read) -> None:
    found = read("~SEQ($i,2) say x")
    assert found.said == ["x", "x"]
    assert [(item.code, item.hint) for item in found.diagnostics] == [("bad-variable", "write `i`")]


def test_blocks(read: Read) -> None:
    found = read("~SEQ(i,2) vrrp_instance V$i { priority 10$i }")
    assert found.tree == [
        ("vrrp_instance", "V1", [("priority", "101")]),
        ("vrrp_instance", "V2", [("priority", "102")]),
    ]
