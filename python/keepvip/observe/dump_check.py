"""The state dump of virtual servers, in the order and with the words of keepalived's (checkers-and-ipvs.md 12).

What happens in two steps: `service_states` copies the state on the event loop, `check_text` makes the text on a thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keepvip.config.model_check import Checker  # noqa: TC001  (msgspec resolves annotations at run time)
from keepvip.config.model_service import RealServer, VirtualServer  # noqa: TC001
from keepvip.observe.dump_words import number, script_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from keepvip.config.model import Config
    from keepvip.ipvs.pool import ServiceState

__all__ = ["CheckerCopy", "ServerCopy", "ServiceCopy", "check_text", "service_states"]

_ON = {True: "ON", False: "OFF"}
_YES = {True: "yes", False: "no"}
_ABLED = {True: "enabled", False: "disabled"}
_FAMILIES = {4: "inet", 6: "inet6", 0: "none"}


class CheckerCopy(msgspec.Struct, frozen=True):
    """One checker."""

    checker: Checker
    up: bool
    ran: bool
    weight_delta: int


class ServerCopy(msgspec.Struct, frozen=True):
    """One real server."""

    spec: RealServer
    alive: bool
    weight: int
    in_table: bool
    checkers: tuple[CheckerCopy, ...]


class ServiceCopy(msgspec.Struct, frozen=True):
    """One virtual server."""

    spec: VirtualServer
    quorum_up: bool
    suspended: bool
    servers: tuple[ServerCopy, ...]


def service_states(states: Iterable[ServiceState]) -> list[ServiceCopy]:
    """What the pool holds now."""
    return [
        ServiceCopy(
            state.spec,
            state.quorum_up,
            state.suspended,
            tuple(
                ServerCopy(
                    server.spec,
                    server.alive,
                    server.weight,
                    (server.alive and not state.sorry_active) or server.spec.inhibit_on_failure,
                    tuple(
                        CheckerCopy(found.checker, found.up, found.ran, found.weight_delta)
                        for found in server.checkers.values()
                    ),
                )
                for server in state.servers.values()
            ),
        )
        for state in states
    ]


def check_text(config: Config, services: Sequence[ServiceCopy]) -> str:
    """The whole dump."""
    balancing = config.balancing
    lines = [
        "------< Global definitions >------",
        f" Router ID = {config.global_defs.router_id}",
        f" LVS flush = {str(balancing.flush_at_start).lower()}",
        f" LVS flush on stop = { {'all': 'full', 'services': 'VS'}.get(balancing.flush_at_stop, 'disabled') }",
        f" rs_init_notifies = {int(balancing.init_notifies)}",
        f" no_checker_emails = {int(not balancing.checker_emails)}",
    ]
    if balancing.sync_daemon is not None:
        sync = balancing.sync_daemon
        followed = f", vrrp instance = {sync.instance}" if sync.instance is not None else ""
        lines.append(f" LVS sync daemon interface = {sync.interface}, syncid = {sync.sync_id}{followed}")
    if balancing.notify_fifo is not None:
        lines.append(f" LVS notify fifo = {balancing.notify_fifo.path}")
    lines += ["------< LVS Topology >------", " System is compiled with LVS v1.2.1"]
    groups = {service.spec.group: service.spec for service in services if service.spec.group}
    for name, spec in groups.items():
        lines += [" ------< Virtual server group >------", f" Virtual Server Group = {name}"]
        for entry in spec.entries:
            if entry.fwmark:
                lines.append(f"   FWMARK = {entry.fwmark}")
            elif entry.first == entry.last:
                lines.append(f"   VIP = {entry.first}, VPORT = {entry.port}")
            else:
                lines.append(f"   VIP Range = {entry.first}-{entry.last}, VPORT = {entry.port}")
    for service in services:
        lines += _service(service)
    lines.append("------< Health checkers >------")
    for service in services:
        for server in service.servers:
            for checker in server.checkers:
                lines += _checker(service, server, checker)
    return "".join(f"{line}\n" for line in lines)


def _service(service: ServiceCopy) -> Iterator[str]:
    spec = service.spec
    yield " ------< Virtual server >------"
    entry = spec.entries[0]
    if spec.group:
        yield f" VS GROUP = {spec.name}"
    elif entry.fwmark:
        yield f" VS FWMARK = {entry.fwmark}"
    else:
        yield f" VS VIP = {entry.first}, VPORT = {entry.port}"
    yield f"   Address family = {_FAMILIES[spec.family]}"
    yield f"   lvs_sched = {spec.scheduler}"
    for bit in range(3):
        yield f"   flag-{bit + 1} = {_ABLED[bool(spec.sched_flags & 1 << bit)]}"
    yield f"   One packet scheduling = {_ABLED[spec.ops]}"
    if spec.persistence_timeout_s:
        yield f"   persistence timeout = {spec.persistence_timeout_s}"
    if spec.persistence_prefix_len:
        yield f"   persistence granularity = {spec.persistence_prefix_len}"
    if spec.protocol != "none":
        yield f"   protocol = {spec.protocol.upper()}"
    if spec.ha_suspend:
        yield f"   Using HA suspend, suspended = {_YES[service.suspended]}"
    yield f"   omega is {_ON[spec.omega]}"
    yield f"   quorum = {spec.quorum}, hysteresis = {spec.hysteresis}"
    for title, script in (("up", spec.quorum_up), ("down", spec.quorum_down)):
        if script is not None:
            yield f"   Quorum {title} notify script = {script_text(script)}"
    yield f"   Using smtp notification = {_YES[spec.smtp_alert]}"
    yield f"   default forwarding method = {spec.forwarding}"
    if spec.sorry is not None:
        yield f"   sorry server = {spec.sorry.name}"
        yield f"     forwarding method = {spec.sorry.forwarding}"
        yield f"     Inhibit on failure is {_ON[spec.sorry.inhibit]}"
    yield "   alive = 1"
    yield f"   quorum_state_up = {int(service.quorum_up)}"
    for server in service.servers:
        yield from _server(server)


def _server(server: ServerCopy) -> Iterator[str]:
    spec = server.spec
    yield "   ------< Real server >------"
    yield f"   RIP = {spec.address}, RPORT = {spec.port}, WEIGHT = {spec.weight} EFF WEIGHT = {server.weight}"
    yield f"   forwarding method = {spec.forwarding}"
    yield f"   connection limit range = {spec.lower_threshold} -> {spec.upper_threshold}"
    yield f"   Inhibit on failure is {_ON[spec.inhibit_on_failure]}"
    for title, script in (("up", spec.notify_up), ("down", spec.notify_down)):
        if script is not None:
            yield f"     RS {title} notify script = {script_text(script)}"
    yield f"   Using smtp notification = {_YES[spec.smtp_alert]}"
    yield f"   initial weight = {spec.weight}"
    yield f"   effective weight = {server.weight}"
    yield f"   alive = {int(server.alive)}"
    yield f"   num failed checkers = {sum(not checker.up for checker in server.checkers)}"
    yield f"   RS set = {int(server.in_table)}"


def _checker(service: ServiceCopy, server: ServerCopy, copy: CheckerCopy) -> Iterator[str]:
    checker = copy.checker
    yield f" {service.spec.name} -> {server.spec.name}"
    yield f"   Enabled = {_YES[not service.suspended]}"
    yield f"   Up = {_YES[copy.up]}"
    yield f"   Has run = {_YES[copy.ran]}"
    yield f"   Current weight = {copy.weight_delta}"
    yield f"   Alpha = {_YES[checker.alpha]}"
    yield f"   Delay loop = {checker.delay_loop_us} us"
    yield f"   Warmup = {checker.warmup_us} us"
    yield f"   Retries = {checker.retry}"
    yield f"   Delay before retry = {checker.delay_before_retry_us} us"
    yield f"   Log all failures = {_YES[checker.log_all_failures]}"
    target = getattr(checker, "target", None)
    if target is not None:
        yield "   Connection"
        yield f"     Dest = {target.text}"
        yield f"     Timeout = {number(target.timeout_us)}"
    yield f"   Keepalive method = {checker.kind}"
