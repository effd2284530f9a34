"""What instances can track beside interfaces and scripts: files and processes (config-keywords.md 9, 10)."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["MATCH_ANY", "ParamMatch", "TrackFile", "TrackProcess"]

ParamMatch = Literal["any", "exact", "partial", "initial"]
"""How the arguments of a process are compared: not at all, all of them, the first ones, the first ones with the last
cut short."""
MATCH_ANY: ParamMatch = "any"


class TrackFile(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A `track_file`: the number in it is what instances and checkers are told."""

    name: str
    path: str
    weight: int = 1
    """The factor for those who give none."""
    reverse: bool = False
    init_value: int | None = None
    """Written into the file at the start of the daemon if it is missing; None: it is not made."""
    init_overwrite: bool = False
    """`init_value` is written in any case."""


class TrackProcess(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A `vrrp_track_process`: good while the number of processes is within `quorum` .. `quorum_max`."""

    name: str
    process: str
    """Compared with the name of the process (its first 15 octets), or with argument 0 if `command_line`."""
    arguments: tuple[str, ...] = ()
    match: ParamMatch = MATCH_ANY
    command_line: bool = False
    """The command line is compared: `full_command`, or anything that concerns the arguments."""
    quorum: int = 1
    quorum_max: int | None = None
    """None = no limit; 0 = it must not run."""
    fork_delay_us: int = 0
    """How long a gain must last to be believed."""
    terminate_delay_us: int = 0
    weight: int = 0
    """For those who give none."""
    reverse: bool = False
