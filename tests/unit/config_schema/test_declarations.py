"""The declarations themselves: complete, consistent, and as many as keepalived registers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keepvip.config.keywords import ROOT, all_blocks

from .samples import places

if TYPE_CHECKING:
    from keepvip.config.keyword import Block, Keyword

COUNTS = {
    "": 25, "global_defs": 140, "track_group": 1, "vrrp_sync_group": 15, "garp_group": 4, "vrrp_instance": 70,
    "authentication": 2, "auth_hmac": 5, "vrrp_script": 8, "vrrp_track_process": 9, "bfd_instance": 15, "SSL": 4,
    "virtual_server": 39, "real_server": 26, "TCP_CHECK": 13, "PING_CHECK": 13, "HTTP_GET": 20, "SSL_GET": 21,
    "SMTP_CHECK": 15, "host": 13, "DNS_CHECK": 15, "UDP_CHECK": 17, "MISC_CHECK": 10, "FILE_CHECK": 2, "BFD_CHECK": 2,
    "vrrp_track_file": 3,
}  # fmt: skip
"""config-keywords.md 17. `url` and `track_file` are the names of two blocks each."""


OURS = {"vrrp_instance": {"net_namespace"}}
"""What keepalived does not have."""


def keyword_blocks() -> list[Block]:
    return [block for block in all_blocks() if block.kind == "keywords"]


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_a_block_has_the_keywords_of_the_reference(name: str, count: int) -> None:
    found = [block for block in keyword_blocks() if block.name == name]
    assert [len(block.keywords.keys() - OURS.get(name, set())) for block in found] == [count]


def test_blocks_of_one_name() -> None:
    assert sorted(len(block.keywords) for block in keyword_blocks() if block.name == "url") == [10, 11]
    assert [len(block.keywords) for block in keyword_blocks() if block.name == "track_file"] == [3]


def test_nothing_else_is_declared() -> None:
    assert {block.name for block in keyword_blocks()} == {*COUNTS, "url", "track_file"}
    assert sum(len(block.keywords) for block in keyword_blocks()) == 531 + sum(map(len, OURS.values()))


def all_keywords() -> list[tuple[str, Block, Keyword]]:
    found = [(place.id, place.block, place.keyword) for place in places()]
    for block in all_blocks():
        if block.kind == "entries":
            found += [(f"{block.name} entry.{name}", block, keyword) for name, keyword in block.keywords.items()]
    return found


@pytest.mark.parametrize(("block", "keyword"), [pytest.param(b, k, id=i) for i, b, k in all_keywords()])
def test_a_declaration_is_complete(block: Block, keyword: Keyword) -> None:
    assert block.keywords[keyword.name] is keyword
    assert keyword.doc.endswith("."), "one or two sentences"
    assert keyword.tier in {"A", "B", "C"}
    if block.kind == "keywords":
        assert (
            keyword.default
            or block is ROOT
            or keyword.support.kind == "deprecated"
            or keyword.doc.startswith(("The same as", "Stack of"))
        )
    if keyword.support.kind == "deprecated":
        assert keyword.support.note in block.keywords
        assert block.keywords[keyword.support.note].support.kind != "deprecated"
    elif keyword.support.kind != "acts":
        assert keyword.support.note
    if keyword.support.refuses:
        assert keyword.support.consequence, "who is refused must be told why"
    # A single word such as `all` or `inet` may come before the argument that must be there.
    optional = [arg.optional for arg in keyword.args if not arg.choices]
    assert optional == sorted(optional), "optional arguments come last"
    assert not any(arg.repeat for arg in keyword.args[:-1])
    if keyword.block is not None:
        assert keyword.duplicates != "last" or keyword.name in {"authentication", "auth_hmac"}
        assert keyword.syntax.endswith("{ ... }")
    assert keyword.syntax.startswith(keyword.name)


def test_every_older_name_has_the_arguments_of_the_new_one() -> None:
    for block in all_blocks():
        for keyword in block.keywords.values():
            if keyword.support.kind == "deprecated" and block.kind == "keywords":
                instead = block.keywords[keyword.support.note]
                assert [arg.type for arg in keyword.args] == [arg.type for arg in instead.args]
