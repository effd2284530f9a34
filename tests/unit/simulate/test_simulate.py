"""`keepvip simulate` with the main job: the same times as on the wire, without a wire."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from keepvip.cli.simulate import simulate

MAIN_JOB = Path(__file__).parents[3] / "examples" / "main-job"
NODES = (f"a={MAIN_JOB}/master.conf", f"b={MAIN_JOB}/backup.conf")
DOWN_S = 3 + 157 / 256
SKEW_S = 157 / 256


def play(*words: str) -> dict[str, Any]:
    done = CliRunner().invoke(simulate, [*words, "--json"], standalone_mode=False)
    assert done.exception is None, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def refused(*words: str) -> str:
    done = CliRunner().invoke(simulate, list(words), standalone_mode=False)
    assert done.exception is not None
    return str(done.exception)


def masters(answer: dict[str, Any], node: str) -> list[tuple[float, str, str]]:
    """When an instance of the node became master, and why."""
    return [
        (line["at_us"] / 1e6, line["event"]["instance"], line["event"]["reason"])
        for line in answer["story"]
        if line["node"] == node and line.get("event", {}).get("new") == "MASTER" and "instance" in line["event"]
    ]


def test_a_killed_master_is_replaced_after_the_down_interval() -> None:
    answer = play(*NODES, "--fail", "a", "--at", "10s")
    first, second = masters(answer, "b")
    assert {first[1], second[1]} == {"RH_EXT", "RH_INT"}
    assert {first[2], second[2]} == {"master_down", "sync_group"}
    # The dead master's last advert left within the second before.
    assert 10 + DOWN_S - 1 <= first[0] <= 10 + DOWN_S
    assert all(outcome["masters"] == ["b"] for outcome in answer["outcomes"])
    assert all(DOWN_S - 1 < outcome["without_master_us"] / 1e6 <= DOWN_S for outcome in answer["outcomes"])


def test_a_stopped_master_is_replaced_after_the_skew() -> None:
    answer = play(*NODES, "--fail", "a:stop", "--at", "10s")
    assert masters(answer, "b")[0][0] == pytest.approx(10 + SKEW_S, abs=0.001)


def test_one_cable_moves_the_whole_group_and_back() -> None:
    answer = play(*NODES, "--fail", "a:eth1", "--at", "10s", "--heal", "a:eth1", "--at", "20s", "--for", "40s")
    assert len(masters(answer, "b")) == 2
    assert len(masters(answer, "a")) == 4
    assert all(outcome["masters"] == ["a"] and outcome["two_masters_us"] < 1000 for outcome in answer["outcomes"])


def test_a_split_network_shows_two_masters() -> None:
    answer = play(*NODES, "--fail", "eth0", "--at", "10s", "--fail", "eth1", "--at", "10s", "--for", "30s")
    assert all(outcome["masters"] == ["a", "b"] and outcome["two_masters_us"] > 0 for outcome in answer["outcomes"])


def test_the_same_seed_plays_the_same(tmp_path: Path) -> None:
    words = (*NODES, "--fail", "eth0:loss=60%", "--at", "5s", "--for", "60s", "--seed", "7")
    assert play(*words) == play(*words)


def test_a_weight_that_is_too_small_is_seen(tmp_path: Path) -> None:
    """The classic: the failure costs 10, the other node is 20 behind."""
    template = """vrrp_instance VI {{
        state BACKUP
        interface eth0
        virtual_router_id 1
        priority {priority}
        track_interface {{
            eth9 weight {weight}
        }}
        virtual_ipaddress {{
            10.0.0.1
        }}
    }}"""
    for weight, master in ((-10, "a"), (-30, "b")):
        (tmp_path / "a.conf").write_text(template.format(priority=120, weight=weight))
        (tmp_path / "b.conf").write_text(template.format(priority=100, weight=weight))
        answer = play(f"{tmp_path}/a.conf", f"{tmp_path}/b.conf", "--fail", "a:eth9", "--at", "10s")
        assert answer["outcomes"][0]["masters"] == [master]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name the configuration files"),
        ((*NODES, "--fail", "zebra"), "`zebra` is nothing that can fail here; known are a, b, eth0, eth1"),
        ((*NODES, "--fail", "a", "--at", "soon"), "`soon` is not a time"),
        ((*NODES, "--at", "3s"), "there is none"),
        ((*NODES, "--boom"), "no option `--boom`"),
        ((*NODES, "--fail"), "`--fail` needs a value"),
        ((NODES[0], NODES[0]), "two files have the same name"),
        (("nowhere.conf",), "cannot be used"),
    ],
)
def test_what_makes_no_sense_is_said(words: tuple[str, ...], said: str) -> None:
    assert said in refused(*words)
