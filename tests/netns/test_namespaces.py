"""`net_namespace` in an instance: one daemon for many network namespaces."""

import itertools
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from keepvip.admin.client import AdminClient
from keepvip.lab import Keepvip, Lab, Lan, Node
from keepvip.lab.configs import block, sync_group
from keepvip.lab.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.ours("keepalived has one network namespace for all instances")]

VIP = "10.0.0.1"
INTERVAL_S = 0.1
DOWN_S = 0.37
"""3 intervals and the skew."""
PATIENCE_S = 5.0


class Host:
    """A node with tenants: nodes of the lab that it knows as named network namespaces, each with eth0 on a LAN."""

    def __init__(self, lab: Lab, name: str, number: int) -> None:
        self.lab = lab
        self.node = lab.node(name)
        self.number = number
        self.tenants: dict[str, Node] = {}

    def sh(self, script: str) -> None:
        """Run a script in the mounts of the node: names of namespaces are mounts."""
        process = self.node.start(["sh", "-ec", script], log="sh")
        assert process.wait(10) == 0, process.log_text()

    def add(self, name: str, lan: Lan, *, node: str | None = None) -> Node:
        """What `ip netns add` does, and an interface. All tenants use the same addresses."""
        tenant = self.lab.node(node or f"{self.node.name}.{name}")
        tenant.attach("eth0", lan, [f"10.0.0.{self.number}/24"], ipv6=False)
        self.tenants[name] = tenant
        path = f"/run/netns/{name}"
        self.sh(f"mkdir -p /run/netns; touch {path}; mount --bind {tenant.network.path} {path}")
        return tenant

    def delete(self, name: str) -> None:
        """What `ip netns delete` does. The kernel keeps it for whoever has a socket in it."""
        self.sh(f"umount /run/netns/{name}; rm /run/netns/{name}")
        self.tenants.pop(name).network.close()

    def holds(self, tenant: str) -> bool:
        return VIP in self.tenants[tenant].addresses()


class World:
    """Two hosts with the same tenants."""

    def __init__(self, *tenants: str) -> None:
        self.lab = Lab()
        self.lans = {name: self.lab.lan(name) for name in tenants}
        self.a, self.b = Host(self.lab, "a", 11), Host(self.lab, "b", 12)
        for host in (self.a, self.b):
            for name, lan in self.lans.items():
                host.add(name, lan)
        self.tap = self.lab.tap()

    def wait_master(self, host: Host, tenant: str, *, since_ns: int = 0, timeout_s: float = PATIENCE_S) -> int:
        name = host.tenants[tenant].name
        advert = self.tap.wait_advert(
            name, 51, since_ns=since_ns, timeout_s=timeout_s, wanted=lambda advert: advert.priority > 0
        )
        wait_until(lambda: host.holds(tenant), timeout_s=timeout_s, what=f"the address in {name}")
        return advert.at_ns

    def wait_released(self, host: Host, tenant: str) -> None:
        wait_until(lambda: not host.holds(tenant), timeout_s=PATIENCE_S, what=f"{tenant} of {host.node.name} to let go")


def configuration(tenants: tuple[str, ...], priority: int, *, grouped: bool = False, extra: str = "") -> str:
    """The same interface, VRID and address in every namespace."""
    instances = "".join(
        block(
            f"vrrp_instance {name.upper()}",
            f"net_namespace {name}",
            "interface eth0",
            "virtual_router_id 51",
            "version 3",
            f"priority {priority}",
            f"advert_int {INTERVAL_S}",
            block("virtual_ipaddress", f"{VIP}/24"),
        )
        for name in tenants
    )
    return extra + (sync_group("ALL", *map(str.upper, tenants)) if grouped else "") + instances


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.fixture
def world() -> Iterator[World]:
    world = World("red", "blue")
    with world.lab:
        yield world


def test_takeover_in_every_namespace(world: World) -> None:
    """kill -9: each tenant's backup takes over after its own down time; their equal addresses do not meet."""
    both = ("red", "blue")
    master = Keepvip(world.a.node, configuration(both, 150))
    master.start()
    for tenant in both:
        world.wait_master(world.a, tenant)
    Keepvip(world.b.node, configuration(both, 100)).start()
    # It listens everywhere: there is a member of the group, and no second master within two down times.
    for tenant in both:
        node = world.b.tenants[tenant]
        wait_until(
            lambda node=node: "224.0.0.18" in node.network.run("ip", "maddress", "show", "dev", "eth0"),  # type: ignore[misc]
            timeout_s=PATIENCE_S,
            what="b to listen",
        )
    world.tap.wait_advert("a.red", 51, timeout_s=2, since_ns=time.time_ns() + int(2 * DOWN_S * 1e9))
    assert not world.tap.adverts(node="b.red")
    assert not world.tap.adverts(node="b.blue")
    killed_ns = master.crash()
    for tenant in both:
        first_ns = world.wait_master(world.b, tenant, since_ns=killed_ns)
        assert DOWN_S - INTERVAL_S - 0.02 < (first_ns - killed_ns) / 1e9 < DOWN_S + 0.3
        assert world.tap.wait_garp(f"b.{tenant}", VIP, timeout_s=2, since_ns=killed_ns)
        # What the killed one left is taken off by its successor's start, not by its peer.
        assert world.a.holds(tenant)


