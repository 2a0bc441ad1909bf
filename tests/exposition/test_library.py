"""Pages of generated declarations, against the library's own family classes and both of its parsers."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import core, parser
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics import parser as openmetrics_parser

from rscollector.exposition.render import Format
from rscollector.exposition.store import Store, page
from rscollector.model.metrics import Distribution, Kind, Metric
from rscollector.model.texts import printable
from rscollector.web.negotiate import negotiate

SUFFIX = {Kind.COUNTER: "_total", Kind.INFO: "_info"}
HISTOGRAMS = (Kind.HISTOGRAM, Kind.GAUGE_HISTOGRAM)
ENCODERS = {Format.TEXT: generate_latest, Format.OPENMETRICS: openmetrics.generate_latest}
READERS = {
    Format.TEXT: parser.text_string_to_metric_families,
    Format.OPENMETRICS: openmetrics_parser.text_string_to_metric_families,
}
ACCEPT_2 = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
ACCEPT_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"

texts = st.text(st.sampled_from('ab"\\\n #{}=,üж\u2028\x85\udce9'), max_size=6)
counts = st.tuples(*[st.integers(0, 2**60)] * 3)
values = {
    Kind.GAUGE: st.integers(-(2**70), 2**70) | st.floats(allow_nan=False).map(lambda each: each + 0.0),
    Kind.COUNTER: st.integers(0, 2**70) | st.floats(0, allow_infinity=False),
    Kind.INFO: st.just(1),
    Kind.STATESET: st.sampled_from(("away", "down", "up")),
    Kind.HISTOGRAM: st.builds(Distribution, counts, st.floats(0, 1e9)),
    Kind.GAUGE_HISTOGRAM: st.builds(Distribution, counts, st.floats(0, 1e9)),
}


@st.composite
def declarations(draw, letter):
    """Return a declaration of any kind, with or without a unit and labels."""
    kind = draw(st.sampled_from(list(Kind)))
    unit = "" if kind in (Kind.INFO, Kind.STATESET) else draw(st.sampled_from(("", "seconds", "bytes")))
    return Metric(
        "_".join(filter(None, ("x", letter, unit))) + SUFFIX.get(kind, ""),
        kind,
        draw(texts.map(printable)) + ".",
        unit=unit,
        labels=tuple(draw(st.lists(st.sampled_from(("queue", "result", "zone")), unique=True))),
        states=("away", "down", "up") if kind is Kind.STATESET else (),
        buckets=(0.5, 10.0) if kind in HISTOGRAMS else (),
    )


@st.composite
def collected(draw):
    """Return declarations by name, and the rows of some instances, no series twice."""
    letters = draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=4))
    metrics = [draw(declarations(letter)) for letter in letters]
    instances = {}
    for key in draw(st.lists(st.sampled_from(("x/a", "x/b", 'x/ü"')), unique=True)):
        rows = instances[key] = []
        for metric in metrics:
            labels = st.tuples(*[texts] * len(metric.labels))
            several = draw(st.lists(labels, max_size=3, unique_by=lambda each: tuple(map(printable, each))))
            rows += [(metric.name, each, draw(values[metric.kind])) for each in several]
    return {metric.name: metric for metric in metrics}, instances


def bucket_pairs(metric, distribution):
    """Return cumulative buckets as the library's families want them."""
    bounds = [*map(str, metric.buckets), "+Inf"]
    return [(bound, sum(distribution.counts[: at + 1])) for at, bound in enumerate(bounds)]


FAMILIES = {
    Kind.GAUGE: core.GaugeMetricFamily,
    Kind.COUNTER: core.CounterMetricFamily,
    Kind.INFO: core.InfoMetricFamily,
    Kind.STATESET: core.StateSetMetricFamily,
    Kind.HISTOGRAM: core.HistogramMetricFamily,
    Kind.GAUGE_HISTOGRAM: core.GaugeHistogramMetricFamily,
}


def library_family(metric, instances):
    """Return the samples of a metric in the class that the library has for its kind."""
    names = (*metric.labels, "name")
    unit = {"unit": metric.unit} if metric.unit else {}
    family = FAMILIES[metric.kind](metric.family, metric.help, labels=names, **unit)
    for key in sorted(instances):
        for name, labels, value in instances[key]:
            given_labels = (*map(printable, labels), key.partition("/")[2])
            if name != metric.name:
                continue
            if metric.kind is Kind.INFO:
                family.add_metric(given_labels, {})
            elif metric.kind is Kind.STATESET:
                family.add_metric(given_labels, {state: state == value for state in metric.states})
            elif metric.kind in HISTOGRAMS:
                family.add_metric(given_labels, bucket_pairs(metric, value), value.sum)
            else:
                family.add_metric(given_labels, value)
    return family


class Registry:
    """Families in the order of their names, those without samples left out."""

    def __init__(self, declared, instances):
        families = [library_family(metric, instances) for metric in declared.values()]
        self.families = sorted((each for each in families if each.samples), key=lambda each: each.name)

    def collect(self):
        """Return the families."""
        return self.families


