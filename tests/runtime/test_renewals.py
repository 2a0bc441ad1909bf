"""When a worker that has grown too large is renewed."""

from itertools import pairwise

import pytest

from rscollector.runtime.renewals import Renewals


def renewed(seconds, every):
    """Return when a worker is renewed that is always too large and is asked `every` so many seconds."""
    renewals = Renewals()
    return [now for now in range(100, 100 + seconds, every) if renewals.is_due("x/a", float(now))]


def test_a_worker_that_grows_for_the_first_time_is_renewed_at_once():
    """A leak is ended before it hurts."""
    assert Renewals().is_due("x/a", 0.0)


def test_workers_that_grow_as_fast_are_given_more_and_more_time():
    """Ten seconds after the first renewal, then twice as long each time, up to ten minutes."""
    found = renewed(4000, 1)
    waits = [after - before for before, after in pairwise(found)]
    assert waits[:8] == [10, 20, 40, 80, 160, 320, 600, 600]


def test_one_that_lives_for_ten_minutes_ends_the_row():
    """A slow leak is renewed each time at once."""
    assert renewed(3005, 601) == [100, 701, 1302, 1903, 2504]
    renewals = Renewals()
    assert [renewals.is_due("x/a", now) for now in (0.0, 700.0, 705.0, 711.0)] == [True, True, False, True]


def test_each_name_has_a_row_of_its_own():
    """One worker's leak is no reason to bear another's."""
    renewals = Renewals()
    assert [renewals.is_due(name, 0.0) for name in ("a", "b", "a")] == [True, True, False]


def test_a_limit_that_is_too_small_is_told_once():
    """And again when it was changed and is still too small."""
    renewals = Renewals()
    told = [renewals.is_news(name, limit) for name, limit in (("a", 10), ("a", 10), ("b", 10), ("a", 20))]
    assert told == [True, False, True, True]


@pytest.mark.parametrize("first", ["news", "due"])
def test_what_is_told_and_what_is_done_are_two_things(first):
    """Whichever comes first."""
    renewals = Renewals()
    assert renewals.is_news("a", 1) if first == "news" else renewals.is_due("a", 0.0)
    assert renewals.is_due("a", 0.0) if first == "news" else renewals.is_news("a", 1)
