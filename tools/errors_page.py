"""Makes docs/errors.md: ten real mistakes, what keepvip says of them and what keepalived says.

    python tools/errors_page.py [FILE]

keepalived is run with `-t` in a network namespace of its own that has one interface, eth0 (needs root). What keepvip
says is compared with the page by tests/unit/config_schema/test_errors_page.py.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from keepvip.config.facts import HostFacts, Interface, InterfaceAddress, User
from keepvip.config.load import load
from keepvip.config.render import render

__all__ = ["CASES", "Case", "keepvip_says", "page"]

PAGE = Path(__file__).parent.parent / "docs" / "errors.md"
WIDTH = 120
FILE = "keepalived.conf"
IN_NAMESPACE = (
    "ip link add eth0 type veth peer name peer0 && ip link set peer0 up && ip link set eth0 up && "
    "ip address add 192.0.2.9/24 dev eth0 && exec "
)


class Case(NamedTuple):
    """One mistake: its name and the file."""

    title: str
    text: str


def _instance(name: str = "VI_1", vrid: str = "virtual_router_id 51", lines: str = "", end: str = "    }\n") -> str:
    extra = "".join(f"    {line}\n" for line in lines.splitlines())
    return (
        f"vrrp_instance {name} {{\n    interface eth0\n    {vrid}\n    priority 100\n{extra}"
        f"    virtual_ipaddress {{\n        192.0.2.{len(name)}\n{end}}}\n"
    )


_SECURITY = "global_defs {\n    enable_script_security\n    script_user root\n}\n\n"

CASES = (
    Case("A missing brace", _instance(end="") + "\n" + _instance("VI_20", "virtual_router_id 52")),
    Case("A misspelt keyword", _instance(vrid="virtual_routr_id 51")),
    Case("An address that is none", _instance().replace("192.0.2.4", "192.0.2.400")),
    Case("An interface that does not exist", _instance().replace("eth0", "etho")),
    Case("A VRID used twice", _instance() + "\n" + _instance("VI_20")),
    Case("A unit that is not wanted", _instance(lines="version 3\nadvert_int 200ms")),
    Case("A quote without end", _SECURITY + _instance(lines='notify_master "/bin/true')),
    Case("An include that is not there", "include /etc/keepalived/tenants/acme.conf\n\n" + _instance()),
    Case("A script that is not there", _SECURITY + _instance(lines='notify_master "/etc/keepalived/on-mastr.sh"')),
    Case("Definitions in a circle", "$NET=${SITE}.2\n$SITE=${NET}.0\n\n" + _instance(lines="mcast_src_ip ${NET}.9")),
)


def keepvip_says(case: Case) -> str:
    """The findings of `keepvip check` on a host with eth0 only."""
    facts = HostFacts(
        interfaces={"eth0": Interface("eth0")},
        addresses={"eth0": (InterfaceAddress("192.0.2.9", 24, 4),)},
        users={"root": User("root", 0, 0)},
        groups={},
        files={},
        hostname="node1",
    )
    return render(load(case.text.encode(), config_id="node1", facts=facts, name=FILE).diagnostics).rstrip()


def keepalived_says(case: Case) -> tuple[str, int]:
    """The output of `keepalived -t` and its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, FILE)
        path.write_text(case.text, encoding="utf-8")
        command = IN_NAMESPACE + f"keepalived -t -f {path}"
        done = subprocess.run(
            ["unshare", "-n", "sh", "-c", command], capture_output=True, text=True, check=False, timeout=30
        )
    said = (done.stdout + done.stderr).replace(str(path), FILE).replace(folder, ".").rstrip()
    lines = [
        line if len(line) <= WIDTH else f"{line[:WIDTH]} ... ({len(line)} characters)" for line in said.split("\n")
    ]
    return "\n".join(lines), done.returncode


def _version() -> str:
    said = subprocess.run(["keepalived", "-v"], capture_output=True, text=True, check=True)
    return (said.stdout + said.stderr).split("\n", 1)[0].split(" (")[0].removeprefix("Keepalived v")


def page() -> str:
    """The whole page."""
    parts = [
        "# Ten mistakes, and what is said of them\n\n"
        "The findings of `keepvip check` beside the output of `keepalived -t` (Debian's keepalived "
        f"{_version()}) for the same file, on a host whose only interface is eth0. Made by `tools/errors_page.py`.\n"
    ]
    for number, case in enumerate(CASES, 1):
        theirs, status = keepalived_says(case)
        parts.append(
            f"## {number}. {case.title}\n\n"
            f"{_fenced(case.text)}\n"
            f"**keepvip**\n\n{_fenced(keepvip_says(case))}\n"
            f"**keepalived** (exit status {status})\n\n{_fenced(theirs or '(nothing)')}"
        )
    return "\n".join(parts)


def _fenced(text: str) -> str:
    return f"```\n{text.rstrip()}\n```\n"


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE).write_text(page(), encoding="utf-8")
