"""The asking commands against a served API: words, JSON, exit statuses."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner, Result

from keepvip.admin.api import Api
from keepvip.admin.server import AdminServer
from keepvip.cli.commands import cli
from keepvip.cli.common import ago, clock
from keepvip.event import Notice, State, TrackedStatus

from . import make
from .test_admin import FakeSubject

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Asked:
    """The subject, and the way to run a command against it."""

    def __init__(self, subject: FakeSubject, path: Path) -> None:
        self.subject = subject
        self._path = path

    async def run(self, *words: str) -> Result:
        arguments = [*words, "--socket", str(self._path)]
        return await asyncio.to_thread(lambda: CliRunner().invoke(cli, arguments, standalone_mode=False))


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Asked]:
    subject = FakeSubject()
    server = AdminServer(str(tmp_path / "s"), Api(subject))
    await server.start()
    yield Asked(subject, server.path)
    subject.feed.close()
    await server.stop()


async def test_status_table(asked: Asked) -> None:
    asked.subject.journal.record(make.transition("VI_2"))
    done = await asked.run("status")
    assert done.return_value == 0
    lines = done.output.splitlines()
    (head,) = [line for line in lines if "INSTANCE" in line]
    (second,) = [line for line in lines if "VI_2" in line]
    assert head.split() == ["INSTANCE", "STATE", "FOR", "VRID", "INTERFACE", "PRIO", "MASTER", "ADDRESSES", "WHY"]
    assert "MASTER" in second
    assert "this node" in second
    assert "192.168.1.1/24 dev br0" in second
    assert "no advert from 10.0.0.2 (priority 100) for 3.61 s" in second
    assert "All is well." in done.output


async def test_status_of_an_unhealthy_daemon(asked: Asked) -> None:
    asked.subject.snapshot = make.snapshot(
        make.status("[red]VI", State.FAULT, faults=("interface_down",), group="VG1", priority=80, master=None)
    )
    done = await asked.run("status")
    assert done.return_value == 1
    assert "! [red]VI is in FAULT on eth0: interface down" in done.output
    assert "GROUP" in done.output
    assert "80 (of 100)" in done.output


async def test_status_of_unicast(asked: Asked) -> None:
    asked.subject.snapshot = make.snapshot(
        make.status("VI_3", interface=None), make.status("VI_1", State.FAULT, faults=("no_peer",), interface=None)
    )
    done = await asked.run("status")
    (line,) = [line for line in done.output.splitlines() if "VI_3" in line]
    assert line.split()[5] == "-"
    assert "! VI_1 is in FAULT: no peer" in done.output
    instances = {one["name"]: one for one in json.loads((await asked.run("status", "--json")).output)["instances"]}
    assert instances["VI_3"]["peers"] == ["10.0.0.12"]
    assert instances["VI_1"]["peers"] is None


async def test_status_of_tracked_things(asked: Asked) -> None:
    asked.subject.tracked = [
        TrackedStatus(
            kind="script", name="chk", value="good", detail="timed out after 0.300 s", ok=False,
            progress="1 of 3 failures",
            result_ns=1, running_us=None, counters={"timed_out": 1}, instances=("VI_1", "VI_2"),
        ),
        TrackedStatus(
            kind="script", name="[new]", value="unknown", detail="no result yet", ok=None, progress="", result_ns=None,
            running_us=100, counters={}, instances=("VI_1",),
        ),
    ]  # fmt: skip
    output = " ".join((await asked.run("status")).output.split())
    assert "script chk good 0 s VI_1, VI_2 timed out after 0.300 s, 1 of 3 failures" in output
    assert "script [new] unknown - VI_1 no result yet" in output
    (first, _) = json.loads((await asked.run("status", "--json")).output)["tracked"]
    assert (first["value"], first["ok"], first["counters"]) == ("good", False, {"timed_out": 1})


async def test_status_json(asked: Asked) -> None:
    done = await asked.run("status", "--json")
    assert json.loads(done.output)["instances"][0]["name"] == "VI_2"
    asked.subject.snapshot = make.snapshot()
    assert "No virtual routers" in (await asked.run("status")).output


async def test_why(asked: Asked) -> None:
    asked.subject.journal.record(make.transition("VI_1"))
    done = await asked.run("why", "VI_1")
    assert done.return_value == 0
    assert "BACKUP -> MASTER" in done.output
    assert "because  no advert from 10.0.0.2 (priority 100) for 3.61 s" in done.output
    assert "acted 0.12 ms late, done with the addresses after 0.40 ms" in done.output
    assert "master_down_us=3609375" in done.output
    group = await asked.run("why", "VG1")
    assert "VG1: sync group of VI_1, VI_2, MASTER since" in group.output
    assert "VI_1 BACKUP -> MASTER" in group.output
    assert json.loads((await asked.run("why", "VI_1", "--json")).output)["kind"] == "instance"
    assert "nothing has happened yet" in (await asked.run("why", "VI_2")).output


async def test_why_of_an_unknown_name(asked: Asked) -> None:
    done = await asked.run("why", "VI_3")
    assert done.return_value == 1
    assert "no instance or sync group is called 'VI_3'; did you mean VI_" in done.output
    assert "There are: VI_1, VI_2, VG1" in done.output


async def test_events(asked: Asked) -> None:
    asked.subject.feed.publish(Notice(seq=0, at_ns=1, mono_us=0, level="info", text="hello"))
    done = await asked.run("events")
    assert done.output.split()[0] == "1"
    assert done.output.endswith("  hello\n")
    assert json.loads((await asked.run("events", "--json")).output)["text"] == "hello"
    following = asyncio.create_task(asked.run("events", "--follow", "--since", "0"))
    async with asyncio.timeout(10):
        while not asked.subject.feed._subscriptions:  # noqa: ASYNC110  (a set has no event)
            await asyncio.sleep(0)
    asked.subject.feed.publish(Notice(seq=0, at_ns=1, mono_us=0, level="info", text="again"))
    asked.subject.feed.close()
    assert [line.split()[-1] for line in (await following).output.splitlines()] == ["hello", "again"]


async def test_reload(asked: Asked) -> None:
    done = await asked.run("reload")
    assert (done.return_value, done.output) == (0, "  s\nm\n")
    asked.subject.reload_ok = False
    assert (await asked.run("reload")).return_value == 1
    refused = await asked.run("reload", "--json")
    assert refused.return_value == 1
    assert not json.loads(refused.output)["ok"]


async def test_plan_against_the_daemon(asked: Asked, tmp_path: Path) -> None:
    done = await asked.run("plan")
    assert (done.return_value, done.output) == (0, "  s\nm\n")
    assert json.loads((await asked.run("plan", "--json")).output)["path"] == "/c"
    asked.subject.reload_ok = False
    assert (await asked.run("plan", str(tmp_path / "new"))).return_value == 1


def test_plan_between_two_files(tmp_path: Path) -> None:
    head = "vrrp_instance a {{\ninterface eth0\nvirtual_router_id 5\npriority {}\n"
    text = head + "virtual_ipaddress {{\n192.0.2.1\n}}\n}}\n"
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text(text.format(100))
    new.write_text(text.format(90))

    def run(*words: str) -> Result:
        return CliRunner().invoke(cli, ["plan", *words], standalone_mode=False)

    done = run(str(old), str(new))
    assert done.return_value == 0
    assert done.output.startswith("  ~ a: priority 100 → 90; transition possible: the priority is lowered")
    assert run(str(old), str(old)).output == "nothing changes\n"
    answer = json.loads(run(str(old), str(new), "--json").output)
    assert answer["plan"]["changed"][0]["fields"] == [{"field": "priority", "old": "100", "new": "90"}]
    new.write_text(text.format(900))
    done = run(str(old), str(new))
    assert done.return_value == 1
    assert "t cannot be used" not in done.output
    assert f"{new} cannot be used: this is only what could be made of it" in done.output
    assert run(str(old), str(tmp_path / "missing")).return_value == 1
    assert isinstance(run("1", "2", "3").exception, click.UsageError)


def test_commands_that_ask_nobody_import_no_client() -> None:
    script = "import sys; import keepvip.cli.commands, keepvip.cli.check; print('http.client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


async def test_log(asked: Asked) -> None:
    done = await asked.run("log")
    assert {"admin", "config", "daemon", "vrrp"} <= {line.split()[0] for line in done.output.splitlines()}
    before = dict(line.split() for line in done.output.splitlines())["vrrp"]
    changed = await asked.run("log", "vrrp", "error")
    assert ["vrrp", "error"] in [line.split() for line in changed.output.splitlines()]
    await asked.run("log", "vrrp", before)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (172_800, "2 d")]
)
def test_ago(seconds: int, shown: str) -> None:
    assert ago(10**9, 10**9 + seconds * 10**9) == shown
    assert ago(0, 10**9) == "-"


def test_clock_shows_the_date_when_it_matters() -> None:
    now_ns = 1_700_000_000_123_456_789
    assert len(clock(now_ns, now_ns=now_ns)) == len("12:34:56.789")
    assert clock(now_ns, now_ns=now_ns + 3 * 86_400 * 10**9).count("-") == 2
