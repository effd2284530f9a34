"""Virtual servers, typed (config-keywords.md 13 to 15; checkers-and-ipvs.md 2).

As in `model.py` every value is final: what real servers and checkers inherit has been handed down.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import msgspec

from keepvip.config.model_check import Checker  # noqa: TC001
from keepvip.config.model_script import Fifo, Script  # noqa: TC001  (msgspec resolves annotations at run time)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "FORCED_PERSISTENCE_S",
    "Balancing",
    "CheckerKey",
    "Entry",
    "Forwarding",
    "RealServer",
    "ServerKey",
    "ServiceKey",
    "ServiceMarks",
    "SorryServer",
    "SyncDaemon",
    "VirtualServer",
    "address_number",
    "checker_keys",
    "packed",
]

FORCED_PERSISTENCE_S = 360
"""Persistence of services without a port, and of `persistence_timeout` without a value."""

ServiceKey = tuple[Any, ...]
"""Who a virtual server is, over reloads (checkers-and-ipvs.md 10)."""
ServerKey = tuple[str, int]
"""(address, port): who a real server is within its virtual server."""
CheckerKey = tuple[ServiceKey, ServerKey, tuple[Any, ...], int]
"""Virtual server, real server, `Checker.identity`, and the number among checkers for which these are equal."""


def packed(address: str) -> bytes:
    """The bytes of an address in its text form: 4 or 16."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def address_number(address: str) -> int:
    """The address as a number."""
    return int.from_bytes(packed(address))


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Addresses with one port, or one firewall mark: a virtual server has one entry, a group has many."""

    family: int
    """4 or 6."""
    first: str = ""
    """Canonical; empty for a mark."""
    last: str = ""
    """End of the range, `first` included; equal to `first` for a single address."""
    port: int = 0
    """0 = all ports."""
    fwmark: int = 0

    @property
    def count(self) -> int:
        """How many services the kernel gets for it."""
        if self.fwmark:
            return 1
        return address_number(self.last) - address_number(self.first) + 1

    def addresses(self) -> Iterator[bytes]:
        """Every address of the range, packed."""
        size = 4 if self.family == 4 else 16
        first, last = address_number(self.first), address_number(self.last)
        return (number.to_bytes(size) for number in range(first, last + 1))

    def __str__(self) -> str:
        if self.fwmark:
            return f"fwmark {self.fwmark}"
        host = self.first if self.first == self.last else f"{self.first}-{self.last}"
        return f"[{host}]:{self.port}"


class Forwarding(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How packets reach a real server."""

    method: str = "NAT"
    """`NAT`, `DR` or `TUN`."""
    tunnel: str = "ipip"
    """`ipip`, `gue` or `gre`; TUN only."""
    tunnel_port: int = 0
    """gue only."""
    checksum: str = "nocsum"
    """`nocsum`, `csum` or `remcsum`."""

    def __str__(self) -> str:
        if self.method != "TUN" or self.tunnel == "ipip":
            return self.method
        port = f" port {self.tunnel_port}" if self.tunnel_port else ""
        checksum = f" {self.checksum}" if self.checksum != "nocsum" else ""
        return f"TUN {self.tunnel}{port}{checksum}"


class RealServer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A server behind a virtual server."""

    address: str
    port: int
    """0 = that of the service, or none at all (a mark)."""
    family: int
    weight: int = 1
    forwarding: Forwarding = Forwarding()
    upper_threshold: int = 0
    lower_threshold: int = 0
    inhibit_on_failure: bool = False
    """On failure its weight becomes 0; otherwise it leaves the table."""
    notify_up: Script | None = None
    notify_down: Script | None = None
    smtp_alert: bool = True
    virtualhost: str | None = None
    snmp_name: str | None = None
    checkers: tuple[Checker, ...] = ()
    name: str = ""
    """As in FIFO lines and mails: `[10.0.0.11]:tcp:80`."""

    @property
    def key(self) -> ServerKey:
        """Identity within the virtual server."""
        return (self.address, self.port)


class SorryServer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The server that is used while there is no quorum."""

    address: str
    port: int
    family: int
    forwarding: Forwarding = Forwarding()
    inhibit: bool = False
    """It stays in the table with weight 0 while unused."""
    name: str = ""

    @property
    def key(self) -> ServerKey:
        """Identity within the virtual server; the one of a real server if it is the same."""
        return (self.address, self.port)


