"""What this host is like: interfaces, users, files. Asked for only when a rule needs it, and replaceable in tests.

The compiler never looks at the host by itself: it is given a `HostFacts`, or None when the file belongs to another
host. Nothing is resolved over the network.
"""

from __future__ import annotations

import functools
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HostFacts", "Interface", "InterfaceAddress", "User"]

IFF_LOOPBACK = 0x8
IFF_MULTICAST = 0x1000
_SIOCGIFFLAGS = 0x8913
_SIOCGIFMTU = 0x8921
_NETLINK_ROUTE = 0
_RTM_GETADDR = 22
_NLM_F_REQUEST_DUMP = 0x301
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_RTM_NEWADDR = 20
_IFA_ADDRESS = 1
_IFA_LOCAL = 2
_UNWATCHED = frozenset({
    *("proc", "sysfs", "cgroup", "cgroup2", "devpts", "debugfs", "tracefs", "securityfs", "selinuxfs", "pstore", "bpf"),
    *("efivarfs", "configfs", "fusectl", "nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse", "9p", "afs", "ceph", "coda"),
})  # fmt: skip
"""Kinds of file systems whose changes inotify does not report, or not those of other hosts."""


class InterfaceAddress(msgspec.Struct, frozen=True, gc=False):
    """One address that an interface has now."""

    address: str
    prefix_len: int
    family: int


class Interface(msgspec.Struct, frozen=True, gc=False):
    """One interface as it is now."""

    name: str
    mtu: int = 1500
    multicast: bool = True
    loopback: bool = False


class User(msgspec.Struct, frozen=True, gc=False):
    """One user of the host."""

    name: str
    uid: int
    gid: int


class HostFacts:
    """Facts about this host, each gathered when it is first asked for and then kept: make a new one for every load.

    Everything can be given instead, which is how tests describe a host that is not this one.
    """

    def __init__(
        self,
        *,
        interfaces: Mapping[str, Interface] | None = None,
        addresses: Mapping[str, tuple[InterfaceAddress, ...]] | None = None,
        users: Mapping[str, User] | None = None,
        groups: Mapping[str, int] | None = None,
        files: Mapping[str, os.stat_result] | None = None,
        contents: Mapping[str, bytes] | None = None,
        hostname: str | None = None,
        namespace: str | None = None,
        texts: Mapping[str, str] | None = None,
        namespaces: Mapping[str, HostFacts] | None = None,
    ) -> None:
        self._interfaces = interfaces
        self._texts = texts
        self._addresses = addresses
        self._users = users
        self._groups = groups
        self._files = files
        self._contents = contents
        self._hostname = hostname
        self._namespace = namespace
        self._namespaces: dict[str, HostFacts | None] | None = dict(namespaces) if namespaces is not None else None
        self._inside: dict[str, HostFacts | None] = {}
        self._read: dict[str, Interface] = {}
        self._found_users: dict[str, User | None] = {}

    def in_namespace(self, name: str) -> bool:
        """Whether interfaces and addresses are those of the network namespace that `ip netns add NAME` made."""
        if self._interfaces is not None:
            return name == self._namespace
        own, named = self.stat("/proc/self/ns/net"), self.stat(f"/run/netns/{name}")
        if isinstance(own, OSError) or isinstance(named, OSError):
            return False
        return (own.st_dev, own.st_ino) == (named.st_dev, named.st_ino)

    def within(self, name: str) -> HostFacts | None:
        """The interfaces and addresses of another network namespace; None: there is none, or it cannot be entered."""
        if self._namespaces is not None or self._interfaces is not None:
            return (self._namespaces or {}).get(name)
        if name not in self._inside:
            from keepvip.config.netns import inside  # noqa: PLC0415  (most configurations name no namespace)

            try:
                interfaces, addresses = inside(name, _look_around)
                self._inside[name] = HostFacts(interfaces=interfaces, addresses=addresses)
            except OSError:
                self._inside[name] = None
        return self._inside[name]

    @functools.cached_property
    def interface_names(self) -> frozenset[str]:
        """Interfaces of the network namespace of this process."""
        if self._interfaces is not None:
            return frozenset(self._interfaces)
        return frozenset(name for _, name in socket.if_nameindex())

    @functools.cached_property
    def addresses(self) -> Mapping[str, tuple[InterfaceAddress, ...]]:
        """Addresses by interface name; empty where the kernel does not tell."""
        if self._addresses is not None:
            return self._addresses
        try:
            return _dump_addresses()
        except OSError:
            return {}

    @property
    def hostname(self) -> str:
        """The node name."""
        return self._hostname if self._hostname is not None else os.uname().nodename

    @property
    def own_user(self) -> str:
        """Name of the user that this process runs as."""
        found = self.user(str(os.geteuid())) if self._users is None else None
        return found.name if found is not None else "root"

    def interface(self, name: str) -> Interface | None:
        """An interface, or None if there is none of that name."""
        if self._interfaces is not None:
            return self._interfaces.get(name)
        if name not in self.interface_names:
            return None
        found = self._read.get(name)
        if found is None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                found = self._read[name] = _read_interface(sock, name)
        return found

    @functools.cached_property
    def user_names(self) -> tuple[str, ...]:
        """All users, for suggestions."""
        if self._users is not None:
            return tuple(self._users)
        import pwd  # noqa: PLC0415  (needed for a mistake only)

        return tuple(entry.pw_name for entry in pwd.getpwall())

    def user(self, name: str) -> User | None:
        """A user by name or number."""
        if self._users is not None:
            return self._users.get(name)
        if name not in self._found_users:
            import pwd  # noqa: PLC0415  (most configurations name no user)

            try:
                entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
                self._found_users[name] = User(entry.pw_name, entry.pw_uid, entry.pw_gid)
            except (KeyError, OverflowError, ValueError):
                self._found_users[name] = None
        return self._found_users[name]

    def group(self, name: str) -> int | None:
        """The number of a group by name or number."""
        if self._groups is not None:
            return self._groups.get(name)
        import grp  # noqa: PLC0415  (most configurations name no group)

        try:
            return (grp.getgrgid(int(name)) if name.isdecimal() else grp.getgrnam(name)).gr_gid
        except (KeyError, OverflowError, ValueError):
            return None

    def content(self, path: str, most: int) -> bytes | OSError:
        """The first `most` bytes of a regular file, or why it cannot be read."""
        if self._contents is not None:
            found = self._contents.get(path)
            return FileNotFoundError(2, "No such file or directory", path) if found is None else found[:most]
        try:
            with Path(path).open("rb") as file:
                return file.read(most)
        except OSError as error:
            return error

    def unwatched_file_system(self, folder: str) -> str | None:
        """The kind of file system that `folder`, or its nearest ancestor, is on, if inotify is not told of changes."""
        if self._files is not None:
            return None
        try:
            lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        except OSError:
            return None
        best, kind, read_only = "", "", False
        for line in lines:
            fields, _, rest = line.partition(" - ")
            words = fields.split(" ")
            point = words[4].encode("latin-1", "replace").decode("unicode_escape", "replace")
            inside = point in {"/", folder} or folder.startswith(f"{point}/")
            if inside and len(point) >= len(best):  # of two on one point the later one is seen
                options = rest.split(" ")
                best, kind = point, options[0]
                read_only = "ro" in words[5].split(",") or "ro" in options[-1].split(",")
        if kind in _UNWATCHED or kind.startswith("fuse."):
            return kind
        return f"{kind}, read-only" if read_only else None

    def stat(self, path: str) -> os.stat_result | OSError:
        """A file, or why it cannot be looked at. Follows symbolic links."""
        if self._files is not None:
            return self._files.get(path) or FileNotFoundError(2, "No such file or directory", path)
        try:
            return Path(path).stat()
        except OSError as error:
            return error
        except ValueError:  # a NUL in the name
            return FileNotFoundError(2, "No such file or directory", path)

    def text(self, path: str) -> str | None:
        """What stands in a small file; None if it cannot be read."""
        if self._texts is not None:
            return self._texts.get(path)
        try:
            return Path(path).read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError):
            return None

    def files_in(self, folder: str, ending: str) -> list[str]:
        """Paths of the files of a folder whose name ends so, sorted; none if there is no such folder."""
        if self._texts is not None:
            return sorted(path for path in self._texts if path.rpartition("/")[0] == folder and path.endswith(ending))
        try:
            return sorted(str(path) for path in Path(folder).iterdir() if path.name.endswith(ending))
        except (OSError, ValueError):
            return []


