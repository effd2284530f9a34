"""`authentication`: the secret of VRRPv2 (config-keywords.md 7.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepvip.config.diagnostic import ConfigTestClass
from keepvip.config.keywords.authentication import AUTHENTICATION
from keepvip.config.model import Authentication
from keepvip.config.settings import read_block

if TYPE_CHECKING:
    from keepvip.config.settings import Context, Setting
    from keepvip.config.source import Span

__all__ = ["build_authentication"]

MAX_PASSWORD = 8


def build_authentication(
    ctx: Context, name: str, setting: Setting | None, *, family: int, version: int, strict: bool, replaced: bool = False
) -> Authentication | None:
    """What proves the adverts. `replaced`: auth_hmac does it."""
    if setting is None:
        return None

    def warn(code: str, message: str, span: Span, hint: str = "") -> None:
        ctx.diagnostics.warning(code, f"`{name}`: {message}", span, hint=hint, kind=ConfigTestClass.GENERAL)

    found = read_block(ctx, setting.node.children or (), AUTHENTICATION)
    if replaced:
        warn("authentication-ignored", "auth_hmac takes its place: this block is ignored", setting.span)
        return None
    kind, secret = found.get("auth_type"), found.get("auth_pass")
    if version == 3 or strict:
        reason = "strict mode" if strict else "version 3"
        hint = "" if strict else "auth_hmac is the one that works with version 3"
        warn("authentication-ignored", f"{reason} has no authentication: this block is ignored", setting.span, hint)
        return None
    if kind is None:
        if "auth_type" not in found.refused:
            ctx.diagnostics.warning(
                "no-authentication", f"`{name}`: authentication without auth_type does nothing", setting.span
            )
        return None
    if family == 6:
        warn("authentication-ignored", "version 2 over IPv6 has no authentication: this block is ignored", setting.span)
        return None
    if secret is None or not secret.value:
        warn("no-authentication", "authentication without auth_pass does nothing", setting.span)
        return None
    password = str(secret.value).encode("utf-8", "surrogateescape")
    if len(password) > MAX_PASSWORD:
        warn(
            "password-cut",
            f"the password is cut to its first {MAX_PASSWORD} characters",
            secret.node.arg_span(0),
            "VRRPv2 has room for 8; the rest is not checked on any node",
        )
    return Authentication(kind=str(kind.value), password=password[:MAX_PASSWORD].ljust(MAX_PASSWORD, b"\0"))
