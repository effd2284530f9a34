"""Unicast (config-keywords.md 7.3): the peers of an instance, and what becomes of the settings around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepvip.config import values
from keepvip.config.diagnostic import ConfigTestClass, Related
from keepvip.config.keywords.transport import UNICAST_PEERS
from keepvip.config.model import Unicast, UnicastPeer
from keepvip.config.settings import read_options
from keepvip.config.values import Address, is_multicast

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepvip.config.settings import Context, Setting, Settings
    from keepvip.config.source import Span
    from keepvip.config.tree import Node

__all__ = ["PlacedPeer", "build_unicast", "read_peers"]

PlacedPeer = tuple[UnicastPeer, "Node"]

_ONLY_WITH_PEERS = ("unicast_ttl", "check_unicast_src", "old_unicast_checksum")


def read_peers(
    ctx: Context, name: str, setting: Setting, is_of_family: Callable[[Address, Node], bool]
) -> list[PlacedPeer]:
    """The usable peers of all blocks, each once. `is_of_family` reports an address of the wrong family itself."""
    found: dict[str, PlacedPeer] = {}
    for block in setting.all():
        for node in block.node.children or ():
            peer = _peer(ctx, node, is_of_family)
            if peer is None:
                continue
            first = found.setdefault(peer.address, (peer, node))
            if first[1] is not node:
                ctx.diagnostics.warning(
                    "duplicate-peer",
                    f"`{name}`: `{peer.address}` is a peer already",
                    node.span,
                    related=[Related("the first time is here", first[1].span)],
                )
    return list(found.values())


def _peer(ctx: Context, node: Node, is_of_family: Callable[[Address, Node], bool]) -> UnicastPeer | None:
    address = values.read(UNICAST_PEERS.args[0], node.keyword)
    if not isinstance(address, Address) or is_multicast(address):
        problem = "is a multicast group" if isinstance(address, Address) else "is not an address"
        ctx.diagnostics.error(
            "invalid-peer", f"`{node.keyword}` {problem}: this peer is dropped", node.span, expected="a unicast address"
        )
        return None
    options = read_options(ctx, node, (node.keyword, *node.args), 1, UNICAST_PEERS.keywords, "peer")
    if options is None or not is_of_family(address, node):
        return None
    ttl = {field: value for field, (value, _) in options.items() if isinstance(value, int)}
    peer = UnicastPeer(address=address.text, **ttl)
    if peer.min_ttl > peer.max_ttl:
        ctx.diagnostics.error(
            "empty-range",
            f"min_ttl {peer.min_ttl} is more than max_ttl {peer.max_ttl}: every advert of this peer would be dropped,"
            " so the bounds are ignored",
            node.statement_span,
        )
        return UnicastPeer(address=peer.address)
    return peer


def build_unicast(
    ctx: Context, name: str, settings: Settings, peers: list[PlacedPeer], *, check_source: bool
) -> Unicast | None:
    """How an instance sends by unicast; None: by multicast. `check_source` is the default of `global_defs`."""

    def warn(code: str, message: str, span: Span, hint: str = "") -> None:
        ctx.diagnostics.warning(code, f"`{name}`: {message}", span, hint=hint, kind=ConfigTestClass.GENERAL)

    wanted = settings.get("unicast_peer") or settings.get("unicast_src_ip")
    if not peers and "unicast_fault_no_peer" not in settings:
        if wanted is not None:
            warn(
                "unicast-without-peers",
                "there is no unicast peer, so it sends by multicast",
                wanted.span,
                "list the other nodes in unicast_peer; unicast_fault_no_peer makes it a FAULT to have none",
            )
        for keyword in _ONLY_WITH_PEERS:
            if keyword in settings:
                warn("unicast-without-peers", f"{keyword} does nothing without unicast_peer", settings[keyword].span)
        return None
    if "mcast_dst_ip" in settings:
        warn("contradiction", "a unicast instance has no group: mcast_dst_ip is ignored", settings["mcast_dst_ip"].span)
    old = settings.get("old_unicast_checksum")
    bounded = any((peer.min_ttl, peer.max_ttl) != (0, 255) or node.args for peer, node in peers)
    return Unicast(
        peers=tuple(peer for peer, _ in peers),
        ttl=settings.value("unicast_ttl", None),
        check_source=check_source or "check_unicast_src" in settings or bounded,
        old_checksum="detect" if old is None else "never" if old.value == "never" else "always",
    )
