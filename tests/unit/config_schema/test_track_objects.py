"""Files and processes that can be tracked (config-keywords.md 9, 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keepvip.config.facts import HostFacts
from keepvip.config.model import Config, Track
from keepvip.config.model_track import TrackFile, TrackProcess

if TYPE_CHECKING:
    from keepvip.config.load import LoadResult

    from .conftest import Compile


def instance(lines: str, name: str = "a", vrid: int = 5) -> str:
    return (
        f"vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id {vrid}\n{lines}\n"
        f"virtual_ipaddress {{\n192.0.2.{vrid}\n}}\n}}\n"
    )


def built(result: LoadResult) -> Config:
    assert isinstance(result.config, Config)
    return result.config


def codes(result: LoadResult) -> list[str]:
    return [found.code for found in result.diagnostics]


@pytest.mark.parametrize(
    ("lines", "wanted", "found"),
    [
        ('file "/run/f"', TrackFile(name="f", path="/run/f"), []),
        ("file /run/f\nweight -3 reverse", TrackFile(name="f", path="/run/f", weight=-3, reverse=True), []),
        ("file /run/f\ninit_file", TrackFile(name="f", path="/run/f", init_value=0), []),
        (
            "file /run/f\ninit_file 7 overwrite",
            TrackFile(name="f", path="/run/f", init_value=7, init_overwrite=True),
            [],
        ),
        (
            "file /run/f\ninit_file overwrite -8",
            TrackFile(name="f", path="/run/f", init_value=-8, init_overwrite=True),
            [],
        ),
        ("file /run/f\ninit_file x", TrackFile(name="f", path="/run/f", init_value=0), ["invalid-value"]),
        ("weight 2", None, ["missing-keyword", "unknown-tracker"]),
    ],
)
def test_files(compiled: Compile, lines: str, wanted: TrackFile | None, found: list[str]) -> None:
    result = compiled(f"track_file f {{\n{lines}\n}}\n" + instance("track_file {\nf\n}"))
    assert built(result).track_files == ((wanted,) if wanted else ())
    assert codes(result) == found


def test_the_old_name_of_the_block(compiled: Compile) -> None:
    result = compiled("vrrp_track_file f {\nfile /run/f\n}\n" + instance("track_file {\nf weight 254\n}"))
    assert built(result).instances[0].tracks == (Track(kind="file", name="f", weight=254),)
    assert codes(result) == ["deprecated"]


def test_files_that_cannot_be_watched(compiled: Compile) -> None:
    text = "track_file f {\nfile /proc/uptime\n}\n" + instance("track_file {\nf\n}")
    facts = HostFacts(interfaces={}, users={}, groups={}, hostname="here")
    found = codes(compiled(text.replace("eth0", "lo"), facts))
    assert "cannot-watch" in found
    text = "track_file f {\nfile /nowhere/at/all\n}\n" + instance("track_file {\nf\n}")
    assert "missing-directory" in codes(compiled(text, facts))


def test_a_file_of_a_checker_is_followed_without_an_instance(compiled: Compile) -> None:
    check = "FILE_CHECK {\ntrack_file f\n}"
    server = f"virtual_server 192.0.2.1 80 {{\nreal_server 192.0.2.2 80 {{\n{check}\n}}\n}}\n"
    result = compiled("track_file f {\nfile /run/f\n}\ntrack_file g {\nfile /run/g\n}\n" + server)
    assert [file.name for file in built(result).track_files] == ["f"]
    assert codes(result).count("not-tracked") == 1


@pytest.mark.parametrize(
    ("lines", "wanted", "found"),
    [
        ("process nginx", {"process": "nginx"}, []),
        ("process nginx\nfull_command", {"process": "nginx", "command_line": True}, []),
        ("process nginx\nparam_match", {"process": "nginx", "command_line": True, "match": "exact"}, []),
        (
            'process "/a b" -c "x y"',
            {"process": "/a b", "arguments": ("-c", "x y"), "command_line": True, "match": "exact"},
            [],
        ),
        (
            "process a b\nparam_match initial",
            {"process": "a", "arguments": ("b",), "command_line": True, "match": "initial"},
            [],
        ),
        ("process a\nquorum 2\nquorum_max 3", {"process": "a", "quorum": 2, "quorum_max": 3}, []),
        ("process a\nquorum_max 0", {"process": "a", "quorum": 0, "quorum_max": 0}, []),
        ("process a\nquorum 3\nquorum_max 2", {"process": "a", "quorum": 3}, ["empty-range"]),
        ("process a\nquorum_max 0\nquorum 1", {"process": "a", "quorum": 0, "quorum_max": 0}, ["empty-range"]),
        ("process a\ndelay 2", {"process": "a", "fork_delay_us": 2_000_000, "terminate_delay_us": 2_000_000}, []),
        (
            "process a\ndelay 2\nfork_delay 0.5",
            {"process": "a", "fork_delay_us": 500_000, "terminate_delay_us": 2_000_000},
            [],
        ),
        (
            "process a\nterminate_delay 1\ndelay 2",
            {"process": "a", "fork_delay_us": 2_000_000, "terminate_delay_us": 2_000_000},
            [],
        ),
        ("process a\nweight 10 reverse", {"process": "a", "weight": 10, "reverse": True}, []),
        ("process a-name-with-more-than-15", {"process": "a-name-with-more-than-15"}, ["long-process-name"]),
        ("quorum 2", None, ["missing-keyword", "unknown-tracker"]),
    ],
)
def test_processes(compiled: Compile, lines: str, wanted: dict[str, object] | None, found: list[str]) -> None:
    result = compiled(f"vrrp_track_process p {{\n{lines}\n}}\n" + instance("track_process {\np\n}"))
    expected = () if wanted is None else (TrackProcess(name="p", **wanted),)  # type: ignore[arg-type]
    assert built(result).track_processes == expected
    assert codes(result) == found


def test_members_of_a_sync_group(compiled: Compile) -> None:
    """As keepalived 2.2.7 does it: files of weight 1 become 0, other weights are dropped, processes keep theirs."""
    objects = (
        "track_file f {\nfile /run/f\n}\ntrack_file g {\nfile /run/g\nweight 2\n}\n"
        "vrrp_track_process p {\nprocess p\nweight 5\n}\n"
    )
    lines = "track_file {\nf\ng\n}\ntrack_process {\np\n}"
    result = compiled(objects + instance(lines) + instance("", "b", 6) + "vrrp_sync_group G {\ngroup {\na\nb\n}\n}\n")
    assert built(result).instances[0].tracks == (
        Track(kind="file", name="f"),
        Track(kind="process", name="p", weight=5),
    )
    assert sorted(codes(result)) == ["not-tracked", "weight-in-group", "weight-in-group"]
