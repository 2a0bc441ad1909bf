"""A commit in steps, and one of the same series as before, shows what any commit shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rscollector.exposition.render import Format
from rscollector.exposition.store import Store, page
from rscollector.exposition.validate import Drop
from rscollector.model.metrics import Distribution
from rscollector.model.namespace import Namespace
from rscollector.wire.layouts import Columns

LOAD = Namespace("load")
GAUGE = LOAD.gauge("level", "A level.", "name_of")
COUNTER = LOAD.counter("events", "Events.", "name_of")
STATE = LOAD.stateset("state", "A state.", ("good", "bad"), "name_of")
SIZES = LOAD.histogram("sizes", "Sizes.", (1, 10), "name_of")
DECLARED = {metric.name: metric for metric in (GAUGE, COUNTER, STATE, SIZES)}

RIGHT = {
    GAUGE: st.one_of(st.integers(-10, 10), st.floats(), st.just(1 << 1000)),
    COUNTER: st.one_of(st.integers(0, 10), st.floats(0, 10), st.just(float("inf"))),
    STATE: st.sampled_from(["good", "bad"]),
    SIZES: st.builds(lambda *counts: Distribution(counts, 1.0), *[st.integers(0, 5)] * 3),
}
WRONG = st.sampled_from([None, "x", True, -1, -0.5, float("nan"), 1 << 1024, {}, "good"])
LABELS = [("a",), ("b",), ("c\x1b",), ("c\\x1b",)]  # the last two become one
ODD = st.sampled_from([*LABELS, ("a", "b"), None])


@st.composite
def layouts_and_runs(draw):
    """Return a layout and the values of some runs of it; of each second one the first run is right as a whole."""
    is_right = draw(st.booleans())
    series = st.tuples(st.sampled_from([*RIGHT]), st.sampled_from(LABELS[:3]) if is_right else ODD)
    layout = draw(st.lists(series, min_size=1, max_size=12, unique=is_right))
    columns = Columns([metric.name for metric, _ in layout], [labels for _, labels in layout])
    runs = [[draw(RIGHT[metric]) for metric, _ in layout] for _ in range(draw(st.integers(1, 4)))]
    for run in runs[is_right:]:
        for place in draw(st.lists(st.integers(0, len(run) - 1), max_size=2)):
            run[place] = draw(WRONG)
    return columns, runs


@given(layouts_and_runs(), st.sampled_from([5, 100]), st.sampled_from([4, 15, 100]))
def test_a_layout_that_comes_again_changes_nothing_but_the_cost(given_, limit, total):
    """Beside a store that is told everything anew: the same page, and the same is dropped for the same reason."""
    columns, runs = given_
    quick, plain = Store(100), Store(100)
    for number, values in enumerate(runs):
        if number:  # a reload has changed it
            quick.max_series = plain.max_series = total
        samples = columns.with_values(values)
        first = quick.commit("load/main", samples, DECLARED, limit=limit, expires=1)
        other = plain.commit("load/main", list(samples), DECLARED, limit=limit, expires=1)
        assert (first.samples, first.series, first.dropped) == (other.samples, other.series, other.dropped)
        assert repr(first.rows) == repr(other.rows)
        for wanted in Format:
            assert page(quick.chunks(wanted), wanted) == page(plain.chunks(wanted), wanted)


def run_of(number, value=1.0):
    """Return a run of a gauge with so many series."""
    columns = Columns([GAUGE.name] * number, [(str(each),) for each in range(number)])
    return columns.with_values([value] * number)


def test_a_large_commit_has_many_steps_and_shows_nothing_before_its_end():
    """Each step is of a few hundred rows."""
    store = Store(10_000)
    steps = store.preparing("load/main", run_of(3000), DECLARED, limit=10_000)
    shown = [(store.series(), prepared) for prepared in steps]
    assert len(shown) > 3000 // 300
    assert {series for series, _ in shown} == {0}
    prepared = shown[-1][1]
    store.show("load/main", prepared, expires=1)
    assert store.series("load/main") == 3000


def test_of_a_layout_that_comes_again_only_the_values_are_looked_at():
    """Nothing is validated row by row: there is a step for each body, and one at the end."""
    store, run = Store(10_000), run_of(3000)
    store.commit("load/main", run, DECLARED, limit=10_000, expires=1)
    again = run.columns.with_values([2.0] * 3000)
    assert len(list(store.preparing("load/main", again, DECLARED, limit=10_000))) == 2


def test_what_has_been_shown_meanwhile_takes_the_room():
    """Whoever asks is told, and can commit again."""
    store = Store(100)
    *_, prepared = store.preparing("load/main", run_of(80), DECLARED, limit=100)
    store.commit("load/other", run_of(20), DECLARED, limit=100, expires=1)
    assert store.has_room("load/main", prepared)
    store.show("load/main", prepared, expires=1)
    assert store.has_room("load/main", prepared), "its own series make room"
    store.commit("load/third", run_of(1), DECLARED, limit=100, expires=1)
    assert not store.series("load/third")
    store.drop("load/main")
    store.commit("load/other", run_of(50), DECLARED, limit=100, expires=1)
    assert not store.has_room("load/main", prepared)


@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_family_that_somebody_else_shows_meanwhile_is_refused_until_that_is_gone(before):
    """At the end of what was prepared, however often it was shown before; then it is shown again."""
    store, run = Store(100), run_of(8)
    for _ in range(before):
        store.commit("load/main", run, DECLARED, limit=100, expires=1)
    *_, prepared = store.preparing("load/main", run, DECLARED, limit=100)
    store.drop_all()  # such as after a suspend
    other = LOAD.counter("level", "Not a level.", "name_of")
    rows = [("load_level_total", ("a",), 1)]
    store.commit("odd/main", rows, {other.name: other}, limit=100, expires=1)
    for accepted in (
        store.show("load/main", prepared, expires=1),
        store.commit("load/main", run, DECLARED, limit=100, expires=1),
    ):
        assert accepted.samples == store.series("load/main") == 0
        assert accepted.dropped == {Drop.CONFLICT: 8}
    store.drop("odd/main")
    assert store.commit("load/main", run, DECLARED, limit=100, expires=1).samples == 8
