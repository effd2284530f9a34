"""keepalived's command line: every option, every form of writing it."""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from keepvip.cli import keepvipd, run
from keepvip.cli.keepalived_options import OPTIONS
from keepvip.cli.keepvipd import interpret
from keepvip.cli.options import Effect, OptionError, Value, parse
from keepvip.daemon.settings import Settings, pid_paths, socket_path

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLE = {"S": "local3", "u": "022", "signum": "STOP"}


def given(*arguments: str) -> list[tuple[str, str | None]]:
    return [(option.name, value) for option, value in parse(arguments, OPTIONS).options]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_in_every_form(option: keepvipd.Option) -> None:
    value = SAMPLE.get(option.short or option.name, "x")
    if option.value is Value.NONE:
        assert given(f"--{option.name}") == [(option.name, None)]
        with pytest.raises(OptionError, match="takes no value"):
            given(f"--{option.name}={value}")
        if option.short:
            assert given(f"-{option.short}") == [(option.name, None)]
        return
    assert given(f"--{option.name}={value}") == [(option.name, value)]
    if option.short:
        assert given(f"-{option.short}{value}") == [(option.name, value)]
    if option.value is Value.OPTIONAL:
        assert given(f"--{option.name}", value) == [(option.name, None)]
        return
    assert given(f"--{option.name}", value) == [(option.name, value)]
    with pytest.raises(OptionError, match="needs a value"):
        given(f"--{option.name}")
    if option.short:
        assert given(f"-{option.short}", value) == [(option.name, value)]
        with pytest.raises(OptionError, match="needs a value"):
            given(f"-{option.short}")


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_acts_or_says_why_not(option: keepvipd.Option) -> None:
    value = SAMPLE.get(option.short or option.name, "x")
    words = [f"--{option.name}"] + ([value] if option.value is Value.REQUIRED else [])
    if option.effect is Effect.REFUSED:
        with pytest.raises(OptionError, match=r"not supported yet|first option"):
            interpret(words)
        return
    invocation = interpret(words)
    plain = interpret([])
    if option.effect is Effect.NOTHING:
        assert invocation == plain
        assert ":" in option.help or "there is" in option.help or "debugging" in option.help
    elif option.effect is Effect.NOT_YET:
        assert invocation.settings == plain.settings
        assert any(f"--{option.name}" in message for message in invocation.messages)
    elif option.name != "vrrp":
        assert invocation != plain


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (["-nlD"], ["dont-fork", "log-console", "log-detail"], []),
        (["-nf/etc/x", "-D"], ["dont-fork", "use-file", "log-detail"], []),
        (["-ntD", "x"], ["dont-fork", "config-test"], ["x"]),
        (["a", "-n", "b"], ["dont-fork"], ["a", "b"]),
        (["-n", "--", "-l"], ["dont-fork"], ["-l"]),
        (["--dont-f", "--config-t=y"], ["dont-fork", "config-test"], []),
        (["-"], [], ["-"]),
    ],
)
def test_getopt_rules(arguments: list[str], options: list[str], words: list[str]) -> None:
    parsed = parse(arguments, OPTIONS)
    assert [option.name for option, _ in parsed.options] == options
    assert parsed.words == words


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--nonsense"], "unknown option --nonsense"),
        (["-Z"], "unknown option -Z"),
        (["--dont"], "ambiguous: --dont-fork, --dont-release-ipvs, --dont-release-vrrp, --dont-respawn"),
    ],
)
def test_bad_options(arguments: list[str], complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        interpret(arguments)


@pytest.mark.parametrize(
    ("arguments", "check"),
    [
        ("-n", lambda s: s.foreground),
        ("-nl", lambda s: s.log.stderr and s.log.syslog),
        ("-D", lambda s: s.log.level == logging.DEBUG),
        ("-S 3", lambda s: s.log.facility == 19),
        ("-S local7", lambda s: s.log.facility == 23),
        ("-S user", lambda s: s.log.facility == 1),
        ("-G", lambda s: not s.log.syslog),
        ("-g", lambda s: s.log.file == "/tmp/keepalived.log"),
        ("-g/var/log/k", lambda s: s.log.file == "/var/log/k"),
        ("-u 022", lambda s: s.umask == 0o22),
        ("-u 0x12", lambda s: s.umask == 0o22),
        ("-u 18", lambda s: s.umask == 0o22),
        ("-V", lambda s: not s.release_on_stop),
        ("-I", lambda s: not s.release_services_on_stop),
        ("-P", lambda s: s.parts == {"vrrp"}),
        ("-C", lambda s: s.parts == {"services"}),
        ("-P -C", lambda s: s.parts == {"vrrp", "services"}),
        ("", lambda s: s.parts == {"vrrp", "services"}),
        ("-d", lambda s: s.dump_config),
        ("-p /p -r /r", lambda s: (s.pid_file, s.vrrp_pid_file) == ("/p", "/r")),
        ("-p p", lambda s: s.pid_file == str(Path.cwd() / "p")),
        ("-s blue", lambda s: s.namespace == "blue"),
        ("-m", lambda s: s.core_dump and s.core_pattern is None),
        ("-M", lambda s: s.core_dump and s.core_pattern == "core"),
        ("-M/var/core.%p", lambda s: s.core_pattern == "/var/core.%p"),
        ("-e", lambda s: s.strict_includes),
        ("-i node1", lambda s: s.config_id == "node1"),
        ("--ignore-sigint", lambda s: s.ignore_sigint),
        ("-f a.conf", lambda s: s.config_path == str(Path.cwd() / "a.conf")),
        ("--socket /s", lambda s: s.socket == "/s"),
        ("", lambda s: not s.foreground and s.drop_in and not s.refuse_errors and s.log.syslog and not s.log.stderr),
    ],
)
def test_meaning(arguments: str, check: Callable[[Settings], bool]) -> None:
    invocation = interpret(arguments.split())
    assert check(invocation.settings)
    assert not invocation.messages


@pytest.mark.parametrize("arguments", ["-S 9", "-u 0999", "-u rw", "-u 01777", "extra words"])
def test_nonsense_is_reported_and_ignored(arguments: str) -> None:
    invocation = interpret(arguments.split())
    assert invocation.settings == interpret([]).settings
    assert len(invocation.messages) == 1


def test_signum(capsys: pytest.CaptureFixture[str]) -> None:
    for name, number in keepvipd.SIGNALS.items():
        assert keepvipd.main([f"--signum={name}"]) == 0
        assert capsys.readouterr().out == f"{int(number)}\n"
    assert keepvipd.SIGNALS["JSON"] == signal.SIGRTMIN + 2
    assert keepvipd.main(["--signum=NONSENSE"]) == 1


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert keepvipd.main(["-h"]) == 0
    shown = capsys.readouterr().out
    for option in OPTIONS:
        assert f"--{option.name}" in shown
    assert keepvipd.main(["-v"]) == 0
    assert "keepvipd" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("instance", "namespace", "use_pid_dir", "expected"),
    [
        (None, None, False, ["/run/keepalived.pid", "/run/vrrp.pid"]),
        (None, None, True, ["/run/keepalived/keepalived.pid", "/run/keepalived/vrrp.pid"]),
        ("blue", None, False, ["/run/keepalived/keepalived_blue.pid", "/run/keepalived/vrrp_blue.pid"]),
        (None, "ns1", False, ["/run/keepalived/ns1/keepalived.pid", "/run/keepalived/ns1/vrrp.pid"]),
        ("blue", "ns1", True, ["/run/keepalived/ns1/keepalived_blue.pid", "/run/keepalived/ns1/vrrp_blue.pid"]),
    ],
)
def test_pid_paths_of_the_drop_in(
    instance: str | None, namespace: str | None, use_pid_dir: bool, expected: list[str]
) -> None:
    paths = pid_paths(
        Settings(drop_in=True), Path("/s"), instance=instance, namespace=namespace, use_pid_dir=use_pid_dir
    )
    assert [str(path) for path in paths] == expected


