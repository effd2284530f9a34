"""The keyword table as something to look up: `keepvip explain` and the generated pages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from keepvip.cli.explain import complete, explain
from keepvip.config.docgen import PAGES
from keepvip.config.keywords import ROOT
from keepvip.config.reference import entries, find, search, support_text

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_the_generated_pages_are_up_to_date(name: str) -> None:
    page = PAGES[name]()
    assert (DOCS / name).read_text(encoding="utf-8") == page, "run: python -m keepvip.config.docgen"


def test_tables_have_the_same_number_of_cells_in_every_row() -> None:
    for page in PAGES.values():
        width = 0
        for line in page().splitlines():
            cells = line.replace("\\|", "").count("|") if line.startswith("|") else 0
            assert width in {0, cells} or cells == 0
            width = cells


def run(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(explain, args, standalone_mode=False)
    assert result.exception is None
    return result.return_value, result.stdout, result.stderr


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.name) for entry in entries()])
def test_every_keyword_can_be_explained(entry: object) -> None:
    from keepvip.config.reference import Entry

    assert isinstance(entry, Entry)
    assert entry in find(entry.name)
    status, out, err = run(entry.name)
    assert (status, err) == (0, "")
    assert entry.keyword.syntax.split(" ", maxsplit=1)[0] in out
    assert max(map(len, out.splitlines())) <= 100 or " " not in max(out.splitlines(), key=len).strip()


def test_statements_come_before_options() -> None:
    assert next(entry.name for entry in find("priority")) == "vrrp_instance.priority"
    out = run("priority")[1]
    assert out.startswith("priority PRIORITY\n  in vrrp_instance\n")


def test_a_dotted_name_narrows() -> None:
    assert {entry.name for entry in find("smtp_alert")} > {entry.name for entry in find("vrrp_instance.smtp_alert")}
    assert [entry.name for entry in find("url.path")] == [
        "virtual_server.real_server.HTTP_GET.url.path",
        "virtual_server.real_server.SSL_GET.url.path",
    ]


def test_a_keyword_in_a_block_that_does_nothing_does_nothing() -> None:
    idle = [
        f"{head.name}.{name}"
        for head in ROOT.keywords.values()
        if head.support.kind == "not-yet" and head.block is not None and head.block.kind == "keywords"
        for name, inside in head.block.keywords.items()
        if inside.support.kind == "acts"
    ]
    for name in idle:
        for entry in find(name):
            assert support_text(entry.support).startswith("not supported yet")


def test_unknown_keywords() -> None:
    status, out, err = run("prioritty")
    assert (status, out) == (1, "")
    assert err == "there is no keyword `prioritty`: did you mean `priority`?\n"


def test_search() -> None:
    assert next(entry.name for entry in search("preempt_delay")) == "vrrp_instance.preempt_delay"
    status, out, _ = run("--search", "gratuitous")
    assert status == 0
    assert "vrrp_instance.garp_master_delay" in out
    assert run("--search", "no-such-thing")[0] == 1


def test_json() -> None:
    status, out, _ = run("--format", "json", "vrrp_instance.priority")
    assert status == 0
    (found,) = json.loads(out)
    assert found["syntax"] == "priority PRIORITY"
    assert found["arguments"] == [{"name": "PRIORITY", "type": "int", "range": "1..255", "optional": False}]
    assert found["support"] == "acts"
    assert len(json.loads(run("--format", "json")[1])) == len(entries())


def test_overview_names_every_statement() -> None:
    out = run()[1]
    for entry in entries():
        if not entry.option:
            assert entry.keyword.name in out


def test_every_keyword_that_does_not_act_says_why() -> None:
    for entry in entries():
        if entry.support.kind != "acts":
            assert entry.support.note, entry.name


def test_completion() -> None:
    assert "preempt_delay" in complete("pree")
    assert complete("vrrp_instance.preempt_d") == ["vrrp_instance.preempt_delay"]
    assert complete("no-such") == []
