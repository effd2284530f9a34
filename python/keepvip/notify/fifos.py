"""The FIFOs of a configuration: made, written, read by their scripts, replaced on a reload (vrrp-behaviour.md 15).

Writing never waits. What may wait (the file system, the start of a script) is done beside the event loop; lines that
come before a FIFO is open are kept and written in order. A reload leaves a FIFO whose settings stay the same
alone, with its reader: keepalived closes and opens it again, and loses the lines that nobody has read yet.
"""

from __future__ import annotations

import asyncio
import collections
import logging
from typing import TYPE_CHECKING

from keepvip.notify.fifo import FifoError, NotifyFifo
from keepvip.script.offload import off_loop
from keepvip.script.runner import Ending

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepvip.config.model import Config, Fifo
    from keepvip.notify.counters import NotifyCounters
    from keepvip.notify.queue import Commands
    from keepvip.script.host import ScriptHost
    from keepvip.script.runner import Runner, Running

__all__ = ["COMMON", "LVS", "VRRP", "Fifos"]

COMMON, VRRP, LVS = "notify_fifo", "vrrp_notify_fifo", "lvs_notify_fifo"

log = logging.getLogger(__name__)

EARLY_LIMIT = 10_000
"""Lines kept while a FIFO is being opened; more than that is a file system that does not answer."""
LOOK_S = 0.01
"""Between two looks at whether the reader has taken the last lines."""
RETIRE_S = 2.0
"""What a reader has, to read the rest and leave, when a reload takes its FIFO away."""
READER_GRACE_S = 0.2
"""From SIGTERM to SIGKILL of a reader that did not leave at the end of its FIFO."""


class Fifos:
    """All FIFOs. Belongs to the event loop's thread."""

    def __init__(self, runner: Runner, counters: NotifyCounters) -> None:
        self._runner = runner
        self._counters = counters
        self._channels: dict[str, _Channel] = {}
        self._leaving: dict[asyncio.Task[None], str] = {}
        """Channels that are being closed, with their paths."""

    def reconfigure(self, config: Config, commands: Commands, make_host: Callable[[], ScriptHost]) -> None:
        """Takes over a configuration; begins to open what is new, and to close what is gone."""
        loop = asyncio.get_running_loop()
        defs = config.global_defs
        settings = {
            COMMON: defs.notify_fifo,
            VRRP: defs.vrrp_notify_fifo,
            LVS: config.balancing.notify_fifo,
        }
        for name, setting in settings.items():
            channel = self._channels.get(name)
            if channel is not None and (channel.setting != setting or channel.failed):
                del self._channels[name]
                task = loop.create_task(channel.close(loop.time() + RETIRE_S), name=f"close {name}")
                self._leaving[task] = channel.setting.path
                task.add_done_callback(self._leaving.pop)
        for name, setting in settings.items():
            channel = self._channels.get(name)
            if channel is not None:
                channel.read_again(commands)
            elif setting is not None:
                channel = _Channel(name, setting, self._runner, self._counters)
                self._channels[name] = channel
                before = [task for task, path in self._leaving.items() if path == setting.path]
                channel.start(commands, make_host, defs.umask, before)

    def write(self, line: bytes, of: str = VRRP) -> None:
        """One line into the FIFO for everything and the one for lines of this kind."""
        for name in (COMMON, of):
            channel = self._channels.get(name)
            if channel is not None:
                channel.write(line)

    async def stop(self, deadline: float) -> None:
        """Lets readers take the last lines, closes and removes the FIFOs; over soon after `deadline` (loop time)."""
        channels, self._channels = self._channels, {}
        closing = [channel.close(deadline) for channel in channels.values()]
        await asyncio.gather(*closing, *self._leaving)


