"""The statistics file, line for line as keepalived writes it, because exporters parse it (vrrp-behaviour.md 14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keepvip.event import InstanceStatus

__all__ = ["stats_text"]

_LAYOUT = (
    ("  Advertisements:", None),
    ("    Received", "advert_rcvd"),
    ("    Sent", "advert_sent"),
    ("  Became master", "become_master"),
    ("  Released master", "release_master"),
    ("  Packet Errors:", None),
    ("    Length", "packet_len_err"),
    ("    TTL", "ip_ttl_err"),
    ("    Invalid Type", "invalid_type_rcvd"),
    ("    Advertisement Interval", "advert_interval_err"),
    ("    Address List", "addr_list_err"),
    ("  Authentication Errors:", None),
    ("    Invalid Type", "invalid_authtype"),
    ("    Type Mismatch", "authtype_mismatch"),
    ("    Failure", "auth_failure"),
    ("  Authentication Extension Errors:", None),
    ("    Missing", "auth_ext_missing"),
    ("    Malformed", "auth_ext_malformed"),
    ("    Unknown Key", "auth_ext_unknown_key"),
    ("    Invalid HMAC", "auth_ext_invalid_hmac"),
    ("    Stale", "auth_ext_stale"),
    ("    Replay", "auth_ext_replay"),
    ("  Priority Zero:", None),
    ("    Received", "pri_zero_rcvd"),
    ("    Sent", "pri_zero_sent"),
)


def stats_text(instances: Sequence[InstanceStatus]) -> str:
    """All instances, in the order of the configuration."""
    lines: list[str] = []
    for status in instances:
        lines.append(f"VRRP Instance: {status.name}")
        lines += [
            title if counter is None else f"{title}: {status.stats.get(counter, 0)}" for title, counter in _LAYOUT
        ]
    return "".join(f"{line}\n" for line in lines)
