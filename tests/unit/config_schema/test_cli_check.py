"""`keepvip check`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from keepvip.cli.check import check, check_files

from .test_main_job import BACKUP, MASTER

if TYPE_CHECKING:
    from pathlib import Path

WARNING = "vrrp_instance a {\ninterface eth0\nvirtual_router_id 5\nnotify_master /bin/true\nvirtual_ipaddress {\n192.0.2.1\n}\n}\n"  # noqa: E501
BROKEN = WARNING.replace("virtual_router_id 5", "virtual_router_id 500")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    found = {}
    for name, text in {"master": MASTER, "backup": BACKUP, "warning": WARNING, "broken": BROKEN}.items():
        path = tmp_path / f"{name}.conf"
        path.write_text(text)
        found[name] = str(path)
    found["missing"] = str(tmp_path / "missing.conf")
    return found


@pytest.mark.parametrize(
    ("names", "strict", "status"),
    [
        (["master"], False, 0),
        (["master"], True, 0),
        (["warning"], False, 0),
        (["warning"], True, 1),
        (["broken"], False, 2),
        (["missing"], False, 2),
        (["master", "backup"], True, 0),
        (["master", "master"], True, 1),
        (["master", "broken"], False, 2),
        (["master", "warning"], False, 0),
    ],
)
def test_exit_status(files: dict[str, str], names: list[str], status: int, *, strict: bool) -> None:
    findings = check_files([files[name] for name in names], config_ids=["x"], host=False)
    assert findings.exit_status(strict=strict) == status


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(check, args, standalone_mode=False)
    assert result.exception is None
    return result.return_value, result.output


def test_text_of_one_file(files: dict[str, str]) -> None:
    status, text = run("--no-host", files["broken"])
    assert status == 2
    assert text.splitlines()[0] == f"{files['broken']}: no instance, cannot be used"
    assert "error[invalid-number]" in text
    assert "\x1b" not in text, "no colours unless it is a terminal"
    assert text.splitlines()[-1].startswith("2 errors")


def test_text_of_two_files(files: dict[str, str]) -> None:
    status, text = run(files["master"], files["backup"])
    assert status == 0
    assert text.splitlines()[0] == f"{files['master']}: 2 instances, 1 sync group"
    assert f"between {files['master']} and {files['backup']}:\nno problems found\n" in text


def test_json(files: dict[str, str]) -> None:
    status, text = run("--format", "json", files["master"], files["master"])
    found = json.loads(text)
    assert status == 0
    assert [node["instances"] for node in found["nodes"]] == [["RH_EXT", "RH_INT"]] * 2
    assert {one["code"] for one in found["between"]} == {"priorities-equal", "both-master"}
    assert (found["errors"], found["warnings"]) == (0, 4)


def test_one_shared_file_with_two_configuration_ids(tmp_path: Path) -> None:
    shared = tmp_path / "shared.conf"
    shared.write_text(WARNING.replace("notify_master /bin/true", "@one priority 100\n@two priority 90"))
    status, text = run("-i", "one", "-i", "two", str(shared), str(shared), "--strict")
    assert status == 0
    assert f"between {shared}@one and {shared}@two" in text


def test_the_number_of_ids_must_fit(files: dict[str, str]) -> None:
    result = CliRunner().invoke(check, ["-i", "a", "-i", "b", files["master"]])
    assert result.exit_code == 2
    assert "configuration id" in result.output


def test_interfaces_count_for_one_file_only(files: dict[str, str]) -> None:
    text = run(files["warning"].replace("warning", "warning"), "--host", "--format", "json")[1]
    assert json.loads(text)["nodes"][0]["config_id"]
