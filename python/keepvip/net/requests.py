"""A socket for requests to rtnetlink: many in one datagram, each answered under its own number."""

from __future__ import annotations

import errno
import socket
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from keepvip.net.wire import (
    NLM_F_ACK_TLVS,
    NLM_F_CAPPED,
    NLMSG_DONE,
    NLMSG_ERROR,
    NLMSGERR_ATTR_MSG,
    attributes,
    messages,
    numbered,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Answer", "Requests"]

_SOL_NETLINK: Final = 270
_NETLINK_CAP_ACK: Final = 10
_NETLINK_EXT_ACK: Final = 11
_AT_ONCE: Final = 100
"""Requests per datagram: so many answers fit into the receive buffer, whatever its size."""
_ERROR_LEN: Final = 20
"""The error number, and the header of the request."""


class Answer(NamedTuple):
    """What the kernel said to one request."""

    errno: int
    """0: done."""
    text: str
    """The kernel's own words, if it has any."""


class Requests:
    """One socket, in the network namespace of the thread that makes it. Calls block, while another holds the kernel's
    routing lock also for long: not for the event loop."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._seq = 0
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)

    def talk(self, requests: Sequence[bytes]) -> list[Answer]:
        """Sends requests that ask for an acknowledgement (`wire.request` with NLM_F_ACK); one answer for each.

        One that fails does not stop the next. Raises OSError when the socket itself fails.
        """
        answers: list[Answer] = []
        for start in range(0, len(requests), _AT_ONCE):
            answers += self._talk(requests[start : start + _AT_ONCE])
        return answers

    def _talk(self, requests: Sequence[bytes]) -> list[Answer]:
        first = self._seq + 1
        self._seq += len(requests)
        self._socket.send(b"".join(numbered(request, first + index) for index, request in enumerate(requests)))
        found: dict[int, Answer] = {}
        while len(found) < len(requests):
            for kind, flags, seq, body in messages(self._socket.recv(65536)):
                if kind == NLMSG_ERROR and first <= seq <= self._seq:
                    found[seq] = _answer(flags, body)
        return [found[first + index] for index in range(len(requests))]

    def dump(self, request: bytes) -> list[tuple[int, bytes]]:
        """Sends one request that asks for something; type and body of every message of the answer.

        Raises OSError with the kernel's error number.
        """
        self._seq += 1
        self._socket.send(numbered(request, self._seq))
        found: list[tuple[int, bytes]] = []
        while True:
            for kind, flags, seq, body in messages(self._socket.recv(65536)):
                if seq != self._seq:
                    continue
                if kind == NLMSG_DONE:
                    return found
                if kind == NLMSG_ERROR:
                    answer = _answer(flags, body)
                    if answer.errno:
                        raise OSError(answer.errno, answer.text or errno.errorcode.get(answer.errno, ""))
                    return found
                found.append((kind, body))

    def close(self) -> None:
        """Gives up the socket."""
        self._socket.close()


def _answer(flags: int, body: bytes) -> Answer:
    (number,) = struct.unpack_from("=i", body)
    if not number or not flags & NLM_F_ACK_TLVS:
        return Answer(-number, "")
    offset = _ERROR_LEN
    if not flags & NLM_F_CAPPED:  # the whole request comes back
        (length,) = struct.unpack_from("=I", body, 4)
        offset = 4 + ((length + 3) & ~3)
    text = attributes(body, offset).get(NLMSGERR_ATTR_MSG, b"")
    return Answer(-number, text.rstrip(b"\0").decode("utf-8", "replace"))
