"""`keepvip check`: one file against the language and this host, several files against each other."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from keepvip.config.diagnostic import Diagnostics
from keepvip.config.facts import HostFacts
from keepvip.config.load import LoadResult, default_config_id, load
from keepvip.config.pair import Node, compare
from keepvip.config.render import render, to_objects

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DEFAULT_FILE", "Findings", "check", "check_files"]

DEFAULT_FILE = "/etc/keepalived/keepalived.conf"
OK = 0
WARNINGS = 1
ERRORS = 2


class Findings:
    """Everything that came of one or more files."""

    def __init__(self, nodes: Sequence[tuple[str, str, LoadResult]]) -> None:
        self.nodes = list(nodes)
        """Label, configuration id, what was loaded."""
        self.between = Diagnostics()
        """What the files have to say about each other."""
        if len(self.nodes) > 1:
            self.between = compare([Node(label, result) for label, _, result in self.nodes])

    @property
    def errors(self) -> int:
        """Errors in all files and between them."""
        return sum(found.errors for found in self._all())

    @property
    def warnings(self) -> int:
        """Warnings in all files and between them."""
        return sum(found.warnings for found in self._all())

    def exit_status(self, *, strict: bool = False) -> int:
        """0: nothing to mend; 1: warnings, if `strict`; 2: errors."""
        if self.errors or any(result.config is None for _, _, result in self.nodes):
            return ERRORS
        return WARNINGS if strict and self.warnings else OK

    def text(self, *, colour: bool = False) -> str:
        """For people."""
        parts = []
        several = len(self.nodes) > 1
        for label, _, result in self.nodes:
            heading = f"{label}: {_summary(result)}\n"
            parts.append(heading + ("\n" if result.diagnostics else "") + render(result.diagnostics, colour=colour))
        if several:
            heading = f"between {' and '.join(label for label, _, _ in self.nodes)}:\n"
            parts.append(heading + ("\n" if self.between else "") + render(self.between, colour=colour))
        return "\n".join(parts)

    def objects(self) -> dict[str, Any]:
        """For programs; keys are stable."""
        return {
            "nodes": [
                {
                    "file": label,
                    "config_id": config_id,
                    "usable": result.config is not None,
                    "instances": [instance.name for instance in result.built.config.instances],
                    "errors": result.diagnostics.errors,
                    "warnings": result.diagnostics.warnings,
                    "notes": result.diagnostics.notes,
                    "diagnostics": to_objects(result.diagnostics),
                }
                for label, config_id, result in self.nodes
            ],
            "between": to_objects(self.between),
            "errors": self.errors,
            "warnings": self.warnings,
        }

    def _all(self) -> list[Diagnostics]:
        return [*(result.diagnostics for _, _, result in self.nodes), self.between]


def check_files(
    files: Sequence[str], *, config_ids: Sequence[str] = (), host: bool | None = None, strict_includes: bool = False
) -> Findings:
    """Reads one or more files and holds them against each other.

    `config_ids`: none (that of this host), one for all files, or one for each. `host`: whether the files are for this
    host, so that its interfaces, users and scripts count; None: yes for one file, no for several.
    """
    ids = list(config_ids) or [default_config_id()]
    if len(ids) == 1:
        ids *= len(files)
    if len(ids) != len(files):
        raise ValueError("there must be one configuration id, or one for each file")
    same = len(set(files)) < len(files)
    facts = HostFacts() if (len(files) == 1 if host is None else host) else None
    nodes = []
    for file, config_id in zip(files, ids, strict=True):
        result = load(file, config_id=config_id, facts=facts, strict_includes=strict_includes)
        nodes.append((f"{file}@{config_id}" if same else file, config_id, result))
    return Findings(nodes)


def _summary(result: LoadResult) -> str:
    config = result.built.config
    counts = [(len(config.instances), "instance"), (len(config.sync_groups), "sync group")]
    found = ", ".join(f"{count} {what}{'s' if count != 1 else ''}" for count, what in counts if count)
    return (found or "no instance") + ("" if result.config is not None else ", cannot be used")


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--strict", is_flag=True, help="Exit with 1 if there are warnings.")
@click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", help="How to show the findings."
)
@click.option(
    "-i", "--config-id", "config_ids", multiple=True, metavar="ID",
    help="What `@ID` lines are compared with (default: this host's name). Once, or once for each file.",
)  # fmt: skip
@click.option(
    "--host/--no-host", default=None,
    help="Whether the file is for this host, so that its interfaces, users and scripts count"
    " (default: yes for one file, no for several).",
)  # fmt: skip
@click.option("-e", "--all-config", "strict_includes", is_flag=True, help="The strictest checks of includes.")
def check(
    files: tuple[str, ...],
    style: str,
    config_ids: tuple[str, ...],
    *,
    host: bool | None,
    strict: bool,
    strict_includes: bool,
) -> int:
    """Check a configuration file, or the files of several nodes against each other.

    Without FILE it is /etc/keepalived/keepalived.conf. Nothing is changed and nothing is run.

    Exit status: 0 nothing to mend, 1 warnings (with --strict), 2 errors.
    """
    try:
        findings = check_files(
            files or (DEFAULT_FILE,), config_ids=config_ids, host=host, strict_includes=strict_includes
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if style == "json":
        click.echo(json.dumps(findings.objects(), indent=2, ensure_ascii=False))
    else:
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        click.echo(findings.text(colour=colour), nl=False, color=colour)
    return findings.exit_status(strict=strict)
