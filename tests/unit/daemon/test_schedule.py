"""`reload_time_file`: which texts are moments, and what becomes of the file."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from keepvip.config.model_process import ProcessSettings
from keepvip.daemon.schedule import Moment, ReloadClock, read_moment
from keepvip.track.watch import FileWatcher

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW_S = 1_795_386_574.5  # 2026-11-22 22:29:34.5 UTC


@pytest.mark.parametrize(
    ("text", "at_s", "dated"),
    [
        ("22:29:35Z", 1_795_386_575, False),
        ("22:29:34Z", 1_795_386_574 + 86400, False),
        ("26-11-23 00:00:00Z\n", 1_795_392_000, True),
        ("2026-11-23 00:00:00Z\nwhatever", 1_795_392_000, True),
    ],
)
def test_moments(text: str, at_s: float, dated: bool) -> None:
    assert read_moment(text, NOW_S) == Moment(at_s, dated=dated)


@pytest.mark.parametrize(
    "text", ["", " 22:29:35Z", "22:29:35 Z", "22:29", "126-11-23 00:00:00", "2026-13-01 00:00:00", "25:00:00",
             "2026-11-22 22:29:34Z", "1999-01-01 00:00:00"],
)  # fmt: skip
def test_what_is_no_moment(text: str) -> None:
    assert isinstance(read_moment(text, NOW_S), str)


def in_local_time(after_s: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(time.time() + after_s))


async def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)


class Bench:
    def __init__(self, path: Path, *, repeat: bool = False) -> None:
        self.reloads = 0
        self.watcher = FileWatcher()
        self.clock = ReloadClock(self.watcher, self.reload)
        self.settings = ProcessSettings(reload_time_file=str(path), reload_repeat=repeat)
        self.clock.configure(self.settings)

    def reload(self) -> None:
        self.reloads += 1

    def close(self) -> None:
        self.clock.close()
        self.watcher.close()


@pytest.mark.parametrize("repeat", [False, True])
async def test_reload_at_the_time_in_the_file(tmp_path: Path, repeat: bool) -> None:
    path = tmp_path / "when"
    bench = Bench(path, repeat=repeat)
    path.write_text(in_local_time(1.2))
    await until(lambda: bench.reloads > 0)
    assert path.exists() is repeat
    assert bench.reloads == 1
    assert (bench.clock.moment is not None) is repeat
    bench.close()


async def test_the_file_can_be_changed_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "when"
    path.write_text(in_local_time(3600))
    bench = Bench(path)
    first = bench.clock.moment
    assert first is not None
    path.write_text(in_local_time(7200))
    await until(lambda: bench.clock.moment != first)
    path.unlink()
    await until(lambda: bench.clock.moment is None)
    assert bench.reloads == 0
    bench.close()
