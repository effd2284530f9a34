"""Tracked things in the dump files, in the words of keepalived's (vrrp-behaviour.md 14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from keepvip.config.model_track import TrackProcess  # noqa: TC001  (msgspec resolves annotations)
from keepvip.observe.dump_words import number, script_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from keepvip.config.model import Config, Track, TrackScript, VrrpInstance
    from keepvip.config.model_track import TrackFile
    from keepvip.event import TrackedStatus

__all__ = ["ProcessView", "process_entries", "track_sections", "tracks_of"]

_UNLIMITED = 4_294_967_295
_KINDS = (("interface", "Tracked interfaces"), ("script", "Tracked scripts"), ("file", "Tracked files"),
          ("process", "Tracked processes"))  # fmt: skip


class ProcessView(msgspec.Struct, frozen=True, kw_only=True):
    """A tracked process at one moment."""

    config: TrackProcess
    count: int
    quorum: bool
    fork_timer: bool
    terminate_timer: bool


def process_entries(processes: Sequence[ProcessView]) -> list[dict[str, Any]]:
    """`track_process` of the JSON dump."""
    return [
        {
            "process": one.config.process,
            "parameters": " ".join(one.config.arguments),
            "param_match": "none" if one.config.match == "any" else one.config.match,
            "min_processes": one.config.quorum,
            "max_processes": _UNLIMITED if one.config.quorum_max is None else one.config.quorum_max,
            "current_processes": one.count,
            "have_quorum": one.quorum,
            "weight": one.config.weight,
            "terminate_delay": number(one.config.terminate_delay_us),
            "fork_delay": number(one.config.fork_delay_us),
            "fork_delay_timer_running": one.fork_timer,
            "terminate_delay_timer_running": one.terminate_timer,
            "full_command": one.config.command_line,
        }
        for one in processes
    ]


def tracks_of(instance: VrrpInstance) -> Iterator[str]:
    """What one instance tracks, within its part of the state dump."""
    for kind, title in _KINDS:
        lines = [track for track in instance.tracks if track.kind == kind and not track.implied]
        if lines:
            yield f"   {title} :"
            comma = "," if kind in {"file", "process"} else ""
            yield from (f"     {track.name}{comma} {_weight(track)}" for track in lines)


def track_sections(config: Config, states: Sequence[TrackedStatus], processes: Sequence[ProcessView]) -> Iterator[str]:
    """The sections of scripts, files and processes."""
    known = {(state.kind, state.name): state for state in states}
    if config.track_scripts:
        yield "------< VRRP Scripts >------"
        for script in config.track_scripts:
            yield from _script(config, script, known.get(("script", script.name)))
    if config.track_files:
        yield "------< VRRP Track files >------"
        for file in config.track_files:
            yield from _file(config, file, known.get(("file", file.name)))
    if processes:
        yield "------< VRRP Track processes >------"
        for process in processes:
            yield from _process(config, process)


def _script(config: Config, script: TrackScript, state: TrackedStatus | None) -> Iterator[str]:
    value = "unknown" if state is None else state.value
    yield f" VRRP Script = {script.name}"
    yield f"   Command = {script_text(script.script)}"
    yield f"   Interval = {number(script.interval_us)} sec"
    yield f"   Timeout = {number(script.timeout_us)} sec"
    yield f"   Weight = {script.weight}{' reverse' if script.reverse else ''}"
    yield f"   Rise = {script.rise}"
    yield f"   Fall = {script.fall}"
    yield f"   Insecure = {'yes' if value == 'ignored' else 'no'}"
    yield f"   Init state = {'failed' if script.init_fail else 'unknown'}"
    yield f"   Status = {'GOOD' if value == 'good' else 'BAD' if value == 'bad' else 'INIT'}"
    if script.script.user is not None:
        yield f"   Script user = {':'.join(filter(None, (script.script.user, script.script.group)))}"
    yield from _users(config, "script", script.name)
    yield f"   State = {'idle' if state is None or state.running_us is None else 'running'}"


def _file(config: Config, file: TrackFile, state: TrackedStatus | None) -> Iterator[str]:
    yield f" Track file = {file.name}"
    yield f"   File = {file.path}"
    yield f"   Status = {state.value if state is not None and isinstance(state.value, int) else 0}"
    yield f"   Weight = {file.weight}{' reverse' if file.reverse else ''}"
    yield from _users(config, "file", file.name)


def _process(config: Config, process: ProcessView) -> Iterator[str]:
    made = process.config
    yield f" VRRP Track process = {made.name}"
    yield f"   Process = {made.process}"
    if made.arguments:
        yield f"   Parameters = {' '.join(made.arguments)}"
    if made.match != "any":
        yield "   Param match" + ("" if made.match == "exact" else f" = {made.match}")
    yield f"   Min processes = {made.quorum}"
    if made.quorum_max is not None:
        yield f"   Max processes = {made.quorum_max}"
    yield f"   Current processes = {process.count}"
    yield f"   Have quorum = {'true' if process.quorum else 'false'}"
    yield f"   Weight = {made.weight}{' reverse' if made.reverse else ''}"
    yield f"   Terminate delay = {made.terminate_delay_us / 1_000_000:.6f}s"
    yield f"   Fork delay = {made.fork_delay_us / 1_000_000:.6f}s"
    yield f"   Fork delay timer {'' if process.fork_timer else 'not '}running"
    yield f"   Terminate delay timer {'' if process.terminate_timer else 'not '}running"
    yield f"   Full command = {'true' if made.command_line else 'false'}"
    yield from _users(config, "process", made.name)


def _users(config: Config, kind: str, name: str) -> Iterator[str]:
    yield "   Tracking instances :"
    for instance in config.instances:
        yield from (
            f"     {instance.name}, {_weight(track)}"
            for track in instance.tracks
            if (track.kind, track.name) == (kind, name)
        )


def _weight(track: Track) -> str:
    return f"weight {track.weight}{' reverse' if track.reverse else ''}"
