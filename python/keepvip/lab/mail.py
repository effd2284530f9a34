"""A real SMTP server (aiosmtpd) inside a node, and the mails that arrived there."""

import asyncio
import email
import email.policy
import socket
import threading
import time
from collections.abc import Callable
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import msgspec

from keepvip.lab.errors import LabError, LabTimeoutError
from keepvip.lab.node import Node

if TYPE_CHECKING:
    from aiosmtpd.smtp import Envelope


class Mail(msgspec.Struct, frozen=True):
    """One mail as it arrived. ``at_ns``: CLOCK_REALTIME."""

    at_ns: int
    node: str
    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    raw: bytes

    @property
    def subject(self) -> str:
        """The subject header."""
        return str(self.message["Subject"])

    @property
    def body(self) -> str:
        """The text."""
        return str(self.message.get_content())


class MailServer:
    """Listens on 127.0.0.1:25 (or elsewhere) of any number of nodes from its making to `close`."""

    def __init__(
        self,
        *nodes: Node,
        address: str = "127.0.0.1",
        port: int = 25,
        delay_s: float = 0.0,
        on_mail: Callable[[Mail], None] | None = None,
    ) -> None:
        """Args: delay_s: how long the server thinks before it accepts a mail; on_mail: called in its thread."""
        try:
            from aiosmtpd.smtp import SMTP  # noqa: PLC0415 - an extra that only this class needs
        except ImportError as error:
            raise LabError("the lab's mail server needs the package aiosmtpd (pip install aiosmtpd)") from error
        self._smtp: Callable[..., Any] = SMTP
        self._delay_s = delay_s
        self._on_mail = on_mail
        self._mails: list[Mail] = []
        self._news = threading.Condition()
        self._sockets: list[tuple[Node, socket.socket]] = []
        for node in nodes:
            sock = node.socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address, port))
            sock.listen(64)
            self._sockets.append((node, sock))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="lab-mail", daemon=True)
        self._thread.start()

    @property
    def mails(self) -> list[Mail]:
        """All mails so far, in the order of arrival."""
        with self._news:
            return list(self._mails)

    def subjects(self, node: str | None = None) -> list[str]:
        """The subjects of all mails (of a node)."""
        return [mail.subject for mail in self.mails if node in {None, mail.node}]

    def wait(self, wanted: Callable[[Mail], bool], *, timeout_s: float, what: str = "mail") -> Mail:
        """The first mail that satisfies ``wanted``; raises `LabTimeoutError`."""
        deadline = time.monotonic() + timeout_s
        with self._news:
            while True:
                for mail in self._mails:
                    if wanted(mail):
                        return mail
                left = deadline - time.monotonic()
                if left <= 0:
                    raise LabTimeoutError(
                        f"no {what} within {timeout_s} s; subjects: {[m.subject for m in self._mails]}"
                    )
                self._news.wait(left)

    def close(self) -> None:
        """Stop all servers."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        for _, sock in self._sockets:
            sock.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        servers = [
            self._loop.run_until_complete(
                self._loop.create_server(lambda node=node: self._smtp(_Handler(self, node)), sock=sock)  # type: ignore[misc]
            )
            for node, sock in self._sockets
        ]
        self._loop.run_forever()
        for server in servers:
            server.close()
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        self._loop.close()

    def add(self, mail: Mail) -> None:
        """Take in a mail (called by the protocol handler)."""
        with self._news:
            self._mails.append(mail)
            self._news.notify_all()
        if self._on_mail:
            self._on_mail(mail)

    @property
    def delay_s(self) -> float:
        """How long the server thinks before it accepts a mail."""
        return self._delay_s


class _Handler:
    """aiosmtpd's interface for what to do with a mail."""

    def __init__(self, server: MailServer, node: Node) -> None:
        self._server = server
        self._node = node

    async def handle_DATA(self, _server: object, _session: object, envelope: "Envelope") -> str:  # noqa: N802 - its name
        if self._server.delay_s:
            await asyncio.sleep(self._server.delay_s)
        raw = envelope.original_content or b""
        message = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self._server.add(
            Mail(
                time.time_ns(),
                self._node.name,
                str(envelope.mail_from),
                tuple(map(str, envelope.rcpt_tos)),
                message,
                raw,
            )
        )
        return "250 OK"
