"""The checkers of a real server (config-keywords.md 16)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keepvip.config.build_script import ScriptDefaults

if TYPE_CHECKING:
    from keepvip.config.model_check import Checker
    from keepvip.config.settings import Context, Settings

__all__ = ["Inherited", "build_checkers"]


class Inherited(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a checker takes from its real server and, through it, from the virtual server."""

    address: str
    """Of the real server, canonical."""
    port: int
    """Of the real server; 0 = none."""
    family: int
    """4 or 6, of the real server."""
    alpha: bool = False
    retry: int | None = None
    """None here and below: what the type of checker has of its own."""
    delay_before_retry_us: int | None = None
    warmup_us: int | None = None
    connect_timeout_us: int | None = None
    delay_loop_us: int = 60_000_000
    service_delay_loop_us: int = 60_000_000
    """`delay_loop` of the virtual server."""
    virtualhost: str | None = None
    """Of the real server, else of the virtual server."""
    service_virtualhost: str | None = None
    """Of the virtual server only: what the server name of a TLS session may come from."""
    log_all_failures: bool = False
    scripts: ScriptDefaults = ScriptDefaults()
    service: str = ""
    """The virtual server, for messages."""
    server: str = ""


def build_checkers(ctx: Context, server: Settings, inherited: Inherited) -> tuple[Checker, ...]:
    """All checkers of one real server, in the order of the file. `server`: what stands in its block."""
    return ()
