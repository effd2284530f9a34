"""What is known of tracked things before anything was looked at. Light: it is imported before the first advert."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keepvip.config.model import Config
    from keepvip.event import TrackKey, TrackValue

__all__ = ["SCRIPT", "first_values"]

SCRIPT = "script"


def first_values(config: Config) -> dict[TrackKey, TrackValue]:
    """Scripts with `init_fail` are bad."""
    return {(SCRIPT, script.name): "bad" for script in config.track_scripts if script.init_fail}
