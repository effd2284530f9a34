"""What is run, and as whom: the final form of a script, after it was vetted (`security`)."""

from __future__ import annotations

import msgspec

__all__ = ["Command", "Identity"]


class Identity(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The user that a script runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    """Supplementary groups; cleared unless the configuration asks for those of the user."""
    switch: bool
    """False: the daemon runs as this user already and may not change anything (it is not root)."""
    name: str = ""
    """For messages."""


class Command(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A program that may be run."""

    path: str
    """Absolute; what is executed."""
    argv: tuple[str, ...]
    """The first word is how the configuration names the program: programs with several names look at it."""
    text: str
    """As written in the configuration, for messages."""
    identity: Identity

    def with_arguments(self, arguments: tuple[str, ...]) -> Command:
        """The same command with further words at its end."""
        return msgspec.structs.replace(self, argv=(*self.argv, *arguments)) if arguments else self
