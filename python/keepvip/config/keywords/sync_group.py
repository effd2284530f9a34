"""`vrrp_sync_group` (config-keywords.md 5)."""

from __future__ import annotations

from keepvip.config.keyword import Block, Keyword, deprecated, table
from keepvip.config.keywords.arguments import BOOL, NAME
from keepvip.config.keywords.notify import NOTIFY, NOTIFY_ANY, SMTP_ALERT
from keepvip.config.keywords.tracks import TRACK_BFD, TRACK_FILE, TRACK_INTERFACE, TRACK_PROCESS, TRACK_SCRIPT

VRRP_SYNC_GROUP = Block(
    "vrrp_sync_group",
    "keywords",
    table(
        Keyword(
            "group",
            (),
            "Names of the instances that change state together. An instance can be in one group only.",
            "required",
            "A",
            duplicates="first",
            block=Block("group", "words", args=(NAME,), entry_name="instance"),
        ),
        TRACK_INTERFACE,
        TRACK_SCRIPT,
        TRACK_FILE,
        TRACK_PROCESS,
        TRACK_BFD,
        *NOTIFY,
        NOTIFY_ANY,
        SMTP_ALERT,
        Keyword(
            "sync_group_tracking_weight",
            (),
            "Lets the members keep weights of their own trackers; without it these are neutralised.",
            "off",
            "B",
            "2.0.0",
        ),
        Keyword(
            "global_tracking",
            (),
            "Older name of sync_group_tracking_weight.",
            "off",
            "C",
            "1.2.3",
            deprecated("sync_group_tracking_weight"),
        ),
        Keyword(
            "notify_priority_changes",
            (BOOL,),
            "Default of the members for notify_priority_changes.",
            "vrrp_notify_priority_changes",
            "C",
            "2.0.16",
        ),
    ),
)
