"""What a mail about a transition says: the very texts of keepalived, because people filter on them.

From vrrp-behaviour.md 15, and for groups that stop from what keepalived 2.2.7 sends.
"""

from __future__ import annotations

import msgspec

__all__ = ["MailText", "group_text", "instance_text"]

_SUBJECTS = {"STOP": "Stopping", "DELETED": "Deleted"}
_INSTANCE_BODIES = {
    "MASTER": "VRRP Instance is now owning VRRP VIPs",
    "BACKUP": "VRRP Instance is no longer owning VRRP VIPs",
    "FAULT": "VRRP Instance is no longer owning VRRP VIPs",
    "STOP": "VRRP Instance stopping",
    "DELETED": "VRRP Deleted at reload",
}


class MailText(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Subject and body, not yet in the form of a message."""

    subject: str
    body: str


def instance_text(router_id: str, name: str, state: str) -> MailText:
    """`state`: MASTER, BACKUP, FAULT, STOP or DELETED."""
    return _text(router_id, f"VRRP Instance {name}", state, _INSTANCE_BODIES[state])


def group_text(router_id: str, name: str, state: str) -> MailText:
    """`state`: MASTER, BACKUP, FAULT or STOP."""
    body = "stopping" if state == "STOP" else f"in {state} state"
    return _text(router_id, f"VRRP Group {name}", state, f"All VRRP group instances are now {body}")


def _text(router_id: str, what: str, state: str, body: str) -> MailText:
    change = _SUBJECTS.get(state, f"Entering {state} state")
    return MailText(subject=f"[{router_id}] {what} - {change}", body=f"=> {body} <=")
