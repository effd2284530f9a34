"""The table of features names tests that exist."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from keepvip.config.docgen import FEATURES
from keepvip.config.features import Feature, read_features

TESTS = Path(__file__).parents[2]
ROWS = [row for section in read_features(FEATURES) for row in section.rows]


def test_every_feature_has_one_row() -> None:
    assert [row.number for row in ROWS] == list(range(1, 181))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))
def test_what_passes_has_tests_and_what_does_not_has_a_reason(row: Feature) -> None:
    assert bool(row.tests) == (row.status != "no")
    assert row.note or row.status != "partly"
    for test in row.tests:
        name, _, function = test.partition("::")
        tree = ast.parse((TESTS / name).read_text(encoding="utf-8"))
        found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert not function or function in found, f"{name} has no {function}"
