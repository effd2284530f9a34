"""Virtual servers on a real IPVS: forwarding, reload, restart, repair, end; keepalived as the second opinion."""

import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from keepvip.lab import Keepalived, Keepvipd

from .balanced import VIP, Balanced, keepvip, wait

if TYPE_CHECKING:
    from keepvip.lab import Daemon

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


def started(net: Balanced, text: str, lines: int) -> Keepvipd:
    """The daemon, its table being there."""
    daemon = Keepvipd(net.director, text)
    daemon.start()
    wait(lambda: len(net.table()) == lines, f"{lines} lines in the table")
    return daemon


def test_nat_from_start_to_end(net: Balanced) -> None:
    daemon = started(net, service(), 3)
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


def test_direct_routing_and_tunnel(net: Balanced) -> None:
    """The answers go past the director, from servers that hold the address themselves."""
    for number, node in net.servers.items():
        node.network.sysctl("net/ipv4/conf/all/arp_ignore", 1)
        node.network.sysctl("net/ipv4/conf/all/rp_filter", 0)
        node.network.sysctl("net/ipv4/conf/eth0/rp_filter", 0)
        node.network.ip(
            f"link add tun type ipip local 10.2.0.1{number} remote any",
            "link set tun up",
            f"address add {VIP}/32 dev lo",
        )
        node.network.sysctl("net/ipv4/conf/tun/rp_filter", 0)
    net.director.network.sysctl("net/ipv4/conf/all/rp_filter", 0)
    net.director.network.sysctl("net/ipv4/conf/eth1/rp_filter", 0)
    net.director.network.sysctl("net/ipv4/conf/all/accept_local", 1)
    net.director.network.sysctl("net/ipv4/conf/eth1/accept_local", 1)
    try:
        daemon = started(net, service("DR"), 3)
        assert [line.split()[5] for line in net.table()[1:]] == ["-g", "-g"]
        assert net.tally(4) == {"rs1": 2, "rs2": 2}
        requests = net.director.network.run("ipvsadm", "-Ln", "--stats")
        assert "10.2.0.11:80" in requests
        daemon.reload(service("TUN"))
        wait(lambda: [line.split()[5] for line in net.table()[1:]] == ["-i", "-i"], "the method changes in place")
        assert net.tally(4) == {"rs1": 2, "rs2": 2}
        assert daemon.stop() == 0
    finally:
        for node in net.servers.values():
            node.network.ip("link delete tun", f"address delete {VIP}/32 dev lo")


def test_a_reload_touches_only_what_differs(net: Balanced) -> None:
    daemon = started(net, service(), 3)
    for number in (1, 2):
        net.director.network.run("ipvsadm", "-e", "-t", f"{VIP}:80", "-r", f"10.2.0.1{number}:80", "-m", "-w", "7")
    daemon.reload(service(one="weight 3"))
    one, two = (f"-a -t 10.0.0.100:80 -r 10.2.0.1{number}:80 -m -w {weight}" for number, weight in ((1, 3), (2, 7)))
    wait(lambda: one in net.table(), "the weight of the configuration")
    assert two in net.table()  # nobody wrote to this one: it has still what was smuggled in
    assert "1 change" in daemon.log_text() or "weight" in daemon.log_text()


def test_time_outs_and_flushes(net: Balanced) -> None:
    """Told to, it begins and ends with an empty table; the kernel's time-outs are as they were when it has ended."""
    foreign = ("ipvsadm", "-A", "-t", f"{VIP}:8080", "-s", "sh")
    before = net.director.network.run("ipvsadm", "-L", "--timeout")
    net.director.network.run(*foreign)
    settings = "global_defs {\n lvs_flush\n lvs_flush_on_stop\n lvs_timeouts tcp 777 tcpfin 55 udp 66\n}\n"
    daemon = started(net, settings + service(), 3)
    assert net.director.network.run("ipvsadm", "-L", "--timeout").split()[-3:] == ["777", "55", "66"]
    net.director.network.run(*foreign)
    assert daemon.stop() == 0
    assert net.table() == []
    assert net.director.network.run("ipvsadm", "-L", "--timeout") == before


def test_what_somebody_else_changes_is_put_right(net: Balanced) -> None:
    started(net, service(), 3)
    mine = net.table()
    net.director.network.run("ipvsadm", "-D", "-t", f"{VIP}:80")
    net.director.network.run("ipvsadm", "-A", "-t", f"{VIP}:8080", "-s", "sh")
    keepvip(net, "server", "reconcile")
    wait(lambda: net.table() == sorted([*mine, f"-A -t {VIP}:8080 -s sh"]), "ours is back, the other one untouched")
    wait(lambda: "had been removed" in log(net), "it says so")


