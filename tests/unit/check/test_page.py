"""Patterns over a body that comes in pieces give what the whole body gives."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepvip.check.page import WINDOW, Digest, Search, whole_characters
from keepvip.config.model_check import Regex
from keepvip.config.pcre2 import Pattern, PatternError


def searched(regex: Regex, parts: list[bytes]) -> bool:
    search = Search(regex)
    for part in parts:
        search.feed(part)
    search.finish()
    return search.found


def cut(text: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(text) + 1) for place in places})
    return [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]


PATTERNS = ["ab+c", "^a", "c$", "(?<=ab)c", r"\Aab", r"\bab\b", "a.*c", "(?m)^b", "a|bc|cab", "", r"c\z", "(?s)a.{3}b"]


@given(st.sampled_from(PATTERNS), st.text("abc \n", max_size=40), st.lists(st.integers(0, 100), max_size=8))
def test_pieces_are_as_good_as_the_whole(pattern: str, text: str, places: list[int]) -> None:
    regex = Regex(pattern=pattern)
    data = text.encode()
    assert searched(regex, cut(data, places)) == Pattern(pattern).search(data, more=False)[0]


@given(st.text("aä€😀", max_size=30), st.lists(st.integers(0, 100), max_size=8))
def test_characters_may_be_cut(text: str, places: list[int]) -> None:
    search = Search(Regex(pattern="ä€", options=frozenset({"utf"})))
    for part in cut(text.encode(), places):
        search.feed(part)
    search.finish()
    assert not search.trouble
    assert search.found == ("ä€" in text)
    assert whole_characters(text.encode()) == len(text.encode())


@given(st.binary(max_size=300), st.sampled_from(PATTERNS), st.booleans())
def test_any_bytes(data: bytes, pattern: str, utf: bool) -> None:
    options = frozenset({"utf"}) if utf else frozenset()
    searched(Regex(pattern=pattern, options=options), [data[:100], data[100:]])


def test_text_that_is_not_utf8() -> None:
    search = Search(Regex(pattern="x", options=frozenset({"utf"})))
    search.feed(b"\xff\xffx")
    assert "UTF-8" in search.trouble
    assert not search.found


def test_memory_stays_bounded() -> None:
    search = Search(Regex(pattern="(?s)a.*b"))
    search.feed(b"a" * 1_000_000)
    assert len(search._text) <= 2 * WINDOW
    # Over further than the window nothing matches, as with keepalived.
    search.feed(b"-" * (3 * WINDOW) + b"b")
    search.finish()
    assert not search.found


@given(st.binary(max_size=2000), st.integers(0, 2000), st.lists(st.integers(0, 3000), max_size=5))
def test_digest(data: bytes, limit: int, places: list[int]) -> None:
    digest = Digest()
    for part in cut(data, places):
        digest.feed(part, limit)
    assert digest.hex() == hashlib.md5(data[:limit]).hexdigest()


def test_a_bad_pattern_says_where() -> None:
    with pytest.raises(PatternError, match="missing closing parenthesis") as error:
        Pattern("ä(b")
    assert error.value.offset == 3
