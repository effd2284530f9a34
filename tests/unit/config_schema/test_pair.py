"""The files of two nodes against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keepvip.config.diagnostic import Diagnostic, Severity
from keepvip.config.load import load
from keepvip.config.pair import Node, compare

from .test_main_job import BACKUP, MASTER

if TYPE_CHECKING:
    from keepvip.config.diagnostic import Diagnostics

BASE = """\
vrrp_instance a {
state BACKUP
interface eth0
virtual_router_id 5
priority 100
virtual_ipaddress {
192.0.2.1
192.0.2.2
}
}
"""
PEER = BASE.replace("priority 100", "priority 90")
ERROR, WARNING = Severity.ERROR, Severity.WARNING


def between(*texts: str) -> Diagnostics:
    names = [f"n{number}.conf" for number in range(1, len(texts) + 1)]
    return compare(
        [Node(name, load(text.encode(), config_id="x", name=name)) for name, text in zip(names, texts, strict=True)]
    )


def only(*texts: str) -> Diagnostic:
    (found,) = between(*texts)
    return found


def test_the_main_job_agrees() -> None:
    assert not between(MASTER, BACKUP)


def test_a_good_pair_says_nothing() -> None:
    assert not between(BASE, PEER)


def with_(line: str, text: str = PEER) -> str:
    return text.replace("priority", f"{line}\npriority")


@pytest.mark.parametrize(
    ("left", "right", "code", "severity"),
    [
        (BASE, with_("version 3"), "version-differs", ERROR),
        (BASE, with_("advert_int 2"), "interval-differs", ERROR),
        (with_("version 3", BASE), with_("version 3\nadvert_int 2"), "interval-differs", WARNING),
        (BASE, with_("authentication {\nauth_type PASS\nauth_pass x\n}"), "authentication-differs", ERROR),
        (BASE, PEER.replace("id 5", "id 6"), "vrid-differs", ERROR),
        (BASE, with_("mcast_dst_ip 224.0.0.99"), "group-differs", ERROR),
        (with_("version 3", BASE), with_("version 3\nv3_checksum_as_v2"), "checksum-differs", ERROR),
        (BASE, with_("down_timer_adverts 5"), "down-timer-differs", WARNING),
        (BASE, with_("nopreempt"), "nopreempt-differs", WARNING),
        (BASE, PEER.replace("192.0.2.1\n192.0.2.2", "192.0.2.2\n192.0.2.1"), "address-order-differs", WARNING),
        (BASE, PEER.replace("192.0.2.2", "192.0.2.3"), "addresses-differ", WARNING),
        (BASE, PEER.replace("192.0.2.2\n", ""), "addresses-differ", WARNING),
        (BASE, PEER.replace("192.0.2.2", "192.0.2.2/24"), "prefix-differs", WARNING),
        (BASE, with_("virtual_ipaddress_excluded {\n192.0.2.9\n}"), "addresses-differ", WARNING),
        (BASE, BASE, "priorities-equal", WARNING),
        (BASE.replace("100", "255"), BASE.replace("100", "255"), "two-owners", ERROR),
        (BASE.replace("BACKUP", "MASTER"), PEER.replace("BACKUP", "MASTER"), "both-master", WARNING),
        (BASE, PEER.replace("instance a", "instance b").replace("id 5", "id 6"), "only-on-one-node", WARNING),
    ],
)
def test_what_is_found(left: str, right: str, code: str, severity: Severity) -> None:
    found = list(between(left, right))
    assert {one.code for one in found} == {code}
    assert {one.severity for one in found} == {severity}
    if code != "only-on-one-node":
        (one,) = found
        assert one.span is not None
        assert one.span.file == "n1.conf"
        assert [related.span.file for related in one.related] == ["n2.conf"]
        assert one.hint


def test_a_missing_mate_is_told_for_both_nodes() -> None:
    found = list(between(BASE, PEER.replace("instance a", "instance b").replace("id 5", "id 6")))
    assert sorted(one.span.file for one in found if one.span) == ["n1.conf", "n2.conf"]


def test_the_places_are_those_of_the_settings() -> None:
    one = only(BASE, with_("advert_int 2"))
    assert one.span is not None
    assert one.span.number == 1, "the default has no line of its own"
    assert one.related[0].span.number == 5
    assert one.related[0].message == "in n2.conf: 2 s"


def test_different_passwords_are_not_shown() -> None:
    def text(password: str, base: str) -> str:
        return with_(f"authentication {{\nauth_type PASS\nauth_pass {password}\n}}", base)

    one = only(text("one", BASE), text("two", PEER))
    assert one.code == "authentication-differs"
    assert "another password" in one.message
    assert "one" not in one.message.split()


def test_interfaces_may_have_different_names() -> None:
    assert not between(BASE, PEER.replace("eth0", "ens3"))


def test_one_vrid_on_several_interfaces_is_matched_by_interface_or_name() -> None:
    def file(first: str, second: str, priority: int) -> str:
        return "".join(
            PEER.replace("instance a", f"instance {name}")
            .replace("eth0", interface)
            .replace("90", str(priority))
            .replace("192.0.2", net)
            for name, interface, net in (("a", first, "192.0.2"), ("b", second, "198.51.100"))
        )

    assert not between(file("eth0", "eth1", 100), file("eth0", "eth1", 90))
    assert not between(file("eth0", "eth1", 100), file("ens0", "ens1", 90)), "by name"


def test_another_family_under_the_same_name() -> None:
    six = PEER.replace("192.0.2.1\n192.0.2.2", "fe80::1")
    assert {one.code for one in between(BASE, six)} == {"family-differs"}


def groups(*members: str, priorities: dict[str, int]) -> str:
    blocks = "".join(
        PEER.replace("instance a", f"instance {name}")
        .replace("id 5", f"id {number}")
        .replace("90", str(priority))
        .replace("192.0.2", f"10.0.{number}")
        for number, (name, priority) in enumerate(priorities.items(), 1)
    )
    return blocks + (f"vrrp_sync_group g {{\ngroup {{\n{' '.join(members)}\n}}\n}}\n" if members else "")


def test_a_sync_group_with_other_members() -> None:
    left = groups("a", "b", "c", priorities={"a": 100, "b": 100, "c": 100})
    right = groups("a", "b", priorities={"a": 90, "b": 90, "c": 90})
    assert {one.code for one in between(left, right)} == {"sync-groups-differ"}
    assert {one.code for one in between(right, left)} == {"sync-groups-differ"}
    none = groups(priorities={"a": 90, "b": 90, "c": 90})
    assert {one.code for one in between(left, none)} == {"sync-groups-differ"}
    assert {one.code for one in between(none, left)} == {"sync-groups-differ"}


def test_a_sync_group_that_cannot_settle() -> None:
    left = groups("a", "b", priorities={"a": 100, "b": 80})
    right = groups("a", "b", priorities={"a": 90, "b": 90})
    one = only(left, right)
    assert one.code == "group-disagrees"
    assert "`a`" in one.message
    assert "`b`" in one.message


def test_three_nodes_are_compared_two_by_two() -> None:
    found = list(between(BASE, PEER, BASE.replace("100", "90")))
    assert [(one.code, one.span.file if one.span else "") for one in found] == [("priorities-equal", "n2.conf")]


def tracking(weight: int, *, priority: int = 100, extra: str = "") -> str:
    return BASE.replace("priority 100", f"priority {priority}\n{extra}\ntrack_interface {{\neth9 weight {weight}\n}}")


@pytest.mark.parametrize(
    ("ours", "theirs", "codes"),
    [
        (tracking(-5), PEER, ["weights-too-small"]),
        (tracking(5), PEER, ["weights-too-small"]),
        (tracking(-10), PEER, []),  # 90 against 90: the addresses decide
        (tracking(-30), PEER, []),
        (tracking(30, priority=80), PEER, []),
        (tracking(-5), tracking(-5, priority=90), ["weights-too-small"]),
        (tracking(-30), PEER.replace("priority 90", "priority 90\nnopreempt"), ["weights-without-preempt"]),
        (tracking(-5, priority=50), PEER, []),  # the other one is master, and tracks nothing
    ],
)
def test_weights_that_cannot_move_the_role(ours: str, theirs: str, codes: list[str]) -> None:
    found = [diagnostic for diagnostic in between(ours, theirs) if diagnostic.code.startswith("weights-")]
    assert [diagnostic.code for diagnostic in found] == codes
    assert [d.code for d in between(theirs, ours) if d.code.startswith("weights-")] == codes
    assert all(diagnostic.span is not None and diagnostic.severity is WARNING for diagnostic in found)
