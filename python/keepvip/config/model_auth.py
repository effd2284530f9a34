"""How adverts prove where they come from: the typed model (config-keywords.md 7.6). No secret shows in a `repr`."""

from __future__ import annotations

import msgspec

__all__ = ["AuthHmac", "HmacKey"]


class HmacKey(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One key of `auth_hmac`."""

    number: int
    """1..255, as the trailer names it."""
    secret: bytes
    """32 to 64 bytes."""

    def __repr__(self) -> str:
        return f"HmacKey(number={self.number}, secret=<hidden>)"


class AuthHmac(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`auth_hmac`: a signed trailer on every advert (vrrp-behaviour.md 6)."""

    keys: tuple[HmacKey, ...]
    """All that verify, in ascending order of their numbers."""
    active_key: int
    """Number of the one that signs."""
    mode: str = "enforce"
    """`enforce`, `permissive` or `receive-only`."""
    time_window_s: int = 5
    """Largest difference of the clocks."""
    monotonic: bool = False
    """`anti_replay monotonic`: no clock is looked at, only that the sequence grows."""
