"""The virtual servers of the daemon: made when a configuration has some, and not imported before.

What virtual servers do is in `keepvip.ipvs`, how servers are checked in `keepvip.check`; here they meet, with log
and notifications.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from keepvip.event import State, Transition
from keepvip.service_event import CheckMail, QuorumChange, ServerChange, WeightChange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keepvip.config.model import Config
    from keepvip.event import Event
    from keepvip.ipvs.balancer import Balancer, CheckersPort
    from keepvip.service_event import CheckResult, ServiceEvent

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
        self._checkers: CheckersPort | None = None

    def configure(self, config: Config) -> None:
        """Takes over a configuration, the first one or a new one."""
        if self.balancer is None:
            if not config.virtual_servers and config.balancing.sync_daemon is None:
                return
            from keepvip.ipvs.balancer import Balancer  # noqa: PLC0415  (only with virtual servers)

            self.balancer = Balancer(self._publish, make_checkers=self._make_checkers)
        self.balancer.configure(config)

    def see(self, event: Event) -> None:
        """What virtual routers do matters to the sync daemon that follows one."""
        if self.balancer is not None and isinstance(event, Transition):
            self.balancer.router(event.instance, master=event.new is State.MASTER)

    async def stop(self, *, remove: bool) -> None:
        """The end of all services; they stay in the kernel unless they are to be removed."""
        if self.balancer is not None:
            await self.balancer.stop(remove=remove)

    def _make_checkers(self, report: Callable[[Sequence[CheckResult]], None]) -> CheckersPort | None:
        from keepvip import check  # noqa: PLC0415  (only with checks)

        make = getattr(check, "Checkers", None)
        if make is None:
            log.error("Nothing checks the real servers: they count as up")
            return None
        self._checkers = make(report, file_value=self._file_value)
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
