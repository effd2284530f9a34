"""The kernel's IPVS table over generic netlink: many requests per system call, dumps, and errors in words.

Blocking: it is used on a thread of its own. Not for two threads at once.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import subprocess
from typing import TYPE_CHECKING, Final

from keepvip import _ipvs_abi as abi

try:
    from keepvip import _ipvs as codec
except ImportError:  # built without Cython: slower, otherwise the same
    from keepvip import _ipvs_py as codec  # type: ignore[no-redef]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from keepvip._ipvs_abi import Record

__all__ = ["Kernel", "KernelError", "NoIpvsError", "Request", "error_text"]

_NETLINK_GENERIC: Final = 16
_SOL_NETLINK: Final = 270
_NETLINK_CAP_ACK: Final = 10
_NETLINK_EXT_ACK: Final = 11
_SO_RCVBUFFORCE: Final = 33
_RECEIVE_BYTES: Final = 4 << 20
_READ_BYTES: Final = 1 << 18
_BATCH: Final = 200
"""Requests per system call: their answers must fit into the receive buffer even if all fail."""
_TIMEOUT_S: Final = 10.0
_MODPROBE_S: Final = 20.0

Request = tuple[int, abi.ServiceKey | None, abi.ServiceOptions | None, abi.Destination | abi.DestinationKey | None]
"""Command, service, its options, destination."""


class KernelError(OSError):
    """The kernel refuses something, or does not answer."""


class NoIpvsError(KernelError):
    """This kernel has no IPVS, or we may not use it."""


_TEXTS = {
    errno.ENOENT: "not found (a scheduler or persistence engine that this kernel does not have?)",
    errno.ESRCH: "no such service",
    errno.EEXIST: "exists already",
    errno.EPERM: "not permitted (CAP_NET_ADMIN is needed)",
    errno.EINVAL: "invalid for this kernel",
    errno.EAFNOSUPPORT: "address family not supported",
    errno.EOPNOTSUPP: "not supported by this kernel",
}


def error_text(number: int) -> str:
    """What an error number means here."""
    return _TEXTS.get(number) or os.strerror(number)


class Kernel:
    """One socket. Opening it loads the module `ip_vs` if need be."""

    def __init__(self) -> None:
        """Raises NoIpvsError."""
        self.requests = 0
        """Requests that change something, so far."""
        self._seq = 0
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_GENERIC)
        try:
            self._socket.bind((0, 0))
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BYTES)
            except OSError:  # no root in the first user namespace: as much as is allowed
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(_TIMEOUT_S), 0))
            self.family = self._find_family()
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _find_family(self) -> int:
        found = self._ask_family()
        if found is None:
            complaint = load_module("ip_vs")
            found = self._ask_family()
            if found is None:
                raise NoIpvsError(errno.ENOENT, f"this kernel has no IPVS (module ip_vs): {complaint}")
        return found

    def _ask_family(self) -> int | None:
        self._seq += 1
        self._socket.send(codec.encode_get_family(self._seq))
        for record in codec.decode(self._read(), 0xFFFF):
            if record[0] == abi.FAMILY:
                return record[2]
        return None

    def change(self, requests: Sequence[Request]) -> dict[int, int]:
        """Make changes, in order; returns the errors: place in `requests` → error number. Raises KernelError."""
        errors: dict[int, int] = {}
        for begin in range(0, len(requests), _BATCH):
            batch = requests[begin : begin + _BATCH]
            first = self._seq + 1
            self._seq += len(batch)
            last = len(batch) - 1
            data = b"".join(
                codec.encode(
                    command,
                    self.family,
                    first + at,
                    abi.NLM_F_REQUEST | (abi.NLM_F_ACK if at == last else 0),
                    service,
                    options,
                    destination,
                )
                for at, (command, service, options, destination) in enumerate(batch)
            )
            self._send(data)
            self.requests += len(batch)
            for seq, number in self._answers(first, self._seq):
                if number:
                    errors[begin + seq - first] = number
        return errors

    def _send(self, data: bytes) -> None:
        try:
            self._socket.send(data)
        except OSError as error:
            raise KernelError(error.errno, f"cannot talk to IPVS: {error.strerror}") from error

    def _answers(self, first: int, last: int) -> Iterable[tuple[int, int]]:
        """Acknowledgements and refusals of a batch, up to the one of its last request."""
        while True:
            for record in codec.decode(self._read(), self.family):
                if record[0] == abi.ACK and first <= record[1] <= last:
                    yield record[1], record[2]
                    if record[1] == last:
                        return

    def _read(self) -> bytes:
        try:
            return self._socket.recv(_READ_BYTES)
        except OSError as error:
            what = "IPVS does not answer" if error.errno == errno.EAGAIN else f"IPVS: {error.strerror}"
            raise KernelError(error.errno, what) from error

    def _dump(self, command: int, service: abi.ServiceKey | None, take: Callable[[Record], None]) -> int:
        """All records of a dump; returns its error number. Raises KernelError."""
        self._seq += 1
        seq = self._seq
        self._send(codec.encode(command, self.family, seq, abi.NLM_F_REQUEST | abi.NLM_F_DUMP, service))
        while True:
            for record in codec.decode(self._read(), self.family):
                if record[1] != seq:
                    continue
                if record[0] in (abi.DONE, abi.ACK):
                    return record[2]  # both have their error number there
                take(record)

    def services(self) -> list[abi.ServiceRecord]:
        """All services of this network namespace. Raises KernelError."""
        found: list[abi.ServiceRecord] = []
        status = self._dump(abi.CMD_GET_SERVICE, None, found.append)  # type: ignore[arg-type]
        if status:
            raise KernelError(status, f"cannot read the IPVS table: {error_text(status)}")
        return found

    def service(self, key: abi.ServiceKey) -> abi.ServiceRecord | None:
        """One service; None if there is none."""
        self._seq += 1
        seq = self._seq
        flags = abi.NLM_F_REQUEST | abi.NLM_F_ACK
        self._send(codec.encode(abi.CMD_GET_SERVICE, self.family, seq, flags, key))
        found: abi.ServiceRecord | None = None
        while True:
            for record in codec.decode(self._read(), self.family):
                if record[1] != seq:
                    continue
                if record[0] == abi.ACK:
                    return found
                if record[0] == abi.CMD_NEW_SERVICE:
                    found = record

    def destinations(self, key: abi.ServiceKey) -> list[abi.DestinationRecord]:
        """The destinations of a service; none if the service is gone."""
        found: list[abi.DestinationRecord] = []
        status = self._dump(abi.CMD_GET_DEST, key, found.append)  # type: ignore[arg-type]
        return [] if status else found

    def timeouts(self) -> tuple[int, int, int]:
        """TCP, TCP after FIN, UDP, in seconds."""
        self._seq += 1
        self._send(codec.encode(abi.CMD_GET_CONFIG, self.family, self._seq, abi.NLM_F_REQUEST))
        for record in codec.decode(self._read(), self.family):
            if record[0] == abi.CMD_SET_CONFIG:
                return record[2], record[3], record[4]
        raise KernelError(errno.EPROTO, "IPVS does not tell its timeouts")

    def set_timeouts(self, tcp_s: int, tcp_fin_s: int, udp_s: int) -> None:
        """0 leaves a timeout as it is. Raises KernelError."""
        self._seq += 1
        flags = abi.NLM_F_REQUEST | abi.NLM_F_ACK
        self._send(codec.encode_config(self.family, self._seq, flags, tcp_s, tcp_fin_s, udp_s))
        self.requests += 1
        for _, number in self._answers(self._seq, self._seq):
            if number:
                raise KernelError(number, f"cannot set the IPVS timeouts: {error_text(number)}")

    def flush(self) -> None:
        """Remove all services, whoever made them. Raises KernelError."""
        errors = self.change([(abi.CMD_FLUSH, None, None, None)])
        if errors:
            raise KernelError(errors[0], f"cannot flush the IPVS table: {error_text(errors[0])}")

    def daemons(self) -> list[abi.DaemonRecord]:
        """The synchronisation daemons that run."""
        found: list[abi.DaemonRecord] = []
        self._dump(abi.CMD_GET_DAEMON, None, found.append)  # type: ignore[arg-type]
        return found

    def start_daemon(self, daemon: abi.Daemon) -> int:
        """Start one; returns the error number."""
        self._seq += 1
        flags = abi.NLM_F_REQUEST | abi.NLM_F_ACK
        self._send(codec.encode_daemon(abi.CMD_NEW_DAEMON, self.family, self._seq, flags, daemon))
        self.requests += 1
        return next((number for _, number in self._answers(self._seq, self._seq)), 0)

    def stop_daemon(self, state: int, sync_id: int) -> None:
        """Stop one, if it runs.

        No acknowledgement is asked for: the kernel loses it when the daemon's thread had no time to run yet. Whoever
        wants to know reads `daemons`.
        """
        self._seq += 1
        daemon: abi.Daemon = (state, "", sync_id, 0, b"", 0, 0)
        self._send(codec.encode_daemon(abi.CMD_DEL_DAEMON, self.family, self._seq, abi.NLM_F_REQUEST, daemon))
        self.requests += 1


def load_module(name: str) -> str:
    """Load a kernel module; returns what went wrong, or nothing."""
    try:
        done = subprocess.run(
            ["modprobe", "-s", "--", name], capture_output=True, text=True, timeout=_MODPROBE_S, check=False
        )
    except FileNotFoundError:
        return "there is no program modprobe to load it"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"modprobe {name}: {error}"
    if done.returncode:
        return f"modprobe {name} failed: {done.stderr.strip() or f'exit status {done.returncode}'}"
    return ""
