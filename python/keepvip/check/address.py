"""Addresses as the kernel takes them (`struct sockaddr_in`, `sockaddr_in6`)."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keepvip.config.model_check import Target

__all__ = ["pack", "source", "target", "tuple_of"]

SO_BINDTODEVICE = 25
SO_MARK = 36
IP_BIND_ADDRESS_NO_PORT = 24


def pack(address: str, port: int, scope: int = 0) -> bytes:
    """The socket address. `scope`: index of the interface, for link-local addresses."""
    if ":" in address:
        packed = socket.inet_pton(socket.AF_INET6, address)
        return struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, 0) + packed + struct.pack("=I", scope)
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(address) + bytes(8)


def scope_of(target: Target) -> int:
    """Index of the interface that a link-local target is on; 0 for others. Raises OSError without that interface."""
    if target.family == 6 and target.bind_if is not None and target.address.startswith("fe"):
        return socket.if_nametoindex(target.bind_if)
    return 0


def target(target: Target) -> bytes:
    """Where the check goes. Raises OSError if its interface does not exist."""
    return pack(target.address, target.port, scope_of(target))


def source(target: Target) -> bytes:
    """Where it comes from; empty: the kernel chooses."""
    if target.bind_address is None and not target.bind_port:
        return b""
    any_address = "::" if target.family == 6 else "0.0.0.0"
    return pack(target.bind_address or any_address, target.bind_port, scope_of(target))


def tuple_of(target: Target) -> tuple[str, int] | tuple[str, int, int, int]:
    """Where the check goes, as `socket` takes it. Raises OSError if its interface does not exist."""
    if target.family == 6:
        return (target.address, target.port, 0, scope_of(target))
    return (target.address, target.port)


def make_socket(target: Target, kind: socket.SocketKind, protocol: int = 0) -> socket.socket:
    """A socket with the mark, interface and source of the check, not connected yet. Raises OSError."""
    sock = socket.socket(socket.AF_INET6 if target.family == 6 else socket.AF_INET, kind, protocol)
    try:
        sock.setblocking(False)
        if target.fwmark:
            sock.setsockopt(socket.SOL_SOCKET, SO_MARK, target.fwmark)
        if target.bind_if is not None:
            sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, target.bind_if.encode())
        if target.bind_address is not None or target.bind_port:
            if target.bind_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            address = target.bind_address or ("::" if target.family == 6 else "0.0.0.0")
            port = target.bind_port
            sock.bind((address, port, 0, scope_of(target)) if target.family == 6 else (address, port))
    except BaseException:
        sock.close()
        raise
    return sock
