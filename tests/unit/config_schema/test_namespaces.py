"""`net_namespace` in a vrrp_instance: identity, facts of that namespace, and what does not go together with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keepvip.config.facts import HostFacts, Interface, InterfaceAddress
from keepvip.config.plan import plan

if TYPE_CHECKING:
    from keepvip.config.load import LoadResult

    from .conftest import Compile


def host(**namespaces: HostFacts) -> HostFacts:
    return HostFacts(
        interfaces={"eth0": Interface("eth0")},
        addresses={},
        users={},
        groups={},
        files={},
        hostname="h",
        namespace="home",
        namespaces=namespaces,
    )


def inside(*interfaces: str, address: str = "10.0.0.2") -> HostFacts:
    return HostFacts(
        interfaces={name: Interface(name) for name in interfaces},
        addresses={name: (InterfaceAddress(address, 24, 4),) for name in interfaces},
    )


def instance(name: str, namespace: str | None, *lines: str, vip: str = "10.0.0.1") -> str:
    where = f"net_namespace {namespace}\n" if namespace else ""
    return (
        f"vrrp_instance {name} {{\n{where}interface eth0\nvirtual_router_id 51\n"
        + "".join(f"{line}\n" for line in lines)
        + f"virtual_ipaddress {{\n{vip}\n}}\n}}\n"
    )


def codes(result: LoadResult) -> list[str]:
    return [found.code for found in result.diagnostics]


def test_the_same_vrid_interface_and_address_in_two_namespaces_is_no_clash(compiled: Compile) -> None:
    text = instance("HERE", None) + instance("RED", "red") + instance("BLUE", "blue")
    result = compiled(text, host(red=inside("eth0"), blue=inside("eth0")))
    assert result.config is not None
    assert codes(result) == []
    assert [one.net_namespace for one in result.config.instances] == [None, "red", "blue"]
    assert result.config.namespaces == ("red", "blue")
    assert len({one.key for one in result.config.instances}) == 3
    again = compiled(text + instance("TWICE", "red"), host(red=inside("eth0"), blue=inside("eth0")))
    assert codes(again).count("duplicate-vrid") == 1


@pytest.mark.parametrize("text", [instance("A", "home"), "net_namespace red\n" + instance("A", "red")])
def test_that_of_the_daemon_is_no_other(compiled: Compile, text: str) -> None:
    result = compiled(text, host())
    assert result.built.config.instances[0].net_namespace is None


def test_what_is_missing_there_is_told_and_awaited(compiled: Compile) -> None:
    result = compiled(instance("RED", "red") + instance("BLUE", "blue"), host(red=inside("eth1")))
    assert result.config is not None, "one tenant does not stop the others"
    assert [one.name for one in result.config.instances] == ["RED", "BLUE"]
    assert codes(result) == ["unknown-interface", "unknown-namespace"]
    assert [found.severity.name for found in result.diagnostics] == ["WARNING", "WARNING"]


def test_rules_look_at_the_addresses_there(compiled: Compile) -> None:
    facts = host(red=inside("eth0", address="192.0.2.2"))
    found = list(compiled(instance("RED", "red"), facts).diagnostics)
    assert [one.code for one in found] == ["address-off-subnet"]
    assert "192.0.2.2/24" in found[0].message


@pytest.mark.parametrize(
    "line",
    [
        "use_vmac",
        "strict_mode true",
        "no_accept",
        "promote_secondaries",
        "virtual_routes {\n}",
        "virtual_ipaddress_excluded {\n192.0.2.9 use_vmac\n}",
    ],
)
def test_what_is_done_in_the_daemons_namespace_only_is_refused(compiled: Compile, line: str) -> None:
    result = compiled(
        instance("RED", "red", *line.splitlines()) + instance("BLUE", "blue"),
        host(red=inside("eth0"), blue=inside("eth0")),
    )
    assert "namespace-clash" in codes(result)
    assert result.config is not None
    assert [one.name for one in result.config.instances] == ["BLUE"]


def test_a_move_to_another_namespace_is_another_router(compiled: Compile) -> None:
    facts = host(red=inside("eth0"), blue=inside("eth0"))
    old = compiled(instance("A", "red"), facts).config
    new = compiled(instance("A", "blue"), facts).config
    assert old is not None
    assert new is not None
    assert plan(old, new).replaced == ("A",)
