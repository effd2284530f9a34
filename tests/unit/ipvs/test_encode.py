"""Encoding requests: both codecs, round trips, limits, and pyroute2 as the second reader."""

import socket
import struct
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.generic import ipvs as oracle

from keepvip import _ipvs, _ipvs_abi, _ipvs_py
from keepvip._ipvs_abi import Daemon, Destination, DestinationKey, ServiceKey, ServiceOptions, ServiceRecord

from . import kernel
from .strategies import daemons, destinations, seqs, services, u8, u16, u32

CODECS = pytest.mark.parametrize("codec", [_ipvs, _ipvs_py], ids=["cython", "python"])
REQUEST = _ipvs_abi.NLM_F_REQUEST | _ipvs_abi.NLM_F_ACK
KEY: ServiceKey = (kernel.AF_INET, 6, b"\x0a\0\0\x64", 80, 0)
OPTIONS: ServiceOptions = ("wrr", _ipvs_abi.SVC_F_PERSISTENT, 0xFFFFFFFF, 300, 0xFFFFFF00, "sip")
TUNNEL: Destination = (kernel.AF_INET, b"\x0a\x02\0\x0b", 8080, _ipvs_abi.FWD_TUNNEL, 5, 100, 50, 1, 6080, 1)


def parts(record: ServiceRecord) -> tuple[ServiceKey, ServiceOptions]:
    _, _, *rest = record
    return tuple(rest[:5]), tuple(rest[5:11])  # type: ignore[return-value]  # slices of a list of mixed types


@CODECS
@given(record=services())
def test_service_round_trip(codec: ModuleType, record: ServiceRecord) -> None:
    """The request for a new service reads like the record the kernel would send of it."""
    key, options = parts(record)
    raw = codec.encode(_ipvs_abi.CMD_NEW_SERVICE, kernel.FAMILY_ID, record[1], REQUEST, key, options)
    assert codec.decode(raw, kernel.FAMILY_ID) == [(*record[:-1], None)]


def strip_service(raw: bytes) -> bytes:
    """Take the service out of a request about a destination, as the kernel leaves it out of its dump."""
    (size,) = struct.unpack_from("=H", raw, 20)
    raw = raw[:20] + raw[20 + size :]
    return struct.pack("=I", len(raw)) + raw[4:]


@CODECS
@given(seq=seqs, record=services(), destination=destinations())
def test_destination_round_trip(codec: ModuleType, seq: int, record: ServiceRecord, destination: Destination) -> None:
    key, _ = parts(record)
    raw = codec.encode(_ipvs_abi.CMD_NEW_DEST, kernel.FAMILY_ID, seq, REQUEST, key, None, destination)
    expected = (_ipvs_abi.CMD_NEW_DEST, seq, *destination, 0, 0, 0, None)
    assert codec.decode(raw, kernel.FAMILY_ID) == [expected]
    assert codec.decode(strip_service(raw), kernel.FAMILY_ID) == [expected]


@CODECS
@given(seq=seqs, daemon=daemons())
def test_daemon_round_trip(codec: ModuleType, seq: int, daemon: Daemon) -> None:
    raw = codec.encode_daemon(_ipvs_abi.CMD_NEW_DAEMON, kernel.FAMILY_ID, seq, REQUEST, daemon)
    assert codec.decode(raw, kernel.FAMILY_ID) == [(_ipvs_abi.CMD_NEW_DAEMON, seq, *daemon)]


@CODECS
@given(seq=seqs, timeouts_s=st.tuples(u32, u32, u32))
def test_config_round_trip(codec: ModuleType, seq: int, timeouts_s: tuple[int, int, int]) -> None:
    raw = codec.encode_config(kernel.FAMILY_ID, seq, REQUEST, *timeouts_s)
    assert codec.decode(raw, kernel.FAMILY_ID) == [(_ipvs_abi.CMD_SET_CONFIG, seq, *timeouts_s)]


