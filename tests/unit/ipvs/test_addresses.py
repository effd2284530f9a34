"""The addresses of this host as rtnetlink tells them, in a namespace of the test's own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

SCRIPT = """
import socket, subprocess
from keepvip.ipvs.addresses import HostAddresses
address = socket.inet_aton("10.9.9.9")
found = HostAddresses()
found.read()
assert address not in found
for command, there in (
    ("link set lo up", False),
    ("address add 10.9.9.9/32 dev lo", True),
    ("link add d0 type veth peer name d1", True),
    ("address add 10.9.9.9/32 dev d0", True),
    ("address delete 10.9.9.9/32 dev lo", True),
    ("address delete 10.9.9.9/32 dev d0", False),
):
    subprocess.run(["ip", *command.split()], check=True)
    found.read()
    assert (address in found) is there, command
assert socket.inet_pton(socket.AF_INET6, "::1") in found or not socket.has_ipv6
late = HostAddresses()
late.read()
assert socket.inet_aton("127.0.0.1") in late
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root (a network namespace)")
def test_addresses_come_and_go() -> None:
    assert socket.AF_NETLINK
    subprocess.run(["unshare", "-n", sys.executable, "-W", "error", "-c", SCRIPT], check=True, timeout=30)
