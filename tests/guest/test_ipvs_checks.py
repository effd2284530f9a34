"""Real servers that fail and return, the sorry server, scripts, drain: at every step as keepalived does it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from keepvip.lab import Daemon, Keepalived, Keepvipd

from .balanced import VIP, Balanced, keepvip, wait

CHECK = "TCP_CHECK { connect_timeout 1 }"
CONFIGURATION = """
global_defs {{
  script_user root
  lvs_notify_fifo {folder}/fifo
}}
virtual_server 10.0.0.100 80 {{
  delay_loop 1
  retry 1
  delay_before_retry 1
  warmup 0
  protocol TCP
  lb_algo rr
  lb_kind NAT
  quorum 2
  quorum_up "/bin/sh -c 'echo quorum_up >> {folder}/said'"
  quorum_down "/bin/sh -c 'echo quorum_down >> {folder}/said'"
  sorry_server 10.2.0.12 81
  real_server 10.2.0.11 80 {{
    weight 2
    notify_up "/bin/sh -c 'echo rs1_up >> {folder}/said'"
    notify_down "/bin/sh -c 'echo rs1_down >> {folder}/said'"
    TCP_CHECK {{ connect_timeout 1 }}
  }}
  real_server 10.2.0.12 80 {{
    inhibit_on_failure
    TCP_CHECK {{ connect_timeout 1 }}
  }}
}}
"""


@pytest.fixture(scope="module")
def network() -> Iterator[Balanced]:
    with Balanced() as found:
        found.programs = {1: ("0.0.0.0:80",), 2: ("0.0.0.0:80", "0.0.0.0:81")}
        yield found


@pytest.fixture
def net(network: Balanced, request: pytest.FixtureRequest) -> Iterator[Balanced]:
    yield network
    network.show_if_failed(request)
    network.director.stop_processes()
    network.director.empty_run_directory()
    network.director.network.run("ipvsadm", "-C")


def entry(number: int, weight: int, port: int = 80) -> str:
    return f"-a -t {VIP}:80 -r 10.2.0.1{number}:{port} -m -w {weight}"


def ran(said: Path, *names: str) -> bool:
    """Whether just these scripts ran, after that of the quorum at the start; two of one moment race."""
    return sorted(said.read_text().split()) == sorted(["quorum_up", *names])


SERVICE = f"-A -t {VIP}:80 -s rr"


@pytest.mark.parametrize("kind", [Keepvipd, Keepalived], ids=["keepvip", "keepalived"])
def test_servers_that_fail_and_return(net: Balanced, kind: type[Daemon]) -> None:
    """The same file, the same steps, the same tables, the same scripts."""
    folder = net.director.directory / kind.kind
    folder.mkdir(exist_ok=True)
    said = folder / "said"
    said.touch()
    net.revive()
    daemon = kind(net.director, CONFIGURATION.format(folder=folder), name=kind.kind)
    daemon.start()
    both = sorted([SERVICE, entry(1, 2), entry(2, 1)])
    wait(lambda: net.table() == both, "both serve")
    assert net.tally(2) == {"rs1": 1, "rs2": 1}
    # One fails: the other one alone is less than the quorum, so the sorry server takes over.
    net.kill(1)
    sorry = sorted([SERVICE, entry(2, 0), entry(2, 1, 81)])
    wait(lambda: net.table() == sorry, "the sorry server serves")
    wait(lambda: ran(said, "rs1_down", "quorum_down"), "both scripts ran")
    # And returns.
    net.revive()
    wait(lambda: net.table() == both, "both serve again")
    wait(lambda: ran(said, "rs1_down", "quorum_down", "rs1_up", "quorum_up"), "both scripts ran")
    # The other one fails: it stays with weight 0, and the quorum holds.
    net.kill(2)
    wait(lambda: net.table() == sorted([SERVICE, entry(1, 2), entry(2, 0)]), "it has weight 0")
    assert net.tally(3) == {"rs1": 3}
    net.revive()
    wait(lambda: net.table() == both, "both serve again")
    assert daemon.stop() == 0
    assert net.table() == []
    assert ran(said, "rs1_down", "quorum_down", "rs1_up", "quorum_up")


def test_drain_and_disable(net: Balanced) -> None:
    folder = net.director.directory / "drain"
    folder.mkdir(exist_ok=True)
    net.revive()
    text = CONFIGURATION.format(folder=folder)
    daemon = Keepvipd(net.director, text)
    daemon.start()
    both = sorted([SERVICE, entry(1, 2), entry(2, 1)])
    wait(lambda: net.table() == both, "both serve")
    keepvip(net, "server", "drain", f"{VIP}:80", "10.2.0.12")
    drained = sorted([SERVICE, entry(1, 2), entry(2, 0)])
    assert net.table() == drained
    shown = keepvip(net, "status")
    assert "drained by an operator" in shown
    daemon.reload(text.replace("lb_algo rr", "lb_algo wrr"))
    wait(lambda: net.table()[0].endswith("wrr"), "the reload")
    assert net.table()[1:] == drained[1:], "kept over the reload"
    keepvip(net, "server", "enable", f"{VIP}:80", "10.2.0.12:80")
    assert net.table()[1:] == both[1:]
    keepvip(net, "server", "weight", f"{VIP}:80", "10.2.0.12", "9", "--for", "1s")
    wait(lambda: net.table()[1:] == both[1:], "taken back after its time")
    keepvip(net, "server", "disable", f"{VIP}:80", "10.2.0.11")
    wait(lambda: entry(2, 1, 81) in net.table(), "out of service: no quorum, the sorry server")
    wait(lambda: ran(folder / "said", "rs1_down", "quorum_down"), "both scripts ran")
    assert daemon.stop() == 0
