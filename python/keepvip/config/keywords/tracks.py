"""What instances and sync groups can track (config-keywords.md 7.4)."""

from __future__ import annotations

from keepvip.config.keyword import Arg, Block, Keyword, Tier, not_yet, table
from keepvip.config.keywords.arguments import IFNAME, NAME, REVERSE, REVERSE_OR_NOT, WEIGHT_253, WEIGHT_254

TRACKING = "tracking"


def _track(name: str, what: str, first: Arg, weight: Arg, reverse: Arg, tier: Tier, since: str = "") -> Keyword:
    return Keyword(
        name,
        (),
        f"{what} that this depends on: with a weight its state changes the priority, without one its loss is FAULT.",
        "none",
        tier,
        since,
        not_yet(TRACKING, f"the state of its {what.lower()} changes nothing: their failure causes no takeover"),
        "add",
        Block(
            name,
            "entries",
            table(
                Keyword(
                    "weight",
                    (weight, reverse),
                    "Added to the priority while good (positive) or bad (negative); reverse swaps the two.",
                    "that of the tracked object; 0 means FAULT while bad",
                    tier,
                ),
            ),
            (first,),
            what.lower().removesuffix("s"),
        ),
    )


TRACK_INTERFACE = _track("track_interface", "Interfaces", IFNAME, WEIGHT_253, REVERSE, "A")
TRACK_SCRIPT = _track("track_script", "Scripts", NAME, WEIGHT_253, REVERSE_OR_NOT, "A", "1.1.13")
TRACK_FILE = _track("track_file", "Files", NAME, WEIGHT_254, REVERSE_OR_NOT, "B", "2.0.0")
TRACK_PROCESS = _track("track_process", "Processes", NAME, WEIGHT_254, REVERSE_OR_NOT, "B", "2.0.11")
TRACK_BFD = _track("track_bfd", "BFD sessions", NAME, WEIGHT_253, REVERSE_OR_NOT, "C", "2.0.0")
