"""A node: one host of the lab, with its own network namespace, its own ``/run`` and, on request, its own ``/dev``."""

import json
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keepvip.lab.namespace import MountNamespace, NetworkNamespace
from keepvip.lab.process import LabProcess, tail
from keepvip.lab.watch import AddressWatch, Change

if TYPE_CHECKING:
    from keepvip.lab.lan import Lan

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


class Node:
    """A host. Made by `keepvip.lab.lab.Lab.node`; interfaces are attached with `attach`."""

    def __init__(self, name: str, directory: Path, run_id: str, *, own_dev: bool = False) -> None:
        """Args: own_dev: give the node its own ``/dev``, so that a test can put its own ``/dev/log`` there."""
        self.name = name
        self.directory = directory
        self.run_id = run_id
        self.run_directory = directory / "run"
        self.run_directory.mkdir(parents=True)
        self.run_directory.chmod(0o755)
        self.network = NetworkNamespace.create()
        binds = {"/run": self.run_directory}
        self.dev_directory: Path | None = None
        if own_dev:
            self.dev_directory = directory / "dev"
            self.dev_directory.mkdir()
            for device in _DEVICES:  # bind mounts: mknod(2) is not allowed in a user namespace
                (self.dev_directory / device).touch()
            for link, target in (("fd", "/proc/self/fd"), ("stdout", "fd/1"), ("stderr", "fd/2")):
                (self.dev_directory / link).symlink_to(target)
            binds = {str(self.dev_directory / device): Path("/dev", device) for device in _DEVICES} | binds
            binds["/dev"] = self.dev_directory
        self.mounts = MountNamespace.create(binds)
        self.lans: dict[str, Lan] = {}
        self.processes: list[LabProcess] = []
        self._watches: list[AddressWatch] = []
        self.network.ip("link set lo up")

    # -- interfaces -------------------------------------------------------------------------------------------------

    def attach(
        self, interface: str, lan: "Lan", addresses: Sequence[str] = (), *, up: bool = True, ipv6: bool = True
    ) -> None:
        """Hang an interface of this node on a LAN; ``addresses`` with prefix length. IPv6 addresses skip DAD.

        With ``ipv6`` the interface gets its link-local address at once (no duplicate address detection), else none.
        """
        lan.connect(self, interface)
        self.lans[interface] = lan
        self.network.sysctl(f"net/ipv6/conf/{interface}/accept_dad", 0)
        self.network.sysctl(f"net/ipv6/conf/{interface}/disable_ipv6", 0 if ipv6 else 1)
        self.network.ip(
            *(f"address add {address} dev {interface}{' nodad' if ':' in address else ''}" for address in addresses),
            *([f"link set dev {interface} up"] if up else []),
        )

    def delete_interface(self, interface: str) -> None:
        """Remove an interface (both ends of the veth pair)."""
        self.network.ip(f"link delete dev {interface}")
        self.lans.pop(interface).forget(self, interface)

    def delete_links(self, *, keep: set[str]) -> None:
        """Remove what a killed daemon has left behind: every interface that is not named."""
        with self.network.entered():
            left = {name for _, name in socket.if_nameindex()} - keep
        self.network.ip(*(f"link delete dev {name}" for name in sorted(left)))

    def link(self, interface: str, *, up: bool) -> None:
        """Administrative state of an interface."""
        self.network.ip(f"link set dev {interface} {'up' if up else 'down'}")

    def add_address(self, interface: str, address: str) -> None:
        """Add an address (with prefix length); IPv6 without DAD."""
        self.network.ip(f"address add {address} dev {interface}{' nodad' if ':' in address else ''}")

    def delete_address(self, interface: str, address: str) -> None:
        """Delete an address (with prefix length)."""
        self.network.ip(f"address delete {address} dev {interface}")

    # -- facts from the kernel ---------------------------------------------------------------------------------------

    def address_entries(self, interface: str | None = None) -> list[dict[str, Any]]:
        """What ``ip -j -d address`` says, flattened: one entry per address, with ``ifname`` added."""
        arguments = ["ip", "-j", "-d", "address", "show"] + (["dev", interface] if interface else [])
        links: list[dict[str, Any]] = json.loads(self.network.run(*arguments) or "[]")
        return [
            {**entry, "ifname": link["ifname"]}
            for link in links
            if link  # an interface that another filter removed is an empty object
            for entry in link["addr_info"]
        ]

    def addresses(self, interface: str | None = None) -> set[str]:
        """The addresses on an interface (or on all of them), as text without prefix length."""
        return {entry["local"] for entry in self.address_entries(interface)}

    def mac(self, interface: str) -> str:
        """Hardware address of an interface."""
        links = json.loads(self.network.run("ip", "-j", "link", "show", "dev", interface))
        return str(links[0]["address"])

    def link_local(self, interface: str) -> str:
        """The IPv6 link-local address of an interface."""
        for entry in self.address_entries(interface):
            if entry["family"] == "inet6" and entry["scope"] == "link":
                return str(entry["local"])
        raise LookupError(f"{self.name} has no link-local address on {interface}")

    def watch_addresses(self, on_change: Callable[[Change], None] | None = None) -> AddressWatch:
        """Record every address and link change of this node from now on, with its time."""
        watch = AddressWatch(self.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE), on_change)
        self._watches.append(watch)
        return watch

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket that lives in this node."""
        with self.network.entered():
            return socket.socket(family, kind, protocol)

    # -- processes ---------------------------------------------------------------------------------------------------

    def start(
        self,
        argv: Sequence[str],
        *,
        log: str,
        environment: dict[str, str] | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> LabProcess:
        """Start a program in this node; its output is appended to ``<node directory>/<log>.log``."""
        process = LabProcess(
            argv,
            network=self.network,
            mounts=self.mounts,
            run_id=self.run_id,
            log=self.directory / f"{log}.log",
            environment=environment,
            stdout=stdout,
            stderr=stderr,
        )
        self.processes.append(process)
        return process

    def write(self, name: str, text: str, *, mode: int = 0o644) -> Path:
        """Write a file into the node's directory (the same path in and outside the node)."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def last_words(self) -> str:
        """The end of the log of every program that has ended, for error messages."""
        ended = [process for process in self.processes if not process.running]
        return "\n".join(
            f"{process.argv[0]} on {self.name} has ended ({process.exit_status}):\n{tail(process.log_text())}"
            for process in ended
        )

    def empty_run_directory(self) -> None:
        """Remove what daemons left in ``/run`` (pid files, sockets)."""
        for path in sorted(self.run_directory.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()

    def stop_processes(self) -> None:
        """Kill whatever still runs in this node."""
        for process in self.processes:
            if process.running:
                process.crash()
        self.processes.clear()
        for watch in self._watches:
            watch.close()
        self._watches.clear()

    def close(self) -> None:
        """Kill everything in the node and give up its namespaces."""
        self.stop_processes()
        self.mounts.close()
        self.network.close()
