"""Routes into the table of a VRF, and rules for it: the host's kernel has no VRF."""

import subprocess

from keepvip.lab import Lab
from keepvip.lab.configs import block, instance
from keepvip.lab.waiting import wait_until

from .test_vmac import Daemon


def test_routes_of_a_vrf() -> None:
    subprocess.run(["modprobe", "ipv6"], check=True)
    with Lab() as lab:
        node = lab.node("a")
        lan = lab.lan("lan")
        node.attach("eth0", lan, ["10.0.0.11/24"])
        node.attach("eth1", lan, ["10.1.0.11/24"])
        node.network.ip("link add red type vrf table 1001", "link set red up", "link set eth1 master red")
        routes = block("virtual_routes", "10.77.0.0/24 via 10.1.0.1 dev eth1 vrf red", "unreachable default vrf red")
        rules = block("virtual_rules", "from 10.77.0.0/24 l3mdev preference 300")
        daemon = Daemon(node, instance(version=3, interval_s=0.5, extra=[routes, rules]))
        try:

            def table() -> list[str]:
                shown = node.network.run("ip", "-d", "route", "show", "table", "1001", "proto", "18")
                return sorted(line.split(" scope")[0].strip() for line in shown.splitlines())

            def rule() -> bool:
                return "l3mdev" in node.network.run("ip", "rule", "show", "pref", "300")

            expected = ["unicast 10.77.0.0/24 via 10.1.0.1 dev eth1", "unreachable default"]
            wait_until(lambda: table() == expected, timeout_s=20, what="routes in the table of the VRF")
            wait_until(rule, timeout_s=5, what="the rule")
            node.network.ip("route del 10.77.0.0/24 table 1001")
            wait_until(lambda: table() == expected, timeout_s=5, what="the route again")
        finally:
            daemon.stop()
        assert "Somebody removed the route 10.77.0.0/24 via inet 10.1.0.1 dev eth1 vrf red" in daemon.log.read_text()
        assert table() == []
        Daemon.running.clear()
