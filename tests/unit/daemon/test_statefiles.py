"""State files: layouts, places, clearing, and that they appear whole or not at all (vrrp-behaviour.md 14)."""

from __future__ import annotations

import asyncio
import json
import stat
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from keepvip.config.model import (
    Authentication,
    Config,
    GlobalDefs,
    NotifyScripts,
    Script,
    SyncGroup,
    VirtualAddress,
    VrrpInstance,
)
from keepvip.config.model_route import Metric, Route, Rule, StaticAddress, TrackGroup
from keepvip.daemon.statefiles import StateFiles, dump_paths, write_whole
from keepvip.event import EngineSnapshot, State
from keepvip.observe.dump_data import data_text
from keepvip.observe.dump_json import STATS, json_text
from keepvip.observe.dump_stats import stats_text

from . import make

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LAYOUT = """\
VRRP Instance: VI_1
  Advertisements:
    Received: 1
    Sent: 2
  Became master: 3
  Released master: 4
  Packet Errors:
    Length: 5
    TTL: 6
    Invalid Type: 7
    Advertisement Interval: 8
    Address List: 9
  Authentication Errors:
    Invalid Type: 10
    Type Mismatch: 11
    Failure: 12
  Authentication Extension Errors:
    Missing: 15
    Malformed: 16
    Unknown Key: 17
    Invalid HMAC: 18
    Stale: 19
    Replay: 20
  Priority Zero:
    Received: 13
    Sent: 14
"""
COUNTERS = {
    "advert_rcvd": 1,
    "advert_sent": 2,
    "become_master": 3,
    "release_master": 4,
    "packet_len_err": 5,
    "ip_ttl_err": 6,
    "invalid_type_rcvd": 7,
    "advert_interval_err": 8,
    "addr_list_err": 9,
    "invalid_authtype": 10,
    "authtype_mismatch": 11,
    "auth_failure": 12,
    "pri_zero_rcvd": 13,
    "pri_zero_sent": 14,
    "auth_ext_missing": 15,
    "auth_ext_malformed": 16,
    "auth_ext_unknown_key": 17,
    "auth_ext_invalid_hmac": 18,
    "auth_ext_stale": 19,
    "auth_ext_replay": 20,
}


def config(**defs: Any) -> Config:
    true = Script(argv=("/bin/true", "a b"), text="/bin/true 'a b'")
    return Config(
        global_defs=GlobalDefs(router_id="r1", **defs),
        instances=(
            VrrpInstance(
                name="VI_1",
                interface="eth0",
                family=4,
                version=2,
                vrid=50,
                preempt_delay_us=1_500_000,
                authentication=Authentication(kind="PASS", password=b"hidden!!"),
                addresses=(
                    VirtualAddress(address="10.0.0.1", prefix_len=24, family=4, label="eth0:1", brd="10.0.0.255"),
                    VirtualAddress(address="10.0.0.2", prefix_len=32, family=4, dev="eth1", scope=253, no_track=True),
                ),
                excluded=(VirtualAddress(address="fd00::1", prefix_len=128, family=6, nodad=True, preferred_lft_s=0),),
                notify=NotifyScripts(master=true, deleted=True),
            ),
        ),
        sync_groups=(SyncGroup(name="VG", members=("VI_1",)),),
    )


def test_statistics_line_by_line() -> None:
    assert stats_text([make.status(stats=COUNTERS)]) == LAYOUT
    assert stats_text([make.status("a"), make.status("b")]).count("VRRP Instance: ") == 2
    assert stats_text([]) == ""


def test_json() -> None:
    (found,) = json.loads(json_text(config(), [make.status(stats=COUNTERS)], version=1))
    assert list(found) == ["data", "stats"]
    assert tuple(found["stats"]) == STATS
    assert found["stats"]["pri_zero_sent"] == 14
    data = found["data"]
    assert data["vips"] == [
        "10.0.0.1/24 brd 10.0.0.255 dev eth0 scope global label eth0:1 set",
        "10.0.0.2 dev eth1 scope link no_track set",
    ]
    assert data["evips"] == ["fd00::1 dev eth0 scope global deprecated set"]
    assert data["script_master"] == "'/bin/true' 'a b'"
    assert (data["adver_int"], data["preempt_delay"], data["state"], data["version"]) == (1, 1.5, 2, 2)
    assert (data["notify_deleted"], data["vipset"], data["accept"]) == (True, True, 1)
    assert data["auth_type"] == 1
    assert "hidden" not in data["auth_data"]
    both = json.loads(json_text(config(), [make.status(stats=COUNTERS)], version=2))
    assert both == {"vrrp": [found], "track_process": []}


def test_data() -> None:
    text = data_text(config(), make.snapshot(make.status(group="VG")))
    lines = text.splitlines()
    for line in (
        "------< Global definitions >------",
        " Router ID = r1",
        "------< VRRP Topology >------",
        " VRRP Instance = VI_1",
        "   State = MASTER",
        "   Sync group = VG",
        "   Virtual IP (2):",
        "     10.0.0.2 dev eth1 scope link no_track set",
        "   Master state transition script = '/bin/true' 'a b'",
        " VRRP Sync Group = VG, MASTER",
    ):
        assert line in lines
    assert "hidden" not in text


