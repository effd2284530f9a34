"""Decoding what the kernel sends: both codecs, every record, and bytes that are none."""

import struct
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keepvip import _ipvs, _ipvs_abi, _ipvs_py

from . import kernel
from .strategies import daemon_records, destination_records, garbage, services, u32

CODECS = pytest.mark.parametrize("codec", [_ipvs, _ipvs_py], ids=["cython", "python"])
STATS = (7, 6, 5, 1 << 40, 1 << 41, 3, 2, 1, 9, 8)
DESTINATION: _ipvs_abi.DestinationRecord = (
    *(5, 3, kernel.AF_INET, b"\x0a\x02\x00\x0b", 8080, _ipvs_abi.FWD_TUNNEL, 5, 100, 50),
    *(_ipvs_abi.TUNNEL_GUE, 6080, _ipvs_abi.TUNNEL_FLAG_CSUM, 11, 22, 33, STATS),
)


@CODECS
@given(record=services(), padded=st.booleans())
def test_service(codec: ModuleType, record: _ipvs_abi.ServiceRecord, padded: bool) -> None:
    assert codec.decode(kernel.service(record, padded=padded), kernel.FAMILY_ID) == [record]


@CODECS
@given(record=destination_records(), padded=st.booleans())
@example(record=DESTINATION, padded=True)
def test_destination(codec: ModuleType, record: _ipvs_abi.DestinationRecord, padded: bool) -> None:
    assert codec.decode(kernel.destination(record, padded=padded), kernel.FAMILY_ID) == [record]


@CODECS
@given(record=daemon_records())
def test_daemon(codec: ModuleType, record: _ipvs_abi.DaemonRecord) -> None:
    assert codec.decode(kernel.daemon(record), kernel.FAMILY_ID) == [record]


@CODECS
@given(seq=u32, a=u32, b=u32, c=u32)
def test_config_and_info(codec: ModuleType, seq: int, a: int, b: int, c: int) -> None:
    config: _ipvs_abi.ConfigRecord = (12, seq, a, b, c)
    info: _ipvs_abi.InfoRecord = (14, seq, a, b)
    assert codec.decode(kernel.config(config) + kernel.info(info), kernel.FAMILY_ID) == [config, info]


@CODECS
def test_a_dump_of_several_messages_and_its_end(codec: ModuleType) -> None:
    data = kernel.destination(DESTINATION) * 3 + kernel.done(3)
    assert codec.decode(data, kernel.FAMILY_ID) == [DESTINATION] * 3 + [(_ipvs_abi.DONE, 3, 0)]


@CODECS
def test_answers_to_requests(codec: ModuleType) -> None:
    data = kernel.ack(1, 0) + kernel.ack(2, 17, bytes(40)) + kernel.done(3, 12) + kernel.message(1, 4, b"")
    assert codec.decode(data, kernel.FAMILY_ID) == [
        (_ipvs_abi.ACK, 1, 0),
        (_ipvs_abi.ACK, 2, 17),
        (_ipvs_abi.DONE, 3, 12),
    ]


@CODECS
def test_number_of_the_family(codec: ModuleType) -> None:
    attributes = (
        kernel.attribute(2, b"IPVS\0") + kernel.attribute(1, struct.pack("=H", 27)) + kernel.attribute(3, bytes(4))
    )
    data = kernel.generic(1, 9, attributes, family_id=_ipvs_abi.GENL_ID_CTRL)
    assert codec.decode(data, 0) == [(_ipvs_abi.FAMILY, 9, 27, "IPVS")]


@CODECS
@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_takes_every_kind_of_buffer(codec: ModuleType, wrap: type) -> None:
    assert codec.decode(wrap(kernel.destination(DESTINATION)), kernel.FAMILY_ID) == [DESTINATION]
    assert codec.decode(wrap(b""), kernel.FAMILY_ID) == []


@CODECS
def test_old_kernel_without_family_and_wide_statistics(codec: ModuleType) -> None:
    """Before 3.18 a destination has the family of its service and says none; before 4.1 there is only STATS."""
    narrow = b"".join(
        kernel.attribute(kind, struct.pack("=Q" if kind in (4, 5) else "=I", kind * 10)) for kind in range(1, 11)
    )
    body = kernel.attribute(1, b"\x0a\0\0\x01".ljust(16, b"\0")) + kernel.attribute(2, b"\0\x50")
    data = kernel.generic(5, 1, kernel.attribute(2, body + kernel.attribute(10, narrow)))
    (record,) = codec.decode(data, kernel.FAMILY_ID)
    assert record[2:5] == (0, b"\x0a\0\0\x01".ljust(16, b"\0"), 80)
    assert record[-1] == tuple(range(10, 110, 10))


@CODECS
def test_unknown_attributes_are_skipped(codec: ModuleType) -> None:
    body = kernel.attribute(1, struct.pack("=H", kernel.AF_INET6)) + kernel.attribute(5, struct.pack("=I", 42))
    data = kernel.generic(
        1,
        1,
        kernel.attribute(99, b"news") + kernel.attribute(1, kernel.attribute(0x3FFF, b"x") + body),
    )
    assert codec.decode(data, kernel.FAMILY_ID) == [(1, 1, kernel.AF_INET6, 0, b"", 0, 42, "", 0, 0, 0, 0, "", None)]


