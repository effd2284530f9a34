"""What the kernel tells of things that went away, and of interfaces that came and went.

A classic BPF program keeps everything else from waking us: on a router with a full table there are thousands of routes
a second, and none of them is ours. Only RTM_DELROUTE of protocol 18 passes, and all about rules that go, addresses and
links.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from keepvip.config.model_route import PROTOCOL
from keepvip.net.address_message import RTM_DELADDR, address_key_of
from keepvip.net.route_message import RTM_DELROUTE, route_key_of
from keepvip.net.rule_message import RTM_DELRULE, rule_key_of
from keepvip.net.wire import HEADER_LEN, messages

if TYPE_CHECKING:
    from keepvip.net.item import Key

__all__ = ["Monitor", "News"]

_GROUPS: Final = (1, 5, 7, 8, 9, 11, 19)
"""RTNLGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_RULE."""
_SOL_NETLINK: Final = 270
_NETLINK_ADD_MEMBERSHIP: Final = 1
_SO_ATTACH_FILTER: Final = 26
_SO_RCVBUFFORCE: Final = 33
_RTM_NEWLINK: Final = 16
_RTM_DELLINK: Final = 17
_RTM_NEWADDR: Final = 20
_BUFFER: Final = 1 << 20
_READS: Final = 64
"""Datagrams per call, so that a flood does not keep the loop."""
_KEYS: Final = {
    RTM_DELROUTE: ("route", route_key_of),
    RTM_DELRULE: ("rule", rule_key_of),
    RTM_DELADDR: ("address", address_key_of),
}


class News(NamedTuple):
    """What came in one call."""

    gone: list[Key]
    """Keys of what was removed, by whomever."""
    links: bool
    """Interfaces changed or lost an address: what hangs on them may be gone without a word."""
    addresses: bool
    """There are more addresses: what was not possible may be so now."""
    lost: bool
    """The kernel had more to tell than the socket could take."""


class Monitor:
    """The socket, in the network namespace of the thread that makes it. Read on the loop when it is readable."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        _attach(self._socket)
        self._socket.bind((0, 0))  # without a number of its own it would count as the sender of everything
        for group in _GROUPS:
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)

    def fileno(self) -> int:
        """Readable when there is news."""
        return self._socket.fileno()

    def read(self) -> News:
        """Everything that waits, up to a limit; the socket stays readable when there is more."""
        gone: list[Key] = []
        links = addresses = lost = False
        for _ in range(_READS):
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            for kind, _, _, body in messages(data):
                if kind in _KEYS:
                    name, key_of = _KEYS[kind]
                    key = key_of(body)
                    if key is not None:
                        gone.append((name, *key))
                links |= kind in {_RTM_NEWLINK, _RTM_DELLINK, RTM_DELADDR}
                addresses |= kind == _RTM_NEWADDR
        return News(gone, links, addresses, lost)

    def close(self) -> None:
        """Gives up the socket."""
        self._socket.close()


def _attach(sock: socket.socket) -> None:
    """Message types are in the host's byte order, while the filter loads in network order."""

    def typed(kind: int) -> int:
        return int.from_bytes(struct.pack("=H", kind))

    accept, drop = 0xFFFFFFFF, 0
    jump_eq, load_half, load_byte, give = 0x15, 0x28, 0x30, 0x06
    wanted = (RTM_DELRULE, RTM_DELADDR, _RTM_NEWLINK, _RTM_DELLINK, _RTM_NEWADDR)
    program = [(load_half, 0, 0, 4)]
    # From comparison i of `wanted` it is so many steps to the accepting end.
    program += [(jump_eq, len(wanted) - index + 2, 0, typed(kind)) for index, kind in enumerate(wanted)]
    program += [
        (jump_eq, 0, 3, typed(RTM_DELROUTE)),
        (load_byte, 0, 0, HEADER_LEN + 5),  # rtm_protocol
        (jump_eq, 0, 1, PROTOCOL),
        (give, 0, 0, accept),
        (give, 0, 0, drop),
    ]
    code = b"".join(struct.pack("=HBBI", *step) for step in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: the number of steps, and where they are.
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(buffer)))
