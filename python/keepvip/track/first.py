"""What is known of tracked things before the first advert, so that nobody starts with a wrong priority.

Light: it is imported before the engine starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keepvip.track.number import folder_missing, make_file, read_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keepvip.config.model import Config
    from keepvip.config.model_track import TrackProcess
    from keepvip.event import TrackKey, TrackValue
    from keepvip.kernel import ProcessEvents

__all__ = ["FILE", "PROCESS", "SCRIPT", "First", "first_values", "look"]

SCRIPT = "script"
FILE = "file"
PROCESS = "process"


class First(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of the first look."""

    values: dict[TrackKey, TrackValue]
    events: ProcessEvents | str | None = None
    """The subscription to process events, or why there is none; None: nobody tracks processes."""
    messages: tuple[str, ...] = ()
    """What could not be done."""


def look(config: Config) -> First:
    """At the start of the daemon: files are made where `init_file` says so, then everything is looked at."""
    messages = tuple(filter(None, map(make_file, config.track_files)))
    events: ProcessEvents | str | None = None
    if config.track_processes:
        from keepvip.track.census import subscribe  # noqa: PLC0415  (rare)

        defs = config.global_defs
        events = subscribe(defs.process_monitor_rcv_bufs, force=defs.process_monitor_rcv_bufs_force)
    values = first_values(config) | _counts(config.track_processes, known=not isinstance(events, str))
    return First(values=values, events=events, messages=messages)


def first_values(config: Config) -> dict[TrackKey, TrackValue]:
    """Scripts with `init_fail` are bad; files are read."""
    values: dict[TrackKey, TrackValue] = {
        (SCRIPT, script.name): "bad" for script in config.track_scripts if script.init_fail
    }
    for file in config.track_files:
        values[FILE, file.name] = "ignored" if folder_missing(file.path) else read_number(file.path)[0] or 0
    return values


def _counts(configs: Sequence[TrackProcess], *, known: bool) -> dict[TrackKey, TrackValue]:
    if not configs:
        return {}
    if not known:
        return {(PROCESS, config.name): "ignored" for config in configs}
    from keepvip.track.census import count_now  # noqa: PLC0415  (rare)
    from keepvip.track.match import within  # noqa: PLC0415

    return {
        (PROCESS, config.name): "good" if within(config, len(members)) else "bad"
        for config, members in zip(configs, count_now(configs), strict=True)
    }
