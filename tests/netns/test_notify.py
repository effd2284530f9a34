"""Notify scripts and mail, as the scripts and the mail server saw them (vrrp-behaviour.md 13 and 15)."""

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from keepvip.lab import Advert, Daemon, Node, Pair
from keepvip.lab.configs import instance, mail_settings, sync_group
from keepvip.lab.mail import Mail, MailServer
from keepvip.lab.measure import gaps_s
from keepvip.lab.waiting import wait_until

pytestmark = pytest.mark.root

INTERVAL_S = 0.2


def v3(**options: object) -> str:
    return instance(version=3, interval_s=INTERVAL_S, **options)  # type: ignore[arg-type]


class Scribe:
    """A notify script that writes down how it was called, one line per call."""

    def __init__(self, node: Node, name: str = "notify", *, before: str = "") -> None:
        self.calls = node.directory / f"{name}.calls"
        self.script = node.write(f"{name}.sh", f'#!/bin/sh\n{before}\necho "$@" >> {self.calls}\n', mode=0o755)
        self.calls.unlink(missing_ok=True)

    def lines(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    def wait(self, count: int, *, timeout_s: float = 5.0) -> list[str]:
        wait_until(lambda: len(self.lines()) >= count, timeout_s=timeout_s, what=f"{count} calls of {self.script.name}")
        return self.lines()


def quoted(script: Path, *arguments: str) -> str:
    return '"' + " ".join([str(script), *arguments]) + '"'


def test_instance_scripts_and_their_arguments(pair: Pair, kind: type[Daemon]) -> None:
    scribe = Scribe(pair.a)
    extra = [
        f"notify {scribe.script}",
        *(f"notify_{name} {quoted(scribe.script, name, 'is', 'special')}" for name in ("master", "backup", "fault")),
        f"notify_stop {quoted(scribe.script, 'stop', 'is', 'special')}",
    ]
    daemon = kind(pair.a, v3(priority=100, extra=extra))
    daemon.start()
    pair.wait_master(pair.a)
    pair.a.link("eth0", up=False)
    wait_until(lambda: any("FAULT" in line for line in scribe.lines()), timeout_s=5, what="FAULT")
    pair.a.link("eth0", up=True)
    wait_until(
        lambda: sum("INSTANCE VI_1 MASTER" in line for line in scribe.lines()) == 2, timeout_s=5, what="MASTER again"
    )
    assert daemon.stop() == 0
    lines = scribe.wait(12)
    states = ("BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER", "STOP")
    # 13.2: per transition the specific script, then the generic one. keepalived starts them in this order, but at once.
    expected = [text for state in states for text in (f"{state.lower()} is special", f"INSTANCE VI_1 {state} 100")]
    if kind.kind == "keepalived":
        assert sorted(lines) == sorted(expected)
    else:
        assert lines == expected


def test_group_scripts_and_their_arguments(pair: Pair, kind: type[Daemon]) -> None:
    scribe = Scribe(pair.a)
    notify = f"notify {scribe.script}"
    conf = (
        sync_group("VG1", "VI_1", "VI_2", extra=[notify])
        + v3(name="VI_1", vrid=51, extra=[notify])
        + v3(name="VI_2", vrid=52, interface="eth1", addresses=["192.168.1.1"], extra=[notify])
    )
    kind(pair.a, conf).start()
    pair.wait_master(pair.a, 52, address="192.168.1.1")
    lines = scribe.wait(6)
    assert sorted(line for line in lines if line.endswith("MASTER 100")) == [
        "INSTANCE VI_1 MASTER 100",
        "INSTANCE VI_2 MASTER 100",
    ]
    assert [line for line in lines if line.startswith("GROUP")] == ["GROUP VG1 BACKUP 0", "GROUP VG1 MASTER 0"]


@pytest.mark.ours("its scripts run all at once and in any order")
def test_calls_of_one_instance_never_overlap_and_keep_their_order(pair: Pair, kind: type[Daemon]) -> None:
    """A slow script: ten transitions, each call ends before the next begins."""
    begin = "echo begin $3 >> %s; sleep 0.15"
    scribe = Scribe(pair.a, "slow", before=begin % (pair.a.directory / "slow.calls"))
    kind(pair.a, v3(priority=100, extra=[f"notify {scribe.script}"])).start()
    pair.wait_master(pair.a)
    for _ in range(4):
        pair.a.link("eth0", up=False)
        pair.wait_released(pair.a)
        up_ns = time.time_ns()
        pair.a.link("eth0", up=True)
        pair.wait_master(pair.a, since_ns=up_ns)
    lines = scribe.wait(2 * (2 + 4 * 3), timeout_s=10)
    begun = [line.split()[1] for line in lines if line.startswith("begin")]
    ended = [line.split()[2] for line in lines if line.startswith("INSTANCE")]
    assert begun == ended == ["BACKUP", "MASTER"] + ["FAULT", "BACKUP", "MASTER"] * 4
    assert [line.split()[0] for line in lines] == ["begin", "INSTANCE"] * len(begun)


def test_hanging_script_delays_no_advert(pair: Pair, kind: type[Daemon]) -> None:
    hang = pair.a.write("hang.sh", "#!/bin/sh\nexec sleep 60\n", mode=0o755)
    daemon = kind(pair.a, v3(priority=100, extra=[f"notify {hang}"]))
    daemon.start()
    first = pair.wait_master(pair.a)
    adverts = pair.tap.wait_count(Advert, lambda advert: advert.node == "a", 15, timeout_s=6, since_ns=first.at_ns)
    assert max(gaps_s(adverts)) < INTERVAL_S + 0.05
    assert daemon.stop(timeout_s=10) == 0


def test_script_user(pair: Pair, kind: type[Daemon]) -> None:
    """The script runs as the user it is given."""
    out = pair.a.directory / "who"
    out.mkdir(exist_ok=True)
    out.chmod(0o777)
    script = pair.a.write(
        "who.sh", f"#!/bin/sh\nid -un > {out}/name.part && mv {out}/name.part {out}/name\n", mode=0o755
    )
    kind(pair.a, v3(extra=[f'notify_master "{script}" nobody'])).start()
    wait_until((out / "name").exists, timeout_s=5, what="the script's word")
    assert (out / "name").read_text().strip() == "nobody"


@pytest.fixture
def mail_server(pair: Pair) -> Iterator[MailServer]:
    with contextlib.closing(MailServer(pair.a)) as server:
        yield server


def mail_conf(router_id: str = "lab-a") -> str:
    alert = ["smtp_alert"]
    return (
        mail_settings(extra=[f"router_id {router_id}"])
        + sync_group("VG1", "RH_EXT", "RH_INT", extra=alert)
        + v3(name="RH_EXT", vrid=50, addresses=["10.0.0.1"], extra=alert)
        + v3(name="RH_INT", vrid=2, interface="eth1", addresses=["192.168.1.1"], extra=alert)
    )


def test_mails_on_transitions(pair: Pair, kind: type[Daemon], mail_server: MailServer) -> None:
    daemon = kind(pair.a, mail_conf())
    daemon.start()
    subjects = [
        "[lab-a] VRRP Instance RH_EXT - Entering MASTER state",
        "[lab-a] VRRP Instance RH_INT - Entering MASTER state",
        "[lab-a] VRRP Group VG1 - Entering MASTER state",
    ]
    mails: dict[str, Mail] = {}
    for subject in subjects:
        mails[subject] = mail_server.wait(lambda mail, s=subject: mail.subject == s, timeout_s=8)  # type: ignore[misc]
    for mail in mails.values():
        assert mail.sender == "noreply@example.com"
        assert mail.recipients == ("admin@example.com",)
        assert mail.message["From"] == "noreply@example.com"
        assert mail.message["To"] == "admin@example.com"
        assert mail.message["Date"]
    assert "=> VRRP Instance is now owning VRRP VIPs <=" in mails[subjects[0]].body
    assert re.search("=> All VRRP group instances are now in MASTER state <=", mails[subjects[2]].body)
    pair.a.link("eth1", up=False)
    fault = mail_server.wait(lambda mail: mail.subject.endswith("RH_INT - Entering FAULT state"), timeout_s=5)
    assert "=> VRRP Instance is no longer owning VRRP VIPs <=" in fault.body
    mail_server.wait(lambda mail: mail.subject.endswith("VG1 - Entering FAULT state"), timeout_s=5)


def test_slow_mail_server_delays_nothing(pair: Pair, kind: type[Daemon]) -> None:
    with contextlib.closing(MailServer(pair.a, delay_s=3.0)) as server:
        daemon = kind(pair.a, mail_settings() + v3(priority=100, extra=["smtp_alert"]))
        daemon.start()
        first = pair.wait_master(pair.a)
        server.wait(lambda mail: "MASTER" in mail.subject, timeout_s=12)
        adverts = pair.tap.adverts(node="a", since_ns=first.at_ns)
        assert len(adverts) > 8
        assert max(gaps_s(adverts)) < INTERVAL_S + 0.05


def test_dead_mail_server_delays_nothing(pair: Pair, kind: type[Daemon]) -> None:
    """Nobody listens on port 25: mastership, adverts and stopping are as always."""
    daemon = kind(pair.a, mail_settings() + v3(priority=100, extra=["smtp_alert"]))
    daemon.start()
    first = pair.wait_master(pair.a)
    adverts = pair.tap.wait_count(Advert, lambda advert: advert.node == "a", 10, timeout_s=5, since_ns=first.at_ns)
    assert max(gaps_s(adverts)) < INTERVAL_S + 0.05
    assert daemon.stop(timeout_s=8) == 0
