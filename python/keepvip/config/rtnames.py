"""Names of routing tables, protocols, scopes, realms and the like, from the files of iproute2.

The files of `iproute_etc_dir` come after those of `iproute_usr_dir`; of one name the last one counts. Files in the `.d`
folder beside a file add names to it. Numbers are always understood, in any C base.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from keepvip.config.facts import HostFacts

__all__ = ["RouteNames"]

USR_DIRS: Final = ("/usr/share/iproute2", "/usr/lib/iproute2")
"""Where distributions put the default files; the first that exists is taken."""
ETC_DIR: Final = "/etc/iproute2"

_BUILT_IN: Final[dict[str, dict[str, int]]] = {
    "rt_tables": {"unspec": 0, "default": 253, "main": 254, "local": 255},
    "rt_protos": {
        "unspec": 0, "none": 0, "redirect": 1, "kernel": 2, "boot": 3, "static": 4, "gated": 8, "ra": 9, "mrt": 10,
        "zebra": 11, "bird": 12, "dnrouted": 13, "xorp": 14, "ntk": 15, "dhcp": 16, "keepalived": 18, "babel": 42,
        "bgp": 186, "isis": 187, "ospf": 188, "rip": 189, "eigrp": 192,
    },
    "rt_scopes": {"global": 0, "universe": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255},
    "rt_realms": {"unknown": 0},
    "rt_dsfield": {},
    "group": {"default": 0},
}  # fmt: skip
_U32: Final = 0xFFFFFFFF


class RouteNames:
    """The names of this host; without `facts` only those that every host has. Files are read when first asked for."""

    def __init__(self, facts: HostFacts | None, usr_dir: str | None = None, etc_dir: str | None = None) -> None:
        self._facts = facts
        self._usr_dirs = USR_DIRS if usr_dir is None else (usr_dir,)
        self._etc_dir = ETC_DIR if etc_dir is None else etc_dir
        self._tables: dict[str, dict[str, int]] = {}

    def number(self, kind: str, text: str, *, high: int = _U32) -> int | None:
        """The number of a name in the file `kind`, such as `rt_tables`, or a number itself; None: neither of them."""
        value = number(text)
        if value is None:
            value = self.known(kind).get(text)
        return value if value is not None and value <= high else None

    def known(self, kind: str) -> dict[str, int]:
        """All names of one file."""
        names = self._tables.get(kind)
        if names is None:
            names = self._tables[kind] = dict(_BUILT_IN[kind])
            if self._facts is not None:
                for directory in self._directories():
                    names.update(_entries(self._facts.text(f"{directory}/{kind}") or ""))
                    for path in self._facts.files_in(f"{directory}/{kind}.d", ".conf"):
                        names = self._tables[kind] = _entries(self._facts.text(path) or "") | names
        return names

    def _directories(self) -> list[str]:
        assert self._facts is not None
        usr = next((folder for folder in self._usr_dirs if not isinstance(self._facts.stat(folder), OSError)), None)
        return [folder for folder in (usr, self._etc_dir) if folder is not None]


def number(text: str) -> int | None:
    """A number as strtoul(3) reads it with base 0; None if it is none."""
    body = text.lower()
    if not body.isascii() or not body.isalnum() or len(body) > 20:
        return None
    base = 16 if body.startswith("0x") else 8 if body.startswith("0") and len(body) > 1 else 10
    try:
        return int(body.removeprefix("0x") if base == 16 else body, base)
    except ValueError:
        return None


def _entries(text: str) -> dict[str, int]:
    found = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) == 2 and (value := number(words[0])) is not None:
            found[words[1]] = value
    return found
