"""Facts about the host that the tests run on."""

from __future__ import annotations

import os
import pwd
import socket
from typing import TYPE_CHECKING

from keepvip.config.facts import HostFacts

if TYPE_CHECKING:
    from pathlib import Path


def test_interfaces_are_those_of_the_kernel() -> None:
    facts = HostFacts()
    assert facts.interface_names == {name for _, name in socket.if_nameindex()}
    loopback = facts.interface("lo")
    assert loopback is not None
    assert loopback.loopback
    assert loopback.mtu >= 1280
    assert facts.interface("no-such-one") is None


def test_addresses_come_from_the_kernel() -> None:
    found = HostFacts().addresses
    assert set(found) <= {name for _, name in socket.if_nameindex()}
    if "lo" in found:
        assert any(one.address == "127.0.0.1" and one.prefix_len == 8 and one.family == 4 for one in found["lo"])


def test_users_and_groups() -> None:
    facts = HostFacts()
    root = facts.user("root")
    assert root is not None
    assert (root.uid, facts.user("0")) == (0, root)
    assert facts.user("no-such-user") is None
    assert facts.user("99999999999999999999") is None
    assert facts.group("root") == 0
    assert facts.group("no-such-group") is None
    assert "root" in facts.user_names
    assert facts.own_user == pwd.getpwuid(os.geteuid()).pw_name


def test_files(tmp_path: Path) -> None:
    facts = HostFacts()
    there = tmp_path / "there"
    there.write_text("x")
    found = facts.stat(str(there))
    assert isinstance(found, os.stat_result)
    assert isinstance(facts.stat(str(tmp_path / "missing")), FileNotFoundError)
    assert isinstance(facts.stat("a\0b"), OSError)


def test_a_host_that_is_not_this_one() -> None:
    facts = HostFacts(interfaces={}, addresses={}, users={}, groups={}, files={}, hostname="other")
    assert facts.interface_names == frozenset()
    assert facts.interface("lo") is None
    assert facts.user("root") is None
    assert facts.group("root") is None
    assert facts.hostname == "other"
    assert isinstance(facts.stat("/"), FileNotFoundError)
