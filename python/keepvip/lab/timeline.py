"""What happens in a lab, told as it happens: from the wire, the kernels, the client and the mail servers.

Nothing here comes from a daemon's own word: MASTER is who advertises.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from keepvip.lab.decode import Advert, Arp, NeighbourAdvert, Packet
from keepvip.lab.mail import Mail
from keepvip.lab.ping import Pinger
from keepvip.lab.watch import AddressChange, Change

Kind = Literal["act", "master", "backup", "address", "announce", "ping", "mail", "measure", "note"]
RouterKey = tuple[int, int, str]  # VRID, family, LAN

CELL_S: Final = 0.5
_SILENT_AFTER_INTERVALS: Final = 1.5
_BURST_NS: Final = 400_000_000  # announcements closer together than this are one batch
_PING_GAP_NS: Final = 100_000_000


class Entry(msgspec.Struct, frozen=True):
    """A line of the story. ``at_ns``: CLOCK_REALTIME."""

    at_ns: int
    kind: Kind
    node: str
    text: str


class RouterView(msgspec.Struct):
    """A virtual router as the wire shows it."""

    key: RouterKey
    name: str
    masters: dict[str, int] = {}  # node to the time of its last advert that was no goodbye
    interval_ns: int = 1_000_000_000
    addresses: tuple[str, ...] = ()
    adverts: dict[str, int] = {}
    displaced: dict[str, int] = {}  # node to the time at which another one began to advertise instead

    def current(self, now_ns: int) -> list[str]:
        """The nodes that advertise it at this moment."""
        limit_ns = int(self.interval_ns * _SILENT_AFTER_INTERVALS)
        return [node for node, at_ns in self.masters.items() if now_ns - at_ns <= limit_ns]


class Timeline:
    """Takes in facts from any thread; the screens read it."""

    def __init__(self, names: Mapping[tuple[int, str], str] | None = None) -> None:
        """Args: names: (VRID, LAN) to the name of the instance."""
        self.started_ns = time.time_ns()
        self.entries: list[Entry] = []
        self.routers: dict[RouterKey, RouterView] = {}
        self.cells: dict[str, list[str]] = {}  # row to one cell per CELL_S
        self.announcements: dict[tuple[str, str], list[int]] = {}  # (node, address) to times
        self._names = dict(names or {})
        self._listeners: list[Callable[[Entry], None]] = []
        self._lock = threading.RLock()
        self._ping_seen: dict[str, int] = {}
        self._silent_since: dict[str, int] = {}

    def listen(self, listener: Callable[[Entry], None]) -> None:
        """Call ``listener`` with each new entry (in the thread that brings it)."""
        self._listeners.append(listener)

    def add(self, kind: Kind, text: str, *, node: str = "", at_ns: int | None = None) -> None:
        """A new line of the story."""
        entry = Entry(at_ns if at_ns is not None else time.time_ns(), kind, node, text)
        with self._lock:
            self.entries.append(entry)
            listeners = list(self._listeners)
        for listener in listeners:
            listener(entry)

    def name(self, key: RouterKey) -> str:
        """What to call a virtual router."""
        vrid, family, lan = key
        return self._names.get((vrid, lan)) or f"VRID {vrid}{' (IPv6)' if family == 6 else ''} on {lan}"

    # -- facts -------------------------------------------------------------------------------------------------------

    def on_packet(self, packet: Packet) -> None:
        """A frame from the tap."""
        match packet:
            case Advert():
                self._on_advert(packet)
            case Arp(gratuitous=True, target=address) | NeighbourAdvert(solicited=False, target=address):
                self._on_announcement(packet, address)
            case _:
                pass

    def _on_advert(self, advert: Advert) -> None:
        with self._lock:
            view = self.routers.setdefault(advert.key, RouterView(advert.key, self.name(advert.key)))
            view.interval_ns = advert.interval_ms * 1_000_000
            view.addresses = advert.addresses
            view.adverts[advert.node] = view.adverts.get(advert.node, 0) + 1
            current = view.current(advert.at_ns)
            others = [node for node in current if node != advert.node]
            displaced_ns = view.displaced.get(advert.node)
            patience_ns = view.interval_ns * _SILENT_AFTER_INTERVALS
            goes_on = bool(others) and displaced_ns is not None and advert.at_ns - displaced_ns <= patience_ns
            if advert.priority == 0:
                view.masters.pop(advert.node, None)
                view.displaced.clear()
            else:
                view.masters[advert.node] = advert.at_ns
                if advert.node not in current and not goes_on:
                    for node in others:  # they should yield now; if they do not, they come back as "goes on"
                        view.displaced[node] = view.masters.pop(node)
        if advert.priority == 0:
            self.add("backup", f"{view.name} gives up: priority 0", node=advert.node, at_ns=advert.at_ns)
        elif advert.node not in current:
            text = f"{view.name} MASTER: first advert, priority {advert.priority}"
            if goes_on:
                text = f"{view.name} goes on as MASTER: there are two"
            elif others:
                text += f", instead of {' and '.join(others)}"
            self.add("master", text, node=advert.node, at_ns=advert.at_ns)

    def _on_announcement(self, packet: Packet, address: str) -> None:
        with self._lock:
            times = self.announcements.setdefault((packet.node, address), [])
            new_batch = not times or packet.at_ns - times[-1] > _BURST_NS
            times.append(packet.at_ns)
        if new_batch:
            what = "gratuitous ARP" if isinstance(packet, Arp) else "neighbour advertisement"
            self.add("announce", f"{address} {what}, a batch begins", node=packet.node, at_ns=packet.at_ns)

    def on_change(self, node: str, change: Change, addresses: set[str]) -> None:
        """An address or link change of a node; only ``addresses`` are told."""
        if isinstance(change, AddressChange) and change.address in addresses:
            verb = "is here" if change.added else "is gone"
            self.add("address", f"{change.address} {verb}", node=node, at_ns=change.at_ns)

    def on_mail(self, mail: Mail) -> None:
        """A mail that arrived."""
        self.add("mail", f"mail: {mail.subject}", node=mail.node, at_ns=mail.at_ns)

    def on_ping(self, pinger: Pinger, address: str, now_ns: int) -> None:
        """Look at the client's answers (called every now and then)."""
        last_ns = pinger.last_answer_ns(address)
        silent_since = self._silent_since.get(address)
        if silent_since is None and last_ns and now_ns - last_ns > _PING_GAP_NS:
            self._silent_since[address] = last_ns
            self.add("ping", f"{address} does not answer", node="client", at_ns=last_ns)
        elif silent_since is not None and last_ns > silent_since:
            del self._silent_since[address]
            outages = pinger.outages(address, since_ns=silent_since - 1_000_000_000, in_flight_ms=0)
            lost = sum(outage.lost for outage in outages)
            longest_ms = max((outage.duration_ms for outage in outages), default=0.0)
            text = f"{address} answers again after {longest_ms / 1000:.3f} s, {lost} pings lost"
            self.add("ping", text, node="client", at_ns=last_ns)

    def silent(self, address: str) -> bool:
        """Whether the client gets no answer from an address at present."""
        return address in self._silent_since

    def tick(self, pings: Mapping[str, Pinger], now_ns: int) -> None:
        """Fill the strip cells up to now: who is master, does the client get answers."""
        for address, pinger in pings.items():
            self.on_ping(pinger, address, now_ns)
        due = int((now_ns - self.started_ns) / 1e9 / CELL_S)
        with self._lock:
            for view in self.routers.values():
                current = view.current(now_ns)
                cell = current[0] if len(current) == 1 else "!" if current else "."
                _fill(self.cells.setdefault(view.name, []), due, cell)
            for address in pings:
                _fill(self.cells.setdefault(f"ping {address}", []), due, "x" if self.silent(address) else "-")


def _fill(cells: list[str], due: int, cell: str) -> None:
    """Bring a row to ``due`` cells; what was missed so far counts as unknown."""
    if len(cells) < due - 1 and not cells:
        cells += [" "] * (due - 1)
    while len(cells) < due:
        cells.append(cell)
