"""The kernel's threads that tell another node about connections (checkers-and-ipvs.md 11).

Blocking, on the thread of `kernel.py`.
"""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING

from keepvip import _ipvs_abi as abi
from keepvip.config.model_service import packed
from keepvip.ipvs.kernel import error_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keepvip.config.model_service import SyncDaemon
    from keepvip.ipvs.kernel import Kernel

__all__ = ["BACKUP", "MASTER", "become"]

MASTER, BACKUP = abi.STATE_MASTER, abi.STATE_BACKUP
_NAMES = {MASTER: "master", BACKUP: "backup"}
_END_S = 2.0
"""A thread that was told to end needs a moment."""
_LOOK_S = 0.005


def become(kernel: Kernel, setting: SyncDaemon | None, roles: Iterable[int]) -> str:
    """Have exactly these roles run, with these settings; returns what went wrong, or nothing.

    What runs as wanted already is left alone.
    """
    wanted = {} if setting is None else {role: _daemon(setting, role) for role in roles}
    running = {record[2]: record for record in kernel.daemons()}
    for role, record in running.items():
        want = wanted.get(role)
        if want is not None and _fits(want, record[2:]):
            del wanted[role]
            continue
        kernel.stop_daemon(role, record[4])
        if not _ended(kernel, role):
            return f"the IPVS sync daemon ({_NAMES.get(role, role)}) does not end"
    for role, daemon in wanted.items():
        number = kernel.start_daemon(daemon)
        if number:
            return f"the IPVS sync daemon ({_NAMES[role]}) cannot start on {daemon[1]}: {_reason(number)}"
    return ""


def _daemon(setting: SyncDaemon, role: int) -> abi.Daemon:
    group = packed(setting.group) if setting.group else b""
    return (role, setting.interface, setting.sync_id, setting.max_len, group, setting.port, setting.ttl)


def _fits(wanted: abi.Daemon, running: abi.Daemon) -> bool:
    """What is not given is whatever the kernel chose."""
    return all(
        want == have or (not want and at > 2) for at, (want, have) in enumerate(zip(wanted, running, strict=True))
    )


def _ended(kernel: Kernel, role: int) -> bool:
    deadline_s = time.monotonic() + _END_S
    while any(record[2] == role for record in kernel.daemons()):
        if time.monotonic() > deadline_s:
            return False
        time.sleep(_LOOK_S)
    return True


def _reason(number: int) -> str:
    if number == errno.ENODEV:
        return "there is no such interface"
    if number == errno.EINVAL:
        return "the kernel does not synchronise while a server has another address family than its service"
    return error_text(number)
