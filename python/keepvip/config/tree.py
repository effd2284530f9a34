"""Statements and blocks: the file as a tree of nodes (config-language.md 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepvip.config.source import Line, Origin, Source, Span

if TYPE_CHECKING:
    from pathlib import Path

    from keepvip.config.diagnostic import Diagnostics
    from keepvip.config.keyword import Block
    from keepvip.config.lexer import Word

__all__ = ["Node", "Parsed", "parse"]


class Node:
    """One statement, with what stands in its block.

    In a block of `entries` every line is a node: `keyword` is its first word, `args` the others. In a block of `words`
    every word is a node without arguments.

    Words are plain strings. Places are worked out when they are asked for, from the line: `span` for the keyword,
    `arg_span(i)` for an argument.
    """

    __slots__ = ("args", "children", "keyword")

    keyword: str
    args: tuple[str, ...]
    children: list[Node] | None
    """None: no block was opened."""

    @property
    def line(self) -> Line:
        """The physical line."""
        raise NotImplementedError

    @property
    def raw(self) -> str:
        """The statement after its keyword, quotes included, comments gone."""
        raise NotImplementedError

    @property
    def span(self) -> Span:
        """Place of the keyword."""
        raise NotImplementedError

    def arg_span(self, index: int) -> Span:
        """Place of an argument. Behind the last one: an empty place after the last word, where one is missing."""
        raise NotImplementedError

    @property
    def statement_span(self) -> Span:
        """From the keyword to the last word."""
        raise NotImplementedError

    def script_words(self) -> list[Word]:
        """The words after the keyword by the script tokenizer, pass 1; columns are those of the line.

        The first is the command as one string, `lexer.split_command` makes its argument vector; then user and group.
        """
        raise NotImplementedError

    def word_span(self, word: Word) -> Span:
        """Place of a word that `script_words` gave."""
        raise NotImplementedError


class Parsed:
    """What `parse` gives."""

    nodes: list[Node]
    files: tuple[str, ...]
    """Every file that was read, in order; the first is the configuration file itself."""


def parse(
    source: Path | bytes,
    *,
    config_id: str,
    schema: Block,
    diagnostics: Diagnostics,
    name: str = "<config>",
    strict_includes: bool = False,
) -> Parsed:
    """Reads a file (or its bytes; `name` is then what places call it) into its root nodes.

    Never raises for what is in the file: everything found is in `diagnostics`. `strict_includes` is `-e`.
    """
    raise NotImplementedError
