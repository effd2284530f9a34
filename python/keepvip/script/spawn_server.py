"""The process that starts scripts: small, single-threaded, standard library only.

Why there is one. The daemon has a real-time thread and locked memory, and both are hurt by a fork: while the page
tables are copied every page fault of that thread waits, and afterwards each of its writes takes another fault to get
its page back. `vfork` avoids that, but holds the interpreter lock until the new program runs, which is as long as a
dead network mount likes, and it cannot change users. This process has neither problem: its fork copies little, changes
user, scheduling and signals in plain Python between fork and exec, and whatever waits there is a process of its own.

It is started by `spawner` as ``python -I -S spawn_server.py FD`` and talks over FD, a SOCK_SEQPACKET socket, one JSON
object per packet:

    request  {"op": "start", "job": N, "path", "argv", "switch", "uid", "gid", "groups", "umask"}
    request  {"op": "kill", "job": N, "grace_ms": N}     TERM to the process group, after the grace KILL
    answer   {"job": N, "pid": N}                        it was forked
    answer   {"job": N, "exit": CODE | "signal": N | "error": ERRNO, "stage": ..., "took_us": N}
    answer   {"job": N, "stuck": true, "took_us": N}     SIGKILL does not end it: it waits inside the kernel

A job that was told to end is answered for only when nothing of its process group is left, so that its successor never
runs beside it. When the daemon is gone (end of file), running scripts get SIGTERM and the process ends; should it be
killed itself, the kernel sends them the same signal (parent-death signal, vrrp-behaviour.md 13.2).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import shlex
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PACKET = 1 << 20
SCAN_S = 0.1
"""How often a group that was told to end is looked at while something of it is left."""
NOT_FOR_SCRIPTS = ("IFS", "LD_PRELOAD", "LD_LIBRARY_PATH")
"""Variables that scripts do not inherit (vrrp-behaviour.md 13.2)."""
STUCK_S = 1.0
"""A group that is still there so long after SIGKILL waits inside the kernel: nobody shall wait for it."""
PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
SHELL = "/bin/sh"


def _load_prctl() -> Callable[..., int] | None:
    """`prctl`, where this Python can call C; without it scripts get their last signal from us alone."""
    try:
        import ctypes  # noqa: PLC0415  (an optional part of Python)

        prctl: Callable[..., int] = ctypes.CDLL(None, use_errno=True).prctl
    except (ImportError, OSError, AttributeError):
        return None
    return prctl


class Job:
    """One script, from fork until nothing is left of it."""

    def __init__(self, number: int, pid: int, error_fd: int) -> None:
        self.number = number
        self.pid = pid
        self.error_fd = error_fd
        self.error = b""
        self.started = time.monotonic()
        self.kill_at: float | None = None
        """When the group gets SIGKILL; None while nobody has told it to end."""
        self.killed_at: float | None = None
        self.answered = False
        self.ended: os.waitid_result | None = None
        """How the first process ended; it stays a zombie (which keeps its number ours) until the group is empty."""


class Server:
    """All jobs, and the socket to the daemon."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._jobs: dict[int, Job] = {}
        self._by_error_fd: dict[int, Job] = {}
        self._pid = os.getpid()
        self._prctl = _load_prctl()
        self._null = os.open(os.devnull, os.O_RDWR)
        self._environment = {name: value for name, value in os.environ.items() if name not in NOT_FOR_SCRIPTS}
        self._poll = select.poll()
        self._wake_fd, wake_write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll.register(sock, select.POLLIN)
        self._poll.register(self._wake_fd, select.POLLIN)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)  # the end comes by the socket: stop scripts have yet to run
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write_fd, warn_on_full_buffer=False)
        if self._prctl is not None:
            self._prctl(PR_SET_NAME, b"keepvip-scripts", 0, 0, 0)
        _normal_scheduling()

    def run(self) -> None:
        """Serves until the daemon is gone."""
        while True:
            try:
                ready = self._poll.poll(self._timeout_ms())
            except InterruptedError:
                continue
            for fd, _ in ready:
                if fd == self._wake_fd:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake_fd, 4096)
                elif fd == self._sock.fileno():
                    if not self._receive():
                        self._end()
                        return
                elif fd in self._by_error_fd:
                    self._read_error(self._by_error_fd[fd])
            self._look_after()

    def _timeout_ms(self) -> float | None:
        """Until the next look at a group that was told to end; None = nothing to look at."""
        times = [job.kill_at for job in self._jobs.values() if job.kill_at is not None]
        if not times:
            return None
        wait_s = max(0.0, min(times) - time.monotonic())
        ending = any(job.kill_at is not None and job.ended is not None for job in self._jobs.values())
        return 1000 * (min(wait_s, SCAN_S) if ending else wait_s) + 1

    def _receive(self) -> bool:
        """One request; False at the end of the connection."""
        try:
            packet = self._sock.recv(MAX_PACKET)
        except ConnectionError:
            return False
        if not packet:
            return False
        request = json.loads(packet)
        if request["op"] == "start":
            self._start(request)
        else:
            self._kill(request)
        return True

    def _answer(self, **fields: int | str | None) -> None:
        with contextlib.suppress(ConnectionError):  # the daemon is gone: the next recv says so
            self._sock.send(json.dumps(fields).encode())

    def _start(self, request: dict[str, Any]) -> None:
        number = request["job"]
        try:
            error_fd, child_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            self._answer(job=number, error=error.errno, stage="pipe", took_us=0)
            return
        try:
            pid = os.fork()
        except OSError as error:
            os.close(error_fd)
            os.close(child_fd)
            self._answer(job=number, error=error.errno, stage="fork", took_us=0)
            return
        if pid == 0:
            self._child(request, child_fd)
        os.close(child_fd)
        with contextlib.suppress(OSError):  # the child does it too; whoever is first makes sure that it is done
            os.setpgid(pid, pid)
        job = Job(number, pid, error_fd)
        self._jobs[number] = job
        self._by_error_fd[error_fd] = job
        self._poll.register(error_fd, select.POLLIN)
        self._answer(job=number, pid=pid)

    def _child(self, request: dict[str, Any], error_fd: int) -> None:
        """Between fork and exec: becomes what a script expects to be. Never returns."""
        stage = "setup"
        number = errno.EIO
        try:
            signal.set_wakeup_fd(-1)
            os.setpgid(0, 0)
            for fd in (0, 1, 2):
                os.dup2(self._null, fd)
            for each in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(each, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            if request["umask"] is not None:
                os.umask(request["umask"])
            if request["switch"]:
                stage = "user"
                os.setgroups(request["groups"])
                os.setresgid(request["gid"], request["gid"], request["gid"])
                os.setresuid(request["uid"], request["uid"], request["uid"])
            stage = "parent"
            if self._prctl is not None:
                self._prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)  # after the user: a change clears it
            if os.getppid() != self._pid:
                os._exit(127)  # the server died in between
            stage = "exec"
            try:
                os.execve(request["path"], request["argv"], self._environment)
            except OSError as error:
                if error.errno != errno.ENOEXEC:
                    raise
                # neither a binary nor #!: the kernel knows best what it can run, so it is asked first
                words = [request["path"], *request["argv"][1:]]
                os.execve(SHELL, ["sh", "-c", shlex.join(words)], self._environment)
        except OSError as error:
            number = error.errno or errno.EIO
        except BaseException as error:  # nothing may return into the server's loop
            stage = f"{stage}: {error!r}"
        finally:
            with contextlib.suppress(OSError):
                os.write(error_fd, f"{number} {stage}".encode(errors="backslashreplace")[:512])
            os._exit(127)

    def _read_error(self, job: Job) -> None:
        """What the child could not do; an end of file means that the script runs."""
        try:
            data = os.read(job.error_fd, 1024)
        except BlockingIOError:
            return
        if data:
            job.error += data
        else:
            self._close_error(job)

    def _close_error(self, job: Job) -> None:
        if job.error_fd >= 0:
            self._poll.unregister(job.error_fd)
            del self._by_error_fd[job.error_fd]
            os.close(job.error_fd)
            job.error_fd = -1

    def _kill(self, request: dict[str, Any]) -> None:
        job = self._jobs.get(request["job"])
        if job is None:
            return  # it ended meanwhile, and its answer is on the way
        grace_s = request["grace_ms"] / 1000
        kill_at = time.monotonic() + grace_s
        job.kill_at = kill_at if job.kill_at is None else min(job.kill_at, kill_at)
        if grace_s > 0:
            self._signal(job, signal.SIGTERM)

    def _signal(self, job: Job, number: int) -> None:
        """To the whole process group. Its number cannot have been given to others: the first process is not reaped."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(job.pid, number)

    def _look_after(self) -> None:
        """Takes note of what ended, and brings to an end what was told to."""
        now = time.monotonic()
        for job in list(self._jobs.values()):
            if job.ended is None:
                job.ended = os.waitid(os.P_PID, job.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if job.kill_at is None:
                if job.ended is not None:
                    self._finish(job, job.ended)
            elif job.ended is not None and not group_lives(job.pid):
                self._finish(job, job.ended)
            elif now >= job.kill_at:
                self._signal(job, signal.SIGKILL)
                if job.killed_at is None:
                    job.killed_at = now
                stuck = now - job.killed_at >= STUCK_S
                job.kill_at = now + (STUCK_S if stuck else SCAN_S)  # again: a process may have been just in the making
                if stuck and not job.answered:
                    job.answered = True
                    self._answer(job=job.number, stuck=True, took_us=_since_us(job))

    def _finish(self, job: Job, ended: os.waitid_result) -> None:
        os.waitpid(job.pid, 0)
        if job.error_fd >= 0:
            self._read_error(job)
            self._close_error(job)
        del self._jobs[job.number]
        took_us = _since_us(job)
        if job.answered:
            return
        if job.error:
            number, _, stage = job.error.decode(errors="replace").partition(" ")
            self._answer(job=job.number, error=int(number), stage=stage, took_us=took_us)
        elif ended.si_code == os.CLD_EXITED:
            self._answer(job=job.number, exit=ended.si_status, took_us=took_us)
        else:
            self._answer(job=job.number, signal=ended.si_status, took_us=took_us)

    def _end(self) -> None:
        """The daemon is gone. Scripts that run get what they would get from keepalived: SIGTERM."""
        for job in self._jobs.values():
            self._signal(job, signal.SIGTERM)


def _since_us(job: Job) -> int:
    return int((time.monotonic() - job.started) * 1_000_000)


def group_lives(group: int) -> bool:
    """Whether the process group has any member that is not a zombie."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            state, _, process_group = (entry / "stat").read_bytes().rpartition(b")")[2].split()[:3]
        except (OSError, ValueError):  # it ended while we looked
            continue
        if int(process_group) == group and state not in {b"Z", b"X"}:
            return True
    return False


def _normal_scheduling() -> None:
    """Scripts run like any other program, whatever the daemon was started with."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, 0)


def main() -> None:
    """The argument is the number of the socket."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    sock.set_inheritable(False)
    Server(sock).run()


if __name__ == "__main__":
    main()
