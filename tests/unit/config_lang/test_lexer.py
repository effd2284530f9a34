"""Comments, braces and the two tokenizers (config-language.md 2 and 3)."""

from __future__ import annotations

import pytest

from keepvip.config.fragment import Fragment
from keepvip.config.lexer import split_braces, split_command, split_quoted, split_words, strip_comment
from keepvip.config.source import Source


def stripped(text: str) -> str:
    return strip_comment(Fragment(text, Source("f", text), 1, 0)).fragment.text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("  word  ", "word"),
        ("word # comment", "word"),
        ("word! comment", "word"),
        ("# all", ""),
        (r"a\#b", "a#b"),
        (r"a\!b\\#c", r"a!b\\"),
        ('"a # b" c # d', '"a # b" c'),
        (r'"a\#b"', r'"a\#b"'),
        ("'a # b'", "'a"),
        (r'"a\" # b" c', r'"a\" # b" c'),
        (r"\"#a", r"\""),
        (r"word \t", r"word \t"),
        # a backslash at the very end stays, without the blanks before it, even where it ends a comment
        ("word \\", "word\\"),
        ("word # comment \\", "word\\"),
        ("# comment \\", "\\"),
        ("word \\\\", "word \\\\"),
        ("word\\ # x", "word\\"),
        ("\v\fword\t", "word"),
        (" \\# ", "#"),
        ("", ""),
    ],
)
def test_comments(text: str, kept: str) -> None:
    assert stripped(text) == kept


@pytest.mark.parametrize(
    ("text", "at"),
    [('a "b', 2), ('a "b" c"', 7), ('"a" "b"', -1), (r"a \"b", -1), ('a # "b', -1), (r'"a\"', 0), ('"a \\', 0)],
)
def test_a_quote_that_is_not_closed(text: str, at: int) -> None:
    assert strip_comment(Fragment(text, Source("f", text), 1, 0)).quote == at


def test_dropped_backslashes_keep_columns() -> None:
    fragment = strip_comment(Fragment(r"  a\#b c", Source("f", r"  a\#b c"), 1, 0)).fragment
    assert fragment.text == "a#b c"
    assert fragment.marks == [2, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("text", "words", "quote"),
    [
        ("a b\tc\vd\fe\rf", ["a", "b", "c", "d", "e", "f"], -1),
        ('"a b" c', ["a b", "c"], -1),
        ('a"b c"d', ["a", "b c", "d"], -1),
        ('""', [""], -1),
        ('a "" b', ["a", "", "b"], -1),
        (r'"a\"b', ["a\\", "b"], -1),
        ("'a b'", ["'a", "b'"], -1),
        (r"a\ b", ["a\\", "b"], -1),
        ('a b "c d', ["a", "b"], 4),
        ('"', [], 0),
        ("a\xa0b\x1cc", ["a\xa0b\x1cc"], -1),
    ],
)
def test_words(text: str, words: list[str], quote: int) -> None:
    tokens, at = split_words(text)
    assert [token.text for token in tokens] == words
    assert at == quote
    for token in tokens:
        assert token.text == text[token.start : token.end].strip('"')


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a { b } c", ["a", "{", "b", "}", "c"]),
        ("a{b}", ["a", "{", "b", "}"]),
        ('a "{" b', ['a "{" b']),
        ("a '{' b", ["a '", "{", "' b"]),
        ('"a\\"{b" c', ['"a\\"', "{", 'b" c']),
        ("{{}}", ["{", "{", "}", "}"]),
        ("a ${NAME} {", ["a ${NAME}", "{"]),
        ("a ${NAME b c} }", ["a ${NAME b c}", "}"]),
        ("a ${1} b", ["a $", "{", "1", "}", "b"]),
        ('a "b { c', ['a "b { c']),
        ("   ", []),
    ],
)
def test_braces(text: str, pieces: list[str]) -> None:
    assert [text[start:end] for start, end in split_braces(text)] == pieces


@pytest.mark.parametrize(
    ("text", "words", "quote"),
    [
        ('"/bin/x a" root wheel', ["/bin/x a", "root", "wheel"], -1),
        ("'/bin/x a' root", ["/bin/x a", "root"], -1),
        ("/bin/x arg", ["/bin/x", "arg"], -1),
        ('abcd" efg h jkl "mnop', ["abcd efg h jkl mnop"], -1),
        ("""a"b 'c' d"'e "f" g'""", ["""ab 'c' de "f" g"""], -1),
        (r'"/bin/x \"a b\""', [r"/bin/x \"a b\""], -1),
        (r"/bin/x\ y", [r"/bin/x\ y"], -1),
        ('""', [""], -1),
        ('a "b', ["a"], 2),
        ("a b'c", ["a"], 3),
        ("a\\", ["a\\"], -1),
        ("", [], -1),
    ],
)
def test_script_tokenizer_first_pass(text: str, words: list[str], quote: int) -> None:
    tokens, at = split_quoted(text)
    assert [token.text for token in tokens] == words
    assert at == quote


@pytest.mark.parametrize(
    ("text", "argv"),
    [
        ("/bin/x a b", ("/bin/x", "a", "b")),
        ("/bin/x 'a b' \"c d\"", ("/bin/x", "a b", "c d")),
        (r"/bin/x \"a b\"", ("/bin/x", '"a', 'b"')),
        (r"x \a\b\E\f\n\r\t\v", ("x", "\a\b\x1b\f\n\r\t\v")),
        (r"x \x41\x4a\x4 \x4g", ("x", "AJ\x04", "\x04g")),
        (r"x \cA\c[\c?", ("x", "\x01\x1b\x1f")),
        (r"x \101\60\7\1234", ("x", "A0\aS4")),
        (r"x \q\ \\ \'", ("x", "q \\", "'")),
        (r"x \xff\377", ("x", "\udcff\udcff")),
        (r"x a\0b c", ("x", "a", "c")),
        ("x ''", ("x", "")),
        ("", ()),
    ],
)
def test_script_tokenizer_second_pass(text: str, argv: tuple[str, ...]) -> None:
    command = split_command(text)
    assert command.argv == argv
    assert command.quote == -1


def test_an_open_quote_in_a_command_is_told() -> None:
    assert split_command("/bin/x 'a b").quote == 7
