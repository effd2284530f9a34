"""The programs a node can run: keepvip in its two forms, Debian's keepalived, FRR's vrrpd."""

import shutil
import signal
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from keepvip.lab.errors import LabError
from keepvip.lab.node import Node
from keepvip.lab.process import LabProcess
from keepvip.lab.waiting import wait_until


class Daemon(ABC):
    """A VRRP daemon on a node with one configuration file; can be started again after it has ended."""

    kind: ClassVar[str]

    def __init__(
        self,
        node: Node,
        configuration: str | Path,
        *,
        name: str | None = None,
        options: tuple[str, ...] = (),
        stderr: int | None = None,
    ) -> None:
        """Args: configuration: its text, or the path of a file to use as it is; stderr: instead of the log file."""
        self.node = node
        self.name = name or self.kind
        self.options = options
        self._stderr = stderr
        self.file = configuration if isinstance(configuration, Path) else node.write(f"{self.name}.conf", configuration)
        self._process: LabProcess | None = None

    @classmethod
    @abstractmethod
    def missing(cls) -> str | None:
        """What is not installed, in words; None if all is there."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command line."""

    @property
    def process(self) -> LabProcess:
        """The running (or last) process."""
        if self._process is None:
            raise LabError(f"{self.name} on {self.node.name} was not started")
        return self._process

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.running

    def start(self) -> LabProcess:
        """Start it; gives the process."""
        if self.running:
            raise LabError(f"{self.name} on {self.node.name} runs already")
        self._process = self.node.start(self.command(), log=self.name, stdout=self._stderr, stderr=self._stderr)
        return self._process

    def reload(self, configuration: str | None = None) -> int:
        """SIGHUP, with a new text in the file if one is given; gives the time (CLOCK_REALTIME, ns)."""
        if configuration is not None:
            self.file.write_text(configuration)
        return self.process.signal(signal.SIGHUP)

    def stop(self, timeout_s: float = 10.0) -> int:
        """SIGTERM and wait; gives the exit status."""
        return self.process.stop(timeout_s)

    def crash(self) -> int:
        """Kill everything of it at once; gives the time (CLOCK_REALTIME, ns)."""
        return self.process.crash()

    def log_text(self) -> str:
        """Its log."""
        return self.process.log_text()


class Keepalived(Daemon):
    """Debian's keepalived, VRRP part, in the foreground."""

    kind = "keepalived"

    @classmethod
    def missing(cls) -> str | None:
        """See `Daemon.missing`."""
        return None if shutil.which("keepalived") else "keepalived is not installed (apt-get install keepalived)"

    def command(self) -> list[str]:
        """See `Daemon.command`."""
        return ["keepalived", "-n", "-l", "-D", "-f", str(self.file), *self.options]


def _script(name: str) -> Path:
    """A console script of the environment this interpreter belongs to."""
    return Path(sys.prefix, "bin", name)


class Keepvip(Daemon):
    """``keepvip run``."""

    kind = "keepvip"

    @classmethod
    def missing(cls) -> str | None:
        """See `Daemon.missing`."""
        script = _script("keepvip")
        return None if script.exists() else f"{script} does not exist (pip install .)"

    @property
    def socket_path(self) -> Path:
        """The admin socket, as seen from outside of the node."""
        return self.node.run_directory / "keepvip" / "keepvip.sock"

    def command(self) -> list[str]:
        """See `Daemon.command`."""
        return [str(_script("keepvip")), "run", "-f", str(self.file), *self.options]


class Keepvipd(Daemon):
    """``keepvipd``, the drop-in, with keepalived's own options."""

    kind = "keepvipd"

    @classmethod
    def missing(cls) -> str | None:
        """See `Daemon.missing`."""
        script = _script("keepvipd")
        return None if script.exists() else f"{script} does not exist (pip install .)"

    def command(self) -> list[str]:
        """See `Daemon.command`."""
        return [str(_script("keepvipd")), "-n", "-l", "-D", "-f", str(self.file), *self.options]


class Frr(Daemon):
    """FRR's vrrpd with the zebra it needs. The configuration is FRR's own; the macvlans must exist (`add_macvlan`)."""

    kind = "frr"
    _DIRECTORY = Path("/usr/lib/frr")

    @classmethod
    def missing(cls) -> str | None:
        """See `Daemon.missing`."""
        return None if (cls._DIRECTORY / "vrrpd").exists() else "FRR is not installed (apt-get install frr)"

    def add_macvlan(self, interface: str, vrid: int, address: str) -> None:
        """The macvlan vrrpd wants: virtual MAC of the VRID, the virtual address with its prefix length."""
        family = 2 if ":" in address else 1
        name = f"vrrp{4 if family == 1 else 6}-{vrid}"
        self.node.network.ip(
            f"link add name {name} link {interface} type macvlan mode bridge",
            f"link set dev {name} address 00:00:5e:00:{family:02x}:{vrid:02x}",
            f"address add {address} dev {name}{' nodad' if family == 2 else ''}",
            f"link set dev {name} up",
        )

    def command(self) -> list[str]:
        """See `Daemon.command`."""
        return [str(self._DIRECTORY / "vrrpd"), "-f", str(self.file), *self.options]

    def start(self) -> LabProcess:
        """Start zebra, then vrrpd."""
        run = self.node.run_directory / "frr"
        run.mkdir(exist_ok=True)
        shutil.chown(run, "frr", "frr")
        self.node.start([str(self._DIRECTORY / "zebra"), "-f", str(self.file)], log="zebra")
        wait_until((run / "zserv.api").exists, timeout_s=10, what="zebra's socket")
        return super().start()
