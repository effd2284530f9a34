"""How keepalived writes addresses, commands and times into its dump files (vrrp-behaviour.md 14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keepvip.config.model import Script, VirtualAddress, VrrpInstance
    from keepvip.config.model_vmac import VmacKey

__all__ = ["address_text", "number", "script_text"]

_SCOPES = {0: "global", 200: "site", 253: "link", 254: "host"}


def address_text(
    address: VirtualAddress,
    owner: VrrpInstance | None,
    links: Mapping[VmacKey, str],
    *,
    installed: bool,
    track_group: str | None = None,
) -> str:
    """`10.0.0.1/24 dev eth0 scope global label eth0:1 set`. `owner`: None for a static one."""
    host = 32 if address.family == 4 else 128
    words = [address.address if address.prefix_len == host else f"{address.address}/{address.prefix_len}"]
    if address.peer is not None:
        words[0] = address.address
    if address.brd is not None:
        words += ["brd", address.brd]
    link = owner.link_of(address) if owner is not None else None
    interface = (links.get(link.key) if link is not None else None) or address.dev
    if interface is None and owner is not None:
        interface = owner.interface
    if interface is not None:
        words += ["dev", interface]
    words += ["scope", _SCOPES.get(address.scope, str(address.scope))]
    if address.label is not None:
        words += ["label", address.label]
    if address.peer is not None:
        words += ["peer", f"{address.peer}/{host if address.peer_prefix_len is None else address.peer_prefix_len}"]
    if address.home:
        words.append("home")
    if address.family == 6 and not address.nodad:
        words.append("-nodad")
    words += [flag for flag in ("mngtmpaddr", "noprefixroute", "autojoin") if getattr(address, flag)]
    if address.preferred_lft_s == 0:
        words.append("deprecated")
    elif address.preferred_lft_s is not None:
        words += ["preferred_lft", str(address.preferred_lft_s)]
    elif address.family == 6:
        words += ["preferred_lft", "forever"]
    if address.no_track:
        words.append("no_track")
    if track_group is not None:
        words += ["track_group", track_group]
    if installed:
        words.append("set")
    return " ".join(words)


def script_text(script: Script) -> str:
    """`'/path/to/script' 'argument'`."""
    return " ".join(f"'{word}'" for word in script.argv)


def number(value_us: int) -> int | float:
    """Seconds: 1 and not 1.0, but 0.2."""
    return value_us // 1_000_000 if value_us % 1_000_000 == 0 else value_us / 1_000_000
