"""Finds and removes what a lab run left behind, and nothing else.

Every process a lab starts carries ``KEEPVIP_LAB_RUN=<run id>`` in its environment and every lab directory has the run
id in its name. The id names the process that owns the run by pid *and* start time, so a later process with the same pid
is not taken for it, and by pid namespace, so a lab in a container is not taken for dead from outside of it. Namespaces
need no janitor: they have no names and end with the last process in them.
"""

import os
import secrets
import shutil
import signal
import tempfile
import time
from pathlib import Path

RUN_VARIABLE = "KEEPVIP_LAB_RUN"
DIRECTORY_PREFIX = "keepvip-lab-"
_ENVIRONMENT_KEY = f"{RUN_VARIABLE}=".encode()


def _start_time(pid: int) -> str | None:
    """Field 22 of /proc/PID/stat: start time in clock ticks since boot; None if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]


def _pid_namespace() -> str:
    return str(Path("/proc/self/ns/pid").stat().st_ino)


def new_run_id() -> str:
    """A run id owned by this process: PID.STARTTIME.PIDNAMESPACE.RANDOM."""
    pid = os.getpid()
    return f"{pid}.{_start_time(pid)}.{_pid_namespace()}.{secrets.token_hex(3)}"


def owner_is_alive(run_id: str) -> bool:
    """Whether the process that owns the run still exists.

    An id of unknown form and one of another pid namespace count as alive: not ours to touch.
    """
    pid, _, rest = run_id.partition(".")
    start, _, rest = rest.partition(".")
    namespace, _, token = rest.partition(".")
    if not (pid.isdigit() and start.isdigit() and token and namespace == _pid_namespace()):
        return True
    return _start_time(int(pid)) == start


def run_id_of(pid: int) -> str | None:
    """The run id in the environment of a process; None if it has none or may not be read."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    for entry in environment.split(b"\0"):
        if entry.startswith(_ENVIRONMENT_KEY):
            return entry[len(_ENVIRONMENT_KEY) :].decode(errors="replace")
    return None


def processes_of(run_id: str) -> list[int]:
    """The pids of all processes that carry the run id, except this one."""
    me = os.getpid()
    return [pid for pid in _all_pids() if pid != me and run_id_of(pid) == run_id]


def _all_pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def kill_run(run_id: str, *, timeout_s: float = 5.0) -> None:
    """Kill every process of a run and wait until they are gone (bounded)."""
    deadline = time.monotonic() + timeout_s
    seen: set[int] = set()
    while remaining := processes_of(run_id):
        seen.update(remaining)
        for pid in remaining:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            raise TimeoutError(f"lab processes {remaining} of run {run_id} do not die")
        time.sleep(0.005)
    for pid in seen:  # daemons that had left their parent are our children now (`become_subreaper`): leave no zombies
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            continue


def sweep() -> list[str]:
    """Remove processes and directories of runs whose owner is dead; gives the run ids that were removed."""
    removed: set[str] = set()
    for pid in _all_pids():
        if (run_id := run_id_of(pid)) and not owner_is_alive(run_id):
            kill_run(run_id)
            removed.add(run_id)
    for path in Path(tempfile.gettempdir()).glob(f"{DIRECTORY_PREFIX}*"):
        run_id = path.name.removeprefix(DIRECTORY_PREFIX)
        if not owner_is_alive(run_id):
            shutil.rmtree(path, ignore_errors=True)
            removed.add(run_id)
    return sorted(removed)
