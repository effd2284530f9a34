"""The scripts before the start and after the end (`startup_script`, `shutdown_script`; config-keywords.md 2.1).

The daemon waits for them, so they have a time limit: SIGTERM to the process group after it, SIGKILL 2 s later.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from keepvip.script.host import RealHost
from keepvip.script.runner import KILL_AFTER_S
from keepvip.script.security import vet_script

if TYPE_CHECKING:
    from keepvip.config.model import GlobalDefs, Script
    from keepvip.script.command import Command

__all__ = ["run_once"]

_NOT_PASSED_ON = frozenset({"IFS", "LD_PRELOAD", "LD_LIBRARY_PATH"})


def run_once(keyword: str, script: Script, timeout_s: int, defs: GlobalDefs) -> list[str]:
    """Runs a script to its end, or to the end of its time; returns what there is to say about it. Blocks."""
    vetted = vet_script(script, keyword, defs, RealHost())
    said = [finding.message for finding in vetted.findings]
    if vetted.command is None:
        return said
    try:
        ended = _run(vetted.command, timeout_s, defs.umask)
    except OSError as error:
        return [*said, f"{keyword} `{script.text}` could not be started: {error.strerror}"]
    return [*said, f"{keyword} `{script.text}`: {ended}"] if ended else said


def _run(command: Command, timeout_s: int, umask: int | None) -> str:
    identity = command.identity
    began_s = time.monotonic()
    process = subprocess.Popen(
        command.argv,
        executable=command.path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON},
        process_group=0,
        umask=-1 if umask is None else umask,
        user=identity.uid if identity.switch else None,
        group=identity.gid if identity.switch else None,
        extra_groups=identity.groups if identity.switch else None,
    )
    late = ""
    try:
        status = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        late = f"timed out after {timeout_s} s and was ended"
        _kill(process.pid, signal.SIGTERM)
        try:
            status = process.wait(KILL_AFTER_S)
        except subprocess.TimeoutExpired:
            _kill(process.pid, signal.SIGKILL)
            status = process.wait()
    if late:
        return late
    took = f"after {time.monotonic() - began_s:.3f} s"
    if status < 0:
        return f"killed by signal {-status} {took}"
    return f"exit status {status} {took}" if status else ""


def _kill(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
