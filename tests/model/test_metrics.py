"""Declarations and samples: what they are, and which series they stand for."""

import itertools
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rscollector.model.metrics import Distribution, Kind, Metric, Sample, Series, samples_of

GAUGE = Metric("x_size_bytes", Kind.GAUGE, "A size.", unit="bytes", labels=("queue",))
COUNTER = Metric("x_runs_total", Kind.COUNTER, "Runs.")
INFO = Metric("x_build_info", Kind.INFO, "A version.", labels=("version",))
STATESET = Metric("x_state", Kind.STATESET, "A state.", labels=("node",), states=("up", "down"))
HISTOGRAM = Metric("x_age_seconds", Kind.HISTOGRAM, "Ages.", unit="seconds", buckets=(1.0, 5.0))
GAUGE_HISTOGRAM = Metric(
    "x_waiting_seconds", Kind.GAUGE_HISTOGRAM, "Ages.", unit="seconds", buckets=(1.0, 5.0)
)

SAMPLES = [
    (GAUGE, ("active",), 3, [Series("x_size_bytes", {"queue": "active"}, 3)]),
    (COUNTER, (), 2**60, [Series("x_runs_total", {}, 2**60)]),
    (INFO, ("1.2",), 1, [Series("x_build_info", {"version": "1.2"}, 1)]),
    (
        STATESET,
        ("a",),
        "down",
        [
            Series("x_state", {"node": "a", "x_state": "up"}, 0),
            Series("x_state", {"node": "a", "x_state": "down"}, 1),
        ],
    ),
    (
        HISTOGRAM,
        (),
        Distribution((2, 0, 1), 11.5),
        [
            Series("x_age_seconds_bucket", {"le": "1.0"}, 2),
            Series("x_age_seconds_bucket", {"le": "5.0"}, 2),
            Series("x_age_seconds_bucket", {"le": "+Inf"}, 3),
            Series("x_age_seconds_count", {}, 3),
            Series("x_age_seconds_sum", {}, 11.5),
        ],
    ),
    (
        GAUGE_HISTOGRAM,
        (),
        Distribution((1, 1, 0), 4),
        [
            Series("x_waiting_seconds_bucket", {"le": "1.0"}, 1),
            Series("x_waiting_seconds_bucket", {"le": "5.0"}, 2),
            Series("x_waiting_seconds_bucket", {"le": "+Inf"}, 2),
            Series("x_waiting_seconds_gcount", {}, 2),
            Series("x_waiting_seconds_gsum", {}, 4),
        ],
    ),
]
EACH = pytest.mark.parametrize(
    ("metric", "values", "value", "series"), SAMPLES, ids=lambda each: getattr(each, "kind", "")
)


