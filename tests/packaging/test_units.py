"""The systemd units: understood by systemd, and enough for the job."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from keepvip.lab import Keepvip, Pair
from keepvip.lab.waiting import wait_until

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "packaging/systemd/keepvip.service"
DROP_IN = ROOT / "packaging/systemd/keepalived.service.d/keepvip.conf"

SCRIPTS = """
vrrp_sync_group VG1 {
   notify_master "/usr/bin/touch {0}/by-nobody" nobody
   notify_backup "/usr/bin/touch {0}/by-root" root
"""


def settings(unit: Path, name: str) -> list[str]:
    """Return all values of a setting, in their order."""
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)


def capabilities() -> list[str]:
    return " ".join(settings(UNIT, "CapabilityBoundingSet")).split()


@pytest.mark.parametrize("unit", [UNIT, DROP_IN], ids=lambda path: path.name)
def test_starts_programs_that_the_package_installs(unit: Path) -> None:
    programs = {line.split()[0] for line in re.findall(r"^Exec\w+=(\S.*)$", unit.read_text(), re.MULTILINE)}
    scripts = re.search(r"\[project.scripts\]\n((?:\w+ = .*\n)+)", (ROOT / "pyproject.toml").read_text())
    assert scripts is not None
    installed = {f"/opt/keepvip/bin/{line.split()[0]}" for line in scripts[1].splitlines()}
    assert programs <= installed
    assert programs


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_it(tmp_path: Path) -> None:
    text = UNIT.read_text().replace("/opt/keepvip/bin/", "/bin/true --")
    unit = tmp_path / "keepvip.service"
    unit.write_text(text)
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False, timeout=60
    )
    complaints = [line for line in result.stderr.splitlines() if "keepvip.service" in line]
    assert complaints == []


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    try:
        yield pair
    finally:
        pair.close()


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory in which every user may write; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o777)
        yield path


class Restrained(Keepvip):
    """keepvip with no more rights than the unit gives it."""

    def command(self) -> list[str]:
        """See `Daemon.command`."""
        allowed = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in capabilities())
        return ["setpriv", f"--bounding-set=-all,{allowed}", "--inh-caps=-all", *super().command()]


@pytest.mark.root
def test_the_capabilities_of_the_unit_are_enough(pair: Pair, open_directory: Path) -> None:
    """Real time, addresses, and scripts under another user, with the bounding set of the unit."""
    configuration = (ROOT / "examples/main-job/master.conf").read_text()
    configuration = configuration.replace("vrrp_sync_group VG1 {\n", SCRIPTS.replace("{0}", str(open_directory)))
    daemon = Restrained(pair.a, configuration)
    daemon.start()
    pair.wait_master(pair.a, 50)
    tasks = Path(f"/proc/{daemon.process.pid}/task")
    policies = {
        (task / "comm").read_text().strip(): int((task / "stat").read_text().rsplit(")", 1)[1].split()[38])
        for task in tasks.iterdir()
    }
    assert policies["keepvip-engine"] == 2  # SCHED_RR
    by_nobody, by_root = open_directory / "by-nobody", open_directory / "by-root"
    wait_until(lambda: by_nobody.exists() and by_root.exists(), timeout_s=5, what="both scripts")
    assert (by_nobody.owner(), by_root.owner()) == ("nobody", "root")
    assert daemon.stop() == 0
