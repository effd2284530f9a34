"""The same text to Debian's keepalived and to us: what becomes of each line, and how `--config-test` ends.

keepalived names every word at the top level that it does not know. Files of nothing but unknown words therefore show
what it makes of comments, quotes, braces, conditions, definitions and sequences, line by line. It reads everything four
times: first the parent, then each of its three kinds of children from a copy that the parent wrote. The children do the
work, so what they make of a file is what counts (the parent overlooks comments within a definition, for one).

Debian's is 2.2.7 and ours follows 2.4.3, so there are differences; each is listed with its reason.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from keepvip.config.diagnostic import Diagnostics, config_test_exit_code
from keepvip.config.expand import Expander
from keepvip.config.keywords import ROOT
from keepvip.config.lexer import split_words
from keepvip.config.load import load
from keepvip.config.tree import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

KEEPALIVED = shutil.which("keepalived")
SAMPLES = Path("/usr/share/doc/keepalived/samples")
CRASHED = (-6, -11, 124)
"""Killed by a signal of its own making, or by us after it had run for too long."""

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(KEEPALIVED is None, reason="keepalived is not installed: nothing to compare with"),
    pytest.mark.skipif(os.geteuid() != 0, reason="keepalived tests a configuration only as root"),
]


@pytest.fixture(autouse=True)
def in_a_directory_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("keepalived"))
        Path("a.conf").write_text("", encoding="utf-8")
        Path("sub").mkdir()
        yield


class Answer(NamedTuple):
    """What keepalived says to a file."""

    events: list[str]
    """Unknown words and unexpected braces, in order, as one child meets them."""
    exit_code: int


_EVENT = re.compile(r"\(t\.conf: Line \d+\) (?:Unknown keyword '(.*)'|(Unexpected '\{') - ignoring)")


def keepalived(text: str | bytes) -> Answer:
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    Path("t.conf").write_bytes(data)
    command = [str(KEEPALIVED), "-t", "-i", "node1", "-f", "t.conf"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=10, check=False)
    except subprocess.TimeoutExpired:
        return Answer([], 124)
    lines = done.stderr.decode("utf-8", "surrogateescape").split("\n")
    found = [_EVENT.fullmatch(line) for line in lines]
    events = ["{" if match[2] else match[1] for match in found if match]
    return Answer(events[: len(events) // 3], done.returncode)


def ours(text: str) -> list[str]:
    """The same events out of our stages, before the tree makes something kinder of the braces."""
    expander = Expander(Diagnostics(), config_id="node1", environ={})
    expander.open_bytes(text.encode("utf-8", "surrogateescape"), "t.conf")
    events: list[str] = []
    for line, _, _, _, chart in expander.lines():
        if chart is None and line[-1] in "{}":
            events += [*line[:-1].split()[:1], line[-1]]
            continue
        at = 0
        # We keep `${NAME}` of an unknown name in one piece; keepalived trips over its braces.
        for brace in re.finditer(r'"[^"]*"?|[{}]', line):
            if brace.group() in "{}":
                events += [*_first(line[at : brace.start()]), brace.group()]
                at = brace.end()
        events += _first(line[at:])
    return events


def _first(text: str) -> list[str]:
    return [token.text for token in split_words(text)[0][:1]]


def exit_code(text: str | bytes) -> int:
    """Of our own `--config-test`."""
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return config_test_exit_code(load(data, config_id="node1").diagnostics)


# Definitions refer only downwards (A to B to the variable of a loop): circles are told apart below. A backslash in the
# middle is left out: the copy for the children has no blanks and comments any more that kept it from being the last.
WORDS = ["aa", "b1", "c", '"d e"', '"', "# x", "!", "{", "}", '\\"', "$_INSTANCE", "(", ")", "'q r'"]
REFERENCES = {"i": ["$i", "${i}"], "B": ["$B", "${B}"], "A": ["$A", "${A}", "$A,", "x$A", '"$A y"']}
IN_LINE = [*WORDS, *REFERENCES["i"], *REFERENCES["B"], *REFERENCES["A"]]
IN_B = [*WORDS, *REFERENCES["i"]]
IN_A = [*IN_B, *REFERENCES["B"]]


def some(words: list[str], most: int = 3) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(words), min_size=1, max_size=most).map(" ".join)


def definition(name: str, words: list[str]) -> st.SearchStrategy[str]:
    first = st.one_of(st.just(""), some(words))
    single = some(words).map(lambda text: f"${name}={text}")
    several = st.tuples(first, st.lists(some(words), max_size=2), some(words)).map(
        lambda parts: "\n".join([f"${name}={parts[0]} \\", *(f"{line} \\" for line in parts[1]), parts[2]])
    )
    return st.one_of(single, several)


def prefixed(prefixes: list[str]) -> st.SearchStrategy[str]:
    return st.tuples(st.sampled_from(prefixes), some(IN_LINE)).map("".join)


LINE = st.one_of(
    some(IN_LINE),
    some(IN_LINE),
    some(IN_LINE).map(lambda text: f"  {text} \\"),
    definition("A", IN_A),
    definition("B", IN_B),
    st.just("$i=v"),
    prefixed(["@node1 ", "@^node1 ", "@x ", "@^x ", "@node1\t"]),
    prefixed([f"~SEQ(i{limits})" for limits in (",2", ", 1, 3", ",3,-1,1", ",0x2", ",-2")]),
    prefixed(["~SEQx(i,9,10)", "~SEQ (i , 2)", "~SEQ(i,2) ~SEQ(k,1) "]),
    prefixed(["~LST(i,a,b)", "~LST({i,k},{a,b},{c})", "~LST(i,)", '~LST(i,"x,y")', "~LST({k},{i},x)"]),
    st.sampled_from(["", "  ", "\t", "# c", "# c \\", "  ! c"]),
)  # fmt: skip


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=st.lists(LINE, min_size=1, max_size=7), end=st.sampled_from(["\n", "\r\n"]))
def test_every_line_becomes_the_same(lines: list[str], end: str) -> None:
    text = "\n".join([*lines, ""]).replace("\n", end)
    answer = keepalived(text)
    assume(answer.exit_code not in CRASHED)
    assert ours(text) == answer.events
    assert (exit_code(text) != 0) == (answer.exit_code != 0)


G = "global_defs {\n router_id x\n}\n"

SAME = {
    "empty": "",
    "comments": "# a\n! b\n   # c\n",
    "a block": G,
    "a block on one line": "global_defs { router_id x }\n",
    "dos": G.replace("\n", "\r\n"),
    "no line break at the end": G[:-1],
    "brace on the next line": "global_defs\n\n# c\n{\nrouter_id x\n}\n",
    "words in a list": "global_defs { notification_email { a@b c@d\n e@f } router_id x }\n",
    "unknown keyword": "bogus x\n",
    "unknown block": "bogus {\n x\n}\n",
    "unknown keyword in a block": "global_defs {\n bogus\n}\n",
    "extra brace": G + "}\n",
    "lonely brace": "{\n",
    "double brace": "global_defs {{ router_id x }}\n",
    "missing brace at the end": G[:-2],
    "missing opening brace": "global_defs\n router_id x\n}\n",
    "brace where none belongs": "global_defs {\n router_id x {\n }\n}\n",
    "words before the brace of a list": "global_defs {\n notification_email foo {\n a@b\n }\n}\n",
    "unterminated quote": 'global_defs {\n router_id "x\n}\n',
    "quoted keyword": '"global_defs" {\n "router_id" "x y"\n}\n',
    "undefined in braces": "global_defs {\n router_id ${NONE}\n}\n",
    "undefined without": "global_defs {\n router_id $NONE\n}\n",
    "definition": "$A=router_id x\nglobal_defs {\n$A\n}\n",
    "definition of a block": "$A=\\\nglobal_defs { \\\n router_id x \\\n}\n$A\n",
    "condition dropped": "@other bogus\n",
    "condition taken": "@node1 bogus\n",
    "sequence": "global_defs {\n~SEQ(i,3) router_id x$i\n}\n",
    "bad sequence": "~SEQ(i,1x) router_id\n",
    "sequence without numbers": "~SEQ(i) x\n",
    "step of nothing": "~SEQ(i,1,0,3) x\n",
    "negative hexadecimal": "~SEQx(i,-1,1) x\n",
    "bad list": "~LST(i) x\n",
    "too many values": "~LST({i,j},{a,b,c}) x\n",
    "include": "include a.conf\n",
    "include nothing": "include nosuch\ninclude no*\ninclude {no,such}\n",
    "include a directory": "include sub\n",
    "include without a name": "include\n",
    "include of an unknown kind": "includez a.conf\n",
    "strict include of what exists": "includea a.conf\nincludea a*.conf\nincludea {a,a}.conf\n",
    "includem and wildcards": "includem no*\nincludem {no,such}\n",
    "includew and braces": "includew {a.conf,no}\n",
    "includeb and names": "includeb no\nincludeb no*\n",
    "braces in single quotes": "global_defs {\n router_id 'a{b'\n}\n",
    "null definition": "$A=\n$A\n",
    "long definition": "$A=" + "x" * 600 + "\nglobal_defs {\nrouter_id ${A}\n}\n",
    "bytes": b"global_defs {\n router_id \xff\xfe\n}\n",
    "byte order mark": b"\xef\xbb\xbf# x\n",
}


@pytest.mark.parametrize("name", SAME)
def test_same_exit_code(name: str) -> None:
    text = SAME[name]
    assert exit_code(text) == keepalived(text).exit_code


# text, what keepalived 2.2.7 exits with, what we exit with, why
DIFFERENT: dict[str, tuple[str | bytes, int, int, str]] = {
    "NUL byte": (b"global_defs {\n}\n#a\0b\n", 0, 5, "2.4.3 reports a line with a NUL byte, 2.2.7 reads up to it"),
    "long comment": ("#" + "x" * 1021 + "\n", 0, 0, "just fits both"),
    "line that fills the buffer": ("#" + "x" * 1022 + "\n", 0, 5, "2.4.3 reports it, 2.2.7 takes it as far as it goes"),
    "strict include": ("includer sub\n", 6, 4, "2.2.7 refuses to start; in 2.4.3 a test counts it as file not found"),
    "strict include of nothing": ("includem nosuch\n", 6, 4, "the same"),
    "strict pattern without a match": ("includew no*\n", 6, 4, "the same"),
    "strict alternatives": ("includeb {a.conf,no}\n", 6, 4, "the same"),
    "condition out of a definition": ("$A=@other bogus\n$A\n", 0, 5, "2.4.3 looks for them before it substitutes"),
    "circle": ("$A=$B\n$B=$A\n$A\n", 124, 5, "keepalived never ends"),
    "circle of lines": ("$A=\\\n@other x \\\n$A\n$A\n", 124, 5, "keepalived never ends"),
    "environment": ("global_defs {\n router_id x${_ENV HOME}\n}\n", 5, 0, "new in 2.4.0"),
    "nothing but a hash": ('global_defs {\n router_id "${_HASH}"\n}\n', 0, 0, "only in quotes does it survive"),
    "too much": ("~SEQ(i,1,2000000) @other x\n", 0, 5, "we refuse what makes more than 400,000 lines"),
    "many includes": ("include t.conf\n", 0, 4, "keepalived reads itself until it runs out of files: fine"),
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENT)
def test_known_differences(name: str) -> None:
    text, theirs, expected, _ = DIFFERENT[name]
    if theirs != 124:  # ten seconds each to see that it never ends
        assert keepalived(text).exit_code == theirs
    assert (exit_code(text) if name != "many includes" else _of_file()) == expected


def _of_file() -> int:
    return config_test_exit_code(load(Path("t.conf"), config_id="node1").diagnostics)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"keepalived's samples are not in {SAMPLES}")
def test_its_own_samples() -> None:
    """The same keywords at the same lines are unknown to both (one sample has two), and nothing else is amiss."""
    samples = sorted(SAMPLES.glob("keepalived.conf.*"))
    assert samples
    for sample in samples:
        diagnostics = Diagnostics()
        assert parse(sample, config_id="node1", schema=ROOT, diagnostics=diagnostics).nodes
        found = {(item.code, item.span.number) for item in diagnostics if item.span is not None}
        done = subprocess.run([str(KEEPALIVED), "-t", "-f", str(sample)], capture_output=True, check=False, text=True)
        unknown = re.findall(r"Line (\d+)\) Unknown keyword", done.stderr)
        assert found == {("unknown-keyword", int(line)) for line in unknown}, sample
