"""What one instance sends costs the others nothing: limits, collisions and odd texts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from rscollector.exposition.render import Format
from rscollector.exposition.store import Store, page
from rscollector.exposition.validate import Drop, validate
from rscollector.model.metrics import Distribution, Kind, Metric
from rscollector.model.texts import printable

X = Metric("x_n", Kind.GAUGE, "A number.", labels=("n",))
STATE = Metric("x_state", Kind.STATESET, "A state.", labels=("n",), states=("up", "down", "away"))
AGE = Metric("x_age", Kind.HISTOGRAM, "Ages.", labels=("n",), buckets=(1.0,))
DECLARED = {metric.name: metric for metric in (X, STATE, AGE)}
VALUES = {"x_n": 1, "x_state": "up", "x_age": Distribution((1, 2), 3.0)}

rows = st.lists(
    st.tuples(st.sampled_from(sorted(VALUES)), st.integers(0, 30)).map(
        lambda each: (each[0], (str(each[1]),), VALUES[each[0]])
    ),
    max_size=40,
)


def keys(accepted):
    """Return what identifies the accepted samples."""
    return {(metric.name, values) for metric, rows in accepted.rows.items() for values in rows}


def width(series):
    """Return the number of series that samples stand for."""
    return sum(DECLARED[name].width for name, _ in series)


def samples(store):
    """Return the samples of the text page as (name, labels): value."""
    text = page(store.chunks(Format.TEXT), Format.TEXT).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@given(rows, st.integers(0, 60))
def test_every_row_is_shown_or_counted_and_the_limit_is_one_of_series(sent, limit):
    """Nothing vanishes without a number, and no sample is wider than the room it takes."""
    accepted = validate(sent, DECLARED, {}, limit)
    assert len(sent) == accepted.samples + sum(accepted.dropped.values())
    assert len(sent) - len({row[:2] for row in sent}) == accepted.dropped[Drop.DUPLICATE]
    assert width(keys(accepted)) == accepted.series <= limit
    assert set(accepted.dropped) == set(accepted.examples)


@given(rows, rows, st.randoms(use_true_random=False), st.integers(0, 200))
def test_no_flood_in_any_order_displaces_a_known_series(before, flood, random, limit):
    """What was there at the last commit and still comes is there after the next."""
    known = {metric.name: rows for metric, rows in validate(before, DECLARED, {}, limit).rows.items()}
    sent = [*before, *flood]
    random.shuffle(sent)
    kept = keys(validate(sent, DECLARED, known, limit))
    assert {(name, values) for name in known for values in known[name]} <= kept


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["x/a", "x/b", "x/c"]), rows), max_size=6), st.integers(0, 60))
def test_no_sequence_of_commits_exceeds_the_limit_of_all(commits, limit):
    """The store's own limit holds at each moment, and the page shows what the store counts."""
    store = Store(limit)
    for key, sent in commits:
        store.commit(key, sent, DECLARED, limit=50, expires=9)
        assert limit >= store.series()
    assert store.series() == sum(store.series(key) for key in ("x/a", "x/b", "x/c"))


def test_a_lowered_limit_refuses_the_new_and_then_the_rest():
    """After a reload with less room a commit fits into it, though the others fill it already."""
    store = Store(100)
    for key in ("x/a", "x/b"):
        store.commit(key, [("x_n", (str(n),), n) for n in range(5)], DECLARED, limit=50, expires=9)
    store.max_series = 7
    accepted = store.commit("x/b", [("x_n", (str(n),), n) for n in range(5)], DECLARED, limit=50, expires=9)
    assert (accepted.series, accepted.dropped[Drop.LIMIT], store.series()) == (2, 3, 7)


@pytest.mark.parametrize(
    "text", ["a\rb", "a\r# b", "\r#", "a\r\n# b", "\n# HELP x", "a\u2028# b", "a\x0b# b"]
)
def test_a_label_with_a_line_break_of_any_sort_hurts_nobody(text):
    """The page of two instances is whole, whatever one of them has in a label; a newline stays one."""
    store = Store(100)
    store.commit("x/a", [("x_n", (text,), 1), ("x_n", ("z",), 2)], DECLARED, limit=9, expires=9)
    store.commit("x/b", [("x_n", ("q",), 3)], DECLARED, limit=9, expires=9)
    assert {
        ("x_n", (("n", printable(text)), ("name", "a"))): 1,
        ("x_n", (("n", "z"), ("name", "a"))): 2,
        ("x_n", (("n", "q"), ("name", "b"))): 3,
    } == samples(store)


def test_metrics_with_the_same_family_are_not_counted_as_shown_when_one_is_not():
    """A gauge `x_runs` beside a counter `x_runs_total`: what is accepted is on the page."""
    metrics = (Metric("x_runs", Kind.GAUGE, "N."), Metric("x_runs_total", Kind.COUNTER, "N."))
    store = Store(100)
    declared = {metric.name: metric for metric in metrics}
    store.commit("x/a", [(metric.name, (), 1) for metric in metrics], declared, limit=9, expires=9)
    assert store.series() == len(samples(store))


def test_instances_that_declare_a_name_differently_leave_the_page_readable():
    """After an upgrade and a reload, an old worker's declaration meets a new one's."""
    old = Metric("x_age", Kind.GAUGE, "Ages.")
    new = Metric("x_age", Kind.GAUGE_HISTOGRAM, "Ages.", buckets=(1.0,))
    store = Store(100)
    store.commit("x/a", [("x_age", (), 1)], {"x_age": old}, limit=9, expires=9)
    store.commit("x/b", [("x_age", (), Distribution((1, 1), 2.0))], {"x_age": new}, limit=9, expires=9)
    assert samples(store)["x_age", (("name", "a"),)] == 1


@pytest.mark.parametrize(
    "row", [("x_state", ("1",), "z" * 60_000), ("x" * 60_000, (), 1), ("x_n", ("z" * 60_000,), "no")]
)
def test_an_example_is_short_however_long_the_row(row):
    """What is logged of a dropped sample fits on a screen."""
    (example,) = validate([row], DECLARED, {}, 9).examples.values()
    assert len(example) <= 300
