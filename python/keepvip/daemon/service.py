"""The running daemon: connects engine, journal, log, notifications, API and signals on one event loop.

Everything here may be late without harm: the engine does not wait for any of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

import msgspec

from keepvip.daemon import findings, netns, reading, signals, watchdog
from keepvip.daemon.eventlog import EventLog
from keepvip.daemon.lag import LagMeter
from keepvip.daemon.names import ProcessNames
from keepvip.daemon.ports import ENGINE_STOP_S
from keepvip.daemon.reading import ConfigCopies
from keepvip.daemon.reload import Outcome, Reloader
from keepvip.daemon.routing import Routing
from keepvip.daemon.schedule import ReloadClock
from keepvip.daemon.services import Services
from keepvip.daemon.settings import ExitStatus, Settings
from keepvip.daemon.statefiles import StateFiles
from keepvip.daemon.sysctl import PromoteSecondaries
from keepvip.daemon.systemd import Systemd
from keepvip.event import EventsLost, Fatal, Notice, Reason, Stopped, Transition
from keepvip.net.own_links import OwnLinks
from keepvip.observe.feed import Feed
from keepvip.observe.journal import Journal
from keepvip.track.trackers import Trackers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from keepvip.config.model import Config
    from keepvip.daemon.loading import Loaded, Read
    from keepvip.daemon.ports import EnginePort, NotifierPort
    from keepvip.event import Event
    from keepvip.observe.log import LogPipe
    from keepvip.service_event import ServiceEvent
    from keepvip.track.first import First

__all__ = ["Service"]

_log = logging.getLogger("keepvip.daemon")

LINKS_SETTLE_S = 1.0
"""After a reload, macvlans that nobody uses any more stay so long: the engine says goodbye on them."""

ROUTING_RELEASE_S = 0.2
"""How long routes and rules may take to go before priority 0 is sent and the addresses follow."""
ROUTING_CLOSE_S = 2.0
NOTIFY_STOP_S = 1.0
"""How long stop notifications may take (vrrp-behaviour.md 13.2)."""


class Service:
    """One daemon from the first event of its engine to the last."""

    def __init__(
        self,
        settings: Settings,
        engine: EnginePort,
        loaded: Loaded,
        *,
        read: Read,
        plan: Callable[[Config, Config], list[str]],
        notifier: Callable[[Config], NotifierPort],
        socket: Path,
        log_pipe: LogPipe | None = None,
        started_ns: int | None = None,
        systemd: Systemd | None = None,
        sysctl: PromoteSecondaries | None = None,
        first: First | None = None,
        own_links: OwnLinks | None = None,
        routing: Routing | None = None,
        pid_file: Path | None = None,
    ) -> None:
        self.settings = settings
        self.engine = engine
        self.log_pipe = log_pipe
        self.socket = socket
        self.started_ns = time.time_ns() if started_ns is None else started_ns
        self.feed = Feed()
        self.journal = Journal()
        self.lag = LagMeter()
        self._systemd = Systemd() if systemd is None else systemd
        self.reloader = Reloader(
            loaded, read=self._read_files, plan=plan, apply=self._apply,
            refuse_errors=settings.refuse_errors, begun=self._systemd.reloading, done=self._reload_done,
        )  # fmt: skip
        self.own_links = OwnLinks() if own_links is None else own_links
        self._read = read
        self._pid_file = socket.with_suffix(".pid") if pid_file is None else pid_file
        self._copies = ConfigCopies()
        self._names = ProcessNames()
        self._make_notifier = notifier
        self._notifier: NotifierPort | None = None
        self.trackers = Trackers(engine.track, self.publish, first=first)
        self._clock = ReloadClock(self.trackers.watcher, self.request_reload)
        self.services = Services(self._notify_service, self.tell, file_value=self.trackers.file_value)
        self._files = StateFiles(
            lambda: self.config,
            engine.snapshot,
            namespace=settings.namespace,
            trackers=self.trackers,
            services=self.services,
        )
        self._sysctl = PromoteSecondaries() if sysctl is None else sysctl
        self._routing = Routing() if routing is None else routing
        self._event_log = EventLog()
        self._event_log.configure(self.config)
        self._began_s = time.monotonic()
        self._stop_asked = asyncio.Event()
        self._engine_stopped = asyncio.Event()
        self._status = ExitStatus.OK

    @property
    def config(self) -> Config:
        """The configuration that runs."""
        return self.reloader.config

    async def run(self) -> int:
        """Runs until a signal, the API or a dying engine ends it; returns the exit status."""
        loop = asyncio.get_running_loop()
        self._began_s = time.monotonic()
        self._notifier = notifier = self._make_notifier(self.config)
        notifier.start()
        self.trackers.configure(self.config)
        self._sysctl.apply(_promoted(self.config))
        self._routing.attach(loop, self.publish)
        loop.add_reader(self.engine.fileno(), self.read_events)
        self.own_links.on_change(self._links_changed)
        self._watch_links(loop)
        self._take_process(self.config)
        self._copies.keep(self._save_folder(self.config), self.reloader.running.text)
        self._install_signals(loop)
        self.services.configure(self.config)
        self._say_ready()
        self.lag.start()
        async with asyncio.TaskGroup() as tasks:
            admin = tasks.create_task(self._serve_admin())
            guard = tasks.create_task(watchdog.watch(self._systemd, self.engine.alive))
            await self._stop_asked.wait()
            await self._stop(loop)
            admin.cancel()
            guard.cancel()
        self._sysctl.restore()
        signals.remove(loop)
        return self._status

    def _install_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        files = self._files
        signals.install(
            loop,
            reload=self.request_reload,
            stop=self.request_stop,
            dumps={
                signals.DATA: files.data,
                signals.STATS: files.stats,
                signals.STATS_CLEAR: files.stats_clear,
                signals.JSON: files.json,
            },
            ignore_sigint=self.settings.ignore_sigint,
        )

    def request_stop(self, cause: str) -> None:
        """Begins the stop; a second request changes nothing."""
        if not self._stop_asked.is_set():
            _log.info("Stopping (%s)", cause)
            self._stop_asked.set()

    def request_reload(self) -> None:
        """Begins a reload (SIGHUP); what comes of it is logged. A daemon that stops does not reload."""
        if not self._stop_asked.is_set():
            self.reloader.request()

    def read_events(self) -> None:
        """Takes everything the engine has to tell and passes it on, in order."""
        events = self.engine.drain()
        if events:
            oldest_s = max(events[0].mono_us / 1_000_000, self._began_s)
            self.lag.record(time.monotonic() - oldest_s)
        for event in events:
            self.publish(event)

    def publish(self, event: Event) -> None:
        """Passes one event to feed, journal, log and notifications. None of them can keep it from the others."""
        if isinstance(event, Stopped | Fatal):
            self._engine_ended(event)
        self._routing.handle(event)
        event = self.feed.publish(self._explained(event))
        for take in (self.journal.record, self._event_log.write, self._notify, self.services.see):
            try:
                take(event)
            except Exception:
                _log.exception("Cannot handle %r", event)

    def _explained(self, event: Event) -> Event:
        """A master that is outranked is told which of its trackers had lowered its priority."""
        if not isinstance(event, Transition) or event.reason != Reason.HIGHER_PRIORITY_ADVERT:
            return event
        lowering = [
            what
            for instance in self.config.instances
            if instance.name == event.instance
            for what in self.trackers.lowering(instance)
        ]
        if not lowering:
            return event
        return msgspec.structs.replace(event, evidence={**event.evidence, "lowered_by": ", ".join(lowering)})

    def _notify(self, event: Event) -> None:
        if isinstance(event, EventsLost):
            self._routing.resync(self.engine.snapshot())
        if self._notifier is None:
            return
        self._notifier.handle(event)
        if isinstance(event, EventsLost):
            self._notifier.resync(self.engine.snapshot())

    def _notify_service(self, event: ServiceEvent) -> None:
        if self._notifier is not None:
            self._notifier.handle_service(event)

    def _engine_ended(self, event: Stopped | Fatal) -> None:
        self._engine_stopped.set()
        if isinstance(event, Fatal) or not self._stop_asked.is_set():
            self._status = ExitStatus.SOFTWARE
            self.request_stop("the engine has ended by itself")

    def notify_counters(self) -> dict[str, int]:
        """What became of scripts and mails so far."""
        return {} if self._notifier is None else msgspec.structs.asdict(self._notifier.counters())

    def tell(self, level: str, text: str) -> None:
        """Publishes a message of the daemon itself."""
        self.publish(Notice(seq=0, at_ns=time.time_ns(), mono_us=time.monotonic_ns() // 1000, level=level, text=text))

    def _read_files(self) -> Loaded:
        """Reads for a reload, on its thread."""
        process = self.config.global_defs.process
        with reading.marked(process, self._pid_file):
            loaded = self._read()
        reading.checked(process, loaded)
        if loaded.config is not None:
            self._copies.keep(self._save_folder(loaded.config), loaded.text)
        return loaded

    @staticmethod
    def _save_folder(config: Config) -> str | None:
        return config.global_defs.process.config_save_dir

    def _save_state(self, when: str) -> None:
        folder = self._save_folder(self.config)
        if folder is not None:
            self._files.data(self._copies.state_path(folder, when))

    def _take_process(self, config: Config) -> None:
        self._names.apply(config.global_defs.process)
        self._clock.configure(config.global_defs.process)

    def _apply(self, config: Config) -> None:
        self._copies.reloads += 1
        self._save_state("pre")
        refused = netns.make_room(len(config.namespaces))
        if refused is not None:
            _log.warning("%s", refused)
        try:
            self.engine.apply(config, self.trackers.new_values(config), self.own_links.prepare(config))
        except (ValueError, RuntimeError):
            self.own_links.prepare(self.config)
            raise
        loop = asyncio.get_running_loop()
        self._watch_links(loop)
        loop.call_later(LINKS_SETTLE_S, self.own_links.settle)
        self.trackers.configure(config)
        self._routing.configure(self.config, config)
        self._event_log.configure(config)
        self._sysctl.apply(_promoted(config))
        if self._notifier is not None:
            self._notifier.reconfigure(config)
        self.services.configure(config)
        self.journal.retain(
            (instance.name for instance in config.instances), (group.name for group in config.sync_groups)
        )

    def _watch_links(self, loop: asyncio.AbstractEventLoop) -> None:
        news = self.own_links.fileno()
        if news is not None:
            loop.add_reader(news, self.own_links.read_news)

    def _links_changed(self) -> None:
        """A link has another name than the engine was told."""
        with contextlib.suppress(RuntimeError):  # it has ended
            self.engine.apply(self.config, None, self.own_links.names)

    def _reload_done(self, outcome: Outcome) -> None:
        findings.log_all(outcome.loaded.diagnostics)
        for step in outcome.steps:
            self.tell("info", step)
        self.tell("info" if outcome.ok else "error", outcome.message)
        if outcome.ok:
            self._save_state("post")
        self._take_process(self.config)
        self._say_ready()

    def _say_ready(self) -> None:
        count = len(self.config.instances)
        text = "1 virtual router" if count == 1 else f"{count} virtual routers"
        self._systemd.ready(text + (", configuration on disk refused" if self.reloader.stale else ""))

    async def _serve_admin(self) -> None:
        """Opens the API, now that adverts are on their way. Without it the daemon still does its job."""
        from keepvip.admin.api import Api  # noqa: PLC0415  (not before the first advert)
        from keepvip.admin.server import AdminServer, SocketInUseError  # noqa: PLC0415
        from keepvip.daemon.answers import Answers  # noqa: PLC0415

        server = AdminServer(str(self.socket), Api(Answers(self)))
        try:
            await server.start()
        except (OSError, SocketInUseError) as error:
            _log.warning("No admin socket, `keepvip status` will not work: %s", error)
            return
        try:
            await asyncio.Event().wait()  # until cancelled
        finally:
            await server.stop()

    async def _stop(self, loop: asyncio.AbstractEventLoop) -> None:
        self._systemd.stopping()
        self.reloader.close()
        if self.settings.release_on_stop:
            await self._routing.release(ROUTING_RELEASE_S)
        self._clock.close()
        with contextlib.suppress(RuntimeError):  # it has just ended by itself: `Fatal` is on its way, or was here
            self.engine.stop(release=self.settings.release_on_stop)
        try:
            async with asyncio.timeout(ENGINE_STOP_S):
                await self._engine_stopped.wait()
        except TimeoutError:
            self._status = ExitStatus.SOFTWARE
            _log.critical("The engine did not end within %.0f s: addresses may be left behind", ENGINE_STOP_S)
        else:
            self.engine.join()
        loop.remove_reader(self.engine.fileno())
        if (news := self.own_links.fileno()) is not None:
            loop.remove_reader(news)
        await asyncio.gather(
            self.trackers.stop(),
            self._routing.close(ROUTING_CLOSE_S),
            self.services.stop(remove=self.settings.release_services_on_stop),
        )
        if self._notifier is not None:  # after the services, whose end may be told
            await self._notifier.stop(NOTIFY_STOP_S)
        self.lag.stop()
        self.feed.close()
        _log.info("Stopped")


def _promoted(config: Config) -> set[str]:
    return {instance.interface for instance in config.instances if instance.promote_secondaries and instance.interface}