class _Channel:
    """One FIFO with its reader."""

    def __init__(self, name: str, setting: Fifo, runner: Runner, counters: NotifyCounters) -> None:
        self.setting = setting
        self.failed = False
        """It could not be opened, as the log says; tried again on a reload."""
        self._name = name
        self._runner = runner
        self._counters = counters
        self._early: collections.deque[bytes] = collections.deque()
        self._fifo: NotifyFifo | None = None
        self._opening: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._reader: Running | None = None
        self._closing = False

    def start(
        self,
        commands: Commands,
        make_host: Callable[[], ScriptHost],
        umask: int | None,
        before: list[asyncio.Task[None]],
    ) -> None:
        """Begins to open it. `before`: what has to be over first, because it is about the same path."""
        self._opening = asyncio.get_running_loop().create_task(
            self._open(commands, make_host, umask, before), name=f"open {self._name}"
        )

    def write(self, line: bytes) -> None:
        fifo = self._fifo
        if fifo is not None:
            if fifo.write(line):
                self._counters.fifo_lines += 1
            else:
                self._counters.fifo_lost += 1
        elif not self.failed and len(self._early) < EARLY_LIMIT:
            self._early.append(line)
        else:
            self._counters.fifo_lost += 1

    def read_again(self, commands: Commands) -> None:
        """On a reload that leaves this FIFO alone: a reader that has ended is started again."""
        if self._fifo is not None and (self._reading is None or self._reading.done()):
            self._read(commands)

    async def close(self, deadline: float) -> None:
        """What the reader has not taken yet it may take until half of the time is over; then the FIFO ends."""
        loop = asyncio.get_running_loop()
        self._closing = True
        if self._opening is not None:
            await asyncio.wait({self._opening}, timeout=max(0.0, deadline - loop.time()))
        fifo, self._fifo = self._fifo, None
        if fifo is None:
            return
        half = loop.time() + (deadline - loop.time()) / 2
        while self._reading is not None and not self._reading.done() and fifo.waiting() and loop.time() < half:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)  # the kernel tells nobody that a FIFO was emptied
        await off_loop(fifo.close, name=f"close {self._name}")
        if self._reading is None:
            return
        await asyncio.wait({self._reading}, timeout=max(0.0, deadline - loop.time()))
        if self._reading.done():
            return
        if self._reader is None:
            self._reading.cancel()  # still being looked at or started
        else:
            self._reader.end(Ending.STOPPED, grace_s=READER_GRACE_S)
        await asyncio.wait({self._reading}, timeout=2 * READER_GRACE_S)

    async def _open(
        self,
        commands: Commands,
        make_host: Callable[[], ScriptHost],
        umask: int | None,
        before: list[asyncio.Task[None]],
    ) -> None:
        if before:
            await asyncio.wait(before)
        try:
            fifo = await off_loop(lambda: _opened(self.setting, make_host(), umask), name=f"open {self._name}")
        except FifoError as error:
            self._give_up()
            log.error("%s: %s; nothing is written to it", self._name, error)
            return
        except Exception:
            self._give_up()
            log.exception("%s: nothing is written to it", self._name)
            return
        self._fifo = fifo
        while self._early:
            self.write(self._early.popleft())
        if not self._closing:
            self._read(commands)

    def _give_up(self) -> None:
        self.failed = True
        self._counters.fifo_lost += len(self._early)
        self._early.clear()

    def _read(self, commands: Commands) -> None:
        if self.setting.script is not None:
            self._reading = asyncio.get_running_loop().create_task(self._run(commands), name=f"{self._name}_script")

    async def _run(self, commands: Commands) -> None:
        script = self.setting.script
        command = None if script is None else await commands.command(script)
        if script is None or command is None:
            log.warning("%s_script is disabled and was not started", self._name)
            return
        self._reader = running = await self._runner.start(command.with_arguments((self.setting.path,)))
        outcome = await running.wait()
        self._reader = None
        if not self._closing:
            log.warning("%s_script `%s`: %s; it is started again on the next reload", self._name, script.text, outcome)


def _opened(setting: Fifo, host: ScriptHost, umask: int | None) -> NotifyFifo:
    """Blocks; raises FifoError."""
    uid, gid = host.daemon_uid, host.daemon_gid
    if setting.user is not None:
        user = host.user(setting.user)
        if user is None:
            raise FifoError(f"there is no user {setting.user} to own {setting.path}")
        uid, gid = user.uid, user.gid
        if setting.group is not None:
            group = host.group(setting.group)
            if group is None:
                raise FifoError(f"there is no group {setting.group} to own {setting.path}")
            gid = group
    fifo = NotifyFifo(setting.path, uid=uid, gid=gid, umask=umask)
    fifo.open()
    return fifo
