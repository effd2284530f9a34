"""Notification of instances and sync groups."""

from __future__ import annotations

from keepvip.config.keyword import Keyword
from keepvip.config.keywords.arguments import BOOL, SCRIPT

NOTIFY = (
    Keyword("notify_master", (SCRIPT,), "Run when it becomes MASTER.", "none", "A", duplicates="first"),
    Keyword("notify_backup", (SCRIPT,), "Run when it becomes BACKUP.", "none", "A", duplicates="first"),
    Keyword("notify_fault", (SCRIPT,), "Run when it goes to FAULT.", "none", "A", duplicates="first"),
    Keyword(
        "notify_stop",
        (SCRIPT,),
        "Run when the daemon stops, which waits about a second for it.",
        "none",
        "A",
        "1.1.13",
        duplicates="first",
    ),
)

NOTIFY_ANY = Keyword(
    "notify",
    (SCRIPT,),
    "Run on every change of state with four more arguments: INSTANCE or GROUP, its name, the state, the priority"
    " (0 for a group).",
    "none",
    "A",
    "1.1.2",
    duplicates="first",
)

SMTP_ALERT = Keyword(
    "smtp_alert",
    (BOOL,),
    "Sends a mail on every change of state.",
    "smtp_alert_vrrp, else smtp_alert, else off; on if mail is set up and no smtp_alert stands anywhere",
    "A",
)
