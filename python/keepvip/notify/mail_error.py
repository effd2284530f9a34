"""Why a mail was not delivered. Each kind asks for another reaction, so each is a type of its own."""

from __future__ import annotations

__all__ = ["MailPutOffError", "MailRefusedError", "MaybeSentError", "ServerTroubleError"]


class ServerTroubleError(Exception):
    """The server cannot be used now. That concerns every mail that waits for it."""


class MailPutOffError(Exception):
    """The server does not want this mail now (4xx), perhaps later."""


class MailRefusedError(Exception):
    """The server will never take this mail (5xx, or an address that cannot be written in SMTP)."""


class MaybeSentError(Exception):
    """The connection broke while the text was on its way: nobody knows whether the mail was taken."""
