"""A LAN: a bridge in a namespace of its own, with one port per interface of a node, and scissors for each direction.

The bridge neither filters nor learns multicast (``mcast_snooping 0``) and runs no spanning tree, so a port forwards
from the moment it is up. A cut takes a port off the bridge, or for one direction alone is a packet filter rule on the
bridge side of the port: the link of the node stays up, as with a broken switch, and the tap sees what the node sends.
"""

import shutil
from enum import Enum
from typing import TYPE_CHECKING

from keepvip.lab.errors import LabError
from keepvip.lab.namespace import NetworkNamespace

if TYPE_CHECKING:
    from keepvip.lab.node import Node


class Cut(Enum):
    """Which direction a cut takes away, as the node sees it."""

    SENDING = "ingress"  # what the node sends goes nowhere
    RECEIVING = "egress"  # the node hears nothing


class Lan:
    """A bridge. Made by `keepvip.lab.lab.Lab.lan`; nodes are connected by `keepvip.lab.node.Node.attach`."""

    def __init__(self, name: str, index: int, network: NetworkNamespace) -> None:
        self.name = name
        self.bridge = f"br{index}"
        self._index = index
        self._network = network
        self._ports: dict[tuple[str, str], str] = {}
        self._connected = 0
        self._cuts: set[tuple[str, Cut]] = set()
        self._off_bridge: set[str] = set()
        network.ip(
            f"link add name {self.bridge} type bridge mcast_snooping 0 stp_state 0",
            f"link set dev {self.bridge} up",
        )

    def connect(self, node: "Node", interface: str) -> None:
        """Make a veth pair: ``interface`` in the node, a port on this bridge."""
        self._connected += 1
        port = f"p{self._index}.{self._connected}"
        self._network.ip(
            f"link add name {port} type veth peer name {interface} netns {node.network.path}",
            f"link set dev {port} master {self.bridge}",
            f"link set dev {port} up",
        )
        self._ports[node.name, interface] = port

    def forget(self, node: "Node", interface: str) -> None:
        """The interface is gone, and the port with it."""
        port = self._ports.pop((node.name, interface))
        self._cuts = {cut for cut in self._cuts if cut[0] != port}
        self._off_bridge.discard(port)

    @property
    def ports(self) -> dict[str, tuple[str, str]]:
        """Port name to (node name, interface name)."""
        return {port: key for key, port in self._ports.items()}

    def port(self, node: "Node", interface: str | None = None) -> str:
        """The bridge port of a node's interface (of its only one here, if none is named)."""
        found = [
            port for (owner, name), port in self._ports.items() if owner == node.name and interface in {None, name}
        ]
        if len(found) != 1:
            raise LookupError(f"{node.name} has {len(found)} ports on {self.name}")
        return found[0]

    def unplug(self, node: "Node", interface: str | None = None) -> None:
        """Pull the cable: the node's interface loses its carrier."""
        self._network.ip(f"link set dev {self.port(node, interface)} down")

    def plug(self, node: "Node", interface: str | None = None) -> None:
        """Put the cable back."""
        self._network.ip(f"link set dev {self.port(node, interface)} up")

    def cut(self, node: "Node", *directions: Cut, interface: str | None = None) -> None:
        """Lose every frame of the directions given (both, if none is); the carrier stays."""
        port = self.port(node, interface)
        if set(directions) in (set(), set(Cut)):
            self._network.ip(f"link set dev {port} nomaster")
            self._off_bridge.add(port)
        else:
            self._cuts |= {(port, direction) for direction in directions}
            self._write_rules()

    def heal(self) -> None:
        """Undo all cuts of this LAN."""
        self._network.ip(*(f"link set dev {port} master {self.bridge}" for port in sorted(self._off_bridge)))
        self._off_bridge.clear()
        if self._cuts:
            self._cuts.clear()
            self._write_rules()

    def _write_rules(self) -> None:
        """Replace the cut rules by the present set in one transaction."""
        if shutil.which("nft") is None:
            raise LabError("cutting one direction of a link needs the program nft (apt-get install nftables)")
        table = f"lab_{self.bridge}"
        chains = "".join(
            f' chain c{number} {{ type filter hook {direction.value} device "{port}" priority 0; policy drop; }}\n'
            for number, (port, direction) in enumerate(sorted(self._cuts, key=str))
        )
        replace = f"add table netdev {table}; delete table netdev {table}; table netdev {table} {{\n{chains}}}"
        self._network.run("nft", replace)