class VirtualServer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One service, or many that share everything (a group)."""

    kind: str
    """`address`, `fwmark` or `group`."""
    family: int
    """4 or 6; 0 = a group that mixes them."""
    entries: tuple[Entry, ...]
    protocol: str = "udp"
    """`tcp`, `udp`, `sctp`, or `none` for marks."""
    group: str = ""
    """Name of the group."""
    number: int = 0
    """Of the virtual servers that use the same group, in the order of the file."""
    scheduler: str = "wlc"
    ops: bool = False
    sched_flags: int = 0
    """Bits 0, 1 and 2: the scheduler's own flags."""
    persistence_timeout_s: int = 0
    """0 = none."""
    persistence_prefix_len: int = 0
    """Clients of one network of this size stay together; 0 = single hosts."""
    persistence_engine: str = ""
    forwarding: Forwarding = Forwarding()
    """Default of its servers."""
    quorum: int = 1
    hysteresis: int = 0
    quorum_up: Script | None = None
    quorum_down: Script | None = None
    omega: bool = False
    ha_suspend: bool = False
    smtp_alert: bool = False
    virtualhost: str | None = None
    snmp_name: str | None = None
    sorry: SorryServer | None = None
    real_servers: tuple[RealServer, ...] = ()
    name: str = ""
    """As in FIFO lines and mails: `[10.0.0.1]:tcp:80`, `FWM 7`, `[GROUP]:0`."""

    @property
    def key(self) -> ServiceKey:
        """Identity over a reload."""
        if self.kind == "group":
            return ("group", self.group, self.number)
        entry = self.entries[0]
        if self.kind == "fwmark":
            return ("fwmark", entry.fwmark, self.family)
        return ("address", self.protocol, entry.first, entry.port)


class SyncDaemon(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The kernel's thread that tells another node about connections (checkers-and-ipvs.md 11)."""

    interface: str
    instance: str | None = None
    """Virtual router whose state it follows; None = both roles all the time."""
    sync_id: int = 0
    max_len: int = 0
    """Here and below 0 or empty: the kernel's default."""
    port: int = 0
    ttl: int = 0
    group: str = ""


class ServiceMarks(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Marks by which one service serves a group of addresses (`nftables_ipvs`). Not made yet; the start says so."""

    table: str = "keepalived_ipvs"
    priority: int = -1
    start: int = 1000
    """The first mark that is handed out."""


class Balancing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What `global_defs` says about load balancing as a whole."""

    flush_at_start: bool = False
    flush_at_stop: str = ""
    """`all`: the whole table; `services`: own services as wholes; empty: entry by entry."""
    tcp_timeout_s: int = 0
    """Here and below 0: left as the kernel has it."""
    tcp_fin_timeout_s: int = 0
    udp_timeout_s: int = 0
    sync_daemon: SyncDaemon | None = None
    notify_fifo: Fifo | None = None
    """`lvs_notify_fifo`."""
    init_notifies: bool = False
    """`rs_init_notifies`."""
    checker_emails: bool = True
    """A mail for each checker that changes, not only for real servers."""
    namespace: str | None = None
    """Network namespace of IPVS (not entered yet); empty = the default one, None = that of the daemon."""
    marks: ServiceMarks | None = None

    @property
    def timeouts(self) -> tuple[int, int, int]:
        """TCP, TCP after FIN, UDP, in seconds; 0 = left alone."""
        return (self.tcp_timeout_s, self.tcp_fin_timeout_s, self.udp_timeout_s)


def checker_keys(service: VirtualServer, server: RealServer) -> Iterator[tuple[CheckerKey, Checker]]:
    """The checkers of a real server with their identities."""
    seen: dict[tuple[Any, ...], int] = {}
    for checker in server.checkers:
        identity = checker.identity
        number = seen.get(identity, 0)
        seen[identity] = number + 1
        yield (service.key, server.key, identity, number), checker
