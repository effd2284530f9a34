"""The classic BPF programs the tap hands to the kernel, so that only frames of interest cost us anything."""

import ctypes
import socket
import struct
from collections.abc import Iterable
from typing import Final

_SO_ATTACH_FILTER: Final = 26
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30
_JUMP_EQUAL, _JUMP_ALWAYS, _RETURN = 0x15, 0x05, 0x06
_IFINDEX: Final = 0xFFFFF000 + 8  # SKF_AD_OFF + SKF_AD_IFINDEX
_ALL: Final = 0x40000

Instruction = tuple[int, int | str, int | str, int]


def _assemble(program: list[Instruction | str]) -> bytes:
    """Resolve labels (a plain string marks a place) to forward distances."""
    places: dict[str, int] = {}
    code: list[Instruction] = []
    for item in program:
        if isinstance(item, str):
            places[item] = len(code)
        else:
            code.append(item)
    out = b""
    for number, (operation, if_true, if_false, operand) in enumerate(code):
        jumps = [places[target] - number - 1 if isinstance(target, str) else target for target in (if_true, if_false)]
        out += struct.pack("=HBBI", operation, jumps[0], jumps[1], operand)
    return out


def attach_tap_filter(sock: socket.socket, *, ignore_indexes: Iterable[int], everything: bool = False) -> None:
    """Accept VRRP, AH, IGMP, ARP, and ICMPv6 neighbour discovery and MLD; drop what comes from ``ignore_indexes``.

    The interfaces to ignore are the bridges themselves, which would show every multicast frame a second time.
    """
    program: list[Instruction | str] = [(_LOAD_WORD, 0, 0, _IFINDEX)]
    program += [(_JUMP_EQUAL, "drop", 0, index) for index in ignore_indexes]
    if not everything:
        program += [
            (_LOAD_HALF, 0, 0, 12),
            (_JUMP_EQUAL, "accept", 0, 0x0806),
            (_JUMP_EQUAL, "ipv6", 0, 0x86DD),
            (_JUMP_EQUAL, 0, "drop", 0x0800),
            (_LOAD_BYTE, 0, 0, 23),
            *((_JUMP_EQUAL, "accept", 0, protocol) for protocol in (112, 51, 2)),
            (_JUMP_EQUAL, "drop", "drop", 0),
            "ipv6",
            (_LOAD_BYTE, 0, 0, 20),
            (_JUMP_EQUAL, "accept", 0, 112),
            (_JUMP_EQUAL, "accept", 0, 0),  # hop-by-hop options: MLD
            (_JUMP_EQUAL, 0, "drop", 58),
            (_LOAD_BYTE, 0, 0, 54),
            (_JUMP_EQUAL, "accept", 0, 135),
            (_JUMP_EQUAL, "accept", "drop", 136),
        ]
    program += ["accept", (_RETURN, 0, 0, _ALL), "drop", (_RETURN, 0, 0, 0)]
    code = _assemble(program)
    buffer = ctypes.create_string_buffer(code)
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(code) // 8, ctypes.addressof(buffer)))
