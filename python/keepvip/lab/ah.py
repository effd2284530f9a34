"""The Authentication Header of VRRPv2 (vrrp-behaviour.md 5), checked and made with the standard library."""

import hashlib
import hmac
import struct

from keepvip.lab.decode import AH_LEN, PROTOCOL_AH, PROTOCOL_VRRP, Advert, internet_checksum

__all__ = ["behind_ah", "sequence_of", "verifies"]


def verifies(advert: Advert, secret: bytes) -> bool:
    """Whether a captured advert is what the holder of `secret` sent, and says who sent it."""
    total_len = int.from_bytes(advert.data[16:18], "big")
    packet = advert.data[14 : 14 + total_len]
    spi = advert.ah[4:8]
    return spi == packet[12:16] and hmac.compare_digest(_tag(packet, secret), advert.ah[12:])


def sequence_of(advert: Advert) -> int:
    """The number that must grow."""
    return int.from_bytes(advert.ah[8:12], "big")


def behind_ah(frame: bytes, secret: bytes, sequence: int, *, spi: bytes | None = None) -> bytes:
    """An Ethernet frame with an IPv4 advert, with the header put in between."""
    header, message = bytearray(frame[14:34]), frame[34:]
    header[9] = PROTOCOL_AH
    header[2:4] = struct.pack("!H", 20 + AH_LEN + len(message))
    header[10:12] = b"\0\0"
    header[10:12] = struct.pack("!H", internet_checksum(bytes(header)))
    head = struct.pack("!BBH4sI", PROTOCOL_VRRP, AH_LEN // 4 - 2, 0, spi or bytes(header[12:16]), sequence)
    packet = bytes(header) + head + bytes(12) + message
    return frame[:14] + packet[:32] + _tag(packet, secret) + message


def _tag(packet: bytes, secret: bytes) -> bytes:
    covered = bytearray(packet)
    covered[1] = 0
    covered[6:8] = covered[10:12] = b"\0\0"
    if covered[16] >> 4 != 14:  # the TTL of unicast may change on the way
        covered[8] = 0
    covered[32:44] = bytes(12)
    return hmac.new(secret, bytes(covered), hashlib.md5).digest()[:12]
