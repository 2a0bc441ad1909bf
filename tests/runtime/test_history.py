"""What is kept of what a collector was."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from rscollector.model.events import Trouble
from rscollector.model.lifecycle import Condition
from rscollector.runtime.history import History

UP, DOWN = Condition.UP, Condition.DOWN


def test_a_change_is_kept_and_what_stays_is_not():
    """A reason that only changes its figures is no change; another kind of trouble is, and since stays."""
    history = History()
    history.became(10, UP, None, "")
    history.became(20, UP, None, "")
    history.became(30, DOWN, Trouble.UNAVAILABLE, "refused, 3 points wait")
    history.became(40, DOWN, Trouble.UNAVAILABLE, "refused, 4 points wait")
    history.became(50, DOWN, Trouble.HANG, "no answer")
    assert history.since == 30
    history.became(60, UP, None, "")
    assert [(each.condition, each.reason) for each in history.changes] == [
        (UP, ""),
        (DOWN, "refused, 3 points wait"),
        (DOWN, "no answer"),
        (UP, ""),
    ]
    assert history.since == 60


@given(st.lists(st.tuples(st.floats(0, 20_000), st.floats(0.001, 100)), max_size=300))
def test_each_minute_of_the_last_hour_has_its_longest_run(runs):
    """Whenever it is asked, after pauses of any length."""
    history, now = History(), 0.0
    for pause, duration in runs:
        now += pause / 100
        history.took(now, duration)
    expected = [None] * 60
    then = 0.0
    for pause, duration in runs:
        then += pause / 100
        age = int(now // 60) - int(then // 60)
        if age < 60:
            expected[59 - age] = max(expected[59 - age] or 0.0, duration)
    found = history.minutes(now)
    assert [each is None for each in found] == [each is None for each in expected]
    assert all(a is None or abs(a - b) < 1e-4 for a, b in zip(found, expected, strict=True))


def test_it_is_bounded():
    """However long it lives and whatever the reasons are."""
    history = History()
    for number in range(1000):
        history.became(number, UP if number % 2 else DOWN, number, "x" * 100_000)
        history.took(number * 60, 1.0)
    kept = sum(
        sys.getsizeof(each) + sys.getsizeof(each.at) + sys.getsizeof(each.reason) for each in history.changes
    )
    assert kept + sys.getsizeof(history.changes) + sys.getsizeof(history._took) < 4096
