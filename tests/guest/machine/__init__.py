"""A guest kernel as an ordinary process: user-mode-linux, which has IPVS, VLAN, VRF and netem and needs no KVM."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

HERE = Path(__file__).resolve().parent
KERNEL = "linux.uml"
PROGRAMS = {KERNEL: "user-mode-linux", "modprobe": "kmod", "ipvsadm": "ipvsadm", "curl": "curl"}


def missing() -> str:
    """Why no guest can be started here; empty if one can."""
    lacking = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if lacking:
        return f"needs the Debian packages {', '.join(lacking)}"
    if os.geteuid() != 0:
        return "needs root"
    return ""


class Guest:
    """One guest that runs one command and ends with it. It sees the host's files; what it writes is thrown away."""

    def __init__(self, command: str, folder: Path, *, memory_mib: int = 640) -> None:
        """`command` is read by sh, in `folder`."""
        self.work = Path(tempfile.mkdtemp(prefix="keepvip-guest-"))
        """Shared with the guest, under the same path."""
        (self.work / "command").write_text(f"cd '{folder}'\nexport GUEST_WORK='{self.work}'\n{command}\n")
        self.status_file = self.work / "status"
        environ = {"PATH": os.environ["PATH"], "TMPDIR": str(self._memory_folder(memory_mib))}
        if preload := self._preload():
            environ["LD_PRELOAD"] = preload
        # Its processes are traced processes of the host: all on one CPU it is two to four times as fast.
        cpu = max(os.sched_getaffinity(0))
        with (self.work / "console").open("wb") as console, (self.work / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [
                    *(
                        "taskset",
                        "-c",
                        str(cpu),
                        KERNEL,
                        f"mem={memory_mib}M",
                        "rootfstype=hostfs",
                        "rootflags=/",
                        "ro",
                    ),
                    *("lsm=", "quiet", f"init={HERE / 'init'}", f"uml_dir={self.work}/", "umid=guest"),
                    *(
                        "con=null",
                        "con0=null,fd:2",
                        "con1=null,fd:1",
                        "panic=-1",
                        "noreboot",
                        f"GUEST_WORK={self.work}",
                    ),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=console,
                env=environ,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether the guest runs."""
        return self._process.poll() is None

    @property
    def status(self) -> int | None:
        """Exit status of the command; None: it has not ended, or the guest died."""
        try:
            return int(self.status_file.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def said(self, lines: int = 60) -> str:
        """The last lines of the command's output and of the guest kernel."""
        found = []
        for name in ("output", "console"):
            text = (self.work / name).read_text(errors="replace")
            found.append(f"--- {name}\n" + "\n".join(text.splitlines()[-lines:]))
        return "\n".join(found)

    def close(self) -> None:
        """End the guest and forget its folder."""
        if self.alive:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        with contextlib.suppress(ProcessLookupError):  # helpers that a killed guest would leave behind
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self.work, ignore_errors=True)

    def _memory_folder(self, memory_mib: int) -> Path:
        """Where the guest's memory can be: a file that must be executable and must fit."""
        shm = Path("/dev/shm")
        with contextlib.suppress(OSError):
            space = os.statvfs(shm)
            if not space.f_flag & os.ST_NOEXEC and space.f_bavail * space.f_frsize > memory_mib << 20:
                return shm
        return self.work

    def _preload(self) -> str:
        """The library without which a guest dies on processors with AMX; empty where it is not needed."""
        if "amx_tile" not in Path("/proc/cpuinfo").read_text():
            return ""
        library = self.work / "fpstate.so"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, HERE / "fpstate.c"], check=True, timeout=60)
        return str(library)