@EACH
def test_a_sample_becomes_the_series_of_its_kind(metric, values, value, series):
    """Each kind has its series, and `width` says how many before there is a sample."""
    assert list(metric.series(values, value)) == series
    assert metric.width == len(series)
    assert metric.problem(values, value) == ""


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": "X"}, "a name has lower-case letters, digits and underscores"),
        ({"name": "x_total"}, "the suffix _total belongs to each counter and to nothing else"),
        ({"kind": Kind.COUNTER}, "the suffix _total belongs to each counter and to nothing else"),
        ({"kind": Kind.INFO}, "the suffix _info belongs to each info and to nothing else"),
        ({"name": "x_info"}, "the suffix _info belongs to each info and to nothing else"),
        (
            {"name": "x_info_total", "kind": Kind.COUNTER, "unit": "bytes"},
            "the name does not end with its unit 'bytes'",
        ),
        (
            {"name": "x_total_total", "kind": Kind.COUNTER},
            "the suffix _total is there twice: a Namespace adds it",
        ),
        ({"kind": Kind.GAUGE_HISTOGRAM}, "buckets belong to histograms"),
        ({"kind": Kind.HISTOGRAM, "buckets": (1.0, 1.0)}, "buckets ascend, without infinity"),
        ({"name": ""}, "a name has lower-case letters, digits and underscores"),
        ({"help": ""}, "the help is not a sentence"),
        ({"unit": "seconds"}, "the name does not end with its unit 'seconds'"),
        ({"help": "No sentence"}, "the help is not a sentence"),
        ({"labels": ("Queue",)}, "label 'Queue' has characters that a label cannot have"),
        ({"labels": ("instance",)}, "no label is called 'instance', which the agent or Prometheus sets"),
        ({"labels": ("job",)}, "no label is called 'job', which the agent or Prometheus sets"),
        ({"labels": ("name",)}, "no label is called 'name', which the agent or Prometheus sets"),
        ({"labels": ("le",)}, "no label is called 'le', which the agent or Prometheus sets"),
        ({"labels": ("quantile",)}, "no label is called 'quantile', which the agent or Prometheus sets"),
        ({"labels": ("x",)}, "no label is called 'x', as the metric is"),
        ({"labels": ("a", "a")}, "a label is named twice"),
        ({"states": ("up",)}, "states belong to statesets"),
        ({"kind": Kind.STATESET}, "states belong to statesets"),
        ({"buckets": (1.0,)}, "buckets belong to histograms"),
        ({"kind": Kind.HISTOGRAM}, "buckets belong to histograms"),
        ({"kind": Kind.HISTOGRAM, "buckets": (2.0, 1.0)}, "buckets ascend, without infinity"),
        ({"kind": Kind.HISTOGRAM, "buckets": (1.0, math.inf)}, "buckets ascend, without infinity"),
        ({"bosun": "a b"}, "'a b' is no name for Bosun"),
    ],
)
def test_a_wrong_declaration_is_refused(fields, problem):
    """A declaration that would make a wrong page fails when the plugin is imported."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011  the text is compared below
        Metric(**{"name": "x", "kind": Kind.GAUGE, "help": "A number.", **fields})
    assert str(refused.value) == f"metric {fields.get('name', 'x')!r}: {problem}"


@pytest.mark.parametrize(
    ("metric", "values", "value", "problem"),
    [
        (GAUGE, ("a", "b"), 1, "2 label values for the labels ('queue',)"),
        (GAUGE, ("a" * 2049,), 1, "label values of more than 2048 characters together"),
        (GAUGE, (1,), 1, "label values are texts, not (1,)"),
        (GAUGE, "a", 1, "label values are texts, not 'a'"),
        (GAUGE, ("a",), True, "True is no number"),
        (GAUGE, ("a",), None, "None is no number"),
        (GAUGE, ("a",), "5", "'5' is no number"),
        (GAUGE, ("a",), Distribution((1,), 1), "Distribution(counts=(1,), sum=1) is no number"),
        (GAUGE, None, 1, "label values are texts, not None"),
        (COUNTER, (), -1, "a counter cannot be -1"),
        (COUNTER, (), None, "None is no number"),
        (INFO, (), 1, "0 label values for the labels ('version',)"),
        (INFO, ("1.2",), "1", "'1' is no number"),
        (GAUGE_HISTOGRAM, (), None, "None is no Distribution"),
        (STATESET, ("a",), "sideways", "'sideways' is none of its states"),
        (STATESET, ("a",), 1, "1 is none of its states"),
        (HISTOGRAM, (), 5, "5 is no Distribution"),
        (HISTOGRAM, (), Distribution((1, 2), 3), "2 counts for 2 buckets and the one above"),
        (HISTOGRAM, (), Distribution((1, 2, -1), 3), "counts are whole and the sum is a number"),
        (HISTOGRAM, (), Distribution((1, 2, 0.5), 3), "counts are whole and the sum is a number"),
        (HISTOGRAM, (), Distribution((1, 2, 0), "3"), "counts are whole and the sum is a number"),
    ],
)
def test_what_is_no_sample_is_named(metric, values, value, problem):
    """Labels and values that do not fit the declaration are refused with what is wrong."""
    assert metric.problem(values, value) == problem


def test_calling_a_metric_makes_a_sample_with_labels_in_their_order():
    """Labels are given by name, in any order, and nothing is missing or unknown."""
    two = Metric("x_two", Kind.GAUGE, "Two labels.", labels=("a", "b"))
    assert two(5, b="2", a="1").values == ("1", "2")
    assert INFO(version="1.2").value == 1
    with pytest.raises(TypeError, match=r"x_two has the labels \('a', 'b'\), not \('a',\)"):
        two(5, a="1")
    with pytest.raises(TypeError, match=r"x_two has the labels \('a', 'b'\), not \('a', 'b', 'c'\)"):
        two(5, a="1", b="2", c="3")


@pytest.mark.parametrize(
    ("metric", "family", "bosun", "rate"),
    [
        (GAUGE, "x_size_bytes", "x.size.bytes", "gauge"),
        (COUNTER, "x_runs", "x.runs.total", "counter"),
        (INFO, "x_build", "x.build.info", "gauge"),
        (HISTOGRAM, "x_age_seconds", "x.age.seconds", "counter"),
        (GAUGE_HISTOGRAM, "x_waiting_seconds", "x.waiting.seconds", "gauge"),
        (Metric("x_old", Kind.GAUGE, "Old.", bosun="old.name"), "x_old", "old.name", "gauge"),
    ],
)
def test_a_metric_has_a_name_for_each_world(metric, family, bosun, rate):
    """OpenMetrics' family has no suffix; Bosun has dots, unless the declaration says otherwise."""
    assert (metric.family, metric.bosun_name, metric.bosun_rate) == (family, bosun, rate)


