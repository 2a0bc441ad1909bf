"""The schedule: never early, never doubled, and in phase for ever."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rscollector.model.schedule import Clocks, Schedule, clock_change, phase

intervals = st.floats(0.1, 3600)
times = st.floats(0, 1e7)


def one(interval, offset=0.0, now=0.0):
    """Return a schedule with one key."""
    schedule = Schedule()
    schedule.add("a", interval=interval, phase=offset, now=now)
    return schedule


@given(interval=intervals, now=times, share=st.floats(0, 1, exclude_max=True))
def test_a_thousand_ticks_later_the_phase_is_the_same(interval, now, share):
    """Nothing adds up: the thousandth tick is due where multiplication puts it, to the last bit."""
    offset = share * interval
    schedule = one(interval, offset, now)
    first = schedule.next_due()
    turn = round((first - offset) / interval)
    for each in range(1000):
        due = schedule.pop(schedule.next_due())
        assert due.slot == offset + (turn + each) * interval
        assert due.missed == 0


@given(interval=intervals, now=times, late=st.floats(0, 1e5))
def test_who_comes_late_gets_the_newest_slot_and_the_rest_is_counted(interval, now, late):
    """Served and missed ticks together are the slots that have passed."""
    schedule = one(interval, 0.0, now)
    first = schedule.next_due()
    then = first + late
    due = schedule.pop(then)
    assert first <= due.slot <= then
    assert then < schedule.next_due()
    assert due.slot == (round(first / interval) + due.missed) * interval
    assert schedule.pop(then) is None


def test_a_tick_that_is_due_in_the_future_is_not_given():
    """Never early, not even a little."""
    schedule = one(10.0)
    assert schedule.pop(9.999999) is None
    assert schedule.pop(10.0).slot == 10.0


def test_keys_come_in_the_order_of_their_times():
    """The earliest is first, whatever the order of adding."""
    schedule = Schedule()
    for key, offset in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
        schedule.add(key, interval=10.0, phase=offset, now=0.0)
    assert [schedule.pop(5.0).key for _ in range(3)] == ["a", "b", "c"]


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 9), max_size=50))
def test_many_keys_come_in_the_order_of_their_times(offsets):
    """Each comes once, the earliest first; those of the same time come in the order of their names."""
    schedule = Schedule()
    for key, offset in offsets.items():
        schedule.add(key, interval=10.0, phase=float(offset), now=0.0)
    came = []
    while due := schedule.pop(9.5):
        came.append((due.slot, due.key))
    assert came == sorted((float(offset), key) for key, offset in offsets.items())


def test_a_key_that_is_added_again_has_the_new_interval_only():
    """A change of the interval leaves nothing of the old one."""
    schedule = one(10.0)
    schedule.add("a", interval=7.0, phase=0.0, now=0.0)
    assert len(schedule) == 1
    assert [schedule.pop(14.0).slot, schedule.pop(14.0)] == [14.0, None]


def test_a_removed_key_comes_no_more():
    """Removing twice is no error, and an empty schedule has no next tick."""
    schedule = one(10.0)
    schedule.remove("a")
    schedule.remove("a")
    assert (schedule.next_due(), schedule.pop(1e9), len(schedule)) == (None, None, 0)


def newest(origin, interval, now):
    """Return the number of the newest slot that is not later than now, by trying."""
    turn = int((now - origin) / interval) + 2
    while origin + turn * interval > now:
        turn -= 1
    return turn


class Ticks(RuleBasedStateMachine):
    """Keys come and go while time passes in steps of any size."""

    def __init__(self):
        super().__init__()
        self.schedule = Schedule()
        self.now = 0.0
        self.last = {}
        self.turns = {}

    @rule(key=st.sampled_from("abc"), interval=st.floats(0.1, 100), offset=st.floats(0, 0.1))
    def add(self, key, interval, offset):
        """Add or change a key."""
        self.schedule.add(key, interval=interval, phase=offset, now=self.now)
        self.last[key] = self.now
        self.turns[key] = (offset, interval, newest(offset, interval, self.now))

    @rule(key=st.sampled_from("abc"))
    def remove(self, key):
        """Remove a key, there or not."""
        self.schedule.remove(key)
        self.last.pop(key, None)

    @rule(seconds=st.floats(0, 500))
    def time_passes(self, seconds):
        """Time passes, and all that is due is taken."""
        self.now += seconds
        first = self.schedule.next_due()
        while due := self.schedule.pop(self.now):
            assert due.slot <= self.now, "early"
            assert due.slot > self.last[due.key], "doubled"
            assert due.missed >= 0
            self.last[due.key] = due.slot
            self.count(due)
            assert first <= self.schedule.next_due(), "out of order"
            first = self.schedule.next_due()

    def count(self, due):
        """Compare what was served and missed with the slots that have passed since the last tick."""
        origin, interval, before = self.turns[due.key]
        now = newest(origin, interval, self.now)
        assert due.missed + 1 == now - before
        assert due.slot == origin + now * interval
        self.turns[due.key] = (origin, interval, now)

    @invariant()
    def what_is_left_is_in_the_future(self):
        """After the due ticks are taken, each key has exactly one tick to come."""
        assert len(self.schedule) == len(self.last)
        due = self.schedule.next_due()
        assert due is None or due > self.now


TestTicks = Ticks.TestCase
TestTicks.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(host=st.text(), key=st.text(), interval=intervals)
def test_the_phase_is_within_the_interval_and_stable(host, key, interval):
    """The same host and key have the same phase after every restart."""
    assert 0 <= phase(host, key, interval) < interval
    assert phase(host, key, interval) == phase(host, key, interval)


def test_the_phase_spreads_a_fleet():
    """A thousand hosts fill every tenth of the interval."""
    tenths = {int(phase(f"host{number}", "vip/main", 10.0)) for number in range(1000)}
    assert tenths == set(range(10))


BEFORE = Clocks(100.0, 150.0, 1e9)


def after(seconds, *, suspended=0.0, stepped=0.0):
    """Return the clocks some seconds later."""
    return Clocks(100.0 + seconds, 150.0 + seconds + suspended, 1e9 + seconds + suspended + stepped)


def test_time_that_only_passes_is_no_change():
    """Slewing and the time between two readings are within the tolerance."""
    assert clock_change(BEFORE, after(60.0, stepped=0.5)) == (0.0, 0.0)


def test_a_suspend_is_no_step():
    """After a suspend the wall clock is right, so that only the suspend is reported."""
    assert clock_change(BEFORE, after(1.0, suspended=3600.0)) == (3600.0, 0.0)


@given(seconds=st.sampled_from([3600.0, -3600.0, 2.0, -2.0]))
def test_a_step_is_reported_with_its_sign(seconds):
    """A clock that was set is told by how much, forward or back."""
    assert clock_change(BEFORE, after(1.0, stepped=seconds)) == (0.0, seconds)


amounts = st.just(0.0) | st.floats(2, 1e6) | st.floats(-1e6, -2)


@given(seconds=st.floats(0, 1e6), suspended=st.just(0.0) | st.floats(2, 1e6), stepped=amounts)
def test_any_suspend_and_any_step_are_told_apart(seconds, suspended, stepped):
    """However much time passed, a suspend is told as such and a step as such."""
    change = clock_change(BEFORE, after(seconds, suspended=suspended, stepped=stepped))
    assert change == (pytest.approx(suspended, abs=1e-5), pytest.approx(stepped, abs=1e-5))


def test_both_at_once_are_told_apart():
    """A machine that wakes up with a wrong clock tells both."""
    assert clock_change(BEFORE, after(1.0, suspended=100.0, stepped=-50.0)) == (100.0, -50.0)


@pytest.mark.parametrize(
    ("interval", "now"), [(3172.4537687338675, 2283630568.8014684), (2888.173993699344, 191119137.68506667)]
)
def test_a_division_that_rounds_the_wrong_way_makes_no_tick_early_or_lost(interval, now):
    """Where now / interval rounds up or down across a whole number, the next slot is still the next one."""
    due = one(interval, now=now).next_due()
    assert due - interval <= now < due


def test_the_next_tick_of_each_is_known():
    """Before and after its last one."""
    schedule = Schedule()
    schedule.add("a", interval=10, phase=3, now=0)
    schedule.add("b", interval=4, phase=1, now=0)
    assert (schedule.next_of("a"), schedule.next_of("b")) == (3, 1)
    schedule.pop(2)
    assert (schedule.next_of("a"), schedule.next_of("b")) == (3, 5)
