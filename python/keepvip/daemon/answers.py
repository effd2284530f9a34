"""What the API gets from the running service."""

from __future__ import annotations

import asyncio
import functools
import os
import time
from typing import TYPE_CHECKING

import msgspec

from keepvip import __version__
from keepvip.admin import service_views, views
from keepvip.admin.model import (
    ConfigView,
    DaemonView,
    EngineView,
    Health,
    LogView,
    LoopView,
    PlanAnswer,
    ReloadAnswer,
    ServerAnswer,
    Status,
    WhyAnswer,
)
from keepvip.daemon.findings import as_data
from keepvip.daemon.loading import read
from keepvip.daemon.reload import plural

if TYPE_CHECKING:
    from keepvip.daemon.service import Service
    from keepvip.daemon.services import Statistics
    from keepvip.event import EngineSnapshot

__all__ = ["Answers"]


class Answers:
    """The `Subject` of the API: snapshots and what the service remembers, never the engine's thread."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.feed = service.feed
        self._statistics: Statistics = {}

    async def refresh(self) -> None:
        """The kernel's counters, read beside the event loop."""
        self._statistics = await self._service.services.statistics()

    async def server(
        self, service: str, server: str, action: str, weight: int | None, for_s: int | None
    ) -> ServerAnswer:
        """POST /v1/server"""
        return ServerAnswer(message=await self._service.services.operate(service, server, action, weight, for_s))

    async def reconcile(self) -> ServerAnswer:
        """POST /v1/reconcile"""
        return ServerAnswer(message=await self._service.services.reconcile())

    def status(self) -> Status:
        """GET /v1/status"""
        service = self._service
        snapshot = service.engine.snapshot()
        now_ns = time.time_ns()
        lag = service.lag.report()
        pipe = service.log_pipe
        return Status(
            health=self._health(snapshot, now_ns),
            daemon=DaemonView(
                version=__version__,
                pid=os.getpid(),
                started_ns=service.started_ns,
                now_ns=now_ns,
                router_id=service.config.global_defs.router_id,
            ),
            config=self._config(),
            engine=EngineView(
                alive=service.engine.alive(),
                late_histogram=snapshot.late_histogram,
                rx_overruns=snapshot.rx_overruns,
                netlink_resyncs=snapshot.netlink_resyncs,
                wakeups=snapshot.wakeups,
                realtime=snapshot.realtime,
                memory_locked=snapshot.memory_locked,
                receive=service.engine.modes[0],
                send=service.engine.modes[1],
                notices=list(service.engine.notices),
            ),
            loop=LoopView(
                lag_last_us=lag.last_us, lag_max_us=lag.max_us, lag_alarms=lag.alarms, lag_histogram=lag.histogram
            ),
            log=LogView(dropped=pipe.dropped if pipe else 0, failed=pipe.failed if pipe else 0),
            notify=service.notify_counters(),
            groups=views.groups(snapshot, service.config),
            instances=views.instances(snapshot, service.config, service.journal),
            tracked=service.trackers.status(),
            services=service_views.view(service.services.balancer, self._statistics),
        )

    def health(self) -> Health:
        """GET /v1/health"""
        return self._health(self._service.engine.snapshot(), time.time_ns())

    def why(self, name: str, limit: int) -> WhyAnswer | None:
        """GET /v1/why"""
        service = self._service
        return views.why(name, service.engine.snapshot(), service.config, service.journal, limit)

    def names(self) -> list[str]:
        """Configured instances and groups first, then removed instances that still have a history."""
        config = self._service.config
        names = [instance.name for instance in config.instances] + [group.name for group in config.sync_groups]
        return list(dict.fromkeys(names + self._service.journal.names()))

    def config(self) -> ConfigView:
        """GET /v1/config"""
        return self._config(with_diagnostics=True)

    async def reload(self) -> ReloadAnswer:
        """POST /v1/reload; a client that leaves does not interrupt it."""
        outcome = await asyncio.shield(self._service.reloader.request())
        diagnostics = outcome.loaded.diagnostics
        return ReloadAnswer(
            ok=outcome.ok,
            message=outcome.message,
            steps=outcome.steps,
            errors=diagnostics.errors,
            warnings=diagnostics.warnings,
            diagnostics=as_data(diagnostics),
            took_ms=round(outcome.took_s * 1000, 1),
        )

    async def plan(self, path: str | None) -> PlanAnswer:
        """GET /v1/plan; compiled on a thread of its own, with the facts of the daemon's network namespace."""
        from keepvip.config.plan import plan  # noqa: PLC0415  (only when somebody asks)

        service = self._service
        settings = service.settings
        if path is not None:
            settings = msgspec.structs.replace(settings, config_path=path)
        loaded, objection = await service.reloader.preview(functools.partial(read, settings))
        steps = plan(service.config, loaded.config) if loaded.config is not None else None
        count = len(steps.lines()) if steps is not None else 0
        if objection is not None:
            message = f"A reload would be refused: {objection}"
        else:
            message = f"A reload would make {plural(count, 'change')}" if count else "A reload would change nothing"
        return PlanAnswer(
            ok=objection is None,
            message=message,
            path=settings.config_path,
            steps=tuple(steps.lines()) if steps is not None else (),
            plan=msgspec.to_builtins(steps) if steps is not None else None,
            errors=loaded.diagnostics.errors,
            warnings=loaded.diagnostics.warnings,
            diagnostics=as_data(loaded.diagnostics),
        )

    def _health(self, snapshot: EngineSnapshot, now_ns: int) -> Health:
        problems = views.problems(snapshot, now_ns)
        problems += service_views.problems(self._service.services.balancer)
        if not self._service.engine.alive():
            problems.insert(0, "the engine does not answer")
        if self._service.reloader.stale:
            errors = plural(self._service.reloader.last.diagnostics.errors, "error")
            problems.append(f"the last reload was refused ({errors}): what runs is not what the files say")
        return Health(ok=not problems, problems=tuple(problems))

    def _config(self, *, with_diagnostics: bool = False) -> ConfigView:
        reloader = self._service.reloader
        last = reloader.last
        return ConfigView(
            path=self._service.settings.config_path,
            files=reloader.config.files,
            stale=reloader.stale,
            loaded_ns=reloader.running.at_ns,
            tried_ns=last.at_ns,
            errors=last.diagnostics.errors,
            warnings=last.diagnostics.warnings,
            diagnostics=as_data(last.diagnostics) if with_diagnostics else None,
        )