@given(command=u8, family_id=u16, seq=seqs, flags=u16, record=services(), destination=destinations(), daemon=daemons())
def test_both_codecs_write_the_same_bytes(
    command: int,
    family_id: int,
    seq: int,
    flags: int,
    record: ServiceRecord,
    destination: Destination,
    daemon: Daemon,
) -> None:
    key, options = parts(record)
    head = (command, family_id, seq, flags)
    for rest in (
        (),
        (key,),
        (key, options),
        (key, None, destination),
        (key, None, destination[:3]),
        (key, options, destination),
    ):
        assert _ipvs.encode(*head, *rest) == _ipvs_py.encode(*head, *rest)
    assert _ipvs.encode_daemon(*head, daemon) == _ipvs_py.encode_daemon(*head, daemon)
    assert _ipvs.encode_config(*head[1:], *destination[3:6]) == _ipvs_py.encode_config(*head[1:], *destination[3:6])
    assert _ipvs.encode_get_family(seq, daemon[1]) == _ipvs_py.encode_get_family(seq, daemon[1])


@CODECS
def test_header_and_dump_request_byte_by_byte(codec: ModuleType) -> None:
    flags = _ipvs_abi.NLM_F_REQUEST | _ipvs_abi.NLM_F_DUMP
    raw = codec.encode(_ipvs_abi.CMD_GET_SERVICE, kernel.FAMILY_ID, 0x01020304, flags)
    assert raw == struct.pack("=IHHIIBBH", 20, kernel.FAMILY_ID, 0x301, 0x01020304, 0, 4, 1, 0)


@CODECS
def test_ports_and_ipv4_netmask_are_in_network_order(codec: ModuleType) -> None:
    raw = codec.encode(_ipvs_abi.CMD_NEW_DEST, kernel.FAMILY_ID, 1, REQUEST, KEY, OPTIONS, TUNNEL)
    assert struct.pack("=HH", 6, 4) + b"\x00\x50" in raw  # service port
    assert struct.pack("=HH", 8, 9) + b"\xff\xff\xff\x00" in raw  # netmask
    assert struct.pack("=HH", 6, 2) + b"\x1f\x90" in raw  # destination port
    assert struct.pack("=HH", 6, 14) + b"\x17\xc0" in raw  # tunnel port


@CODECS
def test_get_family(codec: ModuleType) -> None:
    assert codec.encode_get_family(5) == struct.pack("=IHHIIBBH", 32, 16, 1, 5, 0, 3, 1, 0) + kernel.attribute(
        2, b"IPVS\0"
    )


