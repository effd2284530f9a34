"""Words to values."""

from __future__ import annotations

import ipaddress
from fractions import Fraction
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepvip.config.keyword import Arg, ArgType
from keepvip.config.values import Address, Bad, Odd, is_link_local, is_multicast, read, read_address, read_prefix

SECONDS = Arg("seconds", "SECONDS", low=0, high=10**12)
BYTE = Arg("int", "N", low=0, high=255)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("255", 255), ("007", 7), ("+5", 5), (" 5", 5)],
)
def test_numbers(text: str, value: int) -> None:
    assert read(BYTE, text) == value


@pytest.mark.parametrize("text", ["256", "-1", "", "x", "0x10", "1_0", "٣", "9" * 5000, "-", "+", " "])
def test_numbers_that_are_none(text: str) -> None:
    found = read(BYTE, text)
    if text == "0x10":
        assert isinstance(found, Odd), "0 and something behind it"
    elif text == "1_0":
        assert isinstance(found, Odd)
    else:
        assert isinstance(found, Bad)
        assert found.number


def test_strict_and_lenient() -> None:
    strict = Arg("int", "N", low=0, high=255, strict=True)
    assert isinstance(read(strict, "5x"), Bad)
    found = read(BYTE, "5x")
    assert isinstance(found, Odd)
    assert (found.value, found.number) == (5, True)


def test_clamping() -> None:
    arg = Arg("int", "N", low=1, high=9, clamp_low=True, clamp_high=True)
    assert [found.value for found in (read(arg, "0"), read(arg, "10")) if isinstance(found, Odd)] == [1, 9]
    assert isinstance(read(arg, "-1"), Bad), "a minus sign on an unsigned value is an error"


def test_negative_numbers() -> None:
    arg = Arg("int", "N", low=-254, high=254)
    assert read(arg, "-254") == -254
    assert isinstance(read(arg, "-255"), Bad)


@given(st.integers(0, 999_999), st.integers(0, 999_999))
def test_seconds_are_exact(whole: int, micro: int) -> None:
    assert read(SECONDS, f"{whole}.{micro:06d}") == whole * 1_000_000 + micro


@given(st.integers(0, 1000), st.text("0123456789", min_size=1, max_size=12))
def test_seconds_are_rounded_half_up(whole: int, fraction: str) -> None:
    exact = Fraction(f"{whole}.{fraction}") * 1_000_000
    expected = int(exact + Fraction(1, 2))
    found = read(SECONDS, f"{whole}.{fraction}")
    assert (found.value if isinstance(found, Odd) else found) == expected
    assert isinstance(found, Odd) is (exact.denominator != 1)


@pytest.mark.parametrize(("text", "value"), [("5", 5_000_000), (".5", 500_000), ("5.", 5_000_000), ("+1", 1_000_000)])
def test_forms_of_seconds(text: str, value: int) -> None:
    assert read(SECONDS, text) == value


@pytest.mark.parametrize("text", ["", ".", "-1", "x", "1e", "--1", "9" * 30])
def test_seconds_that_are_none(text: str) -> None:
    found = read(SECONDS, text)
    assert isinstance(found, Odd if text == "1e" else Bad)


@pytest.mark.parametrize("text", ["true", "on", "yes"])
def test_true(text: str) -> None:
    assert read(Arg("bool", "B"), text) is True


@pytest.mark.parametrize("text", ["True", "ON", "1", "", "tru"])
def test_neither_true_nor_false(text: str) -> None:
    assert isinstance(read(Arg("bool", "B"), text), Bad)


@given(st.ip_addresses())
def test_addresses_are_canonical(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    found = read_address(address.exploded)
    assert found is not None
    assert (ipaddress.ip_address(found.text), found.family) == (address, address.version)
    if address.version == 4:
        assert is_multicast(found) is address.is_multicast
    assert is_link_local(found.text) is (address.version == 6 and address in LINK_LOCAL)


LINK_LOCAL = ipaddress.ip_network("fe80::/10")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ff02::12", True),
        ("ff12::1", True),
        ("ff05::1", False),
        ("ff0e::1", False),
        ("fe80::1", False),
        ("f0::2", False),
    ],
)
def test_multicast_of_ipv6_is_link_local(text: str, *, expected: bool) -> None:
    assert is_multicast(Address(text, 6)) is expected


@pytest.mark.parametrize("text", ["192.0.2.1/24", "192.0.2.1-9"])
def test_what_follows_a_host_address_is_cut(text: str) -> None:
    assert read_address(text) == Address("192.0.2.1", 4)


@given(st.ip_addresses(), st.integers(0, 200))
def test_prefixes(address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int) -> None:
    found = read_prefix(f"{address}/{length}")
    if length <= address.max_prefixlen:
        assert isinstance(found, Address)
        assert found.prefix_len == length
    else:
        assert isinstance(found, Bad)


@given(st.text(max_size=30))
def test_no_text_raises(text: str) -> None:
    for kind in get_args(ArgType):
        if kind in {"script", "command", "regex"}:
            continue  # read from the line, not from a word
        read(Arg(kind, "X", low=0, high=9, choices=("a",) if kind == "choice" else ()), text)


@pytest.mark.parametrize(("text", "value"), [("0177", 0o177), ("127", 127), ("0x1ff", 0o777), ("IRWXG|IXOTH", 0o71)])
def test_file_mode_masks(text: str, value: int) -> None:
    assert read(Arg("umask", "MASK"), text) == value


@pytest.mark.parametrize(
    ("arg", "text"),
    [
        (Arg("int", "N", low=1, high=255), "1..255"),
        (Arg("int", "N", low=1, unit="seconds"), "1 or more seconds"),
        (Arg("seconds", "S", low=10_000, high=255_000_000, unit="seconds"), "0.01..255 seconds"),
        (Arg("choice", "C", choices=("a", "b", "c")), "a, b or c"),
        (Arg("bool", "B"), "true, on, yes, false, off or no"),
        (Arg("int", "N", low=0, high=9, choices=("MTU",)), "MTU or 0..9"),
    ],
)
def test_ranges_are_readable(arg: Arg, text: str) -> None:
    assert arg.range_text == text
