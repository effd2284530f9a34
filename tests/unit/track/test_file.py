"""Tracked files: what counts as their number, and what counts as a change (vrrp-behaviour.md 9)."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from keepvip.config.model import Config, Track, VrrpInstance
from keepvip.config.model_track import TrackFile
from keepvip.track.first import look
from keepvip.track.number import parse
from keepvip.track.trackers import Trackers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from keepvip.event import Event, TrackValue


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"5", 5), (b" \n-17\n", -17), (b"+0x1F rest", 31), (b"010", 8), (b"09", 0), (b"12abc", 12), (b"0x", 0),
        (b"", 0), (b"abc", 0), (b"- 5", 0), (b"2147483647", 2147483647), (b"-2147483648", -2147483648),
        (b"2147483648", None), (b"-2147483649", None), (b"9" * 127, None),
    ],
)  # fmt: skip
def test_the_number_at_the_start_counts(content: bytes, value: int | None) -> None:
    assert parse(content)[0] == value


def config(*files: TrackFile) -> Config:
    tracks = tuple(Track(kind="file", name=file.name) for file in files)
    instance = VrrpInstance(name="VI_1", interface="eth0", family=4, version=2, vrid=1, tracks=tracks)
    return Config(instances=(instance,), track_files=files)


class Bench:
    def __init__(self) -> None:
        self.told: list[TrackValue] = []
        self.events: list[Event] = []
        self.trackers = Trackers(lambda _kind, _name, value: self.told.append(value), self.events.append)

    async def until(self, *values: TrackValue, timeout_s: float = 10) -> None:
        deadline = time.monotonic() + timeout_s
        while tuple(self.told) != values:
            assert time.monotonic() < deadline, f"told {self.told}, wanted {values}"
            await asyncio.sleep(0.005)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.trackers.stop()


def renamed_in(path: Path) -> None:
    other = path.with_name("other")
    other.write_text("7")
    other.rename(path)


def linked(path: Path) -> None:
    target = path.with_name("target")
    target.write_text("7")
    path.unlink()
    path.symlink_to(target)


@pytest.mark.parametrize(
    ("change", "value"),
    [
        (lambda path: path.write_text("7"), 7),
        (renamed_in, 7),
        (linked, 7),
        (lambda path: path.unlink(), 0),
        (lambda path: path.rename(path.with_name("away")), 0),
    ],
)
async def test_every_kind_of_change_is_seen(
    bench: Bench, tmp_path: Path, change: Callable[[Path], object], value: int
) -> None:
    path = tmp_path / "f"
    path.write_text("3")
    bench.trackers.configure(config(TrackFile(name="f", path=str(path))))
    await bench.until(3)
    change(path)
    deadline = time.monotonic() + 10
    while bench.told[-1] != value:
        assert time.monotonic() < deadline, bench.told
        await asyncio.sleep(0.005)
    (status,) = bench.trackers.status()
    assert (status.kind, status.value, status.instances) == ("file", value, ("VI_1",))


async def test_what_is_being_written_does_not_count_yet(bench: Bench, tmp_path: Path) -> None:
    """Opened and emptied is not 0: the content counts when the file is closed."""
    path = tmp_path / "f"
    path.write_text("3")
    bench.trackers.configure(config(TrackFile(name="f", path=str(path))))
    await bench.until(3)
    with path.open("w") as file:
        file.flush()
        (tmp_path / "unrelated").touch()
        await asyncio.sleep(0.1)
        file.write("4")
    await bench.until(3, 4)


async def test_a_number_that_does_not_fit_changes_nothing(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("3")
    bench.trackers.configure(config(TrackFile(name="f", path=str(path))))
    await bench.until(3)
    path.write_text("99999999999")
    path.write_text("6")
    await bench.until(3, 6)


async def test_a_link_whose_target_changes(bench: Bench, tmp_path: Path) -> None:
    target = tmp_path / "there" / "f"
    target.parent.mkdir()
    target.write_text("3")
    link = tmp_path / "f"
    link.symlink_to(target)
    bench.trackers.configure(config(TrackFile(name="f", path=str(link))))
    await bench.until(3)
    target.write_text("4")
    await bench.until(3, 4)


async def test_a_folder_that_appears_goes_and_comes_back(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "f"
    bench.trackers.configure(config(TrackFile(name="f", path=str(path))))
    await bench.until("ignored")
    path.parent.mkdir(parents=True)
    await bench.until("ignored", 0)
    path.write_text("3")
    await bench.until("ignored", 0, 3)
    path.parent.rename(tmp_path / "away")  # the folder was known: a file that is gone says 0
    await bench.until("ignored", 0, 3, 0)
    path.parent.mkdir()
    path.write_text("5")
    await bench.until("ignored", 0, 3, 0, 5)


async def test_another_file_by_the_same_name(bench: Bench, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    two.write_text("2")
    bench.trackers.configure(config(TrackFile(name="f", path=str(one))))
    await bench.until(1)
    bench.trackers.configure(config(TrackFile(name="f", path=str(two))))
    await bench.until(1, 2)
    one.write_text("9")
    two.write_text("3")
    await bench.until(1, 2, 3)


@pytest.mark.parametrize(
    ("before", "overwrite", "after"), [(None, False, "7\n"), ("3", False, "3"), ("3", True, "7\n")]
)
def test_init_file(tmp_path: Path, before: str | None, overwrite: bool, after: str) -> None:
    path = tmp_path / "f"
    if before is not None:
        path.write_text(before)
    first = look(config(TrackFile(name="f", path=str(path), init_value=7, init_overwrite=overwrite)))
    assert path.read_text() == after
    assert first.values == {("file", "f"): int(after)}
    assert first.messages == ()


def test_init_file_that_cannot_be_made(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "f"
    first = look(config(TrackFile(name="f", path=str(path), init_value=7)))
    assert first.values == {("file", "f"): "ignored"}
    assert first.messages == (f"track_file f: {path} cannot be made: No such file or directory",)
