"""Asks drivers for the state of their links, where they do not tell the kernel (config-keywords.md 6).

Some drivers take milliseconds for an answer, or hang: the questions are asked by a thread of their own, which nobody
waits for, once per second.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

__all__ = ["LINKBEAT", "LinkBeat", "link_state"]

LINKBEAT = "linkbeat"
"""The kind of these tracked things."""
PERIOD_S = 1.0

_SIOCGIFFLAGS = 0x8913
_SIOCETHTOOL = 0x8946
_SIOCGMIIPHY = 0x8947
_SIOCGMIIREG = 0x8948
_ETHTOOL_GLINK = 0x0A
_IFF_UP = 0x1
_IFF_RUNNING = 0x40
_MII_BMSR = 1
_BMSR_LINK = 0x0004
_ORDER = ("MII", "ETHTOOL", "IOCTL")


def link_state(sock: socket.socket, name: str, method: str = "") -> bool:
    """Whether a link is up: administratively, and by the first method that its driver knows, `method` before others."""
    try:
        (flags,) = struct.unpack_from("H", fcntl.ioctl(sock, _SIOCGIFFLAGS, _request(name)), 16)
    except OSError:
        return False  # there is none
    if not flags & _IFF_UP:
        return False
    for one in sorted(_ORDER, key=lambda known: known != method):
        try:
            if one == "MII":
                return _mii(sock, name)
            if one == "ETHTOOL":
                return _ethtool(sock, name)
        except OSError:
            continue  # not this one
        return bool(flags & _IFF_RUNNING)
    return False


def _request(name: str, data: bytes = b"") -> bytes:
    return name.encode("utf-8", "surrogateescape").ljust(16, b"\0") + data.ljust(24, b"\0")


def _mii(sock: socket.socket, name: str) -> bool:
    """The status register of its transceiver; a link that was lost shows once, so it is read twice."""
    (phy,) = struct.unpack_from("H", fcntl.ioctl(sock, _SIOCGMIIPHY, _request(name)), 16)
    ask = _request(name, struct.pack("HH", phy, _MII_BMSR))
    fcntl.ioctl(sock, _SIOCGMIIREG, ask)
    (status,) = struct.unpack_from("H", fcntl.ioctl(sock, _SIOCGMIIREG, ask), 22)
    return bool(status & _BMSR_LINK)


def _ethtool(sock: socket.socket, name: str) -> bool:
    import ctypes  # noqa: PLC0415  (the question holds a pointer, and hardly anybody asks)

    value = ctypes.create_string_buffer(struct.pack("II", _ETHTOOL_GLINK, 0), 8)
    fcntl.ioctl(sock, _SIOCETHTOOL, _request(name, struct.pack("P", ctypes.addressof(value))))
    return bool(struct.unpack("II", value.raw)[1])


class LinkBeat:
    """Tells the states of polled links: `tell(interface, up)` in the thread of the event loop, when one changes."""

    def __init__(self, tell: Callable[[str, bool], None]) -> None:
        self._tell = tell
        self._states: dict[str, bool] = {}
        self._stop: threading.Event | None = None
        self._wanted: dict[str, str] = {}

    def configure(self, wanted: Mapping[str, str], loop: asyncio.AbstractEventLoop) -> None:
        """Polls these from now on, and no others; `wanted` are the methods, by interface."""
        if dict(wanted) == self._wanted:
            return
        self.halt()
        self._wanted = dict(wanted)
        self._states = {name: up for name, up in self._states.items() if name in wanted}
        if self._wanted:
            self._stop = threading.Event()
            threading.Thread(
                target=self._poll, args=(self._wanted, self._stop, loop), name="linkbeat", daemon=True
            ).start()

    def halt(self) -> None:
        """Polls no longer."""
        if self._stop is not None:
            self._stop.set()
            self._stop = None
        self._wanted = {}

    def _poll(self, wanted: Mapping[str, str], stop: threading.Event, loop: asyncio.AbstractEventLoop) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            while not stop.is_set():
                for name, method in wanted.items():
                    up = link_state(sock, name, method)
                    if loop.is_closed():
                        return
                    if self._states.get(name) is not up:
                        loop.call_soon_threadsafe(self._changed, stop, name, up)
                stop.wait(PERIOD_S)

    def _changed(self, stop: threading.Event, name: str, up: bool) -> None:
        if stop is self._stop and self._states.get(name) is not up:
            self._states[name] = up
            self._tell(name, up)
