"""Which real servers serve: the state of all virtual servers as a pure machine (checkers-and-ipvs.md 3, 5, 8.4, 10).

Results of checkers, configurations and operators' wishes go in; events come out, in keepalived's order, and `changed`
names the services whose part of the kernel's table may be another one. No clock, no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepvip.config.model_service import CheckerKey, ServerKey, ServiceKey, checker_keys
from keepvip.service_event import CheckMail, CheckTask, QuorumChange, ServerChange, WeightChange

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from keepvip.config.model_check import Checker
    from keepvip.config.model_service import Balancing, RealServer, VirtualServer
    from keepvip.ipvs.override import Override
    from keepvip.service_event import CheckResult, ServiceEvent

__all__ = ["CheckerState", "Pool", "ServerState", "ServiceState"]

SILENT_FIRST_FAILURE = frozenset({"HTTP_GET", "SSL_GET"})
"""Checkers whose first failure under alpha is told to nobody (checkers-and-ipvs.md 3.2)."""
DISABLED = "disabled by an operator"


class CheckerState:
    """What the pool knows of one checker."""

    __slots__ = ("checker", "ran", "reason", "up", "weight_delta")

    def __init__(self, checker: Checker, *, up: bool) -> None:
        self.checker = checker
        self.up = up
        self.ran = False
        self.reason = "" if up else "not checked yet"
        self.weight_delta = 0


class ServerState:
    """One real server."""

    __slots__ = ("alive", "checkers", "override", "spec")

    def __init__(self, spec: RealServer) -> None:
        self.spec = spec
        self.checkers: dict[CheckerKey, CheckerState] = {}
        self.override: Override | None = None
        self.alive = True

    @property
    def healthy(self) -> bool:
        """No checker has failed, and no operator has taken it out."""
        disabled = self.override is not None and self.override.disabled
        return not disabled and all(checker.up for checker in self.checkers.values())

    @property
    def weight(self) -> int:
        """What it would have in the kernel, were it alive; never negative."""
        if self.override is not None and self.override.weight is not None:
            return self.override.weight
        return max(0, self.spec.weight + sum(checker.weight_delta for checker in self.checkers.values()))

    @property
    def why_down(self) -> str:
        """For people; empty while it is alive."""
        if self.override is not None and self.override.disabled:
            return DISABLED
        return "; ".join(f"{state.checker.kind}: {state.reason}" for state in self.checkers.values() if not state.up)


class ServiceState:
    """One virtual server."""

    __slots__ = ("quorum_up", "servers", "spec", "suspended")

    def __init__(self, spec: VirtualServer) -> None:
        self.spec = spec
        self.servers: dict[ServerKey, ServerState] = {}
        self.quorum_up = True
        self.suspended = False

    @property
    def live_weight(self) -> int:
        """Of all servers that are alive."""
        return sum(server.weight for server in self.servers.values() if server.alive)

    @property
    def sorry_active(self) -> bool:
        """The sorry server replaces all others."""
        return not self.quorum_up and self.spec.sorry is not None

    def members(self) -> Iterator[tuple[RealServer, int]]:
        """The real servers that the kernel has, with their weights there; the sorry server comes apart."""
        for server in self.servers.values():
            serving = server.alive and not self.sorry_active
            if serving or server.spec.inhibit_on_failure:
                yield server.spec, server.weight if serving else 0


class Pool:
    """All virtual servers."""

    def __init__(self) -> None:
        self.services: dict[ServiceKey, ServiceState] = {}
        self.changed: set[ServiceKey] = set()
        """Services to look at in the kernel; whoever does so empties it."""
        self._checker_emails = True
        self._init_notifies = False

    # configurations

    def configure(self, services: Sequence[VirtualServer], balancing: Balancing) -> list[ServiceEvent]:
        """Takes over a configuration, the first one or a new one: only what differs changes."""
        self._checker_emails = balancing.checker_emails
        self._init_notifies = balancing.init_notifies
        events: list[ServiceEvent] = []
        before = self.services
        wanted = {service.key for service in services}
        for key, state in before.items():
            if key not in wanted:
                events += self._gone(state)
                self.changed.add(key)
        self.services = {}
        for service in services:
            old = before.get(service.key)
            if old is None:
                events += self._new_service(service)
            else:
                events += self._same_service(old, service)
        return events

    def _new_service(self, spec: VirtualServer) -> list[ServiceEvent]:
        state = self.services[spec.key] = ServiceState(spec)
        self.changed.add(spec.key)
        events: list[ServiceEvent] = []
        for server in spec.real_servers:
            events += self._new_server(state, server)
        state.quorum_up = state.live_weight >= spec.quorum + spec.hysteresis
        if state.quorum_up or spec.sorry is not None:  # as keepalived: a quorum that is there from the start is told
            events.append(QuorumChange(service=spec, up=state.quorum_up, weight=state.live_weight, start=True))
        return events

    def _new_server(self, state: ServiceState, spec: RealServer) -> list[ServiceEvent]:
        server = state.servers[spec.key] = ServerState(spec)
        for key, checker in checker_keys(state.spec, spec):
            server.checkers[key] = CheckerState(checker, up=not checker.alpha)
        server.alive = server.healthy
        if server.alive and self._init_notifies:
            return [ServerChange(service=state.spec, server=spec, up=True, reason="put into service", log=False)]
        return []

    def _same_service(self, state: ServiceState, spec: VirtualServer) -> list[ServiceEvent]:
        events: list[ServiceEvent] = []
        old_spec, state.spec = state.spec, spec
        self.services[spec.key] = state
        before, state.servers = state.servers, {}
        wanted = {server.key for server in spec.real_servers}
        for key, gone in before.items():
            if key not in wanted and gone.alive:
                events.append(ServerChange(service=spec, server=gone.spec, up=False, reason="removed", end="Removing"))
        for server in spec.real_servers:
            old = before.get(server.key)
            if old is None:
                events += self._new_server(state, server)
            else:
                events += self._same_server(state, old, server)
        if old_spec != spec:
            self.changed.add(spec.key)
        if not spec.ha_suspend:
            state.suspended = False
        return events + self._quorum(state)

    def _same_server(self, state: ServiceState, server: ServerState, spec: RealServer) -> list[ServiceEvent]:
        state.servers[spec.key] = server
        old_weight = server.weight
        before, server.checkers = server.checkers, {}
        kept: list[tuple[CheckerKey, Checker]] = []
        for key, checker in checker_keys(state.spec, spec):
            old = before.get(key)
            if old is None:
                kept.append((key, checker))
            else:
                old.checker = checker
            server.checkers[key] = old if old is not None else CheckerState(checker, up=True)
        # A new one says nothing about a healthy server before it has run; a failed server has to pass it, with alpha.
        failed = any(not checker.up for checker in server.checkers.values())
        for key, checker in kept:
            server.checkers[key] = CheckerState(checker, up=not (failed and checker.alpha))
        server.spec = spec
        events: list[ServiceEvent] = []
        if server.weight != old_weight:
            events.append(
                WeightChange(service=state.spec, server=spec, old=old_weight, new=server.weight, reason="configuration")
            )
        if server.alive != server.healthy:
            # Its failing checker was deleted: nothing speaks against it any more.
            server.alive = server.healthy
            events.append(
                ServerChange(service=state.spec, server=spec, up=server.alive, reason="its checks were changed")
            )
        return events

    def _gone(self, state: ServiceState) -> list[ServiceEvent]:
        """A whole virtual server left the configuration."""
        events: list[ServiceEvent] = [
            ServerChange(service=state.spec, server=server.spec, up=False, reason="removed", end="Removing")
            for server in state.servers.values()
            if server.alive
        ]
        if state.quorum_up:
            events.append(QuorumChange(service=state.spec, up=False, weight=0, end="Removing"))
        return events

    # results

    def result(self, found: CheckResult) -> list[ServiceEvent]:
        """Takes the news of one checker; those of a checker that is gone say nothing."""
        service_key, server_key = found.key[:2]
        state = self.services.get(service_key)
        server = state.servers.get(server_key) if state is not None else None
        checker = server.checkers.get(found.key) if server is not None else None
        if state is None or server is None or checker is None:
            return []
        events: list[ServiceEvent] = []
        first, was_up, was_alive = not checker.ran, checker.up, server.alive
        old_weight = server.weight
        checker.ran, checker.reason, checker.up = True, found.reason, found.up
        checker.weight_delta = found.weight_delta
        if server.weight != old_weight:
            self.changed.add(service_key)
            events.append(
                WeightChange(
                    service=state.spec, server=server.spec, old=old_weight, new=server.weight, reason=found.reason
                )
            )
        if was_up != found.up:
            events += self._server_moves(state, server, f"{checker.checker.kind}: {found.reason}")
        elif first and not found.up and checker.checker.kind not in SILENT_FIRST_FAILURE:
            events.append(
                ServerChange(
                    service=state.spec,
                    server=server.spec,
                    up=server.alive,
                    reason=f"{checker.checker.kind}: {found.reason}",
                    log=False,
                )
            )
        events += self._quorum(state)
        if (
            found.mail
            and was_up != found.up
            and server.spec.smtp_alert
            and (self._checker_emails or was_alive != server.alive)
        ):
            events.append(CheckMail(service=state.spec, server=server.spec, up=found.up, body=found.mail))
        return events

    def _server_moves(self, state: ServiceState, server: ServerState, reason: str) -> list[ServiceEvent]:
        """A server is up while no checker has failed."""
        if server.alive == server.healthy:
            return []
        server.alive = server.healthy
        self.changed.add(state.spec.key)
        return [ServerChange(service=state.spec, server=server.spec, up=server.alive, reason=reason)]

    def _quorum(self, state: ServiceState) -> list[ServiceEvent]:
        spec, weight = state.spec, state.live_weight
        if state.quorum_up:
            up = weight > 0 and weight >= spec.quorum - spec.hysteresis
        else:
            up = weight >= spec.quorum + spec.hysteresis
        if up == state.quorum_up:
            return []
        state.quorum_up = up
        self.changed.add(spec.key)
        return [QuorumChange(service=spec, up=up, weight=weight)]

    # operators

    def override(self, service: ServiceKey, server: ServerKey, wish: Override | None) -> list[ServiceEvent]:
        """Takes over what an operator says about a server; None: the configuration and the checks decide again.

        Raises KeyError if there is no such server.
        """
        state = self.services[service]
        found = state.servers[server]
        old_weight = found.weight
        found.override = wish
        self.changed.add(service)
        reason = wish.text if wish is not None else "no longer overridden"
        events: list[ServiceEvent] = []
        if found.weight != old_weight:
            events.append(
                WeightChange(service=state.spec, server=found.spec, old=old_weight, new=found.weight, reason=reason)
            )
        events += self._server_moves(state, found, reason)
        return events + self._quorum(state)

    def suspend(self, service: ServiceKey, *, suspended: bool) -> bool:
        """`ha_suspend`: the address left or came. Whether that changes anything."""
        state = self.services.get(service)
        if state is None or not state.spec.ha_suspend or state.suspended == suspended:
            return False
        state.suspended = suspended
        return True

    # what follows

    def tasks(self) -> list[CheckTask]:
        """Every checker that is to run."""
        return [
            CheckTask(
                key=key,
                checker=checker.checker,
                service=state.spec.name,
                server=server.spec.name,
                weight=server.spec.weight,
                up=checker.up,
                first=not checker.ran,
                suspended=state.suspended,
            )
            for state in self.services.values()
            for server in state.servers.values()
            for key, checker in server.checkers.items()
        ]

    def stop(self) -> list[ServiceEvent]:
        """What is told at the end (omega); everything is taken out of the table without further events."""
        events: list[ServiceEvent] = []
        for state in self.services.values():
            if not state.spec.omega:
                continue
            events += [
                ServerChange(service=state.spec, server=server.spec, up=False, reason="stop", end="Shutting down")
                for server in state.servers.values()
                if server.alive
            ]
            if state.quorum_up:
                events.append(QuorumChange(service=state.spec, up=False, weight=0, end="Shutting down"))
        return events

    def keys(self) -> Iterable[ServiceKey]:
        """All services."""
        return self.services.keys()
