"""The `auth_hmac` trailer (vrrp-behaviour.md 6), made and checked with the standard library.

A second opinion on what the engine signs, and the tool to forge what it must reject.
"""

import hashlib
import hmac
import ipaddress
import struct
import time

from keepvip.lab.decode import TRAILER_LEN, Advert

__all__ = ["sequence_of", "trailer", "verifies"]


def trailer(
    message: bytes,
    source: str,
    secret: bytes,
    *,
    number: int = 1,
    at_s: float | None = None,
    counter: int = 0,
    scheme: int = 1,
    reserved: int = 0,
) -> bytes:
    """The 28 bytes that follow `message` (a VRRP message without IP header); signed now unless `at_s` says when."""
    whole, fraction = divmod(time.time() if at_s is None else at_s, 1)
    head = struct.pack("!BBHIHH", scheme, number, reserved, int(whole), int(fraction * 65536), counter)
    return head + _tag(message, source, secret, head)


def verifies(advert: Advert, secret: bytes) -> bool:
    """Whether a captured advert is signed with `secret`."""
    payload = advert.data[14 + (40 if advert.family == 6 else (advert.data[14] & 15) * 4) :]
    padding = len(advert.data) - 14 - _ip_len(advert)
    message = payload[: len(payload) - padding - TRAILER_LEN]
    head = advert.trailer[:12]
    return hmac.compare_digest(_tag(message, advert.source, secret, head), advert.trailer[12:])


def sequence_of(advert: Advert) -> int:
    """The 64 bits that must grow."""
    return int.from_bytes(advert.trailer[4:12], "big")


def _ip_len(advert: Advert) -> int:
    if advert.family == 6:
        return 40 + int.from_bytes(advert.data[18:20], "big")
    return int.from_bytes(advert.data[16:18], "big")


def _tag(message: bytes, source: str, secret: bytes, head: bytes) -> bytes:
    address = ipaddress.ip_address(source)
    pseudo = bytes([address.version, message[0] >> 4, message[1], 0]) + address.packed.ljust(16, b"\0")
    covered = pseudo + message[:6] + b"\0\0" + message[8:] + head + bytes(16)
    return hmac.new(secret, covered, hashlib.sha256).digest()[:16]
