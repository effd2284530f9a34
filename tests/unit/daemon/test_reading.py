"""What a reading leaves on disk: marker, findings, copies."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from keepvip.config.consolidated import consolidated
from keepvip.config.diagnostic import Diagnostics
from keepvip.config.keywords import ROOT
from keepvip.config.model_process import ProcessSettings
from keepvip.config.tree import parse
from keepvip.daemon.loading import Loaded
from keepvip.daemon.reading import ConfigCopies, checked, marked

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_marker_exists_while_files_are_read(tmp_path: Path) -> None:
    marker = tmp_path / "keepalived.reload"
    marker.write_text("whoever changes files waits for this to be empty, and then to be gone")
    with marked(ProcessSettings(reload_file=""), tmp_path / "keepalived.pid"):
        assert marker.read_text() == ""
    assert not marker.exists()
    other = tmp_path / "other"
    with marked(ProcessSettings(reload_file=str(other)), tmp_path / "keepalived.pid"):
        assert other.exists()
        assert not marker.exists()
    assert not other.exists()


def test_a_marker_that_cannot_be_made_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with marked(ProcessSettings(reload_file=str(tmp_path / "a" / "b")), tmp_path / "p.pid"):
        pass
    assert "cannot be made" in caplog.text


def test_findings_of_the_check(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old")
    found = Diagnostics()
    found.error("some-code", "something is wrong", None)
    process = ProcessSettings(reload_check_config=True, reload_check_log=str(log))
    checked(process, Loaded(config=None, diagnostics=found, at_ns=0))
    assert "something is wrong" in log.read_text()
    assert "old" not in log.read_text()


def test_copies(tmp_path: Path) -> None:
    copies = ConfigCopies()
    folder = str(tmp_path / "save")
    copies.keep(None, "nobody wants it")
    copies.keep(folder, "text")
    path = tmp_path / "save" / f"keepalived.conf.{os.getpid()}.1"
    assert path.read_text() == "text"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_one_text_of_several_files(tmp_path: Path) -> None:
    (tmp_path / "other.conf").write_text("instance x # comment\n")
    text = (
        b"$A=5\ninclude " + str(tmp_path / "other.conf").encode() + b"\nvrrp_instance V { ! comment\n"
        b"  interface eth0\n  virtual_router_id $A\n virtual_ipaddress { 192.0.2.1\n }\n}\n"
    )
    found = Diagnostics()
    nodes = parse(text, config_id="here", schema=ROOT, diagnostics=found).nodes
    one = consolidated("t.conf", nodes)
    assert one.startswith("# t.conf\ninstance x\nvrrp_instance V {\n  interface eth0\n  virtual_router_id 5\n")
    again = parse(one.encode(), config_id="here", schema=ROOT, diagnostics=found).nodes
    assert consolidated("t.conf", again) == one
    assert not list(found)