def _look_around() -> tuple[dict[str, Interface], dict[str, tuple[InterfaceAddress, ...]]]:
    """All interfaces and addresses of the network namespace of the calling thread."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        interfaces = {name: _read_interface(sock, name) for _, name in socket.if_nameindex()}
    return interfaces, _dump_addresses()


def _read_interface(sock: socket.socket, name: str) -> Interface:
    """By ioctl: sysfs may show another network namespace than the one that this process is in."""
    import fcntl  # noqa: PLC0415  (only where there are interfaces to check)

    request = struct.pack("16sI20x", name.encode(), 0)
    try:
        (mtu,) = struct.unpack_from("i", fcntl.ioctl(sock, _SIOCGIFMTU, request), 16)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(sock, _SIOCGIFFLAGS, request), 16)
    except OSError:  # gone in between
        return Interface(name)
    return Interface(name, mtu, bool(flags & IFF_MULTICAST), bool(flags & IFF_LOOPBACK))


def _dump_addresses() -> dict[str, tuple[InterfaceAddress, ...]]:
    """All addresses of the network namespace, by one rtnetlink dump."""
    found: dict[str, list[InterfaceAddress]] = {}
    names = dict(socket.if_nameindex())
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE) as sock:
        sock.settimeout(2)  # the kernel answers at once; a broken one must not hold up the daemon
        request = struct.pack("=BxxxI", socket.AF_UNSPEC, 0)
        sock.send(struct.pack("=IHHII", 16 + len(request), _RTM_GETADDR, _NLM_F_REQUEST_DUMP, 1, 0) + request)
        done = False
        while not done:
            done = _take_addresses(sock.recv(65536), names, found)
    return {name: tuple(addresses) for name, addresses in found.items()}


def _take_addresses(data: bytes, names: dict[int, str], found: dict[str, list[InterfaceAddress]]) -> bool:
    """One buffer of the dump; True after its end."""
    offset = 0
    while offset + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        if kind in {_NLMSG_DONE, _NLMSG_ERROR} or length < 16:
            return True
        if length >= 24 and kind == _RTM_NEWADDR:
            family, prefix_len, _, _, index = struct.unpack_from("=BBBBI", data, offset + 16)
            attributes = dict(_attributes(data, offset + 24, offset + length))
            packed = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
            if packed is not None and len(packed) in {4, 16} and index in names:
                text = socket.inet_ntop(family, packed)
                found.setdefault(names[index], []).append(
                    InterfaceAddress(text, prefix_len, 4 if len(packed) == 4 else 6)
                )
        offset += (length + 3) & ~3
    return False


def _attributes(data: bytes, offset: int, end: int) -> list[tuple[int, bytes]]:
    found = []
    while offset + 4 <= end:
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4:
            break
        found.append((kind & 0x3FFF, data[offset + 4 : offset + length]))
        offset += (length + 3) & ~3
    return found
