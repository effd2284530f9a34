"""Pid files: one daemon per file, whatever happened to the last one."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from keepvip.daemon.pidfile import AlreadyRunningError, PidFile

if TYPE_CHECKING:
    from pathlib import Path


def test_life(tmp_path: Path) -> None:
    path = tmp_path / "run" / "a.pid"
    pid_file = PidFile(path)
    pid_file.acquire()
    pid_file.write()
    assert path.read_text() == f"{os.getpid()}\n"
    pid_file.write(7)
    assert path.read_text() == "7\n"
    pid_file.release()
    assert not path.exists()
    pid_file.release()


def test_second_holder_is_refused_and_told_who(tmp_path: Path) -> None:
    first, second = PidFile(tmp_path / "a.pid"), PidFile(tmp_path / "a.pid")
    first.acquire()
    first.write()
    with pytest.raises(AlreadyRunningError, match=f"already running as process {os.getpid()}") as caught:
        second.acquire()
    assert caught.value.pid == os.getpid()
    second.release()
    assert (tmp_path / "a.pid").exists()
    first.release()
    second.acquire()
    second.release()


@pytest.mark.parametrize(
    "content", ["", "0", "999999999", "nonsense", pytest.param(str(os.getpid()), id="our-own-pid")]
)
def test_stale_file_is_taken_over(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.pid"
    path.write_text(content)
    pid_file = PidFile(path)
    pid_file.acquire()
    pid_file.write()
    assert path.read_text() == f"{os.getpid()}\n"
    pid_file.release()


def test_daemon_that_does_not_lock_is_recognised_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.pid"
    code = "import ctypes,sys; ctypes.CDLL(None).prctl(15, b'keepalived'); print('x', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"x\n"
        path.write_text(f"{other.pid}\n")
        with pytest.raises(AlreadyRunningError):
            PidFile(path).acquire()
        other.communicate(b"")
    PidFile(path).acquire()


def test_lock_survives_the_parent_and_ends_with_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "a.pid"
    pid_file = PidFile(path)
    pid_file.acquire()
    hold_reader, hold_writer = os.pipe()
    child = os.fork()
    if child == 0:  # the daemon: lives until the test closes the pipe
        os.close(hold_writer)
        os.read(hold_reader, 1)
        os._exit(0)
    os.close(hold_reader)
    pid_file.forget()
    assert path.exists()
    with pytest.raises(AlreadyRunningError):
        PidFile(path).acquire()
    os.close(hold_writer)
    os.waitpid(child, 0)
    again = PidFile(path)
    again.acquire()
    again.release()


def test_file_that_is_no_longer_ours_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.pid"
    pid_file = PidFile(path)
    pid_file.acquire()
    path.unlink()
    path.write_text("somebody else's\n")
    pid_file.release()
    assert path.read_text() == "somebody else's\n"


def test_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.pid").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"):
        PidFile(tmp_path / "a.pid").acquire()
