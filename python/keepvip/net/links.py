"""Interfaces by name: their numbers, and the routing tables of VRF devices."""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING, Final, Protocol

from keepvip.net.wire import NLM_F_ACK, attribute, attributes, request

if TYPE_CHECKING:
    from keepvip.net.requests import Requests

__all__ = ["KernelLinks", "Links"]

_RTM_GETLINK: Final = 18
_IFLA_IFNAME: Final = 3
_IFLA_LINKINFO: Final = 18
_IFLA_INFO_KIND: Final = 1
_IFLA_INFO_DATA: Final = 2
_IFLA_VRF_TABLE: Final = 1
_IFF_UP: Final = 1
_BODY: Final = struct.Struct("=BxHiII")


class Links(Protocol):
    """What messages need to know of interfaces."""

    def index(self, name: str) -> int:
        """The number of an interface. Raises OSError (ENODEV) if there is none of that name."""

    def vrf_table(self, name: str) -> int:
        """The routing table of a VRF device. Raises OSError: there is none of that name, or it is something else."""


class KernelLinks:
    """Asks the kernel; remembers until `forget`."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._known: dict[str, tuple[int, int | None, bool]] = {}

    def index(self, name: str) -> int:
        """See `Links`."""
        return self._link(name)[0]

    def vrf_table(self, name: str) -> int:
        """See `Links`."""
        table = self._link(name)[1]
        if table is None:
            raise OSError(errno.EINVAL, f"{name} is not a VRF device")
        return table

    def up(self, name: str) -> bool:
        """Whether an interface exists and is up at this moment."""
        try:
            return self._ask(name)[2]
        except OSError:
            return False

    def forget(self) -> None:
        """Interfaces came, went, or changed their names."""
        self._known.clear()

    def _link(self, name: str) -> tuple[int, int | None, bool]:
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self._ask(name)
        return found

    def _ask(self, name: str) -> tuple[int, int | None, bool]:
        """Number, table of a VRF device, whether it is up."""
        body = _BODY.pack(0, 0, 0, 0, 0) + attribute(_IFLA_IFNAME, name.encode() + b"\0")
        try:
            answer = self._requests.dump(request(_RTM_GETLINK, NLM_F_ACK, body))
        except OSError as error:
            raise OSError(error.errno, f"{name}: {os.strerror(error.errno or 0)}") from error
        link = next((body for _, body in answer), None)
        if link is None:
            raise OSError(errno.ENODEV, f"{name}: {os.strerror(errno.ENODEV)}")
        _, _, index, flags, _ = _BODY.unpack_from(link)
        up = bool(flags & _IFF_UP)
        info = attributes(attributes(link, _BODY.size).get(_IFLA_LINKINFO, b""))
        if info.get(_IFLA_INFO_KIND, b"").rstrip(b"\0") != b"vrf":
            return index, None, up
        table = attributes(info.get(_IFLA_INFO_DATA, b"")).get(_IFLA_VRF_TABLE, b"")
        return index, struct.unpack("=I", table)[0] if len(table) == 4 else None, up
