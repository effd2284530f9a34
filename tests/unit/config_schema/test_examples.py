"""Every example compiles without an error, and pairs of nodes fit together."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepvip.config.load import load
from keepvip.config.pair import Node, compare

EXAMPLES = Path(__file__).parents[3] / "examples"
FILES = sorted(EXAMPLES.rglob("*.conf"))


def test_there_are_examples() -> None:
    assert FILES


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(EXAMPLES))) for path in FILES])
def test_an_example_compiles(path: Path) -> None:
    result = load(str(path), config_id="example")
    assert result.clean, list(result.diagnostics)
    assert result.config is not None
    assert result.config.instances


@pytest.mark.parametrize("folder", [pytest.param(path, id=path.name) for path in sorted({f.parent for f in FILES})])
def test_nodes_of_an_example_fit_together(folder: Path) -> None:
    nodes = [Node(path.name, load(str(path), config_id="example")) for path in sorted(folder.glob("*.conf"))]
    assert not compare(nodes)
