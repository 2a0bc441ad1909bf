"""What is kept of a collector's condition and of its runs."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rscollector.model.lifecycle import Condition
from rscollector.runtime.history import History

UP, DOWN, STARTING = Condition.UP, Condition.DOWN, Condition.STARTING


def test_a_condition_is_since_it_came_and_not_since_it_was_told_again():
    """A new collector is starting from the moment on at which it was made."""
    history, seen = History(5), []
    for now, condition in ((7, STARTING), (10, UP), (20, UP), (30, DOWN), (50, DOWN), (60, UP)):
        history.became(now, 1000 + now, condition, None, "")
        seen.append((history.condition, history.since))
    assert seen == [(STARTING, 5), (UP, 10), (UP, 10), (DOWN, 30), (DOWN, 30), (UP, 60)]


def test_what_it_was_is_told_by_the_clock_with_the_last_figures_of_each_reason():
    """Another kind of trouble begins no other condition; who is tried again keeps the reason until there is another."""
    history = History(5, 1005)
    for now, condition, kind, reason in (
        (10, DOWN, "unavailable", "1 wait"), (20, DOWN, "unavailable", ""), (30, DOWN, "unavailable", "2 wait"),
        (40, DOWN, "hang", "no answer"), (50, UP, None, ""),
    ):  # fmt: skip
        history.became(now, 1000 + now, condition, kind, reason)
        assert history.since == {DOWN: 10, UP: 50}[history.condition]
        assert (condition, now) != (DOWN, 20) or next(history.past()).reason == "1 wait"
    assert list(history.past()) == [
        (1050, UP, "", None), (1040, DOWN, "no answer", 10), (1010, DOWN, "2 wait", 30), (1005, STARTING, "", 5),
    ]  # fmt: skip


def test_nothing_lasts_less_than_no_time():
    """Though the clock of the wall was set back."""
    history = History(0, 1000)
    history.became(10, 900, UP, None, "")
    assert [each.lasted for each in history.past()] == [None, 0]


def test_a_reason_that_is_told_again_is_cut_too():
    """And not only the first time."""
    history = History()
    for _ in range(3):
        history.became(0, 0, DOWN, "bug", "x" * 1000)
        assert len(next(history.past()).reason) < 100


@given(st.lists(st.tuples(st.floats(0, 20_000), st.floats(0.001, 100)), max_size=300))
def test_each_minute_of_the_last_hour_has_its_longest_run(runs):
    """Whenever it is asked, after pauses of any length."""
    history, now = History(), 0.0
    for pause, duration in runs:
        now += pause / 100
        history.took(now, duration)
    expected = [math.nan] * 60
    then = 0.0
    for pause, duration in runs:
        then += pause / 100
        age = int(now // 60) - int(then // 60)
        if age < 60:
            before = expected[59 - age]
            expected[59 - age] = duration if math.isnan(before) else max(before, duration)
    found = history.minutes(now)
    assert found == pytest.approx(expected, rel=1e-6, nan_ok=True)
