"""When results make a check good or bad, step by step (checkers-and-ipvs.md 3.3, 4.2, 4.3)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepvip.check.state import PagesState, State, make_state
from keepvip.config.model_check import Checker, HttpCheck, SmtpCheck, Target, TcpCheck, Url

TARGET = Target(address="192.0.2.1", port=80, family=4)
LOOP, RETRY = 10, 3


def tcp(retry: int = 2, **more: Any) -> TcpCheck:
    return TcpCheck(target=TARGET, retry=retry, delay_loop_us=LOOP, delay_before_retry_us=RETRY, **more)


def http(pages: int = 1, retry: int = 2, **more: Any) -> HttpCheck:
    urls = tuple(Url(path=f"/{number}") for number in range(pages))
    return HttpCheck(target=TARGET, urls=urls, retry=retry, delay_loop_us=LOOP, delay_before_retry_us=RETRY, **more)


def smtp(retry: int = 2) -> SmtpCheck:
    return SmtpCheck(target=TARGET, retry=retry, delay_loop_us=LOOP, delay_before_retry_us=RETRY)


def play(state: State, results: str) -> list[tuple[str, int]]:
    """`+` and `-` in, state and delay out."""
    found = []
    for result in results:
        step = state.take(ok=result == "+")
        found.append(("up" if state.up else "down", step.delay_us))
    return found


def fresh(checker: Checker, *, up: bool = True) -> State:
    return make_state(checker, up=up, first=True)


def test_the_first_failure_needs_no_retry() -> None:
    assert play(fresh(tcp()), "-") == [("down", LOOP)]
    assert play(fresh(tcp()), "+-") == [("up", LOOP), ("up", RETRY)]


def test_retries_then_down_then_one_success() -> None:
    assert play(fresh(tcp()), "+---") == [("up", LOOP), ("up", RETRY), ("up", RETRY), ("down", LOOP)]
    assert play(fresh(tcp()), "+----+")[-2:] == [("down", LOOP), ("up", LOOP)]


def test_a_success_clears_the_counter() -> None:
    assert [state for state, _ in play(fresh(tcp()), "+--+--+---")] == ["up"] * 9 + ["down"]


def test_alpha_waits_for_one_success() -> None:
    state = fresh(tcp(), up=False)
    assert state.take(ok=False) == (LOOP, True, False)
    assert state.take(ok=True) == (LOOP, True, True)


def test_without_retries() -> None:
    assert play(fresh(tcp(retry=0)), "+-+") == [("up", LOOP), ("down", LOOP), ("up", LOOP)]


def test_a_kept_check_goes_on_with_its_counter_capped() -> None:
    state = fresh(tcp(retry=5))
    play(state, "+----")
    state.adopt(tcp(retry=1))
    assert state.failures == 1
    assert play(state, "-") == [("down", LOOP)]


@given(st.text("+-", min_size=1, max_size=30), st.integers(0, 4))
def test_down_means_failures_in_a_row(results: str, retry: int) -> None:
    """After a success, it is down exactly if more than `retry` failures came since."""
    state = fresh(tcp(retry=retry))
    play(state, "+" + results)
    trailing = len(results) - len(results.rstrip("-"))
    assert state.up == (trailing <= retry)


def test_smtp_has_its_retries_from_the_start_and_in_every_round() -> None:
    assert play(fresh(smtp()), "---") == [("up", RETRY), ("up", RETRY), ("down", LOOP)]
    # A server that is down gets its burst of retries each round, too.
    assert play(fresh(smtp()), "------")[3:] == [("down", RETRY), ("down", RETRY), ("down", LOOP)]
    assert play(fresh(smtp()), "---+")[-1] == ("up", LOOP)


def test_one_page() -> None:
    assert play(fresh(http()), "-") == [("down", LOOP)]
    assert play(fresh(http()), "+---") == [("up", LOOP), ("up", RETRY), ("up", RETRY), ("down", LOOP)]
    # The failed page passes, and then all pages have to, which is this one again (as keepalived 2.2.7 does it).
    assert play(fresh(http()), "-++") == [("down", LOOP), ("down", LOOP), ("up", LOOP)]


def test_the_poll_of_a_failed_page_is_not_faster_than_its_retries() -> None:
    slow = HttpCheck(target=TARGET, urls=(Url(path="/"),), retry=0, delay_loop_us=10, delay_before_retry_us=50)
    assert play(fresh(slow), "--") == [("down", 50), ("down", 50)]


def pages(state: State, results: str) -> str:
    """Which page each result belongs to."""
    found = ""
    for result in results:
        found += str(state.page)
        state.take(ok=result == "+")
    return found


def test_one_page_per_cycle() -> None:
    assert pages(fresh(http(3)), "+++++++") == "0120120"


def test_a_server_that_waits_is_up_only_after_all_pages() -> None:
    state = fresh(http(3), up=False)
    assert [up for up, _ in play(state, "+++")] == ["down", "down", "up"]


def test_before_the_first_complete_pass_no_page_has_retries() -> None:
    assert [up for up, _ in play(fresh(http(3)), "++-")] == ["up", "up", "down"]
    assert [up for up, _ in play(fresh(http(3)), "+++--")] == ["up"] * 5


def test_retries_are_counted_for_each_page() -> None:
    state = fresh(http(2))
    assert [up for up, _ in play(state, "++--+--+---")] == ["up"] * 10 + ["down"]


def test_the_first_page_is_looked_at_twice_too() -> None:
    state = fresh(http(3, retry=0))
    play(state, "+++-")
    assert pages(state, "-++++") == "00012"
    assert state.up


def test_a_failed_page_is_polled_alone_and_then_all_must_pass() -> None:
    state = fresh(http(3, retry=0))
    play(state, "+++")
    assert pages(state, "+---+") == "01111"
    assert not state.up
    assert pages(state, "+++") == "012"
    assert state.up


def test_fast_recovery_takes_the_waits_out() -> None:
    quick = fresh(http(3, retry=0, fast_recovery=True), up=False)
    assert [delay for _, delay in play(quick, "+++")] == [0, 0, LOOP]
    assert [delay for _, delay in play(quick, "+++")] == [LOOP, LOOP, LOOP]
    assert [delay for _, delay in play(quick, "-++++")] == [LOOP, 0, 0, 0, LOOP]
    slow = fresh(http(3), up=False)
    assert [delay for _, delay in play(slow, "+++")] == [LOOP, LOOP, LOOP]


@given(st.text("+-", max_size=60), st.integers(1, 4), st.booleans())
def test_pages_stay_in_range_and_up_means_a_whole_pass(results: str, count: int, alpha: bool) -> None:
    state = fresh(http(count, retry=1), up=not alpha)
    assert isinstance(state, PagesState)
    passed: list[int] = []
    for result in results:
        was_up, page = state.up, state.page
        assert 0 <= page < count
        step = state.take(ok=result == "+")
        passed = [*passed, page] if result == "+" else []
        assert step.changed == (was_up != state.up)
        if state.up and not was_up:
            assert passed[-count:] == list(range(count))


@pytest.mark.parametrize("make", [tcp, http, smtp])
def test_changed_is_told_once(make: Any) -> None:
    state = fresh(make(retry=0))
    changes = [state.take(ok=result == "+").changed for result in "+--+++-"]
    # A page has to pass twice.
    ups = [False, True, False] if make is http else [True, False, False]
    assert changes == [False, True, False, *ups, True]
