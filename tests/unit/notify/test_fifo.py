"""Named pipes for events: lines, ownership, and readers that come, go and fall asleep (vrrp-behaviour.md 15)."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from keepvip.notify.fifo import FifoError, NotifyFifo, group_line, instance_line, priority_state

if TYPE_CHECKING:
    from collections.abc import Iterator


def make(path: Path, uid: int | None = None) -> NotifyFifo:
    owner = os.geteuid() if uid is None else uid
    return NotifyFifo(str(path), uid=owner, gid=os.getegid() if uid is None else uid)


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[NotifyFifo]:
    fifo = make(tmp_path / "fifo")
    yield fifo
    fifo.close()


def test_lines() -> None:
    assert instance_line("VI 1", "MASTER", 150) == b'INSTANCE "VI 1" MASTER 150\n'
    assert instance_line("VI_1", "MASTER_RX_LOWER_PRI", 150) == b'INSTANCE "VI_1" MASTER_RX_LOWER_PRI 150\n'
    assert group_line("VG1", "FAULT") == b'GROUP "VG1" FAULT 0\n'
    assert [priority_state(state) for state in ("MASTER", "BACKUP", "FAULT")] == [
        "MASTER_PRIORITY",
        "BACKUP_PRIORITY",
        None,
    ]


def test_made_used_and_removed(fifo: NotifyFifo, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        fifo.open()
    finally:
        os.umask(before)
    found = (tmp_path / "fifo").stat()
    assert stat.S_ISFIFO(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o644
    assert fifo.write(b"before the reader\n")
    with Path(fifo.path).open("rb", buffering=0) as reader:
        assert fifo.write(b"with the reader\n")
        assert reader.read(100) == b"before the reader\nwith the reader\n"
    assert fifo.write(b"after the reader\n")
    fifo.close()
    assert not (tmp_path / "fifo").exists()
    assert not fifo.write(b"closed\n")
    fifo.close()


def test_existing_one_stays(fifo: NotifyFifo) -> None:
    os.mkfifo(fifo.path)
    fifo.open()
    fifo.close()
    assert Path(fifo.path).exists()


def test_replaced_one_stays(fifo: NotifyFifo, tmp_path: Path) -> None:
    fifo.open()
    (tmp_path / "fifo").unlink()
    (tmp_path / "fifo").write_text("somebody else's")
    fifo.close()
    assert (tmp_path / "fifo").read_text() == "somebody else's"


def test_nobody_reads(fifo: NotifyFifo, caplog: pytest.LogCaptureFixture) -> None:
    """Lines are lost, not torn, and it is said once; what is in the FIFO can still be read."""
    fifo.open()
    line = instance_line("VI_1", "MASTER", 100)
    written = 0
    while fifo.write(line):
        written += 1
    assert not fifo.write(line)
    assert fifo.lost == 2
    assert caplog.text.count("lines are lost") == 1
    with Path(fifo.path).open("rb", buffering=0) as reader:
        read = b""
        while len(read) < written * len(line):
            read += reader.read(65536)
        assert read == line * written
        assert fifo.write(line)
        assert "is read again; lines lost so far: 2" in caplog.text


def test_line_that_could_be_torn(fifo: NotifyFifo) -> None:
    fifo.open()
    assert not fifo.write(b"x" * 5000)
    assert fifo.lost == 1


def test_unusable_paths(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(FifoError, match="is not a FIFO"):
        make(file).open()
    with pytest.raises(FifoError, match="cannot be made: No such file"):
        make(tmp_path / "missing" / "fifo").open()
    link = tmp_path / "link"
    link.symlink_to(file)
    with pytest.raises(FifoError, match="is not a FIFO"):
        make(link).open()
    assert file.read_text() == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_owners(tmp_path: Path) -> None:
    fifo = make(tmp_path / "fifo", uid=65534)
    fifo.open()
    assert ((tmp_path / "fifo").stat().st_uid, (tmp_path / "fifo").stat().st_gid) == (65534, 65534)
    fifo.close()
    os.mkfifo(fifo.path)
    os.chown(fifo.path, 65534, 0)
    fifo.open()
    fifo.close()
    with pytest.raises(FifoError, match="is owned by user 65534"):
        make(tmp_path / "fifo").open()
