"""`global_defs` and the keywords outside of all blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keepvip.config.build_global import quote_display_name
from keepvip.config.facts import HostFacts, User
from keepvip.config.load import load
from keepvip.config.model import Config, GarpConfig, GlobalDefs

if TYPE_CHECKING:
    from keepvip.config.load import LoadResult

    from .conftest import Compile

INSTANCE = "vrrp_instance a {\ninterface eth0\nvirtual_router_id 5\nvirtual_ipaddress {\n192.0.2.1\n}\n}\n"


def host(*users: str) -> HostFacts:
    return HostFacts(
        interfaces={},
        addresses={},
        users={name: User(name, 1000 + index, 1000) for index, name in enumerate(users)},
        groups={"staff": 50},
        files={},
        hostname="node1",
    )


def defs(result: LoadResult) -> GlobalDefs:
    assert result.config is not None
    return result.config.global_defs


def codes(result: LoadResult) -> list[str]:
    return [found.code for found in result.diagnostics if found.code != "nothing-to-do"]


def test_mail(compiled: Compile) -> None:
    result = compiled(
        "global_defs {\nnotification_email {\na@example.com b@example.com\nc@example.com\n}\n"
        'notification_email_from "Ops (night) <ops@example.com>"\nsmtp_server mail.example.com 587\n'
        "smtp_helo_name node.example.com\nsmtp_connect_timeout 0\nno_email_faults\n}\n"
    )
    found = defs(result)
    assert found.emails == ("a@example.com", "b@example.com", "c@example.com")
    assert found.email_from == '"Ops (night)" <ops@example.com>'
    assert (found.smtp_host, found.smtp_port, found.smtp_helo_name) == ("mail.example.com", 587, "node.example.com")
    assert found.smtp_connect_timeout_s == 1, "0 becomes 1"
    assert found.no_email_faults
    assert codes(result) == ["adjusted-value"]


def test_mail_defaults(compiled: Compile) -> None:
    found = defs(compiled("global_defs {\nsmtp_server 192.0.2.25\n}\n", host("root")))
    assert (found.smtp_port, found.smtp_connect_timeout_s) == (25, 30)
    assert (found.router_id, found.smtp_helo_name) == ("node1", "node1")
    assert found.email_from == "root@node1"
    assert defs(compiled("", host("root"))).email_from == "", "only where a server is set"


def test_a_bad_port_refuses_the_server(compiled: Compile) -> None:
    result = compiled("global_defs {\nsmtp_server 192.0.2.25 0\n}\n")
    assert defs(result).smtp_host is None
    assert codes(result) == ["invalid-number"]


@pytest.mark.parametrize(
    ("sender", "quoted"),
    [
        ("a@example.com", "a@example.com"),
        ("Name <a@example.com>", "Name <a@example.com>"),
        ("First M. Last <a@example.com>", '"First M. Last" <a@example.com>'),
        ('"quoted already" <a@example.com>', '"quoted already" <a@example.com>'),
        ("back\\slash <a@example.com>", '"back\\\\slash" <a@example.com>'),
        ("<a@example.com>", "<a@example.com>"),
    ],
)
def test_display_names_are_quoted(sender: str, quoted: str) -> None:
    assert quote_display_name(sender) == quoted


def test_several_blocks_are_one(compiled: Compile) -> None:
    text = "global_defs {\nrouter_id x\nnotification_email {\na@b\n}\n}\n"
    found = defs(compiled(text + "global_defs {\nrouter_id y\nnotification_email {\nc@d\n}\n}\n"))
    assert (found.router_id, found.emails) == ("y", ("a@b", "c@d"))


LEAST = GarpConfig(delay_s=0, repeat=1, lower_prio_delay_s=0, lower_prio_repeat=1)
LATER = GarpConfig(delay_s=7, repeat=1, lower_prio_delay_s=7, lower_prio_repeat=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", GarpConfig()),
        ("vrrp_garp_master_delay 2", GarpConfig(delay_s=2, lower_prio_delay_s=2)),
        ("vrrp_garp_master_repeat 2", GarpConfig(repeat=2, lower_prio_repeat=2)),
        ("vrrp_garp_master_repeat 2\nvrrp_garp_lower_prio_repeat 0", GarpConfig(repeat=2, lower_prio_repeat=0)),
        ("vrrp_garp_interval 0.001\nvrrp_gna_interval 0.000001", GarpConfig(garp_interval_us=1000, gna_interval_us=1)),
        ("vrrp_min_garp", LEAST),
        ("vrrp_min_garp off", GarpConfig()),
        ("vrrp_garp_master_delay 7\nvrrp_min_garp", LATER),
        ("vrrp_min_garp\nvrrp_garp_master_delay 7", LATER),
        ("vrrp_garp_master_delay 5\nvrrp_min_garp", LEAST),
        ("vrrp_min_garp\nvrrp_garp_master_delay 5", GarpConfig(repeat=1, lower_prio_repeat=1)),
        ("vrrp_garp_master_refresh 60\nvrrp_garp_master_refresh_repeat 2", GarpConfig(refresh_s=60, refresh_repeat=2)),
    ],
)  # fmt: skip
def test_announcements(compiled: Compile, text: str, expected: GarpConfig) -> None:
    config = compiled(f"global_defs {{\n{text}\n}}\n{INSTANCE}").config
    assert config is not None
    assert config.instances[0].garp == expected


@pytest.mark.parametrize(
    ("text", "groups", "said"),
    [
        ("vrrp_mcast_group4 224.0.0.99", ("224.0.0.99", "ff02::12"), []),
        ("vrrp_mcast_group4 192.0.2.1", ("224.0.0.18", "ff02::12"), ["invalid-value"]),
        ("vrrp_mcast_group4 ff02::1", ("224.0.0.18", "ff02::12"), ["invalid-value"]),
        ("vrrp_mcast_group6 ff02::99", ("224.0.0.18", "ff02::99"), []),
        ("vrrp_mcast_group6 ff05::99", ("224.0.0.18", "ff05::99"), ["not-link-local"]),
        ("vrrp_mcast_group6 fe80::1", ("224.0.0.18", "ff02::12"), ["invalid-value"]),
    ],
)
def test_multicast_groups(compiled: Compile, text: str, groups: tuple[str, str], said: list[str]) -> None:
    six = INSTANCE.replace("instance a", "instance b").replace("192.0.2.1", "fe80::1")
    result = compiled(f"global_defs {{\n{text}\n}}\n{INSTANCE}{six}")
    assert result.config is not None
    assert tuple(instance.mcast_dst for instance in result.config.instances) == groups
    assert codes(result) == said


@pytest.mark.parametrize(
    ("text", "users", "user", "group"),
    [
        ("", ["root"], None, None),
        ("", ["root", "keepalived_script"], "keepalived_script", None),
        ("script_user ops", ["root", "ops", "keepalived_script"], "ops", None),
        ("script_user ops staff", ["ops"], "ops", "staff"),
        ("script_user ops :staff", ["ops"], "ops", "staff"),
        ("script_user ops :", ["ops"], "ops", None),
    ],
)
def test_script_user(compiled: Compile, text: str, users: list[str], user: str | None, group: str | None) -> None:
    found = defs(compiled(f"global_defs {{\n{text}\n}}\n", host(*users)))
    assert (found.script_user, found.script_group) == (user, group)


def test_an_unknown_script_user_is_told_with_a_suggestion(compiled: Compile) -> None:
    result = compiled("global_defs {\nscript_user opps\n}\n", host("ops"))
    (found,) = [found for found in result.diagnostics if found.code == "unknown-user"]
    assert found.hint == "did you mean `ops`?"


def test_the_rest(compiled: Compile) -> None:
    found = defs(
        compiled(
            "global_defs {\nrouter_id R1\nenable_script_security\nuse_symlink_paths\nset_supplementary_groups\n"
            "dynamic_interfaces allow_if_changes\nvrrp_startup_delay 2.5\nvrrp_delay_after_boot 60\n"
            "log_unknown_vrids\n}\n"
        )
    )
    assert found.router_id == "R1"
    assert found.enable_script_security
    assert found.use_symlink_paths
    assert found.set_supplementary_groups
    assert found.dynamic_interfaces
    assert (found.startup_delay_us, found.delay_after_boot_us) == (2_500_000, 60_000_000)
    assert found.log_unknown_vrids


def test_root_keywords(compiled: Compile) -> None:
    result = compiled(f"instance blue\ninstance green\n{INSTANCE}")
    assert isinstance(result.config, Config)
    assert (result.config.instance_name, result.config.use_pid_dir) == ("blue", True)
    assert codes(result) == ["duplicate"], "the first one wins"


def test_a_keyword_without_effect_gives_its_reason(compiled: Compile) -> None:
    (found,) = [f for f in compiled("global_defs {\nbfd_process_name x\n}\n").diagnostics if f.code == "no-effect"]
    assert "one process" in found.message


def test_an_unusable_value_leaves_the_default(compiled: Compile) -> None:
    result = compiled(f"global_defs {{\nvrrp_version 4\nvrrp_strict maybe\n}}\n{INSTANCE}")
    assert result.config is not None
    assert (result.config.instances[0].version, result.config.instances[0].strict) == (2, False)
    assert codes(result) == ["invalid-number", "invalid-value"]


@pytest.mark.parametrize(("here", "usable"), [("red", False), ("blue", True), (None, True)])
def test_interfaces_count_only_in_the_namespace_they_are_in(
    compiled: Compile, here: str | None, *, usable: bool
) -> None:
    facts = HostFacts(interfaces={}, addresses={}, users={}, groups={}, files={}, hostname="h", namespace=here)
    result = compiled("net_namespace red\n" + INSTANCE, facts)
    assert (result.config is not None) is usable
    if result.config is not None:
        assert result.config.net_namespace == "red"


def test_real_time_priority(compiled: Compile) -> None:
    assert defs(compiled("global_defs {\nvrrp_rt_priority 40\n}\n")).vrrp_rt_priority == 40
    assert defs(compiled("global_defs {\nvrrp_rt_priority 400\n}\n")).vrrp_rt_priority == 99
    assert defs(compiled("")).vrrp_rt_priority is None


@pytest.mark.parametrize(
    ("text", "mask"), [("", None), ("umask 0177", 0o177), ("umask IRWXG|IRWXO", 0o77), ("umask IRWXG | IWOTH", 0o72)]
)
def test_file_mode_mask(compiled: Compile, text: str, mask: int | None) -> None:
    assert defs(compiled(f"global_defs {{\n{text}\n}}\n")).umask == mask


def test_fifos(compiled: Compile) -> None:
    text = (
        "global_defs {\nscript_user alice\nenable_script_security\nnotify_fifo /run/a\n"
        'notify_fifo_script "/bin/r x" bob\n'
        "vrrp_notify_fifo /run/b bob staff\nfifo_write_vrrp_states_on_reload\n}\n"
    )
    result = compiled(text, host("alice", "bob"))
    found = defs(result)
    assert found.notify_fifo is not None
    assert found.notify_fifo.script is not None
    assert (found.notify_fifo.path, found.notify_fifo.user, found.notify_fifo.group) == ("/run/a", "alice", None)
    assert (found.notify_fifo.script.argv, found.notify_fifo.script.user) == (("/bin/r", "x"), "bob")
    assert found.vrrp_notify_fifo is not None
    assert (found.vrrp_notify_fifo.user, found.vrrp_notify_fifo.group) == ("bob", "staff")
    assert found.vrrp_notify_fifo.script is None
    assert found.fifo_states_on_reload


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("notify_fifo /run/a\nvrrp_notify_fifo /run/a", "same-fifo"),
        ("vrrp_notify_fifo_script /bin/true", "no-fifo"),
        ("vrrp_notify_fifo /run/a carol", "unknown-user"),
        ("vrrp_notify_fifo /run/a alice carol", "unknown-group"),
    ],
)
def test_fifos_that_are_not_used(compiled: Compile, lines: str, code: str) -> None:
    result = compiled(f"global_defs {{\n{lines}\n}}\n", host("alice"))
    assert code in codes(result)
    assert defs(result).vrrp_notify_fifo is None


@pytest.mark.parametrize(
    ("text", "cpus"), [("", ()), ("vrrp_cpu_affinity 3 1 3", (1, 3)), ("vrrp_cpu_affinity 7", (7,))]
)
def test_cpu_affinity(compiled: Compile, text: str, cpus: tuple[int, ...]) -> None:
    assert defs(compiled(f"global_defs {{\n{text}\n}}\n")).vrrp_cpu_affinity == cpus


def test_scripts_of_start_and_end(compiled: Compile) -> None:
    text = 'startup_script "/bin/true a"\nstartup_script_timeout 3\nshutdown_script /bin/false'
    found = defs(compiled(f"global_defs {{\n{text}\n}}\n"))
    assert found.startup_script is not None
    assert found.shutdown_script is not None
    assert (found.startup_script.argv, found.shutdown_script.argv) == (("/bin/true", "a"), ("/bin/false",))
    assert (found.startup_script_timeout_s, found.shutdown_script_timeout_s) == (3, 10)


def test_an_option_that_does_nothing_yet_says_so() -> None:
    text = b"global_defs {\ndynamic_interfaces allow_if_changes\n}\n"
    found = [d for d in load(text, config_id="x").diagnostics if d.code == "not-supported-yet"]
    assert ["allow_if_changes" in d.message for d in found] == [True]
    assert found[0].span is not None
    assert found[0].span.number == 2
    plain = load(text.replace(b" allow_if_changes", b""), config_id="x")
    assert not [d for d in plain.diagnostics if d.code == "not-supported-yet"]
