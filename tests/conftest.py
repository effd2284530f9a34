"""What all tests share: switches, the networks of the lab, a clear word when something is missing.

A failed test in a lab shows what the wire and the daemons said.
"""

import contextlib
import os
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from keepvip.lab import Lab, Pair
from keepvip.lab.forge import Forger

# What a test takes depends on what else the machine does; pytest-timeout ends what hangs.
settings.register_profile("keepvip", deadline=None)
settings.load_profile("keepvip")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--daemons",
        default="keepvip",
        help="which daemons play the one under test in tests/netns: keepvip, keepvipd, keepalived (comma separated);"
        " with keepalived the tests themselves are put to the test",
    )
    parser.addoption("--soak", action="store_true", help="run the long forms of the density tests")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "root: needs root and network namespaces")
    config.addinivalue_line("markers", "ours(reason): a promise of keepvip that keepalived does not make")
    config.addinivalue_line("markers", "interop: needs another VRRP implementation")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    skip = pytest.mark.skip(reason="needs root (network namespaces)")
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(skip)


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """An empty lab for tests that need a network of their own."""
    with Lab() as lab:
        yield lab
        _show_if_failed(request, lab)


@pytest.fixture(scope="session")
def shared_pair() -> Iterator[Pair]:
    with contextlib.closing(Pair()) as pair:
        yield pair


@pytest.fixture
def pair(request: pytest.FixtureRequest, shared_pair: Pair) -> Iterator[Pair]:
    """The shared network of two nodes and a client in its first state."""
    yield shared_pair
    _show_if_failed(request, shared_pair.lab)
    shared_pair.reset()
    for path in shared_pair.lab.directory.glob("*/*.log"):
        path.unlink()


@pytest.fixture
def forger(pair: Pair) -> Iterator[Forger]:
    """Sends forged adverts from the client into the LAN ext."""
    with contextlib.closing(Forger(pair.client, "eth0")) as forger:
        yield forger


def _show_if_failed(request: pytest.FixtureRequest, lab: Lab) -> None:
    report = getattr(request.node, "call_report", None)
    if report is None or not report.failed:
        return
    for tap in lab.taps:
        report.sections.append(("the wire", tap.summary(80)))
    for path in sorted(lab.directory.glob("*/*.log")):
        text = path.read_text(errors="replace")
        report.sections.append((f"log {path.parent.name}/{path.name}", "\n".join(text.splitlines()[-60:])))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call":
        item.call_report = report  # type: ignore[attr-defined]
    return report
