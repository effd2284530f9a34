"""All checks of a configuration: made, kept over a reload, suspended, stopped (checkers-and-ipvs.md 3, 10)."""

from __future__ import annotations

import asyncio
import copy
import logging
import resource
from typing import TYPE_CHECKING, Any, cast

import msgspec

from keepvip.check.agenda import Agenda
from keepvip.check.bulk import Bulk, DnsWay, PingWay, TcpWay, UdpWay
from keepvip.check.files import FileRun
from keepvip.check.run import Counters, Run
from keepvip.check.state import make_state
from keepvip.config.model_check import (
    DnsCheck,
    FileCheck,
    HttpCheck,
    MiscCheck,
    PingCheck,
    SmtpCheck,
    SslCheck,
    TcpCheck,
    UdpCheck,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keepvip.check.http import Tls
    from keepvip.check.misc import MiscWay
    from keepvip.check.ping_range import PingRange
    from keepvip.check.way import Way
    from keepvip.config.model import Config, GlobalDefs
    from keepvip.config.model_check import SslClient
    from keepvip.config.model_service import CheckerKey, ServiceKey
    from keepvip.script.runner import Runner, Running
    from keepvip.script.security import Vetted
    from keepvip.service_event import CheckResult, CheckStatus, CheckTask

__all__ = ["Checkers"]

log = logging.getLogger("keepvip.check")

SPARE_DESCRIPTORS = 1024
"""For everything but checks: mails, clients of the API, FIFOs."""
STOP_S = 1.0
"""How long check scripts may take to end at the stop of the daemon; then they are killed (checkers-and-ipvs.md 1)."""


class Checkers:
    """Belongs to the event loop's thread. `report` takes first results and changes, some at a time.

    `file_value` gives the present value of a `track_file`; changes come by `file_changed`.
    """

    def __init__(
        self,
        report: Callable[[Sequence[CheckResult]], None],
        *,
        runner: Runner | None = None,
        file_value: Callable[[str], int | str] | None = None,
    ) -> None:
        self._report = report
        self._given_runner = runner
        self._runner: Runner | None = runner
        self._file_value = file_value or (lambda _: 0)
        self._bulk = Bulk()
        self._agenda = Agenda(self._bulk.flush)
        self._counters = Counters()
        self._runs: dict[Any, Run] = {}
        self._files: dict[CheckerKey, FileRun] = {}
        self._of: dict[CheckerKey, Run] = {}
        self._tls: Tls | None = None
        self._news: list[CheckResult] = []
        self._telling: asyncio.Handle | None = None
        self._vetting: asyncio.Task[None] | None = None
        self._ping_range: PingRange | None = None

    def apply(self, tasks: Sequence[CheckTask], config: Config) -> None:
        """The complete list of checkers, at the start and at each reload. Every one begins with its warm-up."""
        self._halt_all()
        before_of, before_runs = self._of, self._runs
        self._of, self._runs, self._files = {}, {}, {}
        self._tls = None
        for task in tasks:
            if isinstance(task.checker, FileCheck):
                self._files[task.key] = FileRun(task, task.checker)
                continue
            shared = self._shared_key(task)
            before = before_of.get(task.key)
            run = self._runs.get(shared)
            if run is None:
                run = self._runs[shared] = self._make(task, before or before_runs.get(shared), config.ssl)
            run.join(task, before)
            self._of[task.key] = run
        self._allow_descriptors()
        if any(isinstance(run.checker, PingCheck) for run in self._runs.values()):
            self._ping_range_on()
        for run in self._runs.values():
            run.begin()
        for name in {file.checker.track_file for file in self._files.values()}:
            self.file_changed(name, self._file_value(name))
        self._vet(config.global_defs)

    def file_changed(self, name: str, value: int | str) -> None:
        """A tracked file has this number now; a word stands for one that is not known (0)."""
        number = value if isinstance(value, int) else 0
        for file in self._files.values():
            if file.checker.track_file == name:
                news = file.take(number)
                if news is not None:
                    self._take_news(news)

    def suspend(self, service: ServiceKey, suspended: bool) -> None:
        """`ha_suspend`: the checkers of this virtual server look away, or look again when they are next due."""
        for key, run in self._of.items():
            if key[0] == service:
                run.suspend(key, suspended=suspended)

    def status(self, key: CheckerKey) -> CheckStatus | None:
        """How a checker stands; None for one that does not run."""
        found = self._files.get(key) or self._of.get(key)
        return found.status() if found is not None else None

    def counters(self) -> dict[str, int]:
        """What became of all probes so far, and what there is."""
        return {
            **msgspec.structs.asdict(self._counters),
            "checkers": len(self._of) + len(self._files),
            "probed": len(self._runs),
            "under_way": self._bulk.pending,
        }

    async def stop(self) -> None:
        """Ends everything; scripts get SIGTERM, and those that still run 1 s later SIGKILL."""
        scripts = [cast("MiscWay", run.way) for run in self._runs.values() if isinstance(run.checker, MiscCheck)]
        running = [script.running for script in scripts]
        self._halt_all()
        self._agenda.clear()
        self._bulk.close()
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        self._of, self._runs, self._files = {}, {}, {}
        if self._ping_range is not None:
            self._ping_range.restore()
            self._ping_range = None
        await _end_scripts([script for script in running if script is not None])
        if self._runner is not None and self._given_runner is None:
            await self._runner.close()

    # ---- the parts

    def _shared_key(self, task: CheckTask) -> object:
        """Checks that are carried out once: all that are equal. A script may count its runs, so it is never shared."""
        return task.key if isinstance(task.checker, MiscCheck) else task.checker

    def _make(self, task: CheckTask, before: Run | None, ssl: SslClient | None) -> Run:
        checker = task.checker
        if before is None:
            state = make_state(checker, up=task.up, first=task.first)
        else:
            state = copy.copy(before.state)
            state.adopt(checker)
        run = Run(checker, state, self._way(task, ssl), self._agenda, self._take_news, self._counters)
        if before is not None:
            run.inherit(before)
        return run

    def _way(self, task: CheckTask, ssl: SslClient | None) -> Way:
        match checker := task.checker:
            case TcpCheck():
                return TcpWay(self._bulk, checker)
            case UdpCheck():
                return UdpWay(self._bulk, checker)
            case DnsCheck():
                return DnsWay(self._bulk, checker)
            case PingCheck():
                return PingWay(self._bulk, checker)
            case HttpCheck():
                return self._http_way(checker, ssl)
            case SmtpCheck():
                from keepvip.check.smtp import SmtpWay  # noqa: PLC0415  (where it is used)

                return SmtpWay(checker)
            case MiscCheck():
                from keepvip.check.misc import MiscWay  # noqa: PLC0415

                if self._runner is None:
                    from keepvip.script.runner import Runner  # noqa: PLC0415

                    self._runner = Runner()
                return MiscWay(checker, task.weight, self._runner)
            case _:
                raise TypeError(f"nothing is known about {checker.kind}")

    def _http_way(self, checker: HttpCheck, ssl: SslClient | None) -> Way:
        from keepvip.check.http import HttpWay, Tls  # noqa: PLC0415  (ssl, only where it is used)

        if isinstance(checker, SslCheck) and self._tls is None:
            self._tls = Tls(ssl)
        return HttpWay(checker, self._tls if isinstance(checker, SslCheck) else None)

    def _halt_all(self) -> None:
        if self._vetting is not None:
            self._vetting.cancel()
            self._vetting = None
        for run in self._runs.values():
            run.halt()

    # ---- results leave in one piece per turn of the loop

    def _take_news(self, news: CheckResult) -> None:
        self._news.append(news)
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._telling = None
        news, self._news = self._news, []
        self._report(news)

    # ---- scripts are looked at before they run (vrrp-behaviour.md 13.3)

    def _vet(self, defs: GlobalDefs) -> None:
        runs = [run for run in self._runs.values() if isinstance(run.checker, MiscCheck)]
        if runs:
            self._vetting = asyncio.get_running_loop().create_task(self._vet_all(runs, defs), name="vet check scripts")

    async def _vet_all(self, runs: list[Run], defs: GlobalDefs) -> None:
        from keepvip.script.host import RealHost  # noqa: PLC0415
        from keepvip.script.offload import off_loop  # noqa: PLC0415
        from keepvip.script.security import vet_script  # noqa: PLC0415

        checks = [(run.checker, run.label) for run in runs if isinstance(run.checker, MiscCheck)]

        def look() -> list[Vetted]:
            host = RealHost()
            return [vet_script(check.script, label, defs, host) for check, label in checks]

        if self._runner is not None:
            self._runner.umask = defs.umask
        told: set[str] = set()
        for run, vetted in zip(runs, await off_loop(look, name="vet check scripts"), strict=True):
            for finding in vetted.findings:
                if finding.message not in told:
                    told.add(finding.message)
                    log.log(logging.ERROR if finding.disabled else logging.WARNING, "%s", finding.message)
            if vetted.command is None:
                run.disable(vetted.findings[-1].message)
            else:
                cast("MiscWay", run.way).ready(vetted.command)

    # ---- the host

    def _allow_descriptors(self) -> None:
        """Each check may hold one descriptor."""
        wanted = len(self._runs) + SPARE_DESCRIPTORS
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            return
        for top in (hard, max(hard, wanted)):
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, top), top))
            except (OSError, ValueError):
                break
            if top >= wanted:
                return
        log.warning("%d checks may want more descriptors than the limit of %d", len(self._runs), hard)

    def _ping_range_on(self) -> None:
        if self._ping_range is None:
            from keepvip.check.ping_range import PingRange  # noqa: PLC0415

            self._ping_range = PingRange()
        self._ping_range.widen()


async def _end_scripts(scripts: list[Running]) -> None:
    """They were sent SIGTERM."""
    from keepvip.script.runner import Ending  # noqa: PLC0415  (only with scripts)

    waits = {asyncio.ensure_future(script.wait()): script for script in scripts}
    if not waits:
        return
    _, late = await asyncio.wait(waits, timeout=STOP_S)
    for wait in late:
        waits[wait].end(Ending.STOPPED, grace_s=0.0)
    if late:
        _, stuck = await asyncio.wait(late, timeout=STOP_S)
        for wait in stuck:
            wait.cancel()
