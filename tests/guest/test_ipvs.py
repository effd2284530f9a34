"""Virtual servers on a real IPVS: forwarding methods, failure and return, reload, restart, end."""

from collections.abc import Iterator

import pytest

from keepvip.lab import Keepvipd

from .balanced import VIP, Balanced, wait

SERVICE = """
virtual_server 10.0.0.100 80 {{
  protocol TCP
  lb_algo rr
  lb_kind {method}
  {more}
  real_server 10.2.0.11 80 {{ {one} }}
  real_server 10.2.0.12 80 {{ {two} }}
}}
"""


def service(method: str = "NAT", more: str = "", one: str = "", two: str = "") -> str:
    return SERVICE.format(method=method, more=more, one=one, two=two)


@pytest.fixture(scope="module")
def network() -> Iterator[Balanced]:
    with Balanced() as found:
        found.serve(1)
        found.serve(2)
        yield found


@pytest.fixture
def net(network: Balanced, request: pytest.FixtureRequest) -> Iterator[Balanced]:
    yield network
    network.show_if_failed(request)
    network.director.stop_processes()
    network.director.empty_run_directory()
    network.director.network.run("ipvsadm", "-C")


def test_nat_from_start_to_end(net: Balanced) -> None:
    daemon = Keepvipd(net.director, service())
    daemon.start()
    wait(lambda: len(net.table()) == 3, "the table is there")
    assert net.table() == [
        "-A -t 10.0.0.100:80 -s rr",
        "-a -t 10.0.0.100:80 -r 10.2.0.11:80 -m -w 1",
        "-a -t 10.0.0.100:80 -r 10.2.0.12:80 -m -w 1",
    ]
    assert net.tally(4) == {"rs1": 2, "rs2": 2}
    assert daemon.stop() == 0
    assert net.table() == []
    assert net.get(timeout_s=0.5) == "ConnectionRefusedError"
    assert VIP in net.director.addresses("eth0")
