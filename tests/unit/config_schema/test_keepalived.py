"""The same lines to Debian's keepalived 2.2.7 and to us: what `--config-test` says of each value of each keyword.

Every difference is listed with its reason. Load balancing is left out: nothing acts on it yet.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from keepvip.config.diagnostic import config_test_exit_code
from keepvip.config.facts import HostFacts
from keepvip.config.load import load

from .samples import illegal, legal, places
from .test_keywords import required_body

if TYPE_CHECKING:
    from pathlib import Path

    from .samples import Place

KEEPALIVED = shutil.which("keepalived")
pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(KEEPALIVED is None, reason="keepalived is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="keepalived tests the file of root only"),
]

REASONS: list[tuple[str, str]] = [
    (r"global_defs\.smtp_server word", "a name is resolved when a mail is sent, so that DNS cannot hold up the start"),
    (r"global_defs\.smtp_helo_name $", "2.2.7 says nothing about a missing name"),
    (r"\.user root :root|script_user root :root", "newer than 2.2.7"),
    (r"vrrp_script\.(interval|timeout)", "decimals are newer than 2.2.7"),
    (r"\b(default_interface|lvs_sync_daemon) a.*", "names that no interface can have are refused at once"),
    (r"global_defs\.(vrrp_strict|vrrp_skip_check_adv_addr)", "2.2.7 takes no value here, 2.4 does"),
    (r"global_defs\.vrrp_iptables", "Debian builds without iptables"),
    (r"_cpu_affinity 4095", "depends on the CPUs of the host"),
    (r"global_defs\.umask IRWXG", "2.2.7 does not know these names of 2.4"),
    (r"garp_group\.(interface|interfaces)", "meaning not supported yet"),
    (r"vrrp_instance\.(vrf|interface)", "2.2.7 counts an interface that does not exist in another way"),
    (r"track_file\.init_file", "2.2.7 wants the file to be missing"),
    (r"vrrp_track_file\.init_file", "as track_file"),
    (r"(startup|shutdown)_script \S", "meaning not supported yet: nothing is run, so nothing can be insecure"),
    (r"bfd_instance", "2.2.7 crashes without a neighbour, and warns of long intervals"),
    (r"vrrp_script\.script $", "2.2.7 says nothing about a missing command"),
    (r"vrrp_(instance|sync_group)$", "no name"),
    (r"global_defs\.vrrp_rx_bufs_policy", "nothing acts on it"),
]


def cases() -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for place in places():
        if any(outer.name == "virtual_server" for outer in (*place.around, place.keyword)):
            continue
        for args in values(place):
            text = " ".join(args)
            body = required_body(place)
            found[f"{place.id} {text}"] = place.file(place.header(args), body=body)[0]
    return list(found.items())


def values(place: Place) -> list[list[str]]:
    args = place.keyword.args
    found = [place.first_args()]
    for index, arg in enumerate(args):
        before = [legal(other)[0] for other in args[:index]]
        found += [[*before, value] for value in (*legal(arg), *illegal(arg))]
    if args and not args[0].optional:
        found.append([])
    return found


def test_exit_status_of_every_value(tmp_path: Path) -> None:
    facts = HostFacts()
    if "eth0" not in facts.interface_names:
        pytest.skip("the samples use eth0")

    def theirs(case: tuple[int, tuple[str, str]]) -> tuple[str, str, int, str]:
        number, (name, text) = case
        path = tmp_path / f"{number}.conf"
        path.write_text(text)
        assert KEEPALIVED is not None
        done = subprocess.run(
            [KEEPALIVED, "-t", "-f", str(path)], capture_output=True, text=True, check=False, timeout=30
        )
        return name, text, done.returncode, done.stdout + done.stderr

    unexplained = []
    compared = 0
    with ThreadPoolExecutor(2) as pool:
        for name, text, status, said in pool.map(theirs, enumerate(cases())):
            if "Unknown keyword" in said:
                continue  # newer than 2.2.7
            compared += 1
            ours = config_test_exit_code(load(text.encode(), config_id="x", facts=facts, name="t.conf").diagnostics)
            if ours != status and not any(re.search(pattern, name) for pattern, _ in REASONS):
                unexplained.append((name, status, ours, said))
    assert compared > 1000
    assert unexplained == []
