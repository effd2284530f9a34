"""The words of one entry line, read one after the other, as routes and rules need it: with types before the destination
and lists of parameters behind some options, where `read_options` knows options with fixed arguments only."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from keepvip.config import values
from keepvip.config.diagnostic import ConfigTestClass
from keepvip.config.settings import check_support, checked, is_refused
from keepvip.config.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keepvip.config.keyword import Arg, Keyword
    from keepvip.config.settings import Context
    from keepvip.config.source import Span
    from keepvip.config.tree import Node

__all__ = ["DroppedError", "Words"]


class DroppedError(Exception):
    """The entry cannot be used; a diagnostic says why."""


class Words:
    """A cursor over the words of a line. What is wrong is reported with its place and raises `DroppedError`."""

    def __init__(self, ctx: Context, node: Node, what: str) -> None:
        """`what`: what the entry is called in messages: route, rule."""
        self.ctx = ctx
        self.node = node
        self.what = what
        self.words = (node.keyword, *node.args)
        self.at = 0

    @property
    def more(self) -> bool:
        """Whether a word is left."""
        return self.at < len(self.words)

    def peek(self) -> str:
        """The next word; empty at the end."""
        return self.words[self.at] if self.more else ""

    def take(self, of: str = "", expected: str = "") -> str:
        """The next word; without one the option `of` lacks its argument."""
        if not self.more:
            self.fail("missing-parameter", f"`{of}` lacks its argument", self.place(self.at), expected=expected)
        self.at += 1
        return self.words[self.at - 1]

    def take_if(self, choices: Iterable[str]) -> str | None:
        """The next word if it is one of these."""
        return self.take() if self.peek() in choices else None

    def value(self, option: Keyword, index: int = 0) -> object:
        """The next word, read by the declaration of the option's argument `index`."""
        arg = option.args[index]
        text = self.take(option.name, arg.range_text)
        value = checked(self.ctx, arg, text, self.here, option.name)
        if is_refused(value):
            self.give_up()
        return value

    def integer(self, of: str, arg: Arg) -> int:
        """The next word as a number within the bounds of `arg`."""
        text = self.take(of, arg.range_text)
        value = checked(self.ctx, arg, text, self.here, of)
        if not isinstance(value, int):
            self.give_up()
        return value

    def address(self, of: str, family: int | None = None) -> values.Address:
        """The next word as an address without prefix length, of this family if one is given."""
        text = self.take(of, "an address")
        found = values.read_prefix(text)
        if not isinstance(found, values.Address) or found.prefix_len is not None:
            self.fail("invalid-value", f"`{of}`: `{text}` is not an address", self.here, expected="an address")
        if family is not None and found.family != family:
            self.fail("family-mismatch", f"`{of}`: `{text}` is not an IPv{family} address", self.here)
        return found

    def prefix(self, of: str) -> values.Address:
        """The next word as ADDRESS[/LENGTH], with its length."""
        text = self.take(of, "ADDRESS[/LENGTH]")
        found = values.read_prefix(text)
        if not isinstance(found, values.Address):
            why = found.message if found is not None else "is not an address"
            self.fail("invalid-value", f"`{of}`: `{text}` {why}", self.here, expected="ADDRESS[/LENGTH]")
        length = found.prefix_len if found.prefix_len is not None else 32 if found.family == 4 else 128
        return values.Address(found.text, found.family, length)

    def interface(self, of: str) -> str:
        """The next word as the name of an interface that exists, or need not."""
        name = self.take(of, "an interface")
        if not self.ctx.interface_exists(name):
            self.fail(
                "unknown-interface",
                f"there is no interface `{name}`",
                self.here,
                hint=self.ctx.interface_hint(name) or "with dynamic_interfaces it need not exist yet",
                kind=ConfigTestClass.WARNING,
            )
        return name

    def support(self, option: Keyword) -> None:
        """Says what the option that was just taken comes to, if it is deprecated or without effect."""
        check_support(self.ctx, self.node, option, self.here)

    def unknown(self, options: Iterable[str]) -> NoReturn:
        """The word that was just taken means nothing here."""
        word = self.words[self.at - 1]
        article = "an" if self.what[:1] in "aeiou" else "a"
        self.fail("unknown-option", f"`{word}` is not an option of {article} {self.what}", self.here,
                  hint=did_you_mean(word, options))  # fmt: skip

    def fail(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        *,
        expected: str = "",
        hint: str = "",
        kind: ConfigTestClass = ConfigTestClass.GENERAL,
    ) -> NoReturn:
        """Reports an error, and gives the entry up."""
        self.ctx.diagnostics.error(
            code, f"{message}: the {self.what} is dropped", span or self.node.statement_span, expected=expected,
            hint=hint, kind=kind,
        )  # fmt: skip
        raise DroppedError

    def give_up(self) -> NoReturn:
        """What is wrong was said."""
        self.ctx.diagnostics.error("dropped-entry", f"this {self.what} is dropped", self.node.statement_span)
        raise DroppedError

    def warn(self, code: str, message: str, span: Span | None = None) -> None:
        """It works, otherwise than written."""
        self.ctx.diagnostics.warning(code, message, span or self.node.statement_span, kind=ConfigTestClass.GENERAL)

    @property
    def here(self) -> Span:
        """Place of the word that was just taken."""
        return self.place(self.at - 1)

    def place(self, index: int) -> Span:
        """Place of a word; behind the last one an empty place."""
        return self.node.span if index <= 0 else self.node.arg_span(index - 1)
