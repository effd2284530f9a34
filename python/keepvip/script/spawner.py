"""The daemon's end of the process that starts scripts (`spawn_server` tells why there is one).

The process is made when the first script is to run, and made again should it ever be lost; the scripts that it
was running are then reported as lost. Nothing here waits: requests that the socket does not take at once are kept
in order until it does.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from keepvip.script.offload import off_loop

if TYPE_CHECKING:
    from keepvip.script.command import Command

__all__ = ["End", "Spawner", "Task"]

log = logging.getLogger(__name__)

SERVER = str(Path(__file__).with_name("spawn_server.py"))
MAX_PACKET = 1 << 20
REAP_S = 1.0
"""How long the end of the process is waited for when the daemon stops; it has nothing to do but to leave."""


class End(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How a script ended: exactly one of `exit_code`, `signal`, `error`, `stuck`, `lost`."""

    exit_code: int | None = None
    signal: int | None = None
    error: str = ""
    """It could not be started."""
    stuck: bool = False
    """It outlives SIGKILL (it waits inside the kernel); it is no longer waited for."""
    lost: str = ""
    """The process that watched it is gone."""
    took_us: int = 0


class Task:
    """One script that was asked for."""

    def __init__(self, spawner: Spawner, number: int, future: asyncio.Future[End]) -> None:
        self._spawner = spawner
        self._number = number
        self._future = future
        self.pid: int | None = None
        """Known once it was forked."""
        self._begun = asyncio.Event()

    @property
    def done(self) -> bool:
        """Whether the end is known."""
        return self._future.done()

    async def wait(self) -> End:
        """The end of the script; waiting may be given up and taken up again."""
        return await asyncio.shield(self._future)

    async def begun(self) -> None:
        """Waits until the script was forked, or its end is known."""
        await self._begun.wait()

    def note_pid(self, pid: int) -> None:
        """Called by the spawner."""
        self.pid = pid
        self._begun.set()

    def end(self, grace_s: float) -> None:
        """SIGTERM to its process group and SIGKILL after the grace; SIGKILL at once without grace."""
        if not self.done:
            self._spawner.send({"op": "kill", "job": self._number, "grace_ms": int(grace_s * 1000)})

    def give_up(self, why: str) -> None:
        """No answer came in time, so the process that should give one is broken: it is killed and made anew."""
        if not self.done:
            self._spawner.abandon(why)

    def finish(self, end: End) -> None:
        """Called by the spawner, once."""
        if not self._future.done():
            self._future.set_result(end)
        self._begun.set()


