"""Set up an IPVS table with the codec and write down what the kernel answers: the maker of kernel-6.1.json.

    python -m tests.unit.ipvs.capture OUT.json        as root, in a network namespace, on a kernel with IPVS

Not a test: the test machines' kernels have no IPVS. What is set up is in SERVICES, DESTINATIONS and DAEMONS below; the
tests read the answers and expect the same. 10.0.0.100 must be an address of lo and v0 be up; nothing is left behind.
"""

import json
import os
import socket
import sys
import time
from pathlib import Path

from keepvip import _ipvs, _ipvs_abi
from keepvip._ipvs_abi import Daemon, Destination, DestinationKey, ServiceKey, ServiceOptions

REQUEST = _ipvs_abi.NLM_F_REQUEST | _ipvs_abi.NLM_F_ACK
DUMP = _ipvs_abi.NLM_F_REQUEST | _ipvs_abi.NLM_F_DUMP
ALL_FLAGS = 0xFFFFFFFF


def v4(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET, text)


def v6(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, text)


WEB: ServiceKey = (socket.AF_INET, socket.IPPROTO_TCP, v4("10.0.0.100"), 80, 0)
DNS: ServiceKey = (socket.AF_INET6, socket.IPPROTO_UDP, v6("fd00::100"), 53, 0)
MARK: ServiceKey = (socket.AF_INET, 0, b"", 0, 7)
SIP: ServiceKey = (socket.AF_INET, socket.IPPROTO_UDP, v4("10.0.0.100"), 5060, 0)

SERVICES: dict[ServiceKey, ServiceOptions] = {
    WEB: ("wrr", _ipvs_abi.SVC_F_PERSISTENT, ALL_FLAGS, 300, 0xFFFFFF00, ""),
    DNS: ("rr", _ipvs_abi.SVC_F_ONEPACKET, ALL_FLAGS, 0, 128, ""),
    MARK: ("sh", _ipvs_abi.SVC_F_SCHED1 | _ipvs_abi.SVC_F_SCHED2, ALL_FLAGS, 0, 0xFFFFFFFF, ""),
    SIP: ("rr", _ipvs_abi.SVC_F_PERSISTENT | _ipvs_abi.SVC_F_ONEPACKET, ALL_FLAGS, 60, 0xFFFFFFFF, "sip"),
}

DESTINATIONS: dict[ServiceKey, list[Destination]] = {
    WEB: [
        (socket.AF_INET, v4("10.2.0.11"), 8080, _ipvs_abi.FWD_MASQ, 3, 1000, 800, 0, 0, 0),
        (socket.AF_INET, v4("10.2.0.12"), 80, _ipvs_abi.FWD_TUNNEL, 0, 0, 0, _ipvs_abi.TUNNEL_GUE, 6080, 1),
        (socket.AF_INET6, v6("fd02::13"), 80, _ipvs_abi.FWD_TUNNEL, 5, 0, 0, 0, 0, 0),
    ],
    DNS: [(socket.AF_INET6, v6("fd02::11"), 53, _ipvs_abi.FWD_DROUTE, 1, 0, 0, 0, 0, 0)],
    MARK: [(socket.AF_INET, v4("10.2.0.11"), 0, _ipvs_abi.FWD_TUNNEL, 1, 0, 0, _ipvs_abi.TUNNEL_GRE, 0, 1)],
    SIP: [],
}

DAEMONS: list[Daemon] = [
    (_ipvs_abi.STATE_MASTER, "v0", 7, 1400, v4("224.0.0.99"), 8850, 3),
    (_ipvs_abi.STATE_BACKUP, "v0", 8, 0, v6("ff02::99"), 8851, 1),
]

NAMES = {"WEB": WEB, "DNS": DNS, "MARK": MARK, "SIP": SIP}

TIMEOUTS_S = (900, 120, 300)