@CODECS
def test_names_that_are_no_utf8_survive(codec: ModuleType) -> None:
    body = kernel.attribute(1, struct.pack("=I", 1)) + kernel.attribute(2, b"eth\xff0\0rest")
    (record,) = codec.decode(kernel.generic(9, 1, kernel.attribute(3, body)), kernel.FAMILY_ID)
    assert record[3] == "eth\udcff0"


ADDRESSED = kernel.attribute(1, bytes(16)) + kernel.attribute(2, b"\0\x50")


@CODECS
@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\x10", r"message at byte 0: 1 bytes left, too few for a netlink header"),
        (kernel.done(1) + b"\0" * 8, r"message at byte 20: 8 bytes left"),
        (kernel.message(kernel.FAMILY_ID, 1, b"\x05")[:-4], r"message at byte 0: 17 bytes long with 16 left"),
        (struct.pack("=IHHII", 15, 3, 0, 0, 0), r"message at byte 0: 15 bytes long with 16 left"),
        (struct.pack("=IHHII", 0xFFFFFFFF, 3, 0, 0, 0), r"message at byte 0: 4294967295 bytes long with 16 left"),
        (kernel.message(kernel.FAMILY_ID, 1, b"\x05"), r"too few for a generic netlink header"),
        (kernel.message(2, 1, b"\0\0\0"), r"too few for an error number"),
        (kernel.message(0x77, 1, b""), r"message at byte 0: unexpected type 119"),
        (kernel.generic(8, 1, b""), r"message at byte 0: unexpected IPVS command 8"),
        (kernel.generic(2, 1, b"", family_id=16), r"unexpected controller command 2"),
        (kernel.generic(5, 1, b""), r"message at byte 0: destination missing"),
        (kernel.generic(1, 1, kernel.attribute(2, b"")), r"message at byte 0: service missing"),
        (kernel.generic(9, 1, kernel.attribute(1, b"")), r"message at byte 0: daemon missing"),
        (kernel.generic(5, 1, b"\0\0\0\0"), r"message at byte 20: attribute of 0 bytes in the 4 left"),
        (kernel.generic(5, 1, struct.pack("=HH", 9, 2) + bytes(4)), r"attribute of 9 bytes in the 8 left"),
        (kernel.generic(5, 1, kernel.attribute(2, b"\0\0")), r"destination at byte 24: 2 bytes left, too few"),
        (
            kernel.generic(5, 1, kernel.attribute(2, struct.pack("=HH", 40, 1) + bytes(8))),
            r"destination at byte 24: attribute of 40 bytes in the 12 left",
        ),
        (
            kernel.generic(5, 1, kernel.attribute(2, kernel.attribute(2, b"\0"))),
            r"destination at byte 28: attribute 2 has 1 bytes instead of 2",
        ),
        (
            kernel.generic(5, 1, kernel.attribute(2, ADDRESSED + kernel.attribute(12, kernel.attribute(1, bytes(4))))),
            r"statistics at byte 60: attribute 1 has 4 bytes instead of 8",
        ),
        (kernel.generic(5, 1, kernel.attribute(2, b"")), r"destination: address of 0 bytes for address family 0"),
        (
            kernel.generic(5, 1, kernel.attribute(2, kernel.attribute(1, bytes(3)) + kernel.attribute(11, b"\x02\0"))),
            r"destination: address of 3 bytes for address family 2",
        ),
        (kernel.generic(1, 1, kernel.attribute(1, b"")), r"service: unknown address family 0"),
        (
            kernel.generic(1, 1, kernel.attribute(1, kernel.attribute(1, struct.pack("=H", 10)))),
            r"service: address of 0 bytes for address family 10",
        ),
        (
            kernel.generic(1, 1, kernel.attribute(1, kernel.attribute(7, bytes(7)))),
            r"service at byte 28: attribute 7 has 7 bytes instead of 8",
        ),
        (
            kernel.generic(9, 1, kernel.attribute(3, kernel.attribute(6, bytes(4)))),
            r"daemon at byte 28: attribute 6 has 4 bytes instead of 16",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else value.hex()[:48],
)
def test_says_what_is_wrong_and_where(codec: ModuleType, data: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        codec.decode(data, kernel.FAMILY_ID)


@CODECS
def test_every_cut_of_a_message_is_an_error(codec: ModuleType) -> None:
    whole = kernel.destination(DESTINATION, padded=True)
    for size in range(1, len(whole)):
        with pytest.raises(ValueError, match="at byte 0"):
            codec.decode(whole[:size], kernel.FAMILY_ID)


def _outcome(codec: ModuleType, data: bytes | memoryview) -> object:
    try:
        return codec.decode(data, kernel.FAMILY_ID)
    except ValueError as error:
        return str(error)


@given(data=garbage() | st.binary(max_size=64))
def test_both_codecs_agree_on_garbage(data: bytes) -> None:
    """Same records or same words; the canaries behind the data would show a read past its end as a difference."""
    expected = _outcome(_ipvs_py, data)
    room = bytearray(data + b"\xaa" * 64)
    assert _outcome(_ipvs, data) == expected
    assert _outcome(_ipvs, memoryview(room)[: len(data)]) == expected
