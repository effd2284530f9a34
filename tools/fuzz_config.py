"""Fuzz the compiler of the configuration with coverage: any bytes end in findings, never in an exception or a hang.

    python tools/fuzz_config.py [CORPUS_DIR] [-max_total_time=60] [-max_len=4096]

Needs atheris (`pip install atheris`); the options are libFuzzer's. What it finds becomes a test in
tests/unit/config_lang. The hypothesis tests there run always; this one is for a longer look.
"""

import os
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["keepvip.config"]):
    from keepvip.config.load import load
    from keepvip.config.render import render, to_json

SEEDS = (*Path("examples").rglob("*.conf"), *Path("/usr/share/doc/keepalived/samples").glob("*"))
SLOW_S = 5


def one(data: bytes) -> None:
    """Everything that a file goes through: language, model, checks, and the words for what was found."""
    result = load(data, config_id="node", name="fuzzed.conf")
    render(result.diagnostics)
    to_json(result.diagnostics)


def main() -> None:
    """Start libFuzzer; without a corpus of its own it begins with the examples."""
    arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        if not any(not word.startswith("-") for word in arguments):
            for number, seed in enumerate(path for path in SEEDS if path.is_file()):
                Path(folder, str(number)).write_bytes(seed.read_bytes())
            arguments.append(folder)
        # Includes in the fuzzed text must not reach anything: they are read from an empty folder.
        os.chdir(tempfile.mkdtemp(dir=folder))
        atheris.Setup([sys.argv[0], f"-timeout={SLOW_S}", *arguments], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
