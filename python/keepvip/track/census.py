"""The processes of the host: a subscription to what becomes of them, and a look at all of them.

Light: it is imported before the first advert where processes are tracked.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from keepvip.kernel import ProcessEvents
from keepvip.track.match import facts_of, is_meant, processes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keepvip.config.model_track import TrackProcess

__all__ = ["count_now", "subscribe"]


def subscribe(buffer_bytes: int | None, *, force: bool) -> ProcessEvents | str:
    """The kernel's process events, or why there are none."""
    try:
        return ProcessEvents(buffer_bytes=buffer_bytes, force=force)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        return (
            f"processes cannot be tracked, the kernel tells nothing about them: {why}"
            " (needs CAP_NET_ADMIN, CONFIG_PROC_EVENTS, and no user or PID namespace of its own)"
        )


def count_now(configs: Sequence[TrackProcess]) -> list[set[int]]:
    """Who counts for each of them, by a look at all processes."""
    found: list[set[int]] = [set() for _ in configs]
    command_line = any(config.command_line for config in configs)
    for process in processes():
        facts = facts_of(process, command_line=command_line)
        if facts is not None:
            for config, members in zip(configs, found, strict=True):
                if is_meant(config, facts):
                    members.add(process)
    return found
