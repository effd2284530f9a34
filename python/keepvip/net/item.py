"""One thing in the kernel, whatever its kind: its messages, the key of notifications about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepvip.config.model_route import Route, Rule, StaticAddress
from keepvip.net.address_message import address_key, address_message
from keepvip.net.route_message import route_key, route_message
from keepvip.net.rule_message import rule_key, rule_message

if TYPE_CHECKING:
    from keepvip.net.links import Links

__all__ = ["Item", "Key", "key_of_item", "kind_of", "message_of", "sort_order"]

Item = StaticAddress | Route | Rule
Key = tuple[object, ...]
"""The kind, then what `address_key`, `route_key` or `rule_key` gives."""

_ORDER = {StaticAddress: 0, Route: 1, Rule: 2}
_KINDS = {StaticAddress: "address", Route: "route", Rule: "rule"}


def kind_of(item: Item) -> str:
    """`address`, `route` or `rule`."""
    return _KINDS[type(item)]


def sort_order(item: Item) -> int:
    """Addresses before routes before rules, which is also the order of taking effect; removals go the other way."""
    return _ORDER[type(item)]


def message_of(item: Item, links: Links, *, add: bool) -> bytes:
    """The request to add or to remove it. Raises OSError for an interface that does not exist."""
    if isinstance(item, Route):
        return route_message(item, links, add=add)
    if isinstance(item, Rule):
        return rule_message(item, add=add)
    return address_message(item, links, add=add)


def key_of_item(item: Item, links: Links) -> Key:
    """By what notifications about it are recognized. Raises OSError for an interface that does not exist."""
    if isinstance(item, Route):
        return ("route", *route_key(item, links))
    if isinstance(item, Rule):
        return ("rule", *rule_key(item))
    return ("address", *address_key(item, links))
