"""Writes adverts byte by byte, right or deliberately wrong, and sends them from a node: the hostile neighbour."""

import ipaddress
import socket
import struct
from collections.abc import Sequence

import msgspec

from keepvip.lab.decode import PROTOCOL_VRRP, internet_checksum
from keepvip.lab.node import Node

_GROUP = "224.0.0.18"
_GROUP_MAC = bytes.fromhex("01005e000012")
_GROUP_MAC_V6 = bytes.fromhex("333300000012")


class ForgedAdvert(msgspec.Struct, frozen=True, kw_only=True):
    """An advert, over IPv6 if its source is; every field may be wrong. ``msgspec.structs.replace`` makes variants."""

    source: str
    vrid: int = 51
    priority: int = 200
    addresses: Sequence[str] = ("10.0.0.1",)
    version: int = 2
    kind: int = 1
    interval: int = 1  # v2: seconds, v3: centiseconds
    auth_type: int = 0
    password: bytes = b""
    ttl: int = 255
    destination: str = _GROUP
    count: int | None = None  # instead of the number of addresses
    checksum_error: int = 0  # added to the right checksum
    cut_to: int | None = None  # bytes of the VRRP message to send
    trailer: bytes = b""  # what follows the message

    def message(self) -> bytes:
        """The VRRP message."""
        addresses = b"".join(ipaddress.ip_address(address).packed for address in self.addresses)
        count = len(self.addresses) if self.count is None else self.count
        fifth = self.auth_type if self.version == 2 else self.interval >> 8
        head = struct.pack(
            "!BBBBBB", self.version << 4 | self.kind, self.vrid, self.priority, count, fifth, self.interval & 0xFF
        )
        over_ipv6 = ":" in self.source
        tail = self.password.ljust(8, b"\0")[:8] if self.version == 2 and not over_ipv6 else b""
        blank = head + b"\0\0" + addresses + tail
        pseudo = b""
        ends = ipaddress.ip_address(self.source).packed + ipaddress.ip_address(self.destination).packed
        if over_ipv6:
            pseudo = ends + struct.pack("!II", len(blank), PROTOCOL_VRRP)
        elif self.version == 3:
            pseudo = ends + struct.pack("!HH", PROTOCOL_VRRP, len(blank))
        checksum = (internet_checksum(pseudo + blank) + self.checksum_error) & 0xFFFF
        return (head + struct.pack("!H", checksum) + addresses + tail)[: self.cut_to]

    def frame(self, source_mac: str, destination_mac: str | None = None) -> bytes:
        """The Ethernet frame; to the group's MAC, or to one that is given."""
        message = self.message() + self.trailer
        ends = ipaddress.ip_address(self.source).packed + ipaddress.ip_address(self.destination).packed
        if ":" in self.source:
            header = struct.pack("!IHBB", 0x6C000000, len(message), PROTOCOL_VRRP, self.ttl) + ends
            to = _GROUP_MAC_V6 if destination_mac is None else bytes.fromhex(destination_mac.replace(":", ""))
            return to + bytes.fromhex(source_mac.replace(":", "")) + b"\x86\xdd" + header + message
        head = struct.pack("!BBHHHBBH", 0x45, 0xC0, 20 + len(message), 7, 0, self.ttl, PROTOCOL_VRRP, 0)
        checksum = internet_checksum(head + ends)
        header = head[:10] + struct.pack("!H", checksum) + ends
        to = _GROUP_MAC if destination_mac is None else bytes.fromhex(destination_mac.replace(":", ""))
        return to + bytes.fromhex(source_mac.replace(":", "")) + b"\x08\x00" + header + message


class Forger:
    """Sends forged adverts from an interface of a node."""

    def __init__(self, node: Node, interface: str) -> None:
        self._mac = node.mac(interface)
        self._sock = node.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._sock.bind((interface, 0))

    def send(self, advert: ForgedAdvert, *, to: str | None = None) -> None:
        """Send one, to a MAC or to the group's."""
        self._sock.send(advert.frame(self._mac, to))

    def send_frame(self, frame: bytes) -> None:
        """Send an Ethernet frame as it is."""
        self._sock.send(frame)

    @property
    def mac(self) -> str:
        """Where its frames come from."""
        return self._mac

    def close(self) -> None:
        """Stop."""
        self._sock.close()
