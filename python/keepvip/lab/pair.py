"""The network of the main job: nodes a and b and a client on two LANs, with a tap on both.

Built once and put back into its first state as often as wanted, which costs a few milliseconds.
"""

from collections.abc import Callable
from pathlib import Path

from keepvip.lab.decode import Advert, Packet
from keepvip.lab.errors import LabTimeoutError
from keepvip.lab.janitor import kill_run
from keepvip.lab.lab import Lab
from keepvip.lab.node import Node
from keepvip.lab.waiting import wait_until


class Pair:
    """Nodes a (.11) and b (.12) and the client c (.100), eth0 on the LAN ext, eth1 on the LAN int.

    ext carries 10.0.0.0/24 and fd00::/64, int carries 192.168.1.0/24.
    """

    def __init__(
        self, *, on_packet: Callable[[Packet], None] | None = None, pcap: Path | None = None, own_dev: bool = True
    ) -> None:
        """Args: see `keepvip.lab.capture.Tap` and `keepvip.lab.node.Node`."""
        self._own_dev = own_dev
        self.lab = Lab()
        try:
            self.ext = self.lab.lan("ext")
            self.int = self.lab.lan("int")
            self.a, self.b, self.client = (self._node(name, at) for name, at in (("a", 11), ("b", 12), ("c", 100)))
            self.tap = self.lab.tap(on_packet=on_packet, pcap=pcap)
        except BaseException:
            self.lab.close()
            raise
        self._base = {node.name: self._configured_addresses(node) for node in self.nodes}

    def _node(self, name: str, number: int) -> Node:
        node = self.lab.node(name, own_dev=self._own_dev)
        node.attach("eth0", self.ext, [f"10.0.0.{number}/24", f"fd00::{number}/64"])
        node.attach("eth1", self.int, [f"192.168.1.{number}/24"])
        return node

    @property
    def nodes(self) -> tuple[Node, Node, Node]:
        """a, b and the client."""
        return self.a, self.b, self.client

    def wait_master(
        self,
        node: Node,
        vrid: int = 51,
        *,
        address: str | None = "10.0.0.1",
        timeout_s: float = 8.0,
        since_ns: int = 0,
        family: int | None = None,
    ) -> Advert:
        """Wait until a node advertises (and, if one is named, has the address); gives its first advert."""
        try:
            advert = self.tap.wait_advert(node.name, vrid, timeout_s=timeout_s, since_ns=since_ns, family=family)
        except LabTimeoutError as error:
            raise LabTimeoutError(f"{error}\n{node.last_words()}") from None
        if address is not None:
            wait_until(
                lambda: address in node.addresses(), timeout_s=timeout_s, what=f"address {address} on {node.name}"
            )
        return advert

    def wait_released(self, node: Node, address: str = "10.0.0.1", *, timeout_s: float = 5.0) -> None:
        """Wait until a node no longer has an address."""
        wait_until(lambda: address not in node.addresses(), timeout_s=timeout_s, what=f"{address} to leave {node.name}")

    def wait_listening(self, node: Node, interface: str = "eth0", *, timeout_s: float = 10.0) -> None:
        """Wait until the daemon of a node has joined the group of the adverts: from then on it hears its peer."""

        def joined() -> bool:
            groups = node.network.run("ip", "maddress", "show", "dev", interface).split()
            return "224.0.0.18" in groups or "ff02::12" in groups

        wait_until(joined, timeout_s=timeout_s, what=f"{node.name} to listen on {interface}")

    def reset(self) -> None:
        """Stop everything and put cuts, links, addresses and files of ``/run`` back."""
        for node in self.nodes:
            node.stop_processes()
        kill_run(self.lab.run_id)
        self.ext.heal()
        self.int.heal()
        for node in self.nodes:
            for lan, interface in ((self.ext, "eth0"), (self.int, "eth1")):
                lan.plug(node)
                node.link(interface, up=True)
            now, base = self._configured_addresses(node), self._base[node.name]
            node.network.ip(
                *(f"address delete {address} dev {interface}" for interface, address in sorted(now - base)),
                *(
                    # The kernel may put a link-local address back meanwhile: a link that came up gets one.
                    f"address replace {address} dev {interface}{' nodad' if ':' in address else ''}"
                    for interface, address in sorted(base - now)
                ),
            )
            node.delete_links(keep={"lo", "eth0", "eth1"})
            node.empty_run_directory()
        self.tap.forget()

    def close(self) -> None:
        """Take the network away."""
        self.lab.close()

    @staticmethod
    def _configured_addresses(node: Node) -> set[tuple[str, str]]:
        """(interface, address as ``ip`` wants it), the addresses of the loopback left out."""
        found = set()
        for entry in node.address_entries():
            peer = f"peer {entry['address']}" if "address" in entry else ""
            if entry["ifname"] != "lo":
                found.add((entry["ifname"], f"{entry['local']} {peer}".rstrip() + f"/{entry['prefixlen']}"))
        return found
