"""Builds the answers about virtual servers from what the balancer knows. No IO."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepvip.admin.model_service import CheckView, ServerView, ServicesView, ServiceView, TrafficView
from keepvip.config.model_service import packed
from keepvip.ipvs.table import part_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from keepvip import _ipvs_abi as abi
    from keepvip.config.model_service import CheckerKey
    from keepvip.ipvs.balancer import Balancer
    from keepvip.ipvs.pool import ServerState, ServiceState
    from keepvip.service_event import CheckStatus

    Statistics = Mapping[abi.ServiceKey, tuple[abi.ServiceRecord, list[abi.DestinationRecord]]]

__all__ = ["problems", "view"]


def view(balancer: Balancer | None, statistics: Statistics) -> ServicesView:
    """Everything. `statistics`: the kernel's table."""
    if balancer is None:
        return ServicesView()
    return ServicesView(
        errors=balancer.errors,
        repairs=balancer.repairs,
        requests=balancer.requests,
        checks=balancer.check_counters(),
        services=tuple(_service(state, statistics, balancer.checker) for state in balancer.pool.services.values()),
    )


def problems(balancer: Balancer | None) -> list[str]:
    """What is wrong with the virtual servers, one sentence each."""
    if balancer is None:
        return []
    found = list(balancer.errors)
    for state in balancer.pool.services.values():
        name = state.spec.name
        if not state.quorum_up:
            sorry = ", the sorry server has taken over" if state.sorry_active else ""
            found.append(f"{name} has no quorum: weight {state.live_weight} of {state.spec.quorum}{sorry}")
        found += [
            f"{server.spec.name} of {name} is down: {server.why_down}"
            for server in state.servers.values()
            if not server.alive
        ]
    return found


class _Sums:
    """What the kernel has for one virtual server, its addresses added up."""

    def __init__(
        self,
        state: ServiceState,
        statistics: Statistics,
    ) -> None:
        self.service = [0] * 10
        self.servers: dict[tuple[int, bytes], list[int]] = {}
        """(family, address) of a destination → ten statistics, active and inactive connections, weight, in the table.

        A port is not part of it: in a group it is that of each entry."""
        self.ports: dict[tuple[int, bytes, int], list[int]] = {}
        for key in part_of(state):
            if key not in statistics:
                continue
            record, destinations = statistics[key]
            _add(self.service, record[13] or ())
            for found in destinations:
                row = [*(found[15] or (0,) * 10), found[12], found[13]]
                for into in (
                    self.servers.setdefault(found[2:4], [0] * 14),
                    self.ports.setdefault(found[2:5], [0] * 14),
                ):
                    _add(into, row)
                    into[12], into[13] = found[6], 1

    def of(self, family: int, address: str, port: int) -> list[int]:
        """The row of one server."""
        at = (2 if family == 4 else 10, packed(address))
        return self.ports.get((*at, port)) or self.servers.get(at) or [0] * 14


def _add(into: list[int], values: Iterable[int]) -> None:
    for at, value in enumerate(values):
        into[at] += value


def _service(
    state: ServiceState,
    statistics: Statistics,
    checker: Callable[[CheckerKey], CheckStatus | None],
) -> ServiceView:
    spec = state.spec
    sums = _Sums(state, statistics)
    sorry = None
    if spec.sorry is not None:
        row = sums.of(spec.sorry.family, spec.sorry.address, spec.sorry.port)
        sorry = ServerView(
            name=spec.sorry.name,
            up=True,
            why="",
            weight=row[12],
            configured_weight=1,
            method=str(spec.sorry.forwarding),
            in_table=bool(row[13]),
            override=None,
            override_until_s=None,
            active_connections=row[10],
            inactive_connections=row[11],
            traffic=_traffic(row),
            checks=(),
        )
    return ServiceView(
        name=spec.name,
        up=state.quorum_up,
        scheduler=spec.scheduler,
        quorum=spec.quorum,
        hysteresis=spec.hysteresis,
        live_weight=state.live_weight,
        sorry_active=state.sorry_active,
        suspended=state.suspended,
        persistence_timeout_s=spec.persistence_timeout_s,
        traffic=_traffic(sums.service),
        servers=tuple(_server(server, sums, checker) for server in state.servers.values()),
        sorry=sorry,
    )


def _server(server: ServerState, sums: _Sums, checker: Callable[[CheckerKey], CheckStatus | None]) -> ServerView:
    spec = server.spec
    row = sums.of(spec.family, spec.address, spec.port)
    checks = []
    for key, known in server.checkers.items():
        status = checker(key)
        checks.append(
            CheckView(
                kind=known.checker.kind,
                up=known.up,
                ran=known.ran,
                reason=status.reason if status is not None and status.reason else known.reason,
                failures=status.failures if status is not None else 0,
                duration_us=status.duration_us if status is not None else None,
            )
        )
    override = server.override
    return ServerView(
        name=spec.name,
        up=server.alive,
        why="" if server.alive else server.why_down,
        weight=row[12] if row[13] else server.weight,
        configured_weight=spec.weight,
        method=str(spec.forwarding),
        in_table=bool(row[13]),
        override=override.text if override is not None else None,
        override_until_s=override.until if override is not None else None,
        active_connections=row[10],
        inactive_connections=row[11],
        traffic=_traffic(row),
        checks=tuple(checks),
    )


def _traffic(row: list[int]) -> TrafficView:
    names = TrafficView.__struct_fields__
    return TrafficView(**dict(zip(names, row, strict=False)))
