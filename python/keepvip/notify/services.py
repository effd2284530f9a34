"""Tells people and programs about virtual and real servers (checkers-and-ipvs.md 8)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from keepvip.notify.fifos import LVS
from keepvip.notify.mail_text import MailText
from keepvip.notify.queue import Batch, Entry, ScriptQueue
from keepvip.service_event import CheckMail, QuorumChange, ServerChange

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepvip.config.model import Script
    from keepvip.config.model_service import RealServer, VirtualServer
    from keepvip.notify.fifos import Fifos
    from keepvip.notify.queue import Commands
    from keepvip.notify.smtp import Mailer
    from keepvip.service_event import ServiceEvent

__all__ = ["ServiceVoice", "server_line", "service_line"]

_WORDS = {True: "UP", False: "DOWN"}
_IDLE_QUEUES = 256
"""Queues that are kept although nothing waits in them."""


def service_line(name: str, *, up: bool) -> bytes:
    """keepalived ends these lines, other than those of virtual routers, with a NUL, too."""
    return f"VS {name} {_WORDS[up]}\n\0".encode(errors="surrogateescape")


def server_line(name: str, service: str, *, up: bool) -> bytes:
    """The same for a real server."""
    return f"RS {name} {service} {_WORDS[up]}\n\0".encode(errors="surrogateescape")


class ServiceVoice:
    """Scripts, FIFO lines and mails of services. Belongs to the event loop's thread; `handle` never waits."""

    def __init__(self, new_queue: Callable[[str], ScriptQueue], fifos: Fifos, mailer: Mailer) -> None:
        self._new_queue = new_queue
        self._fifos = fifos
        self._mailer = mailer
        self._queues: dict[str, ScriptQueue] = {}
        """One for each server and each service: its scripts run one after the other, those of others meanwhile."""

    def queues(self) -> list[ScriptQueue]:
        """Those in which something runs or waits."""
        return [queue for queue in self._queues.values() if not queue.idle]

    def handle(self, what: ServiceEvent, commands: Commands, router_id: str) -> None:
        """Queues what an event asks for. `commands`: what became of the scripts of the configuration that runs."""
        match what:
            case ServerChange():
                server, service = what.server, what.service
                keyword, script = ("notify_up", server.notify_up) if what.up else ("notify_down", server.notify_down)
                self._run(f"{server.name} of {service.name}", keyword, script, commands)
                self._fifos.write(server_line(server.name, service.name, up=what.up), LVS)
                if what.end and server.smtp_alert:
                    self._mail(_server_subject(router_id, service, server, up=False), what.end)
            case QuorumChange():
                service = what.service
                keyword, script = ("quorum_up", service.quorum_up) if what.up else ("quorum_down", service.quorum_down)
                self._run(service.name, keyword, script, commands)
                self._fifos.write(service_line(service.name, up=what.up), LVS)
                if service.smtp_alert:
                    self._mail(f"[{router_id}] Virtualserver {service.name} - {_WORDS[what.up]}", what.text)
            case CheckMail():
                subject = _server_subject(router_id, what.service, what.server, up=what.up)
                self._put(subject, what.body)
            case _:
                pass

    def _run(self, name: str, keyword: str, script: Script | None, commands: Commands) -> None:
        if script is None:
            return
        queue = self._queues.get(name)
        if queue is None:
            if len(self._queues) >= _IDLE_QUEUES:
                self._queues = {name: queue for name, queue in self._queues.items() if not queue.idle}
            queue = self._queues[name] = self._new_queue(name)
        entries = (Entry(keyword=keyword, script=script),)
        queue.put(Batch(event=keyword, entries=entries, commands=commands))

    def _mail(self, subject: str, text: str) -> None:
        self._put(subject, f"=> {text} <=")

    def _put(self, subject: str, body: str) -> None:
        if self._mailer.enabled:
            self._mailer.put(MailText(subject=subject, body=body), time.time_ns())


def _server_subject(router_id: str, service: VirtualServer, server: RealServer, *, up: bool) -> str:
    return f"[{router_id}] Realserver {server.name} of virtual server {service.name} - {_WORDS[up]}"
