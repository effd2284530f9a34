"""The native half of keepvip: the engine thread, and what else needs the kernel. Importers: `keepvip.engine`,
`keepvip.kernel`, `keepvip.simulation.world`."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, final

from keepvip.config.model import PacketFilter, VrrpInstance

__version__: Final[str]
BUILD_PROFILE: Final[str]
"""How it was compiled: "debug" or "release"."""

# (kind, seq, epoch, mono_us, fields): `fields` depends on the kind, see rust/py/src/event.rs.
_Record: TypeAlias = tuple[str, int, int, int, tuple[object, ...]]

# slot, state, faults, base priority, priority, (master, its priority), master's interval µs, next deadline µs,
# last transition µs, addresses installed, counters
_Router: TypeAlias = tuple[
    int,
    int,
    tuple[str, ...],
    int,
    int,
    tuple[str, int] | None,
    int,
    int | None,
    int | None,
    bool,
    dict[str, int],
]

# histogram of lateness, wake-ups, packets dropped, rtnetlink resyncs, real-time scheduling, memory locked
_Thread: TypeAlias = tuple[list[int], int, int, int, bool, bool]

@final
class Engine:
    """A running engine thread, with its sockets in the network namespace of the thread that made it.

    Raises OSError when a socket or the thread cannot be had (CAP_NET_RAW and CAP_NET_ADMIN are needed).
    """

    def __new__(cls, *, rt_priority: int | None, lock_memory: bool, packet_filter: PacketFilter) -> Engine: ...
    @property
    def notices(self) -> list[str]:
        """What was not granted, in words."""
    @property
    def modes(self) -> tuple[str, str]:
        """How adverts are received ("filter", "wake") and how multicast ones are sent ("auto", "packet", "raw")."""

    def filter_vmac(self, *, index: int, parent: int, v6: bool, there: bool) -> None:
        """A virtual MAC is there or gone: what it tells multicast routers leaves by its parent. Indices of interfaces.

        Raises RuntimeError when the thread has ended or does not take commands.
        """

    def apply(
        self,
        *,
        changes: Sequence[tuple[str, int, VrrpInstance | None]],
        tracks: Mapping[int, Sequence[tuple[str | int, int, bool]]],
        links: Mapping[int, tuple[tuple[str, bool, bool] | None, Sequence[str]]],
        groups: Sequence[Sequence[int]],
        namespaces: Mapping[str, int],
        epoch: int,
        clear_residue: bool,
        hold_until_us: int | None,
        interfaces: Sequence[tuple[str, int, int, tuple[int, int, int] | None, int | None]],
        tell_unknown: bool,
    ) -> None:
        """Hands over the difference between two configurations: ("add" | "update", slot, instance),
        ("remove", slot, None).

        `links`, by slot: the link of our own that carries the addresses (name, whether adverts use it, whether their
        source is an address of it), and those of single addresses.

        `groups` are the slots of all sync groups; `namespaces` the numbers, from 1 on, of all network namespaces that
        instances are in. `epoch` is stamped on every record that follows. Raises ValueError
        for a value that does not fit, with nothing changed; RuntimeError when the thread has ended or hangs.
        """

    def track(self, number: int, value: str | int) -> None:
        """Tells the value of a tracked thing: "unknown", "good", "bad", "ignored" or a number.

        Raises RuntimeError when the thread has ended or hangs.
        """

    def fileno(self) -> int:
        """An eventfd, readable when records wait and when the thread has ended."""

    def drain(self) -> list[_Record]:
        """Takes all waiting records, oldest first."""

    def status(self) -> tuple[_Thread, list[_Router]]:
        """What was last published, without touching the thread."""

    @property
    def ended(self) -> bool:
        """The thread has ended."""

    @property
    def wake_due_us(self) -> int | None:
        """When the thread will turn at the latest (CLOCK_MONOTONIC); None: not before something happens."""

    def stop(self, *, release: bool) -> None:
        """Asks the thread to end. `release`: with priority 0 sent and the addresses removed. Raises RuntimeError."""

    def join(self) -> str | None:
        """Waits for the end of the thread; what it died of, or None."""

    def crash(self) -> None:
        """Makes the thread panic: for the tests of what happens then."""

@final
class Inotify:
    """File system events (inotify(7)). Raises OSError (EMFILE) when the user has too many instances."""

    def __new__(cls) -> Inotify: ...
    def watch(self, path: str, mask: int) -> int:
        """Watches a path for the events of `mask`; the number of the watch. Raises OSError."""

    def forget(self, watch: int) -> None:
        """Ends a watch, if it has not ended yet."""

    def drain(self) -> list[tuple[int, int, str]]:
        """All events that wait: watch, mask, name within the directory (or empty)."""

    def fileno(self) -> int:
        """Readable while events wait."""

@final
class ProcessEvents:
    """The kernel's process event connector, subscribed to. Needs CAP_NET_ADMIN and the host's first user and PID
    namespaces; its first network namespace is entered for a moment (CAP_SYS_ADMIN) where we are in another one. Raises
    OSError.
    """

    def __new__(cls, *, buffer_bytes: int | None, force: bool) -> ProcessEvents: ...
    def drain(self) -> tuple[list[tuple[str, int, int]], bool]:
        """All events that wait: ("fork", process, parent), or ("exec" | "comm" | "exit", process, 0); and whether
        some were lost."""

    def fileno(self) -> int:
        """Readable while events wait."""

@final
class Simulation:
    """Several nodes with the real core on simulated LANs, with virtual time; nothing of the host is touched.

    A node is its instances in the order of their slots, what they track by slot, the slots of its sync groups, the
    names of its interfaces, one for each LAN, and its start-up delay in µs. Raises ValueError for a value that does
    not fit; the methods raise IndexError for a node or LAN that does not exist.
    """

    def __new__(
        cls,
        *,
        nodes: Sequence[
            tuple[
                Sequence[VrrpInstance],
                Mapping[int, Sequence[tuple[str | int, int, bool]]],
                Sequence[Sequence[int]],
                Sequence[str],
                int,
            ]
        ],
        lans: int,
        seed: int,
    ) -> Simulation: ...
    @property
    def now_us(self) -> int:
        """The time of the world."""

    def start(self, node: int) -> None:
        """Starts a node that is dead."""

    def kill(self, node: int) -> None:
        """kill -9."""

    def stop(self, node: int) -> None:
        """SIGTERM."""

    def pause(self, node: int, span_us: int) -> None:
        """The node is not scheduled for a while."""

    def suspend(self, node: int, span_us: int) -> None:
        """As `pause`, and what is sent to it meanwhile is lost: a virtual machine that is suspended."""

    def set_link(self, node: int, lan: int, up: bool) -> None:
        """Pulls or plugs a cable."""

    def split(self, lan: int, cut: bool) -> None:
        """Cuts every node off from all others on a LAN, or heals it."""

    def set_loss(self, lan: int, per_mille: int) -> None:
        """Packets that a LAN loses, of a thousand."""

    def set_track(self, node: int, number: int, value: str | int) -> None:
        """The value of a tracked thing, as for `Engine.track`."""

    def addresses(self, node: int) -> list[str]:
        """The node's own addresses, on all LANs."""

    def run_until(self, at_us: int) -> None:
        """Runs until the time of the world is `at_us`."""

    def drain(self) -> list[tuple[int, _Record]]:
        """What the cores reported since the last call: (node, record)."""
