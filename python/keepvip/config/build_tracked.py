"""Definitions of files and processes that can be tracked (config-keywords.md 9, 10)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from keepvip.config import values
from keepvip.config.diagnostic import ConfigTestClass, Related
from keepvip.config.keyword import Arg
from keepvip.config.keywords.tracked import VRRP_TRACK_PROCESS, track_file_block
from keepvip.config.model_track import TrackFile, TrackProcess
from keepvip.config.settings import read_block

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keepvip.config.keyword import Block
    from keepvip.config.model_track import ParamMatch
    from keepvip.config.settings import Context, Setting, Settings
    from keepvip.config.source import Span

__all__ = ["build_file", "build_process", "read_weight"]

TRACK_FILE: Block = track_file_block("track_file")
COMM_MAX = 15
_INT32 = Arg("int", "VALUE", low=-(2**31), high=2**31 - 1, strict=True)


def read_weight(settings: Settings, default: int = 0) -> tuple[int, bool]:
    """Weight and reverse of a definition."""
    if "weight" not in settings:
        return default, False
    weight, reverse = settings["weight"].value
    return weight, reverse == "reverse"


def build_file(ctx: Context, block: Setting) -> TrackFile | None:
    """None, with a diagnostic, if it can never be tracked."""
    settings = read_block(ctx, block.node.children or (), TRACK_FILE)
    name = str(block.value)
    file = settings.get("file")
    if file is None:
        ctx.diagnostics.error(
            "missing-keyword", f"track_file `{name}` has no `file` and is dropped", block.node.statement_span
        )
        return None
    path = str(file.value)
    if not _watchable(ctx, name, path, file.node.arg_span(0)):
        return None
    weight, reverse = read_weight(settings, 1)
    init_value, overwrite = _init_file(ctx, settings, name, path)
    return TrackFile(
        name=name, path=path, weight=weight, reverse=reverse, init_value=init_value, init_overwrite=overwrite
    )


def _watchable(ctx: Context, name: str, path: str, place: Span) -> bool:
    """Whether changes of the file can be heard of. A folder that is still missing is waited for."""
    if not path.startswith("/"):
        ctx.diagnostics.warning(
            "relative-path",
            f"track_file `{name}`: `{path}` depends on the folder that the daemon was started in",
            place,
            hint="write the whole path",
            kind=ConfigTestClass.NONE,
        )
    if ctx.facts is None:
        return True
    folder = os.path.dirname(os.path.abspath(path))  # noqa: PTH100, PTH120  (resolve would follow links)
    kind = ctx.facts.unwatched_file_system(folder)
    if kind is not None:
        ctx.diagnostics.error(
            "cannot-watch",
            f"track_file `{name}`: `{folder}` is on a file system ({kind}) that does not report changes; it is dropped",
            place,
            hint="use a file on a local disk or in /run",
        )
        return False
    if isinstance(ctx.facts.stat(folder), OSError):
        ctx.diagnostics.warning(
            "missing-directory",
            f"track_file `{name}`: there is no folder `{folder}`: it counts as if it were not tracked until there is",
            place,
            kind=ConfigTestClass.GENERAL,
        )
    return True


def _init_file(ctx: Context, settings: Settings, name: str, path: str) -> tuple[int | None, bool]:
    setting = settings.get("init_file")
    if setting is None:
        return None, False
    number, overwrite = 0, False
    for index, word in enumerate(setting.value or ()):
        if word == "overwrite":
            overwrite = True
            continue
        value = values.read(_INT32, word)
        if isinstance(value, int):
            number = value
            continue
        ctx.diagnostics.error(
            "invalid-value",
            f"`init_file` of `{name}`: `{word}` is neither a number of 32 bits nor `overwrite`: it is ignored",
            setting.node.arg_span(index),
            expected="[VALUE] [overwrite]",
        )
    if ctx.facts is not None:
        there = ctx.facts.stat(path)
        if not isinstance(there, OSError) and (there.st_mode & 0o170000) != 0o100000:
            ctx.diagnostics.error(
                "not-a-file", f"track_file `{name}`: `{path}` is not a regular file and is not written", setting.span
            )
            return None, False
    return number, overwrite


def build_process(ctx: Context, block: Setting) -> TrackProcess | None:
    """None, with a diagnostic, if it can never be tracked."""
    settings = read_block(ctx, block.node.children or (), VRRP_TRACK_PROCESS)
    name = str(block.value)
    process = settings.get("process")
    if process is None:
        ctx.diagnostics.error(
            "missing-keyword",
            f"vrrp_track_process `{name}` has no `process` and is dropped",
            block.node.statement_span,
        )
        return None
    path, arguments = process.value
    arguments = tuple(arguments or ())
    match: ParamMatch = "exact" if arguments else "any"
    if "param_match" in settings:
        match = settings["param_match"].value or "exact"
    command_line = "full_command" in settings or match != "any"
    if not command_line and len(path.encode()) > COMM_MAX:
        ctx.diagnostics.warning(
            "long-process-name",
            f"vrrp_track_process `{name}`: the kernel knows the first {COMM_MAX} characters of a process's name only,"
            f" so this is `{path.encode()[:COMM_MAX].decode(errors='ignore')}`",
            process.node.arg_span(0),
            hint="with full_command the whole command is compared",
            kind=ConfigTestClass.NONE,
        )
    order = {id(node): place for place, node in enumerate(block.node.children or ())}
    quorum, most = _quorum(ctx, settings, name, order)
    weight, reverse = read_weight(settings)
    return TrackProcess(
        name=name,
        process=path,
        arguments=arguments,
        match=match,
        command_line=command_line,
        quorum=quorum,
        quorum_max=most,
        fork_delay_us=_delay(settings, "fork_delay", order),
        terminate_delay_us=_delay(settings, "terminate_delay", order),
        weight=weight,
        reverse=reverse,
    )


def _delay(settings: Settings, name: str, order: Mapping[int, int]) -> int:
    """`delay` sets both delays; of the two words for one delay the later one counts."""
    own, both = settings.get(name), settings.get("delay")
    if own is None or (both is not None and order[id(both.node)] > order[id(own.node)]):
        return settings.value("delay", 0)
    return int(own.value)


def _quorum(ctx: Context, settings: Settings, name: str, order: Mapping[int, int]) -> tuple[int, int | None]:
    """Smallest and largest number of processes; of two that contradict each other the earlier one counts."""
    low, high = settings.get("quorum"), settings.get("quorum_max")
    if low is None or high is None:
        most = None if high is None else int(high.value)
        return (1 if low is None else int(low.value)) if most != 0 else 0, most
    if low.value <= high.value:
        return low.value, high.value
    ignored, kept = (high, low) if order[id(high.node)] > order[id(low.node)] else (low, high)
    ctx.diagnostics.error(
        "empty-range",
        f"vrrp_track_process `{name}`: no number is at least {low.value} and at most {high.value}:"
        f" `{ignored.keyword.name}` is ignored",
        ignored.span,
        hint="quorum_max 0 alone means that it must not run",
        related=[Related(f"{kept.keyword.name} is here", kept.span)],
    )
    return (low.value, None) if kept is low else (min(1, high.value), high.value)
