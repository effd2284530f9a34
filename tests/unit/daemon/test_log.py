"""Logging never blocks the caller, whatever the output does."""

from __future__ import annotations

import array
import contextlib
import json
import logging
import os
import select
import socket
import struct
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from keepvip.observe import journald, log, sinks

if TYPE_CHECKING:
    from collections.abc import Iterator


class BlockedSink:
    """An output that does not move until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go = threading.Event()
        self.written: list[str] = []

    def write(self, record: logging.LogRecord) -> None:
        self.entered.set()
        assert self.go.wait(30)
        self.written.append(record.getMessage())

    def close(self) -> None:
        self.written.append("<closed>")


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger of keepvip's; the root logger is put back as it was."""
    root, ours = logging.getLogger(), logging.getLogger("keepvip")
    before = (list(root.handlers), root.level, ours.level, logging.raiseExceptions)
    yield logging.getLogger("keepvip.test")
    root.handlers[:], root.level, level, logging.raiseExceptions = before
    ours.setLevel(level)


def record(text: str, level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("keepvip.test", level, "", 0, text, None, None)
    made.__dict__.update(extra)
    return made


def test_a_blocked_output_blocks_nobody_and_the_loss_is_told(logger: logging.Logger) -> None:
    sink = BlockedSink()
    pipe = log.install([sink], logging.INFO, limit=10)
    logger.info("first")
    assert sink.entered.wait(10)
    began = time.monotonic()
    for number in range(100):
        logger.info("message %d", number)
    assert time.monotonic() - began < 1
    assert pipe.dropped == 90
    sink.go.set()
    assert pipe.stop(timeout_s=10)
    assert sink.written[:2] == ["first", "message 0"]
    assert sink.written[-2:] == [
        "90 log messages were dropped: the log output did not keep up",
        "<closed>",
    ]


def test_stop_gives_a_blocked_output_up(logger: logging.Logger) -> None:
    sink = BlockedSink()
    pipe = log.install([sink], logging.INFO)
    logger.info("first")
    assert sink.entered.wait(10)
    assert not pipe.stop(timeout_s=0.01)
    sink.go.set()


def test_a_full_terminal_pipe_blocks_only_the_writer(logger: logging.Logger) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    pipe = log.install([sinks.DescriptorSink(writer)], logging.INFO, limit=50)
    for _ in range(2000):
        logger.info("x" * 200)  # far more than a pipe holds
    assert pipe.dropped > 0
    while not pipe.stop(timeout_s=0.01):
        with contextlib.suppress(BlockingIOError):
            os.read(reader, 65536)
    os.close(reader)
    os.close(writer)


def test_a_failing_output_is_counted_and_the_others_go_on(logger: logging.Logger) -> None:
    working = BlockedSink()
    working.go.set()
    pipe = log.install([sinks.DescriptorSink(999_999), working], logging.INFO)
    logger.info("still here")
    assert pipe.stop(timeout_s=10)
    assert pipe.failed == 1
    assert working.written[0] == "still here"


def test_levels_and_arguments(logger: logging.Logger) -> None:
    sink = BlockedSink()
    sink.go.set()
    pipe = log.install([sink], logging.DEBUG)
    values = ["a"]
    logger.debug("values %s", values)
    values.append("b")  # the message must show what was true when it was logged
    logger.info("wrong %d %d", 1)  # noqa: PLE1206  (the mistake is the point)
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("trouble")
    assert pipe.stop(timeout_s=10)
    assert sink.written == ["values ['a']", "wrong %d %d (1,)", "trouble", "<closed>"]


def test_descriptor_lines() -> None:
    reader, writer = os.pipe()
    sinks.DescriptorSink(writer).write(record("hello"))
    sinks.DescriptorSink(writer).write(record("careful", logging.WARNING))
    sinks.DescriptorSink(writer, form=sinks.sd_lines).write(record("one\ntwo", logging.ERROR))
    fields = {"INSTANCE": "VI_1"}
    sinks.DescriptorSink(writer, form=sinks.json_lines).write(record("one\ntwo", created=1.5, fields=fields))
    lines = os.read(reader, 4096).decode().splitlines()
    assert lines[0].endswith(" hello")
    assert lines[1].endswith(" warning: careful")
    assert lines[2:4] == ["<3>one", "<3>two"]
    assert json.loads(lines[4]) == {
        "time": "1970-01-01T00:00:01.500000Z",
        "level": "info",
        "logger": "keepvip.test",
        "message": "one\ntwo",
        "instance": "VI_1",
    }
    os.close(reader)
    os.close(writer)


def test_traceback_is_shown() -> None:
    reader, writer = os.pipe()
    try:
        msg = "boom"
        raise RuntimeError(msg)
    except RuntimeError as error:
        made = logging.LogRecord("a", logging.ERROR, "", 0, "failed", None, (type(error), error, error.__traceback__))
    sinks.DescriptorSink(writer).write(made)
    assert "RuntimeError: boom" in os.read(reader, 65536).decode()
    os.close(reader)
    os.close(writer)


def test_file_follows_logrotate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks.FileSink, "_LOOK_S", 0.0)
    path = tmp_path / "log"
    sink = sinks.FileSink(str(path))
    sink.write(record("one"))
    path.rename(tmp_path / "log.1")
    sink.write(record("two"))
    sink.close()
    assert (tmp_path / "log.1").read_text().endswith(" one\n")
    assert path.read_text().endswith(" two\n")


