"""The guest itself: what the other tests here stand on."""

import os
import subprocess
from pathlib import Path

from keepvip.lab import Lab


def run(command: str) -> str:
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout


def test_it_is_another_kernel() -> None:
    assert "User Mode Linux" in Path("/proc/cpuinfo").read_text()
    assert os.uname().nodename == "guest"
    assert os.geteuid() == 0


def test_what_the_host_lacks_is_here() -> None:
    run("modprobe ip_vs")
    assert "IP Virtual Server" in run("ipvsadm -Ln")
    run("ip netns add it && ip -n it link add d0 type dummy")
    try:
        run("ip -n it link add link d0 name d0.5 type vlan id 5")
        run("ip -n it link add blue type vrf table 10")
        run("ip netns exec it tc qdisc add dev d0 root netem delay 1ms")
    finally:
        run("ip netns del it")


def test_what_it_writes_is_thrown_away() -> None:
    assert run("stat -f -c %T /").strip() == "overlayfs"
    Path("/etc/keepvip-was-here").touch()


def test_the_lab_works_here() -> None:
    with Lab() as lab:
        lan = lab.lan("lan")
        one, two = lab.node("one"), lab.node("two")
        one.attach("eth0", lan, ["10.9.0.1/24", "fd00:9::1/64"])
        two.attach("eth0", lan, ["10.9.0.2/24"])
        one.network.run("ping", "-c1", "-W2", "10.9.0.2")
