"""What may be shown: valid, declared, once, within the limits, and not for ever."""

from collections import Counter
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from rscollector.exposition.render import Format
from rscollector.exposition.store import Store, page
from rscollector.exposition.validate import Drop, validate
from rscollector.model.metrics import Kind, Metric

X = Metric("x_n", Kind.GAUGE, "A number.", labels=("n",))
STATE = Metric("x_state", Kind.STATESET, "A state.", states=("up", "down", "away"))
DECLARED = {"x_n": X, "x_state": STATE}


def numbered(*numbers):
    """Return rows of the metric X."""
    return [("x_n", (str(number),), number) for number in numbers]


def checked(rows, known=MappingProxyType({}), limit=100):
    """Return the outcome of a validation."""
    return validate(rows, DECLARED, known, limit)


def shown(store):
    """Return the numbers that a page shows."""
    text = page(store.chunks(Format.TEXT), Format.TEXT).decode()
    return [float(line.split()[-1]) for line in text.splitlines() if line.startswith("x_n{")]


def test_what_may_not_be_shown_is_dropped_by_reason_with_an_example():
    """One bad row costs itself and nothing else."""
    rows = [
        ("x_other", (), 1),
        ("x_n", ("1",), "one"),
        ("x_n", (1,), 1),
        ("x_n", ("2", "3"), 1),
        "x_n",
        [1, 2, 3],
        ("x_n", ("7",), 7),
        ("x_n", ("7",), 8),
    ]
    accepted = checked(rows)
    assert accepted.rows == {X: {("7",): 7}}
    assert accepted.dropped == Counter({Drop.INVALID: 5, Drop.UNDECLARED: 1, Drop.DUPLICATE: 1})
    assert accepted.examples == {
        Drop.UNDECLARED: "x_other",
        Drop.INVALID: "x_n: 'one' is no number",
        Drop.DUPLICATE: "x_n['7']",
    }


@given(
    st.lists(
        st.tuples(
            st.text(max_size=5) | st.integers(),
            st.one_of(st.none(), st.text(), st.lists(st.text())),
            st.integers() | st.text(),
        )
    )
)
def test_no_row_however_odd_raises(rows):
    """A worker may be anything: what it sends is shown or counted."""
    accepted = checked(rows)
    assert accepted.samples + sum(accepted.dropped.values()) == len(rows)


def test_a_known_series_is_looked_at_as_well():
    """Its labels were right; its value may be none, and what only looks like its labels is none of it."""
    known = {"x_n": {("7",): 1, ("8",): 1}}
    rows = [("x_n", ["7"], "seven"), ("x_n", "7", 1), ("x_n", ([],), 1), ("x_n", None, 1), ("x_n", ["8"], 8)]
    accepted = checked([*rows, ("x_n", ("8",), 9)], known)
    assert accepted.rows == {X: {("8",): 8}}
    assert accepted.dropped == Counter({Drop.INVALID: 4, Drop.DUPLICATE: 1})


def test_labels_that_become_equal_by_repair_are_duplicates():
    """Two label values that cannot be told apart on the page are one series."""
    accepted = checked([("x_n", ("\udc80",), 1), ("x_n", ("\udc81",), 2)])
    assert (accepted.samples, accepted.dropped) == (1, Counter({Drop.DUPLICATE: 1}))


def test_known_series_keep_their_place_in_a_flood():
    """When the limit is reached only new series are refused, even those that come first."""
    known = {("1",), ("2",), ("3",)}
    accepted = checked(numbered(*range(100, 200), 1, 2, 3), {"x_n": known}, limit=5)
    kept = {values[0] for values in accepted.rows[X]}
    assert {"1", "2", "3"} <= kept
    assert (len(kept), accepted.dropped[Drop.LIMIT]) == (5, 98)


def test_a_sample_of_several_series_counts_as_several():
    """The limit is one of series: a state with three states needs room for three."""
    accepted = checked([("x_state", (), "up"), *numbered(1, 2)], limit=4)
    assert (accepted.series, accepted.samples, accepted.dropped[Drop.LIMIT]) == (4, 2, 1)


def test_the_limit_holds_for_all_instances_together():
    """One instance cannot take the room of the others, nor exceed what is left."""
    store = Store(5)
    assert store.commit("x/a", numbered(1, 2, 3), DECLARED, limit=10, expires=9).series == 3
    assert store.commit("x/b", numbered(4, 5, 6), DECLARED, limit=10, expires=9).series == 2
    assert store.commit("x/a", numbered(1, 2, 3), DECLARED, limit=10, expires=9).series == 3
    assert (store.series(), store.series("x/a"), store.series("x/none")) == (5, 3, 0)


def test_a_commit_replaces_all_that_the_instance_had():
    """A page has all of the new samples and none of the old ones."""
    store = Store(100)
    store.commit("x/a", numbered(1, 2), DECLARED, limit=10, expires=9)
    store.commit("x/b", numbered(3), DECLARED, limit=10, expires=9)
    store.commit("x/a", numbered(4), DECLARED, limit=10, expires=9)
    assert shown(store) == [4, 3]


def test_what_is_dropped_or_too_old_is_not_on_the_page():
    """Drop, expiry and a suspend each empty what they should."""
    store = Store(100)
    for key, expires in (("x/a", 10.0), ("x/b", 20.0), ("x/c", 30.0)):
        store.commit(key, numbered(expires), DECLARED, limit=10, expires=expires)
    store.drop("x/c")
    store.drop("x/none")
    assert shown(store) == [10, 20]
    assert (store.expire(9.9), store.expire(10.0), store.expire(10.1)) == ([], ["x/a"], [])
    assert shown(store) == [20]
    store.drop_all()
    assert (shown(store), store.series()) == ([], 0)
