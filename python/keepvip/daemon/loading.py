"""Reads the configuration and decides whether one may start, or be taken over, with what was found.

`keepvip run` refuses every ERROR. The drop-in goes on with what could be used, as keepalived does, except
where keepalived itself would not start (config-language.md 7, vrrp-behaviour.md 17).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from keepvip.config.diagnostic import ConfigTestClass, Diagnostic, Diagnostics, Severity, config_test_exit_code
from keepvip.config.facts import HostFacts
from keepvip.config.load import load
from keepvip.config.model_service import Balancing
from keepvip.daemon.settings import ExitStatus, Settings

if TYPE_CHECKING:
    from keepvip.config.model import Config

__all__ = ["Loaded", "Read", "blockers", "read", "start_status"]


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """One reading of the files."""

    config: Config | None
    """None when nothing usable came out."""
    diagnostics: Diagnostics
    at_ns: int
    """When, wall-clock."""
    text: str = ""
    """Everything as one file, where a copy is to be kept (`config_save_dir`)."""


def read(settings: Settings) -> Loaded:
    """Reads and compiles the files, with the facts of this host as they are now. Never raises for their content."""
    at_ns = time.time_ns()
    result = load(
        settings.config_path,
        config_id=settings.config_id,
        facts=HostFacts(),
        strict_includes=settings.strict_includes,
    )
    text = ""
    if result.built.config.global_defs.process.config_save_dir is not None:
        from keepvip.config.consolidated import consolidated  # noqa: PLC0415  (rare)

        text = consolidated(settings.config_path, result.built.nodes)
    return Loaded(config=_only(result.config, settings.parts), diagnostics=result.diagnostics, at_ns=at_ns, text=text)


def _only(config: Config | None, parts: frozenset[str]) -> Config | None:
    """What -P and -C leave of a configuration."""
    if config is None:
        return None
    if "vrrp" not in parts:
        config = msgspec.structs.replace(config, instances=(), sync_groups=(), track_scripts=(), track_processes=())
        sync = config.balancing.sync_daemon
        if sync is not None and sync.instance is not None:  # there is no such instance to follow
            balancing = msgspec.structs.replace(config.balancing, sync_daemon=None)
            config = msgspec.structs.replace(config, balancing=balancing)
    if "services" not in parts:
        balancing = Balancing(sync_daemon=config.balancing.sync_daemon)
        if balancing.sync_daemon is not None and balancing.sync_daemon.instance is None:
            balancing = Balancing()  # that is the business of the checker process
        config = msgspec.structs.replace(config, virtual_servers=(), balancing=balancing)
    return config


def start_status(loaded: Loaded, *, refuse_errors: bool) -> int:
    """The exit status with which a start must be refused; 0 = go on."""
    diagnostics = loaded.diagnostics
    if refuse_errors:
        return ExitStatus.CONFIG if diagnostics.errors or loaded.config is None else _check_status(loaded)
    if diagnostics.stops_start:
        return ExitStatus.UNREADABLE
    if loaded.config is None or ConfigTestClass.ABORT in diagnostics.classes:
        return ExitStatus.CONFIG
    return _check_status(loaded)


def _check_status(loaded: Loaded) -> int:
    """With `reload_check_config` keepalived's processes end at the start for any finding."""
    wanted = loaded.config is not None and loaded.config.global_defs.process.reload_check_config
    return ExitStatus.CONFIG if wanted and config_test_exit_code(loaded.diagnostics) else ExitStatus.OK


def blockers(loaded: Loaded, running: Loaded, *, refuse_errors: bool) -> list[Diagnostic]:
    """The findings that forbid a reload.

    Where errors refuse a start they all refuse a reload. The drop-in started in spite of some: those may stay, but
    an error that the running configuration does not have is a slip of the edit, and nothing is changed.
    """
    errors = [found for found in loaded.diagnostics if found.severity is Severity.ERROR]
    if refuse_errors or start_status(loaded, refuse_errors=False) != ExitStatus.OK:
        return errors
    known = {(found.code, found.message) for found in running.diagnostics}
    return [found for found in errors if (found.code, found.message) not in known]


Read = Callable[[], Loaded]
"""Reads the files again; runs on a thread of its own, so it must not touch the daemon."""
