"""Reload by plan: compile to the side, compare, carry out the difference (vrrp-behaviour.md 16).

A configuration that is refused changes nothing. Reloads never overlap: one that is asked for while another
runs comes after it, and all that were asked for meanwhile are one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING

from keepvip.config.diagnostic import config_test_exit_code
from keepvip.daemon.loading import Loaded, Read, blockers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keepvip.config.model import Config

__all__ = ["Outcome", "Reloader", "plural"]

_log = logging.getLogger("keepvip.daemon")


class Outcome:
    """What came of one reload."""

    __slots__ = ("loaded", "message", "ok", "steps", "took_s")

    def __init__(
        self, loaded: Loaded, *, message: str, ok: bool, steps: Sequence[str] = (), took_s: float = 0.0
    ) -> None:
        self.loaded = loaded
        """What was read, with all its findings."""
        self.message = message
        """One sentence: done, or why not."""
        self.ok = ok
        self.steps = tuple(steps)
        """What was carried out."""
        self.took_s = 0.0
        """From the request to the end."""


class Reloader:
    """Holds the running configuration and replaces it.

    `read` runs on a thread of its own; `plan` says in words what a change comes to; `apply` carries it out on the
    loop and raises ValueError or RuntimeError when the engine refuses it (nothing is changed then). `begun` and
    `done` are called around every reload, on the loop.
    """

    def __init__(
        self,
        running: Loaded,
        *,
        read: Read,
        plan: Callable[[Config, Config], Sequence[str]],
        apply: Callable[[Config], None],
        refuse_errors: bool,
        begun: Callable[[], None],
        done: Callable[[Outcome], None],
    ) -> None:
        if running.config is None:
            msg = "a daemon runs only with a configuration"
            raise ValueError(msg)
        self.config: Config = running.config
        """The configuration that runs."""
        self.running = running
        """The reading it came from."""
        self.last = running
        """The last reading, refused or not."""
        self.stale = False
        """The last reading was refused."""
        self._read = read
        self._plan = plan
        self._apply = apply
        self._closed = False
        self._refuse_errors = refuse_errors
        self._begun = begun
        self._done = done
        self._current: asyncio.Task[Outcome] | None = None
        self._next: asyncio.Task[Outcome] | None = None

    def request(self) -> asyncio.Task[Outcome]:
        """Starts a reload, or joins the one that will come after the one in progress."""
        if self._closed:
            msg = "the daemon is stopping"
            raise RuntimeError(msg)
        if self._current is None or self._current.done():
            self._current = asyncio.create_task(self._reload())
            return self._current
        if self._next is None or self._next.done():
            self._next = asyncio.create_task(self._reload_after(self._current))
        return self._next

    async def preview(self, read: Read) -> tuple[Loaded, str | None]:
        """Reads without taking over: what was read, and why a reload would refuse it (None: it would not)."""
        loaded = await _in_thread(read)
        return loaded, self._objection(loaded)

    def close(self) -> None:
        """From now on nothing is taken over: the daemon stops. A reading in progress is abandoned."""
        self._closed = True
        for task in (self._current, self._next):
            if task is not None:
                task.cancel()

    async def _reload_after(self, current: asyncio.Task[Outcome]) -> Outcome:
        await asyncio.wait({current})
        self._current, self._next = self._next, None
        return await self._reload()

    async def _reload(self) -> Outcome:
        began_s = time.monotonic()
        self._begun()
        try:
            loaded = await _in_thread(self._read)
            self.last = loaded
            outcome = self._take_over(loaded)
        except Exception:
            # A bug of ours, and no reason to lose the addresses: what runs goes on.
            _log.exception("Reload failed")
            outcome = self._refused(self.last, "internal error, see the log")
        outcome.took_s = time.monotonic() - began_s
        self.stale = not outcome.ok
        self._done(outcome)
        return outcome

    def _take_over(self, loaded: Loaded) -> Outcome:
        objection = self._objection(loaded)
        if objection is not None or loaded.config is None:
            return self._refused(loaded, objection or "nothing usable came out")
        steps = self._plan(self.config, loaded.config)
        try:
            self._apply(loaded.config)
        except (ValueError, RuntimeError) as error:
            return self._refused(loaded, f"the engine refuses it: {error}")
        self.config = loaded.config
        self.running = loaded
        if not steps:
            return Outcome(loaded, message="Reloaded: nothing has changed", ok=True)
        return Outcome(loaded, message=f"Reloaded: {plural(len(steps), 'change')}", ok=True, steps=steps)

    def _objection(self, loaded: Loaded) -> str | None:
        """Why what was read cannot be taken over."""
        blocking = blockers(loaded, self.running, refuse_errors=self._refuse_errors)
        if blocking or loaded.config is None:
            return f"{plural(len(blocking), 'error')} in the configuration"
        process = self.config.global_defs.process
        status = config_test_exit_code(loaded.diagnostics) if process.reload_check_config else 0
        if status:
            where = "" if process.reload_check_log is None else f", see {process.reload_check_log}"
            return f"its check (reload_check_config) ends with status {status}{where}"
        fixed = _fixed_difference(self.config, loaded.config)
        return f"{fixed} cannot change without a restart" if fixed is not None else None

    def _refused(self, loaded: Loaded, why: str) -> Outcome:
        return Outcome(loaded, message=f"Reload refused: {why}; the old configuration goes on", ok=False)


def plural(count: int, what: str) -> str:
    """ "1 error", "2 errors"."""
    return f"1 {what}" if count == 1 else f"{count} {what}s"


def _fixed_difference(old: Config, new: Config) -> str | None:
    """The name of a setting that differs and cannot be changed while running."""
    if old.net_namespace != new.net_namespace:
        return "net_namespace"
    if old.instance_name != new.instance_name:
        return "instance"
    if old.global_defs.disable_local_igmp is not new.global_defs.disable_local_igmp:
        return "disable_local_igmp"
    if old.global_defs.process.tmp_config_directory != new.global_defs.process.tmp_config_directory:
        return "tmp_config_directory"
    if old.global_defs.packet_filter.table != new.global_defs.packet_filter.table:
        return "nftables"
    if old.global_defs.packet_filter != new.global_defs.packet_filter:
        return "the way that the packet filter is made (nftables_priority, nftables_counters, nftables_ifindex)"
    return None


async def _in_thread(function: Callable[[], Loaded]) -> Loaded:
    """Runs `function` on a thread that cannot keep the process from ending (an executor's would, on a dead disk)."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Loaded] = loop.create_future()

    def finish(result: Loaded | None, error: Exception | None) -> None:
        if future.cancelled():
            return
        if result is not None:
            future.set_result(result)
        elif error is not None:
            future.set_exception(error)

    def work() -> None:
        result, error = None, None
        try:
            result = function()
        except Exception as problem:
            error = problem
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile: nobody waits
            loop.call_soon_threadsafe(finish, result, error)

    threading.Thread(target=work, name="reload", daemon=True).start()
    return await future
