"""When the receiver is told what the metrics are: with a clock that is set by hand."""

import pytest

from rscollector.api import Kind, Metric
from rscollector.sinks.metadata import Metadata
from rscollector.sinks.verdicts import Answer, Verdict

RUNS = Metric("runs_total", Kind.COUNTER, "Runs.")
TIME = Metric("time_seconds", Kind.HISTOGRAM, "Time.", unit="seconds", buckets=(1.0,))
TAKEN = Answer(Verdict.TAKEN)
DAY = 86400


@pytest.fixture
def clock():
    """Return a clock that is set by hand: `clock[0]`."""
    return [1000.0]


@pytest.fixture
def told(clock):
    """Return what keeps the metrics, with a jitter in the middle."""
    return Metadata(lambda: clock[0], lambda: 0.5)


def names(entries):
    """Return the names of metrics among entries."""
    return sorted({entry["metric"] for entry in entries})


def test_each_metric_is_told_once_and_a_histogram_is_three(told):
    """Rate, unit and description, as far as there are any."""
    told.know([RUNS])
    assert told.due() == [
        {"metric": "runs.total", "name": "rate", "value": "counter"},
        {"metric": "runs.total", "name": "desc", "value": "Runs."},
    ]
    told.answered(TAKEN)
    assert told.due() == []
    told.know([TIME])
    assert names(told.due()) == ["time.seconds.bucket", "time.seconds.count", "time.seconds.sum"]


def test_what_becomes_known_during_a_request_is_told_with_the_next(told):
    """The answer is to what was asked."""
    told.know([RUNS])
    told.due()
    told.know([TIME])
    told.answered(TAKEN)
    assert "time.seconds.sum" in names(told.due())


def test_a_change_is_told(told):
    """Another description, after an upgrade."""
    told.know([RUNS])
    told.due()
    told.answered(TAKEN)
    told.know([Metric("runs_total", Kind.COUNTER, "How often it was run.")])
    assert [entry["value"] for entry in told.due()] == ["counter", "How often it was run."]


def test_everything_is_told_again_once_a_day_at_a_time_of_its_own(told, clock):
    """Between half a day and one and a half."""
    told.know([RUNS])
    told.due()
    told.answered(TAKEN)
    clock[0] += DAY - 1
    assert told.due() == []
    clock[0] += 2
    assert names(told.due()) == ["runs.total"]


def test_what_did_not_arrive_is_tried_again_later(told, clock):
    """Not at once."""
    told.know([RUNS])
    told.due()
    told.answered(Answer(Verdict.LATER, "503"))
    assert told.due() == []
    clock[0] += 301
    assert names(told.due()) == ["runs.total"]


@pytest.mark.parametrize("verdict", [Verdict.BAD, Verdict.ALARM])
def test_a_receiver_that_has_no_place_for_it_is_left_alone(told, clock, verdict):
    """And that is said."""
    told.know([RUNS])
    told.due()
    told.answered(Answer(verdict, "404 Not Found"))
    clock[0] += 10 * DAY
    assert told.due() == []
    assert told.given_up == "the receiver takes no metadata: 404 Not Found"
