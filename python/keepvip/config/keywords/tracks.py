"""What instances and sync groups can track (config-keywords.md 7.4)."""

from __future__ import annotations

from keepvip.config.keyword import ACTS, Arg, Block, Keyword, Support, Tier, not_yet, table
from keepvip.config.keywords.arguments import IFNAME, NAME, REVERSE, REVERSE_OR_NOT, WEIGHT_253, WEIGHT_254

TRACKING = "tracking"
WEIGHT_REDUCED = Arg("int", "WEIGHT", low=-254, high=254, strict=True)
"""-254 and 254 are taken as -253 and 253, with a message."""


def _track(
    name: str,
    what: str,
    first: Arg,
    weight: Arg,
    reverse: Arg,
    tier: Tier,
    since: str = "",
    *,
    support: Support | None = None,
) -> Keyword:
    return Keyword(
        name,
        (),
        f"{what[0].upper()}{what[1:]} that this depends on: with a weight its state changes the priority,"
        " without one its loss is FAULT.",
        "none",
        tier,
        since,
        support or not_yet(TRACKING, f"the state of its {what} changes nothing: their failure causes no takeover"),
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
            "tracked process" if what == "processes" else f"tracked {what.removesuffix('s')}",
        ),
    )


TRACK_INTERFACE = _track("track_interface", "interfaces", IFNAME, WEIGHT_REDUCED, REVERSE, "A", support=ACTS)
TRACK_SCRIPT = _track("track_script", "scripts", NAME, WEIGHT_REDUCED, REVERSE_OR_NOT, "A", "1.1.13", support=ACTS)
TRACK_FILE = _track("track_file", "files", NAME, WEIGHT_254, REVERSE_OR_NOT, "B", "2.0.0", support=ACTS)
TRACK_PROCESS = _track("track_process", "processes", NAME, WEIGHT_254, REVERSE_OR_NOT, "B", "2.0.11", support=ACTS)
TRACK_BFD = _track("track_bfd", "BFD sessions", NAME, WEIGHT_253, REVERSE_OR_NOT, "C", "2.0.0")