def stored(declared, instances):
    """Return a store that shows these instances."""
    store = Store(10**6)
    for key, rows in instances.items():
        assert not store.commit(key, rows, declared, limit=10**6, expires=1e9).dropped
    return store


def identity(sample):
    """Return what has to be equal of two samples."""
    return sample.name, frozenset(sample.labels.items()), float(sample.value)


@settings(max_examples=120, deadline=None)
@given(collected())
def test_any_declaration_gives_the_bytes_of_the_librarys_own_families(data):
    """Nothing of ours takes part in the expected page: families, samples and order are the library's."""
    store = stored(*data)
    for wanted, encode in ENCODERS.items():
        assert encode(Registry(*data)) == page(store.chunks(wanted), wanted)


@pytest.mark.parametrize("wanted", list(Format))
@settings(max_examples=60, deadline=None)
@given(data=collected())
def test_each_parser_reads_the_samples_back(wanted, data):
    """Both formats, the strict one too, mean what was committed, in the order in which it is shown."""
    text = page(stored(*data).chunks(wanted), wanted).decode()
    expected = {identity(sample) for family in Registry(*data).families for sample in family.samples}
    read = [identity(sample) for family in READERS[wanted](text) for sample in family.samples]
    assert (expected, len(expected)) == (set(read), len(read))


def again(draw, declared, rows):
    """Return all of the rows or some, with other values."""
    kept = [row for row in rows if draw(st.booleans())] if draw(st.booleans()) else rows
    return [(name, labels, draw(values[declared[name].kind])) for name, labels, _ in kept]


@settings(max_examples=120, deadline=None)
@given(collected(), st.data())
def test_what_is_committed_over_something_looks_as_if_it_had_been_the_first(data, draw):
    """Lines that are kept from the commit before are those that the library would have made now."""
    declared, instances = data
    store = stored(declared, instances)
    after = {key: again(draw.draw, declared, rows) for key, rows in instances.items()}
    for key, rows in after.items():
        store.commit(key, rows, declared, limit=10**6, expires=1e9)
    for wanted, encode in ENCODERS.items():
        assert encode(Registry(declared, after)) == page(store.chunks(wanted), wanted)


ONE_OF_EACH = [
    (Metric("x_size_bytes", Kind.GAUGE, "A size.", unit="bytes"), 5),
    (Metric("x_runs_total", Kind.COUNTER, "Runs.", labels=("result",)), 3),
    (Metric("x_build_info", Kind.INFO, "A version.", labels=("version",)), 1),
    (Metric("x_state", Kind.STATESET, "A state.", states=("down", "up")), "down"),
    (
        Metric("x_age_seconds", Kind.HISTOGRAM, "Ages.", unit="seconds", buckets=(1.0, 10.0)),
        Distribution((1, 2, 3), 99.5),
    ),
    (
        Metric("x_waiting_seconds", Kind.GAUGE_HISTOGRAM, "Ages.", unit="seconds", buckets=(1.0,)),
        Distribution((1, 2), 9.5),
    ),
]


def one_of_each():
    """Return declarations and two instances that have a sample of each."""
    rows = [(metric.name, ("ok",) * len(metric.labels), value) for metric, value in ONE_OF_EACH]
    return {metric.name: metric for metric, _ in ONE_OF_EACH}, {"x/a": rows, "x/b": rows}


@pytest.mark.needs("promtool")
def test_promtool_is_silent_about_every_kind():
    """Not one complaint, and success, for two instances with a metric of each kind."""
    text = page(stored(*one_of_each()).chunks(Format.TEXT), Format.TEXT)
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("accept", ["", "*/*", "text/html,*/*;q=0.8", ACCEPT_2, ACCEPT_3])
def test_who_asks_gets_what_the_library_would_have_answered(accept):
    """The page, not only its content type, is that of the encoder which the library chooses."""
    encode, content_type = choose_encoder(accept)
    wanted, got_type = negotiate(accept)
    got = page(stored(*one_of_each()).chunks(wanted), wanted)
    # The library's versions differ in the version that they claim, and in whether they tell how names are escaped.
    assert content_type.partition(";")[0] == got_type.partition(";")[0]
    assert encode(Registry(*one_of_each())) == got


@pytest.mark.parametrize("bound", [0.00001, 0.001, 1.0, 1000.0, 1e6, 1e9])
def test_the_strict_parser_takes_the_bounds_of_any_histogram(bound):
    """Small and large bounds are written as OpenMetrics wants numbers to be written."""
    metric = Metric("x_size", Kind.HISTOGRAM, "Sizes.", buckets=(bound,))
    data = {"x_size": metric}, {"x/a": [("x_size", (), Distribution((1, 1), 2.0))]}
    text = page(stored(*data).chunks(Format.OPENMETRICS), Format.OPENMETRICS).decode()
    (family,) = READERS[Format.OPENMETRICS](text)
    assert bound == float(family.samples[0].labels["le"])
