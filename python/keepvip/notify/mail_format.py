"""Mails as bytes, and addresses out of what people write (RFC 5322).

Imports the `email` package, so it is itself imported only when the first mail is due.
"""

from __future__ import annotations

import re
from email.header import Header
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from keepvip.notify.mail_text import MailText

__all__ = ["address_of", "message"]

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")


def address_of(text: str) -> str:
    """`user@host` out of `Name <user@host>`, for the envelope."""
    return parseaddr(text)[1] or text.strip()


def message(text: MailText, *, sender: str, recipients: Sequence[str], date: datetime) -> bytes:
    """The message with CRLF line ends, header lines and blank lines as keepalived has them.

    Text beyond ASCII (an instance may have any name) is encoded in headers and declared as UTF-8 in the body; a mail
    without any has keepalived's five headers and no other. `date` must know its time zone.
    """
    headers = [
        ("Date", format_datetime(date)),
        ("From", _address(sender)),
        ("Subject", _encoded(text.subject)),
        ("X-Mailer", "Keepalived"),
        ("To", ", ".join(_address(recipient) for recipient in recipients)),
    ]
    if not text.body.isascii():
        headers += [
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Transfer-Encoding", "8bit"),
        ]
    lines = [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", text.body, "", ""]).encode("utf-8", "replace")


def _encoded(value: str) -> str:
    """A header value that no line break or foreign letter can break."""
    clean = _CONTROLS.sub(" ", value)
    if clean.isascii():
        return clean
    return Header(clean.encode("utf-8", "replace").decode(), "utf-8").encode(linesep="\r\n")


def _address(text: str) -> str:
    name, address = parseaddr(text)
    if name and not name.isascii():
        return f"{Header(name, 'utf-8').encode(linesep=chr(13) + chr(10))} <{address}>"
    return _CONTROLS.sub(" ", text)
