"""docs/errors.md shows what keepvip says today. What keepalived says is taken when the page is made."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_spec = importlib.util.spec_from_file_location("errors_page", ROOT / "tools" / "errors_page.py")
assert _spec is not None
assert _spec.loader is not None
errors_page = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(errors_page)

CASES = {case.title: case for case in errors_page.CASES}


@pytest.mark.parametrize("title", CASES)
def test_the_page_is_up_to_date(title: str) -> None:
    case = CASES[title]
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    for text in (case.text.rstrip(), errors_page.keepvip_says(case)):
        assert f"```\n{text}\n```\n" in page, "run: python tools/errors_page.py"


def test_there_are_ten() -> None:
    assert len(CASES) == 10