class Spawner:
    """Starts scripts through a process of its own. All methods belong to the event loop's thread."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._launching: asyncio.Task[None] | None = None
        self._tasks: dict[int, Task] = {}
        self._waiting: collections.deque[bytes] = collections.deque()
        self._last = 0

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process is not None else None

    async def prepare(self) -> None:
        """Makes the process now, so that the first script need not wait for it. Raises OSError."""
        if self._socket is not None:
            return
        if self._launching is None or self._launching.done():
            self._launching = asyncio.get_running_loop().create_task(self._launch(), name="start spawner")
            self._launching.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(self._launching)  # who gives up waiting does not give up for the others

    async def start(self, command: Command, *, umask: int | None = None) -> Task:
        """Asks for a script to be started. Never raises for what becomes of it: the task's end tells."""
        loop = asyncio.get_running_loop()
        self._last += 1
        number = self._last  # others may come in while this one waits for the process
        task = Task(self, number, loop.create_future())
        try:
            await self.prepare()
        except OSError as error:
            task.finish(End(error=f"the process that starts scripts cannot be started: {error}"))
            return task
        self._tasks[number] = task
        request: dict[str, Any] = {
            "op": "start",
            "job": number,
            "path": command.path,
            "argv": command.argv,
            "switch": command.identity.switch,
            "uid": command.identity.uid,
            "gid": command.identity.gid,
            "groups": command.identity.groups,
            "umask": umask,
        }
        self.send(request)
        return task

    async def _launch(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                if not sys.executable:
                    raise OSError("the path of the Python interpreter is not known")
                self._process = await off_loop(lambda: _popen(theirs), name="start spawner")
        except BaseException:
            ours.close()
            raise
        ours.setblocking(False)
        self._socket = ours
        asyncio.get_running_loop().add_reader(ours.fileno(), self._readable)

    def send(self, request: dict[str, Any]) -> None:
        """One request, in order with the others."""
        if self._socket is None:
            return  # lost meanwhile: all tasks have their end already
        packet = json.dumps(request).encode()
        if len(packet) > MAX_PACKET:
            self._end_task(request["job"], End(error="its command line is too long"))
            return
        self._waiting.append(packet)
        if len(self._waiting) == 1:
            self._write()

    def _write(self) -> None:
        sock = self._socket
        if sock is None:
            return
        loop = asyncio.get_running_loop()
        while self._waiting:
            try:
                sock.send(self._waiting[0])
            except (BlockingIOError, InterruptedError):
                loop.add_writer(sock.fileno(), self._write)
                return
            except ConnectionError:
                self._lost("it ended")
                return
            except OSError as error:  # too large for the socket's buffer
                number = json.loads(self._waiting[0])["job"]
                self._end_task(number, End(error=f"its command line could not be passed on: {error}"))
            self._waiting.popleft()
        loop.remove_writer(sock.fileno())

    def _readable(self) -> None:
        while self._socket is not None:
            try:
                packet = self._socket.recv(MAX_PACKET)
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                packet = b""
            if not packet:
                self._lost("it ended")
                return
            answer = json.loads(packet)
            if "pid" in answer:
                task = self._tasks.get(answer["job"])
                if task is not None:
                    task.note_pid(answer["pid"])
            else:
                self._end_task(answer["job"], _end(answer))

    def _end_task(self, number: int, end: End) -> None:
        task = self._tasks.pop(number, None)
        if task is not None:
            task.finish(end)

    def abandon(self, why: str) -> None:
        """Kills a process that no longer answers; its scripts get SIGTERM from the kernel."""
        self._lost(why)

    def _lost(self, why: str) -> None:
        process, self._process = self._process, None
        self._disconnect()
        tasks, self._tasks = self._tasks, {}
        log.error("The process that starts scripts is lost (%s); scripts that were running: %d", why, len(tasks))
        for task in tasks.values():
            task.finish(End(lost=why))
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            threading.Thread(target=process.wait, name="reap spawner", daemon=True).start()

    def _disconnect(self) -> None:
        sock, self._socket = self._socket, None
        self._waiting.clear()
        if sock is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(sock.fileno())
            loop.remove_writer(sock.fileno())
            sock.close()

    async def close(self) -> None:
        """Ends the process. Scripts that still run get SIGTERM, and nobody waits for them."""
        if self._launching is not None:
            await asyncio.wait({self._launching})
        process, self._process = self._process, None
        self._disconnect()
        tasks, self._tasks = self._tasks, {}
        for task in tasks.values():
            task.finish(End(lost="the daemon ends"))
        if process is not None:
            await off_loop(lambda: _reap(process), name="reap spawner")


def _popen(theirs: socket.socket) -> subprocess.Popen[bytes]:
    """Without preexec_fn or another user, so that Python uses vfork: no page table is copied."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", "-X", "utf8", SERVER, str(theirs.fileno())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(theirs.fileno(),),
        start_new_session=True,
    )


def _reap(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(REAP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end(answer: dict[str, Any]) -> End:
    took_us = answer["took_us"]
    if "exit" in answer:
        return End(exit_code=answer["exit"], took_us=took_us)
    if "signal" in answer:
        return End(signal=answer["signal"], took_us=took_us)
    if "stuck" in answer:
        return End(stuck=True, took_us=took_us)
    stage = f" ({answer['stage']})" if answer["stage"] != "exec" else ""
    return End(error=f"{os.strerror(answer['error'])}{stage}", took_us=took_us)


def signal_name(number: int) -> str:
    """`SIGTERM` for 15; the number where there is no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
