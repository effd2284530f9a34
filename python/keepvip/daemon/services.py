"""The virtual servers of the daemon: made when a configuration has some, and not imported before.

What virtual servers do is in `keepvip.ipvs`, how servers are checked in `keepvip.check`; here they meet, with log
and notifications.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from keepvip.event import State, Tracked, Transition
from keepvip.ipvs.override import Override
from keepvip.script.offload import off_loop
from keepvip.service_event import CheckMail, QuorumChange, ServerChange, WeightChange

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from keepvip import _ipvs_abi as abi
    from keepvip.check import Checkers
    from keepvip.config.model import Config
    from keepvip.event import Event
    from keepvip.ipvs.balancer import Balancer
    from keepvip.service_event import CheckResult, ServiceEvent

    Statistics = Mapping[abi.ServiceKey, tuple[abi.ServiceRecord, list[abi.DestinationRecord]]]

__all__ = ["Services", "sentence"]

log = logging.getLogger("keepvip.ipvs")


class Services:
    """All methods belong to the event loop's thread."""

    def __init__(
        self,
        notify: Callable[[ServiceEvent], None],
        tell: Callable[[str, str], None],
        *,
        file_value: Callable[[str], int | str],
    ) -> None:
        """`notify` queues scripts, FIFO lines and mails; `tell` takes sentences with their level for log and feed."""
        self.balancer: Balancer | None = None
        self._notify = notify
        self._tell = tell
        self._file_value = file_value
        self._checkers: Checkers | None = None

    def configure(self, config: Config) -> None:
        """Takes over a configuration, the first one or a new one."""
        if self.balancer is None:
            if not config.virtual_servers and config.balancing.sync_daemon is None:
                return
            from keepvip.ipvs.balancer import Balancer  # noqa: PLC0415  (only with virtual servers)

            self.balancer = Balancer(self._publish, make_checkers=self._make_checkers)
        self.balancer.configure(config)

    def see(self, event: Event) -> None:
        """What virtual routers do matters to the sync daemon that follows one, tracked files to checks of them."""
        if self.balancer is not None and isinstance(event, Transition):
            self.balancer.router(event.instance, master=event.new is State.MASTER)
        elif self._checkers is not None and isinstance(event, Tracked) and event.what == "file":
            self._checkers.file_changed(event.name, event.value)

    async def statistics(self) -> Statistics:
        """The kernel's counters of all services, read beside the event loop."""
        if self.balancer is None:
            return {}
        worker = self.balancer.worker
        return await off_loop(worker.statistics, name="ipvs statistics")

    async def operate(self, service: str, server: str, action: str, weight: int | None, for_s: int | None) -> str:
        """Carries out what an operator wants of a real server; says what was done.

        Raises LookupError for an unknown server, ValueError for a wish that makes no sense.
        """
        balancer = self.balancer
        if balancer is None:
            raise LookupError("there are no virtual servers")
        service_key, server_key = balancer.find(service, server)
        until = None if for_s is None else time.time() + for_s
        match action:
            case "drain":
                wish: Override | None = Override(kind="drain", weight=0, until=until)
            case "disable":
                wish = Override(kind="disable", until=until)
            case "weight" if weight is not None and weight < 1 << 31:
                wish = Override(kind="weight", weight=weight, until=until)
            case "enable":
                wish = None
            case _:
                raise ValueError("the action is drain, disable, enable, or weight with a weight of 0..2147483647")
        balancer.override(service_key, server_key, wish)
        await balancer.settled()
        name = f"{balancer.pool.services[service_key].servers[server_key].spec.name} of {service}"
        if wish is None:
            return f"{name}: configuration and checks decide again"
        limit = f" for {for_s} s" if for_s is not None else ""
        return f"{name}: {wish.text}{limit}"

    async def reconcile(self) -> str:
        """Looks at the kernel's table now; says what was put right."""
        balancer = self.balancer
        if balancer is None:
            raise LookupError("there are no virtual servers")
        before = balancer.repairs
        balancer.reconcile()
        await balancer.settled()
        if balancer.errors:
            return f"the IPVS table is not as it should be: {'; '.join(balancer.errors)}"
        count = balancer.repairs - before
        return "the IPVS table is as it should be" if not count else f"{count} changes of somebody else put right"

    async def stop(self, *, remove: bool) -> None:
        """The end of all services; they stay in the kernel unless they are to be removed."""
        if self.balancer is not None:
            await self.balancer.stop(remove=remove)

    def _make_checkers(self, report: Callable[[Sequence[CheckResult]], None]) -> Checkers:
        from keepvip.check import Checkers  # noqa: PLC0415  (only with checks)

        self._checkers = Checkers(report, file_value=self._file_value)
        return self._checkers

    def _publish(self, event: ServiceEvent) -> None:
        found = sentence(event)
        if found is not None:
            self._tell(*found)
        self._notify(event)


def sentence(event: ServiceEvent) -> tuple[str, str] | None:
    """Level and text for the log; None: there is nothing to say."""
    match event:
        case ServerChange(log=False):
            return None
        case ServerChange():
            state = "up" if event.up else "down"
            level = "info" if event.up or event.end else "warning"
            return level, f"{event.service.name}: real server {event.server.name} is {state}: {event.reason}"
        case QuorumChange():
            level = "info" if event.up or event.end else "warning"
            text = event.text
            if not event.up and not event.end and event.service.sorry is not None:
                text += f"; the sorry server {event.service.sorry.name} takes over"
            return level, f"{event.service.name}: {text}"
        case WeightChange():
            return (
                "info",
                f"{event.service.name}: weight of {event.server.name} {event.old} → {event.new}: {event.reason}",
            )
        case CheckMail():
            return None
