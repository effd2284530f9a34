"""One statement of the tree, and where its words stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keepvip.config.fragment import BLANKS
from keepvip.config.lexer import Token, Word, split_quoted, split_words
from keepvip.config.source import Span

if TYPE_CHECKING:
    from keepvip.config.fragment import Chart
    from keepvip.config.source import Line, Source

__all__ = ["Node"]


class Node:
    """One statement, with what stands in its block.

    In a block of `entries` every line is a node: `keyword` is its first word, `args` the others. In a block of `words`
    every word is a node without arguments.

    Words are plain strings. Places are worked out when they are asked for, from the line: `span` for the keyword,
    `arg_span(i)` for an argument.
    """

    __slots__ = ("_chart", "_length", "_number", "_offset", "_source", "args", "children", "keyword")

    def __init__(
        self,
        keyword: str,
        args: tuple[str, ...],
        source: Source,
        number: int,
        offset: int,
        length: int,
        chart: Chart | None,
    ) -> None:
        """The statement is `length` characters from `offset` in the text of the chart, or else of the physical line."""
        self.keyword = keyword
        self.args = args
        self.children: list[Node] | None = None
        """What stands in the block; None: no block was opened."""
        self._source = source
        self._number = number
        self._offset = offset
        self._length = length
        self._chart = chart

    def __repr__(self) -> str:
        block = "" if self.children is None else f" {{{len(self.children)}}}"
        return f"Node({' '.join((self.keyword, *self.args))!r}{block}, {self._source.file}:{self._number})"

    @property
    def line(self) -> Line:
        """The physical line."""
        return self._source.line(self._number)

    @property
    def indent(self) -> int:
        """Columns to the left of the statement; -1 where it does not stand in its line as it is."""
        return self._offset if self._chart is None else -1

    @property
    def text(self) -> str:
        """The statement: definitions put in, quotes included, comments gone."""
        text = self._source.line_text(self._number) if self._chart is None else self._chart.text
        return text[self._offset : self._offset + self._length]

    @property
    def raw(self) -> str:
        """The statement after its keyword."""
        text = self.text
        return text[self._tokens(text)[0].end :].lstrip(BLANKS)

    @property
    def span(self) -> Span:
        """Place of the keyword."""
        return self._word_span(0)

    def arg_span(self, index: int) -> Span:
        """Place of an argument. Behind the last one: an empty place after the last word, where one is missing."""
        return self._word_span(index + 1)

    @property
    def statement_span(self) -> Span:
        """From the keyword to the last word."""
        return self.place(0, self._length)

    def script_words(self, *, escapes: bool = False) -> list[Word]:
        """The words after the keyword by the tokenizer of scripts; their places are those in the line.

        The first is the command as one string, `lexer.split_command` makes its argument vector; then user and group.
        With `escapes` they are interpreted, as `regex` wants it.
        """
        text = self.text
        start = self._tokens(text)[0].end
        words = []
        for token in split_quoted(text[start:], escapes=escapes)[0]:
            span = self.place(start + token.start, start + token.end)
            words.append(Word(token.text, span.column, span.length, token.quoted))
        return words

    def script_quote(self) -> Span | None:
        """Where `script_words` found a quote that is never closed; what is behind it is lost."""
        text = self.text
        start = self._tokens(text)[0].end
        quote = split_quoted(text[start:])[1]
        return None if quote < 0 else self.place(start + quote, start + quote + 1)

    def split(self) -> list[Node]:
        """One node for each word."""
        if not self.args:
            return [self]
        return [
            Node(
                token.text,
                (),
                self._source,
                self._number,
                self._offset + token.start,
                token.end - token.start,
                self._chart,
            )
            for token in split_words(self.text)[0]
        ]

    def word_span(self, word: Word) -> Span:
        """Place of a word that `script_words` gave."""
        return Span(self.line, word.column, word.length)

    def _tokens(self, text: str) -> list[Token]:
        return split_words(text)[0] or [Token("", 0, 0)]

    def _word_span(self, index: int) -> Span:
        tokens = self._tokens(self.text)
        if index < len(tokens):
            return self.place(tokens[index].start, tokens[index].end)
        return self.place(tokens[-1].end, tokens[-1].end)

    def place(self, start: int, end: int) -> Span:
        """Place of text[start:end]."""
        if self._chart is None:
            return Span(self.line, self._offset + start + 1, end - start)
        column, width, origins = self._chart.place(self._offset + start, self._offset + end)
        line = self.line
        if origins:
            line = msgspec.structs.replace(line, origin=line.origin + origins)
        return Span(line, column + 1, width)
