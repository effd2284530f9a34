"""Sync groups: members, names, notification."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from keepvip.config.load import LoadResult

    from .conftest import Compile


def instances(*names: str) -> str:
    return "".join(
        f"vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id {number}\n"
        f"virtual_ipaddress {{\n192.0.2.{number}\n}}\n}}\n"
        for number, name in enumerate(names, 1)
    )


def group(name: str, *members: str, lines: str = "") -> str:
    return f"vrrp_sync_group {name} {{\ngroup {{\n{' '.join(members)}\n}}\n{lines}\n}}\n"


def members(result: LoadResult) -> dict[str, tuple[str, ...]]:
    assert result.config is not None
    return {found.name: found.members for found in result.config.sync_groups}


def codes(result: LoadResult) -> list[str]:
    return [found.code for found in result.diagnostics]


@pytest.mark.parametrize(
    ("text", "expected", "said"),
    [
        (group("g", "a", "b") + instances("a", "b"), {"g": ("a", "b")}, []),
        (instances("a", "b") + group("g", "b", "a"), {"g": ("b", "a")}, []),
        (group("g", "a", "zz") + instances("a"), {"g": ("a",)}, ["unknown-member", "group-of-one"]),
        (group("g", "zz") + instances("a"), {}, ["unknown-member", "empty-group"]),
        (group("g") + instances("a"), {}, ["empty-block", "empty-group"]),
        ("vrrp_sync_group g {\n}\n" + instances("a"), {}, ["empty-group"]),
        (group("g", "a", "b", "a") + instances("a", "b"), {"g": ("a", "b")}, ["two-groups"]),
        (
            group("g", "a", "b") + group("h", "b", "c", "d") + instances("a", "b", "c", "d"),
            {"g": ("a", "b"), "h": ("c", "d")},
            ["two-groups"],
        ),
        (
            group("g", "a", "b") + group("g", "c", "d") + instances("a", "b", "c", "d"),
            {"g": ("a", "b")},
            ["duplicate-name"],
        ),
    ],
)
def test_members(compiled: Compile, text: str, expected: dict[str, tuple[str, ...]], said: list[str]) -> None:
    result = compiled(text)
    assert members(result) == expected
    assert sorted(codes(result)) == sorted(said)


def test_only_the_first_group_block_counts(compiled: Compile) -> None:
    text = "vrrp_sync_group g {\ngroup {\na\nb\n}\ngroup {\nc\n}\n}\n"
    result = compiled(text + instances("a", "b", "c"))
    assert members(result) == {"g": ("a", "b")}
    assert codes(result) == ["duplicate"]


def test_a_misspelt_member_gets_a_suggestion(compiled: Compile) -> None:
    result = compiled(group("g", "VI_ONE", "VI_TWWO") + instances("VI_ONE", "VI_TWO"))
    (found,) = [found for found in result.diagnostics if found.code == "unknown-member"]
    assert found.hint == "did you mean `VI_TWO`?"


def test_a_member_that_cannot_be_run_is_named(compiled: Compile) -> None:
    text = instances("a", "b", "c").replace("virtual_router_id 3\n", "virtual_router_id 3\nuse_ipvlan\n")
    result = compiled(group("g", "a", "b", "c") + text)
    assert members(result) == {"g": ("a", "b")}
    (found,) = [found for found in result.diagnostics if found.code == "unknown-member"]
    assert found.message == "`c` is not run, so sync group `g` goes on without it"


def test_settings(compiled: Compile) -> None:
    lines = 'notify_master "/bin/true m"\nnotify "/bin/true any"\nsmtp_alert\nglobal_tracking\nnotify_priority_changes'
    result = compiled(group("g", "a", "b", lines=lines) + instances("a", "b", "c"))
    assert result.config is not None
    (found,) = result.config.sync_groups
    assert found.notify.master is not None
    assert found.notify.master.argv == ("/bin/true", "m")
    assert found.notify.any is not None
    assert (found.smtp_alert, found.sync_group_tracking_weight) == (True, True)
    assert [instance.notify_priority_changes for instance in result.config.instances] == [True, True, False]
    assert sorted(codes(result)) == ["deprecated", "script-security-off"]


def test_the_own_setting_of_a_member_is_nearer(compiled: Compile) -> None:
    text = instances("a", "b").replace("virtual_router_id 2\n", "virtual_router_id 2\nnotify_priority_changes off\n")
    result = compiled(group("g", "a", "b", lines="notify_priority_changes") + text)
    assert result.config is not None
    assert [instance.notify_priority_changes for instance in result.config.instances] == [True, False]


@pytest.mark.parametrize(
    ("defs", "own", "expected"),
    [
        ("smtp_alert", "", True),
        ("smtp_alert\nsmtp_alert_vrrp off", "", False),
        ("smtp_alert off\nsmtp_alert_vrrp", "", True),
        ("smtp_alert", "smtp_alert off", False),
        ("", "smtp_alert", True),
        ("", "", False),
    ],
)
def test_the_nearest_smtp_alert_counts(compiled: Compile, defs: str, own: str, *, expected: bool) -> None:
    text = f"global_defs {{\n{defs}\n}}\n" + group("g", "a", "b", lines=own) + instances("a", "b")
    result = compiled(text)
    assert result.config is not None
    assert result.config.sync_groups[0].smtp_alert is expected
