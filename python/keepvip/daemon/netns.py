"""Moves the process into a named network namespace (`-s NAME`, `net_namespace NAME`); makes room for many."""

from __future__ import annotations

import resource

from keepvip.config.netns import enter

__all__ = ["enter", "make_room"]

_DESCRIPTORS_EACH = 12
"""Sockets of one namespace: adverts in and out for both families, announcements, facts, addresses, memberships; and
some reserve for more memberships."""
_DESCRIPTORS_BESIDE = 512


def make_room(namespaces: int) -> str | None:
    """Raises the limit on open files for so many namespaces; what was refused, in words.

    Must be called before the first of them is used. Never lowers it; children that are started later have it too.
    """
    needed = _DESCRIPTORS_BESIDE + namespaces * _DESCRIPTORS_EACH
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if namespaces == 0 or soft == resource.RLIM_INFINITY or soft >= needed:
        return None
    hard = hard if hard == resource.RLIM_INFINITY else max(hard, needed)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (ValueError, OSError):
        return (
            f"{namespaces} network namespaces need {needed} open files, {soft} are allowed: some may not be opened "
            "(LimitNOFILE= in the unit, or ulimit -n)"
        )
    return None
