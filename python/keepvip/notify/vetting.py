"""Vets the scripts of a configuration in a thread, while events already come in."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from keepvip.notify.security import SECURITY_VIOLATION, Report, vet_config
from keepvip.script.offload import off_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepvip.config.model import Config, Script
    from keepvip.script.command import Command
    from keepvip.script.host import ScriptHost

__all__ = ["Vetting"]

log = logging.getLogger(__name__)


class Vetting:
    """The commands of one configuration, as soon as they are known."""

    def __init__(self, config: Config, make_host: Callable[[], ScriptHost], *, said: set[str]) -> None:
        """`said`: codes of what is said only once per process; it is added to."""
        self._config = config
        self._make_host = make_host
        self._said = said
        self._task: asyncio.Task[Report] | None = None

    def start(self) -> asyncio.Task[Report]:
        """Begins, if it has not begun yet."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._vet(), name="vet scripts")
        return self._task

    async def command(self, script: Script) -> Command | None:
        """Waits until the script was vetted; None: it must not run."""
        report = await asyncio.shield(self.start())
        return report.commands.get(script)

    def cancel(self) -> None:
        """The daemon stops; nobody waits for the rest."""
        if self._task is not None:
            self._task.cancel()

    async def _vet(self) -> Report:
        try:
            report = await off_loop(lambda: vet_config(self._config, self._make_host()), name="vet scripts")
        except Exception:
            log.exception("The scripts of the configuration could not be looked at, so none of them is run")
            return Report(commands={}, findings=())
        for finding in report.findings:
            if finding.code == SECURITY_VIOLATION:
                if finding.code in self._said:
                    continue
                self._said.add(finding.code)
            log.log(logging.ERROR if finding.disabled else logging.WARNING, "%s", finding.message)
        return report
