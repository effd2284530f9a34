"""A configuration as one text: includes, conditions and definitions resolved, comments gone (`config_save_dir`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from keepvip.config.node import Node

__all__ = ["consolidated"]


def consolidated(name: str, nodes: Iterable[Node]) -> str:
    """`name`: of the file that it began with."""
    return "".join(f"{line}\n" for line in (f"# {name}", *_lines(nodes, "")))


def _lines(nodes: Iterable[Node], indent: str) -> Iterator[str]:
    for node in nodes:
        text = node.text.strip()
        if node.children is None:
            yield indent + text
            continue
        yield f"{indent}{text.partition('{')[0].rstrip()} {{"
        yield from _lines(node.children, f"{indent}  ")
        yield f"{indent}}}"
