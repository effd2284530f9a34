"""Thousands of TCP, UDP, DNS and ICMP probes over one nested epoll set (compiled from cython/keepvip/_probe.pyx)."""

from collections.abc import Sequence
from typing import TypeAlias

from typing_extensions import disjoint_base

TCP: int
UDP: int
DNS: int
"""Like UDP; only a response with the id of the question counts as a reply."""
PING: int
"""On the caller's ICMP socket; only an echo reply with the sequence number counts."""

CONNECTED: int
REPLIED: int
TIMED_OUT: int
FAILED: int
"""Refused, reset, unreachable ...: the other side or the network."""
LOCAL: int
"""This host could not ask: no result."""

Ask: TypeAlias = tuple[int, int, bytes, int, bytes, int, bytes, bytes, int, int, int]
"""(token, kind, target, timeout in microseconds, source, firewall mark, interface, payload, bytes of the reply wanted,
DNS id or ICMP sequence number, descriptor to use instead of a new socket or -1). Addresses are `struct sockaddr`s;
empty and 0 stand for none."""
Result: TypeAlias = tuple[int, int, int, int, int, bytes | None]
"""(token, verdict, error number, microseconds taken, size of the reply, what was wanted of it)."""

@disjoint_base
class Probes:
    """The engine. Not thread-safe: it belongs to one thread."""

    def __init__(self) -> None: ...
    def fileno(self) -> int:
        """The descriptor to watch for reading. Raises ValueError after `close`."""
    def start(self, asks: Sequence[Ask]) -> None:
        """Starts probes. Raises ValueError for requests that make no sense; then none of them is started."""
    def cancel(self, token: int) -> bool:
        """Ends a probe without a result; True if there was one."""
    def collect(self) -> list[Result]:
        """What has been decided since the last call. Never waits."""
    def close(self) -> None:
        """Ends all probes without a result and closes everything."""
    @property
    def pending(self) -> int:
        """Probes that are not decided yet."""
