"""Blocks, and what is told about braces and unknown keywords (config-language.md 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Read, Tree

G = "global_defs"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        (f"{G} {{\n router_id x\n}}", [(G, [("router_id", "x")])]),
        (f"{G} {{ router_id x }}", [(G, [("router_id", "x")])]),
        (f"{G}{{router_id x}}", [(G, [("router_id", "x")])]),
        (f"{G}\n\n# c\n{{\nrouter_id x\n}}", [(G, [("router_id", "x")])]),
        (f"{G} {{ router_id x\n}} say y", [(G, [("router_id", "x")]), ("say", "y")]),
        (f"{G} {{\n}}\n{G} {{ }}", [(G, []), (G, [])]),
        (f"{G} {{ notification_email {{ a b\n c }} }}", [(G, [("notification_email", [("a",), ("b",), ("c",)])])]),
        (
            "vrrp_instance A { virtual_ipaddress { 10.0.0.1 10.0.0.2\n10.0.0.3 dev x } }",
            [("vrrp_instance", "A", [("virtual_ipaddress", [("10.0.0.1", "10.0.0.2"), ("10.0.0.3", "dev", "x")])])],
        ),
        ('say "{" "}"', [("say", "{", "}")]),
        ('say "a b"c', [("say", "a b", "c")]),
        (
            'vrrp_sync_group G { group { "a b" c"d" } }',
            [("vrrp_sync_group", "G", [("group", [("a b",), ("c",), ("d",)])])],
        ),
        ('"say" x', [("say", "x")]),
    ],
)
def test_good(read: Read, text: str, tree: Tree) -> None:
    found = read(text)
    assert found.tree == tree
    assert found.codes == []
    assert found.exit_code == 0


def test_an_unknown_block_is_skipped_as_a_whole(read: Read) -> None:
    found = read(
        "vrrp_instance A {\n state MASTER\n bogus x {\n  state BACKUP {\n  }\n  foo\n }\n priority 5\n}\nsay x\n"
    )
    assert found.tree == [("vrrp_instance", "A", [("state", "MASTER"), ("priority", "5")]), ("say", "x")]
    assert found.places == [("unknown-keyword", 3, 2, 5)]
    (item,) = found.diagnostics
    assert item.message == "`bogus` is not a keyword of `vrrp_instance`; its block is skipped"


def test_an_unknown_block_whose_brace_is_on_the_next_line(read: Read) -> None:
    found = read("bogus x\n{\n say y\n}\nsay z")
    assert (found.said, found.codes) == (["z"], ["unknown-keyword"])


def test_an_unknown_keyword_is_one_line(read: Read) -> None:
    found = read("bogus x\nsay y")
    assert (found.said, found.codes) == (["y"], ["unknown-keyword"])
    assert [item.message for item in found.diagnostics] == ["`bogus` is not a keyword; the line is ignored"]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("sya x", "did you mean `say`?"),
        ("vrrp_instnace A {\n}", "did you mean `vrrp_instance`?"),
        ("vrrp-instance A {\n}", "did you mean `vrrp_instance`?"),
        ("priority 5", "it belongs into `vrrp_instance`"),
        ("router_id x", "it belongs into `global_defs`"),
        ("vrrp_instance A {\n say x\n}", "it belongs into the top level; is a `}` missing above?"),
        ("vrrp_instance A {\n auth_type PASS\n}", "it belongs into `authentication`"),
        ("include", "name the file to include"),
        ("xyzzy 5", ""),
    ],
)
def test_hints(read: Read, text: str, hint: str) -> None:
    (item,) = read(text).diagnostics
    assert (item.code, item.hint) == ("unknown-keyword", hint)


@pytest.mark.parametrize(
    ("text", "tree", "places"),
    [
        # the next line is content
        (f"{G}\n router_id x\n}}", [(G, [("router_id", "x")])], [("missing-open-brace", 1, 12, 0)]),
        (
            "vrrp_instance A {\nvirtual_ipaddress\n10.0.0.1\n}\n}",
            [("vrrp_instance", "A", [("virtual_ipaddress", [("10.0.0.1",)])])],
            [("missing-open-brace", 2, 18, 0)],
        ),
        # unless it belongs to the block around
        (
            "vrrp_instance A {\nauthentication\npriority 5\n}",
            [("vrrp_instance", "A", [("authentication", []), ("priority", "5")])],
            [("missing-open-brace", 2, 15, 0)],
        ),
        # or there is none
        (
            "vrrp_instance A { virtual_ipaddress }",
            [("vrrp_instance", "A", [("virtual_ipaddress", [])])],
            [("missing-open-brace", 1, 36, 0)],
        ),
        (f"{G}", [(G, [])], [("missing-open-brace", 1, 12, 0)]),
    ],
)
def test_missing_open_brace(read: Read, text: str, tree: Tree, places: list[tuple[str, int, int, int]]) -> None:
    found = read(text)
    assert found.tree == tree
    assert found.places == places
    assert found.exit_code == 5


@pytest.mark.parametrize(
    ("text", "tree", "places"),
    [
        (f"{G} {{\nrouter_id x", [(G, [("router_id", "x")])], [("missing-close-brace", 1, 1, 11)]),
        ("bogus {\nsay x", [], [("unknown-keyword", 1, 1, 5), ("missing-close-brace", 1, 1, 5)]),
        # noticed where the next block begins
        (
            "vrrp_instance A {\n state MASTER\nvrrp_instance B {\n state BACKUP\n}",
            [("vrrp_instance", "A", [("state", "MASTER")]), ("vrrp_instance", "B", [("state", "BACKUP")])],
            [("missing-close-brace", 1, 1, 15)],
        ),
        (
            "vrrp_instance A {\n authentication {\n auth_type x\n virtual_ipaddress {\n 1.1.1.1\n }\n}\nsay x",
            [
                (
                    "vrrp_instance",
                    "A",
                    [("authentication", [("auth_type", "x")]), ("virtual_ipaddress", [("1.1.1.1",)])],
                ),
                ("say", "x"),
            ],
            [("missing-close-brace", 2, 2, 14)],
        ),
        # even from a list, where every line could be an entry
        (
            "vrrp_instance A {\n virtual_ipaddress {\n 1.1.1.1\n authentication {\n auth_type x\n }\n}",
            [("vrrp_instance", "A", [("virtual_ipaddress", [("1.1.1.1",)]), ("authentication", [("auth_type", "x")])])],
            [("missing-close-brace", 2, 2, 17)],
        ),
        (
            "vrrp_sync_group G {\n group {\n a b\nvrrp_instance A {\n}",
            [("vrrp_sync_group", "G", [("group", [("a",), ("b",)])]), ("vrrp_instance", "A", [])],
            [("missing-close-brace", 1, 1, 17), ("missing-close-brace", 2, 2, 5)],
        ),
    ],
)
def test_missing_close_brace(read: Read, text: str, tree: Tree, places: list[tuple[str, int, int, int]]) -> None:
    found = read(text)
    assert found.tree == tree
    assert found.places == places
    assert found.exit_code == 5


def test_the_indentation_tells_which_brace_is_missing(read: Read) -> None:
    found = read("vrrp_instance A {\n  authentication {\n    auth_type x\n}\nvrrp_instance B {\n}\n")
    (item,) = found.diagnostics
    assert (item.code, item.message) == ("missing-close-brace", "the block of `vrrp_instance A` is never closed")
    assert [(related.message, related.span.number) for related in item.related] == [
        ("this closes `authentication`, which stands further right: is its own `}` missing?", 4),
        ("the next block begins here", 5),
    ]


@pytest.mark.parametrize(
    ("text", "tree", "places"),
    [
        ("}", [], [("unexpected-close-brace", 1, 1, 1)]),
        (f"{G} {{\n}} }}\nsay x", [(G, []), ("say", "x")], [("unexpected-close-brace", 2, 3, 1)]),
        ("{ say x }", [("say", "x")], [("unexpected-open-brace", 1, 1, 1)]),
        (f"{G} {{{{ router_id x }}}}", [(G, [("router_id", "x")])], [("unexpected-open-brace", 1, 14, 1)]),
        ("say x {\n say y\n}\nsay z", [("say", "x", []), ("say", "z")], [("unexpected-open-brace", 1, 7, 1)]),
        (
            "vrrp_instance A {\nvirtual_ipaddress {\n1.1.1.1 {\n x }\n2.2.2.2\n} }",
            [("vrrp_instance", "A", [("virtual_ipaddress", [("1.1.1.1", []), ("2.2.2.2",)])])],
            [("unexpected-open-brace", 3, 9, 1)],
        ),
        ("say '{'", [("say", "'", [])], [("missing-close-brace", 1, 1, 5), ("unexpected-open-brace", 1, 6, 1)]),
    ],
)
def test_stray_braces(read: Read, text: str, tree: Tree, places: list[tuple[str, int, int, int]]) -> None:
    found = read(text)
    assert found.tree == tree
    assert found.places == places
    assert found.exit_code == 5


def test_an_unterminated_quote_loses_the_rest_of_its_line(read: Read) -> None:
    found = read('say a "b c\nsay d')
    assert found.said == ["a", "d"]
    assert found.places == [("unterminated-quote", 1, 7, 1)]
    assert found.exit_code == 5
    assert read('"say x\nsay d').said == ["d"]


def test_an_undefined_definition_does_not_tear_the_line_apart(read: Read) -> None:
    found = read("vrrp_instance ${NAME} {\n priority ${P}\n}")
    assert found.tree == [("vrrp_instance", "${NAME}", [("priority", "${P}")])]
    assert found.codes == ["undefined-definition", "undefined-definition"]
    assert found.exit_code == 5
