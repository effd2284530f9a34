"""`keepvip`: the command line.

`keepvip run` is handled first and by hand: nothing that only the other commands need (click, rich) may be
imported before the first advertisement leaves.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """Entry point of the console script; returns the exit status."""
    if sys.argv[1:2] == ["run"]:
        from keepvip.cli.run import main as run  # noqa: PLC0415

        return run(sys.argv[2:])
    if sys.argv[1:2] == ["genhash"]:  # with the options of keepalived's program, which are not read as click's are
        from keepvip.cli.genhash import main as genhash  # noqa: PLC0415

        return genhash(sys.argv[2:])
    from keepvip.cli.commands import main as commands  # noqa: PLC0415

    return commands()
