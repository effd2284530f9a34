"""What the daemon needs from the engine and from notifications, as protocols.

The wiring is written against these, so its tests run without the native engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import msgspec

    from keepvip.config.model import Config
    from keepvip.config.model_vmac import VmacKey
    from keepvip.event import EngineSnapshot, Event, TrackKey, TrackValue
    from keepvip.service_event import ServiceEvent

__all__ = ["ENGINE_STOP_S", "EnginePort", "NotifierPort"]

ENGINE_STOP_S = 5.0
"""How long the engine may take to send priority 0 and remove its addresses (vrrp-behaviour.md 16)."""


class EnginePort(Protocol):
    """The engine thread, as `keepvip.engine.Engine` offers it."""

    notices: list[str]
    modes: tuple[str, str]

    def apply(
        self,
        config: Config,
        values: Mapping[TrackKey, TrackValue] | None = None,
        links: Mapping[VmacKey, str] | None = None,
    ) -> None:
        """Takes over a configuration; unchanged instances are not touched. Raises ValueError, nothing changed then."""

    def track(self, kind: str, name: str, value: TrackValue) -> None:
        """Tells the value of a tracked thing; returns at once."""

    def fileno(self) -> int:
        """Readable when events wait."""

    def drain(self) -> list[Event]:
        """All events that wait."""

    def snapshot(self) -> EngineSnapshot:
        """The present state, without touching the thread."""

    def alive(self) -> bool:
        """Whether the thread runs and turns."""

    def stop(self, *, release: bool = True) -> None:
        """Begins the end; the last event is `Stopped`."""

    def join(self) -> None:
        """Waits for the thread to end."""


class NotifierPort(Protocol):
    """Scripts and mail, as `keepvip.notify.Notifier` offers them. Made and used on the loop."""

    def start(self) -> None:
        """Looks at the scripts, so that what is wrong with them is said at once."""

    def handle_service(self, event: ServiceEvent, /) -> None:
        """Queues scripts, FIFO lines and mails about virtual and real servers."""

    def handle(self, event: Event, /) -> None:
        """Queues what the event asks for; returns at once."""

    def resync(self, snapshot: EngineSnapshot) -> None:
        """After lost events: reports every state that differs from the one reported last."""

    def reconfigure(self, config: Config) -> None:
        """Takes over a configuration after a reload; no event may be handled between this and `Engine.apply`."""

    def counters(self) -> msgspec.Struct:
        """Totals so far."""

    async def stop(self, timeout_s: float) -> None:
        """Reports the stop, gives scripts and mails so long, and ends what is left."""
