"""The virtual servers of a daemon: pool, checkers, kernel and whoever is told, on one event loop.

CheckResult ──▶ Pool ──▶ events ─────────────────────────┐
                  │                                       ▼ in keepalived's order, when the kernel is done
                  └──▶ changed services ──▶ Worker ──▶ publish
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Protocol

from keepvip.ipvs import sync
from keepvip.ipvs.addresses import HostAddresses
from keepvip.ipvs.pool import Pool
from keepvip.ipvs.table import part_of
from keepvip.ipvs.worker import Order, Report, Worker
from keepvip.script.offload import off_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keepvip.config.model import Config
    from keepvip.config.model_service import Balancing, CheckerKey, ServerKey, ServiceKey
    from keepvip.ipvs.override import Override
    from keepvip.service_event import CheckResult, CheckStatus, CheckTask, ServiceEvent

__all__ = ["RECONCILE_S", "Balancer", "CheckersPort"]

log = logging.getLogger(__name__)

RECONCILE_S = 30.0
"""Between two looks at whether the kernel's table is still ours; also between tries when it cannot be reached."""
STOP_S = 3.0


class CheckersPort(Protocol):
    """What runs the checks."""

    def apply(self, tasks: Sequence[CheckTask], config: Config) -> None:
        """The complete list, at start and after every reload."""

    def suspend(self, service: ServiceKey, suspended: bool) -> None:
        """`ha_suspend`."""

    def status(self, key: CheckerKey) -> CheckStatus | None:
        """How one stands."""

    def counters(self) -> dict[str, int]:
        """What became of all checks so far."""

    async def stop(self) -> None:
        """No more checks."""


