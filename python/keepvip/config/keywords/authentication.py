"""The two ways to prove that an advert comes from a friend (config-keywords.md 7.6)."""

from __future__ import annotations

from keepvip.config.keyword import Arg, Block, Keyword, table
from keepvip.config.keywords.arguments import STRING

AUTHENTICATION = Block(
    "authentication",
    "keywords",
    table(
        Keyword(
            "auth_type",
            (Arg("choice", "TYPE", choices=("PASS", "AH")),),
            "Kind of VRRPv2 authentication: a plain password, or an IPsec AH header with HMAC-MD5 (IPv4 only).",
            "none",
            "A",
        ),
        Keyword(
            "auth_pass",
            (STRING,),
            "The password; everything after 8 bytes is cut off, and with PASS anybody on the network can read it.",
            "none",
            "A",
        ),
    ),
)

AUTH_HMAC = Block(
    "auth_hmac",
    "keywords",
    table(
        Keyword(
            "key",
            (Arg("int", "ID", low=1, high=255, strict=True), STRING),
            "A key of 32 to 64 bytes with its number: text, hex:DIGITS or file:PATH. May be repeated.",
            "required",
            "B",
            "2.4.0",
            duplicates="add",
        ),
        Keyword(
            "active_key",
            (Arg("int", "ID", low=1, high=255, strict=True),),
            "Number of the key that signs what is sent.",
            "required",
            "B",
            "2.4.0",
        ),
        Keyword(
            "time_window",
            (Arg("int", "SECONDS", low=1, high=300, unit="seconds"),),
            "Largest difference accepted between the clocks of the routers.",
            "three advert intervals, 5..300 seconds",
            "C",
            "2.4.0",
        ),
        Keyword(
            "anti_replay",
            (Arg("choice", "MODE", choices=("time", "monotonic")),),
            "How replays are recognised: by clock and growing sequence, or by the growing sequence alone.",
            "time",
            "C",
            "2.4.0",
        ),
        Keyword(
            "mode",
            (Arg("choice", "MODE", choices=("enforce", "permissive", "receive-only")),),
            "Whether unsigned adverts are rejected, accepted, or accepted while nothing is signed here either.",
            "enforce",
            "B",
            "2.4.0",
        ),
    ),
)
