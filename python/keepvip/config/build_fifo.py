"""Named pipes for events: path, owner and reader (config-keywords.md 2.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keepvip.config.build_script import build_script, known_group, known_user, split_group
from keepvip.config.diagnostic import Related
from keepvip.config.model import Fifo

if TYPE_CHECKING:
    from keepvip.config.build_script import ScriptDefaults
    from keepvip.config.settings import Context, Settings

__all__ = ["build_fifos", "build_service_fifo"]


def build_fifos(ctx: Context, settings: Settings, scripts: ScriptDefaults) -> tuple[Fifo | None, Fifo | None]:
    """`notify_fifo` and `vrrp_notify_fifo`."""
    common = _fifo(ctx, settings, "notify_fifo", scripts)
    vrrp = _fifo(ctx, settings, "vrrp_notify_fifo", scripts)
    if common is not None and vrrp is not None and common.path == vrrp.path:
        ctx.diagnostics.warning(
            "same-fifo",
            f"`vrrp_notify_fifo` is the same as `notify_fifo`, {common.path}: it is ignored, and no line comes twice",
            settings["vrrp_notify_fifo"].span,
            related=[Related("the other one is here", settings["notify_fifo"].span)],
        )
        vrrp = None
    return common, vrrp


def build_service_fifo(ctx: Context, settings: Settings, scripts: ScriptDefaults) -> Fifo | None:
    """`lvs_notify_fifo`."""
    fifo = _fifo(ctx, settings, "lvs_notify_fifo", scripts)
    if fifo is None:
        return None
    path = {name: settings[name].value[0] for name in ("notify_fifo", "vrrp_notify_fifo") if name in settings}
    if fifo.path == path.get("notify_fifo"):
        ctx.diagnostics.warning(
            "same-fifo",
            f"`lvs_notify_fifo` is the same as `notify_fifo`, {fifo.path}: it is ignored, and no line comes twice",
            settings["lvs_notify_fifo"].span,
            related=[Related("the other one is here", settings["notify_fifo"].span)],
        )
        return None
    if fifo.path == path.get("vrrp_notify_fifo") and fifo.script is not None and "vrrp_notify_fifo_script" in settings:
        ctx.diagnostics.warning(
            "same-fifo",
            f"`lvs_notify_fifo_script` is not started: {fifo.path} has a reader already",
            settings["lvs_notify_fifo_script"].span,
            related=[Related("the other one is here", settings["vrrp_notify_fifo_script"].span)],
        )
        return msgspec.structs.replace(fifo, script=None)
    return fifo


def _fifo(ctx: Context, settings: Settings, name: str, scripts: ScriptDefaults) -> Fifo | None:
    reader = settings.get(f"{name}_script")
    script = build_script(ctx, reader, scripts) if reader is not None else None
    setting = settings.get(name)
    if setting is None:
        if reader is not None:
            ctx.diagnostics.warning(
                "no-fifo",
                f"`{reader.keyword.name}` has nothing to read without `{name}`, and is not started",
                reader.span,
                hint=f"add `{name} /run/{name}`",
            )
        return None
    path, user, group_word = setting.value
    if user is None:
        return Fifo(path=path, user=scripts.user, group=scripts.group, script=script)
    if not known_user(ctx, user, setting.node.arg_span(1)):
        return None
    group = None
    if group_word is not None:
        group, _ = split_group(group_word)
        if group is not None and not known_group(ctx, group, setting.node.arg_span(2)):
            return None
    return Fifo(path=path, user=user, group=group, script=script)