class Kernel:
    """A netlink socket; every request waits for its answers."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)  # NETLINK_GENERIC
        self._socket.bind((0, 0))
        self._socket.settimeout(10)
        self._seq = 0
        record = _ipvs.decode(self.ask_once(_ipvs.encode_get_family(self.next_seq())), 0)[0]
        assert record[0] == _ipvs_abi.FAMILY, record
        self.family_id = record[2]

    def next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def ask_once(self, request: bytes) -> bytes:
        """Send a request that has one answer and return that."""
        self._socket.send(request)
        return self._socket.recv(65536)

    def change(
        self,
        command: int,
        service: ServiceKey | None = None,
        options: ServiceOptions | None = None,
        destination: Destination | DestinationKey | None = None,
    ) -> None:
        """Carry out one change of the table; raises OSError with the kernel's errno."""
        self._carry_out(_ipvs.encode(command, self.family_id, self.next_seq(), REQUEST, service, options, destination))

    def start(self, daemon: Daemon) -> None:
        self._carry_out(_ipvs.encode_daemon(_ipvs_abi.CMD_NEW_DAEMON, self.family_id, self.next_seq(), REQUEST, daemon))

    def stop(self, daemon: Daemon) -> None:
        """Stop a synchronisation daemon and see that it is gone.

        An acknowledgement is not asked for, since it may never come: a thread that had no time to run yet ends with
        EINTR, and netlink swallows the answer to a request that ended so (seen with Linux 6.1).
        """
        flags = _ipvs_abi.NLM_F_REQUEST
        self._socket.send(_ipvs.encode_daemon(_ipvs_abi.CMD_DEL_DAEMON, self.family_id, self.next_seq(), flags, daemon))
        for datagram in self.dump(_ipvs_abi.CMD_GET_DAEMON):
            for record in _ipvs.decode(bytes.fromhex(datagram), self.family_id):
                assert record[0] != _ipvs_abi.CMD_NEW_DAEMON or record[2] != daemon[0], record

    def set_timeouts(self, timeouts_s: tuple[int, int, int]) -> None:
        self._carry_out(_ipvs.encode_config(self.family_id, self.next_seq(), REQUEST, *timeouts_s))

    def _carry_out(self, request: bytes) -> None:
        record = _ipvs.decode(self.ask_once(request), self.family_id)[0]
        assert record[0] == _ipvs_abi.ACK, record
        if record[2]:
            raise OSError(record[2], os.strerror(record[2]))

    def dump(self, command: int, service: ServiceKey | None = None) -> list[str]:
        """Return the datagrams of a dump in hexadecimal."""
        self._socket.send(_ipvs.encode(command, self.family_id, self.next_seq(), DUMP, service))
        datagrams: list[bytes] = []
        while not datagrams or _ipvs.decode(datagrams[-1], self.family_id)[-1][0] != _ipvs_abi.DONE:
            datagrams.append(self._socket.recv(65536))
        return [raw.hex() for raw in datagrams]

    def get(
        self, command: int, flags: int, service: ServiceKey | None = None, options: ServiceOptions | None = None
    ) -> list[str]:
        """Return the one answer to a request in hexadecimal, even if it is a refusal."""
        return [self.ask_once(_ipvs.encode(command, self.family_id, self.next_seq(), flags, service, options)).hex()]


def main(out: Path) -> None:
    kernel = Kernel()
    # First the daemons alone: the kernel refuses them beside a service with destinations of both families.
    for daemon in DAEMONS:
        kernel.start(daemon)
    daemons = kernel.dump(_ipvs_abi.CMD_GET_DAEMON)
    for daemon in DAEMONS:
        kernel.stop(daemon)

    for key, options in SERVICES.items():
        kernel.change(_ipvs_abi.CMD_NEW_SERVICE, key, options)
        for destination in DESTINATIONS[key]:
            kernel.change(_ipvs_abi.CMD_NEW_DEST, key, None, destination)
    kernel.set_timeouts(TIMEOUTS_S)
    # Connections that nobody answers: the statistics shall not be all zero. The kernel adds them up every two seconds.
    for _ in range(3):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.setblocking(False)
            client.connect_ex(("10.0.0.100", 80))
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s and not any(
        has_traffic(datagram, kernel.family_id) for datagram in kernel.dump(_ipvs_abi.CMD_GET_SERVICE)
    ):
        time.sleep(0.2)

    capture = {
        "kernel": os.uname().release,
        "machine": os.uname().machine,
        "family_id": kernel.family_id,
        "services": kernel.dump(_ipvs_abi.CMD_GET_SERVICE),
        "destinations": {name: kernel.dump(_ipvs_abi.CMD_GET_DEST, key) for name, key in NAMES.items()},
        "daemons": daemons,
        "config": kernel.get(_ipvs_abi.CMD_GET_CONFIG, _ipvs_abi.NLM_F_REQUEST),
        "info": kernel.get(_ipvs_abi.CMD_GET_INFO, _ipvs_abi.NLM_F_REQUEST),
        "family": [kernel.ask_once(_ipvs.encode_get_family(kernel.next_seq())).hex()],
        "refused": kernel.get(_ipvs_abi.CMD_NEW_SERVICE, REQUEST, WEB, SERVICES[WEB]),
        "acknowledged": kernel.get(_ipvs_abi.CMD_ZERO, REQUEST, WEB),
    }
    for key, destinations in DESTINATIONS.items():
        for destination in destinations:
            kernel.change(_ipvs_abi.CMD_DEL_DEST, key, None, destination[:3])
        kernel.change(_ipvs_abi.CMD_DEL_SERVICE, key)
    kernel.change(_ipvs_abi.CMD_FLUSH)
    capture["empty"] = kernel.dump(_ipvs_abi.CMD_GET_SERVICE) + kernel.dump(_ipvs_abi.CMD_GET_DAEMON)
    out.write_text(json.dumps(capture, indent=1) + "\n")


def has_traffic(datagram: str, family_id: int) -> bool:
    """Whether one of the services in a dump has seen connections and has the rates of them."""
    records = _ipvs.decode(bytes.fromhex(datagram), family_id)
    return any(record[0] == _ipvs_abi.CMD_NEW_SERVICE and record[13] and record[13][0] for record in records)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