def test_paths_asked_for() -> None:
    asked = Settings(drop_in=True, pid_file="/a", vrrp_pid_file="/b", socket="/c")
    assert [str(path) for path in pid_paths(asked, Path("/s"), instance="i", namespace="n", use_pid_dir=True)] == [
        "/a",
        "/b",
    ]
    assert str(socket_path(asked, "blue", {"KEEPVIP_SOCKET": "/d"})) == "/c"
    assert str(socket_path(Settings(), "blue", {"KEEPVIP_SOCKET": "/d"})) == "/d"
    assert str(socket_path(Settings(), "blue", {})) == "/run/keepvip/blue.sock"
    assert str(socket_path(Settings(), None, {})) == "/run/keepvip/keepvip.sock"
    own = Settings()
    assert pid_paths(own, Path("/x/y.sock"), instance=None, namespace="n", use_pid_dir=True) == (Path("/x/y.pid"),)


@pytest.mark.parametrize(
    ("arguments", "check"),
    [
        ("", lambda s: s.refuse_errors and s.foreground and s.log.stderr and not s.log.syslog and not s.drop_in),
        ("", lambda s: s.config_path == "/etc/keepalived/keepalived.conf"),
        ("-f a.conf", lambda s: s.config_path == str(Path.cwd() / "a.conf")),
        ("--socket=/s --pid /p", lambda s: (s.socket, s.pid_file) == ("/s", "/p")),
        ("-i one -s blue", lambda s: (s.config_id, s.namespace) == ("one", "blue")),
        ("--log-level debug", lambda s: s.log.level == logging.DEBUG),
        ("--log-json --syslog", lambda s: s.log.json and s.log.syslog),
        ("--log-file /l", lambda s: s.log.file == "/l"),
        ("--keep-addresses", lambda s: not s.release_on_stop),
    ],
)
def test_run_options(arguments: str, check: Callable[[Settings], bool]) -> None:
    settings = run.interpret(arguments.split())
    assert settings is not None
    assert check(settings)


def test_run_help_and_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--help"]) == 0
    shown = capsys.readouterr().out
    for option in run.OPTIONS:
        assert f"--{option.name}" in shown
    for words in (["--nonsense"], ["a.conf"], ["--log-level", "loud"], ["-f"]):
        assert run.main(words) == 2
        assert "Try `keepvip run --help`" in capsys.readouterr().err
