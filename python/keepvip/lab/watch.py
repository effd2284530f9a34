"""Address and link changes of a node as the kernel announces them, each with the time at which we heard of it."""

import ipaddress
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Final

import msgspec

from keepvip.lab.errors import LabTimeoutError

RTMGRP_LINK: Final = 0x1
RTMGRP_IPV4_IFADDR: Final = 0x10
RTMGRP_IPV6_IFADDR: Final = 0x100
_RTM_NEWLINK, _RTM_DELLINK, _RTM_NEWADDR, _RTM_DELADDR = 16, 17, 20, 21
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFLA_IFNAME = 3
_HEADER = struct.Struct("=IHHII")
_IFADDR = struct.Struct("=BBBBI")
_IFINFO = struct.Struct("=BxHiII")
_SO_RCVBUFFORCE = 33
_RECEIVE_BUFFER = 8 << 20


class AddressChange(msgspec.Struct, frozen=True, gc=False):
    """An address came (also: was changed) or went. ``at_ns``: CLOCK_REALTIME when the message was read."""

    at_ns: int
    added: bool
    address: str
    prefix_len: int
    index: int


class LinkChange(msgspec.Struct, frozen=True, gc=False):
    """A link appeared, changed or went."""

    at_ns: int
    present: bool
    name: str
    index: int
    up: bool
    running: bool


Change = AddressChange | LinkChange


class AddressWatch:
    """Listens on an rtnetlink socket from its making to `close`."""

    def __init__(self, sock: socket.socket, on_change: Callable[[Change], None] | None = None) -> None:
        """Args: on_change: called with each change, in the listening thread."""
        self._sock = sock
        self._on_change = on_change
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        except PermissionError:  # a user namespace
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        sock.bind((0, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))
        self._changes: list[Change] = []
        self._news = threading.Condition()
        self._stop_fd = os.eventfd(0)
        self._thread = threading.Thread(target=self._listen, name="lab-addresses", daemon=True)
        self._thread.start()

    @property
    def changes(self) -> list[Change]:
        """Everything seen so far, oldest first."""
        with self._news:
            return list(self._changes)

    def address_changes(self, address: str) -> list[AddressChange]:
        """The changes of one address, oldest first."""
        return [change for change in self.changes if isinstance(change, AddressChange) and change.address == address]

    def wait(
        self, wanted: Callable[[Change], bool], *, timeout_s: float, since_ns: int = 0, what: str = "change"
    ) -> Change:
        """The first change since a time that satisfies ``wanted``; raises `LabTimeoutError`."""
        deadline = time.monotonic() + timeout_s
        seen = 0
        with self._news:
            while True:
                for change in self._changes[seen:]:
                    if change.at_ns >= since_ns and wanted(change):
                        return change
                seen = len(self._changes)
                left = deadline - time.monotonic()
                if left <= 0:
                    raise LabTimeoutError(f"no {what} within {timeout_s} s; seen: {self._changes[-10:]}")
                self._news.wait(left)

    def wait_address(self, address: str, *, added: bool = True, timeout_s: float, since_ns: int = 0) -> AddressChange:
        """Wait until an address is added (or removed)."""
        change = self.wait(
            lambda change: isinstance(change, AddressChange) and change.address == address and change.added == added,
            timeout_s=timeout_s,
            since_ns=since_ns,
            what=f"{'arrival' if added else 'removal'} of {address}",
        )
        assert isinstance(change, AddressChange)
        return change

    def close(self) -> None:
        """Stop listening."""
        os.eventfd_write(self._stop_fd, 1)
        self._thread.join(5.0)
        self._sock.close()
        os.close(self._stop_fd)

    def _listen(self) -> None:
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        poll.register(self._stop_fd, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._stop_fd in ready:
                return
            data = self._sock.recv(1 << 16)
            now_ns = time.time_ns()
            changes = parse(data, now_ns)
            with self._news:
                self._changes += changes
                self._news.notify_all()
            if self._on_change:
                for change in changes:
                    self._on_change(change)


def parse(data: bytes, at_ns: int) -> list[Change]:
    """The changes in the bytes of one rtnetlink read."""
    changes: list[Change] = []
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, offset)
        body = data[offset + _HEADER.size : offset + length]
        if kind in {_RTM_NEWADDR, _RTM_DELADDR}:
            changes.append(_address(body, at_ns, added=kind == _RTM_NEWADDR))
        elif kind in {_RTM_NEWLINK, _RTM_DELLINK}:
            changes.append(_link(body, at_ns, present=kind == _RTM_NEWLINK))
        offset += (length + 3) & ~3
    return changes


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        found.setdefault(kind & 0x3FFF, data[offset + 4 : offset + length])
        offset += (max(length, 4) + 3) & ~3
    return found


def _address(body: bytes, at_ns: int, *, added: bool) -> AddressChange:
    _family, prefix_len, _flags, _scope, index = _IFADDR.unpack_from(body)
    attributes = _attributes(body[_IFADDR.size :])
    raw = attributes.get(_IFA_LOCAL) or attributes[_IFA_ADDRESS]  # on a point-to-point entry ADDRESS is the peer
    return AddressChange(at_ns, added, str(ipaddress.ip_address(raw)), prefix_len, index)


def _link(body: bytes, at_ns: int, *, present: bool) -> LinkChange:
    _family, _type, index, flags, _change = _IFINFO.unpack_from(body)
    name = _attributes(body[_IFINFO.size :]).get(_IFLA_IFNAME, b"").rstrip(b"\0").decode()
    return LinkChange(at_ns, present, name, index, up=bool(flags & 0x1), running=bool(flags & 0x40))
