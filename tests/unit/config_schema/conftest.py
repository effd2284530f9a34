"""Compiling small texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from keepvip.config.load import LoadResult, load

if TYPE_CHECKING:
    from keepvip.config.facts import HostFacts


class Compile(Protocol):
    def __call__(self, text: str, facts: HostFacts | None = None) -> LoadResult: ...


@pytest.fixture
def compiled() -> Compile:
    def run(text: str, facts: HostFacts | None = None) -> LoadResult:
        return load(text.encode(), config_id="here", facts=facts, name="t.conf")

    return run
