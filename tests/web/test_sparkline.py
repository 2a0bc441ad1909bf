"""The line of the last hour."""

import re

from hypothesis import given
from hypothesis import strategies as st

from rscollector.web import sparkline

HOURS = st.lists(st.none() | st.floats(0, 86400), min_size=60, max_size=60)


@given(HOURS)
def test_every_minute_with_a_run_has_its_place_within_the_picture(minutes):
    """A gap is a gap, and the longest run is on top."""
    path = sparkline.path(minutes)
    points = [(int(x), int(y)) for x, y in re.findall(r"[ML](\d+) (\d+)", path)]
    assert [x for x, _ in points] == [x for x, each in enumerate(minutes) if each is not None]
    assert all(1 <= y <= 23 for _, y in points)
    if any(minutes):
        longest = max(each for each in minutes if each is not None)
        assert points[[each for each in minutes if each is not None].index(longest)][1] == 1
    starts = [x for x, each in enumerate(minutes) if each is not None and (x == 0 or minutes[x - 1] is None)]
    assert [int(x) for x in re.findall(r"M(\d+) \d+h1", path)] == starts, "one minute alone is seen, too"


def test_it_is_said_in_words():
    """For those who do not see it."""
    assert sparkline.label([None] * 60) == "no run in the last hour"
    assert sparkline.label([0.5] * 60) == "runs of the last hour: up to 500 ms"
    assert (
        sparkline.label([None] * 57 + [0.1, 3, 0.1])
        == "runs of the last hour: up to 3 s, none in 57 of its minutes"
    )
