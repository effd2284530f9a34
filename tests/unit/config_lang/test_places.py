"""Every word knows where it stands, whatever happened to its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from keepvip.config.node import Node

    from .conftest import Read


def columns(node: Node) -> list[tuple[int, int]]:
    spans = [node.span, *(node.arg_span(index) for index in range(len(node.args)))]
    return [(span.column, span.length) for span in spans]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("say a  bc", [(1, 3), (5, 1), (8, 2)]),
        ("\t say\ta", [(3, 3), (7, 1)]),
        ('say "a b" c # d', [(1, 3), (5, 5), (11, 1)]),
        ('say a"b"', [(1, 3), (5, 1), (6, 3)]),
        (r"say a\#b c", [(1, 3), (5, 4), (10, 1)]),
        ("say é c", [(1, 3), (5, 1), (7, 1)]),
        ("@node1   say a", [(10, 3), (14, 1)]),
        ("{ } say a", [(5, 3), (9, 1)]),
        ("$A=x y\nsay $A b", [(1, 3), (5, 2), (5, 2), (8, 1)]),
        ("$A=x\nsay a${A}b c", [(1, 3), (5, 6), (12, 1)]),
        ("$A=say x\n$A y", [(1, 2), (1, 2), (4, 1)]),
        ("$A=$B\n$B=x\nsay $A", [(1, 3), (5, 2)]),
        ("~SEQ(i, 1) say $i b", [(12, 3), (16, 2), (19, 1)]),
        ("$A=\\\nsay a\n x$A", [(2, 3), (2, 3)]),
    ],
)
def test_columns(read: Read, text: str, expected: list[tuple[int, int]]) -> None:
    found = read(text)
    spans = columns(found.nodes[-1]) if found.nodes else []
    if found.nodes:
        assert spans == expected
    else:
        (item,) = found.diagnostics
        assert item.span is not None
        assert (item.span.column, item.span.length) == expected[0]


def test_lines(read: Read) -> None:
    found = read("\n# c\nsay a\n\nvrrp_instance A {\n state x\n}")
    assert [node.span.number for node in found.nodes] == [3, 5]
    assert (found.nodes[1].children or [])[0].span.number == 6
    assert found.nodes[1].line.text == "vrrp_instance A {"


def test_a_missing_word_is_behind_the_last(read: Read) -> None:
    (node,) = read('  say "a"  # c').nodes
    assert (node.arg_span(1).column, node.arg_span(1).length) == (10, 0)
    assert node.arg_span(7) == node.arg_span(1)
    assert (node.statement_span.column, node.statement_span.length) == (3, 7)


def test_words_of_a_list(read: Read) -> None:
    found = read('vrrp_sync_group G { group { a "b c"\n d } }\n')
    group = (found.nodes[0].children or [])[0]
    assert [(n.keyword, n.span.number, n.span.column, n.span.length) for n in group.children or []] == [
        ("a", 1, 29, 1),
        ("b c", 1, 31, 5),
        ("d", 2, 2, 1),
    ]
    plain = read("vrrp_sync_group G {\ngroup {\n a  b\n}\n}\n").nodes[0].children or []
    assert [(n.keyword, n.args, n.text, n.span.column) for n in plain[0].children or []] == [
        ("a", (), "a", 2),
        ("b", (), "b", 5),
    ]


def test_raw_text(read: Read) -> None:
    (node,) = read('say  "a b" \'c  # d').nodes
    assert node.text == 'say  "a b" \'c'
    assert node.raw == '"a b" \'c'
    assert read("say").nodes[0].raw == ""
    assert read("$A=x\nsay $A  y").nodes[0].raw == "x  y"


def test_script_words(read: Read) -> None:
    (block,) = read('vrrp_instance A {\n notify_master  "/bin/x \'a b\'" root whe"el"\n}').nodes
    (node,) = block.children or []
    words = node.script_words()
    assert [(word.text, word.column, word.length, word.quoted) for word in words] == [
        ("/bin/x 'a b'", 17, 14, True),
        ("root", 32, 4, False),
        ("wheel", 37, 7, True),
    ]
    assert node.word_span(words[1]).place == "t.conf:2:32"
    assert node.script_quote() is None


def test_script_words_with_an_open_quote(read: Read) -> None:
    (node,) = read("say /bin/x 'a b").nodes
    assert [word.text for word in node.script_words()] == ["/bin/x"]
    quote = node.script_quote()
    assert quote is not None
    assert quote.column == 12


def test_script_words_of_a_definition(read: Read) -> None:
    (node,) = read('$S="/bin/x a"\nsay $S root').nodes
    assert [(word.text, word.column, word.length) for word in node.script_words()] == [
        ("/bin/x a", 5, 2),
        ("root", 8, 4),
    ]


def test_patterns_have_their_escapes_interpreted(read: Read) -> None:
    (node,) = read(r'say "a\x41\n"').nodes
    assert [word.text for word in node.script_words(escapes=True)] == ["aA\n"]


class TestOrigin:
    def test_value(self, read: Read) -> None:
        (node,) = read("$A=$B\n$B=x\nsay $A y").nodes
        steps = node.arg_span(0).line.origin
        assert [(step.kind, step.name, step.line) for step in steps] == [("value", "A", 1), ("value", "B", 2)]
        assert node.arg_span(1).line.origin == ()
        assert node.span.line.origin == ()

    def test_built_in(self, read: Read) -> None:
        (node,) = read("say $_INSTANCE").nodes
        (step,) = node.arg_span(0).line.origin
        assert (step.kind, step.name, step.line) == ("value", "_INSTANCE", 0)

    def test_lines_of_a_definition(self, read: Read) -> None:
        found = read("$A=\\\nsay a \\\nsay b\n\n$A\nsay c")
        assert [(node.span.number, [step.line for step in node.line.origin]) for node in found.nodes] == [
            (2, [5]),
            (3, [5]),
            (6, []),
        ]

    def test_text_before_a_definition(self, read: Read) -> None:
        found = read("$A=\\\na \\\nsay b\n\nsay $A")
        first, second = found.nodes
        assert (first.span.number, first.arg_span(0).column, first.arg_span(0).length) == (5, 5, 2)
        assert [step.kind for step in first.arg_span(0).line.origin] == ["value"]
        assert second.span.number == 3

    def test_rounds(self, read: Read) -> None:
        found = read("~SEQ(i,2) ~LST({a,b},{x,y}) say $i")
        assert [[(step.kind, step.name) for step in node.line.origin] for node in found.nodes] == [
            [("sequence", "i = 1"), ("list", "a = x, b = y")],
            [("sequence", "i = 2"), ("list", "a = x, b = y")],
        ]
