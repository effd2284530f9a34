"""Sends mails about transitions, in order, through one server (vrrp-behaviour.md 15).

Plain SMTP as keepalived speaks it: HELO, no TLS, no login, all recipients in one message. What is done with care:

* One connection carries all mails that wait, so a change of 200 instances does not cost 200 connections.
* keepalived tries once. Here a mail whose failure may pass (no connection, a time-out, a 4xx answer) is tried once
  more after 30 s: at the very moment of a fail-over the way to the server is often not there yet. Order holds: nothing
  is sent meanwhile. A mail that may already have been accepted (the connection broke after its text was sent) is not
  tried again, so nobody gets it twice.
* Every step has `smtp_connect_timeout`. Nothing here blocks the event loop; `aiosmtplib` is imported in a thread at
  the first mail.
* At most `WAITING_LIMIT` mails wait; beyond that the oldest is dropped and counted.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import importlib
import logging
from typing import TYPE_CHECKING

import msgspec

from keepvip.notify.mail_error import MailPutOffError, MailRefusedError, MaybeSentError, ServerTroubleError
from keepvip.notify.mail_text import MailText  # noqa: TC001  (part of a Struct)
from keepvip.script.offload import off_loop

if TYPE_CHECKING:
    from keepvip.config.model import GlobalDefs
    from keepvip.notify.counters import NotifyCounters
    from keepvip.notify.smtp_session import Session

__all__ = ["Mailer"]

log = logging.getLogger(__name__)

WAITING_LIMIT = 1000
RETRY_S = 30.0
TRIES = 2


class _Mail(msgspec.Struct, kw_only=True):
    text: MailText
    at_ns: int
    """When the event happened; the Date header."""
    tries: int = 0


class Mailer:
    """The only sender of mails. Belongs to the event loop's thread; `put` never waits."""

    def __init__(self, defs: GlobalDefs, counters: NotifyCounters, *, retry_s: float = RETRY_S) -> None:
        self._defs = defs
        self._counters = counters
        self._retry_s = retry_s
        self._mails: collections.deque[_Mail] = collections.deque()
        self._worker: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._complained = False

    @property
    def enabled(self) -> bool:
        """Whether the configuration names a server and somebody to write to."""
        return self._defs.smtp_host is not None and bool(self._defs.emails)

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is being sent."""
        return self._worker is None or self._worker.done()

    def reconfigure(self, defs: GlobalDefs) -> None:
        """Takes over a new configuration; mails that wait go to the new server and recipients."""
        self._defs = defs
        if not self.enabled:
            self._drop_all("the new configuration names no server or no recipient")

    def put(self, text: MailText, at_ns: int) -> None:
        """Queues a mail about an event of that time (CLOCK_REALTIME). Without server or recipients nothing happens."""
        if not self.enabled:
            return
        if len(self._mails) >= WAITING_LIMIT:
            self._mails.popleft()
            self._counters.mails_dropped += 1
            if not self._complained:
                self._complained = True
                log.error("More than %d mails wait for %s: the oldest are dropped", WAITING_LIMIT, self._server)
        self._mails.append(_Mail(text=text, at_ns=at_ns))
        self._counters.mails_queued += 1
        self._counters.mails_waiting = len(self._mails)
        if self.idle:
            self._worker = asyncio.get_running_loop().create_task(self._work(), name="mail")

    async def stop(self, deadline: float) -> None:
        """Sends what waits until `deadline` (the loop's time, seconds); there are no second tries any more."""
        self._stopping.set()
        if self._worker is not None:
            await asyncio.wait({self._worker}, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        self._drop_all("the daemon stops")

    @property
    def _server(self) -> str:
        return f"{self._defs.smtp_host} port {self._defs.smtp_port}"

    async def _work(self) -> None:
        """Sends all that waits. Before something is tried a second time there is a pause, and none otherwise."""
        while self._mails:
            try:
                await self._session()
            except ServerTroubleError as trouble:
                for mail in self._mails:  # they all waited for this server; it is not tried for each of them again
                    self._count_try(mail)
                await self._after_try(str(trouble), pause=True)
            except MailPutOffError as trouble:
                last_try = self._mails[0].tries + 1 >= TRIES
                self._count_try(self._mails[0])
                for mail in self._mails:
                    if mail.tries == 0:
                        self._count_try(mail)
                await self._after_try(f"it answers {trouble}", pause=not last_try)
        self._complained = False

    def _count_try(self, mail: _Mail) -> None:
        mail.tries += 1
        if mail.tries < TRIES and not self._stopping.is_set():
            self._counters.mails_retried += 1

    async def _after_try(self, reason: str, *, pause: bool) -> None:
        """Gives up those in front that had their tries (the first in line had the most); the others wait a while."""
        while self._mails and (self._mails[0].tries >= TRIES or self._stopping.is_set()):
            self._failed(self._take_first(), reason)
        if self._mails and pause:
            log.warning(
                "Mail server %s: %s; %d mails wait and are tried once more in %.0f s",
                self._server,
                reason,
                len(self._mails),
                self._retry_s,
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._retry_s):
                    await self._stopping.wait()

    async def _session(self) -> None:
        """One connection: sends until nothing waits. The mail whose failure is raised is the first in line again."""
        await off_loop(lambda: importlib.import_module("keepvip.notify.smtp_session"), name="import SMTP")
        from keepvip.notify.smtp_session import Session  # noqa: PLC0415  (loaded by the line above, off the loop)

        defs = self._defs
        sent = 0
        try:
            async with Session(defs) as session:
                while self._mails and self._defs is defs:
                    await self._send_first(session)
                    sent += 1
        except ServerTroubleError:
            if not sent:
                raise
            # It served some and then hung up; the others get a connection of their own.

    async def _send_first(self, session: Session) -> None:
        mail = self._take_first()  # out of the queue while it is on its way: a full queue drops its oldest
        try:
            refused = await session.send(mail.text, mail.at_ns)
        except (ServerTroubleError, MailPutOffError):
            self._mails.appendleft(mail)
            self._counters.mails_waiting = len(self._mails)
            raise
        except asyncio.CancelledError:
            self._failed(mail, "the daemon stops while it is on its way")
            raise
        except MailRefusedError as error:
            self._failed(mail, str(error))
        except MaybeSentError as error:
            self._failed(mail, str(error))
            if self._mails:
                raise ServerTroubleError(str(error)) from error
        except Exception:
            log.exception("Mail `%s` could not be made", mail.text.subject)  # our mistake, and of this mail alone
            self._counters.mails_failed += 1
        else:
            self._counters.mails_sent += 1
            log.debug("Mail `%s` sent by %s", mail.text.subject, self._server)
            for answer in refused:
                log.warning("Mail `%s`: %s refuses the recipient %s", mail.text.subject, self._server, answer)

    def _take_first(self) -> _Mail:
        mail = self._mails.popleft()
        self._counters.mails_waiting = len(self._mails)
        return mail

    def _failed(self, mail: _Mail, why: str) -> None:
        self._counters.mails_failed += 1
        log.error("Mail `%s` not sent by %s: %s", mail.text.subject, self._server, why)

    def _drop_all(self, why: str) -> None:
        if self._mails:
            log.warning("%d mails not sent: %s", len(self._mails), why)
            self._counters.mails_dropped += len(self._mails)
            self._mails.clear()
            self._counters.mails_waiting = 0
