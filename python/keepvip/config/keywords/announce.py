"""Announcing and notifying: what an instance does besides adverts (config-keywords.md 7.5)."""

from __future__ import annotations

from keepvip.config.keyword import Arg, Keyword, deprecated
from keepvip.config.keywords.arguments import ALL, BOOL, COUNT_0, GARP_SECONDS, IFNAME, REPEAT, SCRIPT, SECONDS_U32
from keepvip.config.keywords.notify import NOTIFY, NOTIFY_ANY, SMTP_ALERT

GARP = (
    Keyword(
        "garp_master_delay",
        (GARP_SECONDS,),
        "When the second batch of gratuitous ARP or NA follows after becoming master; 0 = no second batch.",
        "vrrp_garp_master_delay (5)",
        "B",
    ),
    Keyword(
        "garp_master_repeat",
        (REPEAT,),
        "Messages per address in each batch.",
        "vrrp_garp_master_repeat (5)",
        "B",
        "1.2.14",
    ),
    Keyword(
        "garp_master_refresh",
        (SECONDS_U32,),
        "Period of further batches while master; 0 = none.",
        "vrrp_garp_master_refresh (0)",
        "B",
        "1.2.10",
    ),
    Keyword(
        "garp_master_refresh_repeat",
        (REPEAT,),
        "Messages per address in each of these further batches.",
        "vrrp_garp_master_refresh_repeat (1)",
        "B",
        "1.2.14",
    ),
    Keyword(
        "garp_lower_prio_delay",
        (GARP_SECONDS,),
        "When the second batch follows after an advert of lower priority was received.",
        "vrrp_garp_lower_prio_delay; 0 in strict mode",
        "C",
        "1.2.20",
    ),
    Keyword(
        "garp_lower_prio_repeat",
        (COUNT_0,),
        "Messages per address after an advert of lower priority was received; 0 = none.",
        "vrrp_garp_lower_prio_repeat; 0 in strict mode",
        "C",
        "1.2.20",
    ),
    Keyword(
        "garp_extra_if",
        (ALL, Arg("int", "SECONDS", low=0, high=86_400, unit="seconds")),
        "While master, announces the addresses on the extra VMAC interfaces (all: on every other interface) so often.",
        "vrrp_garp_extra_if (0)",
        "C",
        "2.2.3",
        missing_ignored=True,
    ),
    Keyword(
        "vmac_garp_intvl",
        (ALL, Arg("int", "SECONDS", low=0, high=86_400, unit="seconds")),
        "Older name of garp_extra_if.",
        "vrrp_garp_extra_if (0)",
        "C",
        support=deprecated("garp_extra_if", recorded=True),
        missing_ignored=True,
    ),
)

NOTIFICATION = (
    *NOTIFY,
    Keyword(
        "notify_deleted",
        (Arg("script", "COMMAND", optional=True),),
        "Run when a reload removes the instance, which is then reported as DELETED instead of FAULT.",
        "off: reported as FAULT",
        "C",
        "2.1.0",
        duplicates="first",
    ),
    NOTIFY_ANY,
    Keyword(
        "notify_master_rx_lower_pri",
        (SCRIPT,),
        "Run when a master receives an advert of lower priority.",
        "none",
        "C",
        "2.0.6",
        duplicates="first",
    ),
    Keyword(
        "notify_priority_changes",
        (BOOL,),
        "Reports changes of the effective priority to the FIFOs, too.",
        "that of the sync group, else vrrp_notify_priority_changes",
        "C",
        "2.0.16",
    ),
    SMTP_ALERT,
    Keyword(
        "lvs_sync_daemon_interface",
        (IFNAME,),
        "Old way to run the IPVS sync daemon together with this instance; see lvs_sync_daemon.",
        "none",
        "C",
    ),
)
