"""Patterns, against the C library's own glob(3)."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepvip.config.glob import PatternError, expand_braces, glob

NAMES = ["a", "b", "ab", "ba", "a.conf", "b.conf", ".h", "A", "-", "]", "a]", "[", "^", "d/a", "d/b", "d/.h", "d/e/a"]
GLOB_BRACE, GLOB_NOSORT = 1 << 10, 1 << 2


class _Glob(ctypes.Structure):
    _fields_ = (
        ("count", ctypes.c_size_t),
        ("paths", ctypes.POINTER(ctypes.c_char_p)),
        ("offset", ctypes.c_size_t),
        ("rest", ctypes.c_char * 256),
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("glob")
    for name in NAMES:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def libc_glob(pattern: str, directory: Path) -> list[str]:
    library = ctypes.CDLL(None)
    found = _Glob()
    before = Path.cwd()
    os.chdir(directory)
    try:
        status = library.glob(os.fsencode(pattern), GLOB_BRACE, None, ctypes.byref(found))
        paths = [os.fsdecode(found.paths[index]) for index in range(found.count)] if status == 0 else []
    finally:
        os.chdir(before)
    library.globfree(ctypes.byref(found))
    return paths


def keepvip_glob(pattern: str, directory: Path) -> list[str]:
    return glob(pattern, str(directory)).paths


@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        "?",
        "a*",
        "*.conf",
        "[ab]",
        "[^a]",
        "[!a]",
        "[a-z]",
        "[]]",
        "[!]]",
        "a]",
        "[",
        "[^",
        "\\a",
        "\\*",
        ".*",
        "[.]h",
        "d/*",
        "*/a",
        "*/*",
        "*/e/*",
        "d/",
        "*/",
        "./a",
        "d//a",
        "d/../a",
        "{a,b}",
        "{b,a}*",
        "{a,nosuch}",
        "{a,{b,ab}}",
        "{}",
        "{a",
        "a}",
        "{a,b",
        "{,a}b",
        "\\{a,b\\}",
        "d/{a,b}",
        "nosuch",
        "no*",
        "[a-]",
        "[-]",
        "**",
        "*a*b*",
    ],
)
def test_examples(tree: Path, pattern: str) -> None:
    assert keepvip_glob(pattern, tree) == libc_glob(pattern, tree)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pattern=st.text(st.sampled_from("ab*?.{},-^[]A"), min_size=1, max_size=9))
def test_like_the_c_library(tree: Path, pattern: str) -> None:
    assert keepvip_glob(pattern, tree) == libc_glob(pattern, tree)


def test_characters_are_not_bytes(tmp_path: Path) -> None:
    (tmp_path / "é").touch()
    assert [glob(pattern, str(tmp_path)).paths for pattern in ("?", "[é]", "??")] == [["é"], ["é"], []]


def test_absolute(tree: Path) -> None:
    assert glob(f"{tree}/?.conf", "/nowhere").paths == [f"{tree}/a.conf", f"{tree}/b.conf"]


def test_what_is_missing(tree: Path) -> None:
    found = glob("{a,no,b*,none*}", str(tree))
    assert (found.paths, found.missing, found.braces, found.wildcard) == (
        ["a", "b", "b.conf", "ba"],
        ["no"],
        True,
        False,
    )


def test_stars_cost_no_more_than_they_should(tmp_path: Path) -> None:
    (tmp_path / ("a" * 200)).touch()
    assert glob("*a" * 100 + "b", str(tmp_path)).paths == []


def test_too_many_alternatives() -> None:
    with pytest.raises(PatternError):
        expand_braces("{a,b}" * 50)
    with pytest.raises(PatternError):
        expand_braces("{" * 300 + "a,b" + "}" * 300 + "{a,b}" * 12)


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keepvip.config.glob.MAX_SCANNED", 10)
    for number in range(20):
        (tmp_path / str(number)).touch()
    with pytest.raises(PatternError):
        glob("*", str(tmp_path))
