"""Frames to facts: VRRP v2 and v3, ARP, neighbour advertisements. From the RFCs; shares no code with the engine.

It is the tests' eye, so it checks what it reads (lengths, TTL, checksums) and says what is wrong in `Advert.errors`
instead of refusing: a test must be able to see a bad advert. Wireshark is the second eye (`keepvip.lab.tshark`).
"""

import ipaddress
import struct
from typing import Final

import msgspec

ETHERTYPE_IPV4: Final = 0x0800
ETHERTYPE_ARP: Final = 0x0806
ETHERTYPE_IPV6: Final = 0x86DD
PROTOCOL_ICMPV6: Final = 58
PROTOCOL_VRRP: Final = 112
PROTOCOL_AH: Final = 51
AH_LEN: Final = 24
ND_NEIGHBOUR_ADVERT: Final = 136
TRAILER_LEN: Final = 28
BROADCAST: Final = "ff:ff:ff:ff:ff:ff"


class Packet(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What all packets have: when (CLOCK_REALTIME, ns, by the kernel), from which node and interface, and the bytes."""

    at_ns: int
    node: str
    interface: str
    lan: str
    source_mac: str
    destination_mac: str
    data: bytes


class Advert(Packet, frozen=True, kw_only=True, gc=False):
    """A VRRP advertisement (RFC 3768 section 5.1, RFC 9568 section 5.1)."""

    family: int  # 4 or 6
    source: str
    destination: str
    ttl: int
    tos: int
    ip_id: int
    version: int
    vrid: int
    priority: int
    count: int
    addresses: tuple[str, ...]
    interval_ms: int
    auth_type: int
    auth_data: bytes
    ah: bytes  # the Authentication Header (IPv4), empty without
    trailer: bytes  # auth_hmac (vrrp-behaviour.md 6), empty without
    errors: tuple[str, ...]

    @property
    def key(self) -> tuple[int, int, str]:
        """What names the virtual router: (VRID, family, LAN)."""
        return self.vrid, self.family, self.lan


class Arp(Packet, frozen=True, kw_only=True, gc=False):
    """An ARP packet."""

    operation: int  # 1 request, 2 reply
    sender_mac: str
    sender: str
    target_mac: str
    target: str

    @property
    def gratuitous(self) -> bool:
        """Announces an address: sender and target are the same (vrrp-behaviour.md 2)."""
        return self.sender == self.target


class NeighbourAdvert(Packet, frozen=True, kw_only=True, gc=False):
    """An ICMPv6 neighbour advertisement (RFC 4861 section 4.4)."""

    source: str
    destination: str
    hop_limit: int
    target: str
    target_mac: str | None
    router: bool
    solicited: bool
    override: bool
    checksum_ok: bool


def internet_checksum(data: bytes) -> int:
    """The one's complement sum of RFC 1071, complemented: 0 over data that contains its right checksum."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def decode(data: bytes, *, at_ns: int, node: str, interface: str, lan: str) -> Packet:
    """Decode an Ethernet frame; a plain `Packet` if it is of no kind we know or too short for it."""
    common = Packet(
        at_ns=at_ns,
        node=node,
        interface=interface,
        lan=lan,
        source_mac=data[6:12].hex(":"),
        destination_mac=data[0:6].hex(":"),
        data=data,
    )
    if len(data) < 14 + 20:
        return common
    ethertype = data[12] << 8 | data[13]
    body = data[14:]
    if ethertype == ETHERTYPE_IPV4 and body[9] in {PROTOCOL_VRRP, PROTOCOL_AH}:
        return _advert_ipv4(common, body)
    if ethertype == ETHERTYPE_IPV6 and len(body) >= 48:
        if body[6] == PROTOCOL_VRRP:
            return _advert_ipv6(common, body)
        if body[6] == PROTOCOL_ICMPV6 and body[40] == ND_NEIGHBOUR_ADVERT and len(body) >= 64:
            return _neighbour_advert(common, body)
    if ethertype == ETHERTYPE_ARP and len(body) >= 28:
        return _arp(common, body)
    return common


def _advert_ipv4(common: Packet, body: bytes) -> Packet:
    header_len = (body[0] & 0x0F) * 4
    total_len, ip_id = struct.unpack_from("!HH", body, 2)
    errors: list[str] = []
    if internet_checksum(body[:header_len]):
        errors.append("IPv4 header checksum")
    if total_len > len(body):
        errors.append(f"IPv4 length {total_len} of {len(body)} bytes")
    source, destination = body[12:16], body[16:20]
    guard = AH_LEN if body[9] == PROTOCOL_AH else 0
    if guard and body[header_len : header_len + 1] != bytes([PROTOCOL_VRRP]):
        return common
    return _advert(
        common,
        payload=body[header_len + guard : total_len],
        ah=body[header_len : header_len + guard],
        pseudo=source + destination,
        family=4,
        source=str(ipaddress.IPv4Address(source)),
        destination=str(ipaddress.IPv4Address(destination)),
        ttl=body[8],
        tos=body[1],
        ip_id=ip_id,
        errors=errors,
    )


def _advert_ipv6(common: Packet, body: bytes) -> Packet:
    length = struct.unpack_from("!H", body, 4)[0]
    errors = [] if 40 + length <= len(body) else [f"IPv6 payload length {length} of {len(body) - 40} bytes"]
    source, destination = body[8:24], body[24:40]
    return _advert(
        common,
        payload=body[40 : 40 + length],
        pseudo=source + destination,
        family=6,
        source=str(ipaddress.IPv6Address(source)),
        destination=str(ipaddress.IPv6Address(destination)),
        ttl=body[7],
        tos=(body[0] & 0x0F) << 4 | body[1] >> 4,
        ip_id=0,
        errors=errors,
    )


def _advert(
    common: Packet,
    *,
    payload: bytes,
    pseudo: bytes,
    family: int,
    source: str,
    destination: str,
    ttl: int,
    tos: int,
    ip_id: int,
    errors: list[str],
    ah: bytes = b"",
) -> Packet:
    if len(payload) < 8:
        return common
    kind_and_version, vrid, priority, count, fifth, sixth = payload[:6]
    version = kind_and_version >> 4
    if kind_and_version & 0x0F != 1:
        errors.append(f"type {kind_and_version & 0x0F}")
    size = 4 if family == 4 else 16
    end = 8 + count * size
    whole, trailer = payload, b""
    if len(payload) == end + (8 if (version, family) == (2, 4) else 0) + TRAILER_LEN:
        payload, trailer = payload[:-TRAILER_LEN], payload[-TRAILER_LEN:]
    auth_type, auth_data = 0, b""
    if version == 2:
        auth_type, interval_ms = fifth, sixth * 1000
        auth_data = payload[end:]
        if len(auth_data) != 8:
            errors.append(f"{len(auth_data)} bytes of authentication data")
        summed = payload
    else:
        interval_ms = ((fifth & 0x0F) << 8 | sixth) * 10
        if fifth & 0xF0:
            errors.append("reserved bits set")
        if len(payload) != end:
            errors.append(f"{len(payload) - end} bytes after the addresses")
        width = "!HH" if family == 4 else "!II"
        covered = payload if family == 4 else whole  # kernels check all of an IPv6 payload
        tail = (PROTOCOL_VRRP, len(covered)) if family == 4 else (len(covered), PROTOCOL_VRRP)
        summed = pseudo + struct.pack(width, *tail) + covered
    if version not in {2, 3}:
        errors.append(f"version {version}")
    if internet_checksum(summed):
        errors.append("VRRP checksum")
    if len(payload) < end:
        errors.append(f"{count} addresses in {len(payload)} bytes")
        end = 8 + (len(payload) - 8) // size * size
    addresses = tuple(str(ipaddress.ip_address(payload[at : at + size])) for at in range(8, end, size))
    return Advert(
        at_ns=common.at_ns,
        node=common.node,
        interface=common.interface,
        lan=common.lan,
        source_mac=common.source_mac,
        destination_mac=common.destination_mac,
        data=common.data,
        family=family,
        source=source,
        destination=destination,
        ttl=ttl,
        tos=tos,
        ip_id=ip_id,
        version=version,
        vrid=vrid,
        priority=priority,
        count=count,
        addresses=addresses,
        interval_ms=interval_ms,
        auth_type=auth_type,
        auth_data=auth_data,
        ah=ah,
        trailer=trailer,
        errors=tuple(errors),
    )


def _arp(common: Packet, body: bytes) -> Packet:
    hardware, protocol, hardware_len, protocol_len, operation = struct.unpack_from("!HHBBH", body)
    if (hardware, protocol, hardware_len, protocol_len) != (1, ETHERTYPE_IPV4, 6, 4):
        return common
    return Arp(
        at_ns=common.at_ns,
        node=common.node,
        interface=common.interface,
        lan=common.lan,
        source_mac=common.source_mac,
        destination_mac=common.destination_mac,
        data=common.data,
        operation=operation,
        sender_mac=body[8:14].hex(":"),
        sender=str(ipaddress.IPv4Address(body[14:18])),
        target_mac=body[18:24].hex(":"),
        target=str(ipaddress.IPv4Address(body[24:28])),
    )


def _neighbour_advert(common: Packet, body: bytes) -> Packet:
    length = struct.unpack_from("!H", body, 4)[0]
    message = body[40 : 40 + length]
    flags = message[4]
    target_mac = None
    at = 24
    while at + 8 <= len(message) and message[at + 1]:
        if message[at] == 2:  # target link-layer address
            target_mac = message[at + 2 : at + 8].hex(":")
        at += message[at + 1] * 8
    pseudo = body[8:40] + struct.pack("!II", length, PROTOCOL_ICMPV6)
    return NeighbourAdvert(
        at_ns=common.at_ns,
        node=common.node,
        interface=common.interface,
        lan=common.lan,
        source_mac=common.source_mac,
        destination_mac=common.destination_mac,
        data=common.data,
        source=str(ipaddress.IPv6Address(body[8:24])),
        destination=str(ipaddress.IPv6Address(body[24:40])),
        hop_limit=body[7],
        target=str(ipaddress.IPv6Address(message[8:24])),
        target_mac=target_mac,
        router=bool(flags & 0x80),
        solicited=bool(flags & 0x40),
        override=bool(flags & 0x20),
        checksum_ok=internet_checksum(pseudo + message) == 0,
    )
