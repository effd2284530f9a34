"""Network and mount namespaces without names: held by a file descriptor, gone with the last holder.

Python 3.11 has neither ``os.setns`` nor ``os.unshare`` (both came with 3.12), hence the two calls through ctypes.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keepvip.lab.errors import LabError

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
_PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: int) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise LabError(f"{name}{arguments}: {os.strerror(number)}")


def become_subreaper() -> None:
    """Orphans of our descendants become our children, so that we can reap them ourselves (see `keepvip.lab.process`).

    A killed daemon whose zombie waits for a lazy init still "runs" in the eyes of a program that tests the pid in its
    pid file with kill(pid, 0).
    """
    _call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Namespace:
    """A namespace, kept alive by an open descriptor."""

    def __init__(self, descriptor: int, kind: int) -> None:
        self.fd = descriptor
        self._kind = kind

    @property
    def path(self) -> str:
        """A path to the namespace as long as this process lives (for ``ip link ... netns PATH``)."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def close(self) -> None:
        """Let go of the namespace; the kernel removes it once no process and no descriptor holds it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class NetworkNamespace(Namespace):
    """A network namespace."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, CLONE_NEWNET)

    @classmethod
    def create(cls) -> "NetworkNamespace":
        """Make a new, empty network namespace (only a down ``lo``)."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("unshare", CLONE_NEWNET)
            try:
                return cls(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
            finally:
                _call("setns", home, CLONE_NEWNET)
        finally:
            os.close(home)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Put the calling thread into the namespace for a while.

        Sockets made meanwhile stay in the namespace for good, and processes started meanwhile begin their life there.
        Other threads are not affected.
        """
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("setns", self.fd, CLONE_NEWNET)
            try:
                yield
            finally:
                _call("setns", home, CLONE_NEWNET)
        finally:
            os.close(home)

    def sysctl(self, key: str, value: str | int) -> None:
        """Set a ``net.*`` sysctl of the namespace, e.g. ``net/ipv4/ip_forward``."""
        with self.entered():
            Path("/proc/sys", key).write_text(f"{value}\n")

    def read_sysctl(self, key: str) -> str:
        """Read a ``net.*`` sysctl of the namespace."""
        with self.entered():
            return Path("/proc/sys", key).read_text().strip()

    def ip(self, *commands: str) -> None:
        """Carry out ``ip`` commands in one batch; a command that fails stops the batch and raises."""
        if not commands:
            return
        with self.entered():
            done = subprocess.run(
                ["ip", "-batch", "-"],
                input="".join(f"{command}\n" for command in commands),
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode != 0:
            raise LabError(f"ip failed ({done.stderr.strip()}) in: {'; '.join(commands)}")

    def run(self, *argv: str) -> str:
        """Run a short command in the namespace and give its output; raises if it fails."""
        with self.entered():
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"{' '.join(argv)}: exit status {done.returncode}: {done.stderr.strip()}")
        return done.stdout


class MountNamespace(Namespace):
    """A mount namespace in which some directories are replaced."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, CLONE_NEWNS)

    @classmethod
    def create(cls, binds: dict[str, Path]) -> "MountNamespace":
        """A private copy of the mounts with each key of ``binds`` (a directory or file) replaced by its value.

        setns(2) into a mount namespace is refused to a process with threads, so a short-lived process makes the
        namespace and we keep it by its descriptor.
        """
        script = "set -e\n" + "".join(f'mount --rbind "{source}" "{target}"\n' for target, source in binds.items())
        maker = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script + "echo ready\nread -r _ || :"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert maker.stdout is not None
        if maker.stdout.readline().strip() != "ready":
            _, complaint = maker.communicate()
            raise LabError(f"mount namespace: {complaint.strip() or 'unshare failed'}")
        descriptor = os.open(f"/proc/{maker.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        maker.communicate()
        return cls(descriptor)
