"""Pages: byte by byte what prometheus_client makes of the same data, and readable by its parsers."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import parser
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics import parser as openmetrics_parser

from rscollector.exposition.render import Format, add_row, empty_family
from rscollector.exposition.store import Store, page
from rscollector.model.metrics import Distribution, Kind, Metric
from rscollector.model.texts import printable

BUCKETS = (0.5, 1.0, 10.0)
METRICS = [
    Metric("x_size_bytes", Kind.GAUGE, "A size.", unit="bytes", labels=("queue",)),
    Metric("x_plain", Kind.GAUGE, 'A "quoted" \\ sentence.'),
    Metric("x_runs_total", Kind.COUNTER, "Runs.", labels=("result", "kind")),
    Metric("x_wait_seconds_total", Kind.COUNTER, "Waits.", unit="seconds"),
    Metric("x_build_info", Kind.INFO, "A version.", labels=("version",)),
    Metric("x_state", Kind.STATESET, "A state.", labels=("node",), states=("up", "down", "away")),
    Metric("x_age_seconds", Kind.HISTOGRAM, "Ages.", unit="seconds", labels=("queue",), buckets=BUCKETS),
    Metric(
        "x_waiting_seconds", Kind.GAUGE_HISTOGRAM, "Ages.", unit="seconds", labels=("queue",), buckets=BUCKETS
    ),
]
DECLARED = {metric.name: metric for metric in METRICS}
numbers = st.integers(-(10**6), 10**6) | st.floats(allow_nan=False)
values = {
    Kind.GAUGE: numbers,
    Kind.COUNTER: st.integers(0, 2**70) | st.floats(0, 1e20),
    Kind.INFO: st.just(1),
    Kind.STATESET: st.sampled_from(("up", "down", "away")),
    Kind.HISTOGRAM: st.builds(Distribution, st.tuples(*[st.integers(0, 99)] * 4), st.floats(0, 1e6)),
}
values[Kind.GAUGE_HISTOGRAM] = values[Kind.HISTOGRAM]
texts = st.text(max_size=5) | st.sampled_from(['a"b', "a\\b", "a\nb", "ü", "", "\udce9"])


@st.composite
def rows_of(draw):
    """Return rows of some of the metrics, no series twice."""
    rows = []
    for metric in draw(st.lists(st.sampled_from(METRICS), unique=True)):
        labels = st.tuples(*[texts] * len(metric.labels))
        several = draw(st.lists(labels, max_size=3, unique_by=lambda each: tuple(map(printable, each))))
        rows += [(metric.name, each, draw(values[metric.kind])) for each in several]
    return rows


stores = st.dictionaries(st.sampled_from(["x/a", "x/b", "y/c"]), rows_of(), max_size=3)


def committed(instances):
    """Return a store that shows these instances, committed in the order given."""
    store = Store(10**6)
    for key, rows in instances.items():
        store.commit(key, rows, DECLARED, limit=10**6, expires=1e9)
    return store


class Registry:
    """The same data as prometheus_client has it: whole families, in the order of their names."""

    def __init__(self, instances):
        self.families = []
        for metric in sorted(METRICS, key=lambda metric: metric.family):
            family = empty_family(metric)
            for key in sorted(instances):
                for name, labels, value in instances[key]:
                    if name == metric.name:
                        row = (tuple(map(printable, labels)), value)
                        add_row(family, metric, row, {"name": key.partition("/")[2]})
            if family.samples:
                self.families.append(family)

    def collect(self):
        """Return the families."""
        return self.families


ENCODERS = {Format.TEXT: generate_latest, Format.OPENMETRICS: openmetrics.generate_latest}


@settings(max_examples=150, deadline=None)
@given(stores)
def test_a_page_is_what_the_library_makes_of_the_same_data(instances):
    """Joining what was rendered once gives the same bytes as rendering everything at each scrape."""
    store = committed(instances)
    for wanted, encode in ENCODERS.items():
        assert page(store.chunks(wanted), wanted) == encode(Registry(instances))


@settings(max_examples=50, deadline=None)
@given(stores)
def test_the_official_parsers_read_back_what_was_committed(instances):
    """Nothing is lost, doubled or bent on the way, whatever the labels."""
    store = committed(instances)
    expected = {
        (sample.name, frozenset(sample.labels.items()), float(sample.value))
        for family in Registry(instances).collect()
        for sample in family.samples
    }
    text = page(store.chunks(Format.TEXT), Format.TEXT).decode()
    read = [s for family in parser.text_string_to_metric_families(text) for s in family.samples]
    assert {(s.name, frozenset(s.labels.items()), float(s.value)) for s in read} == expected
    assert len(read) == len(expected)


GOOD = {
    "x/a": [
        ("x_size_bytes", ("active",), 5),
        ("x_runs_total", ("ok", "fast"), 3),
        ("x_build_info", ("1.0",), 1),
        ("x_state", ("n",), "down"),
        ("x_age_seconds", ("active",), Distribution((1, 2, 3, 4), 99.5)),
        ("x_waiting_seconds", ("active",), Distribution((1, 2, 3, 4), 99.5)),
    ],
    "x/b": [
        ("x_size_bytes", ("active",), 6),
        ("x_waiting_seconds", ("held",), Distribution((0, 0, 0, 0), 0)),
    ],
}


def test_the_strict_parser_of_openmetrics_accepts_every_kind():
    """Units, suffixes, statesets and both histograms are as OpenMetrics wants them."""
    text = page(committed(GOOD).chunks(Format.OPENMETRICS), Format.OPENMETRICS).decode()
    families = {family.name: family for family in openmetrics_parser.text_string_to_metric_families(text)}
    assert {name: family.type for name, family in families.items()} == {
        "x_age_seconds": "histogram",
        "x_build": "info",
        "x_runs": "counter",
        "x_size_bytes": "gauge",
        "x_state": "stateset",
        "x_waiting_seconds": "gaugehistogram",
    }
    assert families["x_size_bytes"].unit == "bytes"


@pytest.mark.needs("promtool")
def test_promtool_has_nothing_to_say():
    """A page with a metric of each kind is clean."""
    text = page(committed(GOOD).chunks(Format.TEXT), Format.TEXT)
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, timeout=30, check=False
    )
    complaints = [line for line in done.stderr.decode().splitlines() if "x_build" not in line]
    assert (done.stdout, complaints) == (b"", [])
