"""Routes, rules and static addresses beside the engine: loaded only when a configuration has any.

They follow the states that the engine tells. The engine itself knows nothing of them and waits for nothing here.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from keepvip.event import Deleted, State, Transition

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from keepvip.config.model import Config
    from keepvip.event import EngineSnapshot, Event
    from keepvip.net.keeper import Keeper

__all__ = ["Routing", "has_routing"]

_log = logging.getLogger("keepvip.daemon")


def has_routing(config: Config) -> bool:
    """Whether a configuration asks for anything of this."""
    static = config.static_addresses or config.static_routes or config.static_rules
    return bool(static) or any(instance.routes or instance.rules for instance in config.instances)


class Routing:
    """Made before the engine starts, used on the loop from `attach` on."""

    def __init__(self) -> None:
        self._keeper: Keeper | None = None
        self._masters: set[str] = set()
        self._publish: Callable[[Event], None] = lambda _: None
        self._loop: asyncio.AbstractEventLoop | None = None

    def prepare(self, config: Config) -> None:
        """Removes residue and adds the static things, if there are any. Blocks, for so long as the kernel needs.

        Raises OSError when netlink does not work.
        """
        if has_routing(config):
            self._keeper = self._new_keeper()
            self._keeper.prepare(config)

    def attach(self, loop: asyncio.AbstractEventLoop, publish: Callable[[Event], None]) -> None:
        """From now on events are told to `publish`."""
        self._loop = loop
        self._publish = publish
        if self._keeper is not None:
            self._keeper.attach(loop)

    def configure(self, old: Config, new: Config) -> None:
        """Takes over a new configuration, after the engine did. An instance goes on by its key, whatever its name."""
        keys = {instance.key: instance.name for instance in old.instances}
        self._masters = {instance.name for instance in new.instances if keys.get(instance.key) in self._masters}
        if self._keeper is None and has_routing(new) and self._loop is not None:
            try:
                self._keeper = self._new_keeper()
            except OSError as error:
                _log.error("Routes and rules cannot be set: %s", error)
                return
            self._keeper.attach(self._loop)
        if self._keeper is not None:
            self._keeper.configure(new, self._masters)

    def handle(self, event: Event) -> None:
        """Follows transitions; returns at once."""
        if isinstance(event, Transition):
            self._follow(event.instance, master=event.new is State.MASTER, cause_us=event.mono_us)
        elif isinstance(event, Deleted):
            self._follow(event.instance, master=False, cause_us=event.mono_us)

    def resync(self, snapshot: EngineSnapshot) -> None:
        """After lost events."""
        for status in snapshot.instances:
            self._follow(status.name, master=status.state is State.MASTER, cause_us=time.monotonic_ns() // 1000)

    async def release(self, timeout_s: float) -> None:
        """Removes the routes and rules of instances, for so long at most."""
        if self._keeper is not None:
            await self._keeper.release(timeout_s)

    async def close(self, timeout_s: float) -> None:
        """Removes the static things, and ends."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            await keeper.close(timeout_s)

    def abandon(self, *, release: bool) -> None:
        """The daemon ends without having come to `close`: nothing may stay behind. Blocks."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            try:
                keeper.abandon(release=release)
            except OSError as error:
                _log.error("Routes, rules and static addresses may be left behind: %s", error)

    def _new_keeper(self) -> Keeper:
        from keepvip.net.keeper import Keeper  # noqa: PLC0415  (most configurations have nothing of this)

        return Keeper(self._tell)

    def _tell(self, event: Event) -> None:
        self._publish(event)

    def _follow(self, instance: str, *, master: bool, cause_us: int) -> None:
        (self._masters.add if master else self._masters.discard)(instance)
        if self._keeper is not None:
            self._keeper.mastership(instance, master=master, cause_us=cause_us)
