"""What a reading of the configuration leaves on disk: a marker while it lasts, the findings of the check, copies
(`reload_file`, `reload_check_config`, `config_save_dir`; config-keywords.md 2.7).

None of it may keep a reload from happening: what cannot be written is said and left.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from keepvip.config.render import render
from keepvip.daemon.statefiles import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keepvip.config.model_process import ProcessSettings
    from keepvip.daemon.loading import Loaded

__all__ = ["ConfigCopies", "checked", "marked"]

log = logging.getLogger("keepvip.daemon")


@contextlib.contextmanager
def marked(process: ProcessSettings, pid_file: Path) -> Iterator[None]:
    """The marker exists inside; one that existed before is emptied, and gone afterwards in any case."""
    if process.reload_file is None:
        yield
        return
    path = process.reload_file or str(pid_file.with_suffix(".reload"))
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644))
    except OSError as error:
        log.error("reload_file %s cannot be made: %s", path, error.strerror)
    try:
        yield
    finally:
        try:
            Path(path).unlink(missing_ok=True)
        except OSError as error:
            log.error("reload_file %s cannot be removed: %s", path, error.strerror)


def checked(process: ProcessSettings, loaded: Loaded) -> None:
    """Writes what `--config-test` would say of the files."""
    if not process.reload_check_config or process.reload_check_log is None:
        return
    try:
        Path(process.reload_check_log).write_text(render(loaded.diagnostics), encoding="utf-8")
    except OSError as error:
        log.error("reload_check_config: %s cannot be written: %s", process.reload_check_log, error.strerror)


class ConfigCopies:
    """`config_save_dir`: `keepalived.conf.PID.N` for every reading, `keepalived_vrrp.PID.N.pre` and `.post` around
    every reload."""

    def __init__(self) -> None:
        self.readings = 0
        self.reloads = 0

    def keep(self, folder: str | None, text: str) -> None:
        """What was read, as one file."""
        if folder is not None:
            self._write(folder, f"keepalived.conf.{os.getpid()}.{self.readings}", text)
        self.readings += 1

    def state_path(self, folder: str, when: str) -> str:
        """Where the state goes, `when`: "pre" or "post" a reload."""
        return os.path.join(folder, f"keepalived_vrrp.{os.getpid()}.{self.reloads}.{when}")  # noqa: PTH118

    def _write(self, folder: str, name: str, text: str) -> None:
        try:
            with contextlib.suppress(FileExistsError):
                Path(folder).mkdir(mode=0o700)
            write_whole(os.path.join(folder, name), text)  # noqa: PTH118
        except OSError as error:
            log.error("config_save_dir %s: %s cannot be written: %s", folder, name, error.strerror)