def test_a_restart_finds_its_table_and_leaves_no_gap(net: Balanced) -> None:
    daemon = started(net, service(), 3)
    assert net.tally(2) == {"rs1": 1, "rs2": 1}
    daemon.crash()
    before = net.table()
    again = Keepvipd(net.director, service(two="weight 4"), name="again", options=("-I",))
    again.start()
    wait(lambda: "-a -t 10.0.0.100:80 -r 10.2.0.12:80 -m -w 4" in net.table(), "the change of the new file")
    assert len(net.table()) == len(before)
    connections = net.director.network.run("ipvsadm", "-Ln", "--stats").splitlines()[3].split()[2]
    assert int(connections) >= 2, "the service of before, with its counters"
    assert again.stop() == 0
    assert len(net.table()) == 3, "-I leaves it"


def log(net: Balanced) -> str:
    return "".join(path.read_text(errors="replace") for path in net.director.directory.glob("*.log"))


EVERYTHING = """
virtual_server_group GROUP {
  10.0.0.100 8080
  10.0.0.101-103 8081
  fwmark 9
}
virtual_server_group RANGE {
  10.0.0.110-112 90
}
virtual_server 10.0.0.100 80 {
  protocol TCP
  lb_algo sh
  sh-port
  lb_kind NAT
  persistence_timeout 50
  persistence_granularity 255.255.255.0
  real_server 10.2.0.11 8080 { weight 3 }
  real_server 10.2.0.12 80 { weight 0 }
}
virtual_server 10.0.0.100 81 {
  protocol TCP
  lb_algo mh
  mh-fallback
  lb_kind DR
  sorry_server 10.2.0.12 81
  real_server 10.2.0.11 81 { uthreshold 20
   lthreshold 10 }
}
virtual_server 10.0.0.100 82 {
  protocol TCP
  lb_kind TUN
  flag-1
  real_server 10.2.0.11 82 { }
  real_server 10.2.0.12 82 { lvs_method NAT
    inhibit_on_failure }
}
virtual_server 10.0.0.100 {
  protocol TCP
  lb_algo wrr
  lb_kind NAT
  real_server 10.2.0.11 { }
}
virtual_server 10.0.0.100 53 {
  protocol UDP
  lb_algo rr
  ops
  lb_kind NAT
  real_server 10.2.0.11 53 { }
}
virtual_server 10.0.0.100 99 {
  protocol SCTP
  lb_algo lc
  lb_kind NAT
  real_server 10.2.0.11 99 { }
}
virtual_server fwmark 7 {
  lb_algo wlc
  lb_kind DR
  persistence_timeout 60
  real_server 10.2.0.11 0 { weight 5 }
}
virtual_server fwmark 8 {
  ip_family inet6
  lb_algo nq
  lb_kind NAT
  real_server fd02::11 0 { }
}
virtual_server group GROUP {
  protocol TCP
  lb_algo sed
  lb_kind DR
  real_server 10.2.0.11 80 { }
}
virtual_server group RANGE {
  protocol TCP
  lb_algo rr
  lb_kind NAT
  real_server 10.2.0.11 80 { }
  real_server 10.2.0.12 81 { }
}
virtual_server fd00::100 80 {
  protocol TCP
  lb_algo rr
  lb_kind NAT
  persistence_timeout 50
  persistence_granularity 64
  sorry_server fd02::12 80
  sorry_server_inhibit
  real_server fd02::11 80 { }
}
virtual_server 10.0.0.100 84 {
  protocol TCP
  lb_algo rr
  lb_kind TUN
  real_server fd02::11 84 { }
}
"""


def test_the_state_dump_names_what_keepalived_names(net: Balanced, monkeypatch: pytest.MonkeyPatch) -> None:
    dumps = {}
    kinds: list[type[Daemon]] = [Keepalived, Keepvipd]
    monkeypatch.setenv("TMPDIR", str(net.director.directory))
    path = net.director.directory / "keepalived_check.data"
    for kind in kinds:
        daemon = kind(net.director, service(more="sorry_server 10.2.0.12 81", one="weight 3\n TCP_CHECK {\n }\n"))
        daemon.start()
        wait(lambda: len(net.table()) == 3, "the table is there")
        daemon.process.signal(signal.SIGUSR1)
        wait(lambda: path.exists() and "Keepalive method" in path.read_text(), "the dump")
        dumps[kind] = path.read_text().splitlines()
        path.unlink()
        assert daemon.stop() == 0
    topology = [line for line in dumps[Keepvipd] if line.startswith("  ")]
    assert len(topology) > 40
    # Times have one unit there; a retry counter that has not begun is 0 here.
    assert [line for line in topology if line not in dumps[Keepalived] and "Timeout" not in line] == []


def test_the_table_is_that_of_keepalived(net: Balanced) -> None:
    tables = []
    kinds: list[type[Daemon]] = [Keepalived, Keepvipd]
    for kind in kinds:
        daemon = kind(net.director, EVERYTHING, name=kind.kind)
        daemon.start()
        wait(lambda: len(net.table()) > 35, "the table is there", 25)
        tables.append(net.table())
        assert daemon.stop() == 0
        assert net.table() == []
    assert tables[0] == tables[1]
