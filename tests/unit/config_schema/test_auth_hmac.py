"""`auth_hmac` (config-keywords.md 7.6): keys from everywhere, and every way for the extension to be off."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from keepvip.config.facts import HostFacts
from keepvip.config.load import load
from keepvip.config.model_auth import AuthHmac, HmacKey
from keepvip.config.plan import plan

from .test_pair import between

if TYPE_CHECKING:
    from pathlib import Path

    from keepvip.config.load import LoadResult

    from .conftest import Compile

TEXT = "0123456789abcdef0123456789abcdef"
HEX = "hex:" + "a5" * 32
KEYS = f"key 1 {TEXT}\nkey 2 {HEX}\nactive_key 1"


def file(lines: str = KEYS, more: str = "", priority: int = 100) -> str:
    return (
        f"vrrp_instance v {{\ninterface eth0\nvirtual_router_id 5\npriority {priority}\nversion 3\n{more}\n"
        f"auth_hmac {{\n{lines}\n}}\nvirtual_ipaddress {{\n192.0.2.1\n}}\n}}\n"
    )


def found(result: LoadResult) -> AuthHmac | None:
    assert result.config is not None, list(result.diagnostics)
    return result.config.instances[0].auth_hmac


def codes(result: LoadResult) -> list[str]:
    return [one.code for one in result.diagnostics]


def test_what_it_comes_to(compiled: Compile) -> None:
    result = compiled(file())
    assert not list(result.diagnostics)
    assert found(result) == AuthHmac(
        keys=(HmacKey(number=1, secret=TEXT.encode()), HmacKey(number=2, secret=b"\xa5" * 32)), active_key=1
    )
    assert TEXT not in repr(result.config)


@pytest.mark.parametrize(
    ("interval", "lines", "window"),
    [("1", "", 5), ("2.5", "", 6), ("40", "", 120), ("0.5", "", 5), ("1", "time_window 300", 300)],
)
def test_window(compiled: Compile, interval: str, lines: str, window: int) -> None:
    hmac = found(compiled(file(f"{KEYS}\n{lines}", f"advert_int {interval}")))
    assert hmac is not None
    assert hmac.time_window_s == window


def test_modes(compiled: Compile) -> None:
    hmac = found(compiled(file(f"{KEYS}\nmode receive-only\nanti_replay monotonic")))
    assert hmac is not None
    assert (hmac.mode, hmac.monotonic) == ("receive-only", True)
    strict = compiled(file(f"{KEYS}\nmode permissive", "strict_mode"))
    corrected = found(strict)
    assert corrected is not None
    assert corrected.mode == "enforce"
    assert "contradiction" in codes(strict)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (f"active_key 1\nkey 1 {TEXT[:31]}", ["invalid-key", "no-authentication"]),
        ("active_key 1\nkey 1 hex:" + "a5" * 65, ["invalid-key", "no-authentication"]),
        ("active_key 1\nkey 1 hex:xyz", ["invalid-key", "no-authentication"]),
        ("active_key 1\nkey 1 file:relative", ["invalid-key", "no-authentication"]),
        ("active_key 1\nkey 1 file:/nowhere", ["invalid-key", "no-authentication"]),
        (f"key 1 {TEXT}", ["no-authentication"]),
        (f"key 1 {TEXT}\nactive_key 2", ["no-authentication"]),
        ("active_key 2", ["no-authentication"]),
    ],
)
def test_off(compiled: Compile, lines: str, said: list[str]) -> None:
    facts = HostFacts(interfaces={}, users={}, groups={}, files={}, contents={})
    result = compiled("global_defs {\ndynamic_interfaces\n}\n" + file(lines), facts)
    assert found(result) is None
    assert sorted(code for code in codes(result) if code in {"invalid-key", "no-authentication"}) == said


def test_a_second_key_of_the_same_number_is_ignored(compiled: Compile) -> None:
    result = compiled(file(f"{KEYS}\nkey 1 {HEX}"))
    hmac = found(result)
    assert hmac is not None
    assert (len(hmac.keys), hmac.keys[0].secret, codes(result)) == (2, TEXT.encode(), ["duplicate-key"])


def test_it_takes_the_place_of_the_password(compiled: Compile) -> None:
    result = compiled(file(KEYS, "authentication {\nauth_type PASS\nauth_pass x\n}").replace("version 3", "version 2"))
    assert result.config is not None
    assert result.config.instances[0].authentication is None
    assert codes(result) == ["authentication-ignored"]


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
@pytest.mark.parametrize("text", [TEXT, HEX])
def test_secrets_from_a_file(tmp_path: Path, text: str, ending: str) -> None:
    path = tmp_path / "key"
    path.write_bytes((text + ending).encode())
    path.chmod(0o600)
    conf = "global_defs {\ndynamic_interfaces\n}\n" + file(f"key 1 file:{path}\nactive_key 1")
    result = load(conf.encode(), config_id="x", facts=HostFacts(), name="t.conf")
    hmac = found(result)
    assert hmac is not None
    assert hmac.keys[0].secret == (TEXT.encode() if text is TEXT else b"\xa5" * 32)
    assert "secret-exposed" not in codes(result)


def test_a_file_that_others_can_read_is_a_finding_and_used(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(TEXT)
    path.chmod(0o640)
    conf = "global_defs {\ndynamic_interfaces\n}\n" + file(f"key 1 file:{path}\nactive_key 1")
    result = load(conf.encode(), config_id="x", facts=HostFacts(), name="t.conf")
    assert found(result) is not None
    assert "secret-exposed" in codes(result)


def test_a_pipe_is_no_secret(tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "pipe", 0o600)
    conf = "global_defs {\ndynamic_interfaces\n}\n" + file(f"key 1 file:{path}\nactive_key 1")
    assert found(load(conf.encode(), config_id="x", facts=HostFacts(), name="t.conf")) is None


@pytest.mark.parametrize(
    ("left", "right", "differ"),
    [
        (KEYS, KEYS, False),
        (KEYS, KEYS.replace("active_key 1", "active_key 2"), False),
        (KEYS, f"key 2 {HEX}\nactive_key 2", True),
        (KEYS, KEYS.replace("abcdef", "abcdee"), True),
        (f"{KEYS}\nmode receive-only", f"{KEYS}\nmode permissive", False),
        (f"{KEYS}\nmode receive-only", f"{KEYS}\nmode enforce", True),
        (KEYS, f"{KEYS}\nanti_replay monotonic", True),
    ],
)
def test_two_nodes(left: str, right: str, differ: bool) -> None:
    said = [one.code for one in between(file(left), file(right, priority=90))]
    assert said == (["authentication-differs"] if differ else [])


def test_a_node_without_it_is_deaf() -> None:
    plain = file().replace(f"auth_hmac {{\n{KEYS}\n}}", "").replace("priority 100", "priority 90")
    assert [one.code for one in between(file(), plain)] == ["authentication-differs"]
    assert not list(between(file(f"{KEYS}\nmode receive-only"), plain))


@pytest.mark.parametrize(
    ("old", "new", "moves"),
    [
        (KEYS, KEYS.replace("active_key 1", "active_key 2"), False),
        (f"key 1 {TEXT}\nactive_key 1", KEYS, False),
        (f"key 1 {TEXT}\nactive_key 1", f"key 2 {HEX}\nactive_key 2", True),
        (f"{KEYS}\nmode receive-only", f"{KEYS}\nmode permissive", True),
        (f"{KEYS}\nmode permissive", KEYS, False),
    ],
)
def test_reload(compiled: Compile, old: str, new: str, moves: bool) -> None:
    before, after = compiled(file(old)).config, compiled(file(new)).config
    assert before is not None
    assert after is not None
    (change,) = plan(before, after).changed
    assert change.settings_changed == ("auth_hmac",)
    assert (change.transition is not None) is moves
