"""Which addresses this host has, as rtnetlink tells it: what `ha_suspend` depends on (checkers-and-ipvs.md 3.4)."""

from __future__ import annotations

import errno
import socket
import struct
from typing import Final

__all__ = ["HostAddresses"]

_RTM_NEWADDR: Final = 20
_RTM_DELADDR: Final = 21
_RTM_GETADDR: Final = 22
_NLM_F_REQUEST_DUMP: Final = 0x301
_GROUPS: Final = 0x10 | 0x100  # RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2
_HEADER = struct.Struct("=IHHII")
_IFADDRMSG = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_SIZE = {socket.AF_INET: 4, socket.AF_INET6: 16}


class HostAddresses:
    """A socket to watch, and the set of addresses. One address may be on several interfaces (link-local ones are)."""

    def __init__(self) -> None:
        self._on: dict[bytes, set[int]] = {}
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, _GROUPS))
        self._socket.setblocking(False)
        self._ask()

    def fileno(self) -> int:
        """Readable when something changed."""
        return self._socket.fileno()

    def close(self) -> None:
        """No more news."""
        self._socket.close()

    def __contains__(self, address: bytes) -> bool:
        return bool(self._on.get(address))

    def read(self) -> None:
        """Takes the news. If the kernel lost some, everything is asked for anew."""
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._on.clear()
                self._ask()
                continue
            self._take(data)

    def _ask(self) -> None:
        body = _IFADDRMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        self._socket.send(_HEADER.pack(16 + len(body), _RTM_GETADDR, _NLM_F_REQUEST_DUMP, 1, 0) + body)

    def _take(self, data: bytes) -> None:
        at = 0
        while at + 16 <= len(data):
            length, kind, _, _, _ = _HEADER.unpack_from(data, at)
            if length < 16:
                return
            if kind in (_RTM_NEWADDR, _RTM_DELADDR):
                self._address(kind, data[at + 16 : at + length])
            at += (length + 3) & ~3

    def _address(self, kind: int, body: bytes) -> None:
        family, _, _, _, index = _IFADDRMSG.unpack_from(body, 0)
        size = _SIZE.get(family)
        found: dict[int, bytes] = {}
        at = 8
        while at + 4 <= len(body):
            length, attribute = _ATTRIBUTE.unpack_from(body, at)
            if length < 4:
                return
            found[attribute] = body[at + 4 : at + length]
            at += (length + 3) & ~3
        # With a peer, IFA_ADDRESS is that of the peer.
        address = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
        if address is None or len(address) != size:
            return
        if kind == _RTM_NEWADDR:
            self._on.setdefault(address, set()).add(index)
            return
        holders = self._on.get(address)
        if holders is not None:
            holders.discard(index)
            if not holders:
                del self._on[address]
