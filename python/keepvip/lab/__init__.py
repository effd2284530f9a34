"""The lab: small networks out of network namespaces, bridges and veth pairs, and real daemons in them.

Read in the direction in which a frame flows: a `Node` (a network namespace with its own ``/run``) runs a daemon, its
interfaces hang on a `Lan` (a bridge in a namespace of its own), a `Tap` sees every frame that enters a bridge port with
the kernel's time stamp, and a decoder that shares no code with the engine turns the frame into an `Advert`, an `Arp` or
a `NeighbourAdvert`. The demo (``keepvip lab demo``), the integration tests and the benches all stand on this package.

Nothing outlives the `Lab`: the namespaces have no names, so they end with their last process, and every process carries
the identity of its run, so that what a crashed run left behind can be found and removed (see `keepvip.lab.janitor`).
"""

from keepvip.lab.capture import Tap
from keepvip.lab.daemons import Daemon, Frr, Keepalived, Keepvip, Keepvipd
from keepvip.lab.decode import Advert, Arp, NeighbourAdvert, Packet
from keepvip.lab.errors import LabError, LabTimeoutError
from keepvip.lab.lab import Lab
from keepvip.lab.lan import Lan
from keepvip.lab.node import Node
from keepvip.lab.pair import Pair
from keepvip.lab.ping import Pinger
from keepvip.lab.process import LabProcess

__all__ = [
    "Advert",
    "Arp",
    "Daemon",
    "Frr",
    "Keepalived",
    "Keepvip",
    "Keepvipd",
    "Lab",
    "LabError",
    "LabProcess",
    "LabTimeoutError",
    "Lan",
    "NeighbourAdvert",
    "Node",
    "Packet",
    "Pair",
    "Pinger",
    "Tap",
]
