"""The numbers against the kernel's own header."""

import re
from pathlib import Path

import pytest

from keepvip import _ipvs_abi, _ipvs_py

HEADER = Path("/usr/include/linux/ip_vs.h")
NUMBERS = Path(__file__).parents[3] / "cython/keepvip/_ipvs_numbers.pxd"

# Short names of the codec -> the header's.
PREFIXES = {"CMD_ATTR": "IPVS_CMD_ATTR", "SVC": "IPVS_SVC_ATTR", "DEST": "IPVS_DEST_ATTR", "DAEMON": "IPVS_DAEMON_ATTR"}
LONG = {
    "DAEMON_GROUP": "DAEMON_MCAST_GROUP",
    "DAEMON_GROUP6": "DAEMON_MCAST_GROUP6",
    "DAEMON_ID": "DAEMON_SYNC_ID",
    "DAEMON_IFN": "DAEMON_MCAST_IFN",
    "DAEMON_MAXLEN": "DAEMON_SYNC_MAXLEN",
    "DAEMON_PORT": "DAEMON_MCAST_PORT",
    "DAEMON_TTL": "DAEMON_MCAST_TTL",
    "DEST_ACTIVE": "DEST_ACTIVE_CONNS",
    "DEST_FAMILY": "DEST_ADDR_FAMILY",
    "DEST_INACTIVE": "DEST_INACT_CONNS",
    "DEST_LOWER": "DEST_L_THRESH",
    "DEST_METHOD": "DEST_FWD_METHOD",
    "DEST_PERSISTENT": "DEST_PERSIST_CONNS",
    "DEST_UPPER": "DEST_U_THRESH",
    "SVC_PE": "SVC_PE_NAME",
    "SVC_SCHED": "SVC_SCHED_NAME",
    "CMD_ATTR_TCP": "CMD_ATTR_TIMEOUT_TCP",
    "CMD_ATTR_TCP_FIN": "CMD_ATTR_TIMEOUT_TCP_FIN",
    "CMD_ATTR_UDP": "CMD_ATTR_TIMEOUT_UDP",
}


@pytest.fixture(scope="module")
def header() -> dict[str, int]:
    if not HEADER.exists():
        pytest.skip(f"{HEADER} is not installed (linux-libc-dev)")
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
    found = {
        name: int(value, 0) for name, value in re.findall(r"#define\s+(\w+)\s+(0x\w+|\d+)\s*$", text, re.MULTILINE)
    }
    for body in re.findall(r"enum\s*{(.*?)}", text, re.DOTALL):
        for number, entry in enumerate(filter(None, map(str.strip, body.split(",")))):
            found[entry.split("=")[0].strip()] = number
    return found


def official(name: str) -> str:
    name = LONG.get(name, name)
    prefix = next(prefix for prefix in PREFIXES if name.startswith(f"{prefix}_"))
    return PREFIXES[prefix] + name[len(prefix) :]


def test_commands_flags_and_names(header: dict[str, int]) -> None:
    ours = {name: value for name, value in vars(_ipvs_abi).items() if name.isupper() and isinstance(value, int)}
    theirs = {
        **{name: header[f"IPVS_{name}"] for name in ours if name.startswith("CMD_")},
        **{name: header[f"IP_VS_{name}"] for name in ours if name.startswith(("SVC_F_", "STATE_"))},
        **{name: header[f"IP_VS_CONN_F_{name[4:]}"] for name in ours if name.startswith("FWD_")},
        "TUNNEL_IPIP": header["IP_VS_CONN_F_TUNNEL_TYPE_IPIP"],
        "TUNNEL_GUE": header["IP_VS_CONN_F_TUNNEL_TYPE_GUE"],
        "TUNNEL_GRE": header["IP_VS_CONN_F_TUNNEL_TYPE_GRE"],
        "NAME_MAX": header["IP_VS_SCHEDNAME_MAXLEN"] - 1,
    }
    assert {name: ours[name] for name in theirs} == theirs


def test_attributes_of_the_cython_module(header: dict[str, int]) -> None:
    blocks = re.findall(r"cdef enum:  # IPVS_\w+_ATTR_\*\n((?:    .*\n)+)", NUMBERS.read_text())
    ours = {name: int(value) for block in blocks for name, value in re.findall(r"(\w+) = (\d+)", block)}
    assert len(ours) == 6 + 12 + 15 + 8
    assert ours == {name: header[official(name)] for name in ours}


def test_attributes_of_the_python_module(header: dict[str, int]) -> None:
    ours = {
        name[1:] if not name.startswith("_CMD_") else f"CMD_ATTR{name[4:]}": value
        for name, value in vars(_ipvs_py).items()
        if re.match(r"_(CMD|SVC|DEST|DAEMON)_[A-Z0-9_]+$", name)
    }
    assert len(ours) == 6 + 12 + 15 + 8
    assert ours == {name: header[official(name)] for name in ours}
