"""Items for people: in logs and events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepvip.config.model_route import Route, Rule
from keepvip.config.route_text import route_text, rule_text

if TYPE_CHECKING:
    from keepvip.net.item import Item

__all__ = ["item_text"]


def item_text(item: Item) -> str:
    """The item without the word of its kind: `10.1.0.0/24 via inet 10.0.0.2 dev eth0 proto 18`."""
    if isinstance(item, Route):
        return route_text(item).partition(" ")[2]  # without the mode of adding
    if isinstance(item, Rule):
        return rule_text(item)
    return f"{item.address.address}/{item.address.prefix_len} dev {item.dev}"
