"""Rise and fall, against a model that looks at the whole history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepvip.track.judge import Judge


@pytest.mark.parametrize(
    ("rise", "fall", "init_fail", "results", "values"),
    [
        (1, 1, False, "+-+", "gbg"),
        (3, 2, False, "-++-+++", "bbbbbbg"),  # the first decides alone, a contrary result starts the count anew
        (2, 3, False, "+--+---", "ggggggb"),
        (2, 2, True, "++--", "bggb"),
        (1, 1, True, "-+", "bg"),
    ],
)
def test_series(rise: int, fall: int, init_fail: bool, results: str, values: str) -> None:
    judge = Judge(rise, fall, init_fail=init_fail)
    assert judge.value == ("bad" if init_fail else "unknown")
    assert "".join(judge.note(ok=result == "+")[0] for result in results) == values


def test_another_script_keeps_the_value_until_its_first_result() -> None:
    judge = Judge(3, 3)
    judge.note(ok=True)
    judge.note(ok=False)
    assert judge.progress == "1 of 3 failures"
    judge.begin_again()
    assert (judge.value, judge.progress) == ("good", "")
    assert judge.note(ok=False) == "bad"
    judge.note(ok=True)
    assert judge.progress == "1 of 3 successes"


@given(rise=st.integers(1, 4), fall=st.integers(1, 4), results=st.lists(st.booleans(), min_size=1, max_size=40))
def test_the_value_changes_exactly_after_enough_in_a_row(rise: int, fall: int, results: list[bool]) -> None:
    judge = Judge(rise, fall)
    good = results[0]
    for count, result in enumerate(results, start=1):
        needed = fall if good else rise
        if all(past is not good for past in results[max(0, count - needed) : count]) and count >= needed:
            good = not good
        assert judge.note(ok=result) == ("good" if good else "bad")
