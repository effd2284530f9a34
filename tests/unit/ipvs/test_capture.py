"""Real answers of Linux 6.1 to the requests of the codec: capture.py set the table up and wrote them down."""

import json
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from keepvip import _ipvs, _ipvs_abi, _ipvs_py

from . import capture

pytestmark = [
    pytest.mark.parametrize("codec", [_ipvs, _ipvs_py], ids=["cython", "python"]),
    pytest.mark.skipif(sys.byteorder != "little", reason="the capture is from a little-endian machine"),
]

CAPTURE: dict[str, Any] = json.loads((Path(__file__).parent / "kernel-6.1.json").read_text())
TRAFFIC = (3, 3, 3, 180, 264, 0, 0, 0, 22, 33)
"""Three connections of one packet each, refused by the other side; the rates are those of the moment."""


def decoded(codec: ModuleType, datagrams: list[str]) -> list[Any]:
    return [record for datagram in datagrams for record in codec.decode(bytes.fromhex(datagram), CAPTURE["family_id"])]


def body(records: list[Any]) -> list[Any]:
    """All records of a dump, which must end well."""
    assert records[-1][0] == _ipvs_abi.DONE
    assert records[-1][2] == 0
    return records[:-1]


def test_services(codec: ModuleType) -> None:
    services = {record[2:7]: record[7:] for record in body(decoded(codec, CAPTURE["services"]))}
    assert services.keys() == capture.SERVICES.keys()
    for key, (scheduler, flags, mask, *rest) in capture.SERVICES.items():
        stats = TRAFFIC if key == capture.WEB else (0,) * 10
        assert services[key] == (scheduler, flags | _ipvs_abi.SVC_F_HASHED, mask, *rest, stats)


@pytest.mark.parametrize("name", capture.NAMES)
def test_destinations(codec: ModuleType, name: str) -> None:
    records = body(decoded(codec, CAPTURE["destinations"][name]))
    assert {record[2:12] for record in records} == set(capture.DESTINATIONS[capture.NAMES[name]])


def test_counters_of_a_destination(codec: ModuleType) -> None:
    """Three connections are open as far as IPVS saw; persistence made a template of its own."""
    records = body(decoded(codec, CAPTURE["destinations"]["WEB"]))
    (busy,) = [record for record in records if record[15] == TRAFFIC]
    assert busy[2:4] == (socket.AF_INET6, capture.v6("fd02::13"))
    assert busy[12:15] == (3, 0, 1)


def test_daemons(codec: ModuleType) -> None:
    master, backup = body(decoded(codec, CAPTURE["daemons"]))
    assert master[2:] == capture.DAEMONS[0]
    # What was left to the kernel it has chosen: the longest payload that fits the interface (MTU 1500, IPv6, UDP).
    assert backup[2:] == (*capture.DAEMONS[1][:3], 1500 - 40 - 8, *capture.DAEMONS[1][4:])


def test_config_and_info(codec: ModuleType) -> None:
    ((*_, tcp_s, tcp_fin_s, udp_s),) = decoded(codec, CAPTURE["config"])
    assert (tcp_s, tcp_fin_s, udp_s) == capture.TIMEOUTS_S
    ((*_, version, table_size),) = decoded(codec, CAPTURE["info"])
    assert (version, table_size) == (0x010201, 4096)


def test_family(codec: ModuleType) -> None:
    ((kind, _, number, name),) = decoded(codec, CAPTURE["family"])
    assert (kind, number, name) == (_ipvs_abi.FAMILY, CAPTURE["family_id"], "IPVS")


def test_answers(codec: ModuleType) -> None:
    assert [record[2] for record in decoded(codec, CAPTURE["refused"])] == [17]  # EEXIST
    assert [record[2] for record in decoded(codec, CAPTURE["acknowledged"])] == [0]


def test_nothing_was_left(codec: ModuleType) -> None:
    assert [record[0] for record in decoded(codec, CAPTURE["empty"])] == [_ipvs_abi.DONE] * 2
