"""Notify scripts: words, users, security."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from keepvip.config.diagnostic import ConfigTestClass
from keepvip.config.facts import HostFacts, Interface, User

if TYPE_CHECKING:
    from keepvip.config.load import LoadResult
    from keepvip.config.model import NotifyScripts

    from .conftest import Compile


def a_file(mode: int, uid: int = 0, gid: int = 0) -> os.stat_result:
    return os.stat_result((mode, 1, 1, 1, uid, gid, 0, 0, 0, 0))


DIRECTORY = a_file(stat.S_IFDIR | 0o755)
FILES = {
    "/": DIRECTORY,
    "/bin": DIRECTORY,
    "/tmp": a_file(stat.S_IFDIR | 0o1777),
    "/open": a_file(stat.S_IFDIR | 0o777),
    "/bin/ok": a_file(stat.S_IFREG | 0o755),
    "/bin/not-x": a_file(stat.S_IFREG | 0o644),
    "/bin/mine": a_file(stat.S_IFREG | 0o700, uid=1000),
    "/bin/anybody": a_file(stat.S_IFREG | 0o777),
    "/tmp/ok": a_file(stat.S_IFREG | 0o755),
    "/shut": a_file(stat.S_IFDIR | 0o700),
    "/shut/ok": a_file(stat.S_IFREG | 0o755),
    "/open/ok": a_file(stat.S_IFREG | 0o755),
}


def host() -> HostFacts:
    return HostFacts(
        interfaces={"eth0": Interface("eth0")},
        addresses={},
        users={"root": User("root", 0, 0), "ops": User("ops", 1000, 1000)},
        groups={"staff": 50},
        files=FILES,
        hostname="h",
    )


def file(lines: str, defs: str = "enable_script_security\nscript_user root") -> str:
    return (
        f"global_defs {{\n{defs}\n}}\nvrrp_instance a {{\ninterface eth0\nvirtual_router_id 5\n{lines}\n"
        "virtual_ipaddress {\n192.0.2.1\n}\n}\n"
    )


def notify(result: LoadResult) -> NotifyScripts:
    assert result.config is not None
    return result.config.instances[0].notify


def codes(result: LoadResult) -> list[str]:
    return [found.code for found in result.diagnostics]


@pytest.mark.parametrize(
    ("words", "argv", "user", "group"),
    [
        ("/bin/ok", ("/bin/ok",), "root", None),
        ('"/bin/ok a b"', ("/bin/ok", "a", "b"), "root", None),
        ("'/bin/ok a'", ("/bin/ok", "a"), "root", None),
        ("\"/bin/ok 'a b' c\"", ("/bin/ok", "a b", "c"), "root", None),
        (r'"/bin/ok a\tb \x41\102"', ("/bin/ok", "a\tb", "AB"), "root", None),
        ('"/bin/ok a" ops', ("/bin/ok", "a"), "ops", None),
        ('"/bin/ok a" ops staff', ("/bin/ok", "a"), "ops", "staff"),
        ('"/bin/ok a" ops :staff', ("/bin/ok", "a"), "ops", "staff"),
    ],
)
def test_words(compiled: Compile, words: str, argv: tuple[str, ...], user: str, group: str | None) -> None:
    result = compiled(file(f"notify_master {words}"), host())
    script = notify(result).master
    assert script is not None
    assert (script.argv, script.user, script.group) == (argv, user, group)
    assert script.supplementary_groups is (":" in words)
    assert script.span is not None
    assert script.span.number == 8


def test_every_kind_has_its_place(compiled: Compile) -> None:
    kinds = {"master": "notify_master", "backup": "notify_backup", "fault": "notify_fault", "stop": "notify_stop",
             "any": "notify", "deleted": "notify_deleted", "rx_lower": "notify_master_rx_lower_pri"}  # fmt: skip
    lines = "\n".join(f'{keyword} "/bin/ok {field}"' for field, keyword in kinds.items())
    found = notify(compiled(file(lines), host()))
    assert {field: getattr(found, field).argv[1] for field in kinds} == {field: field for field in kinds}
    assert found.wanted


def test_deleted_needs_no_script(compiled: Compile) -> None:
    assert notify(compiled(file("notify_deleted"))).deleted is True
    assert notify(compiled(file(""))).deleted is False
    assert not notify(compiled(file(""))).wanted


def test_the_first_one_wins(compiled: Compile) -> None:
    result = compiled(file("notify_master /bin/ok\nnotify_master /bin/other"), host())
    script = notify(result).master
    assert script is not None
    assert script.argv == ("/bin/ok",)
    assert codes(result) == ["duplicate"]


def test_an_argument_outside_of_the_quotes_is_explained(compiled: Compile) -> None:
    result = compiled(file("notify_master /bin/ok --flag"), host())
    assert notify(result).master is None
    (found,) = result.diagnostics
    assert (found.code, found.message) == ("unknown-user", "there is no user `--flag`")
    assert "inside the quotes" in found.hint


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ('""', "empty-script"),
        ('"/bin/ok" nobody-here', "unknown-user"),
        ('"/bin/ok" ops nobody-here', "unknown-group"),
    ],
)
def test_scripts_that_cannot_be(compiled: Compile, words: str, code: str) -> None:
    result = compiled(file(f"notify_master {words}"), host())
    assert notify(result).master is None
    assert codes(result) == [code]


def test_words_behind_the_group_are_pointed_at(compiled: Compile) -> None:
    result = compiled(file('notify_master "/bin/ok" ops staff more'), host())
    assert notify(result).master is not None
    assert codes(result) == ["extra-words"]


@pytest.mark.parametrize(
    ("defs", "runs", "said"),
    [
        ("script_user ops", True, ["script-security-off"]),
        ("script_user nobody-here", False, ["unknown-user", "script-disabled"]),
        ("script_user ops nobody-here", False, ["unknown-group", "script-disabled"]),
        ("enable_script_security", False, ["script-disabled"]),
        ("", True, ["script-security-off"]),
    ],
)
def test_the_default_user(compiled: Compile, defs: str, said: list[str], *, runs: bool) -> None:
    result = compiled(file("notify_master /bin/ok", defs), host())
    assert (notify(result).master is not None) is runs
    assert codes(result) == said


def test_without_script_security_the_exit_class_is_security(compiled: Compile) -> None:
    classes = {found.kind for found in compiled(file("notify_master /bin/ok", ""), host()).diagnostics}
    assert ConfigTestClass.SECURITY in classes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("/bin/ok", []),
        ("/bin/missing", ["script-missing"]),
        ("/bin/not-x", ["script-not-executable"]),
        ("/bin", ["script-not-executable"]),
        ("/bin/anybody", ["script-insecure"]),
        ("/open/ok", ["script-insecure"]),
        ("/tmp/ok", []),
        ('"/bin/anybody" ops', []),
        ('"/bin/mine" ops', []),
        ('"/shut/ok" ops', ["script-not-reachable"]),
        ("/shut/ok", []),
        ('"/bin/mine" root', ["script-insecure"]),
        ('"/bin/missing with args"', ["script-missing"]),
    ],
)
def test_what_cannot_be_run(compiled: Compile, words: str, said: list[str]) -> None:
    result = compiled(file(f"notify_master {words}"), host())
    assert codes(result) == said
    assert result.clean, "a script may come later: it forbids no reload"


def test_a_name_without_path_is_searched(compiled: Compile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/open:/bin")
    result = compiled(file("notify_master ok"), host())
    assert codes(result) == ["script-without-path", "script-insecure"]
    assert compiled(file("notify_master missing"), host()).clean


def test_without_facts_nothing_is_checked(compiled: Compile) -> None:
    result = compiled(file('notify_master "/bin/missing" nobody-here'))
    assert notify(result).master is not None
    assert not result.diagnostics
