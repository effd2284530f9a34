"""What the kernel's table should hold for one virtual server (checkers-and-ipvs.md 6, 7). Pure."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import msgspec

from keepvip import _ipvs_abi as abi
from keepvip.config.model_service import packed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from keepvip.config.model_service import Entry, Forwarding, RealServer, SorryServer, VirtualServer
    from keepvip.ipvs.pool import ServiceState

__all__ = ["Part", "Service", "describe_destination", "describe_service", "part_of", "service_keys"]

ALL_FLAGS = 0xFFFFFFFF
_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132, "none": 0}
_NAMES = {number: name for name, number in _PROTOCOLS.items()}
_FAMILIES = {4: 2, 6: 10}  # AF_INET, AF_INET6
_METHODS = {"NAT": abi.FWD_MASQ, "DR": abi.FWD_DROUTE, "TUN": abi.FWD_TUNNEL}
_TUNNELS = {"ipip": abi.TUNNEL_IPIP, "gue": abi.TUNNEL_GUE, "gre": abi.TUNNEL_GRE}
_CHECKSUMS = {"nocsum": abi.TUNNEL_FLAG_NOCSUM, "csum": abi.TUNNEL_FLAG_CSUM, "remcsum": abi.TUNNEL_FLAG_REMCSUM}
SORRY_WEIGHT = 1


class Service(msgspec.Struct, frozen=True):
    """One service of the kernel with its destinations."""

    options: abi.ServiceOptions
    destinations: dict[abi.DestinationKey, abi.Destination]


Part = dict[abi.ServiceKey, Service]
"""The services of one virtual server: one, or one per address of its group."""


def part_of(state: ServiceState) -> Part:
    """Everything that the kernel should hold for a virtual server as it is now."""
    spec = state.spec
    found: Part = {}
    members = list(state.members())
    for entry in spec.entries:
        options = _options(spec, entry)
        destinations: dict[abi.DestinationKey, abi.Destination] = {}
        for server, weight in members:
            destination = _destination(server, entry, weight, server.upper_threshold, server.lower_threshold)
            destinations.setdefault(destination[:3], destination)
        sorry = spec.sorry
        if sorry is not None and state.sorry_active:
            destination = _destination(sorry, entry, SORRY_WEIGHT)
            destinations[destination[:3]] = destination
        elif sorry is not None and sorry.inhibit:
            destination = _destination(sorry, entry, 0)
            destinations.setdefault(destination[:3], destination)
        for key in service_keys(spec, entry):
            found[key] = Service(options, destinations)
    return found


def service_keys(spec: VirtualServer, entry: Entry) -> Iterator[abi.ServiceKey]:
    """What one entry of a virtual server is in the kernel."""
    family = _FAMILIES[entry.family]
    if entry.fwmark:
        yield (family, 0, b"", 0, entry.fwmark)
        return
    protocol = _PROTOCOLS[spec.protocol]
    for address in entry.addresses():
        yield (family, protocol, address, entry.port, 0)


def _options(spec: VirtualServer, entry: Entry) -> abi.ServiceOptions:
    flags = spec.sched_flags << 3
    if spec.persistence_timeout_s:
        flags |= abi.SVC_F_PERSISTENT
    if spec.ops:
        flags |= abi.SVC_F_ONEPACKET
    netmask = spec.persistence_prefix_len or (32 if entry.family == 4 else 128)
    if entry.family == 4:
        netmask = (0xFFFFFFFF << (32 - netmask)) & 0xFFFFFFFF
    return (spec.scheduler, flags, ALL_FLAGS, spec.persistence_timeout_s, netmask, spec.persistence_engine)


def _destination(
    server: RealServer | SorryServer, entry: Entry, weight: int, upper: int = 0, lower: int = 0
) -> abi.Destination:
    forwarding = server.forwarding
    # Only NAT can change the port; a firewall mark has none.
    port = server.port or entry.port if forwarding.method == "NAT" else entry.port
    tunnel = _tunnel(forwarding) if forwarding.method == "TUN" else (0, 0, 0)
    address = (_FAMILIES[server.family], packed(server.address), port)
    return (*address, _METHODS[forwarding.method], weight, upper, lower, *tunnel)


def _tunnel(forwarding: Forwarding) -> tuple[int, int, int]:
    return _TUNNELS[forwarding.tunnel], forwarding.tunnel_port, _CHECKSUMS[forwarding.checksum]


def same_service(wanted: abi.ServiceOptions, found: abi.ServiceOptions) -> bool:
    """Whether the kernel's options are the wanted ones; it adds a flag of its own."""
    scheduler, flags, _, timeout_s, netmask, engine = wanted
    return (scheduler, flags, timeout_s, engine) == (
        found[0],
        found[1] & ~abi.SVC_F_HASHED,
        found[3],
        found[5],
    ) and (netmask == found[4] or not flags & abi.SVC_F_PERSISTENT)


def same_destination(wanted: abi.Destination, found: abi.Destination) -> bool:
    """Whether the kernel's destination is the wanted one; it calls those of this host by a method of their own."""
    if wanted[4:] != found[4:]:
        return False
    return wanted[3] == found[3] or found[3] == abi.FWD_LOCALNODE


def describe_service(key: abi.ServiceKey) -> str:
    """For people: `[10.0.0.1]:tcp:80`."""
    family, protocol, address, port, fwmark = key
    if fwmark:
        return f"FWM {fwmark}" + (" IPv6" if family == socket.AF_INET6 else "")
    return f"[{socket.inet_ntop(family, address)}]:{_NAMES.get(protocol, protocol)}:{port}"


def describe_destination(key: Iterable[object]) -> str:
    """For people: `[10.0.0.11]:80`."""
    family, address, port, *_ = key
    if not isinstance(family, int) or not isinstance(address, bytes):
        return "?"
    return f"[{socket.inet_ntop(family, address)}]:{port}"
