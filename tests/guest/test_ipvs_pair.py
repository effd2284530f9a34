"""Two directors with IPVS, VRRP and the sync daemon: a fail-over keeps the connections that exist."""

import socket
from collections.abc import Iterator

import pytest

from keepvip.lab import Keepvipd, Lab
from keepvip.lab.node import Node

from .balanced import SERVER, VIP, wait

CONFIGURATION = """
global_defs {{
  lvs_sync_daemon eth1 inst VI_1 id 7
}}
vrrp_instance VI_1 {{
  interface eth0
  virtual_router_id 51
  priority {priority}
  advert_int 0.2
  version 3
  virtual_ipaddress {{
    10.0.0.100/24
  }}
  virtual_ipaddress_excluded {{
    10.2.0.1/24 dev eth1
  }}
}}
virtual_server 10.0.0.100 80 {{
  protocol TCP
  lb_algo rr
  lb_kind NAT
  real_server 10.2.0.11 80 {{ }}
}}
"""


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab() as lab:
        yield lab
        report = getattr(request.node, "call_report", None)
        if report is not None and report.failed:
            for path in sorted(lab.directory.glob("*/*.log")):
                report.sections.append((str(path.parent.name), path.read_text(errors="replace")[-4000:]))


def roles(node: Node) -> str:
    return node.network.run("ipvsadm", "-L", "--daemon")


def test_a_fail_over_keeps_established_connections(lab: Lab) -> None:
    import sys

    front, back = lab.lan("front"), lab.lan("back")
    client = lab.node("client")
    client.attach("eth0", front, ["10.0.0.1/24"])
    server = lab.node("server")
    server.attach("eth0", back, ["10.2.0.11/24"])
    server.network.ip("route add default via 10.2.0.1")
    nodes, daemons = [], []
    for number, priority in ((1, 150), (2, 100)):
        node = lab.node(f"director{number}")
        node.attach("eth0", front, [f"10.0.0.{1 + number}/24"])
        node.attach("eth1", back, [f"10.2.0.{1 + number}/24"])
        node.network.sysctl("net/ipv4/ip_forward", 1)
        node.network.sysctl("net/ipv4/vs/sync_threshold", "1 2")  # a connection is told with its first packets
        node.network.sysctl("net/ipv4/vs/sync_qlen_max", 4096)
        daemon = Keepvipd(node, CONFIGURATION.format(priority=priority))
        daemon.start()
        nodes.append(node)
        daemons.append(daemon)
    server.start([sys.executable, "-I", "-S", "-c", SERVER, "stay", "0.0.0.0:80"], log="server")
    wait(lambda: "10.0.0.100" in nodes[0].addresses("eth0"), "a master")
    wait(lambda: "master sync daemon" in roles(nodes[0]), "it tells")
    wait(lambda: "backup sync daemon" in roles(nodes[1]), "the other one listens")
    assert "syncid=7" in roles(nodes[0])
    connection = client.socket(socket.AF_INET, socket.SOCK_STREAM)
    with connection:
        connection.settimeout(10)

        def connected() -> bool:
            return connection.connect_ex((VIP, 80)) in {0, 106}

        wait(connected, "a connection")
        connection.sendall(b"one")
        assert connection.recv(4096).endswith(b"stay")
        wait(lambda: "ESTABLISHED" in nodes[1].network.run("ipvsadm", "-Lnc"), "the other one knows the connection")
        daemons[0].crash()
        nodes[0].network.ip("link set eth0 down", "link set eth1 down")
        wait(lambda: "10.0.0.100" in nodes[1].addresses("eth0"), "the other one takes over")
        connection.sendall(b"two")
        assert connection.recv(4096).endswith(b"stay"), "the same connection, through the other director"
    wait(lambda: "master sync daemon" in roles(nodes[1]), "it tells now")
    assert "backup sync daemon" not in roles(nodes[1])
    assert daemons[1].stop() == 0
    assert "sync daemon" not in roles(nodes[1])
