"""Fixtures of the integration tests: the daemon under test, the shared network, a lab of one's own.

A failed test shows what the wire and the daemons said.
"""

import contextlib
from collections.abc import Generator, Iterator

import pytest

from keepvip.lab import Daemon, Keepalived, Keepvip, Keepvipd, Lab, Pair
from keepvip.lab.forge import Forger

KINDS: dict[str, type[Daemon]] = {"keepvip": Keepvip, "keepvipd": Keepvipd, "keepalived": Keepalived}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames:
        names = metafunc.config.getoption("--daemons").split(",")
        metafunc.parametrize("kind", names, indirect=True)


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> type[Daemon]:
    """The daemon under test."""
    found = KINDS[request.param]
    if complaint := found.missing():
        pytest.skip(complaint)
    ours = request.node.get_closest_marker("ours")
    if ours and found is Keepalived:
        pytest.skip(f"a promise of keepvip, not of keepalived: {ours.args[0]}")
    return found


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
