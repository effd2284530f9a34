"""Links of our own on what the host lacks: VLAN interfaces, VRFs, ipvlans."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from keepvip.lab import Lab
from keepvip.lab.configs import block, instance
from keepvip.lab.node import Node
from keepvip.lab.waiting import wait_until

INTERVAL_S = 0.5
MAC4 = "00:00:5e:00:01:33"


@pytest.fixture(scope="module", autouse=True)
def ipv6() -> None:
    subprocess.run(["modprobe", "ipv6"], check=True)


class Daemon:
    """keepvip in a node's network. The file systems are the guest's own: its root is no mount of its own, so that a
    process cannot enter the mount namespace of a node."""

    running: ClassVar[list["Daemon"]] = []

    def __init__(self, node: Node, text: str) -> None:
        folder = Path("/tmp", f"{node.name}-{len(self.running)}")
        folder.mkdir(exist_ok=True)
        (folder / "keepvip.conf").write_text(text)
        self.log = folder / "log"
        command = [sys.prefix + "/bin/keepvip", "run", "-f", folder / "keepvip.conf", "--socket", folder / "socket"]
        with node.network.entered(), self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.running.append(self)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(15)


@pytest.fixture(autouse=True)
def daemons() -> Iterator[None]:
    yield
    for daemon in Daemon.running:
        daemon.stop()
        print(daemon.log.read_text())  # noqa: T201  (shown when the test fails)
    Daemon.running.clear()


def v3(name: str = "VI_1", *, extra: tuple[str, ...], **options: object) -> str:
    return instance(name, version=3, interval_s=INTERVAL_S, extra=extra, **options)  # type: ignore[arg-type]


def links(node: Node) -> dict[str, dict]:  # type: ignore[type-arg]
    return {link["ifname"]: link for link in json.loads(node.network.run("ip", "-j", "-d", "link", "show"))}


def vlan(node: Node, number: int, address: str) -> None:
    node.network.ip(
        f"link add link eth0 name eth0.{number} type vlan id {number}",
        f"address add {address} dev eth0.{number}",
        f"link set eth0.{number} up",
    )


def test_virtual_mac_on_a_vlan_in_a_vrf(lab: Lab) -> None:
    lan = lab.lan("lan")
    a, b = lab.node("a"), lab.node("b")
    for node, last in ((a, 11), (b, 12)):
        node.attach("eth0", lan)
        vlan(node, 5, f"10.5.0.{last}/24")
    a.network.ip("link add blue type vrf table 10", "link set blue up", "link set eth0.5 master blue")
    text = v3(interface="eth0.5", addresses=["10.5.0.1/24"], extra=("use_vmac",))
    Daemon(a, text.replace("priority 100", "priority 200"))
    wait_until(lambda: "10.5.0.1" in a.addresses(), timeout_s=15, what="the address on the link")
    link = links(a)["vrrp.51"]
    assert (link["link"], link["address"], link["master"]) == ("eth0.5", MAC4, "blue")
    Daemon(b, text)
    wait_until(lambda: "vrrp.51" in links(b), timeout_s=15, what="the link on b")
    time.sleep(3 * INTERVAL_S)  # longer than a backup that hears nothing would wait
    assert "10.5.0.1" not in b.addresses(), "b hears a on the VLAN"
    pinged = b.network.run("sh", "-c", "ping -c1 -W2 10.5.0.1 >/dev/null; ip neigh show 10.5.0.1")
    assert MAC4 in pinged
    a.network.ip("link delete eth0.5")
    assert "vrrp.51" not in links(a)
    wait_until(lambda: "10.5.0.1" in b.addresses(), timeout_s=10, what="b to take over")


def test_unicast_in_a_vrf_without_an_interface(lab: Lab) -> None:
    lan = lab.lan("lan")
    a, b = lab.node("a"), lab.node("b")
    for node, last in ((a, 11), (b, 12)):
        node.attach("eth0", lan)
        vlan(node, 5, f"10.5.0.{last}/24")
        node.network.ip("link add blue type vrf table 10", "link set blue up", "link set eth0.5 master blue")

    def text(priority: int, own: int, other: int) -> str:
        lines = v3(
            priority=priority,
            addresses=["10.5.0.1/24 dev eth0.5"],
            extra=("vrf blue", f"unicast_src_ip 10.5.0.{own}", block("unicast_peer", f"10.5.0.{other}")),
        )
        return lines.replace("    interface eth0\n", "")

    first = Daemon(a, text(200, 11, 12))
    wait_until(lambda: "10.5.0.1" in a.addresses("eth0.5"), timeout_s=15, what="the address on a")
    second = Daemon(b, text(100, 12, 11))
    wait_until(lambda: "Entering BACKUP" in second.log.read_text(), timeout_s=15, what="b to run")
    time.sleep(4 * INTERVAL_S)  # longer than a backup that hears nothing would wait
    assert "10.5.0.1" not in b.addresses(), "b hears a through the VRF"
    first.stop()
    wait_until(lambda: "10.5.0.1" in b.addresses("eth0.5"), timeout_s=10, what="b to take over")


def test_ipvlan(lab: Lab) -> None:
    """The kernel has one mode for all ipvlans of an interface: that of the one that came last."""
    lan = lab.lan("lan")
    a = lab.node("a")
    a.attach("eth0", lan, ["10.0.0.11/24"])
    tap = lab.tap()
    text = v3(extra=("use_ipvlan 10.0.0.21/24 private",)) + v3(
        "VI_6", addresses=["fe80::51"], extra=("use_ipvlan sixth private",)
    )
    daemon = Daemon(a, text)
    advert = tap.wait_advert("a", 51, family=4, timeout_s=15)
    assert (advert.source, advert.source_mac) == ("10.0.0.21", a.mac("eth0"))
    wait_until(lambda: a.addresses("vrrp.51") == {"10.0.0.21", "10.0.0.1"}, timeout_s=5, what="addresses on the ipvlan")
    (link,) = json.loads(a.network.run("ip", "-j", "-d", "link", "show", "dev", "vrrp.51"))
    assert link["linkinfo"] == {"info_kind": "ipvlan", "info_data": {"mode": "l2", "private": True}}
    seen = tap.wait_advert("a", 51, family=6, timeout_s=15)
    assert seen.source in a.addresses("sixth") - {"fe80::51"}
    assert seen.source != a.link_local("eth0")
    daemon.stop()
    assert not {"vrrp.51", "sixth"} & set(links(a))
