"""What is told about virtual and real servers: the very lines and texts (checkers-and-ipvs.md 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keepvip.config.model import Script
from keepvip.config.model_service import Entry, RealServer, VirtualServer
from keepvip.notify.services import ServiceVoice
from keepvip.service_event import CheckMail, QuorumChange, ServerChange, ServiceEvent

if TYPE_CHECKING:
    from keepvip.notify.mail_text import MailText
    from keepvip.notify.queue import Batch


class Outlets:
    """Takes what would go to queues, FIFOs and mail."""

    enabled = True
    idle = True

    def __init__(self) -> None:
        self.lines: list[tuple[bytes, str]] = []
        self.mails: list[tuple[str, str]] = []
        self.scripts: list[tuple[str, str]] = []
        self._name = ""

    def write(self, line: bytes, of: str) -> None:
        self.lines.append((line, of))

    def put(self, what: Any, at_ns: int = 0) -> None:
        if at_ns:
            text: MailText = what
            self.mails.append((text.subject, text.body))
        else:
            batch: Batch = what
            self.scripts += [(self._name, entry.keyword) for entry in batch.entries]

    def queue(self, name: str) -> Outlets:
        self._name = name
        return self


SCRIPT = Script(argv=("/bin/true",), text="/bin/true")
SERVER = RealServer(address="10.2.0.1", port=80, family=4, name="[10.2.0.1]:tcp:80", notify_down=SCRIPT)
SERVICE = VirtualServer(
    kind="address",
    family=4,
    entries=(Entry(family=4, first="10.0.0.1", last="10.0.0.1", port=80),),
    protocol="tcp",
    name="[10.0.0.1]:tcp:80",
    quorum_up=SCRIPT,
    quorum=2,
    hysteresis=1,
    smtp_alert=True,
    real_servers=(SERVER,),
)


def told(event: ServiceEvent) -> Outlets:
    outlets = Outlets()
    voice: Any = ServiceVoice(outlets.queue, outlets, outlets)  # type: ignore[arg-type]
    voice.handle(event, None, "node1")
    return outlets


def test_a_server() -> None:
    outlets = told(ServerChange(service=SERVICE, server=SERVER, up=False, reason="refused"))
    assert outlets.lines == [(b"RS [10.2.0.1]:tcp:80 [10.0.0.1]:tcp:80 DOWN\n\0", "lvs_notify_fifo")]
    assert [keyword for _, keyword in outlets.scripts] == ["notify_down"]
    assert outlets.mails == []  # that comes from the checker
    up = told(ServerChange(service=SERVICE, server=SERVER, up=True, reason="answers"))
    assert (up.lines[0][0], up.scripts) == (b"RS [10.2.0.1]:tcp:80 [10.0.0.1]:tcp:80 UP\n\0", [])


def test_a_quorum() -> None:
    outlets = told(QuorumChange(service=SERVICE, up=True, weight=5))
    assert outlets.lines == [(b"VS [10.0.0.1]:tcp:80 UP\n\0", "lvs_notify_fifo")]
    assert [keyword for _, keyword in outlets.scripts] == ["quorum_up"]
    assert outlets.mails == [("[node1] Virtualserver [10.0.0.1]:tcp:80 - UP", "=> Gained quorum 2+1=3 <= 5 <=")]
    down = told(QuorumChange(service=SERVICE, up=False, weight=0, end="Shutting down"))
    assert down.mails == [("[node1] Virtualserver [10.0.0.1]:tcp:80 - DOWN", "=> Shutting down <=")]


def test_mails_of_checkers_and_of_the_end() -> None:
    body = "=> TCP CHECK failed on service <="
    subject = "[node1] Realserver [10.2.0.1]:tcp:80 of virtual server [10.0.0.1]:tcp:80 - DOWN"
    assert told(CheckMail(service=SERVICE, server=SERVER, up=False, body=body)).mails == [(subject, body)]
    gone = ServerChange(service=SERVICE, server=SERVER, up=False, reason="removed", end="Removing")
    assert told(gone).mails == [(subject, "=> Removing <=")]
