"""When the receiver is told what the metrics are: with a clock that is set by hand."""

from itertools import pairwise

import pytest

from rscollector.api import Kind, Metric
from rscollector.sinks.bosun.metadata import Metadata
from rscollector.sinks.bosun.opentsdb import Names
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
    """Never more often, and not when everybody does."""
    told.know([RUNS])
    told.due()
    told.answered(TAKEN)
    clock[0] += DAY - 1
    assert told.due() == []
    clock[0] += DAY / 10 + 2
    assert names(told.due()) == ["runs.total"]


def test_what_did_not_arrive_is_tried_again_later(told, clock):
    """Not at once."""
    told.know([RUNS])
    told.due()
    told.answered(Answer(Verdict.LATER, "503"))
    assert told.due() == []
    clock[0] += 301
    assert names(told.due()) == ["runs.total"]


def refusals(told, clock, verdict, until):
    """Return the times at which something is due to a receiver that refuses all of it."""
    found = []
    while clock[0] < until:
        if told.due():
            found.append(clock[0])
            told.answered(Answer(verdict, "404 Not Found"))
        clock[0] += 15
    return found


@pytest.mark.parametrize("verdict", [Verdict.BAD, Verdict.ALARM, Verdict.LATER, Verdict.SILENCE])
def test_a_receiver_that_refuses_is_asked_ever_more_rarely_and_never_given_up(told, clock, verdict):
    """Not at each tick; when it takes it at last, it has all of it. Meanwhile that is said."""
    told.know([RUNS, TIME])
    times = refusals(told, clock, verdict, 1000 + 10 * DAY)
    assert told.refusal == "404 Not Found"
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits == sorted(waits)
    assert waits[0] < 60
    assert DAY / 2 < waits[-1] <= DAY
    assert len(times) < 30
    clock[0] += DAY
    assert names(told.due()) == [
        "runs.total",
        "time.seconds.bucket",
        "time.seconds.count",
        "time.seconds.sum",
    ]
    told.answered(TAKEN)
    assert told.refusal == ""
    assert told.due() == []


def test_one_that_has_taken_some_is_asked_again_within_the_hour(told, clock):
    """It has a place for it, and what it refuses now it may take soon."""
    told.know([RUNS])
    told.due()
    told.answered(TAKEN)
    told.know([TIME])
    times = refusals(told, clock, Verdict.BAD, 1000 + DAY)
    assert max(later - earlier for earlier, later in pairwise(times)) <= 3600


def test_it_waits_for_as_long_as_the_receiver_asks_for(told, clock):
    """Retry-After."""
    told.know([RUNS])
    told.due()
    told.answered(Answer(Verdict.NOT_NOW, "429", 500))
    clock[0] += 499
    assert told.due() == []
    clock[0] += 2
    assert told.due() != []


def test_much_is_told_in_parts_and_a_part_that_is_refused_goes_behind_the_others(told, clock):
    """What others have to do with it is not lost."""
    told.know(Metric(f"m{number:03}_total", Kind.COUNTER, "M.") for number in range(600))
    refused = told.due()
    assert len(refused) <= 500
    told.answered(Answer(Verdict.BAD, "no"))
    clock[0] += 61
    parts = []
    while part := told.due():
        parts.append(names(part))
        told.answered(TAKEN)
    assert sorted(name for part in parts for name in part) == [f"m{number:03}.total" for number in range(600)]
    assert not set(names(refused)) & set(parts[0])


def test_what_is_told_has_the_name_under_which_it_is_sent(clock):
    """With the prefix; and nothing of what the filter leaves out."""
    sent = Names("prod.", exclude=["time.*"])
    told = Metadata(lambda: clock[0], lambda: 0.5, sent=sent)
    told.know([RUNS, TIME])
    assert names(told.due()) == ["prod.runs.total"]


def test_the_host_is_told_again_when_something_about_it_changes(told):
    """As a metric is, and for itself."""
    told.know_host([{"metric": "", "tags": {"host": "h"}, "name": "version", "value": "12"}])
    assert [entry["value"] for entry in told.due()] == ["12"]
    told.answered(TAKEN)
    told.know_host([{"metric": "", "tags": {"host": "h"}, "name": "version", "value": "12"}])
    assert told.due() == []
    told.know_host([{"metric": "", "tags": {"host": "h"}, "name": "version", "value": "13"}])
    assert [entry["value"] for entry in told.due()] == ["13"]