def test_a_namespace_goes_and_comes(world: World) -> None:
    """Deleted: priority 0 at once, every socket closed, the other tenant undisturbed. Made again: it works again."""
    daemon = Keepvip(world.a.node, configuration(("red", "blue"), 100))
    process = daemon.start()
    world.wait_master(world.a, "red")
    world.wait_master(world.a, "blue")
    gone = world.a.tenants["red"]
    port = world.lans["red"].port(gone)
    open_before = _descriptors(process.pid)
    deleted_ns = time.time_ns()
    world.a.delete("red")
    goodbye = world.tap.wait_advert("a.red", 51, timeout_s=2, since_ns=deleted_ns, wanted=lambda a: a.priority == 0)
    assert goodbye.at_ns - deleted_ns < 0.5e9
    # The kernel takes the namespace away with the last socket in it, and this end of its cable with it.
    wait_until(
        lambda: port not in world.lab.wires.run("ip", "-br", "link"), timeout_s=PATIENCE_S, what="the namespace to go"
    )
    assert _descriptors(process.pid) < open_before
    world.lans["red"].forget(gone, "eth0")
    status = AdminClient(str(daemon.socket_path)).get("/v1/status")
    found = {one["name"]: (one["state"], one["faults"], one["net_namespace"]) for one in status["instances"]}
    assert found["RED"] == ("FAULT", ["namespace_missing"], "red")
    assert found["BLUE"][0] == "MASTER"
    world.a.add("red", world.lans["red"], node="a.red2")
    world.wait_master(world.a, "red", since_ns=time.time_ns())
    gaps = [advert.at_ns for advert in world.tap.adverts(node="a.blue", since_ns=deleted_ns)]
    assert max(later - one for one, later in itertools.pairwise(gaps)) < 2 * INTERVAL_S * 1e9
    assert daemon.stop() == 0
    assert not world.a.holds("red")
    assert not world.a.holds("blue")


def test_a_group_moves_together_and_a_reload_adds_a_tenant(world: World) -> None:
    """A sync group across namespaces; a reload that adds a namespace touches nobody else."""
    both = ("red", "blue")
    a = Keepvip(world.a.node, configuration(both, 150, grouped=True))
    a.start()
    Keepvip(world.b.node, configuration(both, 100, grouped=True)).start()
    for tenant in both:
        world.wait_master(world.a, tenant)
    world.a.tenants["red"].link("eth0", up=False)
    down_ns = time.time_ns()
    for tenant in both:
        world.wait_master(world.b, tenant, since_ns=down_ns)
    world.wait_released(world.a, "blue")
    world.a.tenants["red"].link("eth0", up=True)
    for tenant in both:
        world.wait_master(world.a, tenant, since_ns=time.time_ns())
        world.wait_released(world.b, tenant)
    green = world.lab.lan("green")
    world.tap.add(green)
    world.a.add("green", green)
    reloaded_ns = a.reload(configuration(both, 150, grouped=True) + configuration(("green",), 100))
    world.wait_master(world.a, "green", since_ns=reloaded_ns)
    times = [advert.at_ns for advert in world.tap.adverts(node="a.red", since_ns=reloaded_ns - int(INTERVAL_S * 1e9))]
    assert max(later - one for one, later in itertools.pairwise(times)) < 2 * INTERVAL_S * 1e9
    assert not world.tap.adverts(node="b.red", since_ns=reloaded_ns)
    # Without it again: nothing of it is left open.
    a.reload(configuration(both, 150, grouped=True))
    world.tap.wait_advert("a.green", 51, timeout_s=2, since_ns=reloaded_ns, wanted=lambda advert: advert.priority == 0)
    world.wait_released(world.a, "green")


MANY = 300
MAKE_MANY = """
import ctypes, os, subprocess, sys
libc, there = ctypes.CDLL(None, use_errno=True), sys.argv[2]
os.makedirs("/run/netns", exist_ok=True)
for number in range(int(sys.argv[1])):
    path = f"/run/netns/t{number}"
    open(path, "w").close()
    assert libc.unshare(0x40000000) == 0
    assert libc.mount(b"/proc/self/ns/net", path.encode(), b"none", 0x1000, None) == 0
    commands = f"link add eth0 type veth peer name e{number} netns {there}\\nlink set eth0 up\\n"
    commands += "address add 10.0.0.2/24 dev eth0\\n"
    subprocess.run(["ip", "-batch", "-"], input=commands, text=True, check=True)
"""


def test_hundreds_of_namespaces() -> None:
    """Every one of them has a master within its down time, and all are left in order."""
    with Lab() as lab:
        a, b = lab.node("a"), lab.node("b")
        made = a.start([sys.executable, "-c", MAKE_MANY, str(MANY), b.network.path], log="make")
        assert made.wait(60) == 0, made.log_text()
        b.network.ip(*(f"link set e{number} up" for number in range(MANY)))
        witness = b.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        witness.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        witness.settimeout(PATIENCE_S)
        names = tuple(f"t{number}" for number in range(MANY))
        daemon = Keepvip(a, configuration(names, 100))
        process = daemon.start()

        def wait_everywhere(priority: int) -> None:
            missing = {f"e{number}" for number in range(MANY)}
            while missing:
                data, (interface, *_) = witness.recvfrom(256)
                if data[9] == 112 and data[22] == priority:
                    missing.discard(interface)

        wait_everywhere(100)
        assert _descriptors(process.pid) > 5 * MANY
        assert daemon.stop(timeout_s=PATIENCE_S) == 0
        wait_everywhere(0)
        witness.close()