def test_bosun_is_given_tags_that_it_can_take():
    """A state's tag is `state`, a bucket's is `le`, and infinity has no plus sign."""
    assert list(STATESET.bosun_series(("a",), "up")) == [
        Series("x.state", {"node": "a", "state": "up"}, 1),
        Series("x.state", {"node": "a", "state": "down"}, 0),
    ]
    for metric in (HISTOGRAM, GAUGE_HISTOGRAM):
        assert list(metric.bosun_series((), Distribution((1, 0, 1), 9))) == [
            Series(f"{metric.bosun_name}.bucket", {"le": "1.0"}, 1),
            Series(f"{metric.bosun_name}.bucket", {"le": "5.0"}, 1),
            Series(f"{metric.bosun_name}.bucket", {"le": "inf"}, 2),
            Series(f"{metric.bosun_name}.count", {}, 2),
            Series(f"{metric.bosun_name}.sum", {}, 9),
        ]


@given(
    bounds=st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=8, unique=True)
    .map(sorted)
    .map(tuple),
    observations=st.lists(st.integers(-60, 60)),
)
def test_a_distribution_counts_each_observation_once(bounds, observations):
    """A bucket holds what is at most its bound and more than the one before."""
    found = Distribution.of(bounds, observations)
    edges = (-math.inf, *bounds, math.inf)
    expected = [sum(low < each <= high for each in observations) for low, high in itertools.pairwise(edges)]
    assert found == Distribution(tuple(expected), sum(observations))


def test_a_metric_sorts_into_its_own_buckets():
    """`metric.distribution` is `Distribution.of` with the declared bounds."""
    assert HISTOGRAM.distribution([1.0, 3.0, 7.5]) == Distribution((1, 1, 1), 11.5)


words = st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta"]), unique=True).map(tuple)
bounds = st.lists(st.integers(0, 99).map(float), min_size=1, max_size=5, unique=True).map(sorted).map(tuple)


@st.composite
def metrics_and_values(draw):
    """Draw a declaration of any kind with a value that fits it."""
    kind = draw(st.sampled_from(Kind))
    name = {Kind.COUNTER: "x_y_total", Kind.INFO: "x_y_info"}.get(kind, "x_y")
    states = ("on", *draw(words)) if kind is Kind.STATESET else ()
    buckets = draw(bounds) if kind in (Kind.HISTOGRAM, Kind.GAUGE_HISTOGRAM) else ()
    metric = Metric(name, kind, "Anything.", labels=draw(words), states=states, buckets=buckets)
    if states:
        return metric, draw(st.sampled_from(states))
    return metric, metric.distribution(draw(st.lists(st.integers(0, 120)))) if buckets else 1


@given(metrics_and_values())
def test_every_series_of_a_sample_is_another_one(metric_and_value):
    """`width` is the number of series, no two of which have the same name and labels, for Bosun as well."""
    metric, value = metric_and_value
    values = tuple(f"value of {label}" for label in metric.labels)
    assert metric.problem(values, value) == ""
    for expand in (metric.series, metric.bosun_series):
        found = list(expand(values, value))
        assert len({(each.name, *sorted(each.labels.items())) for each in found}) == metric.width
        assert len(found) == metric.width
        assert all(set(values) <= set(each.labels.values()) for each in found)


