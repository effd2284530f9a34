"""State files that a signal asks for, compared with those of keepalived (vrrp-behaviour.md 14)."""

import json
import re
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from keepvip.lab import Daemon, Keepalived, Pair
from keepvip.lab.configs import global_defs, instance, sync_group
from keepvip.lab.waiting import wait_until

pytestmark = pytest.mark.root

STATS, STATS_CLEAR, DATA, JSON = signal.SIGUSR2, signal.SIGRTMAX - 1, signal.SIGUSR1, signal.SIGRTMIN + 2
SINCE_2_2_7 = {
    f"auth_ext_{name}" for name in ("missing", "malformed", "unknown_key", "invalid_hmac", "stale", "replay")
}
CONF = (
    sync_group("VG1", "VI_1", "VI_2", extra=["smtp_alert"])
    + instance(
        version=3,
        interval_s=0.2,
        addresses=["10.0.0.1/24 brd + dev eth0 label eth0:1", "10.0.0.2 peer 10.0.0.7", "10.0.0.3 no_track"],
        extra=[
            "notify_master /usr/bin/true",
            "notify_deleted",
            "track_interface {\n eth1\n}",
            "virtual_ipaddress_excluded {\n fd00::77\n fd00::78/64\n}",
        ],
    )
    + instance("VI_2", vrid=52, interface="eth1", addresses=["192.168.1.1"], password="secret", priority=110)
)


@pytest.fixture
def folder(pair: Pair, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def ask(daemon: Daemon, number: int, path: Path) -> str:
    """The file, as soon as there is a new one."""
    path.unlink(missing_ok=True)
    daemon.process.signal(number)
    wait_until(lambda: path.exists() and path.read_text().strip(), timeout_s=8, what=str(path))
    return path.read_text()


def started(pair: Pair, kind: type[Daemon], conf: str = CONF) -> Daemon:
    daemon = kind(pair.a, conf)
    daemon.start()
    pair.wait_master(pair.a, 52, address="192.168.1.1")
    pair.wait_master(pair.a, 51)
    return daemon


def shape(value: Any) -> Any:
    """Keys and types of a JSON document; numbers are all alike."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items() if key not in SINCE_2_2_7}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def test_statistics(pair: Pair, kind: type[Daemon], folder: Path) -> None:
    daemon = started(pair, kind)
    path = folder / "keepalived.stats"
    text = ask(daemon, STATS, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert re.findall("^VRRP Instance: (.*)$", text, re.MULTILINE) == ["VI_1", "VI_2"]
    assert re.findall(r"^  Became master: (\d+)$", text, re.MULTILINE) == ["1", "1"]
    first = [int(number) for number in re.findall(r"^    Sent: (\d+)$", text, re.MULTILINE)]
    assert first[0] > 0
    cleared = ask(daemon, STATS_CLEAR, path)
    assert "Became master: 1" in cleared
    assert "Became master: 1" not in ask(daemon, STATS, path)


def test_json(pair: Pair, kind: type[Daemon], folder: Path) -> None:
    daemon = started(pair, kind)
    found = json.loads(ask(daemon, JSON, folder / "keepalived.json"))
    one, two = (router["data"] for router in found)
    assert (one["iname"], one["state"], one["vrid"], one["vipset"], one["adver_int"]) == ("VI_1", 2, 51, True, 0.2)
    assert (two["iname"], two["effective_priority"], two["auth_type"], two["adver_int"]) == ("VI_2", 110, 1, 1)
    assert one["vips"][1:] == [
        "10.0.0.2 dev eth0 scope global peer 10.0.0.7/32 set",
        "10.0.0.3 dev eth0 scope global no_track set",
    ]
    assert found[0]["stats"]["become_master"] == 1


@pytest.mark.ours("it is what the test compares with")
def test_same_as_keepalived(pair: Pair, kind: type[Daemon], folder: Path) -> None:
    """Statistics line by line, JSON key by key and, apart from times and counters, value by value."""
    if complaint := Keepalived.missing():
        pytest.skip(complaint)
    found = []
    for one in (Keepalived, kind):
        daemon = started(pair, one)
        files = (
            ask(daemon, STATS, folder / "keepalived.stats"),
            json.loads(ask(daemon, JSON, folder / "keepalived.json")),
        )
        found.append(files)
        assert daemon.stop() == 0
        pair.tap.forget()
    (stats, document), (our_stats, our_document) = found
    our_stats, extensions = re.subn(r"  Authentication Extension Errors:\n(?:    .*\n){6}", "", our_stats)
    assert extensions == 2, "newer than 2.2.7"
    assert re.sub(r"\d+$", "N", our_stats, flags=re.MULTILINE) == re.sub(r"\d+$", "N", stats, flags=re.MULTILINE)
    assert shape(our_document) == shape(document)
    assert [list(shape(router)["data"]) for router in our_document] == [list(router["data"]) for router in document]
    for ours, theirs in zip(our_document, document, strict=True):
        for key in ("last_transition", "auth_data"):
            ours["data"].pop(key, None)
            theirs["data"].pop(key, None)
        assert ours["data"] == theirs["data"]


def test_state_dump_of_an_instance(pair: Pair, kind: type[Daemon], folder: Path) -> None:
    daemon = started(pair, kind, "instance inst\n" + global_defs("router_id r1", "data_use_instance") + CONF)
    text = ask(daemon, DATA, folder / "keepalived.inst.data")
    for line in (
        "------< Global definitions >------",
        " Router ID = r1",
        "------< VRRP Topology >------",
        " VRRP Instance = VI_1",
        "   State = MASTER",
        "   Virtual Router ID = 51",
        "   Effective priority = 100",
        "   Master down timer = 721875 usecs",
        "   Wantstate = MASTER",
        "   Number of interface and track script faults = 0",
        "------< VRRP Sync groups >------",
        " VRRP Sync Group = VG1, MASTER",
        "   Num member fault 0, num member init 0",
        "------< Interfaces >------",
        " Name = eth0",
        "   IPv4 address = 10.0.0.11",
    ):
        assert line in text.splitlines()
    if kind is not Keepalived:
        assert "secret" not in text


@pytest.mark.ours("version 2 exists since 2.2.8")
def test_json_version_2(pair: Pair, kind: type[Daemon], folder: Path) -> None:
    daemon = started(pair, kind, global_defs("json_version 2", f"json_dump_file {folder}/other.json") + CONF)
    found = json.loads(ask(daemon, JSON, folder / "other.json"))
    assert list(found) == ["vrrp", "track_process"]
    assert [router["data"]["iname"] for router in found["vrrp"]] == ["VI_1", "VI_2"]
