"""The daemon under test: keepvip, or what ``--daemons`` says."""

import pytest

from keepvip.lab import Daemon, Keepalived, Keepvip, Keepvipd

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