@pytest.mark.parametrize(
    ("defs", "environ", "data"),
    [
        ({}, {}, "/tmp/keepalived.data"),
        ({}, {"TMPDIR": "/var/tmp"}, "/var/tmp/keepalived.data"),
        ({}, {"TMPDIR": "relative"}, "/tmp/keepalived.data"),
        ({"data_use_instance": True}, {}, "/tmp/keepalived.ns_inst.data"),
        ({"state_dump_file": "other.txt", "data_use_instance": True}, {}, "/tmp/other.ns_inst.txt"),
        ({"state_dump_file": "/run/dumps/"}, {}, "/run/dumps/keepalived.data"),
        ({"state_dump_file": "/run/x"}, {}, "/run/x"),
    ],
)
def test_places(defs: dict[str, Any], environ: dict[str, str], data: str) -> None:
    made = Config(global_defs=GlobalDefs(**defs), net_namespace="ns", instance_name="inst")
    paths = dump_paths(made, None, environ)
    assert paths.data == data
    assert ("other_inst" in dump_paths(made, "other", environ).data) == bool(defs.get("data_use_instance"))
    folder = environ.get("TMPDIR", "/tmp") if environ.get("TMPDIR", "/").startswith("/") else "/tmp"
    assert (paths.stats, paths.json) == (f"{folder}/keepalived.stats", f"{folder}/keepalived.json")


def test_written_whole(tmp_path: Path) -> None:
    target = tmp_path / "file"
    precious = tmp_path / "precious"
    precious.write_text("mine")
    target.symlink_to(precious)
    write_whole(str(target), "text\n")
    assert (target.read_text(), precious.read_text()) == ("text\n", "mine")
    assert stat.S_IMODE(target.lstat().st_mode) == 0o600
    with pytest.raises(OSError, match="Is a directory"):
        write_whole(str(tmp_path), "text")
    with pytest.raises(OSError, match="No such file"):
        write_whole(str(tmp_path / "none" / "file"), "text")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "precious"}


async def until(ready: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not ready():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def test_clearing_and_counting_on(tmp_path: Path) -> None:
    """The dump that clears still has the old numbers; an instance that began anew is not counted below zero."""
    shots: list[EngineSnapshot] = [make.snapshot(make.status(stats={"advert_sent": 10, "become_master": 1}))]
    made = config(stats_dump_file=str(tmp_path / "s"), json_dump_file=str(tmp_path / "j"))
    files = StateFiles(lambda: made, lambda: shots[-1])

    async def sent(act: Callable[[], None]) -> list[str]:
        await until(lambda: not files._busy)
        act()
        await until(lambda: not files._busy)
        return [line.strip() for line in read(tmp_path / "s").splitlines() if "Sent" in line or "Became" in line]

    assert await sent(files.stats_clear) == ["Sent: 10", "Became master: 1", "Sent: 0"]
    shots.append(make.snapshot(make.status(stats={"advert_sent": 13, "become_master": 1})))
    assert await sent(files.stats) == ["Sent: 3", "Became master: 0", "Sent: 0"]
    await sent(files.json)
    assert json.loads(read(tmp_path / "j"))[0]["stats"]["advert_sent"] == 3
    shots.append(make.snapshot(make.status(state=State.BACKUP, stats={"advert_sent": 2, "become_master": 1})))
    assert await sent(files.stats) == ["Sent: 2", "Became master: 1", "Sent: 0"]


async def test_a_place_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = config(state_dump_file=str(tmp_path / "none" / "file"))
    files = StateFiles(lambda: made, lambda: make.snapshot(make.status()))
    files.data()
    files.data()
    await until(lambda: not files._busy)
    assert "Cannot write" in caplog.text
    assert "is still being written" in caplog.text


def test_routing_in_the_dumps() -> None:
    """The texts of keepalived 2.2.7 for the same lines."""
    route = Route(
        family=4, dst="10.1.0.0", dst_len=24, via="10.0.0.2", dev="eth0", metric=7, scope=253, tos=16, table=100,
        metrics=(Metric(name="rto_min", value=2000, lock=True), Metric(name="rtt", value=2000)),
    )  # fmt: skip
    rule = Rule(family=4, action="table", table=254, preference=512, src="10.3.0.0", src_len=24, fwmark=5, fwmask=255)
    static = StaticAddress(
        address=VirtualAddress(address="fd02::3", prefix_len=64, family=6, dev="eth1", home=True), dev="eth1",
        track_group="G",
    )  # fmt: skip
    (one, *others) = config().instances
    with_routing = msgspec.structs.replace(
        config(),
        instances=(msgspec.structs.replace(one, routes=(route,), rules=(rule,)), *others),
        static_addresses=(static,),
        static_routes=(msgspec.structs.replace(route, no_track=True, metrics=()),),
        static_rules=(rule,),
        track_groups=(TrackGroup(name="G", members=(one.name,)),),
    )
    as_route = (
        "prepend 10.1.0.0/24 tos 16 via inet 10.0.0.2 dev eth0 table 100 proto 18 scope 253 metric 7"
        " rto_min lock 2s rtt 250ms"
    )
    as_rule = "from 10.3.0.0/24 priority 512 tos 0x0 fwmark 0x5/0xff protocol 18 lookup 254"
    (found,) = json.loads(json_text(with_routing, [make.status()], version=1))
    assert (found["data"]["vroutes"], found["data"]["vrules"]) == ([as_route], [as_rule])
    lines = data_text(with_routing, make.snapshot(make.status())).splitlines()
    for title, line in (
        ("------< Static Addresses >------",
         "     fd02::3/64 dev eth1 scope global home -nodad preferred_lft forever track_group G set"),
        ("------< Static Routes >------",
         "     prepend 10.1.0.0/24 tos 16 via inet 10.0.0.2 dev eth0 table 100 scope 253 metric 7 no_track"),
        ("------< Static Rules >------", f"     {as_rule}"),
        ("------< Static Track groups >------", " Static Track Group = G"),
        ("   Virtual Routes :", f"     {as_route}"),
        ("   Virtual Rules :", f"     {as_rule}"),
    ):  # fmt: skip
        assert lines[lines.index(title) + 1] == line
