"""Tracking: lines, weights, order, and what sync groups make of them (vrrp-behaviour.md 9, config-keywords.md 7.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keepvip.config.model import Config, Track

if TYPE_CHECKING:
    from keepvip.config.load import LoadResult

    from .conftest import Compile


def instance(lines: str, name: str = "a", vrid: int = 5) -> str:
    return (
        f"vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id {vrid}\n{lines}\n"
        f"virtual_ipaddress {{\n192.0.2.{vrid}\n}}\n}}\n"
    )


def interface(name: str, weight: int = 0, *, reverse: bool = False) -> Track:
    return Track(kind="interface", name=name, weight=weight, reverse=reverse)


def tracks(result: LoadResult, name: str = "a") -> tuple[Track, ...]:
    config = result.config
    assert isinstance(config, Config)
    return next(instance.tracks for instance in config.instances if instance.name == name)


def codes(result: LoadResult) -> list[str]:
    return [found.code for found in result.diagnostics]


@pytest.mark.parametrize(
    ("line", "wanted", "found"),
    [
        ("eth1", interface("eth1"), []),
        ("eth1 weight 10", interface("eth1", 10), []),
        ("eth1 weight -253 reverse", interface("eth1", -253, reverse=True), []),
        ("eth1 weight 254", interface("eth1", 253), ["adjusted-value"]),
        ("eth1 weight -254", interface("eth1", -253), ["adjusted-value"]),
        ("eth1 weight 255", None, ["invalid-number"]),
        ("eth1 wait 10", interface("eth1"), ["unknown-option"]),
        ("eth0 weight 10", None, ["own-interface"]),
    ],
)
def test_lines_of_track_interface(compiled: Compile, line: str, wanted: Track | None, found: list[str]) -> None:
    result = compiled(instance(f"track_interface {{\n{line}\n}}"))
    assert (tracks(result), codes(result)) == ((wanted,) if wanted else (), found)


def test_the_first_of_two_lines_counts(compiled: Compile) -> None:
    result = compiled(instance("track_interface {\neth1 weight 5\neth1\n}\ntrack_interface {\neth2\neth1\n}"))
    assert tracks(result) == (interface("eth1", 5), interface("eth2"))
    assert codes(result) == ["duplicate", "duplicate"]


def test_the_owner_has_no_weights(compiled: Compile) -> None:
    result = compiled(instance("priority 255\ntrack_interface {\neth1 weight 5\neth2\n}"))
    assert tracks(result) == (interface("eth2"),)
    assert codes(result) == ["weight-of-owner"]


GROUP = "vrrp_sync_group g {\ngroup {\na\nb\n}\n%s}\n"
MEMBER = "track_interface {\neth1 weight 5\neth2\neth3 weight 7\n}"


def test_members_of_a_group_have_no_weights_of_their_own(compiled: Compile) -> None:
    group = GROUP % "track_interface {\neth2 weight 9\neth3 weight 8\neth4 weight 1 reverse\neth0\n}\n"
    result = compiled(instance(MEMBER) + instance("", "b", 6) + group)
    of_group = (interface("eth2", 9), interface("eth3", 8), interface("eth4", 1, reverse=True))
    # The own weights are gone, and an own weight of 0 wins over that of the group.
    assert tracks(result) == (interface("eth1"), interface("eth2"), interface("eth3"), of_group[2])
    assert tracks(result, "b") == of_group
    assert codes(result) == ["weight-in-group", "weight-in-group"]


@pytest.mark.parametrize("permission", ["sync_group_tracking_weight", "global_tracking"])
def test_members_keep_weights_where_the_group_permits_it(compiled: Compile, permission: str) -> None:
    group = GROUP % f"{permission}\ntrack_interface {{\neth2 weight 9\neth3 weight 8\n}}\n"
    result = compiled(instance(MEMBER) + instance("", "b", 6) + group)
    # Both track eth3: the group's weight counts.
    assert tracks(result) == (interface("eth1", 5), interface("eth2"), interface("eth3", 8))


def test_a_group_may_track_the_interface_of_a_member_that_does_not_follow_it(compiled: Compile) -> None:
    group = GROUP % "track_interface {\neth0 weight 3\n}\n"
    result = compiled(instance("dont_track_primary") + instance("", "b", 6) + group)
    assert (tracks(result), tracks(result, "b")) == ((interface("eth0", 3),), ())
