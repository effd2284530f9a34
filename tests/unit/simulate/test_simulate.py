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
"""Master down interval of priority 99."""
SKEW_S = 157 / 256


def told(*words: str) -> str:
    done = CliRunner().invoke(simulate, list(words), standalone_mode=False)
    assert done.exception is None, (done.exception, done.output)
    return done.stdout


def play(*words: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(told(*words, "--json"))
    return answer


def refused(*words: str) -> str:
    done = CliRunner().invoke(simulate, list(words), standalone_mode=False)
    assert done.exception is not None
    return str(done.exception)


def moves(answer: dict[str, Any], node: str, new: str = "MASTER") -> list[tuple[float, str, str]]:
    """When an instance of the node moved to a state, and why."""
    return [
        (line["at_us"] / 1e6, line["event"]["instance"], line["event"]["reason"])
        for line in answer["story"]
        if line["node"] == node and line.get("event", {}).get("new") == new and "instance" in line["event"]
    ]


def outcome(answer: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [one for one in answer["outcomes"] if name in one["names"].values()]
    assert isinstance(found, dict)
    return found


def write(tmp_path: Path, **nodes: str) -> list[str]:
    """Files of nodes with one instance each, on eth0, VRID 1; the text says what differs."""
    words = []
    for name, text in nodes.items():
        path = tmp_path / f"{name}.conf"
        path.write_text(
            "vrrp_script chk {\n script /bin/true\n}\n"
            f"vrrp_instance VI {{\n interface eth0\n virtual_router_id 1\n{text}\n"
            " virtual_ipaddress {\n 10.0.0.1\n }\n}\n"
        )
        words.append(str(path))
    return words


# The main job.


def test_a_killed_master_is_replaced_after_the_down_interval() -> None:
    answer = play(*NODES, "--fail", "a", "--at", "10s")
    first, second = moves(answer, "b")
    assert {first[1], second[1]} == {"RH_EXT", "RH_INT"}
    assert {first[2], second[2]} == {"master_down", "sync_group"}
    # The dead master's last advert left within the second before.
    assert 10 + DOWN_S - 1 <= first[0] <= 10 + DOWN_S
    for one in answer["outcomes"]:
        assert one["masters"] == ["b"]
        assert one["without_master"] == [[10_000_000, round(first[0] * 1e6)]]
        assert one["two_masters"] == []


def test_a_master_that_dies_right_after_its_advert_leaves_the_whole_interval() -> None:
    # Adverts leave at 1.003906 s and every second from there on.
    answer = play(*NODES, "--fail", "a", "--at", "10.004s")
    assert outcome(answer, "RH_EXT")["without_master_us"] / 1e6 == pytest.approx(DOWN_S, abs=0.001)


def test_a_stopped_master_is_replaced_after_the_skew() -> None:
    answer = play(*NODES, "--fail", "a:stop", "--at", "10s")
    assert moves(answer, "b")[0][0] == pytest.approx(10 + SKEW_S, abs=0.001)
    assert outcome(answer, "RH_EXT")["without_master_us"] / 1e6 == pytest.approx(SKEW_S, abs=0.001)


def test_one_cable_moves_the_whole_group_and_back() -> None:
    answer = play(*NODES, "--fail", "a:eth1", "--at", "10s", "--heal", "a:eth1", "--at", "20s", "--for", "40s")
    assert len(moves(answer, "b")) == 2
    assert len(moves(answer, "a")) == 4
    assert {reason for _, _, reason in moves(answer, "a", "FAULT")} == {"interface_down", "sync_group"}
    assert all(one["masters"] == ["a"] and one["two_masters_us"] < 1000 for one in answer["outcomes"])


def test_the_old_master_returns() -> None:
    answer = play(*NODES, "--fail", "a", "--at", "5s", "--heal", "a", "--at", "20s")
    assert moves(answer, "a")[-1][0] < 25
    one = outcome(answer, "RH_EXT")
    assert one["masters"] == ["a"]
    assert len(one["without_master"]) == 1


def test_a_split_network_shows_two_masters() -> None:
    answer = play(*NODES, "--fail", "eth0", "--at", "10s", "--fail", "eth1", "--at", "10s", "--for", "30s")
    assert all(one["masters"] == ["a", "b"] and one["two_masters_us"] > 0 for one in answer["outcomes"])


def test_a_node_that_sleeps_is_no_master_and_wakes_without_a_flap() -> None:
    answer = play(*NODES, "--fail", "a:pause=6s", "--at", "10s")
    one = outcome(answer, "RH_EXT")
    (start_us, end_us) = one["without_master"][0]
    assert start_us == 10_000_000
    assert end_us / 1e6 == pytest.approx(moves(answer, "b")[0][0])
    assert one["two_masters_us"] < 1000
    assert moves(answer, "a", "BACKUP")[-1][2] in {"late_wakeup", "sync_group"}
    steps = [(line["at_us"], line["step"]) for line in answer["story"] if "step" in line]
    assert steps == [(10_000_000, "a sleeps for 6s"), (16_000_000, "a wakes up")]


def test_a_suspended_backup_does_not_take_over_when_it_returns() -> None:
    answer = play(*NODES, "--fail", "b:suspend=9s", "--at", "10s")
    assert moves(answer, "b") == []


def test_a_node_killed_in_its_sleep_stays_dead() -> None:
    answer = play(*NODES, "--fail", "a:pause=3s", "--at", "10s", "--fail", "a", "--at", "11s")
    assert outcome(answer, "RH_EXT")["masters"] == ["b"]
    assert "a wakes up" not in [line.get("step") for line in answer["story"]]


def test_the_same_seed_plays_the_same() -> None:
    lossy = [word for lan in ("eth0", "eth1") for word in ("--fail", f"{lan}:loss=60%", "--at", "5s")]
    words = (*NODES, *lossy, "--for", "60s", "--seed", "7")
    assert play(*words) == play(*words)
    assert play(*words) != play(*words[:-1], "8")


# What it says to people.


def test_the_story_names_nodes_and_reasons() -> None:
    text = told(*NODES, "--fail", "a", "--at", "3s", "--heal", "a", "--at", "20s")
    lines = text.splitlines()
    assert lines[0].split() == ["TIME", "NODE", "INSTANCE", "STATE", "WHY"]
    assert " 3.000  a is killed" in lines
    (takeover,) = [line for line in lines if "no advert from a (priority 100) for 3.61 s" in line]
    assert takeover.split()[1:4] in (["b", "RH_EXT", "MASTER"], ["b", "RH_INT", "MASTER"])
    assert any("a (priority 100) outranks us (priority 99)" in line for line in lines)
    assert "198.18" not in text
    assert "  master at the end a" in lines
    assert any(line.startswith("  without a master  2.6") for line in lines)
    assert "  two masters       never" in lines


def test_what_never_comes_is_said(tmp_path: Path) -> None:
    (node,) = write(tmp_path, a=" priority 100")
    text = told(node, "--for", "1s")
    assert "first master      never" in text
    assert "master at the end nobody" in text


# Configurations that do not do what their author thinks.


def test_a_weight_that_is_too_small_is_seen(tmp_path: Path) -> None:
    """The classic: the failure costs 10, the other node is 20 behind."""
    for weight, master in ((-10, "a"), (-30, "b")):
        track = f" track_interface {{\n eth9 weight {weight}\n }}"
        nodes = write(tmp_path, a=f" priority 120\n{track}", b=f" priority 100\n{track}")
        answer = play(*nodes, "--fail", "a:eth9", "--at", "10s")
        assert outcome(answer, "VI")["masters"] == [master]


def test_a_script_fails_on_one_node_or_on_all(tmp_path: Path) -> None:
    track = " track_script {\n chk weight -30\n }"
    nodes = write(tmp_path, a=f" priority 120\n{track}", b=f" priority 100\n{track}")
    assert outcome(play(*nodes, "--fail", "a:chk"), "VI")["masters"] == ["b"]
    assert outcome(play(*nodes, "--fail", "chk"), "VI")["masters"] == ["a"]
    answer = play(*nodes, "--fail", "a:chk", "--heal", "a:chk", "--for", "60s")
    assert outcome(answer, "VI")["masters"] == ["a"]
    assert [line["step"] for line in answer["story"] if "step" in line] == ["chk fails on a", "chk works again on a"]


def test_a_script_without_a_weight_is_a_fault_with_its_name(tmp_path: Path) -> None:
    track = " track_script {\n chk\n }"
    nodes = write(tmp_path, a=f" priority 120\n{track}", b=f" priority 100\n{track}")
    text = told(*nodes, "--fail", "a:chk")
    assert "FAULT" in text
    assert "its tracked script chk has failed" in text


def test_another_password_makes_two_masters_and_says_why(tmp_path: Path) -> None:
    secret = " authentication {{\n auth_type PASS\n auth_pass {}\n }}"
    nodes = write(tmp_path, a=f" priority 120\n{secret.format('one')}", b=f" priority 100\n{secret.format('two')}")
    answer = play(*nodes)
    assert outcome(answer, "VI")["masters"] == ["a", "b"]
    assert "Advert from a ignored: wrong password" in told(*nodes)


def test_nopreempt_leaves_the_role_where_it_is(tmp_path: Path) -> None:
    nodes = write(tmp_path, a=" priority 120\n nopreempt", b=" priority 100")
    answer = play(*nodes, "--fail", "a", "--heal", "a", "--for", "60s")
    assert outcome(answer, "VI")["masters"] == ["b"]


def test_a_startup_delay_is_waited_for(tmp_path: Path) -> None:
    (node,) = write(tmp_path, a=" priority 100")
    Path(node).write_text("global_defs {\n vrrp_startup_delay 10\n}\n" + Path(node).read_text())
    first_us = outcome(play(node), "VI")["first_master_us"]
    assert first_us / 1e6 == pytest.approx(10 + 3 + 156 / 256, abs=0.001)


# Unicast: the real addresses of the nodes are in each other's files.


def unicast(*peers: str, source: str = "") -> str:
    own = f" unicast_src_ip {source}\n" if source else ""
    return own + " unicast_peer {\n" + "".join(f" {peer}\n" for peer in peers) + " }"


@pytest.mark.parametrize("said", [False, True])
def test_unicast_nodes_find_each_other(tmp_path: Path, *, said: bool) -> None:
    source = {node: f"192.0.2.{last}" if said else "" for node, last in (("a", 1), ("b", 2), ("c", 3))}
    nodes = write(
        tmp_path,
        a=" priority 120\n" + unicast("192.0.2.2", "192.0.2.3", source=source["a"]),
        b=" priority 110\n" + unicast("192.0.2.1", "192.0.2.3", source=source["b"]),
        c=" priority 100\n" + unicast("192.0.2.1", "192.0.2.2", source=source["c"]),
    )
    assert outcome(play(*nodes), "VI")["masters"] == ["a"]
    assert outcome(play(*nodes, "--fail", "a"), "VI")["masters"] == ["b"]
    assert "no advert from a (priority 120)" in told(*nodes, "--fail", "a")


def test_a_peer_that_was_forgotten_makes_two_masters(tmp_path: Path) -> None:
    nodes = write(
        tmp_path,
        a=" priority 120\n" + unicast("192.0.2.9", source="192.0.2.1"),
        b=" priority 100\n" + unicast("192.0.2.1", source="192.0.2.2"),
    )
    assert outcome(play(*nodes), "VI")["masters"] == ["a", "b"]


def test_an_address_that_nobody_tells_is_asked_for(tmp_path: Path) -> None:
    nodes = write(
        tmp_path,
        a=" priority 120\n" + unicast("192.0.2.2"),
        b=" priority 100\n" + unicast("192.0.2.1", "192.0.2.7"),
    )
    assert "give it a unicast_src_ip" in refused(*nodes)


# What makes no sense.


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name the configuration files"),
        ((*NODES, "--fail", "zebra"), "`zebra` is nothing that can fail here. There are a, b, eth0, eth1"),
        ((*NODES, "--fail", "eth00"), "did you mean `eth0`?"),
        ((*NODES, "--fail", "a:eth00"), "did you mean `eth0`?"),
        ((*NODES, "--fail", "eth0:los=3%"), "a network fails as a whole, or like eth0:loss=30%"),
        ((*NODES, "--fail", "eth0:loss=300%"), "like eth0:loss=30%"),
        ((*NODES, "--heal", "a:pause=3s"), "ends by itself"),
        ((*NODES, "--fail", "a", "--at", "soon"), "`soon` is not a time"),
        ((*NODES, "--fail", "a", "--at", "30s", "--for", "20s"), "before the last step"),
        ((*NODES, "--at", "3s"), "there is none"),
        ((*NODES, "--boom"), "no option `--boom`"),
        ((*NODES, "--fail"), "`--fail` needs a value"),
        ((NODES[0], NODES[0]), "two files have the same name"),
        ((f"eth0={MAIN_JOB}/master.conf", "--fail", "eth0"), "may be a node or a network"),
        (("nowhere.conf",), "cannot be used"),
    ],
)
def test_what_makes_no_sense_is_said(words: tuple[str, ...], said: str) -> None:
    assert said in refused(*words)
