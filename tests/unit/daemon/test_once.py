"""The scripts before the start and after the end."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from keepvip.config.model import GlobalDefs, Script
from keepvip.daemon.once import run_once

if TYPE_CHECKING:
    from pathlib import Path


def script(folder: Path, body: str) -> Script:
    path = folder / "script"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return Script(argv=(str(path), "one", "two words"), text=f"{path} one 'two words'")


def run(made: Script, timeout_s: int = 10, defs: GlobalDefs | None = None) -> list[str]:
    said = run_once("startup_script", made, timeout_s, defs or GlobalDefs())
    return [line for line in said if "runs as root although" not in line]


def test_runs_to_its_end(tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = script(tmp_path, f'sleep 0.1; echo "$#" "$2" > {out}; umask >> {out}')
    assert run(made, defs=GlobalDefs(umask=0o27)) == []
    assert out.read_text().splitlines() == ["2 two words", "0027"]


def test_failures_are_told(tmp_path: Path) -> None:
    (said,) = run(script(tmp_path, "exit 3"))
    assert ": exit status 3 after" in said
    (said,) = run(script(tmp_path, "kill -9 $$"))
    assert ": killed by signal 9 after" in said
    (said,) = run(Script(argv=("/none",), text="/none"))
    assert "does not exist; not run" in said


def test_time_limit_ends_the_whole_group(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    began_s = time.monotonic()
    (said,) = run(script(tmp_path, f"sleep 100 & echo $! > {pid}\nwait"), timeout_s=1)
    assert said.endswith("timed out after 1 s and was ended")
    assert time.monotonic() - began_s < 3
    child = int(pid.read_text())
    deadline = time.monotonic() + 5
    while os.path.exists(f"/proc/{child}") and " Z " not in _stat(child):  # noqa: PTH110
        assert time.monotonic() < deadline


def test_sigterm_that_is_ignored(tmp_path: Path) -> None:
    began_s = time.monotonic()
    (said,) = run(script(tmp_path, "trap '' TERM\nwhile :; do sleep 0.1; done"), timeout_s=1)
    assert "timed out" in said
    assert 2.9 < time.monotonic() - began_s < 6


def _stat(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return " Z "
