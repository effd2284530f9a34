"""Tracking: lines, weights, order, and what sync groups make of them (vrrp-behaviour.md 9, config-keywords.md 7.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keepvip.config.model import Config, Track, TrackScript

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


def script(name: str = "chk", lines: str = "", command: str = '"/bin/true x"') -> str:
    return f"vrrp_script {name} {{\nscript {command}\n{lines}\n}}\n"


def found_script(result: LoadResult) -> TrackScript:
    assert result.config is not None
    (found,) = result.config.track_scripts
    return found


def test_settings_of_a_script(compiled: Compile) -> None:
    lines = "interval 0.25\ntimeout 3\nrise 2\nfall 4\ninit_fail\nuser root wheel\nweight -20 reverse"
    result = compiled(script(lines=lines) + instance("track_script {\nchk\n}"))
    found = found_script(result)
    assert (found.name, found.script.argv, found.script.user, found.script.group, found.opens) == (
        "chk", ("/bin/true", "x"), "root", "wheel", None,
    )  # fmt: skip
    assert (found.interval_us, found.timeout_us, found.rise, found.fall, found.init_fail) == (
        250_000, 3_000_000, 2, 4, True,
    )  # fmt: skip
    assert tracks(result) == (Track(kind="script", name="chk", weight=-20, reverse=True),)


def test_defaults_of_a_script(compiled: Compile) -> None:
    result = compiled(script(lines="interval 7") + instance("track_script {\nchk\n}"))
    found = found_script(result)
    assert (found.timeout_us, found.rise, found.fall, found.init_fail) == (7_000_000, 1, 1, False)
    assert tracks(result) == (Track(kind="script", name="chk"),)


def test_a_path_to_open_is_no_command(compiled: Compile) -> None:
    result = compiled(script(command='"</run/up"') + instance("track_script {\nchk\n}"))
    assert found_script(result).opens == "/run/up"


@pytest.mark.parametrize(
    ("line", "weight", "reverse"),
    [
        ("chk", 5, True),
        ("chk weight 7", 7, True),
        ("chk weight 7 noreverse", 7, False),
        ("chk weight 0 reverse", 0, True),
        ("chk weight -254", -253, True),
    ],
)
def test_a_line_may_have_another_weight(compiled: Compile, line: str, weight: int, reverse: bool) -> None:
    result = compiled(script(lines="weight 5 reverse") + instance(f"track_script {{\n{line}\n}}"))
    assert tracks(result) == (Track(kind="script", name="chk", weight=weight, reverse=reverse),)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (instance("track_script {\nchk\n}") + script(), ["defined-too-late", "not-tracked"]),
        (instance("track_script {\nchk\n}"), ["unknown-tracker"]),
        (
            "vrrp_script chk {\ninterval 1\n}\n" + instance("track_script {\nchk\n}"),
            ["missing-keyword", "unknown-tracker"],
        ),
        (script(command='""') + instance("track_script {\nchk\n}"), ["empty-script", "unknown-tracker"]),
    ],
)  # fmt: skip
def test_what_cannot_be_tracked_is_left_out(compiled: Compile, text: str, found: list[str]) -> None:
    result = compiled(text)
    assert tracks(result) == ()
    assert [code for code in codes(result) if code != "script-security-off"] == found


def test_the_first_of_two_scripts_of_a_name_is_meant(compiled: Compile) -> None:
    result = compiled(script() + script(lines="interval 9") + instance("track_script {\nchk\n}"))
    assert found_script(result).interval_us == 1_000_000
    assert "duplicate-name" in codes(result)


def test_scripts_that_nobody_tracks_are_not_run(compiled: Compile) -> None:
    result = compiled(script() + instance(""))
    assert result.config is not None
    assert (result.config.track_scripts, codes(result)) == ((), ["not-tracked"])


def test_weighted_scripts_of_members_are_dropped_and_those_of_the_group_stay(compiled: Compile) -> None:
    scripts = script() + script("other")
    group = GROUP % "track_script {\nother weight 3\n}\n"
    member = instance("track_script {\nchk weight 2\nother\n}")
    result = compiled(scripts + member + instance("track_script {\nchk\n}", "b", 6) + group)
    assert tracks(result) == (Track(kind="script", name="other"),)
    assert tracks(result, "b") == (Track(kind="script", name="chk"), Track(kind="script", name="other", weight=3))
