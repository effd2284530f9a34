"""Address entries: `ADDRESS[/PREFIX] options` (config-keywords.md 4.1)."""

from __future__ import annotations

from keepvip.config.keyword import Arg, Block, Keyword, table
from keepvip.config.keywords.arguments import IFNAME, NAME

_PREFIX = Arg("prefix", "ADDRESS[/PREFIX]")

_COMMON = (
    Keyword("dev", (IFNAME,), "Interface that carries the address.", "interface of the instance", "A"),
    Keyword(
        "scope",
        (Arg("word", "SCOPE"),),
        "Scope of an IPv4 address: global, site, link, host, nowhere or a number.",
        "global",
        "B",
    ),
    Keyword(
        "brd",
        (Arg("word", "ADDRESS|+|-"),),
        "Broadcast address of an IPv4 address: + sets, - clears all host bits (prefix 30 or shorter).",
        "none",
        "B",
    ),
    Keyword("broadcast", (Arg("word", "ADDRESS|+|-"),), "The same as brd.", "none", "B"),
    Keyword(
        "label", (Arg("word", "LABEL"),), "Alias of an IPv4 address, up to 15 characters, such as eth0:1.", "none", "A"
    ),
    Keyword("peer", (_PREFIX,), "Point-to-point peer; the prefix is the peer's.", "none", "C"),
    Keyword("home", (), "Marks a Mobile IPv6 home address.", "off", "C", "1.3.6"),
    Keyword("-nodad", (), "Lets the kernel do duplicate address detection for this IPv6 address.", "no DAD", "C"),
    Keyword("mngtmpaddr", (), "Kernel address flag of that name.", "off", "C", "1.3.6"),
    Keyword("noprefixroute", (), "Kernel address flag of that name: no route to the subnet.", "off", "C", "1.3.6"),
    Keyword("autojoin", (), "Kernel address flag of that name.", "off", "C"),
    Keyword(
        "preferred_lft",
        (Arg("word", "SECONDS|forever"),),
        "Preferred lifetime of an IPv6 address; 0 keeps it from being chosen as a source.",
        "0 for /128, else forever",
        "C",
        "2.0.20",
    ),
    Keyword(
        "no_track",
        (),
        "The state of its interface does not matter to the instance, and its removal by others is ignored.",
        "off",
        "B",
    ),
)

VIRTUAL_ADDRESSES = Block(
    "virtual_ipaddress",
    "entries",
    table(
        *_COMMON,
        Keyword(
            "use_vmac",
            (),
            "Puts this address on a macvlan interface even if the instance does not use one.",
            "off",
            "C",
            "2.3.0",
        ),
    ),
    (_PREFIX,),
    "address",
)

STATIC_ADDRESSES = Block(
    "static_ipaddress",
    "entries",
    table(
        *_COMMON,
        Keyword("track_group", (NAME,), "The instances of this track_group follow the interface.", "none", "C"),
    ),
    (_PREFIX,),
    "address",
)
