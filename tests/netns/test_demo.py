"""`keepvip lab` and `keepvip lab demo` as a user starts them."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from keepvip.lab import Keepvip, tshark
from keepvip.lab.janitor import DIRECTORY_PREFIX

pytestmark = pytest.mark.root

KEEPVIP = str(Path(sys.prefix, "bin", "keepvip"))


@pytest.fixture(autouse=True)
def installed() -> None:
    if complaint := Keepvip.missing():
        pytest.skip(complaint)


def directories_of(pid: int) -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob(f"{DIRECTORY_PREFIX}{pid}.*"))


def test_demo_holds_all_it_expects(tmp_path: Path) -> None:
    pcap = tmp_path / "demo.pcap"
    start = time.monotonic()
    done = subprocess.run(
        [KEEPVIP, "lab", "demo", "--plain", "--pcap", str(pcap)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - start < 60
    assert "NOT OK" not in done.stdout
    assert "takeover after kill -9" in done.stdout
    assert "mail: " in done.stdout
    if tshark.available():
        # That an address moves from one MAC to another is what the demo is about; Wireshark warns of it.
        assert [line for line in tshark.complaints(pcap) if "Duplicate IP address" not in line] == []
        assert len(tshark.fields(pcap, "vrrp", "vrrp.virt_rtr_id")) > 50


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_lab_ends_on_a_signal_and_leaves_nothing(number: int) -> None:
    with subprocess.Popen(
        [KEEPVIP, "lab", "--nodes", "3", "--plain"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as lab:
        assert lab.stdout is not None
        said = ""
        for line in lab.stdout:
            said += line
            if "MASTER: first advert" in line:
                break
        assert "MASTER: first advert, priority 100" in said
        assert directories_of(lab.pid)
        lab.send_signal(number)
        assert lab.wait(20) == 0, said
    assert not directories_of(lab.pid)


def test_lab_takes_a_file_for_each_node(tmp_path: Path) -> None:
    """Interfaces, LANs and pings follow from the files."""
    files = []
    for number, priority in enumerate((120, 110)):
        path = tmp_path / f"{number}.conf"
        path.write_text(
            "vrrp_instance X {\n    interface lan7\n    virtual_router_id 9\n    version 3\n    advert_int 0.2\n"
            f"    priority {priority}\n    virtual_ipaddress {{\n        10.77.0.1/32\n    }}\n}}\n"
        )
        files += ["--conf", str(path)]
    done = subprocess.run(
        [KEEPVIP, "lab", *files, "--plain", "--for", "4"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "VRID 9 on lan7 MASTER: first advert, priority 120" in done.stdout


def test_lab_says_what_is_wrong() -> None:
    done = subprocess.run(
        [KEEPVIP, "lab", "--nodes", "2", "--program", "keepvip", "--program", "keepvip", "--program", "keepvip"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "3 programs for 2 nodes" in done.stderr
