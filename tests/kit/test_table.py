"""A server's own names, and the metrics that they are."""

import pytest

from rscollector.api import Namespace
from rscollector.kit.table import IGNORED, Row, Table, flag, number, row, stripped
from rscollector.testing import values

THING = Namespace("thing", "member")
LOW = THING.gauge("low", "Low.")
HIGH = THING.gauge("high", "High.")
WAIT = THING.counter("wait_seconds", "Waits.")
TABLE = Table({
    "range": Row((LOW, HIGH), lambda text: [int(each) for each in text.split("-")]),
    "wait_ns": row(WAIT, factor=1e-9),
    "ready": row(THING.gauge("ready", "Ready."), flag),
    "is_ready": row(THING.gauge("ready", "Ready."), flag),
    "version": row(THING.info("version", "Version.", "version"), stripped),
    "noise": IGNORED,
})  # fmt: skip


def read(**told):
    """Return series and what is unknown."""
    unknown = []

    def samples():
        unknown.extend((yield from TABLE.samples(told, member="a")))

    return values(samples()), unknown


def test_names_become_metrics_in_their_units():
    """A factor makes seconds of nanoseconds, an info's text is its label, a row may have several metrics."""
    found, unknown = read(wait_ns="1500000000", version=" 8.0 ", noise="x", range="3-9")
    assert found == {
        'thing_wait_seconds_total{member="a"}': 1.5,
        'thing_version_info{member="a",version="8.0"}': 1,
        'thing_low{member="a"}': 3,
        'thing_high{member="a"}': 9,
    }
    assert unknown == []


def test_a_metric_of_two_names_is_told_once():
    """By the first that is there: two samples of one series would be dropped."""
    assert read(ready="ON", is_ready="OFF")[0] == {'thing_ready{member="a"}': 1}
    assert read(is_ready="OFF", ready="ON")[0] == {'thing_ready{member="a"}': 0}


def test_what_is_not_known_or_cannot_be_read_is_listed():
    """Nothing is lost in silence, and nothing fails."""
    found, unknown = read(news="1", ready="perhaps", wait_ns=None, version="")
    assert found == {}
    assert unknown == ["news = '1'", "ready = 'perhaps'", "wait_ns = None"]


def test_a_row_that_reads_another_number_of_values_is_a_fault_of_ours():
    """It is not taken for an answer that cannot be read."""
    with pytest.raises(ValueError, match="zip"):
        read(range="1-2-3")


def test_a_table_knows_its_metrics_once():
    """For a collector's declaration."""
    assert [metric.name for metric in TABLE.metrics] == [
        "thing_low", "thing_high", "thing_wait_seconds_total", "thing_ready", "thing_version_info",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "read_as"),
    [("17", 17), ("1.5", 1.5), ("1e3", 1000.0), (17, 17), (2.5, 2.5), (True, 1), ("-1", -1)],
)
def test_a_number_is_read_whatever_its_type(value, read_as):
    """Texts, integers of any size, floats and truths."""
    assert number(value) == read_as
    assert type(number(value)) in (int, float)


@pytest.mark.parametrize("value", [None, [], {}, "", "much", "0x10"])
def test_what_is_no_number_is_refused(value):
    """With an exception that a table takes for unreadable."""
    with pytest.raises((ValueError, TypeError)):
        number(value)


@pytest.mark.parametrize(
    ("value", "read_as"),
    [("ON", 1), ("yes", 1), (True, 1), ("1", 1), ("Off", 0), ("no", 0), (False, 0), ("0", 0)],
)
def test_a_truth_is_read_in_every_spelling(value, read_as):
    """As one version or another writes it."""
    assert flag(value) == read_as
