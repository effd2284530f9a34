"""Every keyword of every block: legal values are accepted, illegal ones are refused with a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keepvip.config.diagnostic import ConfigTestClass, Diagnostic, Severity

from .samples import BASE, Place, entry_places, illegal, legal, places

if TYPE_CHECKING:
    from keepvip.config.keyword import Arg

    from .conftest import Compile

PLACES = list(places())
SCRIPTS = {"script", "command", "regex"}
CONTRADICTIONS = {"contradiction", "authentication-ignored", "no-authentication", "no-address", "nothing-to-do"}
"""Said about a value that is legal by itself, because of the rest of the block."""


def value_sets() -> list[pytest.param]:  # type: ignore[valid-type]
    """For each keyword: each legal value of each argument, the other arguments having their first one."""
    found = []
    for place in PLACES:
        keyword = place.keyword
        first = place.first_args()
        lines = [first]
        for index, arg in enumerate(keyword.args):
            before = [legal(other)[0] for other in keyword.args[:index]]
            after = [legal(other)[0] for other in keyword.args[index + 1 :] if not other.optional and arg.optional]
            lines += [[*before, value, *after] for value in legal(arg)]
        for option in keyword.options:
            base = [legal(arg)[0] for arg in keyword.args]
            for arg in option.args:
                lines += [[*base, option.name, value] for value in legal(arg)]
            if not option.args:
                lines.append([*base, option.name])
        needed = sum(not arg.optional for arg in keyword.args)
        unique = {" ".join(line): line for line in lines if len(line) >= needed}
        found += [pytest.param(place, line, id=f"{place.id} {text}".strip()) for text, line in unique.items()]
    return found


def on_line(diagnostics: list[Diagnostic], number: int) -> list[Diagnostic]:
    return [found for found in diagnostics if found.span is not None and found.span.number == number]


@pytest.mark.parametrize(("place", "args"), value_sets())
def test_legal_values_are_accepted(compiled: Compile, place: Place, args: list[str]) -> None:
    text, number = place.file(place.header(args), body=required_body(place))
    found = on_line(list(compiled(text).diagnostics), number)
    errors = [one for one in found if one.severity is Severity.ERROR and one.code not in allowed_codes(place, args)]
    assert errors == []
    assert not any(one.kind is ConfigTestClass.INVALID_NUMBER for one in found)
    about_support = [one for one in found if one.code in {"not-supported-yet", "no-effect", "deprecated"}]
    kinds = [outer.support.kind for outer in place.around]
    if place.keyword.support.kind == "acts":
        assert about_support == [] or args in (["AH"], ["allow_if_changes"])
    elif not ({"not-yet", "deprecated"} & set(kinds)):
        assert about_support, "nothing is ever ignored silently"


def required_body(place: Place) -> str:
    if place.keyword.block is None:
        return ""
    return BASE.get(place.keyword.name) or {
        "virtual_ipaddress": "192.0.2.9\n",
        "virtual_ipaddress_excluded": "192.0.2.9\n",
        "notification_email": "a@example.com\n",
        "interfaces": "eth0\n",
        "group": "word\n",
        "virtual_server_group": "192.0.2.80 80\n",
    }.get(place.keyword.name, "")


def allowed_codes(place: Place, args: list[str]) -> set[str]:
    """Errors that come from what is around the keyword, not from its value."""
    keyword = place.keyword
    codes = set()
    if keyword.support.refuses or (keyword.name, args) == ("auth_type", ["AH"]):
        codes.add("not-supported-yet")
    if keyword.name in {"mcast_src_ip", "unicast_src_ip", "mcast_dst_ip", "native_ipv6", "source_ip"}:
        codes |= {"family-mismatch", "invalid-value"}
    if keyword.name.startswith("vrrp_mcast_group"):
        codes.add("invalid-value")
    if keyword.name == "vrrp_sync_group":
        codes.add("empty-group")
    if keyword.name == "use_ipvlan":
        codes |= {"missing-argument"}
    if keyword.name in {"lb_kind", "lvs_method", "sorry_server_lvs_method"}:
        codes.add("wrong-tunnel")
    if keyword.name in {"sorry_server_inhibit", "sorry_server_lvs_method"}:
        codes.add("no-sorry-server")
    if keyword.name.startswith(("sh-", "mh-")):
        codes.add("wrong-scheduler")
    if keyword.name in {"sorry_server", "real_server"}:
        codes |= {"mixed-families", "dropped-service"}
    if keyword.name == "virtual_server":
        codes |= {"unknown-group", "invalid-number", "mixed-families", "dropped-service"}
    if keyword.name == "lvs_sync_daemon":
        codes |= {"unknown-instance", "invalid-value"}
    if keyword.name == "bindto":
        codes.add("family-mismatch")
    if keyword.name == "FILE_CHECK":
        codes.add("unknown-track-file")
    if keyword.name == "min_reply_length":
        codes.add("bad-lengths")
    if keyword.name == "vrrp_instance":
        codes |= {"missing-interface"}
    return codes


def illegal_sets() -> list[pytest.param]:  # type: ignore[valid-type]
    found = []
    for place in PLACES:
        for index, arg in enumerate(place.keyword.args):
            before = [legal(other)[0] for other in place.keyword.args[:index]]
            if arg.optional and any(not later.optional for later in place.keyword.args[index:]):
                continue  # a word that may be left out: another one is taken for the next argument
            found += [
                pytest.param(place, [*before, value], index, id=f"{place.id} {' '.join([*before, value])}")
                for value in illegal(arg)
            ]
    return found


@pytest.mark.parametrize(("place", "args", "index"), illegal_sets())
def test_illegal_values_are_refused_with_a_place(compiled: Compile, place: Place, args: list[str], index: int) -> None:
    line = place.header(args)
    text, number = place.file(line)
    errors = [one for one in on_line(list(compiled(text).diagnostics), number) if one.severity is Severity.ERROR]
    assert {one.code for one in errors} & {"invalid-value", "invalid-number"}
    about = next(one for one in errors if one.code in {"invalid-value", "invalid-number"})
    assert about.span is not None
    assert line[about.span.column - 1 :][: about.span.length] == args[index]
    assert about.expected


@pytest.mark.parametrize(
    "place", [pytest.param(place, id=place.id) for place in PLACES if place.first_args() and not place.keyword.block]
)
def test_a_missing_argument_is_an_error_behind_the_keyword(compiled: Compile, place: Place) -> None:
    text, number = place.file(place.keyword.name)
    result = compiled(text)
    errors = [one for one in on_line(list(result.diagnostics), number) if one.code == "missing-parameter"]
    assert len(errors) == 1
    assert errors[0].span is not None
    assert errors[0].span.column == len(place.keyword.name) + 1
    assert errors[0].kind is (ConfigTestClass.GENERAL if place.keyword.missing_ignored else ConfigTestClass.ABORT)
    assert (result.config is None) is not place.keyword.missing_ignored


def takes_everything(arg: Arg) -> bool:
    return arg.repeat or arg.type == "rest" or arg.type in SCRIPTS


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(place, id=place.id)
        for place in PLACES
        if not place.keyword.options and not any(takes_everything(arg) for arg in place.keyword.args)
    ],
)
def test_words_that_nobody_reads_are_pointed_at(compiled: Compile, place: Place) -> None:
    full = [legal(arg)[0] for arg in place.keyword.args]
    line = place.header([*full, "and-more"])
    text, number = place.file(line, body=required_body(place))
    extra = [one for one in on_line(list(compiled(text).diagnostics), number) if one.code == "extra-words"]
    assert [(one.severity, one.span.column if one.span else 0) for one in extra] == [
        (Severity.WARNING, len(line) - len("and-more") + 1)
    ]


ENTRIES = [place for place in entry_places() if place.keyword.block is not None]


def entry_lines() -> list[pytest.param]:  # type: ignore[valid-type]
    found = []
    for place in ENTRIES:
        block = place.keyword.block
        assert block is not None
        if block.name in {"routes", "rules"}:
            continue  # their options depend on each other: see test_routes.py and test_rules.py
        leading = [" ".join([legal(arg)[0] for arg in block.args if not arg.optional])]
        if not leading[0] and block.args and block.args[0].type == "range":
            leading = legal(block.args[0])
        lines = [line for line in leading if line]
        for name, option in block.keywords.items():
            words = [next(iter(legal(arg)), "") for arg in option.args if not (arg.optional and arg.choices)]
            base = leading[0] if name != "fwmark" or place.keyword.name != "virtual_server_group" else ""
            lines.append(f"{base} {OPTIONS.get(name) or ' '.join([name, *words])}".strip())
        found += [pytest.param(place, line, id=f"{place.id}: {line}") for line in dict.fromkeys(lines)]
    return found


ROUTES = {name: ["192.0.2.0/24"] for name in ("virtual_routes", "static_routes")}
OPTIONS = {"scope": "scope link", "brd": "brd +", "broadcast": "broadcast -", "preferred_lft": "preferred_lft forever"}


@pytest.mark.parametrize(("place", "line"), entry_lines())
def test_legal_entries_are_accepted(compiled: Compile, place: Place, line: str) -> None:
    if "brd" in line or "broadcast" in line:
        line = line.replace("192.0.2.1 ", "192.0.2.1/24 ")
    text, number = place.file(place.header(place.first_args()), body=f"{line}\n")
    errors = [
        one
        for one in on_line(list(compiled(text).diagnostics), number + 1)
        if one.severity is Severity.ERROR and one.code not in {"unknown-member", "unknown-tracker", "not-supported-yet"}
    ]
    assert errors == []


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(place, id=place.id)
        for place in ENTRIES
        if place.keyword.block and place.keyword.block.kind == "entries"
    ],
)
def test_an_unknown_option_of_an_entry_is_pointed_at(compiled: Compile, place: Place) -> None:
    block = place.keyword.block
    assert block is not None
    leading = ROUTES.get(place.keyword.name) or [legal(arg)[0] for arg in block.args]
    if block.name == "rules":
        leading = ["table", "1"]
    elif place.keyword.name in ROUTES:
        leading = [*leading, "onlink"]
    line = " ".join([*leading, "no-such-option"])
    text, number = place.file(place.header(place.first_args()), body=f"{line}\n")
    found = [one for one in on_line(list(compiled(text).diagnostics), number + 1) if one.code == "unknown-option"]
    assert [one.span.column if one.span else 0 for one in found] == [len(line) - len("no-such-option") + 1]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("vrrp_instnce a {\n}\n", "did you mean `vrrp_instance`?"),
        ("vrrp_instance a {\nprioritty 100\n}\n", "did you mean `priority`?"),
        ("vrrp_instance a {\nauth_pass x\n}\n", "it belongs into `authentication`"),
        ("global_defs {\npriority 100\n}\n", "it belongs into `vrrp_instance`"),
        ("priority 100\n", "it belongs into `vrrp_instance`"),
        ("global_defs {\nquorum_up x\n}\n", "it belongs into `virtual_server`"),
        (
            "global_defs {\nnet_namespace x\n}\n",
            "it belongs into the top level or `vrrp_instance`; is a `}` missing above?",
        ),
        ("zzzzzzzz\n", ""),
    ],
)
def test_an_unknown_keyword_comes_with_a_suggestion(compiled: Compile, text: str, hint: str) -> None:
    found = [one for one in compiled(text).diagnostics if one.code == "unknown-keyword"]
    assert [one.hint for one in found] == [hint]
    assert found[0].kind is ConfigTestClass.UNKNOWN_KEYWORD
    assert found[0].severity is Severity.ERROR
