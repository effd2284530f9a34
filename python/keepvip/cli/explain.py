"""`keepvip explain`: what a keyword means, from the declaration that the parser uses."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

import click

from keepvip.config.reference import Entry, entries, find, search, support_text, tier_text
from keepvip.config.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["complete", "explain"]

WIDTH = 96
NOT_FOUND = 1
_GAP = 2


@click.command()
@click.argument("keywords", nargs=-1, metavar="[KEYWORD]...", shell_complete=lambda *args: complete(args[-1]))
@click.option("--search", "words", multiple=True, metavar="WORD", help="List keywords that have to do with WORD.")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", help="How to show it.")
def explain(keywords: tuple[str, ...], words: tuple[str, ...], style: str) -> int:
    """Explain keywords of the configuration.

    KEYWORD is a word such as `priority`, or with its block: `vrrp_instance.priority`. Without one, all blocks are
    listed.

    Exit status: 0 found, 1 nothing of that name.
    """
    if not keywords and not words:
        click.echo(_overview() if style == "text" else json.dumps([e.objects() for e in entries()], indent=2))
        return 0
    found: list[Entry] = []
    missing: list[str] = []
    for keyword in keywords:
        matches = find(keyword)
        found += matches
        if not matches:
            missing.append(keyword)
    matched = [entry for word in words for entry in search(word)]
    if style == "json":
        click.echo(json.dumps([entry.objects() for entry in (*found, *matched)], indent=2, ensure_ascii=False))
    else:
        parts = [_text(entry) for entry in found]
        if matched:
            parts.append(_table(matched))
        if parts:
            click.echo("\n".join(parts), nl=False)
    for keyword in missing:
        hint = did_you_mean(keyword.rpartition(".")[2], {entry.keyword.name for entry in entries()})
        click.echo(f"there is no keyword `{keyword}`" + (f": {hint}" if hint else ""), err=True)
    if words and not matched:
        click.echo(f"nothing has to do with {' or '.join(words)}", err=True)
    return NOT_FOUND if missing or (words and not matched) else 0


def complete(begun: str) -> list[str]:
    """Keywords for the completion of the shell; with their block once a dot has been typed."""
    if "." in begun:
        return [entry.name for entry in entries() if entry.name.startswith(begun)]
    return sorted({entry.keyword.name for entry in entries() if entry.keyword.name.startswith(begun)})


def _text(entry: Entry) -> str:
    keyword = entry.keyword
    kind = "option in" if entry.option else "in"
    lines = [keyword.syntax, f"  {kind} {entry.where}", "", *_wrapped(keyword.doc, "  "), ""]
    facts: list[tuple[str, str]] = []
    facts += [(arg.name, arg.range_text + (" (may be left out)" if arg.optional else "")) for arg in keyword.args]
    for option in keyword.options:
        ranges = ", ".join(arg.range_text for arg in option.args if arg.range_text)
        facts.append((option.syntax, option.doc.removesuffix(".") + (f": {ranges}" if ranges else "")))
    if keyword.default:
        facts.append(("default", keyword.default))
    facts.append(("keepvip", support_text(entry.support)))
    facts.append(("used", tier_text(keyword) + (f"; keepalived since {keyword.since}" if keyword.since else "")))
    lines += _aligned([(name, text) for name, text in facts if text])
    if keyword.block is not None:
        lines += ["", *_content(entry)]
    return "\n".join(lines) + "\n"


def _content(entry: Entry) -> list[str]:
    block = entry.keyword.block
    if block is None:
        return []
    if block.kind == "words":
        return [f"  Between the braces: any number of words, each the name of one {block.entry_name}."]
    names = list(block.keywords)
    if block.kind == "entries":
        head = f"  Between the braces: one {block.entry_name} per line, {' '.join(arg.name for arg in block.args)}"
        return [head + (" with the options" if names else ""), *_wrapped(", ".join(names), "    ")]
    return ["  Between the braces:", *_wrapped(", ".join(names), "    ")]


def _table(found: Iterable[Entry]) -> str:
    return "\n".join(_aligned([(entry.name, entry.keyword.doc) for entry in found])) + "\n"


def _overview() -> str:
    """All blocks with their keywords."""
    blocks: dict[tuple[str, ...], list[str]] = {}
    for entry in entries():
        if not entry.option:
            blocks.setdefault(entry.homes[0], []).append(entry.keyword.name)
    lines = []
    for home, names in blocks.items():
        lines += [" > ".join(home) or "top level", *_wrapped(", ".join(names), "  "), ""]
    return "\n".join([*lines, "keepvip explain KEYWORD tells more; keepvip explain --search WORD looks around."])


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def _aligned(facts: Sequence[tuple[str, str]]) -> list[str]:
    """Two columns, the second one wrapped."""
    width = min(max((len(name) for name, _ in facts), default=0), WIDTH // 2)
    lines = []
    for name, text in facts:
        margin = " " * (2 + width + _GAP)
        wrapped = _wrapped(text, margin) or [margin]
        if len(name) <= width:
            lines += [f"  {name.ljust(width)}{' ' * _GAP}{wrapped[0].lstrip()}", *wrapped[1:]]
        else:
            lines += [f"  {name}", *wrapped]
    return lines
