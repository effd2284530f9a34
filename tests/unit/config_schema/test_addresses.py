"""Address entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepvip.config.facts import HostFacts, Interface
from keepvip.config.load import load
from keepvip.config.model import VirtualAddress

if TYPE_CHECKING:
    from keepvip.config.load import LoadResult

    from .conftest import Compile


def file(*entries: str) -> str:
    lines = "\n".join(entries)
    return (
        "vrrp_instance a {\ninterface eth0\nvirtual_router_id 5\nno_virtual_ipaddress\n"
        f"virtual_ipaddress_excluded {{\n{lines}\n}}\n}}\n"
    )


def found(result: LoadResult) -> tuple[VirtualAddress, ...]:
    assert result.config is not None
    return result.config.instances[0].excluded


def codes(result: LoadResult) -> list[str]:
    return [one.code for one in result.diagnostics]


def v4(address: str = "192.0.2.1", prefix_len: int = 32, **fields: Any) -> VirtualAddress:
    return VirtualAddress(address=address, prefix_len=prefix_len, family=4, **fields)


def v6(address: str = "2001:db8::1", prefix_len: int = 128, **fields: Any) -> VirtualAddress:
    fields.setdefault("preferred_lft_s", 0 if prefix_len == 128 else None)
    fields.setdefault("nodad", True)
    return VirtualAddress(address=address, prefix_len=prefix_len, family=6, **fields)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("192.0.2.1", v4()),
        ("192.0.2.1/24", v4(prefix_len=24)),
        ("192.0.2.1/0", v4(prefix_len=0)),
        ("192.0.2.1/24 dev eth1", v4(prefix_len=24, dev="eth1")),
        ("192.0.2.1/24 brd +", v4(prefix_len=24, brd="192.0.2.255")),
        ("192.0.2.1/24 brd -", v4(prefix_len=24, brd="192.0.2.0")),
        ("192.0.2.77/30 broadcast +", v4("192.0.2.77", 30, brd="192.0.2.79")),
        ("192.0.2.1 brd 192.0.2.7", v4(brd="192.0.2.7")),
        ("192.0.2.1 label eth0:1", v4(label="eth0:1")),
        ("192.0.2.1 scope link", v4(scope=253)),
        ("192.0.2.1 scope 200", v4(scope=200)),
        ("192.0.2.1 scope global", v4()),
        ("192.0.2.1 peer 192.0.2.2", v4(peer="192.0.2.2", peer_prefix_len=32)),
        ("192.0.2.1 peer 192.0.2.2/30", v4(peer="192.0.2.2", peer_prefix_len=30)),
        ("192.0.2.1 no_track", v4(no_track=True)),
        ("192.0.2.1 home mngtmpaddr", v4(home=True, mngtmpaddr=True)),
        ("192.0.2.1 noprefixroute autojoin", v4(noprefixroute=True, autojoin=True)),
        ("2001:DB8:0::1", v6()),
        ("2001:db8::1/64", v6(prefix_len=64)),
        ("2001:db8::1/64 -nodad", v6(prefix_len=64, nodad=False)),
        ("2001:db8::1 preferred_lft forever", v6(preferred_lft_s=None)),
        ("2001:db8::1/64 preferred_lft 0", v6(prefix_len=64, preferred_lft_s=0)),
        ("2001:db8::1/64 dev eth1 home no_track", v6(prefix_len=64, dev="eth1", home=True, no_track=True)),
        ("192.0.2.1 label eth0:1 dev eth1 scope host", v4(label="eth0:1", dev="eth1", scope=254)),
        ("::ffff:192.0.2.1", v6("::ffff:192.0.2.1")),
    ],
)  # fmt: skip
def test_entries(compiled: Compile, entry: str, expected: VirtualAddress) -> None:
    result = compiled(file(entry))
    assert found(result) == (expected,)
    assert not result.diagnostics


@pytest.mark.parametrize(
    ("entry", "code", "word"),
    [
        ("192.0.2.256", "invalid-value", "192.0.2.256"),
        ("fe80:::1", "invalid-value", "fe80:::1"),
        ("192.0.2.1/24 dev eth0 dev eth1", "duplicate", "dev"),
        ("192.0.2.1/31 brd +", "invalid-value", "brd"),
        ("192.0.2.1 brd +", "invalid-value", "brd"),
        ("192.0.2.1 brd x", "invalid-value", "brd"),
        ("192.0.2.1/24 brd + peer 192.0.2.2", "contradiction", "brd"),
        ("2001:db8::1 brd +", "not-for-ipv6", "brd"),
        ("192.0.2.1 peer 2001:db8::2", "family-mismatch", "peer"),
        ("192.0.2.1 label eth0:1234567890a", "invalid-value", "label"),
        ("192.0.2.1 dev", "missing-parameter", ""),
        ("192.0.2.1 peer x", "invalid-value", "x"),
    ],
)
def test_entries_that_are_dropped(compiled: Compile, entry: str, code: str, word: str) -> None:
    result = compiled(file(entry))
    assert found(result) == ()
    (one,) = result.diagnostics
    assert one.code == code
    assert one.span is not None
    assert one.span.line.text[one.span.column - 1 :][: one.span.length] == word


@pytest.mark.parametrize(
    ("entry", "expected", "code"),
    [
        ("192.0.2.1/33", v4(), "invalid-number"),
        ("192.0.2.1/x", v4(), "invalid-number"),
        ("2001:db8::1/129", v6(), "invalid-number"),
        ("192.0.2.1/24 foo", v4(prefix_len=24), "unknown-option"),
        ("192.0.2.1 192.0.2.2", v4(), "unknown-option"),
        ("192.0.2.1 scope nonsense", v4(), "invalid-value"),
        ("2001:db8::1 scope link", v6(), "not-for-ipv6"),
        ("2001:db8::1 label x", v6(), "not-for-ipv6"),
        ("2001:db8::1 preferred_lft x", v6(), "invalid-number"),
    ],
)
def test_entries_that_are_kept_with_a_message(
    compiled: Compile, entry: str, expected: VirtualAddress, code: str
) -> None:
    result = compiled(file(entry))
    assert found(result) == (expected,)
    assert codes(result) == [code]


def test_two_addresses_on_one_line_get_a_hint(compiled: Compile) -> None:
    (one,) = compiled(file("192.0.2.1 192.0.2.2")).diagnostics
    assert one.hint == "write every entry on a line of its own"


def test_a_misspelt_option_gets_a_suggestion(compiled: Compile) -> None:
    (one,) = compiled(file("192.0.2.1 lable eth0:1")).diagnostics
    assert one.hint == "did you mean `label`?"


def test_duplicates_are_dropped(compiled: Compile) -> None:
    result = compiled(file("192.0.2.1/24", "192.0.2.1/24", "192.0.2.1/32", "192.0.2.1/24 dev eth1"))
    assert [(one.prefix_len, one.dev) for one in found(result)] == [(24, None), (32, None), (24, "eth1")]
    (one,) = result.diagnostics
    assert one.code == "duplicate"
    assert [related.span.number for related in one.related] == [6]


def test_the_same_address_twice_in_different_spelling(compiled: Compile) -> None:
    assert codes(compiled(file("2001:db8::1", "2001:DB8:0:0::1"))) == ["duplicate"]


def test_an_address_may_not_be_advertised_and_excluded(compiled: Compile) -> None:
    result = compiled(file("192.0.2.1").replace("no_virtual_ipaddress", "virtual_ipaddress {\n192.0.2.1\n}"))
    assert found(result) == ()
    assert codes(result) == ["duplicate"]


def test_an_unknown_interface_drops_the_address(compiled: Compile) -> None:
    facts = HostFacts(interfaces={"eth0": Interface("eth0")}, addresses={}, users={}, groups={}, files={}, hostname="h")
    result = compiled(file("192.0.2.1 dev eth1", "192.0.2.2"), facts)
    assert [one.address for one in found(result)] == ["192.0.2.2"]
    (one,) = result.diagnostics
    assert (one.code, one.hint) == ("unknown-interface", "did you mean `eth0`?")


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\n\r{}", codec="utf-8"), max_size=40), max_size=8))
def test_no_entry_makes_it_raise(lines: list[str]) -> None:
    load(file(*lines).encode(), config_id="here", name="t.conf")


@given(
    st.lists(
        st.sampled_from(
            ["192.0.2.1", "192.0.2.1/24", "fe80::1/64", "dev", "eth0", "brd", "+", "-", "label", "x:1", "peer", "scope",
             "link", "home", "-nodad", "preferred_lft", "forever", "0", "no_track", "use_vmac", "/", '""']
        ),
        max_size=8,
    )
)  # fmt: skip
def test_no_combination_of_words_makes_it_raise(words: list[str]) -> None:
    load(file(" ".join(words)).encode(), config_id="here", name="t.conf")
