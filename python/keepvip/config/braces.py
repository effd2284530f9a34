"""Blocks: which statement stands in which, and what is wrong with the braces (config-language.md 3).

Braces are matched more kindly than keepalived does: the block of an unknown keyword is skipped as a whole instead of
being taken for the rest of its parent, and a missing `}` is noticed where the next block begins. What is refused stays
the same.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keepvip.config.diagnostic import ConfigTestClass, Related
from keepvip.config.source import Span
from keepvip.config.suggest import Suggester

if TYPE_CHECKING:
    from keepvip.config.diagnostic import Diagnostics
    from keepvip.config.keyword import Block, Keyword
    from keepvip.config.node import Node
    from keepvip.config.source import Source

__all__ = ["BlockBuilder"]

_SPACED_DEFINITION = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*[ \t]+=")


class _Level:
    """An open block."""

    __slots__ = ("block", "items", "keywords", "node", "outdented", "stray")

    def __init__(self, block: Block, node: Node | None, items: list[Node]) -> None:
        self.block = block
        self.node = node
        """Its header; None: the root."""
        self.items = items
        self.keywords: dict[str, Keyword] | None = block.keywords if block.kind == "keywords" else None
        """None: every line, or every word, is an entry."""
        self.stray = 0
        """Braces opened in it that belong to nothing."""
        self.outdented: tuple[Node, Source, int, int] | None = None
        """A block in it whose `}` stands where that of this one should: block, source, line and column of the brace."""


class BlockBuilder:
    """Takes statements and braces in order and makes the tree of them."""

    def __init__(self, schema: Block, diagnostics: Diagnostics) -> None:
        self.nodes: list[Node] = []
        """The root statements."""
        self._diagnostics = diagnostics
        self._suggester = Suggester()
        self._schema = schema
        self._homes: dict[str, list[str]] | None = None
        self._stack = [_Level(schema, None, self.nodes)]
        self._header: tuple[Node, Block] | None = None
        """A statement that must be followed by `{`."""
        self._last: Node | None = None
        """The statement just before, which a `{` would belong to."""
        self._unknown: Node | None = None
        """An unknown keyword, not told yet: it may open a block."""
        self._skipping = 0
        """Braces open in a block that is skipped."""
        self._skipped: Node | None = None
        """Whose block that is."""

    @property
    def block(self) -> Block:
        """The innermost open block."""
        return self._stack[-1].block

    def statement(self, node: Node) -> bool:
        """A statement. Returns whether it became part of the tree."""
        if self._skipping:
            return False
        if self._header is not None:
            self._missing_brace(node)
        if self._unknown is not None:
            self._tell_unknown(self._unknown)
        level = self._stack[-1]
        if level.keywords is None:
            self._last = node
            level.items += node.split() if level.block.kind == "words" else (node,)
            return True
        keyword = level.keywords.get(node.keyword)
        if keyword is None:
            keyword = self._of_outer_block(node)
            if keyword is None:
                self._unknown, self._last = node, None
                return False
            level = self._stack[-1]
        node.keyword = keyword.name  # one string for all nodes, not one each
        level.items.append(node)
        self._last = node
        if keyword.block is not None:
            self._header = node, keyword.block
        return True

    def open(self, source: Source, number: int, column: int) -> None:
        """A `{`; `column` is from 0."""
        if self._skipping:
            self._skipping += 1
            return
        if self._header is not None:
            self._enter(*self._header)
            return
        if self._unknown is not None:
            self._skip(self._unknown)
            self._tell_unknown(self._unknown, opens_block=True)
            return
        last, self._last = self._last, None
        level = self._stack[-1]
        if last is None:
            level.stray += 1
            self._diagnostics.error(
                "unexpected-open-brace",
                "nothing before this brace opens a block",
                _place(source, number, column),
                hint="remove it",
                kind=ConfigTestClass.UNEXPECTED_OPEN,
            )
        elif level.keywords is None and (keyword := self._of_outer_block(last)) is not None and keyword.block:
            del level.items[-1 if level.block.kind == "entries" else -1 - len(last.args) :]
            self._stack[-1].items.append(last)
            self._enter(last, keyword.block)
        else:
            self._skip(last)
            what = f"`{last.keyword}`" if level.keywords is not None else f"an entry of `{level.block.name}`"
            self._diagnostics.error(
                "unexpected-open-brace",
                f"{what} takes no block; this one is skipped",
                _place(source, number, column),
                kind=ConfigTestClass.UNEXPECTED_OPEN,
            )

    def close(self, source: Source, number: int, column: int) -> None:
        """A `}`; `column` is from 0."""
        if self._skipping:
            self._skipping -= 1
            return
        if self._header is not None:
            self._missing_brace(None)
        if self._unknown is not None:
            self._tell_unknown(self._unknown)
        self._last = None
        level = self._stack[-1]
        if level.stray:
            level.stray -= 1
        elif level.node is not None:
            self._stack.pop()
            around = self._stack[-1]
            if column < level.node.indent and around.node is not None and column <= around.node.indent:
                around.outdented = around.outdented or (level.node, source, number, column)
        else:
            self._diagnostics.error(
                "unexpected-close-brace",
                "no block is open here",
                _place(source, number, column),
                hint="remove it, or look above for a block that was closed too early",
                kind=ConfigTestClass.UNEXPECTED_CLOSE,
            )

    def end(self) -> None:
        """The end of the configuration."""
        if self._header is not None:
            self._missing_brace(None)
        if self._unknown is not None:
            self._tell_unknown(self._unknown)
        if self._skipping and self._skipped is not None:
            self._never_closed(self._skipped)
        for level in reversed(self._stack):
            if level.node is not None:
                self._never_closed(level.node, level)
        del self._stack[1:]

    def _enter(self, node: Node, block: Block) -> None:
        node.children = []
        self._stack.append(_Level(block, node, node.children))
        self._header = self._last = None

    def _skip(self, node: Node) -> None:
        node.children = []
        self._skipping, self._skipped = 1, node

    def _missing_brace(self, following: Node | None) -> None:
        """A header without `{`. What follows is its content, unless it clearly belongs to the block around it."""
        if self._header is None:
            return
        node, block = self._header
        around = self._stack[-1].keywords or {}
        inside = following is not None and (
            block.kind != "keywords" or following.keyword in block.keywords or following.keyword not in around
        )
        self._diagnostics.error(
            "missing-open-brace",
            f"`{node.keyword}` needs a block",
            node.arg_span(len(node.args)),
            expected="`{`",
            kind=ConfigTestClass.MISSING_OPEN,
            related=(Related("this is taken for the first line of the block", following.statement_span),)
            if following is not None and inside
            else (),
        )
        self._enter(node, block)
        if not inside:
            self._stack.pop()

    def _of_outer_block(self, node: Node) -> Keyword | None:
        """The keyword, if it opens a block in one of the blocks around: then a `}` is missing before it."""
        for depth in range(len(self._stack) - 2, -1, -1):
            keyword = (self._stack[depth].keywords or {}).get(node.keyword)
            if keyword is not None:
                break
        else:
            return None
        if keyword.block is None:
            return None
        while len(self._stack) > depth + 1:
            level = self._stack.pop()
            if level.node is not None:
                self._never_closed(level.node, level, node)
        return keyword

    def _never_closed(self, node: Node, level: _Level | None = None, before: Node | None = None) -> None:
        related = []
        if level is not None and level.outdented is not None:
            inner, source, number, column = level.outdented
            message = f"this closes `{_header_text(inner)}`, which stands further right: is its own `}}` missing?"
            related.append(Related(message, _place(source, number, column)))
        if before is not None:
            related.append(Related("the next block begins here", before.span))
        self._diagnostics.error(
            "missing-close-brace",
            f"the block of `{_header_text(node)}` is never closed",
            node.statement_span,
            expected="`}`" if before is None else f"`}}` before `{before.keyword}`",
            kind=ConfigTestClass.MISSING_CLOSE,
            related=related,
        )

    def _tell_unknown(self, node: Node, *, opens_block: bool = False) -> None:
        self._unknown = None
        block = self._stack[-1].block
        word = node.keyword
        what = f"`{word}` is not a keyword of `{block.name}`" if block.name else f"`{word}` is not a keyword"
        self._diagnostics.error(
            "unknown-keyword",
            f"{what}; {'its block is skipped' if opens_block else 'the line is ignored'}",
            node.span,
            hint=self._hint(node, block),
            kind=ConfigTestClass.UNKNOWN_KEYWORD,
        )

    def _hint(self, node: Node, block: Block) -> str:
        word = node.keyword
        if word.startswith("include") and word[7:] in {"", "r", "m", "w", "b", "a"} and not node.args:
            return "name the file to include"
        if _SPACED_DEFINITION.match(node.text):
            return "write the definition without a blank before `=`"
        homes = self._homes
        if homes is None:
            homes = self._homes = _homes(self._schema)
        found = homes.get(word)
        if found:
            names = " or ".join(f"`{name}`" if name else "the top level" for name in found[:3])
            return f"it belongs into {names}; is a `}}` missing above?" if "" in found else f"it belongs into {names}"
        return self._suggester.hint(word, block.keywords)


def _place(source: Source, number: int, column: int) -> Span:
    return Span(source.line(number), column + 1, 1)


def _header_text(node: Node) -> str:
    return " ".join((node.keyword, *node.args[:1]))


def _homes(schema: Block) -> dict[str, list[str]]:
    """For each keyword the names of the blocks that have it."""
    homes: dict[str, list[str]] = {}
    seen: list[Block] = []
    todo = [schema]
    while todo:
        block = todo.pop()
        if block.kind != "keywords" or any(block is other for other in seen):
            continue
        seen.append(block)
        for keyword in block.keywords.values():
            homes.setdefault(keyword.name, []).append(block.name)
            if keyword.block is not None:
                todo.append(keyword.block)
    return homes
