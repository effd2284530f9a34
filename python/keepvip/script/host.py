"""What the script rules ask the host about: files, users, the search path."""

from __future__ import annotations

import os
from typing import Protocol

import msgspec

__all__ = ["RealHost", "ScriptHost", "User"]


class User(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An entry of the user database."""

    name: str
    uid: int
    gid: int


class ScriptHost(Protocol):
    """Replaceable in tests, and for the check of another host's file."""

    daemon_uid: int
    daemon_gid: int
    search_path: tuple[str, ...]
    cwd: str

    def lstat(self, path: str) -> os.stat_result:
        """As `os.lstat`; raises OSError."""

    def readlink(self, path: str) -> str:
        """As `os.readlink`; raises OSError."""

    def has_acl(self, path: str) -> bool:
        """Whether there is an access control list beside the permission bits."""

    def user(self, name: str) -> User | None:
        """A user by name or number."""

    def group(self, name: str) -> int | None:
        """The number of a group, by name or number."""

    def groups_of(self, name: str, gid: int) -> tuple[int, ...]:
        """All groups of a user whose primary group is `gid`."""


class RealHost:
    """This host, as it is now. All methods may block: call them in a thread."""

    def __init__(self, daemon_uid: int | None = None, daemon_gid: int | None = None) -> None:
        self.daemon_uid = os.geteuid() if daemon_uid is None else daemon_uid
        self.daemon_gid = os.getegid() if daemon_gid is None else daemon_gid
        self.search_path = tuple(os.environ.get("PATH", os.defpath).split(":"))
        self.cwd = os.getcwd()  # noqa: PTH109  (text is wanted)

    def lstat(self, path: str) -> os.stat_result:
        """As `os.lstat`; raises OSError."""
        return os.lstat(path)

    def readlink(self, path: str) -> str:
        """As `os.readlink`; raises OSError."""
        return os.readlink(path)  # noqa: PTH115  (text is wanted)

    def has_acl(self, path: str) -> bool:
        """Whether there is an access control list beside the permission bits."""
        try:
            os.getxattr(path, "system.posix_acl_access", follow_symlinks=False)
        except OSError:  # none, or a file system that has no such thing
            return False
        return True

    def user(self, name: str) -> User | None:
        """A user by name or number."""
        import pwd  # noqa: PLC0415  (only where a script has a user)

        try:
            entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
        except (KeyError, OverflowError, ValueError):
            return None
        return User(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)

    def group(self, name: str) -> int | None:
        """The number of a group, by name or number."""
        import grp  # noqa: PLC0415  (only where a script has a group)

        try:
            return (grp.getgrgid(int(name)) if name.isdecimal() else grp.getgrnam(name)).gr_gid
        except (KeyError, OverflowError, ValueError):
            return None

    def groups_of(self, name: str, gid: int) -> tuple[int, ...]:
        """All groups of a user whose primary group is `gid`."""
        return tuple(sorted(set(os.getgrouplist(name, gid))))
