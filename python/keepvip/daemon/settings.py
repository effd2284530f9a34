"""How a daemon was asked to run: the outcome of `keepvip run` or of keepalived's options."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT_CONFIG", "DEFAULT_SOCKET", "ExitStatus", "LogSettings", "Settings", "pid_paths", "socket_path"]

DEFAULT_CONFIG = "/etc/keepalived/keepalived.conf"
DEFAULT_SOCKET = "/run/keepvip/keepvip.sock"
RUN = Path("/run")


class ExitStatus:
    """Exit statuses of the daemon (vrrp-behaviour.md 17)."""

    OK = 0
    FATAL = 1
    CONFIG = 2
    NO_PERMISSION = 4
    UNREADABLE = 6
    """The configuration cannot be read, or keepalived would not start with it."""
    SOFTWARE = 70


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where messages go and how many."""

    level: int = logging.INFO
    stderr: bool = False
    syslog: bool = False
    facility: int = 3
    """Syslog facility; 3 = daemon."""
    file: str | None = None
    json: bool = False
    """Lines on stderr and in the file are JSON objects."""
    tag: str = "keepvip"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is not in the configuration file."""

    config_path: str = DEFAULT_CONFIG
    config_id: str | None = None
    """None = the host name up to the first dot."""
    strict_includes: bool = False
    """`-e`: every include is checked as strictly as possible."""
    refuse_errors: bool = True
    """`keepvip run`: any ERROR refuses the start. False: as keepalived, go on with what can be used."""
    foreground: bool = True
    drop_in: bool = False
    """Pid files where keepalived has them."""
    pid_file: str | None = None
    vrrp_pid_file: str | None = None
    socket: str | None = None
    """Admin socket; None = the default place."""
    namespace: str | None = None
    release_on_stop: bool = True
    release_services_on_stop: bool = True
    """Virtual servers are removed from IPVS."""
    parts: frozenset[str] = frozenset({"vrrp", "services"})
    """What is run: -P only VRRP, -C only virtual servers and their checks."""
    ignore_sigint: bool = False
    umask: int | None = None
    core_dump: bool = False
    core_pattern: str | None = None
    dump_config: bool = False
    log: LogSettings = LogSettings()


def socket_path(settings: Settings, instance: str | None, environ: Mapping[str, str] = os.environ) -> Path:
    """The admin socket: as asked, else `KEEPVIP_SOCKET`, else the default, with the name of the daemon's `instance`."""
    asked = settings.socket or environ.get("KEEPVIP_SOCKET")
    if asked:
        return Path(asked)
    default = Path(DEFAULT_SOCKET)
    return default if instance is None else default.with_name(f"{instance}.sock")


def pid_paths(
    settings: Settings, socket: Path, *, instance: str | None, namespace: str | None, use_pid_dir: bool, run: Path = RUN
) -> tuple[Path, ...]:
    """The pid files, the lock first (vrrp-behaviour.md 17).

    `keepvip run` has one, next to its socket. The drop-in has those of keepalived's parent and VRRP process (both
    name our one process). In a namespace keepalived hides them behind a private mount of
    RUN/keepalived; seen from the host that is a folder per namespace, which we use directly.
    """
    if not settings.drop_in:
        return (Path(settings.pid_file) if settings.pid_file else socket.with_suffix(".pid"),)
    suffix = f"_{instance}" if instance else ""
    folder = run
    if namespace:
        folder = run / "keepalived" / namespace
    elif instance or use_pid_dir:
        folder = run / "keepalived"
    return (
        Path(settings.pid_file) if settings.pid_file else folder / f"keepalived{suffix}.pid",
        Path(settings.vrrp_pid_file) if settings.vrrp_pid_file else folder / f"vrrp{suffix}.pid",
    )
