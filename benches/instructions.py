"""What the core costs, in instructions per advert, counted by callgrind: the same on every run of the same code.

    python benches/instructions.py [--annotate FILE]

Exit status 1 when a path costs more than the limit in `LIMITS`; a figure far below it is a reason to lower it. Other
compilers and processors differ by some per cent, so a limit stands a tenth above what was measured. `--annotate FILE`
keeps callgrind's output of the master for callgrind_annotate or kcachegrind.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUTERS, INTERVALS = 255, 40
LIMITS = {"master": 1420, "backup": 1700, "filtered": 510}
"""Instructions per advert: sent; heard; kept by the filter and asked for later. Status for others is part of it."""


def build() -> Path:
    """The program, with names; gives its path."""
    options = ("--config", "profile.release.strip=false", "--config", "profile.release.debug=1")
    command = ("cargo", "build", "--locked", "--quiet", "--release", "-p", "keepvip-proto", "--example", "steady")
    subprocess.run([*command, *options], cwd=ROOT, check=True)
    return ROOT / "target/release/examples/steady"


def count(program: Path, mode: str, out: Path) -> tuple[int, int]:
    """Instructions of a run, and the adverts in it."""
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", str(program), mode]
    done = subprocess.run([*command, str(ROUTERS), str(INTERVALS)], capture_output=True, text=True, check=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None:
        raise RuntimeError(done.stderr)
    return int(found[1]), int(done.stdout)


def main() -> int:
    """Counts and judges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotate", type=Path)
    asked = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("valgrind is not installed (tools/system.sh test)")
        return 2
    program = build()
    too_much = False
    with tempfile.TemporaryDirectory() as folder:
        for mode, limit in LIMITS.items():
            out = asked.annotate if asked.annotate and mode == "master" else Path(folder, mode)
            work, adverts = count(program, mode, out)
            nothing, before = count(program, f"idle-{mode}", Path(folder, "idle"))
            each = (work - nothing) / (adverts - before)
            too_much |= each > limit
            print(f"{mode:10} {each:7.0f} instructions per advert, limit {limit}{'  TOO MUCH' if each > limit else ''}")
    return 1 if too_much else 0


if __name__ == "__main__":
    sys.exit(main())