@CODECS
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((256, 27, 1, 1), r"^command 256 does not fit into 8 bits$"),
        ((1, 1 << 16, 1, 1), r"^family number 65536 does not fit into 16 bits$"),
        ((1, 27, 1 << 32, 1), r"^sequence number 4294967296 does not fit into 32 bits$"),
        ((1, 27, 1, -1), r"^netlink flags -1 does not fit into 16 bits$"),
        ((1, 27, 1, 1, None, OPTIONS), r"^options and destinations need a service$"),
        ((1, 27, 1, 1, (2, 6, b"\0" * 4, 65536, 0)), r"^port 65536 does not fit into 16 bits$"),
        ((1, 27, 1, 1, (2, 6, b"\0" * 16, 80, 0)), r"^address of 16 bytes for address family 2$"),
        ((1, 27, 1, 1, (3, 6, b"\0" * 4, 80, 0)), r"^address of 4 bytes for address family 3$"),
        ((1, 27, 1, 1, (2, 0, b"", 0, 1 << 32)), r"^fwmark 4294967296 does not fit into 32 bits$"),
        ((1, 27, 1, 1, KEY, ("", *OPTIONS[1:])), r"^scheduler '' is not 1 to 15 bytes without NUL$"),
        ((1, 27, 1, 1, KEY, ("x" * 16, *OPTIONS[1:])), r"^scheduler 'x+' is not 1 to 15 bytes without NUL$"),
        ((1, 27, 1, 1, KEY, ("r\0r", *OPTIONS[1:])), r"^scheduler 'r\\x00r' is not 1 to 15 bytes"),
        ((1, 27, 1, 1, KEY, (*OPTIONS[:5], "é" * 8)), r"^persistence engine 'é+' is not 1 to 15 bytes"),
        ((1, 27, 1, 1, KEY, None, (*TUNNEL[:4], -1, *TUNNEL[5:])), r"^weight -1 does not fit into 32 bits$"),
        ((1, 27, 1, 1, KEY, None, (*TUNNEL[:7], 256, 0, 0)), r"^tunnel type 256 does not fit into 8 bits$"),
        ((1, 27, 1, 1, KEY, None, (*TUNNEL[:8], 1 << 70, 0)), r"^tunnel port \d+ does not fit into 16 bits$"),
    ],
)
def test_says_what_does_not_fit(codec: ModuleType, arguments: tuple[Any, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        codec.encode(*arguments)


@CODECS
@pytest.mark.parametrize(
    ("daemon", "complaint"),
    [
        ((1, "eth0", 1, 0, b"\xe0\0\0", 0, 0), r"^multicast group of 3 bytes$"),
        ((1, "eth0", 1, 0, b"", 0, 256), r"^ttl 256 does not fit into 8 bits$"),
        ((1, "a-very-long-name", 1, 0, b"", 0, 0), r"^interface 'a-very-long-name' is not 1 to 15 bytes"),
    ],
)
def test_says_what_does_not_fit_a_daemon(codec: ModuleType, daemon: Daemon, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        codec.encode_daemon(9, 27, 1, 1, daemon)


def read_with_pyroute2(raw: bytes) -> Any:
    message = oracle.ipvsmsg(raw)
    message.decode()
    return message


@CODECS
@given(record=services())
def test_pyroute2_reads_the_same_service(codec: ModuleType, record: ServiceRecord) -> None:
    key, options = parts(record)
    message = read_with_pyroute2(codec.encode(1, kernel.FAMILY_ID, record[1], REQUEST, key, options))
    family, protocol, address, port, fwmark = key
    scheduler, flags, mask, timeout_s, netmask, engine = options
    got = message.get_attr("IPVS_CMD_ATTR_SERVICE")
    assert (message["cmd"], message["header"]["sequence_number"]) == (1, record[1])
    assert got.get_attr("IPVS_SVC_ATTR_AF") == family
    if fwmark:
        assert got.get_attr("IPVS_SVC_ATTR_FWMARK") == fwmark
    else:
        assert got.get_attr("IPVS_SVC_ATTR_PROTOCOL") == protocol
        assert got.get_attr("IPVS_SVC_ATTR_PORT") == port
        assert socket.inet_pton(family, got.get_attr("IPVS_SVC_ATTR_ADDR")) == address
    assert got.get_attr("IPVS_SVC_ATTR_SCHED_NAME") == scheduler
    assert (got.get_attr("IPVS_SVC_ATTR_PE_NAME") or "") == engine
    assert got.get_attr("IPVS_SVC_ATTR_TIMEOUT") == timeout_s
    assert {name: got.get_attr("IPVS_SVC_ATTR_FLAGS")[name] for name in ("flags", "mask")} == {
        "flags": flags,
        "mask": mask,
    }
    if family == kernel.AF_INET:
        assert socket.inet_aton(got.get_attr("IPVS_SVC_ATTR_NETMASK")) == netmask.to_bytes(4, "big")


@CODECS
@given(destination=destinations())
def test_pyroute2_reads_the_same_destination(codec: ModuleType, destination: Destination) -> None:
    message = read_with_pyroute2(codec.encode(5, kernel.FAMILY_ID, 1, REQUEST, KEY, None, destination))
    family, address, port, method, weight, upper, lower, tunnel_type, tunnel_port, tunnel_flags = destination
    got = message.get_attr("IPVS_CMD_ATTR_DEST")
    numbers = {
        "PORT": port,
        "FWD_METHOD": method,
        "WEIGHT": weight,
        "U_THRESH": upper,
        "L_THRESH": lower,
        "ADDR_FAMILY": family,
    }
    if tunnel_type or tunnel_port or tunnel_flags:
        numbers["TUN_TYPE"] = tunnel_type
        numbers["TUN_PORT"] = socket.htons(
            tunnel_port
        )  # pyroute2 0.9.7 reads it in the host's order, the kernel does not
        numbers["TUN_FLAGS"] = tunnel_flags
    assert {name: got.get_attr(f"IPVS_DEST_ATTR_{name}") for name in numbers} == numbers
    assert socket.inet_pton(family, got.get_attr("IPVS_DEST_ATTR_ADDR")) == address


def test_key_is_enough_to_delete_a_destination() -> None:
    key: DestinationKey = TUNNEL[:3]
    message = read_with_pyroute2(_ipvs.encode(_ipvs_abi.CMD_DEL_DEST, kernel.FAMILY_ID, 1, REQUEST, KEY, None, key))
    names = {name for name, _ in message.get_attr("IPVS_CMD_ATTR_DEST")["attrs"]}
    assert names == {"IPVS_DEST_ATTR_ADDR", "IPVS_DEST_ATTR_PORT", "IPVS_DEST_ATTR_ADDR_FAMILY"}
