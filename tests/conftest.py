"""What all tests share: the switches of the command line and the clear word when something is missing."""

import os

import pytest


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