@given(metrics_and_values())
def test_what_bosun_is_told_are_the_same_numbers(metric_and_value):
    """The two expansions differ in names and tags, never in a value."""
    metric, value = metric_and_value
    values = tuple(metric.labels)
    assert [each.value for each in metric.series(values, value)] == [
        each.value for each in metric.bosun_series(values, value)
    ]


def test_a_declared_name_for_bosun_holds_for_each_part():
    """The parts of a histogram follow the name that the declaration gives."""
    old = Metric("x_age", Kind.HISTOGRAM, "Ages.", buckets=(1.0,), bosun="old.age")
    names = [each.name for each in old.bosun_series((), Distribution((1, 0), 1))]
    assert names == ["old.age.bucket", "old.age.bucket", "old.age.count", "old.age.sum"]


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        (Metric("x_n", Kind.GAUGE, "N."), 10**400),
        (COUNTER, math.nan),
        (Metric("x_x_info", Kind.INFO, "N."), 5),
        (HISTOGRAM, Distribution((1, 0, 10**400), 1)),
        (HISTOGRAM, Distribution((1, 0, 1), math.nan)),
        (HISTOGRAM, Distribution((1, 0, 1), -1)),
        (HISTOGRAM, Distribution((1, 0, 1), 10**400)),
        (GAUGE_HISTOGRAM, Distribution((1, 0, 1), 10**400)),
    ],
)
def test_what_would_spoil_the_page_is_no_value(metric, value):
    """Numbers that no float holds, and those that OpenMetrics' parsers refuse, cost only their sample."""
    assert metric.problem((), value) != ""


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"states": ("a", "a")}, "a state is named twice"),
        ({"states": ("a", "b"), "labels": ("state",)}, "no label of a stateset is called 'state'"),
    ],
)
def test_a_stateset_that_would_have_a_series_twice_is_refused(fields, problem):
    """Its states are distinct, and its labels leave Bosun's tag alone."""
    with pytest.raises(ValueError, match=problem):
        Metric("x", Kind.STATESET, "A state.", **fields)


@given(
    st.sampled_from([GAUGE, COUNTER, INFO, STATESET, HISTOGRAM]),
    st.lists(
        st.one_of(
            st.integers(-3, 3),
            st.floats(),
            st.sampled_from([True, None, "on", "off", 1 << 1023, -(1 << 1023), 1 << 1024, -(1 << 1024), 1]),
        ),
        max_size=5,
    ),
)
@example(COUNTER, [1.0, math.nan, 2.0])
def test_many_values_are_judged_as_each_of_them_is(metric, values):
    """NaN, infinities, numbers too large for a float: whichever stands first."""
    assert metric.takes_all(values) == (not any(map(metric.value_problem, values)))


def test_two_declarations_of_one_name_are_two_metrics():
    """A plugin that was upgraded: they are told apart also as keys."""
    one = Metric("x_n", Kind.GAUGE, "A number.")
    other = Metric("x_n", Kind.GAUGE, "A number.", labels=("of",))
    assert {one: 1, other: 2, Metric("x_n", Kind.GAUGE, "A number."): 3} == {one: 3, other: 2}


def test_a_sample_stays_as_it_was_given():
    """A collector may write the next one into the same lists, be it labels or buckets."""
    labels, counts = ["active"], [1, 0, 0]
    given = [
        Sample(GAUGE, labels, 5), Sample(HISTOGRAM, (), Distribution(counts, 1)), Sample(GAUGE, ("x",), 1),
    ]  # fmt: skip
    kept = list(samples_of(given))
    labels[0], counts[0] = "deferred", 9
    assert kept == [
        Sample(GAUGE, ("active",), 5), Sample(HISTOGRAM, (), Distribution((1, 0, 0), 1)), Sample(GAUGE, ("x",), 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        (None, "collect gave None: it yields Samples, or returns a list of them"),
        ([5], "collect gave 5, which is no Sample"),
    ],
)
def test_what_a_collect_gave_is_named_if_it_is_no_sample(what, sentence):
    """Who has forgotten to yield, or has yielded a number, is told so."""
    with pytest.raises(TypeError) as refused:
        list(samples_of(what))
    assert str(refused.value) == sentence
