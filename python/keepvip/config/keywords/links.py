"""Blocks about interfaces: announcement groups, link polling, delays; and the groups of static items
(config-keywords.md 3 and 6)."""

from __future__ import annotations

from keepvip.config.keyword import Arg, Block, Keyword, table
from keepvip.config.keywords.arguments import GROUP_GAP, IFNAME, NAME

_DELAY = Arg("int", "SECONDS", low=0, high=255, unit="seconds")

TRACK_GROUP = Block(
    "track_group",
    "keywords",
    table(
        Keyword(
            "group",
            (),
            "Instances that follow the interfaces of the static addresses, routes and rules that name this group.",
            "required",
            "C",
            "2.0.3",
            duplicates="add",
            block=Block("group", "words", args=(NAME,), entry_name="instance"),
        ),
    ),
)

GARP_GROUP = Block(
    "garp_group",
    "keywords",
    table(
        Keyword("garp_interval", (GROUP_GAP,), "Smallest gap between gratuitous ARPs.", "none", "C", "1.2.21"),
        Keyword("gna_interval", (GROUP_GAP,), "Smallest gap between neighbour advertisements.", "none", "C", "1.2.21"),
        Keyword("interface", (IFNAME,), "The interface that this is for.", "none", "C", "1.2.21"),
        Keyword(
            "interfaces",
            (),
            "Interfaces that share one limit.",
            "none",
            "C",
            "1.2.21",
            duplicates="add",
            block=Block("interfaces", "words", args=(IFNAME,), entry_name="interface"),
        ),
    ),
)

LINKBEAT_INTERFACES = Block(
    "linkbeat_interfaces",
    "entries",
    {},
    (IFNAME, Arg("choice", "METHOD", choices=("MII", "ETHTOOL", "IOCTL"), optional=True)),
    "interface",
)

INTERFACE_UP_DOWN_DELAYS = Block(
    "interface_up_down_delays",
    "entries",
    {},
    (IFNAME, _DELAY, Arg("int", "SECONDS", low=0, high=255, unit="seconds", optional=True)),
    "interface",
)
