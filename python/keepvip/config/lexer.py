"""Comments, braces and words of a line (config-language.md 2 and 3): pure functions on text.

There are two tokenizers. The ordinary one knows the double quote and nothing else. The one for scripts and patterns
knows both quotes and, in its second pass, escapes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from keepvip.config.fragment import BLANKS, Fragment

if TYPE_CHECKING:
    from keepvip.config.fragment import Mark

__all__ = [
    "Command",
    "Stripped",
    "Token",
    "Word",
    "split_braces",
    "split_command",
    "split_quoted",
    "split_words",
    "strip_comment",
]


class Word(msgspec.Struct, frozen=True, gc=False):
    """One word and where it stands in its physical line."""

    text: str
    """The value: without quotes, with escapes interpreted where the tokenizer does so."""
    column: int
    """From 1."""
    length: int
    """Characters in the line, quotes and escapes included."""
    quoted: bool = False
    """It had at least one quoted piece, so an empty text was meant."""


class Token(NamedTuple):
    """One word as a tokenizer finds it: `start` and `end` index the text that was split."""

    text: str
    start: int
    end: int
    quoted: bool = False


class Stripped(NamedTuple):
    """A line without its comment."""

    fragment: Fragment
    quote: int
    """Where a double quote opens that is never closed, in the text before; -1: nowhere."""


_COMMENT = re.compile(r'\\.?|["#!]', re.DOTALL)


def strip_comment(fragment: Fragment) -> Stripped:
    r"""Removes the comment, the blanks at both ends, and the backslash of `\#` and `\!` outside double quotes.

    A backslash at the very end is kept, without the blanks before it, even where it ends a comment: that is how
    keepalived sees a definition go on.
    """
    text = fragment.text
    end = len(text)
    quote, in_comment, ends_in_backslash = -1, False, False
    dropped: list[int] = []
    for match in _COMMENT.finditer(text):
        token, at = match.group(), match.start()
        if token == "\\":
            ends_in_backslash = True
            if not in_comment:
                end = at
        elif in_comment:
            continue
        elif token == '"':
            quote = at if quote < 0 else -1
        elif token in {"#", "!"}:
            if quote < 0:
                in_comment, end = True, at
        elif token in {"\\#", "\\!"} and quote < 0:
            dropped.append(at)
    kept = text[:end].rstrip(BLANKS)
    start = len(kept) - len(kept.lstrip(BLANKS))
    if not dropped and not ends_in_backslash:
        return Stripped(fragment.cut(start, len(kept)), quote)
    marks: list[Mark] = fragment.marked()
    if ends_in_backslash:
        marks = marks[: len(kept)] + marks[-1:]
        kept += "\\"
    result = Fragment(kept, fragment.source, fragment.number, fragment.offset, marks)
    if dropped:
        gone = {at for at in dropped if at < len(kept)}
        result.text = "".join(char for at, char in enumerate(kept) if at not in gone)
        result.marks = [mark for at, mark in enumerate(marks) if at not in gone]
    return Stripped(result.cut(start) if start else result, quote)


_BRACE = re.compile(r'"[^"]*"?|\$\{[A-Za-z_][A-Za-z0-9_]*(?:[ \t][A-Za-z0-9_ \t]*)?\}|[{}]')


def split_braces(text: str) -> list[tuple[int, int]]:
    """Cuts a line at its structural braces: the stretches of text and the braces, in order, without blank ones.

    Braces in double quotes do not count. Nor do those of `${NAME}`: what is left of them here is a definition that does
    not exist, which is told once, as such.
    """
    cuts: list[tuple[int, int]] = []
    start = 0
    for match in _BRACE.finditer(text):
        if match.group() in {"{", "}"}:
            cuts += [(start, match.start()), match.span()]
            start = match.end()
    cuts.append((start, len(text)))
    pieces = []
    for left, right in cuts:
        stretch = text[left:right]
        left += len(stretch) - len(stretch.lstrip(BLANKS))  # noqa: PLW2901  (both ends move inwards)
        right = left + len(stretch.strip(BLANKS))  # noqa: PLW2901
        if left < right:
            pieces.append((left, right))
    return pieces


_WORD = re.compile(r'"([^"]*)("?)|[^" \t\n\v\f\r]+')


def split_words(text: str) -> tuple[list[Token], int]:
    """The ordinary tokenizer: words, and where a double quote opens that is never closed (-1: nowhere).

    Everything from such a quote to the end of the line is lost.
    """
    words: list[Token] = []
    for match in _WORD.finditer(text):
        quoted, closed = match.groups()
        if quoted is None:
            words.append(Token(match.group(), match.start(), match.end()))
        elif closed:
            words.append(Token(quoted, match.start(), match.end(), quoted=True))
        else:
            return words, match.start()
    return words, -1


_QUOTED_WORD = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\\.|\\\Z|[^"'\\ \t\n\v\f\r])+""", re.DOTALL)
_QUOTED_PIECE = re.compile(r""""((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|((?:\\.|\\\Z|[^"'\\])+)""", re.DOTALL)
_NOT_BLANK = re.compile(r"[^ \t\n\v\f\r]")


def split_quoted(text: str, *, escapes: bool = False) -> tuple[list[Token], int]:
    """The tokenizer of scripts: words, and where a quote opens that is never closed (-1: nowhere).

    Both quotes hold words together, and pieces without a blank between them are one word. A backslash and the
    character after it are copied as they are (pass 1), or interpreted with `escapes` (pass 2, and patterns).
    """
    words: list[Token] = []
    at = 0
    while found := _NOT_BLANK.search(text, at):
        start = at = found.start()
        match = _QUOTED_WORD.match(text, start)
        if match is not None:
            at = match.end()
        if at < len(text) and text[at] in "\"'":
            return words, at
        value, quoted = "", False
        for double, single, bare in _QUOTED_PIECE.findall(text[start:at]):
            value += double or single or bare
            quoted = quoted or not bare
        words.append(Token(_unescape(value) if escapes else value, start, at, quoted))
    return words, -1


class Command(NamedTuple):
    """A script's command after pass 2."""

    argv: tuple[str, ...]
    quote: int
    """Where a quote opens that is never closed, in the text that was split; -1: nowhere."""


def split_command(text: str) -> Command:
    """Pass 2: a command as one string becomes its argument vector, escapes interpreted.

    A NUL made by an escape ends its argument, as it does for every C program.
    """
    words, quote = split_quoted(text, escapes=True)
    return Command(tuple(word.text for word in words), quote)


_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|c(.)|([0-7]{1,3})|(.))", re.DOTALL)
_NAMED = {"a": "\a", "b": "\b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(_escaped, text).partition("\0")[0]


def _escaped(match: re.Match[str]) -> str:
    hexadecimal, control, octal, other = match.groups()
    if hexadecimal is not None:
        return _byte(int(hexadecimal, 16))
    if control is not None:
        return _byte(ord(control) & 0x1F)
    if octal is not None:
        return _byte(int(octal, 8) & 0xFF)
    return _NAMED.get(other, other)


def _byte(value: int) -> str:
    # Bytes above ASCII stay bytes: PEP 383 surrogates turn back into them when the argument is used.
    return chr(value) if value < 0x80 else chr(0xDC00 + value)
