"""One SMTP connection, as keepalived speaks it: HELO, no TLS, no login.

Imports aiosmtplib, so it is itself imported only when the first mail is due, and in a thread.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import os
import socket
from datetime import datetime
from typing import TYPE_CHECKING, Self

import aiosmtplib

from keepvip.notify import mail_format
from keepvip.notify.mail_error import MailPutOffError, MailRefusedError, MaybeSentError, ServerTroubleError
from keepvip.script.offload import off_loop

if TYPE_CHECKING:
    from types import TracebackType

    from keepvip.config.model import GlobalDefs
    from keepvip.notify.mail_text import MailText

__all__ = ["Session"]

QUIT_S = 2.0
"""How long the farewell may take; what was sent is delivered by then."""


class Session:
    """An `async with` block is one connection. Entering it raises ServerTroubleError if there can be none."""

    def __init__(self, defs: GlobalDefs) -> None:
        self._defs = defs
        self._sender = defs.email_from or f"root@{os.uname().nodename}"
        self._client = aiosmtplib.SMTP()

    async def __aenter__(self) -> Self:
        try:
            addresses = await _addresses(self._defs)
        except TimeoutError as error:
            raise ServerTroubleError("its name was not resolved in time") from error
        except (OSError, UnicodeError) as error:
            raise ServerTroubleError(f"its name cannot be resolved: {error}") from error
        failures = []
        for address in addresses:
            try:
                await self._connect(address)
            except (aiosmtplib.SMTPException, OSError) as error:
                self._client.close()
                failures.append(_said(error))
            else:
                return self
        raise ServerTroubleError("; ".join(failures))

    async def _connect(self, address: str) -> None:
        self._client = aiosmtplib.SMTP(
            hostname=address,
            port=self._defs.smtp_port,
            local_hostname=_helo_name(self._defs),  # else aiosmtplib asks DNS for one
            timeout=self._defs.smtp_connect_timeout_s,
            use_tls=False,
            start_tls=False,
        )
        await self._client.connect()
        await self._client.helo()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if (kind is None or issubclass(kind, MailPutOffError)) and self._client.is_connected:
                await self._client.quit(timeout=QUIT_S)
        except (aiosmtplib.SMTPException, OSError):
            pass  # everything was delivered; how the server says good-bye changes nothing
        finally:
            self._client.close()

    async def send(self, text: MailText, at_ns: int) -> list[str]:
        """Sends one mail to all recipients; gives back those that were refused, each with the server's answer.

        `at_ns` (CLOCK_REALTIME) becomes its date. Raises one of `mail_error`'s exceptions if nobody gets it.
        """
        message = mail_format.message(
            text,
            sender=self._sender,
            recipients=self._defs.emails,
            date=datetime.fromtimestamp(at_ns // 1_000_000_000).astimezone(),
        )
        try:
            await self._client.mail(mail_format.address_of(self._sender))
            refused = await self._recipients()
        except aiosmtplib.SMTPResponseException as error:
            await self._forget()
            raise _verdict(error.code, _said(error)) from error
        except UnicodeEncodeError as error:
            raise MailRefusedError(f"the sender `{self._sender}` cannot be written in SMTP") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise ServerTroubleError(_said(error)) from error
        try:
            await self._client.data(message)
        except aiosmtplib.SMTPResponseException as error:
            await self._forget()
            raise _verdict(error.code, _said(error)) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MaybeSentError(f"{_said(error)}; it may have been delivered or not") from error
        return refused

    async def _recipients(self) -> list[str]:
        """Names all recipients; gives back the refused ones. Raises if none is left."""
        refused: list[str] = []
        worst = 500
        for recipient in self._defs.emails:
            address = mail_format.address_of(recipient)
            try:
                await self._client.rcpt(address)
            except aiosmtplib.SMTPRecipientRefused as error:
                refused.append(f"{address}: {_said(error)}")
                worst = min(worst, error.code)
            except ValueError as error:  # letters or control characters that SMTP has no room for
                refused.append(f"{address}: {error}")
        if len(refused) == len(self._defs.emails):
            await self._forget()
            raise _verdict(worst, "; ".join(refused))
        return refused

    async def _forget(self) -> None:
        """Makes the server forget the mail that it did not take, so that the next one can use the connection."""
        try:
            if self._client.is_connected:
                await self._client.rset()
        except (aiosmtplib.SMTPException, OSError):
            self._client.close()


async def _addresses(defs: GlobalDefs) -> list[str]:
    """Where the server may be. Asked anew for every connection, so a move of the server needs no reload."""
    host = defs.smtp_host or ""
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    question = functools.partial(socket.getaddrinfo, host, defs.smtp_port, type=socket.SOCK_STREAM)
    async with asyncio.timeout(defs.smtp_connect_timeout_s):
        found = await off_loop(question, name="resolve SMTP server")
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _helo_name(defs: GlobalDefs) -> str:
    """`smtp_helo_name`, else the host's name; SMTP allows nothing but ASCII without blanks there."""
    for name in (defs.smtp_helo_name, os.uname().nodename):
        if name and name.isascii() and name.isprintable() and " " not in name:
            return name
    return "localhost"


def _verdict(code: int, said: str) -> MailPutOffError | MailRefusedError:
    return MailPutOffError(said) if 400 <= code < 500 else MailRefusedError(said)


def _said(error: Exception) -> str:
    """The server's own words, with their code, or what went wrong before it could say any."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{error.code} {error.message}".replace("\n", " / ")
    return str(error) or type(error).__name__
