"""One process in a node: started in the node's namespaces, watched, signalled, and never left behind."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from keepvip.lab.errors import LabError, LabTimeoutError
from keepvip.lab.janitor import RUN_VARIABLE
from keepvip.lab.namespace import MountNamespace, NetworkNamespace

_POLL_S = 0.002


class LabProcess:
    """A program in a node. Its output goes to a log file unless other descriptors are given.

    The program replaces the launcher by exec(2), so `pid` is the program's own pid, and the kernel kills it
    (PR_SET_PDEATHSIG) when the process that owns the lab dies.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        network: NetworkNamespace,
        mounts: MountNamespace,
        run_id: str,
        log: Path,
        environment: dict[str, str] | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        die_with_lab: bool = True,
    ) -> None:
        self.argv = list(argv)
        self.log = log
        launcher = ["nsenter", f"--mount=/proc/self/fd/{mounts.fd}", "--"]
        if die_with_lab:
            launcher += ["setpriv", "--pdeathsig", "KILL", "--"]
        out: IO[bytes] | None = None
        if stdout is None or stderr is None:
            out = log.open("ab")
        try:
            with network.entered():
                self.started_ns = time.time_ns()
                self._popen = subprocess.Popen(
                    [*launcher, *argv],
                    stdin=subprocess.DEVNULL,
                    stdout=out if stdout is None else stdout,
                    stderr=out if stderr is None else stderr,
                    env={**os.environ, **(environment or {}), RUN_VARIABLE: run_id},
                    pass_fds=(mounts.fd,),
                    cwd="/",
                )
        except FileNotFoundError as error:
            raise LabError(f"cannot start {argv[0]}: {error}") from error
        finally:
            if out is not None:
                out.close()

    @property
    def pid(self) -> int:
        """The program's pid."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether the program has not ended yet."""
        return self._popen.poll() is None

    @property
    def exit_status(self) -> int | None:
        """Exit status, negative signal number, or None while it runs."""
        return self._popen.poll()

    def log_text(self) -> str:
        """What the program has written so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def signal(self, number: int) -> int:
        """Send a signal to the program; gives the time just before (CLOCK_REALTIME, ns)."""
        now_ns = time.time_ns()
        self._popen.send_signal(number)
        return now_ns

    def wait(self, timeout_s: float) -> int:
        """Wait for the end of the program and give its exit status."""
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            text = f"{self.argv[0]} still runs after {timeout_s} s; log:\n{tail(self.log_text())}"
            raise LabTimeoutError(text) from None

    def stop(self, timeout_s: float = 10.0) -> int:
        """SIGTERM and wait; gives the exit status."""
        if self.running:
            self.signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def crash(self) -> int:
        """Kill the program and all its children at once, as a power cut would; gives the time (CLOCK_REALTIME, ns).

        The parent is stopped first, so that it can neither restart a child nor tell it to end in good order.
        """
        family = list(self.family())
        for pid in family:
            _kill(pid, signal.SIGSTOP)
        now_ns = time.time_ns()
        for pid in reversed(family):
            _kill(pid, signal.SIGKILL)
        self._popen.wait(5.0)
        _wait_gone([pid for pid in family if pid != self.pid])
        return now_ns

    def pause(self) -> int:
        """SIGSTOP to the program and all its children; gives the time (CLOCK_REALTIME, ns)."""
        now_ns = time.time_ns()
        for pid in self.family():
            _kill(pid, signal.SIGSTOP)
        return now_ns

    def resume(self) -> int:
        """SIGCONT to the program and all its children; gives the time (CLOCK_REALTIME, ns)."""
        now_ns = time.time_ns()
        for pid in self.family():
            _kill(pid, signal.SIGCONT)
        return now_ns

    def family(self) -> Iterator[int]:
        """The program and its descendants, parents first."""
        yield from descendants(self.pid)


def descendants(pid: int) -> Iterator[int]:
    """A process and everything below it, parents first."""
    yield pid
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return
    for task in tasks:
        try:
            children = (task / "children").read_text()
        except OSError:
            continue
        for child in children.split():
            yield from descendants(int(child))


def tail(text: str, lines: int = 25) -> str:
    """The last lines of a log, for error messages."""
    return "\n".join(text.splitlines()[-lines:])


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it was faster


def _wait_gone(pids: list[int], timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while alive := [pid for pid in pids if not reaped(pid)]:
        if time.monotonic() > deadline:
            raise LabTimeoutError(f"processes {alive} do not die")
        time.sleep(_POLL_S)


def reaped(pid: int) -> bool:
    """Whether a process is gone for good; reaps it if it is an orphan that became our child (`become_subreaper`)."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return not Path(f"/proc/{pid}").exists()
