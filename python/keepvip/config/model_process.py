"""What `global_defs` says about the process and its reloads (config-keywords.md 2.1, 2.6, 2.7)."""

from __future__ import annotations

import msgspec

__all__ = ["ProcessSettings"]


class ProcessSettings(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Nothing of it touches an instance."""

    process_name: str | None = None
    """Name of the process in `ps`; None = the program's."""
    vrrp_process_name: str | None = None
    """Name of the engine's thread; None = its own."""
    reload_check_config: bool = False
    """A start and a reload are refused for whatever `--config-test` finds."""
    reload_check_log: str | None = None
    """Where its findings are written on a reload."""
    reload_time_file: str | None = None
    """File that says when to reload."""
    reload_repeat: bool = False
    """It stays, and a time without a date means every day."""
    reload_file: str | None = None
    """Marker that exists while a reload reads the files; empty = the pid file's name with `.reload`."""
    config_save_dir: str | None = None
    """Where copies of what was read, and the state around reloads, are kept."""
    tmp_config_directory: str | None = None
    """Without effect, but it may not change."""
