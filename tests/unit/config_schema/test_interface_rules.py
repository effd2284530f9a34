"""`garp_group`, `interface_up_down_delays`, `linkbeat_interfaces` (config-keywords.md 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keepvip.config.facts import HostFacts, Interface
from keepvip.config.model_interface import InterfaceRule, Pace

if TYPE_CHECKING:
    from .conftest import Compile

FACTS = HostFacts(interfaces={name: Interface(name) for name in ("eth0", "eth1")}, addresses={}, users={}, groups={})


def file(root: str, lines: str = "version 3\nadvert_int 1") -> str:
    return (
        f"{root}\nvrrp_instance v {{\ninterface eth0\nvirtual_router_id 5\npriority 100\n{lines}\n"
        "virtual_ipaddress {\n192.0.2.1\n}\n}\n"
    )


@pytest.mark.parametrize(
    ("root", "rules", "said"),
    [
        ("interface_up_down_delays {\neth1 3 2\n}", [("eth1", 3, 2)], []),
        ("interface_up_down_delays {\neth1 3\n}", [("eth1", 3, 0)], []),
        ("interface_up_down_delays {\neth0 3 1\n}", [("eth0", 1.99, 1)], ["delay-cut"]),
        ("interface_up_down_delays {\neth7 3\n}", [], ["unknown-interface"]),
        ("interface_up_down_delays {\neth1 300\n}", [], ["invalid-value"]),
        ("interface_up_down_delays {\neth1\n}", [], ["missing-parameter"]),
    ],
)
def test_delays(compiled: Compile, root: str, rules: list[tuple[str, float, float]], said: list[str]) -> None:
    result = compiled(file(root), FACTS)
    assert result.config is not None
    found = [(one.name, one.down_delay_us / 1e6, one.up_delay_us / 1e6) for one in result.config.interfaces]
    assert found == rules
    assert [one.code for one in result.diagnostics] == said


def test_groups(compiled: Compile) -> None:
    groups = (
        "garp_group {\ngarp_interval 0.1\ninterfaces {\neth0\neth1\n}\n}\n"
        "garp_group {\ninterface eth1\ngna_interval 1\n}\ngarp_group {\ninterface eth0\n}"
    )
    result = compiled(file(groups), FACTS)
    assert result.config is not None
    pace = Pace(group=0, garp_interval_us=100_000)
    assert result.config.interfaces == (InterfaceRule(name="eth0", pace=pace), InterfaceRule(name="eth1", pace=pace))
    assert [one.code for one in result.diagnostics] == ["duplicate-interface", "empty-group"]


@pytest.mark.parametrize(
    ("root", "lines", "polling"),
    [
        ("linkbeat_use_polling", "", {"eth0": ""}),
        ("", "linkbeat_use_polling", {"eth0": ""}),
        ("linkbeat_interfaces {\neth1 MII\neth0 ETHTOOL\n}", "", {"eth0": "ETHTOOL", "eth1": "MII"}),
        ("linkbeat_interfaces {\neth0 IOCTL\n}\nlinkbeat_use_polling", "", {"eth0": "IOCTL"}),
        ("", "", {}),
    ],
)
def test_polling(compiled: Compile, root: str, lines: str, polling: dict[str, str]) -> None:
    result = compiled(file(root, f"version 3\n{lines}"), FACTS)
    assert result.config is not None
    assert {one.name: one.polling for one in result.config.interfaces} == polling


def test_a_polled_interface_must_exist(compiled: Compile) -> None:
    result = compiled(file("linkbeat_interfaces {\neth9\n}"), FACTS)
    assert result.config is None
    assert [one.code for one in result.diagnostics] == ["unknown-interface"]