def test_syslog_format_and_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    sink = sinks.SyslogSink("keepvip", facility=16, path=path)
    with pytest.raises(FileNotFoundError):
        sink.write(record("nobody listens"))
    for restart in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
            server.bind(path)
            sink.write(record(f"hello {restart}", logging.WARNING))
            data = server.recv(4096).decode()
            assert data.startswith(f"<{16 * 8 + 4}>")
            assert data.endswith(f" keepvip[{os.getpid()}]: hello {restart}")
        Path(path).unlink()
    sink.close()


def journal_fields(data: bytes) -> dict[str, str]:
    """Reads the native protocol back."""
    fields: dict[str, str] = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", data[:8])
            value, data = data[8 : 8 + length], data[8 + length + 1 :]
        fields[name.decode()] = value.decode()
    return fields


def test_journald_fields(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        sink = journald.JournaldSink("keepvip", facility=3, path=path)
        sink.write(record("two\nlines", logging.WARNING, fields={"INSTANCE": "VI_1", "VRID": "50"}))
        fields = journal_fields(server.recv(65536))
        sink.close()
    assert fields == {
        "MESSAGE": "two\nlines",
        "PRIORITY": "4",
        "LOGGER": "keepvip.test",
        "SYSLOG_IDENTIFIER": "keepvip",
        "SYSLOG_PID": str(os.getpid()),
        "SYSLOG_FACILITY": "3",
        "INSTANCE": "VI_1",
        "VRID": "50",
    }


def test_journald_sends_what_is_too_large_as_a_file(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        sink = journald.JournaldSink("keepvip", path=path)
        sink.write(record("x" * 5_000_000))
        assert select.select([server], [], [], 10)[0]
        _data, ancillary, _flags, _address = server.recvmsg(65536, socket.CMSG_SPACE(4))
        sink.close()
    fds = array.array("i", ancillary[0][2])
    with os.fdopen(fds[0], "rb") as file:
        file.seek(0)
        assert journal_fields(file.read())["MESSAGE"] == "x" * 5_000_000


def test_journal_stream(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as file:
        named = os.fstat(file.fileno())
        mine = f"{named.st_dev}:{named.st_ino}"
        assert journald.stderr_is_journal({"JOURNAL_STREAM": mine}, file.fileno())
        assert not journald.stderr_is_journal({"JOURNAL_STREAM": "1:2"}, file.fileno())
        assert not journald.stderr_is_journal({}, file.fileno())
    assert not journald.available(str(tmp_path / "none"))


def test_levels_can_be_changed(logger: logging.Logger) -> None:
    assert logger.name == "keepvip.test"
    pipe = log.install([], logging.INFO)
    try:
        assert log.levels()["keepvip.vrrp"] == "info"
        log.set_level("vrrp", "debug")
        log.set_level("keepvip.notify", "error")
        shown = log.levels()
        assert (shown["keepvip.vrrp"], shown["keepvip.notify"], shown["keepvip.daemon"]) == ("debug", "error", "info")
        log.set_level("keepvip", "warning")
        assert set(log.levels().values()) == {"warning"}
        for name, level in (("vrrp", "loud"), ("nonsense", "debug")):
            with pytest.raises(ValueError, match=r"must be one of|no subsystem"):
                log.set_level(name, level)
    finally:
        pipe.stop()
