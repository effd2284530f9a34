"""Objects that can be tracked: scripts, processes, files, BFD sessions (config-keywords.md 8 to 11)."""

from __future__ import annotations

from keepvip.config.keyword import Arg, Block, Keyword, table
from keepvip.config.keywords.arguments import (
    ADDRESS,
    BOOL,
    COMMAND,
    COUNT_1,
    GROUP,
    PATH,
    REVERSE,
    STRING,
    USER,
    WEIGHT_253,
    WEIGHT_254,
)

_SCRIPT_TIME = Arg("seconds", "SECONDS", low=1_000, high=4_294_000_000, unit="seconds", decimals=3)
_DELAY = Arg("seconds", "SECONDS", low=1, high=3_600_000_000, unit="seconds")
_MS_1 = Arg("milliseconds", "MILLISECONDS", low=1_000, high=4_294_967_295, unit="ms")
_TTL = Arg("int", "TTL", low=1, high=255)

VRRP_SCRIPT = Block(
    "vrrp_script",
    "keywords",
    table(
        Keyword(
            "script",
            (COMMAND,),
            "The command; exit status 0 is success.",
            "required",
            "A",
            "1.1.13",
            missing_ignored=True,
        ),
        Keyword("interval", (_SCRIPT_TIME,), "Time from one start to the next.", "1", "A", "1.1.13"),
        Keyword(
            "timeout",
            (_SCRIPT_TIME,),
            "How long a run may take; longer counts as failure.",
            "interval",
            "A",
            "1.1.18",
        ),
        Keyword(
            "weight",
            (WEIGHT_253, REVERSE),
            "Default weight: added while good (positive) or bad (negative); 0 means FAULT while bad.",
            "0",
            "A",
            "1.1.13",
        ),
        Keyword("rise", (COUNT_1,), "Successes in a row that make it good.", "1", "A", "1.1.18"),
        Keyword("fall", (COUNT_1,), "Failures in a row that make it bad.", "1", "A", "1.1.18"),
        Keyword("user", (USER, GROUP), "Who runs it.", "script_user", "A", "1.3.0"),
        Keyword(
            "init_fail",
            (),
            "Bad until the first successes, instead of waiting for the first result.",
            "off",
            "B",
            "1.3.2",
        ),
    ),
)

VRRP_TRACK_PROCESS = Block(
    "vrrp_track_process",
    "keywords",
    table(
        Keyword(
            "process",
            (STRING, Arg("word", "ARGUMENT", optional=True, repeat=True)),
            "Process to count, by name or, with arguments, by command line.",
            "required",
            "B",
            "2.0.11",
            duplicates="first",
        ),
        Keyword(
            "param_match",
            (Arg("choice", "HOW", choices=("initial", "partial"), optional=True),),
            "How the arguments are compared: exactly, the first ones, or the first ones with the last cut short.",
            "exact when arguments are given",
            "C",
            "2.0.16",
        ),
        Keyword(
            "weight",
            (WEIGHT_254, REVERSE),
            "Default weight; a second one is ignored.",
            "0",
            "B",
            "2.0.11",
            duplicates="first",
            missing_ignored=True,
        ),
        Keyword(
            "quorum", (Arg("int", "COUNT", low=1, high=65535),), "Smallest number of processes.", "1", "B", "2.0.11"
        ),
        Keyword(
            "quorum_max",
            (Arg("int", "COUNT", low=0, high=65535),),
            "Largest number of processes; 0: it must not run.",
            "unlimited",
            "C",
            "2.0.16",
        ),
        Keyword("delay", (_DELAY,), "Both of the delays below.", "0", "C", "2.0.11"),
        Keyword("terminate_delay", (_DELAY,), "How long a loss must last to be believed.", "0", "C", "2.0.16"),
        Keyword("fork_delay", (_DELAY,), "How long a gain must last to be believed.", "0", "C", "2.0.16"),
        Keyword("full_command", (), "Compares the command line, not the name.", "off", "C", "2.0.11"),
    ),
)


def track_file_block(name: str) -> Block:
    """`track_file` and its older name have the same content."""
    return Block(
        name,
        "keywords",
        table(
            Keyword(
                "file",
                (PATH,),
                "The file; its directory must exist on a file system that reports changes.",
                "required",
                "B",
                "2.0.0",
                duplicates="first",
                missing_ignored=True,
            ),
            Keyword(
                "weight",
                (WEIGHT_254, REVERSE),
                "Factor of the number in the file; 0: content other than 0 means FAULT.",
                "1",
                "B",
                "2.0.0",
                missing_ignored=True,
            ),
            Keyword(
                "init_file",
                (Arg("rest", "VALUE overwrite", optional=True),),
                "Makes the file at the start, with VALUE or 0, if it is missing; with overwrite always.",
                "not made",
                "B",
                "2.0.0",
            ),
        ),
    )


BFD_INSTANCE = Block(
    "bfd_instance",
    "keywords",
    table(
        Keyword("neighbor_ip", (ADDRESS,), "The peer.", "required", "B", "2.0.0"),
        Keyword("neighbour_ip", (ADDRESS,), "The same as neighbor_ip.", "", "B", "2.0.0"),
        Keyword("source_ip", (ADDRESS,), "Local address, of the family of the peer.", "any", "B", "2.0.0"),
        Keyword("min_rx", (_MS_1,), "Required minimum receive interval.", "10", "B", "2.0.0"),
        Keyword("min_tx", (_MS_1,), "Desired transmit interval.", "10", "B", "2.0.0"),
        Keyword(
            "idle_tx",
            (Arg("milliseconds", "MILLISECONDS", low=1_000_000, high=4_294_967_295, unit="ms"),),
            "Transmit interval while the session is not up.",
            "1000",
            "C",
            "2.0.0",
        ),
        Keyword("multiplier", (Arg("int", "COUNT", low=1, high=255),), "Detection multiplier.", "5", "B", "2.0.0"),
        Keyword("passive", (), "Sends nothing before the peer does.", "off", "C", "2.0.0"),
        Keyword("ttl", (_TTL,), "TTL of what is sent.", "255; 64 for IPv6", "C", "2.0.0"),
        Keyword("hoplimit", (_TTL,), "The same as ttl.", "", "C", "2.0.0"),
        Keyword(
            "max_hops",
            (Arg("int", "HOPS", low=-1, high=255),),
            "By how much the TTL received may be below ttl; -1: no limit.",
            "0",
            "C",
            "2.0.0",
        ),
        Keyword("multihop", (BOOL,), "Multihop BFD, port 4784.", "off", "C", "2.2.8"),
        Keyword("weight", (WEIGHT_253, REVERSE), "Default weight where instances track it.", "0", "B", "2.0.0"),
        Keyword("vrrp", (), "Events go to VRRP only.", "to both", "C", "2.0.0"),
        Keyword("checker", (), "Events go to the checkers only.", "to both", "C", "2.0.0"),
    ),
)

__all__ = ["BFD_INSTANCE", "VRRP_SCRIPT", "VRRP_TRACK_PROCESS", "track_file_block"]
