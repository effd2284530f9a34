"""The start as a process: what is refused, with which status and words; what is imported before the first advert."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

KEEPVIP = [sys.executable, "-m", "keepvip"]
KEEPVIPD = [sys.executable, "-c", "import sys; from keepvip.cli.keepvipd import main; sys.exit(main())"]

BROKEN = "vrrp_instance VI_1 {\n    state BACKUP\n    interface lo\n    virtual_router_id 300\n    bogus\n}\n"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "k.conf"
    path.write_text(BROKEN)
    return path


def run(command: list[str], *words: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *map(str, words)], capture_output=True, text=True, timeout=60, check=False, env=os.environ | environ
    )


def test_run_refuses_errors_and_prints_all(broken: Path, tmp_path: Path) -> None:
    done = run(KEEPVIP, "run", "-f", broken, "--socket", tmp_path / "s")
    assert done.returncode == 2
    assert f"{broken}:4" in done.stderr
    assert f"{broken}:5" in done.stderr
    assert f"keepvip cannot start with {broken}" in done.stderr
    assert not (tmp_path / "s.pid").exists()


def test_missing_file(tmp_path: Path) -> None:
    missing = tmp_path / "none.conf"
    done = run(KEEPVIP, "run", "-f", missing)
    assert done.returncode == 2
    assert "does not exist" in done.stderr
    assert run(KEEPVIPD, "-G", "-n", "-f", missing).returncode == 6
    assert run(KEEPVIPD, "-G", "-f", missing).returncode == 6
    assert run(KEEPVIPD, "-t", "-f", missing).returncode == 0


def test_config_test_reports_to_stderr_or_to_a_file(broken: Path, tmp_path: Path) -> None:
    done = run(KEEPVIPD, "-t", "-f", broken)
    assert done.returncode in {4, 5}
    assert "bogus" in done.stderr
    report = tmp_path / "report"
    report.write_text("before\n")
    done = run(KEEPVIPD, f"-t{report}", "-f", broken)
    assert done.stderr == ""
    assert report.read_text().startswith("before\n")
    assert "bogus" in report.read_text()
    assert run(KEEPVIPD, f"-t{tmp_path}/none/report", "-f", broken).returncode == 1


def test_refusal_reaches_the_log_too(broken: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    text = broken.read_text().replace("virtual_router_id 300", "virtual_router_id")
    broken.write_text(text)
    assert run(KEEPVIPD, "-G", f"-g{log}", "-f", broken).returncode == 2
    assert f"{broken}:4:" in log.read_text()


def test_unknown_namespace(broken: Path) -> None:
    done = run(KEEPVIPD, "-G", "-n", "-s", "no-such-namespace", "-f", broken)
    assert done.returncode in {1, 4}
    assert "cannot enter network namespace no-such-namespace" in done.stderr


def test_bad_command_line() -> None:
    assert run(KEEPVIP, "run", "--nonsense").returncode == 2
    assert run(KEEPVIPD, "--nonsense").returncode == 1
    assert run(KEEPVIP, "status", "--nonsense").returncode == 2


def test_no_daemon(tmp_path: Path) -> None:
    for words in (["status"], ["why", "X"], ["events"], ["reload"]):
        done = run(KEEPVIP, *words, KEEPVIP_SOCKET=str(tmp_path / "none"))
        assert done.returncode == 3, words
        assert done.stderr == f"keepvip: no daemon: {tmp_path}/none does not exist\n"


def test_help_names_every_command() -> None:
    done = run(KEEPVIP, "--help")
    assert done.returncode == 0
    for command in ("run", "status", "why", "events", "reload", "check", "lab"):
        assert f"  {command} " in done.stdout


LATE = ("aiohttp", "aiosmtplib", "asyncio", "click", "concurrent.futures", "http", "json", "pyroute2", "rich", "uvloop")

COUNT = """
import json, sys
from keepvip.cli.run import interpret
import keepvip.daemon.main as main
main.read(interpret(["-f", sys.argv[1]]))
try:
    import keepvip.engine
except ImportError:  # not built: the rest can be counted all the same
    pass
print(json.dumps(sorted(sys.modules)))
"""


def test_nothing_needless_is_imported_before_the_first_advert(broken: Path) -> None:
    """The start-up budget: 300 ms from exec to the first advert. A new heavy import shows here, not in the field."""
    broken.write_text(
        "vrrp_instance VI_1 {\n interface lo\n virtual_router_id 3\n virtual_ipaddress {\n 10.0.0.1\n }\n}\n"
    )
    done = run([sys.executable, "-c", COUNT], broken)
    modules = json.loads(done.stdout)
    assert [name for name in LATE if name in modules and name != "json"] == []
    assert len(modules) < 260, len(modules)
