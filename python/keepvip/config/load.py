"""From a file to a configuration: read, parse, build, check; everything found in one run."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

from keepvip.config.build import Built, build
from keepvip.config.check import check
from keepvip.config.keywords import ROOT
from keepvip.config.silence import SilencedDiagnostics
from keepvip.config.tree import parse

if TYPE_CHECKING:
    from pathlib import Path

    from keepvip.config.diagnostic import Diagnostics
    from keepvip.config.facts import HostFacts
    from keepvip.config.model import Config

__all__ = ["LoadResult", "default_config_id", "load"]


class LoadResult:
    """What came of a file."""

    __slots__ = ("built", "config", "diagnostics")

    def __init__(self, built: Built, diagnostics: Diagnostics, *, readable: bool) -> None:
        self.built = built
        """What could be made of it, even if it cannot be used: for checks. It keeps the text of the files alive."""
        self.config: Config | None = built.config if readable and not built.fatal else None
        """None: keepalived would not start with it either (a keyword without its argument, an interface that does not
        exist, two instances with one VRID ...), or there is no such file.
        Otherwise it can be run, although single statements may have been refused: at start it should be, a reload
        should rather keep what runs as long as there is an error."""
        self.diagnostics = diagnostics

    @property
    def clean(self) -> bool:
        """Usable, and no statement was refused: what a reload asks for before it changes anything."""
        return self.config is not None and self.diagnostics.errors == 0


def default_config_id() -> str:
    """The configuration id without `-i`: the node name up to its first dot."""
    return os.uname().nodename.partition(".")[0]


def load(
    source: str | Path | bytes,
    *,
    config_id: str | None = None,
    facts: HostFacts | None = None,
    name: str = "<config>",
    strict_includes: bool = False,
) -> LoadResult:
    """Compiles a file, or the bytes of one (`name` is then what places call it).

    `facts` is the host that the configuration is for; None: nothing about the host is checked. Make a new one for
    every load, it remembers what it saw. Never raises for what is in the file or for a file that cannot be read.
    """
    # Compiling makes a great many objects and hardly a cycle: the collector would only walk over them, again and again.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _load(source, config_id=config_id, facts=facts, name=name, strict_includes=strict_includes)
    finally:
        if collecting:
            gc.enable()


def _load(
    source: str | Path | bytes, *, config_id: str | None, facts: HostFacts | None, name: str, strict_includes: bool
) -> LoadResult:
    diagnostics = SilencedDiagnostics()
    parsed = parse(
        source,
        config_id=default_config_id() if config_id is None else config_id,
        schema=ROOT,
        diagnostics=diagnostics,
        name=name,
        strict_includes=strict_includes,
    )
    built = build(parsed.nodes, diagnostics=diagnostics, facts=facts, files=parsed.files)
    readable = bool(parsed.files)
    if readable:
        check(built, diagnostics=diagnostics, facts=facts)
    return LoadResult(built, diagnostics, readable=readable)
