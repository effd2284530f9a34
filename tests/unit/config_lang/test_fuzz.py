"""Whatever the file holds: no exception, sound places, an answer; and what was meant is what is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from keepvip.config.lexer import split_command, split_quoted, split_words
from keepvip.config.render import render, to_json

from .conftest import Result, read_config

if TYPE_CHECKING:
    from keepvip.config.node import Node
    from keepvip.config.source import Span

FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(autouse=True, scope="module")
def in_an_empty_directory(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("fuzz"))
        yield


def check_span(span: Span) -> None:
    assert span.number >= 1
    assert 1 <= span.column <= len(span.line.text) + 1
    assert 0 <= span.length <= len(span.line.text) + 1 - span.column


def check_nodes(nodes: list[Node]) -> None:
    for node in nodes:
        check_span(node.span)
        check_span(node.statement_span)
        for index in range(len(node.args) + 1):
            check_span(node.arg_span(index))
        for word in node.script_words():
            check_span(node.word_span(word))
        assert isinstance(node.raw, str)
        check_nodes(node.children or [])


def check(found: Result) -> None:
    """What holds for every result."""
    check_nodes(found.nodes)
    for item in found.diagnostics:
        if item.span is not None:
            check_span(item.span)
        for related in item.related:
            check_span(related.span)
    text = render(found.diagnostics)
    assert all(char == "\n" or char.isprintable() for char in text)
    json.loads(to_json(found.diagnostics).encode("utf-8"))
    assert bool(found.diagnostics.errors) == (found.exit_code != 0)


@FUZZ
@given(data=st.binary(max_size=300))
def test_bytes(data: bytes) -> None:
    check(read_config(data))


@FUZZ
@given(text=st.text(st.sampled_from("ab1 \t\n\n\"'\\#!{}$@~(),=_^\r\0é\udcff"), max_size=200))
def test_special_characters(text: str) -> None:
    check(read_config(text))


WORDS = (
    "global_defs vrrp_instance vrrp_sync_group group virtual_ipaddress authentication auth_type say router_id priority "
    "bogus notification_email include_check include includea nosuch* {a,b} { } { } \" ' \\ $A $B ${A} ${B} $A= $B= 1 é "
    "$_INSTANCE ${_RANDOM} ${_HASH} @node1 @^node1 ~ 10.0.0.1 +match -read \\#"
)
LONGER = [
    *["\n"] * 6, *[" "] * 6, "\t", "\r\n", "\\\n", " # c", " ! c\n", "\n$A=", "\n$B=", "${_RANDOM 1 2}", "${_ENV HOME}",
    "\n@node1 ", "\n@^node1 ", "\n~SEQ(A, 2) ", "\n~SEQ(B,1,3)", "\n~LST(A,x,y) ", "\n~LST({A,B},{1,2},3) ", "x" * 600,
    "\0", "\udcff",
]  # fmt: skip
PIECES = st.sampled_from([*WORDS.split(" "), *LONGER])


@FUZZ
@given(pieces=st.lists(PIECES, max_size=60))
def test_pieces_of_the_language(pieces: list[str]) -> None:
    check(read_config("".join(pieces)))


@FUZZ
@given(text=st.text(st.sampled_from("ab \t\"'\\x0c1\n"), max_size=60))
def test_tokenizers(text: str) -> None:
    for tokens, quote in (split_words(text), split_quoted(text), split_quoted(text, escapes=True)):
        assert -1 <= quote < len(text)
        at = 0
        for token in tokens:
            assert at <= token.start < token.end <= len(text)
            at = token.end
    command = split_command(text)
    assert all("\0" not in argument for argument in command.argv)


# What was meant: a tree, written down in all the ways the language allows.

# Neither `$`, which may refer to something, nor a backslash, which hides the quote behind it from the comment stripper.
WORD = st.text(st.characters(codec="utf-8", exclude_characters='"\0\n\r\\$', exclude_categories=["Cs"]), max_size=8)
ENTRY = st.lists(WORD, min_size=1, max_size=4)
STATEMENT = st.one_of(
    st.tuples(st.just("state"), WORD),
    st.tuples(st.just("priority"), WORD),
    st.tuples(st.just("notify_master"), WORD, WORD),
    st.tuples(st.just("virtual_ipaddress"), st.lists(ENTRY.map(tuple), max_size=4)),
    st.tuples(st.just("authentication"), st.lists(st.tuples(st.just("auth_type"), WORD), max_size=2)),
)
ROOT_STATEMENT = st.one_of(
    st.tuples(st.just("say"), WORD, WORD),
    st.tuples(st.just("vrrp_instance"), WORD, st.lists(STATEMENT, max_size=5)),
    st.tuples(
        st.just("vrrp_sync_group"), WORD, st.tuples(st.tuples(st.just("group"), st.lists(st.tuples(WORD), max_size=5)))
    ),
)


def written(draw: Any, statement: tuple[Any, ...], *, plain_first: bool = True, inline: bool = False) -> str:
    """One way to write a statement."""
    blank = st.sampled_from([" ", "\t", "  ", " \v"])
    space = st.sampled_from(["\n", "\r\n", ' # } { "\n', "\n\n", "\n! c\n"])
    text = ""
    for index, word in enumerate(statement):
        if isinstance(word, str):
            bare = word.isascii() and word.isidentifier() and not word.startswith("include")
            quoted = not bare or (draw(st.booleans()) and not (plain_first and index == 0))
            text += draw(blank) if text else ""
            text += f'"{word}"' if quoted else word
            continue
        text += draw(st.sampled_from([" {", "{", "\n{", " # c\n{"])) + draw(space if not inline else st.just(" "))
        words = statement[0] == "group"
        for child in word:
            end = draw(blank) if words and draw(st.booleans()) else draw(space)
            text += draw(st.sampled_from(["", " ", "\t"])) + written(draw, child, plain_first=not words) + end
        text += draw(st.sampled_from(["}", " }"]))
    return text


@st.composite
def configurations(draw: Any) -> tuple[str, list[Any]]:
    statements = draw(st.lists(ROOT_STATEMENT, max_size=5))
    text = "".join(
        written(draw, statement) + draw(st.sampled_from(["\n", "\r\n", " # c\n"])) for statement in statements
    )
    return text, statements


def as_lists(statement: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(word if isinstance(word, str) else [as_lists(child) for child in word] for word in statement)


@FUZZ
@given(configuration=configurations())
def test_what_is_written_is_read(configuration: tuple[str, list[Any]]) -> None:
    text, statements = configuration
    found = read_config(text)
    assert found.tree == [as_lists(statement) for statement in statements]
    assert found.codes == []
    check(found)


@settings(FUZZ, max_examples=100)
@given(configuration=configurations())
def test_a_definition_changes_nothing(configuration: tuple[str, list[Any]]) -> None:
    """The same configuration out of a multi-line definition."""
    text, statements = configuration
    lines = [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]
    assume(lines)
    found = read_config("$ALL=\\\n" + " \\\n".join(lines) + "\n\n$ALL\n")
    assert found.tree == [as_lists(statement) for statement in statements]
