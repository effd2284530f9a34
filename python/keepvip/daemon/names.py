"""Names of the process and of the engine's thread (`process_name`, `vrrp_process_name`, `process_names`)."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keepvip.config.model_process import ProcessSettings

__all__ = ["ProcessNames"]

log = logging.getLogger("keepvip.daemon")

ENGINE = "keepvip-engine"


class ProcessNames:
    """Remembers the original names: a reload may take the settings away again."""

    def __init__(self) -> None:
        self._process = ""
        self._engine = ""
        """Number of the engine's thread; empty: not renamed so far."""

    def apply(self, process: ProcessSettings) -> None:
        """Names process and thread as the configuration says."""
        own = f"/proc/self/task/{os.getpid()}/comm"
        if process.process_name is not None or self._process:
            self._process = self._process or _read(own)
            _rename(own, process.process_name or self._process)
        if process.vrrp_process_name is not None or self._engine:
            self._engine = self._engine or _engine_thread()
            if self._engine:
                _rename(self._engine, process.vrrp_process_name or ENGINE)


def _engine_thread() -> str:
    for task in Path("/proc/self/task").iterdir():
        if _read(f"{task}/comm") == ENGINE:
            return f"{task}/comm"
    return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").rstrip("\n")
    except OSError:
        return ""


def _rename(path: str, name: str) -> None:
    try:
        Path(path).write_text(name, encoding="utf-8")
    except OSError as error:
        log.warning("Cannot be named %s: %s", name, error.strerror)
