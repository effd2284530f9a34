"""What a takeover cost, from the wire and the kernel."""

import itertools
import time
from collections.abc import Sequence

import msgspec

from keepvip.lab.capture import Tap
from keepvip.lab.decode import Arp, NeighbourAdvert, Packet
from keepvip.lab.errors import LabTimeoutError
from keepvip.lab.watch import AddressWatch


def gaps_s(packets: Sequence[Packet]) -> list[float]:
    """The times between successive packets, in seconds."""
    return [(after.at_ns - before.at_ns) / 1e9 for before, after in itertools.pairwise(packets)]


class Takeover(msgspec.Struct, frozen=True, kw_only=True):
    """The moments of a takeover, CLOCK_REALTIME in ns: packets by the kernel's time stamp, the address by rtnetlink."""

    last_advert_ns: int  # of the old master
    first_advert_ns: int  # of the new one
    address_ns: int  # the virtual address is there; an upper bound: when a Python thread heard of it
    first_announcement_ns: int  # gratuitous ARP or neighbour advertisement

    @property
    def advert_s(self) -> float:
        """From the last advert of the old master to the first of the new one."""
        return (self.first_advert_ns - self.last_advert_ns) / 1e9

    @property
    def complete_s(self) -> float:
        """From the last advert of the old master to the first announcement of the new one, when traffic flows again."""
        return (self.first_announcement_ns - self.last_advert_ns) / 1e9


def measure_takeover(
    tap: Tap,
    watch: AddressWatch,
    *,
    old: str,
    new: str,
    vrid: int,
    address: str,
    since_ns: int,
    timeout_s: float,
    family: int = 4,
) -> Takeover:
    """Wait for node ``new`` to take the virtual router over from ``old``; ``since_ns``: not before this time."""
    deadline = time.monotonic() + timeout_s
    first = tap.wait_advert(new, vrid, family=family, timeout_s=timeout_s, since_ns=since_ns)

    def announces(packet: Packet) -> bool:
        if packet.node != new:
            return False
        match packet:
            case Arp(gratuitous=True, target=target) | NeighbourAdvert(solicited=False, target=target):
                return target == address
            case _:
                return False

    announcement = tap.wait(
        Packet,
        announces,
        timeout_s=max(0.1, deadline - time.monotonic()),
        since_ns=since_ns,
        what=f"announcement of {address} by {new}",
    )
    installed = watch.wait_address(address, timeout_s=max(0.1, deadline - time.monotonic()), since_ns=since_ns)
    before = tap.adverts(node=old, vrid=vrid, family=family, until_ns=first.at_ns)
    if not before:
        raise LabTimeoutError(f"{old} never was master of {vrid}")
    return Takeover(
        last_advert_ns=before[-1].at_ns,
        first_advert_ns=first.at_ns,
        address_ns=installed.at_ns,
        first_announcement_ns=announcement.at_ns,
    )
