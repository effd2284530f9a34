"""Which outputs the log gets; the dump of a configuration."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from keepvip.config.model import Authentication, Config, VirtualAddress, VrrpInstance
from keepvip.daemon.dump import dump
from keepvip.daemon.outputs import open_sinks
from keepvip.daemon.settings import LogSettings
from keepvip.observe.journald import JournaldSink
from keepvip.observe.sinks import DescriptorSink, FileSink, SyslogSink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[str]:
    path = str(tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        yield path


@pytest.fixture
def stderr_to_journal() -> dict[str, str]:
    named = os.fstat(2)
    return {"JOURNAL_STREAM": f"{named.st_dev}:{named.st_ino}"}


def kinds(settings: LogSettings, environ: dict[str, str], journal: str) -> list[type]:
    sinks = open_sinks(settings, environ, journal=journal)
    for sink in sinks:
        sink.close()
    return [type(sink) for sink in sinks]


def test_without_journald(tmp_path: Path, stderr_to_journal: dict[str, str]) -> None:
    none = str(tmp_path / "none")
    log = tmp_path / "log"
    assert kinds(LogSettings(), {}, none) == []
    assert kinds(LogSettings(stderr=True), {}, none) == [DescriptorSink]
    assert kinds(LogSettings(stderr=True), stderr_to_journal, none) == [DescriptorSink]
    both = LogSettings(stderr=True, syslog=True, file=str(log))
    assert kinds(both, {}, none) == [SyslogSink, DescriptorSink, FileSink]
    assert log.stat().st_mode & 0o777 == 0o640 & ~_umask()


def test_with_journald(journal: str, stderr_to_journal: dict[str, str]) -> None:
    """Every record once: over the socket instead of stderr when that is the journal, and instead of /dev/log."""
    assert kinds(LogSettings(stderr=True), {}, journal) == [DescriptorSink]
    assert kinds(LogSettings(stderr=True), stderr_to_journal, journal) == [JournaldSink]
    assert kinds(LogSettings(syslog=True), {}, journal) == [JournaldSink]
    assert kinds(LogSettings(syslog=True, stderr=True), stderr_to_journal, journal) == [JournaldSink]
    assert kinds(LogSettings(syslog=True, stderr=True), {}, journal) == [JournaldSink, DescriptorSink]


def test_log_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_sinks(LogSettings(file=str(tmp_path / "none" / "log")), {})


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_dump_shows_what_is_set_and_no_secret() -> None:
    instance = VrrpInstance(
        name="VI_1", interface="eth0", family=4, version=2, vrid=50, nopreempt=True,
        authentication=Authentication(kind="PASS", password=b"passw123"),
        addresses=(VirtualAddress(address="10.0.0.1", prefix_len=24, family=4),),
    )  # fmt: skip
    lines = list(dump(Config(instances=(instance,), files=("/a", "/b"))))
    text = "\n".join(lines)
    assert lines[0] == "Configuration:"
    assert "    name = VI_1" in lines
    assert "    nopreempt = on" in lines
    assert "      address = 10.0.0.1" in lines
    assert "  files = /a /b" in lines
    assert "passw123" not in text
    assert "password = <hidden>" in text
    assert "span" not in text
    assert "net_namespace" not in text
