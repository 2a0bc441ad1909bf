"""What two ticks tell together."""

import pytest

from rscollector.kit.rates import Readings


def two(before, now, seconds=10.0):
    """Return the changes between two ticks."""
    readings = Readings()
    readings.take(100.0, before)
    return readings.take(100.0 + seconds, now)


def test_a_counter_has_growth_rate_and_share():
    """Two seconds of waiting in ten are a fifth, whatever unit the server counts in."""
    changes = two({"ns": 1e9}, {"ns": 3e9})
    assert changes.growth("ns") == 2e9
    assert changes.rate("ns") == 2e8
    assert changes.share("ns", 1e-9) == pytest.approx(0.2)


def test_a_share_is_at_most_one():
    """The server's clock and ours do not agree to the millisecond."""
    assert two({"s": 0}, {"s": 10.02}).share("s") == 1.0


def test_a_counter_that_has_gone_back_tells_nothing():
    """The server was started anew: what it counted in between nobody knows; a level may well fall."""
    changes = two({"n": 5}, {"n": 3})
    assert (changes.growth("n"), changes.rate("n"), changes.share("n")) == (None, None, None)
    assert changes.change("n") == -2


@pytest.mark.parametrize(
    ("before", "now"), [({}, {"n": 1}), ({"n": 1}, {}), ({"n": None}, {"n": 1}), ({"n": 1}, {"n": None})]
)
def test_a_number_that_was_missing_is_not_compared(before, now):
    """Neither with nothing nor with an older one."""
    assert two(before, now).change("n") is None


def test_the_first_tick_and_two_at_the_same_time_tell_nothing():
    """There is nothing to divide by."""
    assert Readings().take(100.0, {"n": 1}).growth("n") is None
    assert two({"n": 1}, {"n": 2}, seconds=0).rate("n") is None


def test_each_tick_is_compared_with_the_one_before():
    """And not with the first."""
    readings = Readings()
    for at, number in ((0, 0), (10, 100), (20, 110)):
        changes = readings.take(at, {"n": number})
    assert changes.rate("n") == 1
