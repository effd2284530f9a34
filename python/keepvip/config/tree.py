"""The file as a tree of statements (config-language.md 3): `parse` is the way in of the language."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from keepvip.config.braces import BlockBuilder
from keepvip.config.diagnostic import ConfigTestClass
from keepvip.config.expand import Expander
from keepvip.config.fragment import BLANKS
from keepvip.config.include import updated_checks
from keepvip.config.lexer import split_words
from keepvip.config.node import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from keepvip.config.diagnostic import Diagnostics
    from keepvip.config.fragment import Chart
    from keepvip.config.keyword import Block
    from keepvip.config.source import Source

__all__ = ["Node", "Parsed", "parse"]


class Parsed(NamedTuple):
    """What `parse` gives."""

    nodes: list[Node]
    """The root statements."""
    files: tuple[str, ...]
    """Every file that was read, in order; the first is the configuration file itself."""


def parse(
    source: Path | str | bytes,
    *,
    config_id: str,
    schema: Block,
    diagnostics: Diagnostics,
    name: str = "<config>",
    strict_includes: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Parsed:
    """Reads a file (a pattern may match several), or bytes, which places then call `name`, into its root nodes.

    Never raises for what is in the files: everything found is in `diagnostics`. `config_id` is what `@id` lines are
    compared with, `strict_includes` is `--all-config`, `environ` is for `${_ENV NAME}` (default: our own).
    """
    expander = Expander(
        diagnostics,
        config_id=config_id,
        environ=os.environ if environ is None else environ,
        strict_includes=strict_includes,
    )
    if isinstance(source, bytes):
        expander.open_bytes(source, name)
    else:
        expander.open(str(source))
    builder = BlockBuilder(schema, diagnostics)
    for text, file, number, offset, chart in expander.lines():
        if chart is not None:
            node = _charted(file, number, chart, diagnostics)
            if node is None:
                continue
        else:
            if text[-1] == "}":
                builder.close(file, number, offset)
                continue
            words = text.split()
            if text[-1] == "{":
                column = offset + len(text) - 1
                text = text[:-1].rstrip(BLANKS)  # noqa: PLW2901
                if text:
                    words = text.split()
                    builder.statement(Node(words[0], tuple(words[1:]), file, number, offset, len(text), None))
                builder.open(file, number, column)
                continue
            node = Node(words[0], tuple(words[1:]), file, number, offset, len(text), None)
        if builder.statement(node) and node.keyword in _EFFECTS and builder.block.name == "global_defs":
            _EFFECTS[node.keyword](expander, node)
    builder.end()
    return Parsed(builder.nodes, tuple(expander.files))


def _charted(source: Source, number: int, chart: Chart, diagnostics: Diagnostics) -> Node | None:
    """A statement with quotes, or whose text is not as written. None: nothing but an open quote."""
    tokens, quote = split_words(chart.text)
    keyword = tokens[0].text if tokens else ""
    node = Node(keyword, tuple(token.text for token in tokens[1:]), source, number, 0, len(chart.text), chart)
    if quote >= 0:
        diagnostics.error(
            "unterminated-quote",
            "this quote is never closed",
            node.place(quote, quote + 1),
            expected='a closing `"` on the same line',
            hint="the rest of the line is lost",
            kind=ConfigTestClass.UNMATCHED_QUOTE,
        )
    return node if tokens else None


def _include_check(expander: Expander, node: Node) -> None:
    expander.set_checks(updated_checks(expander.checks, node.args)[0])


def _random_seed(expander: Expander, node: Node) -> None:
    if node.args and node.args[0].isascii() and node.args[0].isdecimal():
        expander.seed(int(node.args[0]))


_EFFECTS: dict[str, Callable[[Expander, Node], None]] = {"include_check": _include_check, "random_seed": _random_seed}
"""Keywords of `global_defs` that change how the rest is read."""