class Balancer:
    """All methods belong to the event loop's thread."""

    def __init__(
        self,
        publish: Callable[[ServiceEvent], None],
        *,
        make_checkers: Callable[[Callable[[Sequence[CheckResult]], None]], CheckersPort],
        worker: Worker | None = None,
        reconcile_s: float = RECONCILE_S,
    ) -> None:
        """`publish` gets what is to be told, in order, when the kernel has it."""
        self.pool = Pool()
        self.worker = worker or Worker()
        self._publish = publish
        self._make_checkers = make_checkers
        self._checkers: CheckersPort | None = None
        self._reconcile_s = reconcile_s
        self._balancing: Balancing | None = None
        self._events: list[ServiceEvent] = []
        self._reconcile = False
        self._flush = False
        self._masters: set[str] = set()
        """Virtual routers that are MASTER here."""
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._addresses: HostAddresses | None = None
        self._expiries: dict[tuple[ServiceKey, ServerKey], asyncio.TimerHandle] = {}
        self.errors: tuple[str, ...] = ()
        """What the kernel refuses, at present."""
        self.repairs = 0
        self.requests = 0
        """Messages to the kernel that changed something."""

    # configurations

    def configure(self, config: Config) -> None:
        """Takes over a configuration, the first one or a new one."""
        services, balancing = config.virtual_servers, config.balancing
        first = self._task is None
        if first and not services and balancing.sync_daemon is None:
            return
        loop = asyncio.get_running_loop()
        if first:
            self._flush = balancing.flush_at_start
            self._task = loop.create_task(self._work(), name="ipvs")
            self._tick = loop.call_later(self._reconcile_s, self._tick_over)
        self._balancing = balancing
        self._events += self.pool.configure(services, balancing)
        self._forget_overrides()
        self._watch_addresses()
        tasks = self.pool.tasks()
        if tasks and self._checkers is None:
            self._checkers = self._make_checkers(self.take)
        if self._checkers is not None:
            self._checkers.apply(tasks, config)
        self._stir()

    def take(self, results: Sequence[CheckResult]) -> None:
        """The news of checkers."""
        for result in results:
            self._events += self.pool.result(result)
        if self._events or self.pool.changed:
            self._stir()

    def router(self, name: str, *, master: bool) -> None:
        """A virtual router became MASTER, or is none any more: the sync daemon may follow it."""
        if master:
            self._masters.add(name)
        else:
            self._masters.discard(name)
        daemon = self._balancing.sync_daemon if self._balancing is not None else None
        if daemon is not None and daemon.instance == name:
            self._stir()

    def reconcile(self) -> None:
        """Compares the kernel's table with what it should be, now."""
        self._reconcile = True
        self._stir()

    # operators

    def override(self, service: ServiceKey, server: ServerKey, wish: Override | None) -> None:
        """What an operator says about a real server. Raises KeyError if there is no such server."""
        self._events += self.pool.override(service, server, wish)
        timer = self._expiries.pop((service, server), None)
        if timer is not None:
            timer.cancel()
        if wish is not None and wish.until is not None:
            loop = asyncio.get_running_loop()
            delay_s = max(0.0, wish.until - time.time())
            self._expiries[(service, server)] = loop.call_later(delay_s, self._expire, service, server)
        self._stir()

    def _expire(self, service: ServiceKey, server: ServerKey) -> None:
        self._expiries.pop((service, server), None)
        state = self.pool.services.get(service)
        if state is not None and server in state.servers:
            self._events += self.pool.override(service, server, None)
            self._stir()

    def _forget_overrides(self) -> None:
        """Timers of servers that a reload removed."""
        for service, server in list(self._expiries):
            state = self.pool.services.get(service)
            if state is None or server not in state.servers:
                self._expiries.pop((service, server)).cancel()

    # ha_suspend

    def _watch_addresses(self) -> None:
        wanted = any(state.spec.ha_suspend for state in self.pool.services.values())
        loop = asyncio.get_running_loop()
        if wanted and self._addresses is None:
            self._addresses = HostAddresses()
            loop.add_reader(self._addresses.fileno(), self._read_addresses)
            self._addresses.read()  # the kernel has answered already: it does so while it is asked
        elif not wanted and self._addresses is not None:
            loop.remove_reader(self._addresses.fileno())
            self._addresses.close()
            self._addresses = None
        if self._addresses is not None:
            self._suspend_or_not()

    def _read_addresses(self) -> None:
        if self._addresses is not None:
            self._addresses.read()
            for service, suspended in self._suspend_or_not():
                if self._checkers is not None:
                    self._checkers.suspend(service, suspended)

    def _suspend_or_not(self) -> list[tuple[ServiceKey, bool]]:
        """Services whose checks begin or end to rest."""
        found = []
        for key, state in self.pool.services.items():
            if not state.spec.ha_suspend or self._addresses is None:
                continue
            here = any(address in self._addresses for entry in state.spec.entries for address in entry.addresses())
            if self.pool.suspend(key, suspended=not here):
                log.info("%s: its address is %s, checks %s", state.spec.name, *_WORDS[here])
                found.append((key, not here))
        return found

    # the kernel

    def _stir(self) -> None:
        self._idle.clear()
        self._wake.set()

    def _tick_over(self) -> None:
        self._tick = asyncio.get_running_loop().call_later(self._reconcile_s, self._tick_over)
        self.reconcile()

    async def _work(self) -> None:
        while True:
            if not self._wake.is_set():
                self._idle.set()
            await self._wake.wait()
            self._wake.clear()
            order, events = self._order(), self._events
            self._events = []
            try:
                report = await off_loop(lambda order=order: self.worker.carry_out(order), name="ipvs")  # type: ignore[misc]
                self._tell(report)
            except Exception:  # a mistake of ours must not end the work on the table, nor swallow what is to be told
                log.exception("The IPVS table could not be brought up to date")
                self._reconcile = True
            for event in events:
                self._publish(event)

    def _order(self) -> Order:
        changed, self.pool.changed = self.pool.changed, set()
        order = Order(
            parts={key: part_of(self.pool.services[key]) if key in self.pool.services else None for key in changed},
            reconcile=self._reconcile,
            flush=self._flush,
        )
        if self._balancing is not None:
            order.timeouts = self._balancing.timeouts
            order.sync_daemon = self._balancing.sync_daemon
            order.sync_roles = self._roles()
        self._reconcile = self._flush = False
        return order

    def _roles(self) -> tuple[int, ...]:
        daemon = self._balancing.sync_daemon if self._balancing is not None else None
        if daemon is None:
            return ()
        if daemon.instance is None:
            return (sync.MASTER, sync.BACKUP)
        return (sync.MASTER,) if daemon.instance in self._masters else (sync.BACKUP,)

    def _tell(self, report: Report) -> None:
        self.requests += report.outcome.requests
        if report.adopted:
            log.info("%d services were in the IPVS table already and are taken over", report.adopted)
        for repair in report.outcome.repairs:
            self.repairs += 1
            log.warning("%s by somebody else in the IPVS table: put right", repair)
        for error in report.errors:
            if error not in self.errors:
                log.error("%s; tried again every %.0f s", error, self._reconcile_s)
        if self.errors and not report.errors:
            log.info("The IPVS table is as it should be again")
        self.errors = report.errors

    def find(self, service: str, server: str) -> tuple[ServiceKey, ServerKey]:
        """Who is meant: by the name that is shown, or by ADDRESS:PORT, or ADDRESS alone if that is clear.

        Raises LookupError with a sentence.
        """
        states = {key: state for key, state in self.pool.services.items() if _means(service, state.spec.name)}
        if len(states) != 1:
            known = ", ".join(state.spec.name for state in self.pool.services.values())
            raise LookupError(
                f"{'no' if not states else 'more than one'} virtual server is meant by {service!r}: {known}"
            )
        key, state = next(iter(states.items()))
        found = [at for at, one in state.servers.items() if _means(server, one.spec.name)]
        if len(found) != 1:
            known = ", ".join(one.spec.name for one in state.servers.values())
            raise LookupError(
                f"{'no' if not found else 'more than one'} real server of {state.spec.name} is meant by"
                f" {server!r}: {known}"
            )
        return key, found[0]

    async def settled(self) -> None:
        """Waits until the kernel has everything and everybody was told."""
        if self._task is not None:
            await self._idle.wait()

    def checker(self, key: CheckerKey) -> CheckStatus | None:
        """How a checker stands, if it runs."""
        return self._checkers.status(key) if self._checkers is not None else None

    def check_counters(self) -> dict[str, int]:
        """What became of all checks so far."""
        return self._checkers.counters() if self._checkers is not None else {}

    async def stop(self, *, remove: bool) -> None:
        """Ends the checks, removes the services unless they shall stay, and tells what omega wants told."""
        if self._task is None:
            return
        for timer in (self._tick, *self._expiries.values()):
            if timer is not None:
                timer.cancel()
        if self._addresses is not None:
            asyncio.get_running_loop().remove_reader(self._addresses.fileno())
            self._addresses.close()
        if self._checkers is not None:
            await self._checkers.stop()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        flush = self._balancing.flush_at_stop if self._balancing is not None else ""
        try:
            async with asyncio.timeout(STOP_S):
                complaint = await off_loop(lambda: self.worker.finish(remove=remove, flush=flush), name="ipvs")
        except TimeoutError:
            complaint = f"the kernel did not finish within {STOP_S:.0f} s"
        if complaint:
            log.error("IPVS at the end: %s", complaint)
        for event in (*self._events, *self.pool.stop()):
            self._publish(event)


def _means(text: str, name: str) -> bool:
    """Whether a name such as `[10.0.0.1]:tcp:80` is meant by a text."""
    head, _, rest = name.rpartition("]:")
    host = head.removeprefix("[")
    protocol, _, port = rest.rpartition(":")
    short = {name, f"fwmark {name.removeprefix('FWM ')}" if name.startswith("FWM ") else name}
    if host:
        short |= {host, f"{host}:{port}", f"[{host}]:{port}", f"{host}:{protocol}:{port}"}
    return text in short


_WORDS = {True: ("on this host", "go on"), False: ("not on this host", "rest")}
