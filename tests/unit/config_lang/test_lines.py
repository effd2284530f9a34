"""From bytes to lines: encodings, line ends, the longest line (config-language.md 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Read


def test_dos_files(read: Read) -> None:
    found = read(b'global_defs {\r\n\trouter_id "a b"\r\n}\r\nsay x # c\r\n')
    assert found.tree == [("global_defs", [("router_id", "a b")]), ("say", "x")]
    assert found.codes == []


def test_a_definition_of_several_lines_in_a_dos_file(read: Read) -> None:
    found = read(b"$A=say x \\\r\nsay y \\\r\n\r\nsay z \\\r\n$A\r\n")
    assert found.said == ["z\\", "x", "y"]
    assert found.codes == ["stray-backslash"]


def test_a_carriage_return_inside_separates(read: Read) -> None:
    assert read(b"say a\rb\n").said == ["a b"]


def test_no_line_break_at_the_end(read: Read) -> None:
    assert read(b"say a\nsay b").said == ["a", "b"]


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n", b"  \t \n\n", b"# c", b"! c\n#\n"])
def test_nothing(read: Read, data: bytes) -> None:
    found = read(data)
    assert (found.tree, found.codes, found.exit_code) == ([], [], 0)


def test_a_nul_byte_drops_its_line(read: Read) -> None:
    found = read(b"say a\nsay b\0c\nsay d\n")
    assert found.said == ["a", "d"]
    assert found.places == [("nul-byte", 2, 6, 1)]
    assert found.exit_code == 5


@pytest.mark.parametrize("size", [1021, 1022])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_the_longest_line(read: Read, size: int, end: bytes) -> None:
    found = read(b"say " + b"x" * (size - 4) + end)
    assert found.said == ["x" * (size - 4)]
    assert found.codes == []


@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_line_too_long_is_dropped(read: Read, end: bytes) -> None:
    found = read(b"say " + b"x" * 1019 + end)
    assert found.tree == []
    assert found.places == [("line-too-long", 1, 1023, 1)]
    assert found.exit_code == 5


def test_what_is_left_of_a_line_too_long_is_a_line(read: Read) -> None:
    found = read(b"# " + b"x" * 1021 + b"say rest\nsay next\n")
    assert found.said == ["rest", "next"]
    assert found.nodes[0].span.column == 1024
    assert found.codes == ["line-too-long"]


def test_a_very_long_line_is_told_once(read: Read) -> None:
    found = read(b"say a\n" + b"y" * 1_000_000 + b"\nsay b\n")
    assert found.codes == ["line-too-long", "unknown-keyword"]
    assert found.said == ["a", "b"]


def test_the_limit_counts_bytes(read: Read) -> None:
    assert read("say " + "é" * 509 + "\n").said == ["é" * 509]
    assert read("say " + "é" * 510 + "\n").codes == ["line-too-long", "unknown-keyword"]


def test_bytes_that_are_not_utf8_are_kept(read: Read) -> None:
    found = read(b"say \xff\xc3\xa9\n")
    assert found.said == ["\udcff\u00e9"]
    assert found.said[0].encode("utf-8", "surrogateescape") == b"\xff\xc3\xa9"


def test_unicode_spaces_do_not_separate(read: Read) -> None:
    assert read("say a\u00a0b\u2003c\u2028d\x85e\x1cf\n").tree == [("say", "a\u00a0b\u2003c\u2028d\x85e\x1cf")]


def test_a_byte_order_mark(read: Read) -> None:
    found = read(b"\xef\xbb\xbfsay a\n")
    assert found.said == ["a"]
    assert found.codes == ["byte-order-mark"]
    assert found.exit_code == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("@node1 say a", ["a"]),
        ("@node2 say a", []),
        ("@^node1 say a", []),
        ("@^node2 say a", ["a"]),
        ("@NODE1 say a", []),
        ("@node1\tsay a", ["a"]),
        ("@node1", []),
        ("@^node2", []),
        ("@ say a", []),
        ("@^ say a", ["a"]),
        ("@node1{ say a", []),
        ("  @node1   say a # c", ["a"]),
        ("@node1 $A=x\nsay $A", ["x"]),
        ("@node2 $A=x\n$A=y\nsay $A", ["y"]),
        ("@node1 ~SEQ(i, 2) say $i", ["1", "2"]),
        ("@node2 ~SEQ(i, 2) say $i", []),
        ("$A=\\\nsay x\\\n@node2 say y\\\n@^node2 say z\n$A", ["x", "z"]),
    ],
)
def test_conditions(read: Read, text: str, said: list[str]) -> None:
    found = read(text)
    assert found.said == said
    assert found.codes == []


def test_only_one_condition_per_line(read: Read) -> None:
    assert read("@node1 @node1 say a").codes == ["unknown-keyword"]


def test_a_condition_out_of_a_definition_is_no_condition(read: Read) -> None:
    found = read("$A=@node2 say x\n$A")
    assert found.codes == ["unknown-keyword"]


def test_a_dropped_condition_does_not_take_the_rest_of_a_definition(read: Read) -> None:
    assert read("@node2 $A=\\\nsay x\nsay y").said == ["x", "y"]


def test_the_environment_of_a_condition_is_the_line(read: Read) -> None:
    found = read("@node2 vrrp_instance A {\n}\n")
    assert found.codes == ["unexpected-close-brace"]


def test_a_backslash_does_not_join_lines(read: Read) -> None:
    found = read("say a \\\nsay b\n")
    assert found.said == ["a\\", "b"]
    assert found.places == [("stray-backslash", 1, 7, 1)]
    assert found.exit_code == 0
