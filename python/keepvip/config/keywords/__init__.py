"""All keywords, one declaration each. `ROOT` is the way in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepvip.config.keywords.root import ROOT

if TYPE_CHECKING:
    from keepvip.config.keyword import Block

__all__ = ["ROOT", "all_blocks"]


def all_blocks() -> list[Block]:
    """Every block with own keywords or options, in the order of the reference page, each once."""
    found: list[Block] = []

    def walk(block: Block) -> None:
        if any(block is other for other in found):
            return
        found.append(block)
        for keyword in block.keywords.values():
            if keyword.block is not None:
                walk(keyword.block)

    walk(ROOT)
    return found
