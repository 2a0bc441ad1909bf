"""Serials: RFC 1982's arithmetic at all its edges, and what is remembered of those of a zone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.dns.serials import HALF, MODULUS, Serials, newer, newest, seconds_left

SERIAL = st.integers(0, MODULUS - 1) | st.sampled_from([0, 1, HALF - 1, HALF, HALF + 1, MODULUS - 1])


@pytest.mark.parametrize(
    ("one", "other", "is_newer"),
    [
        (1, 0, True), (0, 1, False), (0, 0, False), (3, 4_294_967_290, True), (4_294_967_290, 3, False),
        (HALF - 1, 0, True), (HALF, 0, False), (0, HALF, False), (HALF + 1, 0, False), (0, HALF + 1, True),
        (0, MODULUS - 1, True), (44, 100, False), (100, 44, True), (200, 44, True), (255, 200, True),
    ],
)  # fmt: skip
def test_newer_is_what_rfc_1982_says(one, other, is_newer):
    """Its own examples (for 32 bits), the wrap, and the distance of 2³¹ at which nothing is defined."""
    assert newer(one, other) is is_newer


@given(SERIAL, SERIAL)
def test_of_two_one_is_newer_but_at_half_the_circle(one, other):
    """Never both; neither only where they are the same or 2³¹ apart."""
    assert newer(one, other) + newer(other, one) == ((one - other) % MODULUS not in (0, HALF))


@given(SERIAL, st.lists(st.integers(0, HALF - 1), min_size=1))
def test_the_newest_of_a_range_is_its_end_wherever_it_begins(start, steps):
    """Serials that are less than 2³¹ apart have a newest one, also over the wrap."""
    assert newest((start + step) % MODULUS for step in steps) == (start + max(steps)) % MODULUS


@given(st.lists(SERIAL, min_size=1, max_size=6))
def test_the_newest_is_newer_than_all_others_or_there_is_none(serials):
    """What is returned is so, and None only where no serial is."""
    found = newest(serials)
    right = [each for each in set(serials) if all(each == other or newer(each, other) for other in serials)]
    assert [found] == (right or [None])


def test_a_circle_has_no_newest():
    """Three serials of which each is newer than the one before, all around."""
    assert newest([0, HALF - 1, MODULUS - 2]) is None
    assert newest([]) is None


@given(st.integers(0, MODULUS - 1), st.integers(-HALF, HALF - 1))
def test_the_time_left_of_a_signature_is_right_over_the_wrap_of_2106(end, left):
    """It is what is added to now to come to the end, in the past as well."""
    assert seconds_left((end + left) % MODULUS, end) == left


def learned(*ticks, asked=("a", "b", "c")):
    """Return what is remembered after ticks, a second each."""
    serials = Serials()
    for second, told in enumerate(ticks):
        serials.learn(float(second), told, asked)
    return serials


def test_who_is_behind_is_told_by_how_much_and_since_when():
    """Over the wrap: since the first serial was seen that is newer than the one that it has."""
    serials = learned({"a": 4_294_967_290, "b": 4_294_967_290}, {"a": 2, "b": 4_294_967_290}, {"a": 3})
    assert serials.newest == 3
    assert (serials.behind(4_294_967_290), serials.since(4_294_967_290)) == (9, 1.0)
    assert (serials.behind(2), serials.since(2)) == (1, 2.0)
    assert (serials.behind(3), serials.since(3)) == (0, None)


def test_one_that_follows_a_primary_that_always_changes_is_not_behind_for_long():
    """It is a change behind at each tick, and for a second each time."""
    serials = learned(*({"a": number, "b": number - 1} for number in range(10, 20)))
    assert serials.since(18) == 9.0


def test_the_newest_stays_while_who_had_it_is_silent():
    """The primary dies after a change that nobody has taken: the others are behind."""
    assert learned({"a": 8, "b": 7}, {"b": 7}, {"b": 7, "c": 7}).behind(7) == 1


def test_the_newest_goes_when_who_had_it_has_gone_back():
    """A primary that was restored from a backup: nobody is behind a serial that is no more."""
    serials = learned({"a": 8, "b": 8}, {"a": 5, "b": 5})
    assert (serials.newest, serials.behind(5), serials.seen) == (5, 0, [(5, 1.0)])


def test_the_newest_stays_where_another_one_has_it_still():
    """The primary has gone back, and the secondaries have not: it is behind them."""
    serials = learned({"a": 8, "b": 8}, {"a": 5, "b": 8})
    assert (serials.newest, serials.behind(5)) == (8, 3)


def test_a_server_that_is_no_more_takes_its_serial_with_it():
    """A typing error's serial is forgotten with the only server that had it."""
    serials = learned({"a": 2_100_000_000, "b": 7})
    serials.learn(2.0, {"b": 7}, ("b",))
    assert (serials.newest, serials.behind(7)) == (7, 0)


def test_serials_without_an_order_make_nobody_be_behind():
    """Neither of two that are 2³¹ apart is newer; when one of them follows, there is an order again."""
    serials = learned({"a": 0, "b": HALF})
    assert (serials.newest, serials.has_order, serials.behind(0)) == (None, False, 0)
    serials.learn(1.0, {"a": 0, "b": 0}, ("a", "b"))
    assert (serials.newest, serials.has_order) == (0, True)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), SERIAL)))
def test_whatever_servers_say_nobody_who_has_the_newest_is_behind(ticks):
    """And what is told of the others is less than 2³¹, since a time that was; what is kept is bounded."""
    serials = learned(*ticks)
    for told in ticks:
        for serial in told.values():
            assert (serials.behind(serial) == 0) >= (serial == serials.newest)
            assert 0 <= serials.behind(serial) < HALF
            since = serials.since(serial)
            assert since is None or 0 <= since < len(ticks)
    assert len(serials.seen) <= len(ticks)


def test_what_was_seen_is_bounded_and_the_oldest_is_kept():
    """After many changes it is still known that the first serial is behind since the second."""
    serials = learned(*({"a": number} for number in range(5000)), asked=("a",))
    assert len(serials.seen) <= 1000
    assert serials.since(0) <= 2


def test_the_newest_stays_while_its_only_holder_is_silent_though_others_held_the_one_before():
    """They are no holders any more, and do not refute it."""
    serials = learned({"a": 7, "b": 7}, {"a": 8, "b": 7}, {"b": 7})
    assert (serials.newest, serials.behind(7)) == (8, 1)


def test_where_nobody_tells_a_serial_there_is_still_an_order():
    """All are silent, and who had the newest is asked no more: nothing is said of an order that is missing."""
    serials = learned({"a": 8})
    serials.learn(1.0, {}, ())
    assert (serials.newest, serials.has_order) == (8, True)
