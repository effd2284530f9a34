"""Files made to hurt: the work stays bounded and the answer is a diagnostic."""

from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from keepvip.config.budget import MAX_DEPTH, MAX_STEPS, Budget

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Read

SECONDS = 20.0
"""CPU time that no file below comes near to, even on a slow and busy machine."""


@pytest.fixture(autouse=True)
def in_bounded_time() -> object:
    start = time.process_time()
    yield
    assert time.process_time() - start < SECONDS


@pytest.fixture
def a_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of work, and so the time of the test, a tenth of what it is."""
    monkeypatch.setattr("keepvip.config.expand.Budget", lambda: Budget(MAX_STEPS // 10))


def doubling(line: Callable[[int], str], count: int = 60) -> str:
    return "".join(line(number) for number in range(1, count)) + f"say ${{D{count - 1}}}\n"


@pytest.mark.parametrize(
    "text",
    [
        "$D0=\n" + doubling(lambda n: f"$D{n}=${{D{n - 1}}}${{D{n - 1}}}\n"),
        "$D0=\\\n\n" + doubling(lambda n: f"$D{n}=\\\n$D{n - 1} \\\n$D{n - 1}\n").replace("say ", ""),
        "~SEQ(i,9223372036854775807) say $i\n",
        "~SEQ(i,100000) ~SEQ(j,100000) say $i\n",
        "~SEQ(i,2)" * 90 + " say $i\n",
        "$X=\\\n~SEQ(i,1000) $Y\n$Y=\\\n~SEQ(j,1000) $Z\n$Z=\\\nsay a\n$X\n",
    ],
    ids=["values", "lines", "sequence", "nested sequences", "nest of sequences", "sequences of lines"],
)
@pytest.mark.usefixtures("a_tenth")
def test_what_multiplies_is_stopped(read: Read, text: str) -> None:
    found = read(text)
    assert found.codes[-1:] == ["too-much"]
    assert found.exit_code == 5
    assert len(found.nodes) <= MAX_STEPS // 10


def test_the_limit_itself(read: Read) -> None:
    found = read("~SEQ(i,9999999) ~SEQ(j,10) say $i\n~SEQ(i,10) say x\n")
    assert found.codes == ["too-much"]
    found = read(f"~SEQ(i,{MAX_STEPS // 3}) say $i\n")
    assert (len(found.nodes), found.codes) == (MAX_STEPS // 3, [])


def test_what_doubles_in_size_hits_the_longest_line(read: Read) -> None:
    found = read("$D0=x\n" + doubling(lambda n: f"$D{n}=${{D{n - 1}}}${{D{n - 1}}}\n"))
    assert "definition-too-long" in found.codes or "too-much" in found.codes


def test_a_long_chain_of_values(read: Read) -> None:
    found = read("".join(f"$D{n}=$D{n + 1}\n" for n in range(100_000)) + "$D100000=x\nsay $D0\n")
    assert found.codes == ["definition-too-deep"]


def test_a_long_chain_of_lines(read: Read) -> None:
    found = read("".join(f"$D{n}=\\\nsay {n} \\\n$D{n + 1}\n" for n in range(10_000)) + "$D10000=\\\nsay x\n$D0\n")
    assert found.said == [str(n) for n in range(MAX_DEPTH - 1)]
    assert found.codes == ["too-deep"]


def test_many_definitions(read: Read) -> None:
    text = "".join(f"$D{n}=v{n}\n" for n in range(100_000)) + "".join(f"say $D{n}\n" for n in range(0, 100_000, 100))
    found = read(text)
    assert found.said[-1] == "v99900"
    assert found.codes == []


def test_many_undefined_names(read: Read) -> None:
    text = "".join(f"$D{n}=v{n}\n" for n in range(10_000)) + "".join(f"say $Dx{n}\n" for n in range(10_000))
    assert read(text).diagnostics.warnings == 10_000


def test_many_mistakes(read: Read) -> None:
    found = read("".join(f"vrrp_instnace{n} {{\n}}\n" for n in range(10_000)))
    assert found.diagnostics.errors == 10_000


def test_many_words(read: Read) -> None:
    found = read("vrrp_sync_group G { group {\n" + ("a " * 500 + "\n") * 200 + "} }\n")
    group = (found.nodes[0].children or [])[0]
    assert len(group.children or []) == 100_000


@pytest.mark.parametrize("brace", ["{\n", "}\n", "{", "}", "say x {\n", "vrrp_instance A {\n", "bogus {\n", "say {}"])
def test_braces(read: Read, brace: str) -> None:
    found = read(brace * 10_000)
    assert found.diagnostics.errors > 0


@pytest.mark.parametrize(
    "line",
    [
        '"' * 1000,
        "\\" * 1000,
        "$" * 1000,
        "${" * 500,
        "~SEQ(" * 200,
        "@" * 1000,
        "\udcff" * 1000,
        "#" * 1000,
        "{" * 1000,
        "~LST(" + "{" * 990,
        "~LST(i," + "," * 990,
        "$A" + "=" * 900,
        "include " + "{a," * 300,
        "include " + "*/" * 400,
        "include " + "[" * 900,
        "include " + "{a,b}" * 190,
        "say ${_RANDOM " + "9 " * 400 + "}",
        "'\"" * 500,
    ],
)
def test_lines_of_one_kind(read: Read, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    read(f"{line}\n" * 200)


@pytest.mark.usefixtures("a_tenth")
def test_searching_the_disk_is_work(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12**3):
        (tmp_path / f"{number % 12}/{number // 12 % 12}/{number // 144}").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert "too-much" in read("include */*/*/*\n" * 1_000).codes


def test_one_huge_line(read: Read) -> None:
    assert read(b"say " + b"x y " * 1_000_000).codes[0] == "line-too-long"


def test_deep_includes(read: Read, tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number}.conf").write_text(f"say {number}\ninclude {number + 1}.conf\n")
    found = read(tmp_path / "0.conf")
    assert found.codes == ["too-deep"]
    assert found.said == [str(number) for number in range(MAX_DEPTH // 2)]


@pytest.mark.usefixtures("a_tenth")
def test_includes_that_double(read: Read, tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"{number}.conf").write_text(f"include {number + 1}.conf\n" * 2)
    (tmp_path / "60.conf").write_text("say x\n")
    found = read(tmp_path / "0.conf")
    assert found.codes == ["too-much"]


def test_all_files_together_are_bounded(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keepvip.config.expand.MAX_TOTAL_BYTES", 1_000)
    (tmp_path / "a").write_bytes(b"#" * 600)
    (tmp_path / "main").write_text("include a\ninclude a\n")
    assert read(tmp_path / "main").codes == ["line-too-long", "include-too-much"][1:]


def test_a_file_that_is_too_large(read: Read, tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(1 << 40)
    assert read(tmp_path / "big").codes == ["include-unreadable"]


def instances(count: int) -> bytes:
    lines = ("state MASTER", "priority 5 # c", 'notify_master "/bin/x y"', "virtual_ipaddress {", "1.1.1.1", "}")
    body = "\n  ".join(lines)
    return "".join(f"vrrp_instance A{number} {{\n  {body}\n}}\n" for number in range(count)).encode()


def test_time_is_linear(read: Read) -> None:
    def cost(count: int) -> float:
        data = instances(count)
        best = SECONDS
        for _ in range(3):
            start = time.process_time()
            assert len(read(data).nodes) == count
            best = min(best, time.process_time() - start)
        return best

    small, large = cost(1_000), cost(8_000)
    assert large < 8 * small * 3


def test_memory_is_linear(read: Read) -> None:
    def peak(count: int) -> int:
        data = instances(count)
        tracemalloc.start()
        found = read(data)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(found.nodes) == count
        return size

    assert peak(4_000) < 4 * peak(1_000) * 1.5
