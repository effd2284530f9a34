"""Netlink messages as bytes: netlink(7), rtnetlink(7). Nothing of the system is touched here."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "HEADER_LEN",
    "Message",
    "attribute",
    "attributes",
    "messages",
    "nested",
    "numbered",
    "request",
    "u8",
    "u16",
    "u32",
]

HEADER_LEN: Final = 16
NLA_F_NESTED: Final = 0x8000
_TYPE_MASK: Final = 0x3FFF

NLM_F_REQUEST: Final = 0x1
NLM_F_ACK: Final = 0x4
NLM_F_EXCL: Final = 0x200
NLM_F_CREATE: Final = 0x400
NLM_F_APPEND: Final = 0x800
NLM_F_CAPPED: Final = 0x100
NLM_F_ACK_TLVS: Final = 0x200
NLM_F_DUMP: Final = 0x300
NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3
NLMSGERR_ATTR_MSG: Final = 1

_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_PADDING: Final = (b"", b"\0\0\0", b"\0\0", b"\0")

Message = tuple[int, int, int, bytes]
"""Type, flags, sequence number, and what follows the header."""


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    length = len(payload) + 4
    return _ATTRIBUTE.pack(length, kind) + payload + _PADDING[length & 3]


def nested(kind: int, *inner: bytes, marked: bool = False) -> bytes:
    """An attribute made of attributes. `marked`: with NLA_F_NESTED, which newer message types insist on."""
    return attribute(kind | NLA_F_NESTED if marked else kind, b"".join(inner))


def u8(kind: int, value: int) -> bytes:
    """An attribute of one byte."""
    return attribute(kind, struct.pack("=B", value))


def u16(kind: int, value: int) -> bytes:
    """An attribute of two bytes in the order of the host."""
    return attribute(kind, struct.pack("=H", value))


def u32(kind: int, value: int) -> bytes:
    """An attribute of four bytes in the order of the host."""
    return attribute(kind, struct.pack("=I", value))


def request(kind: int, flags: int, body: bytes) -> bytes:
    """A request without sequence number, to be put in by `numbered`."""
    return _HEADER.pack(HEADER_LEN + len(body), kind, NLM_F_REQUEST | flags, 0, 0) + body


def numbered(message: bytes, seq: int) -> bytes:
    """The message with a sequence number, padded so that another may follow."""
    return message[:8] + struct.pack("=I", seq) + message[12:] + _PADDING[len(message) & 3]


def messages(data: bytes) -> Iterator[Message]:
    """The messages of one datagram; what is cut off is not among them."""
    offset = 0
    while offset + HEADER_LEN <= len(data):
        length, kind, flags, seq, _ = _HEADER.unpack_from(data, offset)
        if length < HEADER_LEN or offset + length > len(data):
            return
        yield kind, flags, seq, data[offset + HEADER_LEN : offset + length]
        offset += (length + 3) & ~3


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """The attributes from `offset` on, by type without its flags; of equal ones the last."""
    found = {}
    while offset + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4 or offset + length > len(data):
            break
        found[kind & _TYPE_MASK] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found
