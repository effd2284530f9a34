"""The tests of this folder run in a guest kernel.

On the host pytest collects them, starts one guest for all of them, and passes on what the guest reports, test by test.
Inside the guest the same pytest runs them as ordinary tests: see `inside`.
"""

import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from .machine import Guest, missing

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = os.environ.get("GUEST_WORK", "")
"""Set in the guest only."""
BOOT_LIMIT_S = 90.0
TEST_LIMIT_S = 110.0
_RUN = pytest.StashKey["GuestRun"]()


def inside() -> bool:
    """Whether this is the guest."""
    return bool(WORK)


class GuestRun:
    """All tests of this folder that were asked for, running in one guest."""

    def __init__(self, config: pytest.Config, names: list[str]) -> None:
        self.config = config
        arguments = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
        command = shlex.join([*arguments, "--rootdir", str(ROOT), *names])
        self.guest = Guest(f"export PATH={shlex.quote(os.environ['PATH'])}\n{command}", ROOT)
        self.reports = self.guest.work / "reports"
        self.offset = 0
        self.found: dict[str, list[Any]] = {}
        self.done: set[str] = set()

    def wait_for(self, name: str) -> list[Any]:
        """The reports of one test, or one that says that the guest could not tell."""
        deadline_s = time.monotonic() + (TEST_LIMIT_S if self.offset else BOOT_LIMIT_S)
        while name not in self.done:
            if not self._read():
                if not self.guest.alive and not self._read():
                    break
                if time.monotonic() > deadline_s:
                    break
                time.sleep(0.01)
        if name in self.done:
            return self.found.pop(name, [])
        return []

    def _read(self) -> bool:
        """Whether there was anything new."""
        if not self.reports.exists():
            return False
        with self.reports.open("rb") as file:
            file.seek(self.offset)
            data = file.read()
        whole = data.rpartition(b"\n")[0]
        if not whole:
            return False
        self.offset += len(whole) + 1
        for line in whole.splitlines():
            entry = json.loads(line)
            if "finished" in entry:
                self.done.add(entry["finished"])
            else:
                report = self.config.hook.pytest_report_from_serializable(config=self.config, data=entry)
                self.found.setdefault(report.nodeid, []).append(report)
        return True


def _is_ours(item: pytest.Item) -> bool:
    return item.path.is_relative_to(HERE)


# on the host


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Passes on what the guest reports about the test."""
    if inside() or not _is_ours(item) or missing():
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    if _RUN not in item.config.stash:
        names = [other.nodeid for other in item.session.items if _is_ours(other)]
        item.config.stash[_RUN] = GuestRun(item.config, names)
    run = item.config.stash[_RUN]
    reports = run.wait_for(item.nodeid)
    if not reports:
        state = "has not finished it in time" if run.guest.alive else "is dead"
        reports = [
            pytest.TestReport(
                item.nodeid, item.location, {}, "failed", f"the guest {state}\n{run.guest.said()}", "call"
            )
        ]
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_unconfigure(config: pytest.Config) -> None:
    if _RUN in config.stash:
        config.stash[_RUN].guest.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not inside() and (complaint := missing()):
        for item in items:
            if _is_ours(item):
                item.add_marker(pytest.mark.skip(reason=complaint))


# in the guest


def _tell(entry: dict[str, Any]) -> None:
    with (Path(WORK) / "reports").open("a") as file:
        file.write(json.dumps(entry) + "\n")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if inside():
        _REPORTS.append(report)


def pytest_runtest_logfinish(nodeid: str) -> None:
    """Everything about a test at its end: until then fixtures may add to its report."""
    if not inside():
        return
    for report in _REPORTS:
        _tell(_CONFIG[0].hook.pytest_report_to_serializable(config=_CONFIG[0], report=report))
    _REPORTS.clear()
    _tell({"finished": nodeid})


_REPORTS: list[pytest.TestReport] = []
_CONFIG: list[pytest.Config] = []


def pytest_configure(config: pytest.Config) -> None:
    _CONFIG.append(config)


@pytest.fixture(scope="session", autouse=True)
def _only_in_the_guest() -> None:
    assert inside(), "these tests change the kernel: never on the host"
