"""What the tests of the language share: a small vocabulary and a short way to read text with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from keepvip.config.diagnostic import Diagnostics, config_test_exit_code
from keepvip.config.keyword import Arg, Block, Keyword, table
from keepvip.config.node import Node  # noqa: TC001  (a field of a struct)
from keepvip.config.tree import parse

NAME = Arg("word", "NAME")

WORDS = Block("group", "words", args=(NAME,), entry_name="member")
ENTRIES = Block("virtual_ipaddress", "entries", args=(NAME,), entry_name="address")
AUTHENTICATION = Block(
    "authentication", "keywords", table(Keyword("auth_type", (NAME,)), Keyword("auth_pass", (NAME,)))
)
INSTANCE = Block(
    "vrrp_instance",
    "keywords",
    table(
        Keyword("state", (NAME,)),
        Keyword("priority", (Arg("int", "N"),)),
        Keyword("interface", (NAME,)),
        Keyword("notify_master", (Arg("script", "SCRIPT"),)),
        Keyword("virtual_ipaddress", block=ENTRIES),
        Keyword("authentication", block=AUTHENTICATION),
        Keyword("track_interface", block=Block("track_interface", "entries", args=(NAME,))),
    ),
)
SCHEMA = Block(
    "",
    "keywords",
    table(
        Keyword(
            "global_defs",
            block=Block(
                "global_defs",
                "keywords",
                table(
                    Keyword("router_id", (NAME,)),
                    Keyword("include_check", (Arg("rest", "CHECKS", optional=True),)),
                    Keyword("random_seed", (Arg("int", "SEED"),)),
                    Keyword("notification_email", block=Block("notification_email", "words", args=(NAME,))),
                ),
            ),
        ),
        Keyword("say", (Arg("word", "WORD", optional=True, repeat=True),)),
        Keyword(
            "vrrp_sync_group", (NAME,), block=Block("vrrp_sync_group", "keywords", table(Keyword("group", block=WORDS)))
        ),
        Keyword("vrrp_instance", (NAME,), block=INSTANCE),
    ),
)
"""`say` takes anything: most tests of the stages before the tree use it."""

Tree = list[Any]


class Result(msgspec.Struct):
    """What came of a configuration."""

    nodes: list[Node]
    diagnostics: Diagnostics
    files: tuple[str, ...]

    @property
    def tree(self) -> Tree:
        """Statements as tuples of words; the content of a block is a list at the end."""
        return [_plain(node) for node in self.nodes]

    @property
    def said(self) -> list[str]:
        """The words of all `say` statements at the top level, joined."""
        return [" ".join(node.args) for node in self.nodes if node.keyword == "say"]

    @property
    def codes(self) -> list[str]:
        """Codes of all diagnostics, in order."""
        return [found.code for found in self.diagnostics]

    @property
    def places(self) -> list[tuple[str, int, int, int]]:
        """Code, line, column and length of every diagnostic that has a place."""
        return [
            (found.code, found.span.number, found.span.column, found.span.length)
            for found in self.diagnostics
            if found.span is not None
        ]

    @property
    def exit_code(self) -> int:
        """What `keepalived --config-test` would end with."""
        return config_test_exit_code(self.diagnostics)


def _plain(node: Node) -> tuple[Any, ...]:
    words: tuple[Any, ...] = (node.keyword, *node.args)
    return words if node.children is None else (*words, [_plain(child) for child in node.children])


Read = Callable[..., Result]


def read_config(source: Any, **options: Any) -> Result:
    """Reads text, bytes or, from a `Path`, a file with the small vocabulary."""
    diagnostics = Diagnostics()
    options.setdefault("config_id", "node1")
    options.setdefault("environ", {"HOME": "/root", "EMPTY": ""})
    options.setdefault("schema", SCHEMA)
    data = source.encode("utf-8", "surrogateescape") if isinstance(source, str) else source
    parsed = parse(data, diagnostics=diagnostics, name="t.conf", **options)
    return Result(parsed.nodes, diagnostics, parsed.files)


@pytest.fixture
def read() -> Read:
    """`read_config` for text, bytes and paths."""
    return read_config
