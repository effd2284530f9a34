"""Two unicast nodes: does each send to where the other one is? (config-keywords.md 7.3)"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keepvip.config.model import VrrpInstance

__all__ = ["Finding", "are_peers", "peer_findings"]

DEFAULT_TTL = 255


class Finding(NamedTuple):
    """Something that does not fit."""

    code: str
    keyword: str
    """Where it stands, in the file of the first of the two unless `there`."""
    message: str
    hint: str
    error: bool = True
    there: bool = False


def are_peers(ours: VrrpInstance, theirs: VrrpInstance) -> bool:
    """Whether one of the two names the source of the other."""
    return _lists(ours, theirs.source) or _lists(theirs, ours.source)


def peer_findings(ours: VrrpInstance, theirs: VrrpInstance, here: str, there: str) -> Iterator[Finding]:
    """All that is wrong between two unicast instances; `here` and `there` are what the nodes are called."""
    if ours.unicast is None or theirs.unicast is None:
        return
    if ours.source is not None and ours.source == theirs.source:
        yield Finding(
            "same-source", "unicast_src_ip", f"both send from {ours.source}", "give every node an address of its own"
        )
        return
    for first, second, label, other, turned in ((ours, theirs, here, there, False), (theirs, ours, there, here, True)):
        yield from _one_way(first, second, label, other, turned=turned)
    if ours.source is None and theirs.source is None and _addresses(ours) == _addresses(theirs):
        (only, *more) = _addresses(ours) or ("nobody",)
        if not more:
            yield Finding(
                "same-peers",
                "unicast_peer",
                f"both send to {only} and to nobody else: they cannot be each other's peer",
                "list on every node the addresses of the others",
                error=False,
            )
    if {ours.unicast.old_checksum, theirs.unicast.old_checksum} == {"always", "never"} and ours.version == 3:
        yield Finding(
            "checksum-differs",
            "old_unicast_checksum",
            "one sends the old checksum, and the other one refuses it: both become MASTER",
            "write the same on every node",
        )


def _one_way(sender: VrrpInstance, hearer: VrrpInstance, label: str, other: str, *, turned: bool) -> Iterator[Finding]:
    """What keeps the adverts of `sender` from `hearer`."""
    if sender.unicast is None or hearer.unicast is None:
        return
    if hearer.source is not None and not _lists(sender, hearer.source):
        yield Finding(
            "not-a-peer",
            "unicast_peer",
            f"{other} is at {hearer.source}, but {label} does not send there: {other} hears nothing and becomes MASTER",
            f"add {hearer.source} to unicast_peer in {label}",
            there=turned,
        )
    expected = next((peer for peer in hearer.unicast.peers if peer.address == sender.source), None)
    ttl = sender.unicast.ttl if sender.unicast.ttl is not None else DEFAULT_TTL if sender.family == 4 else None
    if expected is not None and ttl is not None and ttl < expected.min_ttl and hearer.unicast.check_source:
        yield Finding(
            "ttl-too-small",
            "unicast_ttl",
            f"{label} sends with TTL {ttl}, and {other} wants at least {expected.min_ttl} from it: they are dropped",
            f"raise unicast_ttl in {label}, or lower min_ttl in {other}",
            there=turned,
        )


def _addresses(instance: VrrpInstance) -> tuple[str, ...]:
    return tuple(peer.address for peer in instance.unicast.peers) if instance.unicast is not None else ()


def _lists(instance: VrrpInstance, address: str | None) -> bool:
    return address is not None and address in _addresses(instance)
