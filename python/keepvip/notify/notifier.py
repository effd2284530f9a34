"""Turns events into scripts, lines in FIFOs and mails: who is told what, when (vrrp-behaviour.md 13.1, 13.2, 15).

Everything is queued at once and done later; `handle` never waits. To a reload instances are known by their key, not by
their name: one that was only renamed keeps its queue and its history (vrrp-behaviour.md 16).
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING

import msgspec

from keepvip import event
from keepvip.event import Reason, State
from keepvip.notify.clash import Clashes
from keepvip.notify.counters import NotifyCounters
from keepvip.notify.fifo import RX_LOWER, priority_state
from keepvip.notify.fifos import Fifos
from keepvip.notify.gate import Gate
from keepvip.notify.owner import Owner
from keepvip.notify.queue import PATIENCE_S, ScriptQueue
from keepvip.notify.smtp import RETRY_S, Mailer
from keepvip.notify.vetting import Vetting
from keepvip.script.host import RealHost
from keepvip.script.runner import Runner
from keepvip.service_event import QuorumChange, ServerChange

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepvip.config.model import Config
    from keepvip.event import EngineSnapshot, Event
    from keepvip.notify.security import Report
    from keepvip.notify.services import ServiceVoice
    from keepvip.script.host import ScriptHost
    from keepvip.service_event import ServiceEvent

__all__ = ["Notifier"]

log = logging.getLogger(__name__)


class Notifier:
    """Scripts, FIFOs and mail. All methods belong to the event loop's thread.

    On a reload call `reconfigure` next to `Engine.apply`, in either order but with no event handled in between.
    """

    def __init__(
        self,
        config: Config,
        *,
        daemon_uid: int | None = None,
        make_host: Callable[[], ScriptHost] | None = None,
        patience_s: float = PATIENCE_S,
        mail_retry_s: float = RETRY_S,
    ) -> None:
        """`daemon_uid`: who the scripts' rules take the daemon to be; None = who it is."""
        self._counters = NotifyCounters()
        self._patience_s = patience_s
        self._make_host: Callable[[], ScriptHost] = make_host or (lambda: RealHost(daemon_uid))
        self._runner = Runner()
        self._gate = Gate()
        self._clashes = Clashes()
        self._fifos = Fifos(self._runner, self._counters)
        self._mailer = Mailer(config.global_defs, self._counters, retry_s=mail_retry_s)
        self._services: ServiceVoice | None = None
        self._host = os.uname().nodename
        self._said: set[str] = set()
        self._instances: dict[str, Owner] = {}
        self._groups: dict[str, Owner] = {}
        self._departed: dict[str, Owner] = {}
        """Instances that a reload removed and the engine has not reported as deleted yet."""
        self._leaving: list[ScriptQueue] = []
        """Queues of what is removed, until they are empty."""
        self._stopping = False
        self._preparing: asyncio.Task[None] | None = None
        self._vetting = self._vetting_before = Vetting(config, self._make_host, said=self._said)
        """Of this configuration, and of the one before: what a reload removes is told with the scripts that it had."""
        self._config = config
        self._take(config)

    def start(self) -> None:
        """Looks at the scripts now and not at the first event, so that what is wrong with them is said early.

        If any may run, the process that starts them is made ready, too: the first one shall not wait for it.
        """
        self._vetting.start().add_done_callback(self._make_ready)
        self._fifos.reconfigure(self._config, self._vetting, self._make_host)

    def counters(self) -> NotifyCounters:
        """What was done so far; a copy."""
        return msgspec.structs.replace(self._counters)

    @property
    def idle(self) -> bool:
        """Nothing runs, nothing waits, no mail is on its way."""
        return self._mailer.idle and all(queue.idle for queue in self._queues())

    def reconfigure(self, config: Config) -> None:
        """Takes over a configuration. Scripts that are queued already are run as they were configured then."""
        self._take(config)
        self._mailer.reconfigure(config.global_defs)
        self.start()
        if config.global_defs.fifo_states_on_reload:
            for owner in (*self._groups.values(), *self._instances.values()):
                if owner.told is not None:
                    self._fifos.write(owner.line(owner.told))

    def handle(self, what: Event) -> None:
        """Queues what an event asks for."""
        match what:
            case event.Transition():
                self._transition(what)
            case event.GroupTransition():
                group = self._groups.get(what.group)
                if group is not None and not self._stopping:
                    self._tell(group, what.new.name, what.at_ns)
            case event.MasterRxLowerPriority():
                owner = self._instances.get(what.instance)
                if owner is not None and not self._stopping:
                    owner.queue.put(owner.rx_lower_batch())
                    self._fifos.write(owner.line(RX_LOWER))
                    self._clashes.heard(owner)
            case event.PriorityChange():
                owner = self._instances.get(what.instance)
                if owner is not None:
                    owner.priority = what.priority
                    told = priority_state(what.state.name)
                    if owner.priority_changes and told is not None and not self._stopping:
                        self._fifos.write(owner.line(told))
            case event.Deleted():
                self._deleted(what)
            case _:
                pass

    def handle_service(self, what: ServiceEvent) -> None:
        """The same for virtual and real servers."""
        if self._services is None:
            from keepvip.notify.services import ServiceVoice  # noqa: PLC0415  (only with virtual servers)

            self._services = ServiceVoice(self._new_queue, self._fifos, self._mailer)
        removed = isinstance(what, ServerChange | QuorumChange) and what.end == "Removing"
        commands = self._vetting_before if removed else self._vetting
        self._services.handle(what, commands, self._config.global_defs.router_id or self._host)

    def resync(self, snapshot: EngineSnapshot) -> None:
        """After `EventsLost`: reports every state that differs from the one reported last."""
        now_ns = time.time_ns()
        states: dict[str, State] = {}
        for status in snapshot.instances:
            states[status.name] = status.state
            owner = self._instances.get(status.name)
            if owner is not None and status.state is not State.INIT and owner.told != status.state.name:
                owner.priority = status.priority
                self._tell(owner, status.state.name, now_ns)
        for group in self._config.sync_groups:
            members = {states[name] for name in group.members if name in states}
            owner = self._groups.get(group.name)
            if owner is None or not members or State.INIT in members:
                continue
            if State.FAULT in members:
                state = State.FAULT
            else:
                state = State.MASTER if members == {State.MASTER} else State.BACKUP
            if owner.told is not None and owner.told != state.name:
                self._tell(owner, state.name, now_ns)

    async def stop(self, timeout_s: float = 1.0) -> None:
        """Reports STOP for everything, gives it `timeout_s`, and ends what is left: scripts killed, mails dropped."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        self._stopping = True
        self._clashes.close()
        now_ns = time.time_ns()
        ends = []
        finals = [*self._instances.values(), *self._groups.values()]
        for owner in finals:
            self._mail(owner, "STOP", now_ns)
            self._fifos.write(owner.line("STOP"))
            ends.append(owner.queue.stop(owner.batch("STOP"), deadline))
        last = {id(owner.queue) for owner in finals}
        ends += [queue.stop(None, deadline) for queue in self._queues() if id(queue) not in last]
        await asyncio.gather(self._mailer.stop(deadline), self._fifos.stop(deadline), *ends)
        self._vetting.cancel()
        await self._runner.close()

    def _make_ready(self, vetting: asyncio.Task[Report]) -> None:
        if not self._stopping and not vetting.cancelled() and any(vetting.result().commands.values()):
            self._preparing = asyncio.get_running_loop().create_task(
                self._runner.prepare(), name="make ready for scripts"
            )

    def _transition(self, what: event.Transition) -> None:
        owner = self._instances.get(what.instance)
        if owner is None:
            log.debug("No instance %s is configured for notification", what.instance)
            return
        owner.priority = what.priority
        if self._stopping or what.new is State.INIT or what.reason in {Reason.SHUTDOWN, Reason.REMOVED}:
            return  # reported as STOP by `stop`, or as what `Deleted` asks for
        self._tell(owner, what.new.name, what.at_ns)

    def _deleted(self, what: event.Deleted) -> None:
        owner = self._departed.pop(what.instance, None) or self._instances.get(what.instance)
        if owner is None or owner.gone or self._stopping:
            return
        owner.gone = True
        if owner.queue not in self._leaving:
            self._leaving.append(owner.queue)
        self._tell(owner, "DELETED" if owner.notify.deleted else "FAULT", what.at_ns)

    def _tell(self, owner: Owner, state: str, at_ns: int) -> None:
        owner.told = state
        self._clashes.over(owner)
        owner.queue.put(owner.batch(state))
        self._fifos.write(owner.line(state))
        self._mail(owner, state, at_ns)

    def _mail(self, owner: Owner, state: str, at_ns: int) -> None:
        if not self._mailer.enabled:
            return
        text = owner.mail(state, self._config.global_defs, self._host)
        if text is not None:
            self._mailer.put(text, at_ns)

    def _queues(self) -> list[ScriptQueue]:
        self._leaving = [queue for queue in self._leaving if not queue.idle]
        owners = [*self._instances.values(), *self._groups.values(), *self._departed.values()]
        of_services = self._services.queues() if self._services is not None else []
        unique = {id(queue): queue for queue in (*self._leaving, *(owner.queue for owner in owners), *of_services)}
        return list(unique.values())

    def _take(self, config: Config) -> None:
        """Matches owners with a configuration: instances by key, groups by name."""
        self._config = config
        self._vetting_before = self._vetting
        self._vetting = vetting = Vetting(config, self._make_host, said=self._said)
        self._runner.umask = config.global_defs.umask
        known = [*self._departed.values(), *self._instances.values()]
        before = {owner.key: owner for owner in known if not owner.gone}
        wanted = {instance.key for instance in config.instances}
        predecessors = {owner.name: owner for owner in known if owner.key not in wanted}
        self._instances, self._departed = {}, {}
        for instance in config.instances:
            owner = before.pop(instance.key, None)
            if owner is not None:
                owner.adopt(instance, vetting)
            else:  # of the same name, but another one: its scripts come after those of the one that goes
                predecessor = predecessors.get(instance.name)
                queue = self._new_queue() if predecessor is None else predecessor.queue
                owner = Owner(instance, queue, vetting)
            self._instances[instance.name] = owner
        for owner in before.values():
            self._departed[owner.name] = owner
        groups = self._groups
        self._groups = {}
        for group in config.sync_groups:
            found = groups.pop(group.name, None)
            if found is None:
                found = Owner(group, self._new_queue(), vetting)
            else:
                found.adopt(group, vetting)
            self._groups[group.name] = found
        self._leaving += [owner.queue for owner in groups.values()]

    def _new_queue(self, name: str = "") -> ScriptQueue:
        return ScriptQueue(name, self._runner, self._gate, self._counters, patience_s=self._patience_s)
