"""Whether two nodes believe each other's signed adverts (vrrp-behaviour.md 6). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keepvip.config.model_auth import AuthHmac

__all__ = ["hmac_differs"]

_Differs = tuple[str, str, bool]
"""What each of the two has, and whether one of them does not hear the other."""


def hmac_differs(ours: AuthHmac | None, theirs: AuthHmac | None) -> _Differs | None:
    """How two settings of `auth_hmac` do not fit; None if they do. A setting that only accepts what is not signed is no
    difference: that is how signing is introduced."""
    if ours is None and theirs is None:
        return None
    if ours is None or theirs is None:
        there = ours or theirs
        deaf = there is not None and there.mode != "receive-only"
        shown = [("no auth_hmac" if one is None else f"auth_hmac with mode {one.mode}") for one in (ours, theirs)]
        return (shown[0], shown[1], True) if deaf else None
    for one, other in ((ours, theirs), (theirs, ours)):
        if one.mode == "receive-only" and other.mode == "enforce":
            return f"mode {ours.mode}", f"mode {theirs.mode}", True
    for one, other in ((ours, theirs), (theirs, ours)):
        if one.mode == "receive-only":
            continue
        secrets = {key.number: key.secret for key in other.keys}
        secret = next(key.secret for key in one.keys if key.number == one.active_key)
        if secrets.get(one.active_key) != secret:
            lack = "another" if one.active_key in secrets else "no"
            has, lacks = f"active key {one.active_key}", f"{lack} key {one.active_key}"
            return (has, lacks, True) if one is ours else (lacks, has, True)
    if ours.monotonic is not theirs.monotonic:
        return _replay(ours), _replay(theirs), False
    return None


def _replay(one: AuthHmac) -> str:
    return "anti_replay monotonic" if one.monotonic else "anti_replay time"
