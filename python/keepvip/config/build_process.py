"""`global_defs`: the process, its names, and what a reload leaves on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepvip.config.diagnostic import ConfigTestClass
from keepvip.config.model_process import ProcessSettings

if TYPE_CHECKING:
    from keepvip.config.settings import Context, Settings

__all__ = ["build_process_settings"]

NAME_MAX = 15
VRRP_NAME = "keepalived_vrrp"


def build_process_settings(ctx: Context, settings: Settings) -> ProcessSettings:
    """`settings`: all of `global_defs`."""
    names = "process_names" in settings
    check = settings.get("reload_check_config")
    marker = settings.get("reload_file")
    return ProcessSettings(
        process_name=_name(ctx, settings, "process_name"),
        vrrp_process_name=_name(ctx, settings, "vrrp_process_name") or (VRRP_NAME if names else None),
        reload_check_config=check is not None,
        reload_check_log=None if check is None else check.value,
        reload_time_file=settings.value("reload_time_file", None),
        reload_repeat="reload_repeat" in settings,
        reload_file=None if marker is None else marker.value or "",
        config_save_dir=settings.value("config_save_dir", None),
        tmp_config_directory=settings.value("tmp_config_directory", None),
    )


def _name(ctx: Context, settings: Settings, keyword: str) -> str | None:
    setting = settings.get(keyword)
    if setting is None:
        return None
    name = str(setting.value)
    short = name.encode()[:NAME_MAX].decode(errors="ignore")
    if short != name:
        ctx.diagnostics.warning(
            "adjusted-value",
            f"`{keyword}`: the kernel knows names of {NAME_MAX} characters at most: `{short}`",
            setting.span,
            kind=ConfigTestClass.GENERAL,
        )
    return short
